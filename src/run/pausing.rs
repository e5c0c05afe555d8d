//! Pods that are stopped for a while.
//!
//! Owns pause and resume (SIGSTOP, SIGCONT).

use std::time::{Duration, Instant};

use super::error::RunError;
use super::real::Run;
use crate::conductor::Outcome;
use crate::conductor::{Aim, FAULT_LIMIT};
use crate::name::PodName;
use crate::pod::Pod;

/// How often a pod's processes are looked at until all are stopped.
const LOOK: Duration = Duration::from_micros(300);

impl Run<'_> {
    /// SIGSTOP to all processes of a pod, again until the kernel shows all of them stopped.
    pub(super) async fn pause(
        &mut self,
        aim: &Aim<'_>,
        name: &PodName,
    ) -> Result<Outcome, RunError> {
        let begun = Instant::now();
        let mut stopped = 0;
        while let Some(pod) = self.world.pod(name) {
            stopped = stopped.max(pod.pause().len());
            if pod.is_paused() || !pod.is_running() || begun.elapsed() > FAULT_LIMIT {
                break;
            }
            tokio::time::sleep(LOOK).await;
        }
        let paused = self.world.pod(name).is_some_and(Pod::is_paused);
        if let Some(member) = self.members.get_mut(name) {
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
                let resumed = self.world.pod(name).map_or(0, |pod| pod.resume().len());
                Outcome::fired(format!("SIGCONT to {resumed} process(es)"))
            }
            None => Outcome::missed("it was not paused"),
        };
        self.note_fault(aim, outcome)
    }
}
