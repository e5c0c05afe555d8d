//! Writes of protected tables, each with the section of the lock row (or of a queue's row) under which its pod made it, and what
//! had become of that section by the write's commit.
//!
//! Owns that answer; which invariant a late write violates is theirs to say.

use std::collections::HashMap;

use super::super::facts::{Facts, PodWrite};
use super::claims::claim_standings;
use super::spans::Spans;
use super::standing::{Standing, Stands, next_grants, of_section};
use crate::ledger::{LeaseSection, RowBooks};
use crate::name::{PodName, Session};

/// A section of a pod.
struct Own<'f, 'a> {
    section: &'f LeaseSection<'a>,
    /// The row's place among all.
    row: usize,
    /// When it was got.
    taken_us: i64,
    /// Until when it covers writes: when it ended, or the last write of the transaction that ended it.
    end_us: i64,
}

/// All writes of protected tables with how they stand; of a queue those of its own table left aside. Of several rows that its pod has got, one that it has still
/// covers a write: which of them it is about nobody knows.
pub(super) fn standings<'f, 'a>(
    facts: &'f Facts<'a>,
    books: &'f RowBooks<'a>,
) -> (Vec<Stands<'f, 'a>>, Vec<&'f PodWrite<'a>>) {
    if books.rule.claim.is_some() {
        return claim_standings(facts, books);
    }
    let by_pod = own_sections(facts, books);
    let spans: HashMap<_, _> = by_pod
        .iter()
        .map(|(pod, own)| (*pod, Spans::of(own.iter().map(|one| one.end_us))))
        .collect();
    let next: Vec<_> = books.rows.iter().map(next_grants).collect();
    let (mut found, mut without) = (Vec::new(), Vec::new());
    // Each change of the rows of a queue, or of claims, is in their books.
    let own = |write: &&PodWrite<'_>| books.rule.is_many() && write.table == books.rule.table;
    for write in facts.writes.iter().filter(|write| !own(write)) {
        let own = by_pod.get(write.pod()).map_or(&[][..], Vec::as_slice);
        let after = own.partition_point(|one| one.taken_us <= write.server_us);
        let stands = |one: &Own<'f, 'a>| {
            let row = &books.rows[one.row];
            let how = of_section(facts, row, &next[one.row], write, one.section);
            Stands { write, row, how }
        };
        let Some(newest) = own[..after].last() else {
            without.push(write);
            continue;
        };
        let mut newest = stands(newest);
        if !matches!(newest.how, Standing::Under(_)) {
            let open = spans.get(write.pod()).into_iter();
            let open = open.flat_map(|spans| spans.covering(after - 1, write.server_us));
            let mut open = open.map(|place| stands(&own[place]));
            if let Some(other) = open.find(|one| matches!(one.how, Standing::Under(_))) {
                newest = other;
            }
        }
        found.push(newest);
    }
    (found, without)
}

/// When each transaction that wrote protected tables did so last.
fn last_writes(facts: &Facts<'_>) -> HashMap<(Session, u64), i64> {
    let mut last = HashMap::new();
    for write in &facts.writes {
        if let Some(transaction) = write.extent.transaction {
            let at = last.entry((write.session, transaction)).or_insert(i64::MIN);
            *at = write.server_us.max(*at);
        }
    }
    last
}

/// The sections of each pod, in the order in which it got them.
fn own_sections<'f, 'a>(
    facts: &Facts<'_>,
    books: &'f RowBooks<'a>,
) -> HashMap<&'f PodName, Vec<Own<'f, 'a>>> {
    let last_writes = last_writes(facts);
    let mut by_pod: HashMap<&PodName, Vec<Own<'f, 'a>>> = HashMap::new();
    for (place, row) in books.rows.iter().enumerate() {
        for section in &row.sections {
            let end = section.end.map(|(end, _)| {
                let end = &row.changes[end];
                let with_it = end.transaction;
                let last = with_it.and_then(|own| last_writes.get(&(end.session, own)));
                last.map_or(end.server_us, |last| end.server_us.max(*last))
            });
            by_pod.entry(section.pod()).or_default().push(Own {
                section,
                row: place,
                taken_us: row.changes[section.taken].server_us,
                end_us: end.unwrap_or(i64::MAX),
            });
        }
    }
    for own in by_pod.values_mut() {
        own.sort_by_key(|one| one.taken_us);
    }
    by_pod
}
