//! Whether a pod asked for the lock row, or for a row of the queue, while another had it, and whether it was refused.
//!
//! Owns those answers, by the text of its steps and what they were answered.

use std::collections::{BTreeMap, BTreeSet};

use super::super::facts::Facts;
use super::order::committed;
use crate::history::{Ending, wrote_nothing};
use crate::ledger::{RowBooks, asks_for_row, told_lost};
use crate::name::{PodName, StepId};
use crate::timeline::StepFacts;

/// A pod that asked while another had it, in words.
pub(in super::super) fn asked_while_had(facts: &Facts<'_>, books: &RowBooks<'_>) -> Option<String> {
    let spans = spans(facts, books);
    let row = books.rule.words();
    // Not each statement of a queue's table asks for one: it may put a row in, or end its own.
    let got: BTreeSet<StepId> = match books.rule.queue {
        Some(_) => {
            let changes = books.rows.iter().flat_map(|row| &row.changes);
            let got = changes.filter(|change| change.grants());
            got.filter_map(|change| change.step).collect()
        }
        None => BTreeSet::new(),
    };
    let asks = |step: &StepFacts<'_>| match books.rule.queue {
        Some(_) => got.contains(&step.id) || told_lost(step, books.rule).is_some(),
        None => asks_for_row(step, books.rule),
    };
    let mut asking = facts
        .steps
        .values()
        .filter(|step| asks(step) || step.request.opaque && told_lost(step, books.rule).is_some());
    asking.find_map(|step| {
        // Who has taken the row in a transaction that is still open lets nobody see it.
        let mut waits = step.endings.iter().flat_map(|end| end.blocked_by);
        let met = waits.find_map(|pid| {
            let session = facts.sessions.at(*pid, i64::MAX, u64::MAX)?;
            (session.connection.pod != *step.pod()).then_some(session)
        });
        if let Some(other) = met {
            return Some(format!(
                "{} asked for {row} while {} had it locked",
                step.connection, other.connection
            ));
        }
        let at = step.released?.seq;
        let other = spans.iter().find(|(pod, spans)| {
            let begun = spans.partition_point(|(from, _)| *from <= at);
            let last = begun.checked_sub(1).map(|place| spans[place].1);
            **pod != step.pod() && last.is_some_and(|to| to >= at)
        });
        let (other, _) = other?;
        Some(format!(
            "{} asked for {row} while pod {other} had it",
            step.connection
        ))
    })
}

/// For each pod from where on it had a row, and until where it had that or one of those before.
fn spans<'a>(facts: &Facts<'_>, books: &RowBooks<'a>) -> BTreeMap<&'a PodName, Vec<(u64, u64)>> {
    let mut spans: BTreeMap<&'a PodName, Vec<(u64, u64)>> = BTreeMap::new();
    for (row, section) in books.sections() {
        let Some(from) = committed(facts, row.changes[section.taken].step) else {
            continue;
        };
        let end = section.end.map(|(place, _)| row.changes[place].step);
        let to = end.and_then(|step| committed(facts, step));
        // A claim stays when its pod is gone.
        let gone = facts.pods.get(section.pod()).and_then(|pod| pod.exit);
        let gone = gone.filter(|_| books.rule.claim.is_some());
        let gone = gone.map_or(u64::MAX, |gone| gone.seq);
        let to = to.map_or(gone, |to| to.from);
        spans
            .entry(&section.connection.pod)
            .or_default()
            .push((from.to, to));
    }
    for of_pod in spans.values_mut() {
        of_pod.sort_unstable();
        let mut last = 0;
        for (_, to) in of_pod {
            last = last.max(*to);
            *to = last;
        }
    }
    spans
}

/// Whether this pod asked for the lock row and was told that it has it not.
pub(in super::super) fn was_refused(
    facts: &Facts<'_>,
    books: &RowBooks<'_>,
    pod: &PodName,
) -> bool {
    let mut sections = books.sections();
    let mut steps = facts.steps.values().filter(|step| step.pod() == pod);
    !sections.any(|(_, section)| section.pod() == pod)
        && steps.any(|step| told_lost(step, books.rule).is_some())
}

/// Whether this pod made a claim, as the texts of its steps and their answers tell.
pub(in super::super) fn claimed(facts: &Facts<'_>, books: &RowBooks<'_>, pod: &PodName) -> bool {
    let inserted = |step: &StepFacts<'_>| {
        let end = step.last().filter(|end| end.ending == Ending::Done);
        end.is_some_and(|end| {
            let mut tags = end.answer.tags.iter();
            end.answer.error.is_none()
                && tags.any(|tag| tag.starts_with("INSERT ") && !wrote_nothing(tag))
        })
    };
    let mut steps = facts.steps.values();
    books.rule.claim.is_some()
        && steps.any(|step| step.pod() == pod && asks_for_row(step, books.rule) && inserted(step))
}
