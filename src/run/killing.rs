//! The end of a pod by a fault: SIGKILL, or SIGTERM and its grace.
//!
//! Owns what becomes of the steps that a killed pod has at the gate: the server never sees them.

use std::time::{Duration, Instant};

use super::error::RunError;
use super::real::Run;
use crate::conductor::Outcome;
use crate::conductor::{Aim, FAULT_LIMIT, World};
use crate::history::{Awaited, Delivery, DropReason};
use crate::name::PodName;
use crate::pod::{Pod, PodError, Termination};
use crate::schedule::{Effect, Fault, FaultKind, Point, SessionChoice};

/// What is said of a SIGTERM without effect.
const NO_HANDLER: &str = "no effect: the first process has no handler for SIGTERM (SigCgt \
                                     of /proc), and is PID 1 of its container";

/// How often a pod is looked at that has got SIGTERM.
const LOOK: Duration = Duration::from_millis(1);

/// What is said of a fault of a pod that was never started.
const NOT_STARTED: &str = "the pod was not started";

impl Run<'_> {
    pub(super) async fn kill(
        &mut self,
        aim: &Aim<'_>,
        name: &PodName,
    ) -> Result<Outcome, RunError> {
        self.forget_held(name, &DropReason::Fault(aim.fault.kind.clone()));
        let Some(pod) = self.world.pod(name) else {
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
        let Some(pod) = self.world.pod(name) else {
            return Ok(self.note_fault(aim, Outcome::missed(NOT_STARTED)));
        };
        let outcome = match pod.terminate(pid1) {
            Ok(Termination::Sent) => {
                let sent = Outcome::fired("SIGTERM sent to the first process");
                let outcome = self.note_fault(aim, sent);
                if self.orders.controlled {
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
        if !self.orders.controlled {
            // Time goes on for the others, too.
            self.world.graces.push((until, name.clone()));
            return Ok(outcome);
        }
        // A pod with a handler goes on for as long as it is let: its steps are released.
        while Instant::now() < until && !self.limit_hit {
            if self.time_is_up() {
                self.hit_limit(Awaited::Grace);
                break;
            }
            if self.exits(name, until).await? {
                break;
            }
            match self.next_held(name) {
                Some(id) if self.world.can_look() => {
                    self.step(id, Delivery::Forwarded).await?;
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
        if let Some(pod) = self.world.pod(name)
            && pod.is_running()
        {
            pod.kill();
            pod.gone(FAULT_LIMIT).await?;
            return Ok(true);
        }
        Ok(false)
    }

    /// Whether a pod ends now that its handler has been called: one that does, does so before the pod
    /// comes to rest, and its exit has been reported then. One that never rests is not waited for beyond
    /// `until`.
    pub(super) async fn exits(&mut self, name: &PodName, until: Instant) -> Result<bool, RunError> {
        let (begun, since) = (Instant::now(), self.now());
        loop {
            self.absorb_all().await?;
            let Some(member) = self.members.get(name) else {
                return Ok(false);
            };
            if member.exited.is_some() {
                return Ok(true);
            }
            let lives = self.world.pod(name).is_none_or(Pod::first_lives);
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
            } else if self.settled(name, since).await? {
                // It may have gone since.
                if self.world.pod(name).is_none_or(Pod::first_lives) {
                    return Ok(false);
                }
            }
        }
    }

    /// The controller's SIGTERM to the first process of a pod, and the wait until it has come to its effect. The
    /// grace is the controller's to count.
    pub(super) async fn sigterm(
        &mut self,
        aim: &Aim<'_>,
        name: &PodName,
        pid1: bool,
    ) -> Result<Outcome, RunError> {
        let outcome = match self.world.pod(name).map(|pod| pod.terminate(pid1)) {
            None => return Ok(Outcome::missed(NOT_STARTED)),
            Some(Ok(Termination::Sent)) => {
                self.note_fault(aim, Outcome::fired("SIGTERM sent to the first process"))
            }
            Some(Ok(Termination::NoHandler)) => {
                // What has no effect explains nothing.
                let without = Outcome::fired(NO_HANDLER).with(Effect::default());
                return Ok(self.note_fault(aim, without));
            }
            Some(Err(error @ PodError::FirstProcessGone { .. })) => {
                return Ok(self.note_fault(aim, Outcome::missed(error.to_string())));
            }
            Some(Err(error)) => return Err(error.into()),
        };
        self.await_sigterm(name, FAULT_LIMIT).await?;
        if self.exits(name, Instant::now() + FAULT_LIMIT).await? {
            // With PID 1 the kernel ends all others of its container.
            if pid1 && self.kill_rest(name).await? {
                self.await_exit(name).await?;
            }
            self.forget_last_words(name, &DropReason::Fault(aim.fault.kind.clone()))
                .await?;
        }
        Ok(outcome)
    }

    /// Waits until a SIGTERM has ended the first process or has been taken by its handler.
    /// One that blocks the signal takes it never.
    pub(super) async fn await_sigterm(
        &mut self,
        name: &PodName,
        limit: Duration,
    ) -> Result<(), RunError> {
        let begun = Instant::now();
        loop {
            self.absorb_all().await?;
            let Some(member) = self.members.get(name) else {
                return Ok(());
            };
            let pod = self.world.pod(name);
            // Asked in this order: one that dies in between has not taken it.
            let taken = pod.is_none_or(|pod| !pod.awaits_sigterm() && pod.first_lives());
            // One that is stopped takes it when it goes on. The end of one that has died is reported.
            if member.exited.is_some() || member.paused || taken {
                return Ok(());
            }
            if begun.elapsed() > limit {
                return Ok(());
            }
            self.next_event(LOOK).await?;
        }
    }
}
