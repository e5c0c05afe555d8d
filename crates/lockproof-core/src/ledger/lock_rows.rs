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

/// The tables to which pods did nothing in this run but put one row there and take that one away again. None where
/// no witness saw it.
#[must_use]
pub fn lock_rows_of(run: &Timeline<'_>) -> BTreeSet<String> {
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
            match (&write.operation, pod, one.rows) {
                (_, _, 0) => {}
                (Operation::Insert, Some(pod), 1) => *rows.there.entry(pod).or_default() += 1,
                (Operation::Delete, Some(pod), 1) => match rows.there.get_mut(pod) {
                    Some(there) if *there > 0 => *there -= 1,
                    _ => rows.other = true,
                },
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Changed, Extent, Line, Write};
    use crate::name::Session;

    /// What a pod did to this table, and with how many rows; `None`: nobody counted.
    fn tables(writes: &[(&str, Operation, Option<u64>)]) -> Vec<String> {
        let write = |(who, operation, rows): &(&str, Operation, Option<u64>)| Write {
            server_us: 0,
            session: Session {
                pid: 1,
                started_us: 1,
            },
            connection: who.parse().ok(),
            step: None,
            table: "public.job_lock".to_owned(),
            operation: operation.clone(),
            locks: Vec::new(),
            extent: Extent {
                changed: rows.map(|rows| {
                    vec![Changed {
                        table: "public.job_lock".to_owned(),
                        rows,
                        above: Vec::new(),
                    }]
                }),
                ..Extent::default()
            },
        };
        let line = |(seq, write)| Line {
            seq,
            at_us: seq,
            event: Event::Write(write),
        };
        let lines: Vec<Line> = (1..).zip(writes.iter().map(write)).map(line).collect();
        lock_rows_of(&Timeline::of(&lines)).into_iter().collect()
    }

    #[test]
    fn a_row_is_a_locks_if_each_pod_puts_one_there_and_takes_it_away() {
        use Operation::{Delete, Insert, Truncate, Update};
        let one = Some(1);
        let held = [("a.0", Insert, one), ("a.1", Delete, one)];
        assert_eq!(tables(&held), ["public.job_lock"]);
        let twice = [held.clone(), held.clone()].concat();
        assert_eq!(tables(&twice), ["public.job_lock"]);
        let nothing = [("a.0", Delete, Some(0)), ("a.0", Update, Some(0))];
        assert_eq!(
            tables(&[nothing.to_vec(), held.to_vec()].concat()),
            ["public.job_lock"]
        );
        for other in [
            vec![("a.0", Insert, one)],
            vec![("a.0", Delete, one), ("a.0", Insert, one)],
            vec![("a.0", Insert, one), ("b.0", Delete, one)],
            vec![("a.0", Insert, Some(2)), ("a.0", Delete, Some(2))],
            vec![
                ("a.0", Insert, one),
                ("a.0", Update, one),
                ("a.0", Delete, one),
            ],
            vec![("a.0", Insert, one), ("a.0", Truncate, None)],
            vec![("nobody", Insert, one), ("nobody", Delete, one)],
            nothing.to_vec(),
        ] {
            assert!(tables(&other).is_empty(), "{other:?}");
        }
    }
}
