//! Taking in what wire and pods report, and keeping the books by it.
//!
//! Owns the meaning of each report for the run's state. Decides nothing but one thing: a driver's
//! look-up in the catalog, or a Sync that commits nothing, is let go at once.

use std::time::Duration;

use super::books::Link;
use super::machine::Conductor;
use super::seen::{Heard, Report, Sessions};
use super::world::World;
use crate::history::{Answer, ClosedBy, Delivery, DropReason, Event};
use crate::name::{ConnectionName, PodName, Session, StepId};

impl<W: World> Conductor<W> {
    /// Waits for the next report, at most this long, and takes in all that have come. Whether
    /// there was one.
    pub(crate) async fn next_event(&mut self, limit: Duration) -> Result<bool, W::Error> {
        if self.absorb_all().await? {
            return Ok(true);
        }
        let Some(heard) = self.world.next_report(limit).await? else {
            return Ok(false);
        };
        self.absorb(heard).await?;
        self.absorb_all().await?;
        Ok(true)
    }

    /// Takes in all reports that have come. Whether there was one.
    pub(crate) async fn absorb_all(&mut self) -> Result<bool, W::Error> {
        let mut any = false;
        while let Some(heard) = self.world.next_report(Duration::ZERO).await? {
            self.absorb(heard).await?;
            any = true;
        }
        Ok(any)
    }

    /// Takes in one report.
    pub(crate) async fn absorb(&mut self, heard: Heard<W::Own>) -> Result<(), W::Error> {
        match heard {
            Heard::Wire {
                connection,
                at,
                report,
            } => self.absorb_report(connection, at, report).await?,
            Heard::Output { pod, stream, line } => {
                self.note(Event::PodOutput { pod, stream, line });
            }
            Heard::Exited { pod, code, signal } => {
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
        Ok(())
    }

    /// Writes down that a pod has exited, once.
    pub(crate) fn write_exit(&mut self, pod: &PodName) {
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

    pub(crate) fn link(&mut self, name: &ConnectionName) -> Option<&mut Link> {
        self.members
            .get_mut(&name.pod)
            .and_then(|member| member.links.get_mut(&name.index))
    }

    async fn absorb_report(
        &mut self,
        connection: ConnectionName,
        at: Duration,
        report: Report<W::Own>,
    ) -> Result<(), W::Error> {
        match report {
            Report::Opened => {
                let now = self.now();
                if let Some(member) = self.members.get_mut(&connection.pod) {
                    member
                        .links
                        .insert(connection.index, Link::new(connection.clone(), now));
                }
                self.note(Event::ConnectionOpened { connection });
            }
            Report::Elsewhere {
                database,
                replication,
                refused,
            } => self.note(Event::ConnectionElsewhere {
                connection,
                database,
                replication,
                refused,
            }),
            Report::Settings(settings) => self.note(Event::ConnectionSettings {
                connection,
                settings,
            }),
            Report::Started { pid, server } => self.started(connection, pid, server).await?,
            Report::Own(own) => W::take_in(self, connection, own, at).await?,
            Report::TlsFailed(why) => {
                if let Some(member) = self.members.get_mut(&connection.pod) {
                    member.tls_failed.get_or_insert(why);
                }
            }
            Report::CancelRequested { pid, meant } => {
                if let Some(link) = self.link(&connection) {
                    link.gone = true;
                }
                let meant = meant.and_then(|name| self.link(&name)?.pid);
                self.note(Event::CancelRequested {
                    pod: connection.pod,
                    target_pid: meant.unwrap_or(pid),
                });
            }
            Report::Held(request) => self.held(connection, request, at),
            Report::Passed => {
                if !self.orders.controlled {
                    let held = self.link(&connection).and_then(|link| link.held);
                    if let Some(id) = held {
                        self.book_release(id, Delivery::Forwarded, at);
                    }
                }
            }
            Report::Answered(answer) => self.answered(&connection, answer, at),
            Report::ErrorOutsideStep(error) => {
                self.note(Event::SessionError { connection, error });
            }
            Report::ClientClosed(by) => self.client_closed(connection, by),
            Report::ServerClosed(by) => self.server_closed(connection, by),
            Report::Finished => {
                let pooled = self.is_pooled();
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
    ) -> Result<(), W::Error> {
        let mut session = None;
        let mut unseen = false;
        if let Some(pid) = pid {
            // A server that was paused meanwhile cannot be asked.
            let seen = if self.world.can_look() {
                self.world.look(&[pid]).await?
            } else {
                Sessions::new()
            };
            session = seen.get(&pid).map(|activity| activity.session);
            // In free pacing a short session may be over before it is looked for. The wire told
            // its backend; that it started after its pod had dialled is as near as can be known.
            let opened = self.link(&connection).map(|link| link.opened_at);
            if let (None, Some(opened)) = (session, opened) {
                let started_us = self.world.wall_us(opened);
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

    fn answered(&mut self, connection: &ConnectionName, answer: Answer, at: Duration) {
        let Some(link) = self.link(connection) else {
            return;
        };
        link.answered_at = Some(at);
        let Some(id) = link.running else {
            return;
        };
        if let Some(step) = self.steps.get(&id)
            && self.world.forget_unplaced(connection, id, &step.request)
        {
            self.note(Event::SessionUnknown {
                connection: connection.clone(),
            });
        }
        if let Some(link) = self.link(connection) {
            link.running = None;
        }
        let mut now = false;
        if let Some(step) = self.steps.get_mut(&id) {
            step.answer = Some(answer);
            step.answered = Some(at);
            // Nobody waits for a look-up, nor, in free pacing, for anything.
            now = step.request.look_up || !self.orders.controlled;
            self.look_due |= step.waiting.is_some();
        }
        if let Some(member) = self.members.get_mut(&connection.pod) {
            member.owed += 1;
        }
        if now {
            self.note_done(id);
        }
    }

    fn client_closed(&mut self, connection: ConnectionName, by: ClosedBy) {
        let pooled = self.is_pooled();
        let Some(link) = self.link(&connection) else {
            return;
        };
        if link.client_closed {
            return;
        }
        link.client_closed = true;
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

    fn server_closed(&mut self, connection: ConnectionName, by: ClosedBy) {
        let pooled = self.is_pooled();
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
        let first = !link.client_closed;
        let running = link.running;
        if first {
            self.note(Event::ConnectionClosed { connection, by });
        }
        // Nobody waits for these; of others the end is told once the backend is gone.
        let unwatched = running
            .and_then(|id| self.steps.get(&id))
            .is_some_and(|step| step.request.look_up || !self.orders.controlled);
        if unwatched && let Some(id) = running {
            self.note_gone(id);
        }
    }

    /// Notes that a held step never reaches the server.
    pub(crate) fn drop_held(&mut self, connection: &ConnectionName, why: &DropReason) {
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
}
