//! What a failure is a break of: of what the order of steps may do, or of what a crash may leave behind.
//!
//! Owns that question. A job that a fault stops in its middle leaves half of its work, and whether the next
//! one can begin from there has nothing to do with the lock: it is safe to repeat, or it is not.

use serde::{Deserialize, Serialize};

use super::trial::Outcome;
use crate::history::{Event, Line};
use crate::invariant::{Judgement, Verdict};
use crate::name::{InvariantName, PodName};
use crate::schedule::{Fault, FaultTarget, Move, Schedule};
use crate::timeline::Timeline;

/// What a failure is a break of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Breaks {
    /// Pods that run at once, and the lock that should keep them apart.
    Order,
    /// No rule of the lock, and it takes a fault: a pod that was stopped in its middle left half a job, and it
    /// is not safe to repeat the job then.
    AfterCrash,
}

impl Breaks {
    /// What this run's own lines allow: `AfterCrash` where no rule of the lock is broken, and every fault of the
    /// schedule stopped a pod that wrote nothing from then on. That it would hold without the fault takes
    /// another run.
    #[must_use]
    pub fn at_most(schedule: &Schedule, outcome: &Outcome) -> Self {
        let faults = faults(schedule);
        let stopped =
            |fault: &&Fault| fault.kind.entry().breaks_off() && !writes_on(&outcome.lines, fault);
        if !faults.is_empty() && keeps_the_lock(&outcome.verdict) && faults.iter().all(stopped) {
            Self::AfterCrash
        } else {
            Self::Order
        }
    }

    /// Whether a failure of this sort makes another look for one of that sort needless.
    #[must_use]
    pub fn stands_for(self, other: Self) -> bool {
        self == other || self == Self::Order
    }
}

/// The schedule with its faults left out.
pub(super) fn without_faults(schedule: &Schedule) -> Schedule {
    match schedule {
        Schedule::Controlled(moves) => {
            let turns = moves.iter().filter(|one| !matches!(one, Move::Fault(_)));
            Schedule::Controlled(turns.cloned().collect())
        }
        other => other.clone(),
    }
}

fn faults(schedule: &Schedule) -> Vec<&Fault> {
    match schedule {
        Schedule::Controlled(moves) => moves
            .iter()
            .filter_map(|one| match one {
                Move::Fault(fault) => Some(fault),
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// Whether nothing that is violated is a rule of the lock.
fn keeps_the_lock(verdict: &Verdict) -> bool {
    let of_lock = [
        InvariantName::ExactlyOnce,
        InvariantName::SameSession,
        InvariantName::WorkUnderLock,
        InvariantName::MutualExclusion,
        InvariantName::NoLeak,
    ];
    let mut violated = verdict.violated();
    verdict.judgement == Judgement::Violated && !violated.any(|name| of_lock.contains(&name))
}

/// Whether the pod that this fault hit wrote, or may have written, after it: then it did not stop there.
fn writes_on(lines: &[Line], fault: &Fault) -> bool {
    let pod: Option<&PodName> = match fault.kind.entry().target {
        FaultTarget::Pod | FaultTarget::Session => fault.pod.as_ref(),
        FaultTarget::Link | FaultTarget::Server | FaultTarget::Lock => None,
    };
    let fired = lines.iter().find_map(|line| match &line.event {
        Event::Fault(event) if event.fired && event.fault.kind == fault.kind => Some(line.seq),
        _ => None,
    });
    let (Some(pod), Some(fired)) = (pod, fired) else {
        return true;
    };
    Timeline::of(lines).steps.values().any(|step| {
        let request = step.request;
        step.pod() == pod
            && step.ran()
            && step.released.is_some_and(|at| at.seq > fired)
            && (request.opaque || !request.writes.is_empty())
    })
}
