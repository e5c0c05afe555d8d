//! Which schedules with one preemption more or less late are the same run.
//!
//! Owns the argument and the check of its conditions on executed runs. Knows nothing of counting.
//!
//! Two orders of the same steps are equivalent if one becomes the other by exchanging neighbours
//! that are independent (Mazurkiewicz): each pod does and sees the same in both. Dynamic
//! partial-order reduction (Flanagan and Godefroid, POPL 2005) runs one of each class. Under a
//! preemption bound that alone is not sound, since the one that is run may need more preemptions
//! than the one it stands for (Coons, Musuvathi and McKinley, "Bounded Partial-Order Reduction",
//! OOPSLA 2013). So only one kind of exchange is used, which leaves the number alone.
//!
//! Let W be a run in which pod a was preempted for pod y after step p; U all steps of other pods
//! until a goes on, and s the first step that a then does. Let V be the schedule that preempts a for
//! y one step later, after s. If s is independent of every step of U, V is W with s moved before U:
//! in V the steps of U find what they find in W, a goes on where it goes on in W, and both have the
//! same preemptions. V is not run. Besides independence this is asked for, because a step does more
//! than its text says: s ended as done, with the same answer, in W as in the run that both are
//! derived from (so no lock that a pod's end frees stood in between); no pod could go on, or could no
//! longer go on, because of s; no turn from p on made way, and s is no round of polling (how long a
//! pod has polled depends on its steps in a row).
//!
//! What would be derived from V is left out with it, for it is equivalent to what is derived from W:
//! after U and s the two are in the same state. Where V's successor switches back to a within U, W's
//! successor at that place does s first and then is in the same state with the same pod running and
//! the same preemptions left. There is one exception: a switch within U to a third pod z. In W's
//! successor s comes after z's steps, on which it may depend. So for three pods and more these
//! successors of V are not left out.
//!
//! Schedules that preempt the same turn for the same pod, one step later each, form a chain that is
//! walked in order; chains run side by side. Long ones are cut, which costs at most one
//! run a piece. What was left out is counted exactly once all is done (until then,
//! schedules not yet run count as one each), with all that would have been derived from it, unless
//! runs diverged or were stopped; see `tree`.

use super::walk::{Walk, only};
use crate::name::StepId;

/// The longest round of polling, in steps, as the conductor knows it.
const LONGEST_ROUND: usize = 8;

/// Steps of a run that can be moved before those of other pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Exchange {
    /// The pod whose steps they are.
    pub pod: u8,
    /// How many steps of other pods there are, from the place of the preemption on.
    pub others: usize,
    /// How many of the pod's steps after those can be moved before them.
    pub most: usize,
}

/// What can be exchanged in a run that follows `parent` for `at` steps and preempts the pod of the
/// last of them there.
pub(super) fn exchange(
    parent: &Walk,
    walk: &Walk,
    at: usize,
    independent: &dyn Fn(StepId, StepId) -> bool,
) -> Option<Exchange> {
    let pod = parent.steps.get(at.checked_sub(1)?)?.pod;
    let after = walk.steps.get(at..)?;
    let others = after.iter().position(|step| step.pod == pod)?;
    let back = at + others;
    let leg = walk.leg_at(back).filter(|leg| leg.from == back)?;
    let mut region = walk.legs.iter();
    if region.any(|leg| leg.yielded && leg.from >= at && leg.from <= back) {
        return None;
    }
    let others_can = |after: usize| walk.enabled(after) & !only(pod);
    let mut most = 0;
    for (place, was) in (back..leg.end()).zip(parent.steps.get(at..)?) {
        let step = &walk.steps[place];
        let polls = step.asks
            && walk.steps[place + 1..]
                .iter()
                .filter(|later| later.pod == pod)
                .take(LONGEST_ROUND)
                .any(|later| later.what == step.what);
        let commutes = walk.steps[at..back]
            .iter()
            .all(|other| independent(step.id, other.id));
        if was.key != step.key || polls || !commutes || others_can(place) != others_can(place + 1) {
            break;
        }
        most += 1;
    }
    (most > 0).then_some(Exchange { pod, others, most })
}
