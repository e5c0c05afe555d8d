//! The calls by which advisory locks were taken, so that a lock whose key is another in every run is
//! known again.
//!
//! Owns what makes two calls of two runs the same: the statement's normal form, and which of the pod's
//! statements of that form it is. Knows nothing of which lock ought to be held.

use std::collections::{BTreeMap, BTreeSet};

use super::book::Ledger;
use crate::history::{KeyedCall, LockAction, LockRule, RunFacts};
use crate::name::{LockKey, PodName};
use crate::timeline::{StepFacts, Timeline};

/// The calls that were granted an advisory lock, in the order of the grants.
pub fn keyed_calls(timeline: &Timeline<'_>, ledger: &Ledger<'_>) -> Vec<KeyedCall> {
    let takes = |step: &StepFacts<'_>| {
        let mut calls = step.request.lock_calls.iter();
        calls.any(|call| matches!(call.action, LockAction::Lock | LockAction::TryLock))
    };
    // The steps that take locks, with their place among those of the same form of their pod.
    let mut seen: BTreeMap<(&PodName, &[String]), u32> = BTreeMap::new();
    let mut taking = Vec::new();
    for step in timeline.steps.values().filter(|step| takes(step)) {
        let count = seen.entry((step.pod(), &step.request.normal)).or_default();
        taking.push((step, *count));
        *count += 1;
    }
    let mut calls = Vec::new();
    let advisory = ledger
        .grants
        .iter()
        .filter(|grant| grant.key.table().is_none());
    for grant in advisory {
        let own = |step: &StepFacts<'_>| {
            let released = step.released.is_some_and(|at| at.seq <= grant.from);
            step.connection == grant.connection && released
        };
        // The last of its connection that was let go before: what it waits for, it gets.
        let Some((step, place)) = taking.iter().rev().find(|(step, _)| own(step)) else {
            continue;
        };
        let call = KeyedCall {
            statement: step.request.normal.clone(),
            place: *place,
            key: LockKey {
                database: 0,
                server: 0,
                ..grant.key
            },
        };
        calls.push(call);
    }
    calls
}

/// The keys of the rule's lock in this run. One that the clean run made another of is known by its call:
/// it is the key that the first pod to make that call was granted. A pod that makes still another one of
/// it has another lock.
pub fn rule_keys_of(timeline: &Timeline<'_>, ledger: &Ledger<'_>, run: &RunFacts) -> Vec<LockKey> {
    let all = run.rules.lock.each();
    all.flat_map(|lock| keys_of(timeline, ledger, run, lock))
        .collect()
}

fn keys_of(
    timeline: &Timeline<'_>,
    ledger: &Ledger<'_>,
    run: &RunFacts,
    lock: &LockRule,
) -> Vec<LockKey> {
    let keys = match lock {
        LockRule::Named(key) => return vec![*key],
        LockRule::Row(_)
        | LockRule::Rows(_)
        | LockRule::Serializable
        | LockRule::Several(_)
        | LockRule::None => {
            return Vec::new();
        }
        LockRule::FromCleanRun(keys) => keys,
    };
    let known = run.baseline.iter().flat_map(|base| &base.lock_calls);
    let known: Vec<&KeyedCall> = known.collect();
    let granted = |key: &LockKey| ledger.grants.iter().any(|grant| grant.key.same_key(key));
    let mut resolved = BTreeSet::new();
    let mut calls = None;
    for key in keys {
        let made: Vec<&&KeyedCall> = known.iter().filter(|one| one.key.same_key(key)).collect();
        if made.is_empty() || granted(key) {
            resolved.insert(*key);
            continue;
        }
        let calls = calls.get_or_insert_with(|| keyed_calls(timeline, ledger));
        let again = calls.iter().find(|call| {
            made.iter().any(|one| {
                one.statement == call.statement
                    && one.place == call.place
                    && one.key.form == call.key.form
            })
        });
        resolved.insert(again.map_or(*key, |call| LockKey {
            database: key.database,
            ..call.key
        }));
    }
    resolved.into_iter().collect()
}
