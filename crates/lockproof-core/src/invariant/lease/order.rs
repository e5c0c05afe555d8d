//! Which of two commits came first.
//!
//! Owns that answer, as far as the wire tells: what was answered before the other was passed to the server came
//! first, and so did what the other waited for. Else nobody knows.

use super::super::facts::{Facts, PodWrite};
use crate::history::Ending;
use crate::ledger::LeaseChange;
use crate::name::StepId;

/// When one commit came, seen from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Before it, or with it.
    Before,
    /// After it.
    After,
    /// Both were with the server at once.
    Unknown,
}

/// Between which lines something was committed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Committed {
    /// The server had it from here on.
    pub from: u64,
    /// It was answered here.
    pub to: u64,
}

/// When what this step did was committed.
pub(super) fn committed(facts: &Facts<'_>, step: Option<StepId>) -> Option<Committed> {
    let step = facts.steps.get(&step?)?;
    let commit = facts.commit_of(step).unwrap_or(step);
    Some(Committed {
        from: commit.released?.seq,
        to: commit.last().map_or(u64::MAX, |end| end.at.seq),
    })
}

/// When a write was committed, seen from a change of the lock row.
pub(super) fn order(facts: &Facts<'_>, write: &PodWrite<'_>, change: &LeaseChange<'_>) -> Order {
    let together = write.session == change.session
        && write.extent.transaction.is_some()
        && write.extent.transaction == change.transaction;
    if together {
        return Order::Before;
    }
    let (Some(own), Some(other)) = (committed(facts, write.step), committed(facts, change.step))
    else {
        return Order::Unknown;
    };
    if own.to < other.from || waited_for(facts, change, write, own) {
        Order::Before
    } else if other.to < own.from {
        Order::After
    } else {
        Order::Unknown
    }
}

/// Whether the change waited until the write's transaction had ended.
fn waited_for(
    facts: &Facts<'_>,
    change: &LeaseChange<'_>,
    write: &PodWrite<'_>,
    committed: Committed,
) -> bool {
    let step = change.step.and_then(|step| facts.steps.get(&step));
    let began = write.step.and_then(|step| facts.steps.get(&step)?.released);
    step.is_some_and(|step| {
        step.endings.iter().any(|end| {
            end.ending == Ending::Blocked
                && end.blocked_by.contains(&write.session.pid)
                && began.is_some_and(|began| began.seq < end.at.seq)
                && end.at.seq < committed.to
        })
    })
}
