//! Taking in what wire and pods report, and keeping the books by it.
//!
//! Owns the meaning of each report for the run's state. Decides nothing but one thing: a driver's
//! look-up in the catalog, or a Sync that commits nothing, is let go at once.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::answer::read_error;
use super::booking::wall_us;
use super::conductor::Conductor;
use super::error::RunError;
use super::links::Link;
use crate::history::{ClosedBy, Delivery, DropReason, Event};
use crate::name::{ConnectionName, PodName, Session, StepId};
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
            Some(event) = self.wire.next() => self.absorb(event).await?,
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
            if let Some(event) = self.wire.next_at_once() {
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

    pub(super) async fn absorb(&mut self, report: WireEvent) -> Result<(), RunError> {
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
            ConnectionEvent::Elsewhere { asked, refused } => {
                // What is done there is not undone with the run's database.
                self.place.server.spoil();
                self.note(Event::ConnectionElsewhere {
                    connection,
                    database: asked.database,
                    replication: asked.replication,
                    refused,
                });
            }
            ConnectionEvent::Started { pid, server } => {
                self.started(connection, pid, server).await?;
            }
            ConnectionEvent::Connected { port } => {
                if let Some(pooled) = &mut self.pooled {
                    pooled.connected(connection, port);
                }
            }
            ConnectionEvent::ServerSide(what) => self.server_side(connection, what, at).await?,
            ConnectionEvent::TlsDemanded => {
                if let Some(member) = self.members.get_mut(&connection.pod) {
                    member.tls_demanded = true;
                }
            }
            ConnectionEvent::CancelRequested { pid } => {
                if let Some(link) = self.link(&connection) {
                    link.gone = true;
                }
                let meant = self.pooled.as_ref().and_then(|pooled| pooled.keyed_by(pid));
                let meant = meant.cloned().and_then(|name| self.link(&name)?.pid);
                self.note(Event::CancelRequested {
                    pod: connection.pod,
                    target_pid: meant.unwrap_or(pid),
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
                let pooled = self.pooled.is_some();
                self.drop_held(&connection, &DropReason::SessionEnded);
                let running = self.link(&connection).and_then(|link| link.running);
                let waits = self.is_waiting(running);
                if let Some(link) = self.link(&connection) {
                    link.finished = true;
                    // A backend that waits for a lock does not see that its client is cut off.
                    link.severed = waits && !link.server_closed && (link.pid.is_some() || !pooled);
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
        server: usize,
    ) -> Result<(), RunError> {
        let mut session = None;
        let mut unseen = false;
        if let (Some(pooled), Some(pid)) = (&mut self.pooled, pid) {
            pooled.keyed(&connection, pid);
        } else if let Some(pid) = pid {
            // A server that was paused meanwhile cannot be asked.
            let seen = if self.can_ask() {
                self.watchers.activity(&[pid]).await?
            } else {
                HashMap::new()
            };
            session = seen.get(&pid).map(|activity| activity.session);
            // In free pacing a short session may be over before it is looked for. The wire told
            // its backend; that it started after its pod had dialled is as near as can be known.
            let opened = self.link(&connection).map(|link| link.opened_at);
            if let (None, Some(opened)) = (session, opened) {
                let started_us = wall_us(self.wall(opened));
                session = Some(Session { pid, started_us });
                unseen = true;
            }
        }
        if let Some(link) = self.link(&connection) {
            link.started = true;
            link.server = server;
            link.pid = session.map(|session| session.pid);
            link.session = session;
            link.unseen = unseen;
        }
        if let Some(session) = session {
            self.note(Event::SessionStarted {
                connection,
                session,
                server: u8::try_from(server).unwrap_or(u8::MAX),
            });
        }
        Ok(())
    }

    fn answered(&mut self, connection: &ConnectionName, answer: Answer, at: Instant) {
        let Some(link) = self.link(connection) else {
            return;
        };
        link.answered_at = Some(at);
        let Some(id) = link.running else {
            return;
        };
        self.note_unplaced(connection, id);
        if let Some(link) = self.link(connection) {
            link.running = None;
        }
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
        let pooled = self.pooled.is_some();
        let Some(link) = self.link(&connection) else {
            return;
        };
        if link.client_closed.is_some() {
            return;
        }
        link.client_closed = Some(cause.clone());
        // A pooler has still to take notice.
        link.gone |= link.pid.is_none() && !(pooled && link.started);
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
        let pooled = self.pooled.is_some();
        let running = self.link(&connection).and_then(|link| link.running);
        let waits = self.is_waiting(running);
        let Some(link) = self.link(&connection) else {
            return;
        };
        if link.server_closed || link.severed {
            return;
        }
        // A pooler lets its client go at once; the backend goes on waiting.
        link.severed = pooled && waits && link.pid.is_some();
        link.server_closed = !link.severed;
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
    pub(super) fn drop_held(&mut self, connection: &ConnectionName, why: &DropReason) {
        let held = self.link(connection).and_then(|link| link.held.take());
        if let Some(id) = held {
            self.write_arrival(id);
            if let Some(step) = self.steps.get_mut(&id) {
                step.ended = true;
            }
            self.note(Event::StepDropped {
                step: id,
                why: why.clone(),
            });
        }
    }

    /// Which connection a session belongs to.
    pub(super) fn connection_of(&self, session: Session) -> Option<ConnectionName> {
        if let Some(pooled) = &self.pooled {
            return pooled.served_by(session.pid).cloned();
        }
        self.members
            .values()
            .flat_map(|member| member.links.values())
            .find(|link| link.is_of(session))
            .map(|link| link.name.clone())
    }
}
