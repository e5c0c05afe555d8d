//! Which tables hold a row only while a pod is at work: where a job's lock is such a row.
//!
//! Owns that list, from what the witness saw in clean and serial runs. Knows nothing of which tables are
//! protected, nor of errors.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::{Event, Fate, Operation};
use crate::name::PodName;
use crate::timeline::Timeline;

/// What pods did to a table, as far as it can be a lock's.
#[derive(Debug, Default)]
struct Rows<'a> {
    /// How many rows each pod has put there and not taken away.
    there: BTreeMap<&'a PodName, u64>,
    /// Whether something else was done to it.
    other: bool,
}

/// The tables to which, in each of these runs, pods did nothing but put one row there and take that one away
/// again. None where no witness saw it.
pub(crate) fn lock_rows(runs: &[Timeline<'_>]) -> Vec<String> {
    let mut each = runs.iter().map(of_run);
    let Some(mut tables) = each.next() else {
        return Vec::new();
    };
    for other in each {
        tables.retain(|table| other.contains(table));
    }
    tables.into_iter().collect()
}

fn of_run(run: &Timeline<'_>) -> BTreeSet<String> {
    let mut tables: BTreeMap<&String, Rows<'_>> = BTreeMap::new();
    for line in run.lines {
        let Event::Write(write) = &line.event else {
            continue;
        };
        if write.extent.fate == Some(Fate::RolledBack) {
            continue;
        }
        let pod = write.connection.as_ref().map(|connection| &connection.pod);
        let Some(changed) = &write.extent.changed else {
            tables.entry(&write.table).or_default().other = true;
            continue;
        };
        for one in changed {
            let rows = tables.entry(&one.table).or_default();
            let there = pod.map(|pod| rows.there.entry(pod).or_default());
            match (&write.operation, there, one.rows) {
                (_, _, 0) => {}
                (Operation::Insert, Some(there), 1) => *there += 1,
                (Operation::Delete, Some(there), 1) if *there > 0 => *there -= 1,
                _ => rows.other = true,
            }
        }
    }
    let only_while_at_work = |rows: &Rows<'_>| {
        !rows.other && !rows.there.is_empty() && rows.there.values().all(|there| *there == 0)
    };
    let found = tables
        .into_iter()
        .filter(|(_, rows)| only_while_at_work(rows));
    found.map(|(table, _)| table.clone()).collect()
}
