//! The locks with which a job was seen to guard itself, where the scenario names none.
//!
//! Owns which of those that clean and serial runs show are judged, which are only told, and how a scenario names them:
//! the rule of a run, the first lines of `explore` and the file of `init` come from here. Knows nothing of what a
//! scenario says.

use std::collections::BTreeSet;

use crate::history::{LockRow, LockRule, OneLock, RowsRule, Rules};
use crate::ledger::Guard;
use crate::name::{KeyForm, LockKey, TableName};
use crate::run::BaselineRuns;
use crate::scenario::{LockName, ProtectingLock};

/// A lock that was seen and is not judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beside {
    /// What it is called.
    pub words: String,
    /// How a scenario would name it, and which tables it covers; `None`: not all that is written of any table.
    pub name: Option<ProtectingLock>,
}

/// The lock that is judged, of a job that writes these tables: what covers all of them. That is the first of these that
/// does: the locks that `pg_locks` shows, rows of one table, the server's check of serializable transactions, a queue;
/// else several of them together. (Where an advisory lock covers a part, and nothing the rest, it is judged for that
/// part.)
pub(super) fn judged(measured: &BaselineRuns, tables: &[String]) -> LockRule {
    if !measured.locks.is_empty() {
        let keys = LockRule::FromCleanRun(measured.locks.clone());
        let outside = measured.coverage.outside(&measured.locks);
        let (outside, inside): (Vec<String>, Vec<String>) = tables
            .iter()
            .cloned()
            .partition(|table| outside.contains(table));
        return match together(measured, &outside) {
            Some(parts) if !inside.is_empty() => {
                let inside = one(keys, inside);
                LockRule::Several(std::iter::once(inside).chain(parts).collect())
            }
            _ => keys,
        };
    }
    if let Some(rows) = &measured.rows {
        return LockRule::Rows(rows.clone());
    }
    if measured.serializable {
        return LockRule::Serializable;
    }
    if let Some(queue) = &measured.queue {
        return LockRule::Row(Box::new(queue.clone()));
    }
    together(measured, tables).map_or(LockRule::None, LockRule::Several)
}

fn one(lock: LockRule, protect: Vec<String>) -> OneLock {
    OneLock {
        lock,
        mode: None,
        protect,
    }
}

/// Locks that cover all of these tables together, each those that none before it does; `None` where there are none.
fn together(measured: &BaselineRuns, tables: &[String]) -> Option<Vec<OneLock>> {
    let mut left: BTreeSet<&String> = tables.iter().collect();
    let mut parts = Vec::new();
    for guard in measured.coverage.guards() {
        let kept = measured.coverage.kept(guard);
        let mine: Vec<String> = left
            .iter()
            .filter(|table| kept.contains(**table))
            .map(|table| (*table).clone())
            .collect();
        if mine.is_empty() {
            continue;
        }
        let own = match guard {
            Guard::Queue(queue) => Some(&queue.rule.table),
            Guard::Key(_) | Guard::Rows(_) => None,
        };
        left.retain(|table| !mine.contains(table) && Some(*table) != own);
        parts.push(one(rule_of(guard), mine));
    }
    (left.is_empty() && !parts.is_empty()).then_some(parts)
}

fn rule_of(guard: &Guard) -> LockRule {
    match guard {
        Guard::Key(key) => LockRule::FromCleanRun(vec![*key]),
        Guard::Rows(rows) => LockRule::Rows(rows.clone()),
        Guard::Queue(queue) => LockRule::Row(Box::new(queue.rule.clone())),
    }
}

/// The locks that were seen beside the one that is judged.
#[must_use]
pub fn beside(measured: &BaselineRuns, judged: &LockRule) -> Vec<Beside> {
    let is_judged = |guard: &Guard| {
        judged.each().any(|lock| match (lock, guard) {
            (LockRule::FromCleanRun(keys), Guard::Key(key)) => {
                keys.iter().any(|one| one.same_key(key))
            }
            (LockRule::Named(one), Guard::Key(key)) => one.same_key(key),
            (LockRule::Rows(one), Guard::Rows(rows)) => one.table == rows.table,
            (LockRule::Row(one), Guard::Queue(queue)) => {
                one.queue.is_some() && one.table == queue.rule.table
            }
            _ => false,
        })
    };
    // Who claims a row of a queue mostly locks it first.
    let of_queue = |guard: &Guard, kept: &[String]| {
        let Guard::Rows(rows) = guard else {
            return false;
        };
        let mut guards = measured.coverage.guards().iter();
        kept.is_empty()
            && guards.any(|one| matches!(one, Guard::Queue(queue) if rows.table.may_mean(TableName::new(&queue.rule.table))))
    };
    let guards = measured.coverage.guards().iter();
    let seen = guards
        .filter(|guard| !is_judged(guard))
        .filter_map(|guard| {
            let kept: Vec<String> = measured.coverage.kept(guard).into_iter().collect();
            if of_queue(guard, &kept) {
                return None;
            }
            Some(Beside {
                words: words(guard),
                name: (!kept.is_empty()).then(|| ProtectingLock {
                    lock: name_of(guard),
                    protect: kept,
                }),
            })
        });
    seen.collect()
}

fn words(guard: &Guard) -> String {
    match guard {
        Guard::Key(key) => key.in_full(),
        Guard::Rows(rows) => rows.in_full(),
        Guard::Queue(queue) => queue.rule.in_full(),
    }
}

/// How a scenario names what is judged, and `likely`, a row that looks like a lock, beside it; `None` where no name says
/// it: where the job locks a key for each part of its work, which of them guards a table is not known.
#[must_use]
pub fn suggested(
    measured: &BaselineRuns,
    rules: &Rules,
    likely: Option<&LockRow>,
) -> Option<LockName> {
    let (judged, tables, unguarded) = (&rules.lock, &rules.protect, &rules.unguarded);
    let own = |table: &String| {
        likely.is_some_and(|row| TableName::new(&row.table).may_mean(TableName::new(table)))
    };
    let tables: &[String] = &tables
        .iter()
        .filter(|table| !own(table))
        .cloned()
        .collect::<Vec<_>>();
    let guarded: Vec<String> = tables
        .iter()
        .filter(|table| !unguarded.contains(table))
        .cloned()
        .collect();
    let mut names = match judged {
        LockRule::None => Vec::new(),
        LockRule::Several(parts) => {
            let parts = parts
                .iter()
                .map(|part| names_of(measured, &part.lock, &part.protect));
            parts.collect::<Option<Vec<_>>>()?.concat()
        }
        one => names_of(measured, one, &guarded)?,
    };
    if let Some(row) = likely {
        let covered: BTreeSet<String> = names
            .iter_mut()
            .flat_map(|name| {
                name.protect.retain(|table| !own(table));
                name.protect.clone()
            })
            .collect();
        // Where the other locks cover all, the row is one more for all.
        let free = tables.iter().filter(|table| !covered.contains(*table));
        let free: Vec<String> = free.cloned().collect();
        names.retain(|name| !name.protect.is_empty());
        names.push(ProtectingLock {
            lock: row_name(row),
            protect: match free.is_empty() {
                true => tables.to_vec(),
                false => free,
            },
        });
    }
    named(names, tables)
}

/// A lock with another beside it, in a job that writes these tables.
pub(super) fn with(
    lock: Option<LockName>,
    beside: &ProtectingLock,
    tables: &[String],
) -> Option<LockName> {
    let mut names = match lock {
        Some(LockName::Several(all)) => all,
        Some(one) => vec![ProtectingLock {
            lock: one,
            protect: Vec::new(),
        }],
        None => Vec::new(),
    };
    names.push(beside.clone());
    named(names, tables)
}

/// These locks as one; one that covers all of the tables says none.
fn named(mut names: Vec<ProtectingLock>, tables: &[String]) -> Option<LockName> {
    for name in &mut names {
        let protect: Vec<String> = name.protect.iter().map(|table| short(table)).collect();
        let mut all = tables.iter();
        name.protect = match all.all(|table| protect.contains(&short(table))) {
            true => Vec::new(),
            false => protect,
        };
    }
    match names.as_slice() {
        [] => None,
        [only] if only.protect.is_empty() => names.pop().map(|only| only.lock),
        _ => Some(LockName::Several(names)),
    }
}

/// The names of one lock of the rule, which covers these tables, or of several keys that do together.
fn names_of(
    measured: &BaselineRuns,
    rule: &LockRule,
    tables: &[String],
) -> Option<Vec<ProtectingLock>> {
    let all = |lock| {
        Some(vec![ProtectingLock {
            lock,
            protect: tables.to_vec(),
        }])
    };
    match rule {
        LockRule::FromCleanRun(keys) => match keys.as_slice() {
            [only] => all(key(only)),
            several => {
                let named = several.iter().map(|one| {
                    let kept = measured.coverage.kept(&Guard::Key(*one));
                    let kept = tables.iter().filter(|table| kept.contains(*table));
                    ProtectingLock {
                        lock: key(one),
                        protect: kept.cloned().collect(),
                    }
                });
                let named: Vec<_> = named.filter(|one| !one.protect.is_empty()).collect();
                let covered = |table: &String| named.iter().any(|one| one.protect.contains(table));
                tables.iter().all(covered).then_some(named)
            }
        },
        LockRule::Rows(rows) => all(rows_name(rows)),
        LockRule::Serializable => all(LockName::Serializable),
        LockRule::Row(row) => all(row_name(row)),
        LockRule::Named(_) | LockRule::Several(_) | LockRule::None => None,
    }
}

fn name_of(guard: &Guard) -> LockName {
    match guard {
        Guard::Key(one) => key(one),
        Guard::Rows(rows) => rows_name(rows),
        Guard::Queue(queue) => row_name(&queue.rule),
    }
}

fn row_name(row: &LockRow) -> LockName {
    LockName::Row(Box::new(LockRow {
        table: short(&row.table),
        ..row.clone()
    }))
}

fn rows_name(rows: &RowsRule) -> LockName {
    LockName::Rows(TableName::new(&short(rows.table.as_str())))
}

fn short(table: &str) -> String {
    TableName::new(table).to_string()
}

/// A lock that `pg_locks` shows, as a scenario names it.
fn key(key: &LockKey) -> LockName {
    match key.form {
        KeyForm::OneBigint => {
            let bits = (u64::from(key.high) << 32) | u64::from(key.low);
            LockName::Key(bits.cast_signed())
        }
        KeyForm::TwoInts => LockName::Keys([key.high.cast_signed(), key.low.cast_signed()]),
        KeyForm::Relation(table) => LockName::Relation {
            table: TableName::new(&short(table.as_str())),
            mode: None,
        },
    }
}
