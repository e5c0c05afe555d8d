//! mutual-exclusion, where the lock is a row: no pod gets the lock while another has it and its time has not
//! passed, by the server's clock at the change.
//!
//! The row's versions are a chain, so that who has it is never two at once; what can be wrong is the change from
//! one to the other.

use std::collections::BTreeSet;

use super::super::facts::{Facts, count, write_words};
use super::super::ruling::{Found, inconclusive};
use super::super::verdict::{Finding, InvariantVerdict};
use super::evidence::{UNSEEN, missing, outlived, ran_out};
use super::late::standings;
use super::standing::{Standing, Stands};
use super::story::{change_words, section_lines, section_words};
use super::work_under_lock::finding;
use crate::ledger::{Deed, LeaseSection, Leases, RowBooks, SectionEnd};
use crate::name::InvariantName;

const NAME: InvariantName = InvariantName::MutualExclusion;

pub(in super::super) fn judge(facts: &Facts<'_>, books: &RowBooks<'_>) -> InvariantVerdict {
    if !facts.run.witness {
        return inconclusive(NAME, UNSEEN);
    }
    let mut found = Found::default();
    for row in &books.rows {
        taken_while_had(facts, row, &mut found);
    }
    if books.rule.queue.is_some() {
        at_work_at_once(facts, books, &mut found);
    }
    missing(facts, books, &mut found);
    let holds = format!(
        "of {} of {} none came while another pod had it",
        count(books.sections().count(), "grant"),
        books.rule.words()
    );
    found.ruling(NAME, facts, holds)
}

/// Changes by which a pod got the row while another had it.
fn taken_while_had(facts: &Facts<'_>, leases: &Leases<'_>, found: &mut Found) {
    let row = &leases.name;
    if leases.rule.claim.is_some() {
        super::claims::claimed_twice(facts, leases, found);
        return;
    }
    for change in &leases.changes {
        let from = match change.deed {
            Deed::TakeOver {
                from,
                kept_out: true,
            }
            | Deed::SecondRow { of: from } => &leases.sections[from],
            _ => continue,
        };
        if !outlived(facts, leases, from, change) {
            continue;
        }
        let taken = &leases.changes[from.taken];
        let left = match from.until_us {
            Some(until) => format!(
                "{} ms before its time had passed",
                until.saturating_sub(change.server_us).max(1) / 1_000
            ),
            None => "and the row says no time at which it ends".to_owned(),
        };
        found.violation(Finding {
            why: format!(
                "two pods had {row} at once: {}, and {}, {left}. A take-over must look at the row that it changes, \
                 in the same statement",
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

/// Of a queue: pods that worked on, or ended, a row that another had got meanwhile. (A lock row is another's once
/// it is taken over; a row of a queue is its pod's work until that pod has ended it.)
fn at_work_at_once(facts: &Facts<'_>, books: &RowBooks<'_>, found: &mut Found) {
    let by_clock = ran_out(facts, books);
    let mut told = BTreeSet::new();
    for Stands { write, row, how } in standings(facts, books).0 {
        if let Standing::Late(section, by) = how
            && by_clock.is_empty()
            && told.insert((row.name.as_str(), write.pod()))
        {
            let why = format!(
                "two pods worked on {} at once: {}, and {} after that. The work's transaction must look whether the row \
                 is still its pod's, and lock it",
                row.name,
                section_words(facts, row, section, by),
                write_words(write, facts.steps)
            );
            found.violation(finding(facts, write, section_lines(row, section, by), why));
        }
    }
    for row in &books.rows {
        for change in &row.changes {
            let Deed::Foreign { of, kept_out, .. } = change.deed else {
                continue;
            };
            // Whoever frees a row whose time has passed, or whose pod is dead, tidies up.
            let frees = change.after.is_some_and(|after| !after.held && !after.done);
            if frees && !kept_out || !outlived(facts, row, &row.sections[of], change) {
                continue;
            }
            let earlier = |one: &&LeaseSection<'_>| {
                Some(one.pod()) == change.pod() && one.taken < row.sections[of].taken
            };
            let own = row.sections.iter().rev().find(earlier);
            let lost = |own: &&LeaseSection<'_>| {
                let how = own.end.map(|(_, how)| how);
                matches!(how, Some(SectionEnd::TakenOver | SectionEnd::TakenAway))
            };
            let Some(own) = own.filter(lost) else {
                continue;
            };
            let by = &row.changes[row.sections[of].taken];
            let Some(pod) = change
                .pod()
                .filter(|pod| told.insert((row.name.as_str(), pod)))
            else {
                continue;
            };
            if !by_clock.is_empty() {
                continue;
            }
            found.violation(Finding {
                why: format!(
                    "two pods worked on {} at once: {}, and {} without knowing. Whoever ends a row must compare the owner \
                     or the claim, and look at how many rows that touched",
                    row.name,
                    section_words(facts, row, own, by),
                    change_words(facts, change)
                ),
                seqs: section_lines(row, own, by).into_iter().chain([change.seq]).collect(),
                pod: Some(pod.clone()),
                witness_only: true,
                ..Finding::default()
            });
        }
    }
    found.unclear.extend(by_clock);
}
