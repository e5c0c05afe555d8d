//! Pods that are stopped for a while.
//!
//! Owns pause and resume (SIGSTOP, SIGCONT) and the undoing of what the schedule has left done: at
//! its end every pod must be able to come to its own.

use std::time::{Duration, Instant};

use super::conductor::Conductor;
use super::error::RunError;
use super::faulting::{Aim, FAULT_LIMIT};
use super::outcome::Outcome;
use crate::name::PodName;
use crate::schedule::{Fault, FaultKind, Point, SessionChoice};

/// How often a pod's processes are looked at until all are stopped.
const LOOK: Duration = Duration::from_micros(300);

impl Conductor<'_> {
    /// SIGSTOP to all processes of a pod, again until the kernel shows all of them stopped.
    pub(super) async fn pause(
        &mut self,
        aim: &Aim<'_>,
        name: &PodName,
    ) -> Result<Outcome, RunError> {
        let begun = Instant::now();
        let mut stopped = 0;
        while let Some(pod) = self.members.get(name).and_then(|one| one.pod.as_ref()) {
            stopped = stopped.max(pod.pause().len());
            if pod.is_paused() || !pod.is_running() || begun.elapsed() > FAULT_LIMIT {
                break;
            }
            tokio::time::sleep(LOOK).await;
        }
        let member = self.members.get_mut(name);
        let paused = member
            .as_ref()
            .and_then(|member| member.pod.as_ref())
            .is_some_and(crate::pod::Pod::is_paused);
        if let Some(member) = member {
            member.paused = paused;
        }
        let outcome = if paused {
            Outcome::fired(format!(
                "SIGSTOP to {stopped} process(es), all in state T of /proc"
            ))
        } else {
            Outcome::absent("it had no process left to stop")
        };
        Ok(self.note_fault(aim, outcome))
    }

    /// SIGCONT to all processes of a pod.
    pub(super) fn resume(&mut self, aim: &Aim<'_>, name: &PodName) -> Outcome {
        let member = self.members.get_mut(name).filter(|member| member.paused);
        let outcome = match member {
            Some(member) => {
                member.paused = false;
                let resumed = member.pod.as_ref().map_or(0, |pod| pod.resume().len());
                Outcome::fired(format!("SIGCONT to {resumed} process(es)"))
            }
            None => Outcome::missed("it was not paused"),
        };
        self.note_fault(aim, outcome)
    }

    /// Undoes every fault that would keep a pod from its end: paused pods and backends go on, links
    /// that are cut heal, the server goes on.
    pub(super) async fn undo_all(&mut self) -> Result<(), RunError> {
        self.undo_outage().await?;
        let backends = std::mem::take(&mut self.paused_backends);
        for pid in backends {
            let resumed = self.place.server.resume_backend(pid).await;
            // One that has gone meanwhile needs nothing.
            if resumed.is_err() && self.watchers.activity(&[pid]).await?.contains_key(&pid) {
                resumed?;
            }
        }
        let names: Vec<PodName> = self.members.keys().cloned().collect();
        for name in names {
            let undo =
                |kind| Fault::of_pod(kind, name.clone(), SessionChoice::Every, Point::Before);
            let Some(member) = self.members.get(&name) else {
                continue;
            };
            // A slow link stays slow: its pod comes to its end all the same.
            if member.is_kept_from_its_end() {
                let heal = undo(FaultKind::Heal);
                self.apply(&Aim::of(&heal)).await?;
            }
            if self.members.get(&name).is_some_and(|member| member.paused) {
                let resume = undo(FaultKind::Resume);
                self.apply(&Aim::of(&resume)).await?;
            }
        }
        Ok(())
    }
}
