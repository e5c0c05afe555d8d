//! What must not be cut in two: all that a pod does, or each transaction.
//!
//! Owns that choice, by the locks of the run, and when it is not known what belongs together: a pod that has the lock
//! several times, one after the other, has as many sections, and what it does outside of them is of none.

use std::collections::{BTreeMap, BTreeSet};

use super::super::facts::Facts;
use crate::history::LockRule;
use crate::name::{LockKey, PodName};

/// How the work of a run is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Units {
    /// All that a pod does belongs together.
    Pods,
    /// What a transaction does belongs together.
    Transactions,
    /// That is not known.
    Unknown,
}

impl Units {
    /// Those of a run.
    pub fn of(facts: &Facts<'_>) -> Self {
        let by_transaction =
            |lock: &LockRule| matches!(lock, LockRule::Rows(_) | LockRule::Serializable);
        let mut locks = facts.run.rules.lock.each().map(by_transaction);
        let Some(first) = locks.next() else {
            return Self::Pods;
        };
        if locks.any(|one| one != first) {
            return Self::Unknown;
        }
        match first {
            true => Self::Transactions,
            false if has_lock_again(facts) || has_row_again(facts) => Self::Unknown,
            false => Self::Pods,
        }
    }
}

/// Whether a pod was granted a lock of the rule again, or one lock after it had given back another.
fn has_lock_again(facts: &Facts<'_>) -> bool {
    let mut until: BTreeMap<&PodName, u64> = BTreeMap::new();
    let mut seen: BTreeSet<(&PodName, LockKey)> = BTreeSet::new();
    let mut grants: Vec<_> = facts.grants.iter().collect();
    grants.sort_by_key(|grant| grant.from);
    grants.into_iter().any(|grant| {
        let Some(key) = facts.rule_key(&grant.key) else {
            return false;
        };
        let end = grant.end.map_or(u64::MAX, |(end, _)| end);
        let last = until.get(grant.pod()).copied();
        until.insert(grant.pod(), end.max(last.unwrap_or(0)));
        !seen.insert((grant.pod(), key)) || last.is_some_and(|last| last < grant.from)
    })
}

/// Whether a pod had a lock row again, or several rows of a queue.
fn has_row_again(facts: &Facts<'_>) -> bool {
    facts.leases.iter().any(|books| {
        let mut seen: BTreeSet<&PodName> = BTreeSet::new();
        books
            .sections()
            .any(|(_, section)| !seen.insert(section.pod()))
    })
}
