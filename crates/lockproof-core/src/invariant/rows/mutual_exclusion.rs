//! mutual-exclusion, where rows of a table are the lock: no row is had by two pods at once, each so that nobody else
//! could have it.
//!
//! A look shows what the server had at one moment, so that two holders in one look are two at once; between looks
//! nothing is sure, and a COMMIT that was passed on before another's answer came is no overlap.

use std::collections::{BTreeMap, BTreeSet};

use super::super::facts::{Facts, count};
use super::super::ruling::{Found, inconclusive};
use super::super::verdict::{Finding, InvariantVerdict};
use super::standing::{UNSEEN, missing};
use crate::ledger::{RowHold, RowLocks, RowLook};
use crate::name::{InvariantName, PodName};

const NAME: InvariantName = InvariantName::MutualExclusion;

pub(in super::super) fn judge(facts: &Facts<'_>, book: &RowLocks<'_>) -> InvariantVerdict {
    if !facts.run.witness {
        return inconclusive(NAME, UNSEEN);
    }
    let mut found = Found::default();
    let mut told: BTreeSet<(String, PodName, PodName)> = BTreeSet::new();
    let mut rows: BTreeSet<&str> = BTreeSet::new();
    let at_writes = facts.writes.iter().filter_map(|write| {
        let step = write.step.and_then(|step| facts.steps.get(&step));
        let at = step
            .and_then(|step| step.released)
            .map_or(write.seq, |at| at.seq);
        Some((write.seq, book.at_write(write.extent, at)?))
    });
    let at_writes: Vec<(u64, RowLook<'_>)> = at_writes.collect();
    for (seq, look) in book.looks.iter().chain(&at_writes) {
        let mut holders: BTreeMap<&str, &RowHold<'_>> = BTreeMap::new();
        for hold in look.held.iter().filter(|hold| hold.guards == Some(true)) {
            rows.insert(&hold.row.row);
            let first = *holders.entry(&hold.row.row).or_insert(hold);
            if first.pod() == hold.pod() {
                continue;
            }
            let (one, other) = (first.pod().min(hold.pod()), first.pod().max(hold.pod()));
            if told.insert((hold.row.row.clone(), one.clone(), other.clone())) {
                found.violation(Finding {
                    why: format!(
                        "pods {one} and {other} had {} locked at once: {} ({}) and {} ({})",
                        hold.words(),
                        first.connection,
                        first.session,
                        hold.connection,
                        hold.session
                    ),
                    seqs: vec![*seq],
                    pod: Some(hold.pod().clone()),
                    witness_only: true,
                    ..Finding::default()
                });
            }
        }
    }
    missing(facts, &mut found);
    let holds = format!(
        "no two pods had one of {} of {} locked at once",
        count(rows.len(), "row"),
        book.rule.table
    );
    found.ruling(NAME, facts, holds)
}
