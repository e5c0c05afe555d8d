//! Whether pods guard themselves with rows of a table, and of which.
//!
//! Owns that guess, from the texts of clean and serial runs: a locking read that gave rows, and all that was written
//! while its transaction was open. A look at the server comes later, when the rule is known. Knows nothing of which
//! tables are protected.

use std::collections::BTreeMap;

use crate::history::{Ending, Event, RowsRule, rows_told};
use crate::name::{PodName, StepId, TableName};
use crate::sql::row_locks;
use crate::timeline::{StepFacts, Timeline, by_session};

/// Rows that a pod had locked: from the answer to the end of its transaction.
struct Held<'a> {
    table: TableName,
    how: String,
    pod: &'a PodName,
    from: u64,
    to: u64,
}

/// The tables of which a pod locks rows in this run, in the order in which it does. Tables are named as the catalog
/// does, by `qualified`.
#[must_use]
pub fn row_guards(timeline: &Timeline<'_>, qualified: impl Fn(&str) -> String) -> Vec<RowsRule> {
    let mut candidates: Vec<RowsRule> = Vec::new();
    for one in held(timeline) {
        let table = TableName::new(&qualified(one.table.as_str()));
        if !candidates.iter().any(|known| known.table == table) {
            candidates.push(RowsRule {
                table,
                how: Some(one.how),
                named: false,
                children: Vec::new(),
            });
        }
    }
    candidates
}

/// When pods had rows of a table locked, in a run.
pub(super) struct RowTimes<'a>(BTreeMap<&'a PodName, Vec<(u64, u64)>>);

impl<'a> RowTimes<'a> {
    pub(super) fn of(timeline: &Timeline<'a>, table: TableName) -> Self {
        let mut times: BTreeMap<&PodName, Vec<(u64, u64)>> = BTreeMap::new();
        for one in held(timeline) {
            if one.table.may_mean(table) {
                let own = times.entry(one.pod).or_default();
                // In their order, each with the latest end so far: the last that began tells for all before it.
                let latest = own.last().map_or(one.to, |(_, to)| one.to.max(*to));
                own.push((one.from, latest));
            }
        }
        Self(times)
    }

    /// Whether a step's pod had some when the step was given to the server.
    pub(super) fn has(&self, step: &StepFacts<'_>) -> bool {
        let at = step.released.map_or(0, |at| at.seq);
        let Some(own) = self.0.get(step.pod()) else {
            return false;
        };
        let begun = own.partition_point(|(from, _)| *from <= at);
        begun > 0 && own[begun - 1].1 >= at
    }
}

/// Whether all that this run wrote was written while its pod had a row of this table locked, in one of its sessions. A
/// run that wrote nothing says nothing.
#[must_use]
pub fn keeps_rows(timeline: &Timeline<'_>, table: TableName) -> bool {
    let times = RowTimes::of(timeline, table);
    let mut wrote: BTreeMap<StepId, &StepFacts<'_>> = BTreeMap::new();
    for line in timeline.lines {
        if let Event::Write(write) = &line.event
            && write.connection.is_some()
            && write
                .extent
                .changed
                .as_ref()
                .is_none_or(|changed| !changed.is_empty())
        {
            let Some(step) = write.step.and_then(|step| timeline.steps.get(&step)) else {
                return false;
            };
            wrote.insert(step.id, step);
        }
    }
    wrote.values().all(|step| times.has(step))
}

/// What the locking reads of a run had locked, in the order in which they began.
fn held<'a>(timeline: &Timeline<'a>) -> Vec<Held<'a>> {
    let mut found = Vec::new();
    for own in by_session(&timeline.steps).into_values() {
        // Those of the transaction that is open.
        let mut open: Vec<Held<'a>> = Vec::new();
        for step in own {
            let (Some(from), Some(end)) = (step.released, step.last()) else {
                continue;
            };
            let done = end.ending == Ending::Done && end.answer.error.is_none();
            let gave = end.answer.tags.iter().any(|tag| rows_told(tag) > Some(0));
            if done && gave {
                let clauses = step.request.normal.iter().flat_map(|sql| row_locks(sql));
                for clause in clauses.filter(|clause| clause.keeps_its_like_out) {
                    open.extend(clause.tables.iter().map(|table| Held {
                        table: TableName::new(table),
                        how: clause.how.clone(),
                        pod: step.pod(),
                        from: from.seq,
                        to: u64::MAX,
                    }));
                }
            }
            // What a rollback to a savepoint gives back its text does not tell: then nothing is known.
            let back = step.request.normal.iter().any(|sql| {
                let words: Vec<&str> = sql.split_whitespace().collect();
                words
                    .first()
                    .is_some_and(|word| word.eq_ignore_ascii_case("rollback"))
                    && words.len() > 1
            });
            if step.leaves_none_open() || back {
                for mut one in open.drain(..) {
                    one.to = end.at.seq;
                    found.push(one);
                }
            }
        }
        found.append(&mut open);
    }
    found.sort_by_key(|one| one.from);
    found
}
