//! Faults of one session: errors, the end of its backend, the end of its connection.
//!
//! Owns how each is done with the primitives of `wire` and `evidence`, and what proves that it was.

use crate::history::{Awaited, DropReason};
use std::time::{Duration, Instant};

use super::conductor::Conductor;
use super::error::RunError;
use super::faulting::{Aim, FAULT_LIMIT};
use super::outcome::Outcome;
use crate::name::{ConnectionName, StepId};
use crate::wire::RawError;

/// Why a paused server could do nothing.
pub(super) const STANDS_STILL: &str = "the server is paused and hears of nothing";

/// How a connection is cut.
#[derive(Debug, Clone, Copy)]
pub(super) enum Cut {
    /// By RST.
    Reset,
    /// By FIN.
    Close,
}

impl Conductor<'_> {
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
                if self.pooled.is_none() || aims.len() == 1 {
                    let why = self.no_backend(aim);
                    outcomes.push(self.note_fault(aim, Outcome::missed(why)));
                }
                continue;
            };
            if !self.can_ask() {
                outcomes.push(self.note_fault(aim, Outcome::missed(STANDS_STILL)));
                continue;
            }
            // Behind a pooler it may be nobody's between two steps, and then nobody hears of its end.
            let had_it = self
                .link(&connection)
                .is_some_and(|link| link.pid == Some(pid));
            let sent = self.watchers.terminate_backend(pid).await?;
            signalled.push((aim, connection, pid, sent, had_it));
        }
        if signalled.is_empty() && aims.len() > 1 && self.can_ask() {
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
                left = !self.watchers.activity(&[pid]).await?.contains_key(&pid);
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
        if !self.can_ask() {
            return Ok(self.note_fault(aim, Outcome::missed(STANDS_STILL)));
        }
        let before = self.watchers.activity(&[pid]).await?;
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
        let sent = self.watchers.cancel_backend(pid).await?;
        if sent && self.paused_backends.contains(&pid) {
            let outcome = Outcome::fired(format!(
                "the signal waits for backend {pid}, which is stopped, to go on"
            ));
            return Ok(self.note_fault(aim, outcome));
        }
        let begun = Instant::now();
        let mut stopped = false;
        while !stopped && begun.elapsed() < FAULT_LIMIT {
            let now = self.watchers.activity(&[pid]).await?;
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
                let cancelled = |error: &RawError| error.sqlstate == "57014";
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
        let sent = self.members.get(&name.pod).is_some_and(|member| {
            let told = match how {
                Cut::Reset => member.proxy.reset(name),
                Cut::Close => member.proxy.close(name),
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
        let outcome = match self.place.server.pause_backend(pid).await {
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
            match self.place.server.resume_backend(pid).await {
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

    /// Waits until a connection's end has been reported and its backend is gone (or goes on with
    /// its last statement as a ghost).
    pub(super) async fn await_closed(&mut self, name: &ConnectionName) -> Result<(), RunError> {
        let begun = Instant::now();
        loop {
            let closed = self.members.get(&name.pod).is_none_or(|member| {
                member.links.get(&name.index).is_none_or(|link| {
                    // On a link that is cut the pod does not hear of it.
                    let unheard = link.server_closed && member.is_cut_off(link);
                    link.finished || link.gone || link.is_ghost() || unheard
                })
            });
            if closed {
                break;
            }
            if begun.elapsed() > FAULT_LIMIT {
                self.note_silence(Awaited::CutConnection);
                break;
            }
            self.next_event(Duration::from_millis(2)).await?;
        }
        self.look_again().await
    }
}
