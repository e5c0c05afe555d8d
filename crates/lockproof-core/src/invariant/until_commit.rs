//! Whether a lock was held until what was written under it was committed.
//!
//! Owns that answer: only with the commit can others see a write, so a lock that is given back before it
//! guards nothing. Evidence: what the witness saw at the commit; the wire, for a lock of another session
//! and where there is no witness.

use std::collections::HashMap;

use super::belief::told;
use super::facts::{Facts, Grant, How, LockThen, PodWrite, StepFacts};
use crate::history::ClosedBy;
use crate::name::{LockKey, PodName};

/// The exclusive grants of a lock to a pod, in their order.
pub(super) struct Owned<'f, 'a> {
    grants: HashMap<(&'f PodName, LockKey), Vec<&'f Grant<'a>>>,
}

impl<'f, 'a> Owned<'f, 'a> {
    pub fn of(facts: &'f Facts<'a>) -> Self {
        let mut grants: HashMap<_, Vec<&Grant<'a>>> = HashMap::new();
        for grant in facts.grants {
            if grant.guards() {
                let own = grants.entry((grant.pod(), grant.key.anywhere()));
                own.or_default().push(grant);
            }
        }
        for own in grants.values_mut() {
            own.sort_by_key(|grant| grant.from);
        }
        Self { grants }
    }

    /// Why a lock that was held while a step wrote did not cover the write: the pod gave it up before it
    /// committed, and only then could others see what was written.
    pub fn committed_without(
        &self,
        facts: &Facts<'_>,
        step: &StepFacts<'_>,
        key: &LockKey,
    ) -> Option<String> {
        let commit = facts.commit_of(step)?;
        let at = commit.released?.seq;
        let own = self.grants.get(&(step.pod(), key.anywhere()))?;
        let before = &own[..own.partition_point(|grant| grant.from < at)];
        let grant = before.iter().rfind(|grant| grant.key.same_key(key))?;
        let (end, how) = grant.end.filter(|(end, _)| *end <= at)?;
        if step.held.seq >= end {
            return None;
        }
        match how {
            How::Unlocked | How::Discarded | How::Transaction => grant
                .given_back_by
                .is_none()
                .then(|| given_back(key, commit)),
            How::Session | How::Returned => {
                let closed = facts.sessions.closed(grant.connection);
                let own = closed.is_some_and(|(seq, by)| by == ClosedBy::Client && seq <= end);
                if own && !facts.fault_ended(grant, end) {
                    return Some(given_back(key, commit));
                }
                let knew = facts.controlled() && commit.held.seq > told(facts, grant, end);
                knew.then(|| {
                    format!(
                        "lock {key} was lost with its session (line {end}), and the pod committed all the same, \
                         in {}, which it sent when it could know of that",
                        commit.words()
                    )
                })
            }
            How::Unanswered => None,
        }
    }
}

/// Why a lock of the writing session did not cover a write, by what the witness saw at the commit: the
/// session had it no more. (In one request, or one block, a session can lock, write and unlock before the
/// transaction that holds all of it commits.)
pub(super) fn committing_without(
    facts: &Facts<'_>,
    write: &PodWrite<'_>,
    lock: &LockThen<'_>,
) -> Option<String> {
    if lock.session != write.session || lock.key.table().is_some() {
        return None;
    }
    let commit = facts.committing(write.session, write.extent.transaction?)?;
    let kept = commit
        .locks
        .iter()
        .any(|one| one.granted && one.mode == lock.mode && one.key.same_key(&lock.key));
    if kept {
        return None;
    }
    Some(match commit.step.and_then(|step| facts.steps.get(&step)) {
        Some(step) => given_back(&lock.key, step),
        None => format!("it gave lock {} back before it committed", lock.key),
    })
}

fn given_back(key: &LockKey, commit: &StepFacts<'_>) -> String {
    format!(
        "it gave lock {key} back before it committed, in {}",
        commit.words()
    )
}
