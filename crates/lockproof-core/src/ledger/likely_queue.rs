//! Whether pods claim rows of a table by their status, and of which: a queue.
//!
//! Owns that guess, from the texts of clean and serial runs: a column that is set to a constant when a row is claimed,
//! and to another, or the row deleted, when it is done, while what is free has a third. A flag that is set back to what
//! it was makes no queue. What a driver gives as a parameter, and what a function does, no text tells: such a queue must be
//! named. Knows nothing of which tables are protected.

use std::collections::{BTreeMap, BTreeSet};

use super::likely_row::OWNER;
use crate::history::{Done, Ending, Event, Expiry, Fate, LockRow, rows_told};
use crate::name::{PodName, StepId, TableName};
use crate::sql::{Assigned, Value, With, assigned, compared, created};
use crate::timeline::{StepFacts, Timeline};

/// What names of columns say of an owner, beside what they say of a lock row's.
const WORKER: [&str; 2] = ["worker", "taken_by"];

/// A queue, with the texts by which its rows are claimed and done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LikelyQueue {
    /// What a scenario would say of it.
    pub rule: LockRow,
    /// The column of the status.
    column: String,
    /// What it holds while a row is claimed,
    claimed: String,
    /// and when it is done; `None`: the row is deleted.
    done: Option<String>,
    /// Whether the texts tell each of these for sure; else it is only suggested.
    pub sure: bool,
}

/// What a step does to a row of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Did {
    Claimed,
    Done,
}

/// The queue of which the clean run claims rows. Tables are named as the catalog does, by `qualified`.
#[must_use]
pub fn likely_queue(
    clean: &Timeline<'_>,
    qualified: impl Fn(&str) -> String,
) -> Option<LikelyQueue> {
    let steps = || clean.steps.values().filter(|step| rows(step) > 0);
    let texts = || steps().flat_map(|step| &step.request.sql);
    // What asks for rows may find none, and a definition tells of none.
    let asks: Vec<&String> = clean
        .steps
        .values()
        .flat_map(|step| &step.request.sql)
        .collect();
    let made: Vec<String> = asks
        .iter()
        .flat_map(|sql| created(sql))
        .map(|one| one.name)
        .collect();
    // Of each column the constants that it is set to, in their order.
    let mut columns: Vec<(String, String, Vec<String>)> = Vec::new();
    let mut deleted: Vec<String> = Vec::new();
    for one in texts().flat_map(|sql| assigned(sql)) {
        if one.deletes {
            deleted.push(one.table);
            continue;
        }
        for (column, value) in one.set {
            let Value::Constant(value) = value else {
                continue;
            };
            let same = |known: &&mut (String, String, Vec<String>)| {
                known.0 == one.table && known.1 == column
            };
            match columns.iter_mut().find(same) {
                Some((_, _, values)) if !values.contains(&value) => values.push(value),
                Some(_) => {}
                None => columns.push((one.table.clone(), column, vec![value])),
            }
        }
    }
    columns.into_iter().find_map(|(table, column, values)| {
        // With more, which of them means what no text says.
        let (claimed, done) = match (values.as_slice(), deleted.contains(&table)) {
            ([claimed], true) => (claimed.clone(), None),
            ([claimed, done], false) => (claimed.clone(), Some(done.clone())),
            _ => return None,
        };
        let mine = |sql: &&&String| sql.to_lowercase().contains(&table);
        let compares: Vec<_> = asks
            .iter()
            .filter(mine)
            .flat_map(|sql| compared(sql))
            .collect();
        let free = compares.iter().any(|one| match &one.with {
            With::Constant(value) => {
                one.column == column && claimed != *value && done.as_ref() != Some(value)
            }
            With::Ago(_) => false,
        });
        let did = |sql: &String| {
            let sets = |one: &Assigned, wanted: &String| {
                let mut set = one.set.iter();
                set.any(|(name, value)| {
                    *name == column && *value == Value::Constant(wanted.clone())
                })
            };
            let all = assigned(sql).into_iter().filter(|one| one.table == table);
            let (mut claims, mut ends) = (false, false);
            for one in all {
                claims |= sets(&one, &claimed);
                ends |= match &done {
                    Some(done) => sets(&one, done),
                    None => one.deletes,
                };
            }
            (claims, ends)
        };
        let of_claimed = |sql: &String| {
            let is = With::Constant(claimed.clone());
            let mut all = compared(sql).into_iter();
            all.any(|one| one.column == column && one.with == is)
        };
        if !free || made.contains(&table) {
            return None;
        }
        let claim = texts().flat_map(|sql| assigned(sql)).find(|one| {
            let claims = |set: &(String, Value)| {
                set.0 == column && set.1 == Value::Constant(claimed.clone())
            };
            one.table == table && one.set.iter().any(claims)
        })?;
        // A time that has passed frees a claim where the statement that claims asks for claimed rows, too.
        let reclaims = asks.iter().filter(|sql| did(sql).0 && of_claimed(sql));
        let reclaims: Vec<_> = reclaims.collect();
        let passed = reclaims.iter().flat_map(|sql| compared(sql));
        let expiry = passed.into_iter().find_map(|one| {
            let With::Ago(lease) = one.with else {
                return None;
            };
            let set = claim.set.iter().any(|(name, _)| *name == one.column);
            let expiry = match lease.is_zero() {
                true => Expiry::Until(one.column.clone()),
                false => Expiry::Since {
                    column: one.column.clone(),
                    lease,
                },
            };
            set.then_some(expiry)
        });
        // Who ends whatever is claimed has another stage of the work in hand, not its own claim.
        let stages = asks
            .iter()
            .any(|sql| did(sql).1 && of_claimed(sql) && !sql.to_lowercase().contains(" and "));
        let first = |wanted: fn((bool, bool)) -> bool| texts().position(|sql| wanted(did(sql)));
        let ends_later = first(|(claims, _)| claims) <= first(|(_, ends)| ends);
        let owner = claim.set.iter().map(|(name, _)| name);
        let mut owner =
            owner.filter(|name| OWNER.iter().chain(&WORKER).any(|word| name.contains(word)));
        Some(LikelyQueue {
            rule: LockRow {
                table: qualified(&table),
                row: BTreeMap::new(),
                place: 0,
                owner: owner.next().cloned(),
                expiry: expiry.clone(),
                held: Some(format!("{column} = {claimed}")),
                token: None,
                fencing: false,
                claim: None,
                queue: Some(match &done {
                    Some(done) => Done::When(format!("{column} = {done}")),
                    None => Done::Deleted,
                }),
            },
            sure: !stages && ends_later && (reclaims.is_empty() || expiry.is_some()),
            column,
            claimed,
            done,
        })
    })
}

/// Whether all that this run wrote elsewhere was written while its pod had a row of the queue claimed; `None` where it
/// wrote nothing elsewhere.
#[must_use]
pub fn keeps_claims(timeline: &Timeline<'_>, queue: &LikelyQueue) -> Option<bool> {
    let own = TableName::new(&queue.rule.table);
    let mut wrote: BTreeSet<StepId> = BTreeSet::new();
    for line in timeline.lines {
        let Event::Write(write) = &line.event else {
            continue;
        };
        let changed = write.extent.changed.as_ref();
        let none = changed.is_some_and(Vec::is_empty);
        let of_queue = TableName::new(&write.table).may_mean(own);
        if write.connection.is_none() || none || of_queue {
            continue;
        }
        if write.extent.fate == Some(Fate::RolledBack) {
            continue;
        }
        let step = write.step.and_then(|step| timeline.steps.get(&step));
        match step.filter(|step| step.released.is_some()) {
            Some(step) => wrote.insert(step.id),
            None => return Some(false),
        };
    }
    if wrote.is_empty() {
        return None;
    }
    Some(wrote.is_subset(&claimed_steps(timeline, queue)))
}

/// The steps at which their pod has a row of the queue claimed and not done.
pub(super) fn claimed_steps(timeline: &Timeline<'_>, queue: &LikelyQueue) -> BTreeSet<StepId> {
    // How many rows each pod has.
    let mut claimed: BTreeMap<&PodName, u64> = BTreeMap::new();
    let mut steps: Vec<(u64, &StepFacts<'_>)> = timeline
        .steps
        .values()
        .filter_map(|step| Some((step.released?.seq, step)))
        .collect();
    steps.sort_by_key(|(at, _)| *at);
    let mut found = BTreeSet::new();
    for (_, step) in steps {
        let has = claimed.entry(step.pod()).or_default();
        let did: Vec<Did> = step
            .request
            .sql
            .iter()
            .flat_map(|sql| queue.did(sql))
            .collect();
        if did.contains(&Did::Claimed) {
            *has += rows(step);
        }
        if *has > 0 {
            found.insert(step.id);
        }
        if did.contains(&Did::Done) {
            *has = has.saturating_sub(rows(step).max(1));
        }
    }
    found
}

impl LikelyQueue {
    /// What a text does to rows of the queue.
    fn did(&self, sql: &str) -> Vec<Did> {
        let own = TableName::new(&self.rule.table);
        let mut did = Vec::new();
        for one in assigned(sql) {
            if !TableName::new(&one.table).may_mean(own) {
                continue;
            }
            if one.deletes && self.done.is_none() {
                did.push(Did::Done);
            }
            for (column, value) in one.set {
                let Value::Constant(value) = value else {
                    continue;
                };
                if column != self.column {
                    continue;
                }
                did.push(match value == self.claimed {
                    true => Did::Claimed,
                    false => Did::Done,
                });
            }
        }
        did
    }
}

/// How many rows a step's answers tell of; of one that failed or was not answered none.
fn rows(step: &StepFacts<'_>) -> u64 {
    let end = step.last().filter(|end| end.ending == Ending::Done);
    let Some(end) = end.filter(|end| end.answer.error.is_none()) else {
        return 0;
    };
    let tags = end.answer.tags.iter();
    tags.filter_map(|tag| rows_told(tag)).max().unwrap_or(0)
}
