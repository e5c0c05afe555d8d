//! The window in which a pod believed in a lock it no longer had.
//!
//! Owns which writes fall into it. It is reported, not judged, because no session lock can close
//! it: what a pod had sent before it could know that its lock's session was gone is not the
//! pod's doing. What it sends after it was told is judged like any other write.

use super::facts::{Facts, Grant, How, StepFacts};
use crate::history::{ClosedBy, LockMode};

/// A grant that was lost with its session.
pub(super) struct Lost<'f, 'a> {
    pub grant: &'f Grant<'a>,
    /// The line at which the lock was gone.
    pub lost: u64,
    /// The line from which on the pod could know.
    pub told: u64,
}

/// All grants of the rule's lock that a pod lost with their session, not by its own doing.
pub(super) fn lost<'f, 'a>(facts: &'f Facts<'a>) -> Vec<Lost<'f, 'a>> {
    facts
        .grants
        .iter()
        .filter(|grant| facts.is_rule_key(&grant.key) && grant.mode == LockMode::Exclusive)
        .filter_map(|grant| {
            let Some((end, How::Session)) = grant.end else {
                return None;
            };
            let closed = facts.sessions.closed(grant.connection);
            let own = closed.is_some_and(|(seq, by)| by == ClosedBy::Client && seq <= end)
                || facts.steps.values().any(|step| {
                    step.session == Some(grant.session)
                        && step.request.terminate
                        && step.ran()
                        && step.released.is_some_and(|at| at.seq <= end)
                });
            if own && !facts.fault_ended(grant, end) {
                return None;
            }
            let gone = facts
                .sessions
                .of(grant.session)
                .and_then(|session| session.gone);
            let told = closed.map(|(seq, _)| seq).into_iter().chain(gone).min();
            Some(Lost {
                grant,
                lost: end,
                told: told.unwrap_or(end),
            })
        })
        .collect()
}

/// The lost grant under which this step had been sent, before its pod could know of the loss.
pub(super) fn sent_in_belief<'l, 'f, 'a>(
    lost: &'l [Lost<'f, 'a>],
    step: &StepFacts<'_>,
) -> Option<&'l Lost<'f, 'a>> {
    lost.iter().find(|one| {
        one.grant.pod() == step.pod()
            && one.grant.from < step.held.seq
            && step.held.seq < one.told
            && step
                .last()
                .is_none_or(|end| end.at.seq > one.lost.min(one.told))
    })
}
