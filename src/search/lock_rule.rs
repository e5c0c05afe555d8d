//! Which lock a trial's runs are judged by.
//!
//! Owns what comes of a scenario's `lock`, of the row that the templates have, and of the clean run together.

use super::error::TrialError;
use super::recognised::judged;
use super::stage::Stage;
use crate::evidence::FoundRow;
use crate::history::{Catalog, Done, Event, Line, LockRow, LockRule, OneLock, RowsRule};
use crate::name::{LockKey, TableName};
use crate::run::{BaselineRuns, qualified};
use crate::scenario::{LockName, ProtectingLock, Scenario};

/// The lock that must guard the protected tables: what the scenario names, or what clean and serial runs show.
pub(super) fn lock_rule(
    scenario: &Scenario,
    found: &[FoundRow],
    measured: &BaselineRuns,
) -> LockRule {
    let mut found = found.iter();
    match &scenario.subject.lock {
        Some(LockName::Several(all)) => {
            let one = |one: &ProtectingLock| OneLock {
                lock: named(&one.lock, &mut found, measured),
                mode: one.lock.mode(),
                protect: one.protect.iter().map(|table| qualified(table)).collect(),
            };
            LockRule::Several(all.iter().map(one).collect())
        }
        Some(name) => named(name, &mut found, measured),
        None => match &scenario.subject.protect {
            Some(tables) => {
                let tables: Vec<String> = tables.iter().map(|table| qualified(table)).collect();
                judged(measured, &tables)
            }
            None => judged(measured, &measured.baseline.written),
        },
    }
}

/// A lock that the scenario names; the next of the rows that were found, where it is one.
fn named<'a>(
    name: &LockName,
    found: &mut impl Iterator<Item = &'a FoundRow>,
    measured: &BaselineRuns,
) -> LockRule {
    match name {
        LockName::Row(_) => found.next().map_or(LockRule::None, |row| {
            LockRule::Row(Box::new(row.rule.clone()))
        }),
        LockName::Relation { table, .. } => LockRule::Named(LockKey::relation(
            0,
            TableName::new(&qualified(table.as_str())),
        )),
        LockName::Rows(table) => {
            let table = TableName::new(&qualified(table.as_str()));
            let seen = measured.rows.as_ref().filter(|rows| rows.table == table);
            LockRule::Rows(RowsRule {
                table,
                how: seen.and_then(|rows| rows.how.clone()),
                named: true,
                children: children(&measured.catalog, table),
            })
        }
        LockName::Serializable => LockRule::Serializable,
        name => name.in_database(0).map_or(LockRule::None, LockRule::Named),
    }
}

/// The tables that a run protects, where the scenario does not say: all that the clean run wrote, the tables of lock
/// rows left aside, and what one of several locks is said to protect; where that is none, a queue's own.
pub(super) fn protected(
    scenario: &Scenario,
    lock: &LockRule,
    measured: &BaselineRuns,
) -> Vec<String> {
    let rows: Vec<&LockRow> = lock.each().filter_map(LockRule::row).collect();
    let work = |table: &&String| !rows.iter().any(|row| row.table == **table);
    let written = measured.baseline.written.iter();
    let mut tables: Vec<String> = written.filter(work).cloned().collect();
    let mut add = |table: String| {
        if !tables.contains(&table) {
            tables.push(table);
        }
    };
    if let Some(LockName::Several(all)) = &scenario.subject.lock {
        for table in all.iter().flat_map(|one| &one.protect) {
            add(qualified(table));
        }
    }
    // Where the work is in the rows of the queue, or of claims, itself, these are what is guarded.
    if tables.is_empty() {
        let many = rows.iter().filter(|row| row.is_many());
        tables.extend(many.map(|row| row.table.clone()));
    }
    tables
}

/// The tables that refer to this one, each by one foreign key: of two nobody knows which one says whose row it is.
fn children(catalog: &Catalog, table: TableName) -> Vec<TableName> {
    let keys = catalog
        .foreign_keys
        .iter()
        .filter(|key| key.parent == table.as_str());
    let children: Vec<TableName> = keys.map(|key| TableName::new(&key.child)).collect();
    let once = |one: &&TableName| {
        children.iter().filter(|other| other == one).count() == 1 && **one != table
    };
    children.iter().filter(once).copied().collect()
}

/// What the final rows are compared without: what the scenario says, and the lock row's table. (What is left in
/// that is no-leak's affair.)
pub(super) fn ignored(stage: &Stage, named: &[String]) -> Vec<String> {
    let mut all = named.to_vec();
    for row in stage.lock_rows() {
        if !row.rule.is_many() && !all.contains(&row.rule.table) {
            all.push(row.rule.table.clone());
        }
    }
    all
}

/// Refuses a lock row that is not there and that the clean run does not make, a queue of which the clean run claims
/// no row, or some that are done then, and claims of which it makes none.
pub(super) fn is_used(row: &FoundRow, measured: &BaselineRuns) -> Result<(), TrialError> {
    if row.rule.queue.is_some() {
        return is_claimed(&row.rule, measured);
    }
    if row.rule.claim.is_some() {
        return is_inserted(&row.rule, measured);
    }
    let made = |line: &Line| match &line.event {
        Event::LockRow(change) => change.lock == row.rule.place,
        _ => false,
    };
    let whole = |line: &Line| match &line.event {
        Event::Witness { lost, .. } => !lost.contains(&row.rule.table),
        _ => false,
    };
    let clean = measured.clean.lines()?;
    let watched = clean.iter().any(whole);
    if row.there || !watched || clean.iter().any(made) {
        return Ok(());
    }
    Err(TrialError::LockRow(format!(
        "{} is not there once schema and prepare are done, and the clean run of one pod makes none. Look at `row` \
         (its values are compared as text), or at whether the job takes its lock at all",
        row.rule.words()
    )))
}

/// Whether the clean run saw who changes the rows of this lock.
fn is_watched(rule: &LockRow, clean: &[Line]) -> bool {
    clean.iter().any(|line| match &line.event {
        Event::Witness { lost, .. } => !lost.contains(&rule.table),
        _ => false,
    })
}

fn is_inserted(rule: &LockRow, measured: &BaselineRuns) -> Result<(), TrialError> {
    let clean = measured.clean.lines()?;
    let inserted = clean.iter().any(|line| match &line.event {
        Event::LockRow(change) => {
            let is = change.after.as_ref().is_some_and(|after| after.held);
            let was = change.before.as_ref().is_some_and(|before| before.held);
            change.lock == rule.place && is && !was
        }
        _ => false,
    });
    match inserted || !is_watched(rule, &clean) {
        true => Ok(()),
        false => Err(TrialError::LockRow(format!(
            "the clean run claims nothing in {}: it inserts no row there. Look at `claim`, or at whether the job finds \
             work in a fresh database",
            rule.table
        ))),
    }
}

fn is_claimed(rule: &LockRow, measured: &BaselineRuns) -> Result<(), TrialError> {
    let clean = measured.clean.lines()?;
    let versions = clean.iter().filter_map(|line| match &line.event {
        Event::LockRow(change) if change.lock == rule.place => Some(change),
        _ => None,
    });
    let (mut claimed, mut both, mut done) = (false, false, false);
    for change in versions {
        let after = change.after.as_ref();
        claimed |= after.is_some_and(|version| version.held);
        both |= after.is_some_and(|version| version.held && version.done);
        done |= after.map_or(rule.queue == Some(Done::Deleted), |version| version.done);
    }
    // A job that takes the trigger away shows nothing.
    let watched = is_watched(rule, &clean);
    let conditions = match (&rule.held, &rule.queue) {
        (Some(held), Some(Done::When(done))) => format!("claimed ({held}) and done ({done})"),
        (held, _) => format!("claimed ({})", held.as_deref().unwrap_or_default()),
    };
    if both {
        return Err(TrialError::LockRow(format!(
            "`claimed` and `done` overlap: in the clean run a row of {} was {conditions} at once",
            rule.table
        )));
    }
    if watched && !claimed {
        return Err(TrialError::LockRow(format!(
            "the clean run claims no row of {}: of none it came to be true that {}. Look at `claimed`, or at whether the job \
             finds work in a fresh database",
            rule.table,
            rule.held.as_deref().unwrap_or_default()
        )));
    }
    if watched && !done {
        let how = match &rule.queue {
            Some(Done::When(done)) => format!("of none it came to be true that {done}"),
            _ => "none was deleted".to_owned(),
        };
        return Err(TrialError::LockRow(format!(
            "the clean run ends no row of {}: {how}. Look at `done`",
            rule.table
        )));
    }
    Ok(())
}

/// Refuses a table that one of several locks is said to protect and that is not there, neither before the clean run nor
/// after it.
pub(super) fn has_protected(
    scenario: &Scenario,
    measured: &BaselineRuns,
) -> Result<(), TrialError> {
    let (Some(LockName::Several(all)), Some(left)) =
        (&scenario.subject.lock, measured.serial_runs.of_one())
    else {
        return Ok(());
    };
    let named = all.iter().flat_map(|one| &one.protect);
    let mut named = named.map(|table| qualified(table));
    match named.find(|table| !left.state.tables.contains_key(table)) {
        Some(table) => Err(TrialError::Lock(format!(
            "there is no table {table} when the clean run has ended, so that no lock can protect it. Look at `protect` (a \
             table that is not in public needs its schema in front)"
        ))),
        None => Ok(()),
    }
}

/// Refuses a table of row locks that is not there, neither before the clean run nor after it.
pub(super) fn has_rows(rule: &LockRule, measured: &BaselineRuns) -> Result<(), TrialError> {
    let left = measured.serial_runs.of_one();
    let there = |rows: &&RowsRule| {
        left.is_none_or(|run| run.state.tables.contains_key(rows.table.as_str()))
    };
    match rule
        .each()
        .filter_map(LockRule::rows)
        .find(|rows| !there(rows))
    {
        Some(rows) => Err(TrialError::Lock(format!(
            "there is no table {} when the clean run has ended, so that none of its rows can be the lock. Look at \
             `rows` (a table that is not in public needs its schema in front)",
            rows.table
        ))),
        None => Ok(()),
    }
}
