//! Whose work the final rows must show.
//!
//! Owns which pods committed protected work, which may have, and so which serial runs count: those of as many
//! pods. Knows nothing of rows.

use std::ops::RangeInclusive;

use super::facts::Facts;
use super::lease;
use crate::history::{OnContention, wrote_nothing};
use crate::name::PodName;
use crate::sql::{TablesRead, tables_read};
use crate::timeline::StepFacts;

/// Up to so many pods every order of them is tried.
const EVERY_ORDER: usize = 3;

/// The pods of a run by what they did. One that was refused the lock and left is none of them.
#[derive(Debug, Default)]
pub(super) struct Workers<'a> {
    /// They ended with success, no fault hit them, and protected work of theirs was committed.
    pub certain: Vec<&'a PodName>,
    /// A fault hit them, or they failed, or no committed work of theirs was seen.
    pub perhaps: Vec<&'a PodName>,
}

impl<'a> Workers<'a> {
    /// Of this run. `known`: pods whose work a run of the same schedule with the witness saw committed; without
    /// it, what a function, a trigger or a block hides is not seen, and they count all the same.
    pub fn of(facts: &Facts<'a>, known: &[PodName]) -> Self {
        let mut workers = Self::default();
        for (pod, course) in facts.started() {
            if facts.skipped(pod) {
                continue;
            }
            let worked = || committed(facts, pod) || (!facts.run.witness && known.contains(pod));
            let sure = course.succeeded() && facts.hit(pod).is_none() && worked();
            match sure {
                true => workers.certain.push(pod),
                false => workers.perhaps.push(pod),
            }
        }
        workers
    }

    /// Of how many pods a serial run counts, where there are serial runs of up to so many.
    pub fn count(&self, most: usize) -> RangeInclusive<usize> {
        let least = self.certain.len().max(1);
        let all = self.certain.len() + self.perhaps.len();
        least.min(most)..=all.max(least).min(most)
    }

    /// The orders in which serial runs can have done the same work: every order of up to three pods; of more,
    /// the order in which they first did something, and its reverse.
    pub fn orders(&self, facts: &Facts<'_>) -> Vec<Vec<PodName>> {
        let mut sets: Vec<Vec<PodName>> = Vec::new();
        let sure: Vec<PodName> = self.certain.iter().map(|pod| (*pod).clone()).collect();
        let mut all = sure.clone();
        all.extend(self.perhaps.iter().map(|pod| (*pod).clone()));
        for mut set in [all, sure] {
            set.sort();
            if !set.is_empty() && !sets.contains(&set) {
                sets.push(set);
            }
        }
        let mut orders: Vec<Vec<PodName>> = Vec::new();
        for set in sets {
            let of_set = if set.len() <= EVERY_ORDER {
                permutations(&set)
            } else {
                let mut seen = set;
                seen.sort_by_key(|pod| first_deed(facts, pod));
                let reverse = seen.iter().rev().cloned().collect();
                vec![seen, reverse]
            };
            orders.extend(of_set);
        }
        orders
    }
}

/// When a pod got the lock; where it never did, when it first wrote.
fn first_deed(facts: &Facts<'_>, pod: &PodName) -> (u64, PodName) {
    let mut grants = facts.grants.iter();
    let granted = grants.find(|grant| grant.pod() == pod && facts.is_rule_key(&grant.key));
    let wrote = || facts.writes.iter().filter(|write| write.pod() == pod);
    let at = match granted {
        Some(grant) => grant.from,
        None => wrote().map(|write| write.seq).min().unwrap_or(u64::MAX),
    };
    (at, pod.clone())
}

/// Whether protected work of this pod is known to have been committed.
fn committed(facts: &Facts<'_>, pod: &PodName) -> bool {
    let done = |step: &StepFacts<'_>| done(facts, step);
    if facts.run.witness {
        let mut writes = facts.writes.iter().filter(|write| write.pod() == pod);
        return writes.any(|write| {
            let step = write.step.map(|step| facts.steps.get(&step));
            // Where the server counted, a write of no row is none of these.
            let counted = write.extent.changed.is_some();
            step.is_none_or(|step| {
                step.is_some_and(|step| done(step) && (counted || touched(step)))
            })
        });
    }
    facts.steps.values().any(|step| {
        let named = &step.request.writes;
        step.pod() == pod
            && step.ran()
            && named.iter().any(|table| facts.protects(table))
            && done(step)
            && touched(step)
    })
}

/// Whether a step did not fail, and what it did was committed.
fn done(facts: &Facts<'_>, step: &StepFacts<'_>) -> bool {
    step.last().is_some_and(|end| {
        end.answer.error.is_none()
            && (end.answer.transaction == Some('I') || facts.commit_of(step).is_some())
    })
}

/// Whether a step may have touched a row, by its tags: an UPDATE that found nothing to do is no work.
fn touched(step: &StepFacts<'_>) -> bool {
    let tags = step.last().map(|end| end.answer.tags.as_slice());
    tags.is_none_or(|tags| tags.is_empty() || !tags.iter().all(|tag| wrote_nothing(tag)))
}

/// Pods that ended well and wrote nothing, although they write in the serial run; of those that were refused the
/// lock, those that were to wait for it.
pub(super) fn idle<'f>(facts: &'f Facts<'_>) -> Vec<&'f PodName> {
    let Some(baseline) = &facts.run.baseline else {
        return Vec::new();
    };
    let skips = facts.run.rules.on_contention == OnContention::Skip;
    let idle = facts.started().filter(|(pod, course)| {
        baseline.writers.contains(pod)
            && course.succeeded()
            && facts.hit(pod).is_none()
            && !facts.wrote(pod)
            && !(skips && facts.refused(pod))
            && !was_late(facts, pod)
    });
    idle.map(|(pod, _)| pod).collect()
}

/// A pod that ended well, was not refused the lock and wrote nothing, and what shows that its work may be lost: it
/// had looked at a table, and its write of that table then found no row to change. It may as well have left on
/// purpose: nobody but its author knows, so nothing is asked where it is to leave (`skip`).
pub(super) fn overtaken<'f, 'a>(facts: &'f Facts<'a>) -> Option<(&'f PodName, &'f StepFacts<'a>)> {
    if facts.run.rules.on_contention == OnContention::Skip {
        return None;
    }
    let mut alone = idle(facts).into_iter();
    alone.find_map(|pod| {
        let own = |step: &&StepFacts<'_>| step.pod() == pod && step.ran();
        let steps: Vec<&StepFacts<'a>> = facts.steps.values().filter(own).collect();
        let missed = steps.iter().find(|step| {
            let named = &step.request.writes;
            let mut tables = named.iter().filter(|table| facts.protects(table));
            let looked = |table: &&String| {
                let before = steps.iter().filter(|one| one.id < step.id);
                before.into_iter().any(|one| looks_at(one, table))
            };
            done(facts, step) && !touched(step) && tables.any(|table| looked(&table))
        })?;
        (!facts.refused(pod)).then_some((pod, *missed))
    })
}

/// Whether a step only looks at this table, as far as its text tells.
fn looks_at(step: &StepFacts<'_>, table: &str) -> bool {
    let request = step.request;
    let looks = tables_read(&request.sql, &request.normal);
    request.writes.is_empty()
        && matches!(looks, TablesRead::Known(looks) if looks.tables.contains(table))
}

/// Whether it found all that it wanted to claim claimed: whoever does the work is another then, as in serial runs.
fn was_late(facts: &Facts<'_>, pod: &PodName) -> bool {
    let mut claims = facts
        .leases
        .iter()
        .filter(|books| books.rule.claim.is_some());
    claims.any(|books| lease::was_refused(facts, books, pod))
}

/// Every order of these, the given one first.
fn permutations(of: &[PodName]) -> Vec<Vec<PodName>> {
    if of.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for (place, first) in of.iter().enumerate() {
        let mut rest = of.to_vec();
        rest.remove(place);
        for mut order in permutations(&rest) {
            order.insert(0, first.clone());
            all.push(order);
        }
    }
    all
}
