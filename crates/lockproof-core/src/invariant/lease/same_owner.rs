//! same-owner (in files same-session), where the lock is a row: no pod gives back or renews a lock that another
//! has, and one that was told that it has the lock no longer (its renewal or release touched no row) writes
//! nothing protected before it gets the lock again.
//!
//! A change by which a pod makes the lock its own is the affair of mutual-exclusion.

use std::collections::{BTreeMap, BTreeSet};

use super::super::facts::{Facts, count, write_words};
use super::super::ruling::{Found, inconclusive};
use super::super::verdict::{Finding, InvariantVerdict};
use super::evidence::{UNSEEN, missing, outlived};
use super::late::standings;
use super::order::committed;
use super::standing::Standing;
use super::story::{aged_words, change_words};
use crate::ledger::{Deed, LeaseChange, LeaseSection, Leases, RowBooks, told_lost};
use crate::name::{InvariantName, PodName};
use crate::timeline::{EndingFacts, StepFacts};

const NAME: InvariantName = InvariantName::SameSession;

pub(in super::super) fn judge(facts: &Facts<'_>, books: &RowBooks<'_>) -> InvariantVerdict {
    if !facts.run.witness {
        return inconclusive(NAME, UNSEEN);
    }
    let mut found = Found::default();
    for row in &books.rows {
        of_others(facts, row, &mut found);
    }
    went_on(facts, books, &mut found);
    missing(facts, books, &mut found);
    let holds = match books.sections().count() {
        0 => "no pod got the lock, and none changed it".to_owned(),
        sections => format!(
            "no pod changed the lock of another; it was got {}",
            count(sections, "time")
        ),
    };
    found.ruling(NAME, facts, holds)
}

/// Changes of a row that another pod has.
fn of_others(facts: &Facts<'_>, leases: &Leases<'_>, found: &mut Found) {
    for change in &leases.changes {
        let Deed::Foreign {
            of, kept_out: true, ..
        } = change.deed
        else {
            continue;
        };
        let other = &leases.sections[of];
        if !outlived(facts, leases, other, change) {
            continue;
        }
        let taken = &leases.changes[other.taken];
        let own = leases
            .sections
            .iter()
            .rev()
            .find(|one| Some(one.pod()) == change.pod() && one.taken < other.taken);
        let aged = own.and_then(|own| aged_words(leases, own));
        let own = match (own, aged) {
            (Some(own), Some(aged)) => format!(
                "{}, {aged}; ",
                change_words(facts, &leases.changes[own.taken])
            ),
            (Some(own), None) => format!("{}; ", change_words(facts, &leases.changes[own.taken])),
            (None, _) => String::new(),
        };
        let advice = match &leases.rule.claim {
            Some(_) => "Only whoever has a claim may take it back".to_owned(),
            None => format!(
                "A release or a renewal must name its owner (`… and {} = $1`), and look at how many rows it touched",
                leases.rule.owner.as_deref().unwrap_or("an owner's column")
            ),
        };
        found.violation(Finding {
            why: format!(
                "{} changed {} while pod {} had it: {own}{}; {}. {advice}",
                change
                    .pod()
                    .map_or_else(|| change.session.to_string(), |pod| format!("pod {pod}")),
                leases.name,
                other.pod(),
                change_words(facts, taken),
                change_words(facts, change)
            ),
            seqs: vec![taken.seq, change.seq],
            pod: change.pod().cloned(),
            witness_only: true,
            ..Finding::default()
        });
    }
}

/// A section of a pod.
struct Own<'f, 'a> {
    /// From which line on the server had the commit of its beginning.
    taken: u64,
    leases: &'f Leases<'a>,
    section: &'f LeaseSection<'a>,
}

/// The sections of each pod, in the order in which it got them.
fn own_sections<'f, 'a>(
    facts: &Facts<'_>,
    books: &'f RowBooks<'a>,
) -> BTreeMap<&'f PodName, Vec<Own<'f, 'a>>> {
    let mut own: BTreeMap<&PodName, Vec<Own<'f, 'a>>> = BTreeMap::new();
    for (leases, section) in books.sections() {
        if let Some(taken) = committed(facts, leases.changes[section.taken].step) {
            own.entry(section.pod()).or_default().push(Own {
                taken: taken.from,
                leases,
                section,
            });
        }
    }
    own.values_mut()
        .for_each(|of_pod| of_pod.sort_by_key(|one| one.taken));
    own
}

/// Whether the pod of this step had lost the lock by its end: another had ended its section, or its time had
/// passed.
fn is_lost(facts: &Facts<'_>, own: &[Own<'_, '_>], step: &StepFacts<'_>) -> bool {
    let (Some(released), Some(end)) = (step.released, step.last()) else {
        return false;
    };
    let before = own.partition_point(|one| one.taken < released.seq);
    let Some(Own {
        taken,
        leases,
        section,
    }) = before.checked_sub(1).map(|place| &own[place])
    else {
        return false;
    };
    // Time that passed before its pod renewed it says nothing.
    let since = leases.changes[section.taken..=section.last].iter().rev();
    let since = since
        .filter(|change| change.pod() == Some(section.pod()))
        .filter_map(|change| committed(facts, change.step))
        .find(|renewed| renewed.from < released.seq)
        .map_or(*taken, |renewed| renewed.from);
    let ended = section.end.is_some_and(|(place, _)| {
        let by = committed(facts, leases.changes[place].step);
        by.is_none_or(|by| by.from < end.at.seq)
    });
    let aged = facts
        .faults
        .iter()
        .any(|fault| fault.is_expiry() && (since..released.seq).contains(&fault.from));
    ended || aged
}

/// Pods that were told that they have the lock no longer, and wrote on.
fn went_on(facts: &Facts<'_>, books: &RowBooks<'_>, found: &mut Found) {
    let own = own_sections(facts, books);
    // For each pod the lines at which it was told so, and at which it was told that it has the lock.
    let mut told: BTreeMap<&PodName, Vec<(u64, Option<&StepFacts<'_>>)>> = BTreeMap::new();
    let changes = books.rows.iter().flat_map(|row| &row.changes);
    // A renewal tells it, too: of several rows one may be lost and another not.
    let tells =
        |change: &&LeaseChange<'_>| change.grants() || matches!(change.deed, Deed::Renewal { .. });
    for change in changes.filter(tells) {
        let step = change.step.and_then(|step| facts.steps.get(&step));
        if let (Some(pod), Some(end)) = (change.pod(), step.and_then(|step| step.last())) {
            told.entry(pod).or_default().push((end.at.seq, None));
        }
    }
    for step in facts.steps.values() {
        // That somebody has a key says nothing of another that its pod has.
        let lost = told_lost(step, books.rule);
        let Some(end) = lost.filter(|end| !is_refusal(books, end)) else {
            continue;
        };
        // One that never had it was refused it: what it writes is the affair of work-under-lock. And one that has
        // it still asked for another row of the table.
        let Some(of_pod) = told.get_mut(step.pod()) else {
            continue;
        };
        let own = own.get(step.pod()).map_or(&[][..], Vec::as_slice);
        if is_lost(facts, own, step) {
            of_pod.push((end.at.seq, Some(step)));
        }
    }
    for of_pod in told.values_mut() {
        of_pod.sort_by_key(|(seq, _)| *seq);
    }
    let mut once = BTreeSet::new();
    // What its pod has another row for is that row's work.
    let under: BTreeSet<u64> = match books.rule.queue {
        Some(_) => under(facts, books),
        None if books.rule.claim.is_some() => under(facts, books),
        None => BTreeSet::new(),
    };
    for write in facts
        .writes
        .iter()
        .filter(|write| !under.contains(&write.seq))
    {
        let step = write.step.and_then(|step| facts.steps.get(&step));
        let (Some(released), Some(of_pod)) =
            (step.and_then(|step| step.released), told.get(write.pod()))
        else {
            continue;
        };
        let before = of_pod.partition_point(|(seq, _)| *seq < released.seq);
        let first = &of_pod[..before];
        let Some((seq, Some(lost))) = first.last() else {
            continue;
        };
        // Before any grant it was only refused; after a release of its own it asked again.
        let had = first.iter().any(|(_, lost)| lost.is_none());
        if !had || !once.insert(write.pod()) {
            continue;
        }
        found.violation(Finding {
            why: format!(
                "pod {} was told that it has {} no longer ({} touched no row) and wrote on: {}",
                write.pod(),
                books.rule.words(),
                lost.words(),
                write_words(write, facts.steps)
            ),
            seqs: vec![*seq, write.seq],
            pod: Some(write.pod().clone()),
            table: Some(write.table.to_owned()),
            witness_only: true,
            ..Finding::default()
        });
    }
}

/// Whether an answer says that a key is claimed already.
fn is_refusal(books: &RowBooks<'_>, end: &EndingFacts<'_>) -> bool {
    let mut tags = end.answer.tags.iter();
    books.rule.claim.is_some()
        && (end.answer.error.is_some() || tags.any(|tag| tag.starts_with("INSERT ")))
}

/// The writes that were committed while their pods had a row.
fn under(facts: &Facts<'_>, books: &RowBooks<'_>) -> BTreeSet<u64> {
    let (stands, _) = standings(facts, books);
    let had = stands
        .into_iter()
        .filter(|one| matches!(one.how, Standing::Under(_)));
    had.map(|one| one.write.seq).collect()
}
