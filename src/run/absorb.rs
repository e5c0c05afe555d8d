//! Taking in what wire and pods report, and keeping the books by it.
//!
//! Owns the meaning of each report for the run's state. Decides nothing but one thing: a driver's
//! look-up in the catalog is let go at once.

use std::time::{Duration, Instant};

use super::answer::read_error;
use super::conductor::Conductor;
use super::error::RunError;
use super::links::Link;
use crate::history::{ClosedBy, ConnectionName, Delivery, Event, PodName, Session, StepId};
use crate::pod::PodEvent;
use crate::wire::{Answer, CloseCause, ConnectionEvent, WireEvent};

impl Conductor<'_> {
    /// Waits for the next report, at most this long, and takes in all that have come. Whether
    /// there was one.
    pub(super) async fn next_event(&mut self, limit: Duration) -> Result<bool, RunError> {
        if self.absorb_all().await? {
            return Ok(true);
        }
        tokio::select! {
            biased;
            Some(event) = self.wire.recv() => self.absorb(event).await?,
            Some(event) = self.output.recv() => self.absorb_output(event),
            () = tokio::time::sleep(limit) => return Ok(false),
        }
        self.absorb_all().await?;
        Ok(true)
    }

    /// Takes in all reports that have come. Whether there was one.
    pub(super) async fn absorb_all(&mut self) -> Result<bool, RunError> {
        let mut any = false;
        loop {
            if let Ok(event) = self.wire.try_recv() {
                self.absorb(event).await?;
            } else if let Ok(event) = self.output.try_recv() {
                self.absorb_output(event);
            } else {
                return Ok(any);
            }
            any = true;
        }
    }

    fn absorb_output(&mut self, event: PodEvent) {
        match event {
            PodEvent::Output { pod, stream, line } => {
                // A subject that prints its DATABASE_URL must not put the password on record.
                let line = self.place.server.address().redact(line);
                self.note(Event::PodOutput { pod, stream, line });
            }
            PodEvent::Exited { pod, code, signal } => {
                if let Some(member) = self.members.get_mut(&pod) {
                    member.exited = Some((code, signal));
                    member.exit_unwritten = true;
                }
                // What it was told before it left is written first.
                if !self.owes_ending(&pod) {
                    self.write_exit(&pod);
                }
            }
        }
    }

    /// Writes down that a pod has exited, once.
    pub(super) fn write_exit(&mut self, pod: &PodName) {
        let Some(member) = self.members.get_mut(pod) else {
            return;
        };
        if let Some((code, signal)) = member.exited
            && std::mem::take(&mut member.exit_unwritten)
        {
            let pod = pod.clone();
            self.note(Event::PodExited { pod, code, signal });
        }
    }

    pub(super) fn link(&mut self, name: &ConnectionName) -> Option<&mut Link> {
        self.members
            .get_mut(&name.pod)
            .and_then(|member| member.links.get_mut(&name.index))
    }

    async fn absorb(&mut self, report: WireEvent) -> Result<(), RunError> {
        let WireEvent {
            connection,
            at,
            event,
        } = report;
        match event {
            ConnectionEvent::Opened => {
                if let Some(member) = self.members.get_mut(&connection.pod) {
                    member
                        .links
                        .insert(connection.index, Link::new(connection.clone()));
                }
                self.note(Event::ConnectionOpened { connection });
            }
            ConnectionEvent::Started { pid } => self.started(connection, pid).await?,
            ConnectionEvent::TlsDemanded => {
                if let Some(member) = self.members.get_mut(&connection.pod) {
                    member.tls_demanded = true;
                }
            }
            ConnectionEvent::CancelRequested { pid } => {
                if let Some(link) = self.link(&connection) {
                    link.gone = true;
                }
                self.note(Event::CancelRequested {
                    pod: connection.pod,
                    target_pid: pid,
                });
            }
            ConnectionEvent::Held { step, text } => self.held(connection, step, &text, at),
            ConnectionEvent::Released { .. } => {
                if !self.controlled {
                    let held = self.link(&connection).and_then(|link| link.held);
                    if let Some(id) = held {
                        self.book_release(id, Delivery::Forwarded, at);
                    }
                }
            }
            ConnectionEvent::Ended { answer, .. } => self.answered(&connection, answer, at),
            ConnectionEvent::ErrorOutsideStep(error) => self.note(Event::SessionError {
                connection,
                error: read_error(&error),
            }),
            ConnectionEvent::ClientClosed(cause) => self.client_closed(connection, cause),
            ConnectionEvent::ServerClosed(cause) => self.server_closed(connection, &cause),
            ConnectionEvent::Finished => {
                self.drop_held(&connection, "its session had ended");
                let running = self.link(&connection).and_then(|link| link.running);
                let waits = self.is_waiting(running);
                if let Some(link) = self.link(&connection) {
                    link.finished = true;
                    // A backend that waits for a lock does not see that its client is cut off.
                    link.severed = waits && !link.server_closed;
                    link.server_closed = !link.severed;
                    link.gone |= link.pid.is_none();
                }
            }
        }
        Ok(())
    }

    async fn started(
        &mut self,
        connection: ConnectionName,
        pid: Option<i32>,
    ) -> Result<(), RunError> {
        let mut session = None;
        if let Some(pid) = pid {
            let seen = self.observer.activity(&[pid]).await?;
            session = seen.get(&pid).map(|activity| activity.session);
        }
        if let Some(link) = self.link(&connection) {
            link.started = true;
            // Behind a pooler the process id is the pooler's own: no backend has it.
            link.pid = session.map(|session| session.pid);
            link.session = session;
        }
        if let Some(session) = session {
            self.note(Event::SessionStarted {
                connection,
                session,
            });
        }
        Ok(())
    }

    fn answered(&mut self, connection: &ConnectionName, answer: Answer, at: Instant) {
        let Some(link) = self.link(connection) else {
            return;
        };
        link.answered_at = Some(at);
        let Some(id) = link.running.take() else {
            return;
        };
        let wall = self.wall(at);
        let mut now = false;
        if let Some(step) = self.steps.get_mut(&id) {
            step.answer = Some(answer);
            step.answered = Some(wall);
            // Nobody waits for a look-up, nor, in free pacing, for anything.
            now = step.request.look_up || !self.controlled;
            self.look_due |= step.waiting.is_some();
        }
        if let Some(member) = self.members.get_mut(&connection.pod) {
            member.owed += 1;
        }
        if now {
            self.note_done(id);
        }
    }

    fn client_closed(&mut self, connection: ConnectionName, cause: CloseCause) {
        let Some(link) = self.link(&connection) else {
            return;
        };
        if link.client_closed.is_some() {
            return;
        }
        link.client_closed = Some(cause.clone());
        link.gone |= link.pid.is_none();
        let by_server = link.server_closed;
        let running = link.running;
        let session = link.session;
        // An answer that came first is written first, or the client would seem to have given up.
        // When that is, is not the client's to say: others that ended at once may come before it.
        let answered: Vec<StepId> = self
            .steps
            .values()
            .filter(|step| step.connection == connection && step.answer.is_some() && !step.ended)
            .map(|step| step.id)
            .collect();
        let put_off = !answered.is_empty() && running.is_none() && !by_server;
        for id in answered.into_iter().filter(|_| !put_off) {
            self.note_done(id);
        }
        if !by_server {
            let by = match cause {
                CloseCause::Commanded => ClosedBy::Fault,
                CloseCause::Protocol(_) => ClosedBy::Refused,
                _ => ClosedBy::Client,
            };
            if put_off && let Some(link) = self.link(&connection) {
                link.unwritten_close = Some(by);
                return;
            }
            self.note(Event::ConnectionClosed {
                connection: connection.clone(),
                by,
            });
            if let Some(step) = running {
                self.note(Event::Ghost {
                    step,
                    connection,
                    session,
                });
            }
        }
    }

    fn server_closed(&mut self, connection: ConnectionName, cause: &CloseCause) {
        let Some(link) = self.link(&connection) else {
            return;
        };
        if link.server_closed {
            return;
        }
        link.server_closed = true;
        link.gone |= link.pid.is_none();
        let first = link.client_closed.is_none();
        let running = link.running;
        if first {
            let by = match cause {
                CloseCause::Protocol(_) => ClosedBy::Refused,
                _ => ClosedBy::Server,
            };
            self.note(Event::ConnectionClosed { connection, by });
        }
        // Nobody waits for these; of others the end is told once the backend is gone.
        let unwatched = running
            .and_then(|id| self.steps.get(&id))
            .is_some_and(|step| step.request.look_up || !self.controlled);
        if unwatched && let Some(id) = running {
            self.note_gone(id);
        }
    }

    /// Notes that a held step never reaches the server.
    pub(super) fn drop_held(&mut self, connection: &ConnectionName, why: &str) {
        let held = self.link(connection).and_then(|link| link.held.take());
        if let Some(id) = held {
            self.write_arrival(id);
            if let Some(step) = self.steps.get_mut(&id) {
                step.ended = true;
            }
            self.note(Event::StepDropped {
                step: id,
                why: why.to_owned(),
            });
        }
    }

    /// Which connection a session belongs to.
    pub(super) fn connection_of(&self, session: Session) -> Option<ConnectionName> {
        self.members
            .values()
            .flat_map(|member| member.links.values())
            .find(|link| {
                link.session.is_some_and(|known| {
                    known.pid == session.pid
                        && known.started_us / 1_000_000 == session.started_us / 1_000_000
                })
            })
            .map(|link| link.name.clone())
    }
}
