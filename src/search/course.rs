//! Schedules that took another course than they were made for, and count all the same.
//!
//! Owns when a strategy is asked what such a run says, and how schedules that do not apply are counted.
//! Knows nothing of what the answer is.

use serde::{Deserialize, Serialize};

use super::strategy::{Candidate, OtherCourse, Strategy};
use super::trial::Outcome;
use crate::invariant::{Judgement, Verdict};
use crate::name::GuardName;

/// Schedules that do not apply to the subject, for the same reason, whether they were run or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotApplicable {
    /// The reason, in a sentence.
    pub why: String,
    /// How many there were.
    pub times: u64,
}

impl NotApplicable {
    /// Counts these with those that have their reason.
    pub fn add_to(self, all: &mut Vec<Self>) {
        match all.iter_mut().find(|known| known.why == self.why) {
            Some(known) => known.times += self.times,
            None => all.push(self),
        }
    }
}

/// Whether a run that cannot be judged only took another course, and its strategy knows what that means. A fault
/// that did not fire, or a run in which nobody wrote, tells nothing but that the schedule does not apply.
pub(super) fn other_course(
    strategy: &dyn Strategy,
    candidate: &Candidate,
    outcome: &Outcome,
) -> Option<OtherCourse> {
    let Verdict {
        invariants, guards, ..
    } = &outcome.verdict;
    let unmet = guards.iter().filter(|guard| !guard.met);
    let clear = invariants
        .iter()
        .all(|one| one.judgement != Judgement::Inconclusive);
    let fired = |guard: &GuardName| *guard == GuardName::FaultsFired;
    let names: Vec<GuardName> = unmet.map(|guard| guard.name).collect();
    let of_course = |name: &GuardName| *name == GuardName::StopsReached || fired(name);
    let unclear = outcome.verdict.judgement == Judgement::Inconclusive;
    if !unclear || !clear || !names.iter().all(of_course) {
        return None;
    }
    let course = strategy.other_course(candidate, &outcome.lines)?;
    let tells = matches!(course, OtherCourse::NotApplicable(_)) || !names.iter().any(fired);
    tells.then_some(course)
}
