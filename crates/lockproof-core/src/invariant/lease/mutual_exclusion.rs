//! mutual-exclusion, where the lock is a row: no pod gets the lock while another has it and its time has not
//! passed, by the server's clock at the change.
//!
//! The row's versions are a chain, so that who has it is never two at once; what can be wrong is the change from
//! one to the other.

use super::super::facts::{Facts, count};
use super::super::ruling::{Found, inconclusive};
use super::super::verdict::{Finding, InvariantVerdict};
use super::evidence::{UNSEEN, missing};
use super::story::change_words;
use crate::ledger::{Deed, Leases};
use crate::name::InvariantName;

const NAME: InvariantName = InvariantName::MutualExclusion;

pub(in super::super) fn judge(facts: &Facts<'_>, leases: &Leases<'_>) -> InvariantVerdict {
    if !facts.run.witness {
        return inconclusive(NAME, UNSEEN);
    }
    let row = leases.rule.words();
    let mut found = Found::default();
    for change in &leases.changes {
        let from = match change.deed {
            Deed::TakeOver {
                from,
                kept_out: true,
            }
            | Deed::SecondRow { of: from } => &leases.sections[from],
            _ => continue,
        };
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
    missing(facts, leases, &mut found);
    let holds = format!(
        "of {} of {row} none came while another pod had it",
        count(leases.sections.len(), "grant")
    );
    found.ruling(NAME, facts, holds)
}
