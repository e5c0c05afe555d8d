//! What is heard of wire and pods, as the conductor has it.
//!
//! Owns the translation of each report. Decides nothing about steps; what a statement means is `sql`'s.

use super::answer::{read_answer, read_error};
use super::real::RealWorld;
use super::request::read_request;
use crate::conductor::{Heard, Report};
use crate::history::ClosedBy;
use crate::pod::PodEvent;
use crate::wire::{CloseCause, ConnectionEvent, ServerSide, WireEvent};

/// What only a pooler's books can take in.
#[derive(Debug)]
pub(super) enum PoolerReport {
    /// The connection has reached the pooler from this port.
    Connected { port: u16 },
    /// Something happened on a connection of the pooler's to the server.
    ServerSide(ServerSide),
}

impl RealWorld<'_> {
    /// A report of the wire, as the conductor has it.
    pub fn heard(&mut self, event: WireEvent) -> Heard<PoolerReport> {
        let WireEvent {
            connection,
            at,
            event,
        } = event;
        let at = at.saturating_duration_since(self.begun);
        match &event {
            ConnectionEvent::Opened => self.stopwatch.opened(&connection),
            ConnectionEvent::Started { .. } => self.stopwatch.connected(&connection),
            ConnectionEvent::Ended { .. } => self.stopwatch.answered(&connection),
            ConnectionEvent::ClientClosed(_)
            | ConnectionEvent::ServerClosed(_)
            | ConnectionEvent::Finished => {
                self.stopwatch.connected(&connection);
                self.stopwatch.answered(&connection);
            }
            _ => {}
        }
        let report = match event {
            ConnectionEvent::Opened => Report::Opened,
            ConnectionEvent::Elsewhere { asked, refused } => {
                // What is done there is not undone with the run's database.
                self.place.server.spoil();
                Report::Elsewhere {
                    database: asked.database,
                    replication: asked.replication,
                    refused,
                }
            }
            ConnectionEvent::Settings(settings) => Report::Settings(settings),
            ConnectionEvent::Started { pid, server } => {
                let mut own = pid;
                if let (Some(pooled), Some(pid)) = (&mut self.pooled, pid) {
                    // It is the pooler's invention.
                    pooled.keyed(&connection, pid);
                    own = None;
                }
                Report::Started { pid: own, server }
            }
            ConnectionEvent::Connected { port } => Report::Own(PoolerReport::Connected { port }),
            ConnectionEvent::ServerSide(what) => Report::Own(PoolerReport::ServerSide(what)),
            ConnectionEvent::TlsFailed(why) => Report::TlsFailed(why),
            ConnectionEvent::CancelRequested { pid } => {
                let pooled = self.pooled.as_ref();
                let meant = pooled.and_then(|pooled| pooled.keyed_by(pid)).cloned();
                Report::CancelRequested { pid, meant }
            }
            ConnectionEvent::Held { step, text } => {
                let request = read_request(&text);
                let calls = request.lock_calls.clone();
                self.asked.insert((connection.clone(), step), calls);
                Report::Held(request)
            }
            ConnectionEvent::Released { .. } => Report::Passed,
            ConnectionEvent::Ended { step, answer } => {
                let calls = self.asked.remove(&(connection.clone(), step));
                Report::Answered(read_answer(&answer, &calls.unwrap_or_default()))
            }
            ConnectionEvent::ErrorOutsideStep(error) => {
                Report::ErrorOutsideStep(read_error(&error))
            }
            ConnectionEvent::ClientClosed(cause) => Report::ClientClosed(match cause {
                CloseCause::Commanded => ClosedBy::Fault,
                CloseCause::Protocol(_) => ClosedBy::Refused,
                _ => ClosedBy::Client,
            }),
            ConnectionEvent::ServerClosed(cause) => Report::ServerClosed(match cause {
                CloseCause::Protocol(_) => ClosedBy::Refused,
                _ => ClosedBy::Server,
            }),
            ConnectionEvent::Finished => Report::Finished,
        };
        Heard::Wire {
            connection,
            at,
            report,
        }
    }

    pub fn heard_of_pod(&mut self, event: PodEvent) -> Heard<PoolerReport> {
        match event {
            PodEvent::Output { pod, stream, line } => Heard::Output {
                pod,
                stream,
                // A subject that prints its DATABASE_URL must not put the password on record.
                line: self.place.server.address().redact(line),
            },
            PodEvent::Exited { pod, code, signal } => {
                self.stopwatch.exited(&pod);
                Heard::Exited { pod, code, signal }
            }
        }
    }
}
