//! Which lock a trial's runs are judged by.
//!
//! Owns what comes of a scenario's `lock`, of the row that the templates have, and of the clean run together.

use super::error::TrialError;
use super::stage::Stage;
use crate::evidence::FoundRow;
use crate::history::{Catalog, Event, Line, LockRule, RowsRule};
use crate::name::{LockKey, TableName};
use crate::run::{BaselineRuns, qualified};
use crate::scenario::{LockName, Scenario};

/// The lock that must guard the protected tables: what the scenario names, or what the clean run takes; where it
/// takes none, rows of the table of which it locks some around all that it writes; where it locks none either, the
/// server's check, if all its transactions are serializable.
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
        None if clean.is_empty() => match (rows, measured.serializable) {
            (Some(rows), _) => LockRule::Rows(rows.clone()),
            (None, true) => LockRule::Serializable,
            (None, false) => LockRule::None,
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
    let lock = stage.lock_row().map(|row| row.rule.table.clone());
    let lock = lock.filter(|table| !named.contains(table));
    named.iter().cloned().chain(lock).collect()
}

/// Refuses a lock row that is not there and that the clean run does not make.
pub(super) fn is_used(row: &FoundRow, measured: &BaselineRuns) -> Result<(), TrialError> {
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
