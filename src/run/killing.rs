//! The end of a pod by a fault: SIGKILL, or SIGTERM and its grace.
//!
//! Owns what becomes of the steps that a killed pod has at the gate: the server never sees them.

use std::time::{Duration, Instant};

use super::conductor::Conductor;
use super::error::RunError;
use super::faulting::{FAULT_LIMIT, Outcome};
use crate::history::{ConnectionName, Delivery, PodName, StepId};
use crate::schedule::Fault;
use crate::wire::Handover;

impl Conductor<'_> {
    pub(super) async fn kill(
        &mut self,
        fault: &Fault,
        step: Option<StepId>,
    ) -> Result<(), RunError> {
        self.forget_held(fault);
        let Some(pod) = self
            .members
            .get(&fault.pod)
            .and_then(|member| member.pod.as_ref())
        else {
            return Ok(());
        };
        let report = pod.kill();
        pod.gone(FAULT_LIMIT).await?;
        let outcome = if report.signalled.is_empty() {
            Outcome::missed("it had no process left to signal")
        } else {
            Outcome::fired(format!(
                "SIGKILL to {} process(es), all gone",
                report.signalled.len()
            ))
        };
        self.note_fault(fault, None, step, &outcome);
        self.await_exit(fault).await?;
        self.forget_last_words(fault).await
    }

    pub(super) async fn terminate(
        &mut self,
        fault: &Fault,
        grace: Duration,
        step: Option<StepId>,
    ) -> Result<(), RunError> {
        let until = Instant::now() + grace;
        let Some(pod) = self
            .members
            .get(&fault.pod)
            .and_then(|member| member.pod.as_ref())
        else {
            return Ok(());
        };
        if let Err(error) = pod.terminate() {
            self.note_fault(fault, None, step, &Outcome::missed(error.to_string()));
            return Ok(());
        }
        let outcome = Outcome::fired("SIGTERM sent to the first process");
        self.note_fault(fault, None, step, &outcome);
        if !self.controlled {
            // Time goes on for the others, too.
            self.graces.push((until, fault.pod.clone()));
            return Ok(());
        }
        // A pod with a handler goes on for as long as it is let: its steps are released.
        while Instant::now() < until {
            self.absorb_all().await?;
            let exited = self
                .members
                .get(&fault.pod)
                .is_none_or(|member| member.exited.is_some());
            if exited {
                break;
            }
            self.next_event(Duration::from_millis(5)).await?;
            if let Some(id) = self.next_held(&fault.pod)
                && !self.exits_soon(fault).await?
            {
                self.step(id, Handover::Forward, Delivery::Forwarded)
                    .await?;
            }
        }
        self.forget_held(fault);
        let killed = self.kill_rest(&fault.pod).await?;
        self.await_exit(fault).await?;
        if killed {
            self.forget_last_words(fault).await?;
        }
        Ok(())
    }

    /// Kills what is left of a pod after its grace. Whether there was anything.
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
    pub(super) async fn forget_last_words(&mut self, fault: &Fault) -> Result<(), RunError> {
        self.forget_held(fault);
        self.look_again().await
    }

    /// Gives a signalled pod a moment to be gone before its next step is released.
    pub(super) async fn exits_soon(&mut self, fault: &Fault) -> Result<bool, RunError> {
        let until = Instant::now() + Duration::from_millis(25);
        while Instant::now() < until {
            let running = self
                .members
                .get(&fault.pod)
                .and_then(|member| member.pod.as_ref())
                .is_some_and(crate::pod::Pod::is_running);
            if !running {
                return Ok(true);
            }
            self.next_event(Duration::from_millis(2)).await?;
        }
        Ok(false)
    }

    /// Waits until a killed pod's exit and its connections' ends have been reported.
    pub(super) async fn await_exit(&mut self, fault: &Fault) -> Result<(), RunError> {
        let begun = Instant::now();
        loop {
            let over = self.members.get(&fault.pod).is_none_or(|member| {
                member.exited.is_some()
                    && member
                        .links
                        .values()
                        .all(|link| link.client_closed.is_some() || link.finished)
            });
            if over {
                break;
            }
            if begun.elapsed() > FAULT_LIMIT {
                self.note_silence("the report of a killed pod's end");
                break;
            }
            self.next_event(Duration::from_millis(2)).await?;
        }
        self.look_again().await
    }

    /// The server never sees what a killed pod has at the gate.
    pub(super) fn forget_held(&mut self, fault: &Fault) {
        let held: Vec<ConnectionName> = self
            .members
            .get(&fault.pod)
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
            self.drop_held(&name, fault.kind.name());
        }
    }
}
