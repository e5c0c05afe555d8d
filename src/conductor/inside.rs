//! Stops in the middle of a step: a gate on the server that one session alone stands at.
//!
//! Owns when a gate is closed (before its step is let go), when a step stands at it, and when it is opened (at its
//! pod's next turn, or when the step has passed it by). Where gates are and what closes them is the world's affair.

use super::books::Waiting;
use super::machine::Conductor;
use super::seen::Sessions;
use super::world::World;
use crate::history::{Delivery, Ending};
use crate::name::{PodName, StepId};
use crate::schedule::InnerPoint;

/// Where a step is with the gate in its middle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AtGate {
    /// It stands there, and nothing else keeps it.
    Stands,
    /// It stood there, and has gone on: it never came to the row that was meant.
    Passed,
    /// It does not stand there.
    Not,
}

impl<W: World> Conductor<W> {
    /// Lets a held step go with a gate closed in its middle. Where it ends, or is blocked, before it comes there, the
    /// gate is opened again: a later turn shall not stop at it.
    pub(crate) async fn step_into(
        &mut self,
        id: StepId,
        at: &InnerPoint,
    ) -> Result<Option<Ending>, W::Error> {
        let Some((Some(pid), false)) = self.session_of(id) else {
            return self.step(id, Delivery::Forwarded).await;
        };
        self.world.close_gate(pid, at).await?;
        if let Some(step) = self.steps.get_mut(&id) {
            step.gate = Some(at.clone());
        }
        let ending = self.step(id, Delivery::Forwarded).await?;
        if ending != Some(Ending::Inside) {
            self.open_gate(id, pid).await?;
        }
        Ok(ending)
    }

    /// Where a step is with the gate in its middle. One that is to stand behind a later row is let go on to that.
    pub(crate) async fn at_gate(
        &mut self,
        id: StepId,
        pid: i32,
        picture: &Sessions,
    ) -> Result<AtGate, W::Error> {
        let Some(at) = self.steps.get(&id).and_then(|step| step.gate.clone()) else {
            return Ok(AtGate::Not);
        };
        let by = picture.get(&pid).map_or(&[][..], |seen| &seen.blocked_by);
        if by.is_empty() || !by.iter().all(|pid| self.world.keeps_gates(*pid)) {
            return Ok(AtGate::Not);
        }
        if at.row.is_some_and(|row| row > 1) && !self.world.pass_rows(pid, &at).await? {
            if let Some(step) = self.steps.get_mut(&id) {
                step.gate = None;
            }
            return Ok(AtGate::Passed);
        }
        Ok(AtGate::Stands)
    }

    /// Lets a pod's steps go on that stand in their middle, and waits for their endings.
    pub(crate) async fn leave_gates(&mut self, name: &PodName) -> Result<(), W::Error> {
        let standing: Vec<StepId> = self
            .steps
            .values()
            .filter(|step| step.connection.pod == *name && step.waiting == Some(Waiting::Gate))
            .map(|step| step.id)
            .collect();
        for id in &standing {
            if let Some((Some(pid), _)) = self.session_of(*id) {
                self.open_gate(*id, pid).await?;
            }
            if let Some(step) = self.steps.get_mut(id) {
                step.waiting = None;
            }
            self.await_ending(*id).await?;
        }
        if !standing.is_empty() {
            self.end_waits_for(name);
            self.look_again().await?;
        }
        Ok(())
    }

    async fn open_gate(&mut self, id: StepId, pid: i32) -> Result<(), W::Error> {
        if let Some(step) = self.steps.get_mut(&id) {
            step.gate = None;
        }
        self.world.open_gates(pid).await
    }
}
