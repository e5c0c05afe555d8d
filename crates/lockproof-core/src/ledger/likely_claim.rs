//! Keys that look like claims: a pod inserts one row into a table, once, and does its work elsewhere; and either the text
//! says what is to happen where the key is there (ON CONFLICT DO NOTHING), before anything else is written, or a later pod of
//! a serial run was told so, and left the work alone.
//!
//! Owns that guess. It is only ever suggested: that a row is a claim and no part of the work its text does not prove.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::{Catalog, Ending, Event, Fate, LockRow, UniqueKey, rows_told, wrote_nothing};
use crate::name::{PodName, TableName};
use crate::sql::{Inserted, inserted};
use crate::timeline::{StepFacts, Timeline};

/// A row that the clean run inserts once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LikelyClaim {
    /// The table, as the catalog spells it.
    table: String,
    /// The columns that the statement names; empty: all.
    columns: Vec<String>,
    /// The unique key that an error named.
    constraint: Option<String>,
    /// Whether it says that a key that is there is no error, and does nothing then, before anything else is written.
    says_so: bool,
    /// Whether a later pod of a serial run was told that the key is there, and left the work alone.
    pub seen: bool,
}

/// The rows that the clean run inserts once each, and that may be claims. Tables are named as the catalog does, by
/// `qualified`.
#[must_use]
pub fn likely_claims(clean: &Timeline<'_>, qualified: impl Fn(&str) -> String) -> Vec<LikelyClaim> {
    let written = written(clean);
    // How many rows each insert made, by its table.
    let mut made: BTreeMap<String, Vec<(u64, Inserted, bool)>> = BTreeMap::new();
    for step in clean.steps.values() {
        let end = step.last().filter(|end| end.ending == Ending::Done);
        let Some(end) = end.filter(|end| end.answer.error.is_none()) else {
            continue;
        };
        let normal = &step.request.normal;
        let at = step.released.map_or(0, |at| at.seq);
        for one in normal {
            let Some(insert) = inserted(one) else {
                continue;
            };
            let nothing = insert.tolerates_equal_keys && one.to_lowercase().contains("do nothing");
            let tags = end.answer.tags.iter().filter_map(|tag| rows_told(tag));
            let rows: u64 = tags.sum();
            let entry = made.entry(qualified(&insert.table)).or_default();
            // Of several at once nobody knows which made how many.
            let times = match (normal.len(), rows) {
                (1, 0) => 0,
                (1, 1) => 1,
                _ => 2,
            };
            entry.extend((0..times).map(|_| (at, insert.clone(), nothing)));
        }
    }
    let claims = made.into_iter().filter_map(|(table, inserts)| {
        let [(at, insert, nothing)] = inserts.as_slice() else {
            return None;
        };
        let own = TableName::new(&table);
        let others = |(name, _): &&(String, u64)| !TableName::new(name).may_mean(own);
        let first = written.iter().filter(others).map(|(_, seq)| *seq).min()?;
        Some(LikelyClaim {
            columns: insert.columns.clone(),
            constraint: None,
            says_so: *nothing && *at < first,
            seen: false,
            table,
        })
    });
    claims.collect()
}

/// The tables in which rows were changed for good, each time with the line by which that was asked for.
fn written(timeline: &Timeline<'_>) -> Vec<(String, u64)> {
    writes(timeline).map(|(table, _, at)| (table, at)).collect()
}

fn writes<'t>(timeline: &'t Timeline<'_>) -> impl Iterator<Item = (String, &'t PodName, u64)> {
    timeline.lines.iter().filter_map(|line| {
        let Event::Write(write) = &line.event else {
            return None;
        };
        let none = write.extent.changed.as_ref().is_some_and(Vec::is_empty);
        if write.extent.fate == Some(Fate::RolledBack) || none {
            return None;
        }
        let pod = &write.connection.as_ref()?.pod;
        let step = write.step.and_then(|step| timeline.steps.get(&step));
        let at = step
            .and_then(|step| step.released)
            .map_or(line.seq, |at| at.seq);
        Some((write.table.clone(), pod, at))
    })
}

impl LikelyClaim {
    /// Looks at a later pod of a serial run.
    pub fn take(&mut self, serial: &Timeline<'_>) {
        let own = TableName::new(&self.table);
        let at_work: BTreeSet<&PodName> = writes(serial)
            .filter(|(table, ..)| !TableName::new(table).may_mean(own))
            .map(|(_, pod, _)| pod)
            .collect();
        for step in serial.steps.values() {
            if let Some(constraint) = told(step, own)
                && !at_work.contains(step.pod())
                && !at_work.is_empty()
            {
                self.seen = true;
                self.constraint = self.constraint.take().or(constraint);
            }
        }
    }

    /// What a scenario would say of it, where it is one: the key is one of the table's unique ones.
    #[must_use]
    pub fn rule(&self, catalog: &Catalog) -> Option<LockRow> {
        if !self.says_so && !self.seen {
            return None;
        }
        let named = |key: &&UniqueKey| {
            let given = |column: &String| {
                self.columns.is_empty() || self.columns.contains(&column.to_lowercase())
            };
            match &self.constraint {
                Some(constraint) => key.name == *constraint,
                None => key.columns.iter().all(given),
            }
        };
        let keys = catalog.keys.iter().filter(|key| key.table == self.table);
        let whole =
            |key: &&UniqueKey| !key.columns.is_empty() && !key.columns.contains(&String::new());
        let mut keys = keys.filter(whole).filter(named);
        let key = keys.next()?;
        if keys.any(|other| other.columns != key.columns) {
            return None;
        }
        Some(LockRow::of_claims(self.table.clone(), key.columns.clone()))
    }
}

/// Whether a step was told that the key that it inserts into this table is there, and the unique key that an error
/// names.
fn told(step: &StepFacts<'_>, table: TableName) -> Option<Option<String>> {
    let end = step.last().filter(|end| end.ending == Ending::Done)?;
    let mut inserts = step.request.normal.iter().filter_map(|one| inserted(one));
    let insert = inserts.find(|one| TableName::new(&one.table).may_mean(table))?;
    match &end.answer.error {
        Some(error) => {
            let own = error.table.as_deref().map(TableName::new);
            let own = own.is_none_or(|own| own.may_mean(table));
            (error.sqlstate == "23505" && own).then(|| error.constraint.clone())
        }
        // Whoever updates the row instead is told in another way.
        None => {
            let none = end.answer.tags.iter().all(|tag| wrote_nothing(tag));
            let updates = !step
                .request
                .normal
                .iter()
                .any(|one| one.to_lowercase().contains("do nothing"));
            (insert.tolerates_equal_keys && (none || updates)).then_some(None)
        }
    }
}
