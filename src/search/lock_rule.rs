//! Which lock a trial's runs are judged by.
//!
//! Owns what comes of a scenario's `lock`, of the row that the templates have, and of the clean run together.

use super::error::TrialError;
use super::stage::Stage;
use crate::evidence::FoundRow;
use crate::history::{Catalog, Done, Event, Line, LockRow, LockRule, RowsRule};
use crate::name::{LockKey, TableName};
use crate::run::{BaselineRuns, qualified};
use crate::scenario::{LockName, Scenario};

/// The lock that must guard the protected tables: what the scenario names, or what the clean run takes; where it
/// takes none, rows of the table of which it locks some around all that it writes; where it locks none either, the
/// server's check, if all its transactions are serializable; else the rows of a queue that it claims.
pub(super) fn lock_rule(scenario: &Scenario, measured: &BaselineRuns) -> LockRule {
    let (clean, rows) = (measured.locks.as_slice(), measured.rows.as_ref());
    match &scenario.subject.lock {
        Some(LockName::Relation { table, .. }) => LockRule::Named(LockKey::relation(
            0,
            TableName::new(&qualified(table.as_str())),
        )),
        Some(LockName::Rows(table)) => {
            let table = TableName::new(&qualified(table.as_str()));
            let seen = rows.filter(|rows| rows.table == table);
            LockRule::Rows(RowsRule {
                table,
                how: seen.and_then(|rows| rows.how.clone()),
                named: true,
                children: children(&measured.catalog, table),
            })
        }
        Some(LockName::Serializable) => LockRule::Serializable,
        Some(name) => name.in_database(0).map_or(LockRule::None, LockRule::Named),
        None if clean.is_empty() => match (rows, measured.serializable, &measured.queue) {
            (Some(rows), _, _) => LockRule::Rows(rows.clone()),
            (None, true, _) => LockRule::Serializable,
            (None, false, Some(queue)) => LockRule::Row(Box::new(queue.clone())),
            (None, false, None) => LockRule::None,
        },
        None => LockRule::FromCleanRun(clean.to_vec()),
    }
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
    let row = stage.lock_row().filter(|row| row.rule.queue.is_none());
    let lock = row.map(|row| row.rule.table.clone());
    let lock = lock.filter(|table| !named.contains(table));
    named.iter().cloned().chain(lock).collect()
}

/// Refuses a lock row that is not there and that the clean run does not make, and a queue of which the clean run claims
/// no row, or some that are done then.
pub(super) fn is_used(row: &FoundRow, measured: &BaselineRuns) -> Result<(), TrialError> {
    if row.rule.queue.is_some() {
        return is_claimed(&row.rule, measured);
    }
    let made = |line: &Line| matches!(line.event, Event::LockRow(_));
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

fn is_claimed(rule: &LockRow, measured: &BaselineRuns) -> Result<(), TrialError> {
    let clean = measured.clean.lines()?;
    let versions = clean.iter().filter_map(|line| match &line.event {
        Event::LockRow(change) => change.after.as_ref(),
        _ => None,
    });
    let (mut claimed, mut both) = (false, false);
    for version in versions {
        claimed |= version.held;
        both |= version.held && version.done;
    }
    // A job that takes the trigger away shows nothing.
    let watched = clean.iter().any(|line| match &line.event {
        Event::Witness { lost, .. } => !lost.contains(&rule.table),
        _ => false,
    });
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
    Ok(())
}

/// Refuses a table of row locks that is not there, neither before the clean run nor after it.
pub(super) fn has_rows(rule: &LockRule, measured: &BaselineRuns) -> Result<(), TrialError> {
    let Some(rows) = rule.rows() else {
        return Ok(());
    };
    let left = measured.serial_runs.of_one();
    if left.is_none_or(|run| run.state.tables.contains_key(rows.table.as_str())) {
        return Ok(());
    }
    Err(TrialError::Lock(format!(
        "there is no table {} when the clean run has ended, so that none of its rows can be the lock. Look at `rows` \
         (a table that is not in public needs its schema in front)",
        rows.table
    )))
}
