//! Faults of a session round the step of another: the lock's session dies while a statement of the
//! same pod is on its way elsewhere.
//!
//! Owns which faults those are, and what "in doubt" means then: the server has done the step and the
//! pod has not heard, until the fault has fired.

use super::conductor::Conductor;
use super::error::RunError;
use super::faulting::Aim;
use super::links::Member;
use super::outcome::Outcome;
use crate::history::{Delivery, Ending};
use crate::name::{ConnectionName, PodName, StepId};
use crate::schedule::{Fault, Point, SessionChoice};
use crate::wire::Handover;

impl Conductor<'_> {
    /// Does it at this step of another session.
    pub(super) async fn fault_beside_step(
        &mut self,
        aim: &Aim<'_>,
        name: &PodName,
        step: StepId,
    ) -> Result<(), RunError> {
        let at = self.steps.get(&step).map(|step| step.connection.clone());
        let withheld = at.filter(|at| {
            let passes = |member: &Member| !member.proxy.shape_of(at).cut;
            aim.fault.point == Point::InDoubt && self.members.get(name).is_some_and(passes)
        });
        if let Some(connection) = &withheld {
            self.withhold(connection, true);
        }
        let ending = self
            .step(step, Handover::Forward, Delivery::Forwarded)
            .await?;
        // It is not the step of the session that is hit.
        let aim = Aim {
            step: None,
            ..aim.clone()
        };
        if aim.fault.point == Point::After && ending != Some(Ending::Done) {
            let why = "the step had not ended, so nothing could come after it";
            self.note_fault(&aim, Outcome::missed(why));
        } else {
            self.apply(&aim).await?;
        }
        if let Some(connection) = &withheld {
            self.withhold(connection, false);
        }
        Ok(())
    }

    /// Keeps from the pod what comes on this connection, or lets it have it.
    fn withhold(&mut self, name: &ConnectionName, cut: bool) {
        if let Some(member) = self.members.get(&name.pod) {
            member.proxy.shape(Some(name), |shape| shape.cut = cut);
        }
    }
}

/// Whether the fault ends a session that was named for itself, not for its step: then it may come
/// round the step of another.
pub(super) fn comes_beside(fault: &Fault) -> bool {
    let named = matches!(
        fault.session,
        SessionChoice::HoldingLock | SessionChoice::Connection(_)
    );
    let ends = fault.kind.entry().ends_sessions();
    named && ends && matches!(fault.point, Point::InDoubt | Point::After)
}
