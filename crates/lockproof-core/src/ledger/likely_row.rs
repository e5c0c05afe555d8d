//! Rows that look like a lock: written first and last, with a column for an owner or an expiry.
//!
//! Owns that guess, from the clean run and what it left in the tables. It is only ever suggested, for what a
//! column means its name does not prove. Knows nothing of which tables are protected.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::history::{Event, Expiry, Fate, LockRow};
use crate::state::{Snapshot, Table};
use crate::timeline::Timeline;

/// How long a lock is had where the row says only since when; whoever pastes it knows better.
const LEASE: Duration = Duration::from_secs(300);

/// What names of columns say, the surest first.
pub(super) const OWNER: [&str; 8] = [
    "locked_by",
    "lockedby",
    "lock_owner",
    "owner",
    "holder",
    "acquired_by",
    "claimed_by",
    "pid",
];
const UNTIL: [&str; 3] = ["until", "expir", "valid_to"];
const SINCE: [&str; 4] = ["locked_at", "lock_at", "acquired_at", "lockgranted"];
const HELD: [&str; 2] = ["is_locked", "locked"];

/// The row that the clean run may lock itself with, as a scenario would name it; `left`: the rows that it left,
/// `guarded`: tables of which another lock is known.
#[must_use]
pub fn likely_lock_row(
    clean: &Timeline<'_>,
    left: &Snapshot,
    guarded: &BTreeSet<String>,
) -> Option<LockRow> {
    // The tables in which rows were changed, in the order of the changes, and how many each time.
    let mut changes: Vec<(&str, u64)> = Vec::new();
    for line in clean.lines {
        let Event::Write(write) = &line.event else {
            continue;
        };
        if write.extent.fate == Some(Fate::RolledBack) || write.connection.is_none() {
            continue;
        }
        let changed = write.extent.changed.iter().flatten();
        let changed = changed.filter(|one| !guarded.contains(&one.table));
        changes.extend(changed.map(|one| (one.table.as_str(), one.rows)));
    }
    let (first, _) = changes.first()?;
    let around = changes.last().is_some_and(|(last, _)| last == first);
    let one_each = changes
        .iter()
        .all(|(table, rows)| table != first || *rows == 1);
    let between: BTreeSet<&str> = changes.iter().map(|(table, _)| *table).collect();
    if !around || !one_each || between.len() < 2 {
        return None;
    }
    named(first, left.tables.get(*first)?)
}

/// What the columns of this table mean, by their names.
fn named(name: &str, table: &Table) -> Option<LockRow> {
    let find = |words: &[&str]| {
        words.iter().find_map(|word| {
            let mut columns = table.columns.iter();
            let means = |column: &str| column.to_lowercase().contains(word);
            columns.find(|column| means(&column.name))
        })
    };
    let owner = find(&OWNER).map(|column| column.name.clone());
    let until = find(&UNTIL).map(|column| Expiry::Until(column.name.clone()));
    let since = find(&SINCE).map(|column| Expiry::Since {
        column: column.name.clone(),
        lease: LEASE,
    });
    // Only a flag, or when it was taken without by whom, says nothing of an expiry.
    let expiry = until.or(since.filter(|_| owner.is_some()));
    let held = match (&owner, &expiry) {
        (None, None) => Some(flag(table, find(&HELD)?.name.as_str())),
        _ => None,
    };
    Some(LockRow {
        table: name.strip_prefix("public.").unwrap_or(name).to_owned(),
        row: key(table),
        owner,
        expiry,
        held,
        token: None,
        fencing: false,
        queue: None,
        claim: None,
        place: 0,
    })
}

/// A condition that is true while a flag is set: flags are numbers or booleans.
fn flag(table: &Table, column: &str) -> String {
    let place = table.columns.iter().position(|one| one.name == column);
    let mut rows = table.rows.iter().flatten();
    let value = rows.next().and_then(|row| row.get(place?)?.clone());
    match value.as_deref() {
        Some("t" | "f" | "true" | "false") => column.to_owned(),
        _ => format!("{column} = 1"),
    }
}

/// What the key of the table's one row holds.
fn key(table: &Table) -> std::collections::BTreeMap<String, String> {
    let Some([row]) = table.rows.as_deref() else {
        return Default::default();
    };
    let columns = table.columns.iter().zip(row);
    let keys = columns.filter(|(column, _)| column.key);
    keys.filter_map(|(column, value)| Some((column.name.clone(), value.clone()?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Changed, Extent, Line, Operation, Write};
    use crate::name::Session;
    use crate::state::Column;

    fn write(table: &str, rows: u64) -> Event {
        Event::Write(Write {
            server_us: 0,
            session: Session {
                pid: 1,
                started_us: 1,
            },
            connection: "a.0".parse().ok(),
            step: None,
            table: table.to_owned(),
            operation: Operation::Update,
            locks: Vec::new(),
            extent: Extent {
                changed: Some(vec![Changed {
                    table: table.to_owned(),
                    rows,
                    above: Vec::new(),
                }]),
                ..Extent::default()
            },
        })
    }

    /// What is suggested for a table with these columns that a run writes like this.
    fn likely(columns: &[(&str, &str)], writes: &[(&str, u64)]) -> Option<LockRow> {
        let lines: Vec<Line> = (1..)
            .zip(writes)
            .map(|(seq, (table, rows))| Line {
                seq,
                at_us: seq,
                event: write(table, *rows),
            })
            .collect();
        let column = |(name, _): &(&str, &str)| Column {
            name: (*name).to_owned(),
            numbered: false,
            key: *name == "name",
        };
        let row = columns.iter().map(|(_, value)| Some((*value).to_owned()));
        let table = Table {
            columns: columns.iter().map(column).collect(),
            count: 1,
            rows: Some(vec![row.collect()]),
            ..Table::default()
        };
        let left = Snapshot {
            tables: [("public.lock".to_owned(), table)].into(),
            references: Vec::new(),
        };
        likely_lock_row(&Timeline::of(&lines), &left, &BTreeSet::new())
    }

    const AROUND: [(&str, u64); 3] = [("public.lock", 1), ("public.work", 9), ("public.lock", 1)];
    const SHEDLOCK: [(&str, &str); 4] = [
        ("name", "report"),
        ("lock_until", "2026-11-30"),
        ("locked_at", "2026-11-30"),
        ("locked_by", "job-a"),
    ];

    #[test]
    fn a_row_that_is_written_first_and_last_is_named_by_its_key_and_its_columns() {
        let found = likely(&SHEDLOCK, &AROUND).unwrap();
        assert_eq!(found.table, "lock");
        assert_eq!(found.row["name"], "report");
        assert_eq!(found.owner.as_deref(), Some("locked_by"));
        assert_eq!(found.expiry, Some(Expiry::Until("lock_until".to_owned())));
        let flag = likely(&[("index", "1"), ("is_locked", "0")], &AROUND).unwrap();
        assert_eq!(flag.held.as_deref(), Some("is_locked = 1"));
        assert!(flag.owner.is_none() && flag.expiry.is_none());
    }

    #[test]
    fn what_is_written_otherwise_or_says_nothing_of_an_owner_is_no_lock() {
        for writes in [
            &AROUND[..2],
            &[AROUND[1], AROUND[0], AROUND[2]],
            &[AROUND[0], AROUND[2]],
            &[("public.lock", 2), AROUND[1], AROUND[2]],
            &[],
        ] {
            assert!(likely(&SHEDLOCK, writes).is_none(), "{writes:?}");
        }
        assert!(likely(&[("name", "x"), ("total", "7")], &AROUND).is_none());
    }
}
