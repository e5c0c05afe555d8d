//! Faults of one session: errors, the end of its backend, the end of its connection.
//!
//! Owns how each is done with the primitives of `wire` and `evidence`, and what proves that it was.

use std::time::{Duration, Instant};

use super::error::RunError;
use super::real::Run;
use crate::conductor::Outcome;
use crate::conductor::{Aim, FAULT_LIMIT, STANDS_STILL, World};
use crate::history::{DropReason, ServerError};
use crate::name::{ConnectionName, StepId};

/// How a connection is cut.
#[derive(Debug, Clone, Copy)]
pub(super) enum Cut {
    /// By RST.
    Reset,
    /// By FIN.
    Close,
}

impl Run<'_> {
    /// Terminates the backends of these connections: first all are signalled, then each is waited
    /// for until it has left `pg_stat_activity`.
    pub(super) async fn terminate_backends(
        &mut self,
        whole: &Aim<'_>,
        aims: &[Aim<'_>],
    ) -> Result<Outcome, RunError> {
        let mut outcomes = Vec::new();
        let mut signalled = Vec::new();
        for aim in aims {
            let Some((connection, pid)) = self.target(aim) else {
                // Behind a pooler not every connection has one.
                if !self.is_pooled() || aims.len() == 1 {
                    let why = self.no_backend(aim);
                    outcomes.push(self.note_fault(aim, Outcome::missed(why)));
                }
                continue;
            };
            if !self.world.can_look() {
                outcomes.push(self.note_fault(aim, Outcome::missed(STANDS_STILL)));
                continue;
            }
            // Behind a pooler it may be nobody's between two steps, and then nobody hears of its end.
            let had_it = self
                .link(&connection)
                .is_some_and(|link| link.pid == Some(pid));
            let sent = self.world.watchers.terminate_backend(pid).await?;
            signalled.push((aim, connection, pid, sent, had_it));
        }
        if signalled.is_empty() && aims.len() > 1 && self.world.can_look() {
            let why = self.no_backend(whole);
            outcomes.push(self.note_fault(whole, Outcome::missed(why)));
        }
        let begun = Instant::now();
        let mut ended = Vec::new();
        for (aim, connection, pid, sent, had_it) in signalled {
            if sent && self.paused_backends.contains(&pid) {
                let evidence =
                    format!("the signal waits for backend {pid}, which is stopped, to go on");
                outcomes.push(self.note_fault(aim, Outcome::fired(evidence)));
                continue;
            }
            let mut left = !sent;
            while !left && begun.elapsed() < FAULT_LIMIT {
                left = !self
                    .world
                    .watchers
                    .activity(&[pid])
                    .await?
                    .contains_key(&pid);
                if !left {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
            let outcome = if sent && left {
                Outcome::fired(format!("backend {pid} has left pg_stat_activity"))
            } else if left {
                Outcome::absent(format!("backend {pid} had gone before"))
            } else {
                Outcome::missed(format!(
                    "backend {pid} is still there {} s after the signal",
                    FAULT_LIMIT.as_secs()
                ))
            };
            outcomes.push(self.note_fault(aim, outcome));
            if left {
                ended.push((connection, pid, had_it));
            }
        }
        for (connection, pid, had_it) in ended {
            if had_it {
                self.await_closed(&connection).await?;
            } else {
                self.await_backends(|session, _| session.pid == pid).await?;
                self.look_again().await?;
            }
        }
        Ok(Outcome::of_all(outcomes))
    }

    pub(super) async fn cancel_backend(&mut self, aim: &Aim<'_>) -> Result<Outcome, RunError> {
        let Some((name, pid)) = self.target(aim) else {
            let why = self.no_backend(aim);
            return Ok(self.note_fault(aim, Outcome::missed(why)));
        };
        if !self.world.can_look() {
            return Ok(self.note_fault(aim, Outcome::missed(STANDS_STILL)));
        }
        let before = self.world.watchers.activity(&[pid]).await?;
        let active = before.get(&pid).is_some_and(|seen| seen.state == "active");
        if !active {
            let outcome = Outcome::absent(format!("backend {pid} was idle: nothing to cancel"));
            return Ok(self.note_fault(aim, outcome));
        }
        let query = before.get(&pid).map(|seen| seen.query.clone());
        let step = self.link(&name).and_then(|link| link.running);
        // Whatever step is at the gate: this is the one that is cancelled.
        let aim = &Aim {
            step: step.or(aim.step),
            ..aim.clone()
        };
        let sent = self.world.watchers.cancel_backend(pid).await?;
        if sent && self.paused_backends.contains(&pid) {
            let outcome = Outcome::fired(format!(
                "the signal waits for backend {pid}, which is stopped, to go on"
            ));
            return Ok(self.note_fault(aim, outcome));
        }
        let begun = Instant::now();
        let mut stopped = false;
        while !stopped && begun.elapsed() < FAULT_LIMIT {
            let now = self.world.watchers.activity(&[pid]).await?;
            stopped = now
                .get(&pid)
                .is_none_or(|seen| seen.state != "active" || Some(&seen.query) != query.as_ref());
            if !stopped {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        let outcome = if !(sent && stopped) {
            Outcome::missed(format!("backend {pid} went on; signal sent: {sent}"))
        } else if self.was_cancelled(step, begun).await? {
            Outcome::fired(format!("backend {pid} has stopped what it did"))
        } else {
            Outcome::missed(format!(
                "backend {pid} went on to something else, and no answer tells of a cancel (57014)"
            ))
        };
        Ok(self.note_fault(aim, outcome))
    }

    /// Whether the server has answered a step with the error of a cancel (57014). Where no step is
    /// known, what the backend does has to tell; an answer that does not come tells of no cancel.
    async fn was_cancelled(
        &mut self,
        step: Option<StepId>,
        begun: Instant,
    ) -> Result<bool, RunError> {
        let Some(id) = step else { return Ok(true) };
        loop {
            self.absorb_all().await?;
            let Some(step) = self.steps.get(&id) else {
                return Ok(false);
            };
            if let Some(answer) = &step.answer {
                let cancelled = |error: &ServerError| error.sqlstate == "57014";
                return Ok(answer.error.as_ref().is_some_and(cancelled));
            }
            if begun.elapsed() > FAULT_LIMIT || self.session_of(id).is_none_or(|(_, over)| over) {
                return Ok(false);
            }
            self.next_event(Duration::from_millis(2)).await?;
        }
    }

    /// Cuts these connections on both sides: first all, then what comes of each is waited for.
    pub(super) async fn cut_all(
        &mut self,
        aims: &[Aim<'_>],
        how: Cut,
    ) -> Result<Outcome, RunError> {
        let mut outcomes = Vec::with_capacity(aims.len());
        for aim in aims {
            let outcome = self.cut(aim, how);
            outcomes.push(self.note_fault(aim, outcome));
        }
        for connection in aims.iter().filter_map(|aim| aim.connection.as_ref()) {
            self.await_closed(connection).await?;
        }
        Ok(Outcome::of_all(outcomes))
    }

    fn cut(&mut self, aim: &Aim<'_>, how: Cut) -> Outcome {
        let Some(name) = &aim.connection else {
            return Outcome::absent("there is no such connection");
        };
        self.drop_held(name, &DropReason::Fault(aim.fault.kind.clone()));
        let sent = self.world.proxy(&name.pod).is_some_and(|proxy| {
            let told = match how {
                Cut::Reset => proxy.reset(name),
                Cut::Close => proxy.close(name),
            };
            told.is_ok()
        });
        match (sent, how) {
            (true, Cut::Close) => Outcome::fired("FIN sent to pod and server"),
            (true, Cut::Reset) => Outcome::fired("RST sent to pod and server"),
            (false, Cut::Close | Cut::Reset) => Outcome::absent("the connection had ended before"),
        }
    }

    pub(super) async fn pause_backend(&mut self, aim: &Aim<'_>) -> Result<Outcome, RunError> {
        let Some((_, pid)) = self.target(aim) else {
            let why = self.no_backend(aim);
            return Ok(self.note_fault(aim, Outcome::missed(why)));
        };
        let outcome = match self.world.place.server.pause_backend(pid).await {
            Ok(evidence) => {
                self.paused_backends.push(pid);
                Outcome::fired(evidence)
            }
            Err(error) => Outcome::missed(error.to_string()),
        };
        Ok(self.note_fault(aim, outcome))
    }

    pub(super) async fn resume_backend(&mut self, aim: &Aim<'_>) -> Result<Outcome, RunError> {
        let Some((_, pid)) = self.target(aim) else {
            let why = self.no_backend(aim);
            return Ok(self.note_fault(aim, Outcome::missed(why)));
        };
        let outcome = if self.paused_backends.contains(&pid) {
            match self.world.place.server.resume_backend(pid).await {
                Ok(evidence) => {
                    self.paused_backends.retain(|paused| *paused != pid);
                    Outcome::fired(evidence)
                }
                Err(error) => Outcome::missed(error.to_string()),
            }
        } else {
            Outcome::missed(format!("backend {pid} was not paused"))
        };
        let outcome = self.note_fault(aim, outcome);
        self.look_again().await?;
        Ok(outcome)
    }

    fn target(&mut self, aim: &Aim<'_>) -> Option<(ConnectionName, i32)> {
        if self.world.pooled.is_some() {
            return self.pooled_target(aim);
        }
        let name = aim.connection.as_ref()?;
        let link = self.members.get(&name.pod)?.links.get(&name.index)?;
        Some((name.clone(), link.pid?))
    }

    /// Why nothing could be done to the backend of a connection that has none.
    fn no_backend(&self, aim: &Aim<'_>) -> &'static str {
        if !self.is_pooled() {
            return "the connection has no backend that is known";
        }
        let link = aim.connection.as_ref().and_then(|name| {
            let member = self.members.get(&name.pod)?;
            member.links.get(&name.index)
        });
        if link.is_some_and(|link| link.running.is_some()) {
            "the connection waits inside the pooler and has no backend"
        } else {
            "the pooler has no backend for the connection at the moment, and the last one has served \
             others since"
        }
    }
}
