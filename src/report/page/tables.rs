//! Rows of the tables: how many each write changed, and the difference of the final rows.
//!
//! Owns those values. The witness counts rows; where it did not, a table's number is not known until something
//! tells it (a TRUNCATE, the final rows).

use std::collections::HashMap;

use serde::Serialize;

use super::at::At;
use super::shown::shown;
use crate::history::{Event, Fate, Operation};
use crate::name::ConnectionName;
use crate::state::{Cell, Differs};
use crate::timeline::{Moment, StepFacts, Timeline};

/// A write that stayed.
#[derive(Debug, Clone, Serialize)]
pub(super) struct WriteData {
    /// When its step was answered.
    pub at: At,
    /// The line from which on others see it: its transaction had ended. Absent: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen: Option<u64>,
    pub table: String,
    /// By how much the number of rows changed; absent: it was emptied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<i64>,
    /// The line that tells it.
    pub seq: u64,
}

/// All writes that stayed, in the order of their steps.
pub(super) fn writes(timeline: &Timeline<'_>) -> Vec<WriteData> {
    // When each connection's transactions ended.
    let mut ends: HashMap<&ConnectionName, Vec<u64>> = HashMap::new();
    let mut ended: Vec<(&StepFacts<'_>, u64)> = timeline
        .steps
        .values()
        .filter_map(|step| {
            let end = step.last()?;
            (end.answer.transaction == Some('I')).then_some((step, end.at.seq))
        })
        .collect();
    ended.sort_by_key(|(_, seq)| *seq);
    for (step, seq) in ended {
        ends.entry(step.connection).or_default().push(seq);
    }
    let mut all = Vec::new();
    for line in timeline.lines {
        let Event::Write(write) = &line.event else {
            continue;
        };
        let step = write.step.and_then(|step| timeline.steps.get(&step));
        let Some(at) = step.and_then(|step| step.last()).map(|end| end.at) else {
            continue;
        };
        if write.extent.fate == Some(Fate::RolledBack) {
            continue;
        }
        let seen = step.and_then(|step| {
            let ends = ends.get(step.connection)?;
            ends.get(ends.partition_point(|seq| *seq < at.seq)).copied()
        });
        let sign = match write.operation {
            Operation::Insert => 1,
            Operation::Delete => -1,
            Operation::Truncate => {
                all.push(WriteData {
                    at: at.into(),
                    seen,
                    table: shown(&write.table),
                    rows: None,
                    seq: line.seq,
                });
                continue;
            }
            Operation::Update => 0,
            Operation::Ddl(_) => continue,
        };
        for changed in write.extent.changed.iter().flatten() {
            let rows = i64::try_from(changed.rows).unwrap_or(i64::MAX);
            all.push(WriteData {
                at: at.into(),
                seen,
                table: shown(&changed.table),
                rows: Some(sign * rows),
                seq: line.seq,
            });
        }
    }
    all.sort_by_key(|one| (one.at.0, one.seq));
    all
}

/// The line at which a moment is.
pub(super) fn moment(timeline: &Timeline<'_>, seq: u64) -> Option<Moment> {
    let place = timeline
        .lines
        .binary_search_by_key(&seq, |line| line.seq)
        .ok()?;
    Some(Moment::of(&timeline.lines[place]))
}

/// The difference of a table's final rows.
#[derive(Debug, Clone, Serialize)]
pub(super) struct RowDiff {
    /// How many rows were expected, and how many found.
    pub counts: (u64, u64),
    pub columns: Vec<String>,
    /// Each row: what was expected and what was found in each column; absent where there is no such row.
    pub rows: Vec<RowPair>,
    /// How many more rows differ.
    pub more: usize,
}

/// An expected row and the one in its place.
#[derive(Debug, Clone, Serialize)]
pub(super) struct RowPair {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<Vec<String>>,
    /// The columns that differ.
    pub differ: Vec<String>,
}

/// A value is cut at so many characters.
const VALUE: usize = 120;

impl RowDiff {
    /// Of this difference, if it is one of rows.
    pub(super) fn of(differs: &Differs) -> Option<Self> {
        let Differs::Rows {
            expected,
            found,
            first,
            more,
        } = differs
        else {
            return None;
        };
        let mut columns: Vec<String> = Vec::new();
        for cell in first
            .iter()
            .flat_map(|row| row.expected.iter().chain(&row.found))
            .flatten()
        {
            if !columns.contains(&cell.column) {
                columns.push(cell.column.clone());
            }
        }
        let values = |cells: &Vec<Cell>| -> Vec<String> {
            let value = |column: &String| {
                let cell = cells.iter().find(|cell| cell.column == *column);
                match cell.map(|cell| &cell.value) {
                    None => String::new(),
                    Some(None) => "NULL".to_owned(),
                    Some(Some(value)) => super::shown::start(value, VALUE),
                }
            };
            columns.iter().map(value).collect()
        };
        let rows = first.iter().map(|row| RowPair {
            expected: row.expected.as_ref().map(values),
            found: row.found.as_ref().map(values),
            differ: row.columns.iter().map(|name| shown(name)).collect(),
        });
        Some(Self {
            counts: (*expected, *found),
            rows: rows.collect(),
            columns: columns.iter().map(|name| shown(name)).collect(),
            more: *more,
        })
    }
}
