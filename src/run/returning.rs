//! Behind a pooler: how a connection's hold on its backend ends, and the end of backends.
//!
//! Owns the waiting for it. The pooler's console tells whether it has taken a backend back; one that it
//! has closed is gone when it has left `pg_stat_activity`, as any other. Only then are its locks free.

use std::time::{Duration, Instant};

use super::error::RunError;
use super::pooled::Pooled;
use super::real::Run;
use crate::conductor::{FAULT_LIMIT, World};
use crate::history::{Awaited, Event, PoolMode};
use crate::name::{ConnectionName, Session};

/// How often the pooler and the server are asked.
const BETWEEN_QUESTIONS: Duration = Duration::from_millis(1);

impl Run<'_> {
    /// Waits until the pooler has dealt with every connection whose end has begun, and until every
    /// backend whose server side is closed is gone.
    pub(super) async fn await_pooled(&mut self) -> Result<(), RunError> {
        // A server that is paused tells nothing; what it would tell is waited for later.
        while self.world.can_look() {
            let mut any = self.note_backends_gone().await?;
            any |= self.note_returned().await?;
            if any {
                self.look_due = true;
                self.at_boundary = true;
                self.note_locks().await?;
                continue;
            }
            let waiting = self.links_leaving().next().is_some()
                || self
                    .world
                    .pooled
                    .iter()
                    .any(|pooled| !pooled.leaving().is_empty());
            if !waiting {
                return Ok(());
            }
            if self.time_is_up() {
                self.hit_limit(Awaited::PoolerTakesBack);
                return Ok(());
            }
            self.next_event(BETWEEN_QUESTIONS).await?;
        }
        Ok(())
    }

    /// Waits until the pooler has taken notice of the end of each of these backends, which have ended: a
    /// session and the server that it is on. What it does not know of it would still hand out.
    pub(super) async fn await_backends(
        &mut self,
        which: impl Fn(Session, usize) -> bool,
    ) -> Result<(), RunError> {
        let begun = Instant::now();
        loop {
            self.absorb_all().await?;
            self.note_backends_gone().await?;
            let pooled = self.world.pooled.iter();
            if !pooled
                .flat_map(Pooled::sessions)
                .any(|(session, server)| which(session, server))
            {
                return Ok(());
            }
            if begun.elapsed() > FAULT_LIMIT {
                self.note_silence(Awaited::PoolerNotices);
                return Ok(());
            }
            self.next_event(Duration::from_millis(2)).await?;
        }
    }

    fn links_leaving(&self) -> impl Iterator<Item = &crate::conductor::Link> {
        self.members
            .values()
            .flat_map(|member| member.links.values())
            .filter(|link| link.is_leaving())
    }

    /// Writes down which backends have left `pg_stat_activity`. Whether any has.
    async fn note_backends_gone(&mut self) -> Result<bool, RunError> {
        let leaving = match &self.world.pooled {
            Some(pooled) => pooled.leaving(),
            None => return Ok(false),
        };
        if leaving.is_empty() {
            return Ok(false);
        }
        let pids: Vec<i32> = leaving.iter().map(|(_, session, ..)| session.pid).collect();
        let picture = self.world.watchers.activity(&pids).await?;
        let mut any = false;
        for (name, session, serving, finished) in leaving {
            let there = picture
                .get(&session.pid)
                .is_some_and(|seen| seen.session == session);
            // What the pooler does not know of yet it would still hand out.
            if there || !finished {
                continue;
            }
            if let Some(pooled) = &mut self.world.pooled {
                pooled.forget(&name);
            }
            any = true;
            self.at_boundary = true;
            let Some(connection) = serving else { continue };
            self.let_go(&connection, session);
            self.note(Event::SessionGone {
                connection,
                session,
            });
        }
        Ok(any)
    }

    /// Writes down which backends the pooler has taken back from clients that have left. Whether
    /// there was any, or any other connection's end is complete.
    async fn note_returned(&mut self) -> Result<bool, RunError> {
        let leaving: Vec<(ConnectionName, Option<Session>)> = self
            .links_leaving()
            .filter(|link| link.server_closed || link.finished)
            .map(|link| (link.name.clone(), link.session))
            .collect();
        let held = leaving.iter().any(|(_, session)| session.is_some());
        let picture = match &self.world.pooled {
            Some(pooled) if held => pooled.console.look().await?,
            _ => Default::default(),
        };
        let mut any = false;
        for (connection, session) in leaving {
            let Some(session) = session else {
                // It had none when it left.
                if let Some(link) = self.link(&connection) {
                    link.gone = true;
                    any = true;
                }
                continue;
            };
            let port = self
                .world
                .pooled
                .as_ref()
                .and_then(|pooled| pooled.port_of(&connection));
            // One that is not in the pool any more has been closed, and is waited for above.
            let back = picture.server(session.pid).is_some_and(|server| {
                !server.busy || (server.client.is_some() && server.client != port)
            });
            if back {
                any = true;
                let whole_stay = self
                    .world
                    .pooled
                    .as_ref()
                    .is_some_and(|pooled| pooled.settings().mode == PoolMode::Session);
                self.taken_back(&connection, session);
                self.let_go(&connection, session);
                if whole_stay {
                    self.note(Event::SessionReturned {
                        connection,
                        session,
                    });
                }
            }
        }
        Ok(any)
    }

    /// A backend serves a connection no more; if the connection is closed, that was its end.
    fn let_go(&mut self, connection: &ConnectionName, session: Session) {
        let Some(link) = self.link(connection) else {
            return;
        };
        if link.session == Some(session) {
            link.session = None;
            link.pid = None;
        }
        link.gone |= link.pid.is_none() && (link.server_closed || link.finished);
    }
}
