//! The end of a pod by a fault: SIGKILL, or SIGTERM and its grace.
//!
//! Owns what becomes of the steps that a killed pod has at the gate: the server never sees them.

use std::time::{Duration, Instant};

use super::conductor::Conductor;
use super::error::RunError;
use super::faulting::{Aim, FAULT_LIMIT};
use super::outcome::Outcome;
use crate::fault::Effect;
use crate::history::{Awaited, Delivery, DropReason};
use crate::name::{ConnectionName, PodName};
use crate::pod::{Pod, PodError, Termination};
use crate::schedule::{Fault, FaultKind, Point, SessionChoice};
use crate::wire::Handover;

/// What is said of a SIGTERM without effect.
pub(super) const NO_HANDLER: &str = "no effect: the first process has no handler for SIGTERM (SigCgt \
                                     of /proc), and is PID 1 of its container";

/// What is said of a fault of a pod that was never started.
const NOT_STARTED: &str = "the pod was not started";

impl Conductor<'_> {
    pub(super) async fn kill(
        &mut self,
        aim: &Aim<'_>,
        name: &PodName,
    ) -> Result<Outcome, RunError> {
        self.forget_held(name, &DropReason::Fault(aim.fault.kind.clone()));
        let Some(pod) = self
            .members
            .get(name)
            .and_then(|member| member.pod.as_ref())
        else {
            return Ok(self.note_fault(aim, Outcome::missed(NOT_STARTED)));
        };
        let report = pod.kill();
        pod.gone(FAULT_LIMIT).await?;
        let outcome = if report.signalled.is_empty() {
            Outcome::absent("it had no process left to signal")
        } else {
            Outcome::fired(format!(
                "SIGKILL to {} process(es), all gone",
                report.signalled.len()
            ))
        };
        let outcome = self.note_fault(aim, outcome);
        self.await_exit(name).await?;
        self.forget_last_words(name, &DropReason::Fault(aim.fault.kind.clone()))
            .await?;
        Ok(outcome)
    }

    pub(super) async fn terminate(
        &mut self,
        aim: &Aim<'_>,
        name: &PodName,
        grace: Duration,
        pid1: bool,
    ) -> Result<Outcome, RunError> {
        let until = Instant::now() + grace;
        let Some(pod) = self
            .members
            .get(name)
            .and_then(|member| member.pod.as_ref())
        else {
            return Ok(self.note_fault(aim, Outcome::missed(NOT_STARTED)));
        };
        let outcome = match pod.terminate(pid1) {
            Ok(Termination::Sent) => {
                let sent = Outcome::fired("SIGTERM sent to the first process");
                let outcome = self.note_fault(aim, sent);
                if self.controlled {
                    self.await_sigterm(name, grace.min(FAULT_LIMIT)).await?;
                }
                outcome
            }
            Ok(Termination::NoHandler) => {
                // What has no effect explains nothing.
                let without = Outcome::fired(NO_HANDLER).with(Effect::default());
                self.note_fault(aim, without)
            }
            Err(error @ PodError::FirstProcessGone { .. }) => {
                return Ok(self.note_fault(aim, Outcome::absent(error.to_string())));
            }
            Err(error) => {
                return Ok(self.note_fault(aim, Outcome::missed(error.to_string())));
            }
        };
        if !self.controlled {
            // Time goes on for the others, too.
            self.graces.push((until, name.clone()));
            return Ok(outcome);
        }
        // A pod with a handler goes on for as long as it is let: its steps are released.
        while Instant::now() < until && !self.limit_hit {
            if Instant::now() > self.deadline {
                self.hit_limit(Awaited::Grace);
                break;
            }
            if self.exits(name, until).await? {
                break;
            }
            match self.next_held(name) {
                Some(id) if self.can_ask() => {
                    self.step(id, Handover::Forward, Delivery::Forwarded)
                        .await?;
                }
                _ => {
                    self.next_event(Duration::from_millis(5)).await?;
                }
            }
        }
        self.forget_held(name, &DropReason::Fault(aim.fault.kind.clone()));
        let killed = self.end_grace(name).await?;
        self.await_exit(name).await?;
        if killed {
            self.forget_last_words(name, &DropReason::Fault(aim.fault.kind.clone()))
                .await?;
        }
        Ok(outcome)
    }

    /// Kills what is left of a pod after its grace, and notes that as the fault that it is. Whether
    /// there was anything.
    pub(super) async fn end_grace(&mut self, name: &PodName) -> Result<bool, RunError> {
        let killed = self.kill_rest(name).await?;
        if killed {
            let kill = Fault::of_pod(
                FaultKind::Kill,
                name.clone(),
                SessionChoice::Every,
                Point::Before,
            );
            let outcome = Outcome::fired("SIGKILL when the grace was over, all processes gone");
            self.note_fault(&Aim::of(&kill), outcome);
        }
        Ok(killed)
    }

    /// Kills what is left of a pod. Whether there was anything.
    pub(super) async fn kill_rest(&mut self, name: &PodName) -> Result<bool, RunError> {
        if let Some(pod) = self
            .members
            .get(name)
            .and_then(|member| member.pod.as_ref())
            && pod.is_running()
        {
            pod.kill();
            pod.gone(FAULT_LIMIT).await?;
            return Ok(true);
        }
        Ok(false)
    }

    /// What a killed pod had sent an instant before its death has come to the gate since: the
    /// server does not see that either.
    pub(super) async fn forget_last_words(
        &mut self,
        name: &PodName,
        why: &DropReason,
    ) -> Result<(), RunError> {
        self.forget_held(name, why);
        self.look_again().await
    }

    /// Whether a pod ends now that its handler has been called: one that does, does so before the pod
    /// comes to rest, and its exit has been reported then. One that never rests is not waited for beyond
    /// `until`.
    pub(super) async fn exits(&mut self, name: &PodName, until: Instant) -> Result<bool, RunError> {
        let begun = Instant::now();
        loop {
            self.absorb_all().await?;
            let Some(member) = self.members.get(name) else {
                return Ok(false);
            };
            if member.exited.is_some() {
                return Ok(true);
            }
            let lives = member.pod.as_ref().is_none_or(Pod::first_lives);
            if lives && Instant::now() > until {
                return Ok(false);
            }
            if begun.elapsed() > FAULT_LIMIT {
                if !lives {
                    self.note_silence(Awaited::TerminatedExit);
                }
                return Ok(!lives);
            }
            if !lives {
                self.next_event(Duration::from_millis(2)).await?;
            } else if self.settled(name, begun).await? {
                // It may have gone since.
                let member = self.members.get(name);
                let pod = member.and_then(|one| one.pod.as_ref());
                if pod.is_none_or(Pod::first_lives) {
                    return Ok(false);
                }
            }
        }
    }

    /// Waits until a killed pod's exit and its connections' ends have been reported.
    pub(super) async fn await_exit(&mut self, name: &PodName) -> Result<(), RunError> {
        let begun = Instant::now();
        loop {
            let over = self.members.get(name).is_none_or(|member| {
                member.exited.is_some()
                    && member.links.values().all(|link| {
                        // On a link that is cut nobody hears of it.
                        link.client_closed.is_some() || link.finished || member.is_cut_off(link)
                    })
            });
            if over {
                break;
            }
            if begun.elapsed() > FAULT_LIMIT {
                self.note_silence(Awaited::KilledEnd);
                break;
            }
            self.next_event(Duration::from_millis(2)).await?;
        }
        self.look_again().await
    }

    /// The server never sees what a killed pod has at the gate.
    pub(super) fn forget_held(&mut self, name: &PodName, why: &DropReason) {
        let held: Vec<ConnectionName> = self
            .members
            .get(name)
            .map(|member| {
                member
                    .links
                    .values()
                    .filter(|link| link.held.is_some())
                    .map(|link| link.name.clone())
                    .collect()
            })
            .unwrap_or_default();
        for name in held {
            if let Some(member) = self.members.get(&name.pod) {
                let _ = member.proxy.drop_held(&name);
            }
            self.drop_held(&name, why);
        }
    }
}
