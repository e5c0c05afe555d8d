//! Faults of a session round the step of another: the lock's session dies while a statement of the
//! same pod is on its way elsewhere.
//!
//! Owns which faults those are, and what "in doubt" means then: the server has done the step and the
//! pod has not heard, until the fault has fired.

use super::aim::{Aim, Outcome};
use super::machine::Conductor;
use super::world::World;
use crate::history::{Delivery, Ending};
use crate::name::{PodName, StepId};
use crate::schedule::{Fault, Point, SessionChoice};

impl<W: World> Conductor<W> {
    /// Does it at this step of another session.
    pub(crate) async fn fault_beside_step(
        &mut self,
        aim: &Aim<'_>,
        name: &PodName,
        step: StepId,
    ) -> Result<(), W::Error> {
        let at = self.steps.get(&step).map(|step| step.connection.clone());
        let withheld = at.filter(|at| {
            let is_there = self.members.contains_key(name);
            aim.fault.point == Point::InDoubt && is_there && !self.world.is_cut_off(at)
        });
        if let Some(connection) = &withheld {
            self.world.withhold(connection, true);
        }
        let ending = self.step(step, Delivery::Forwarded).await?;
        // It is not the step of the session that is hit.
        let aim = Aim {
            step: None,
            ..aim.clone()
        };
        if aim.fault.point == Point::After && ending != Some(Ending::Done) {
            let why = "the step had not ended, so nothing could come after it";
            self.note_fault(&aim, Outcome::missed(why));
        } else {
            W::apply(self, &aim).await?;
        }
        if let Some(connection) = &withheld {
            self.world.withhold(connection, false);
        }
        Ok(())
    }
}

/// Whether the fault ends a session that was named for itself, not for its step: then it may come
/// round the step of another.
pub(crate) fn comes_beside(fault: &Fault) -> bool {
    let named = matches!(
        fault.session,
        SessionChoice::HoldingLock | SessionChoice::Connection(_)
    );
    let ends = fault.kind.entry().ends_sessions();
    named && ends && matches!(fault.point, Point::InDoubt | Point::After)
}
