//! Pairs of steps that may race inside: where no boundary between two steps is the place at which it goes wrong.
//!
//! Owns that question alone. A statement that only puts in given rows, or changes rows where they are, is one
//! moment to all others, and the order of two such moments is a hazard of another kind. One that reads what the
//! other writes and writes what the other touches has a middle (insert … where not exists, MERGE, a function,
//! several statements in one request), and so has one that does its work in several tables.
//!
//! Where such a step can be stopped the catalog and what it was seen to write tell: at tables that are there before
//! the run. Reads in its middle have no such point.

use std::collections::BTreeSet;

use super::anchor::{before, end};
use super::trace::Trace;
use crate::history::{Catalog, Operation};
use crate::name::PodName;
use crate::schedule::{InnerPoint, Move, Stop, Turn};
use crate::search::footprint::Step;
use crate::sql::{Kind, meaning};

/// At so many tables of a step.
const MOST_TABLES: usize = 4;

/// An order in which one pod stops inside a step and the other goes to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InnerStop {
    /// Its moves.
    pub moves: Vec<Move>,
    /// What it is, in a sentence.
    pub title: String,
}

/// The orders that stop one of these two pods inside one of these two steps, the likeliest first: before it writes to
/// a table, then behind the first row that it writes there.
pub(super) fn inner_stops(
    trace: &Trace,
    catalog: &Catalog,
    (a, b): (&PodName, &PodName),
    (one, other): (usize, usize),
) -> Vec<InnerStop> {
    let mut found = Vec::new();
    for row in [None, Some(1)] {
        for (place, against) in [(one, other), (other, one)] {
            let (step, by) = (&trace.steps[place], &trace.steps[against]);
            let whole = is_cut_by(step, by);
            if !(whole || row.is_some() && meet_half_way(step, by)) {
                continue;
            }
            let Some(Move::Turn(to)) = before(a, trace, place, 0) else {
                continue;
            };
            let Stop::Before { sql, nth } = to.until else {
                continue;
            };
            for table in tables(step, by, catalog) {
                let at = InnerPoint {
                    table: table.clone(),
                    row,
                };
                let words = match row {
                    None => format!("before it writes to {table}"),
                    Some(_) => format!("behind the first row that it writes to {table}"),
                };
                let title = format!("{a} stops inside {sql}, {words}, and {b} goes to its end");
                let until = Stop::Inside {
                    sql: sql.clone(),
                    nth,
                    at,
                };
                let pod = a.clone();
                let moves = vec![Move::Turn(Turn { pod, until }), end(b), end(a)];
                let stop = InnerStop { moves, title };
                if !found.contains(&stop) {
                    found.push(stop);
                }
            }
        }
    }
    found
}

/// The tables at which a step can be stopped: those that the other one touches first.
fn tables<'a>(step: &'a Step, other: &Step, catalog: &Catalog) -> Vec<&'a String> {
    let by_statement = |operation: &Operation| !matches!(operation, Operation::Ddl(_));
    let there = step.own.writes.iter().filter(|(table, operations)| {
        catalog.tables.contains_key(*table) && operations.iter().any(by_statement)
    });
    let mut tables: Vec<&String> = there.map(|(table, _)| table).collect();
    let touched =
        |table: &String| other.own.writes.contains_key(table) || other.own.reads.contains(table);
    tables.sort_by_key(|table| !touched(table));
    tables.truncate(MOST_TABLES);
    tables
}

/// Whether both steps change several rows of one table, so that each can have rows that the other needs next. (In which
/// order a step takes them its text does not tell.)
pub(super) fn meet_half_way(one: &Step, other: &Step) -> bool {
    let changes = |step: &Step, table: &String| {
        let operations = step.own.writes.get(table);
        operations
            .is_some_and(|all| all.contains(&Operation::Update) || all.contains(&Operation::Delete))
    };
    let mut tables = one.own.writes.keys();
    one.rows > 1
        && other.rows > 1
        && tables.any(|table| changes(one, table) && changes(other, table))
}

/// Whether one of these steps has a middle in which the other can do harm.
pub(super) fn race_inside(one: &Step, other: &Step) -> bool {
    is_cut_by(one, other) || is_cut_by(other, one)
}

/// Whether what the other does can come into the middle of this step.
fn is_cut_by(step: &Step, other: &Step) -> bool {
    if step.own.everything.is_some() {
        return acts(step) && acts(other);
    }
    if is_one_moment(step) {
        return false;
    }
    if other.own.everything.is_some() {
        return !step.own.writes.is_empty();
    }
    let written: BTreeSet<&String> = other.own.writes.keys().collect();
    let looked_at = |step: &Step, table: &String| {
        step.own.reads.contains(table) || step.own.checks.contains(table)
    };
    // MERGE looks at the rows of its target, too.
    let merges = kinds(step).any(|kind| kind == Kind::Merge);
    let reads = written.iter().any(|table| {
        looked_at(step, table) || merges && step.own.writes.contains_key(table.as_str())
    });
    let touched = |table: &&String| written.contains(table) || looked_at(other, table);
    let writes = step.own.writes.keys().filter(touched).count();
    reads && writes > 0 || writes > 1
}

/// Whether it may change something.
fn acts(step: &Step) -> bool {
    step.own.everything.is_some() || !step.own.writes.is_empty()
}

/// Whether it is one statement that looks at nothing but the rows that it changes.
fn is_one_moment(step: &Step) -> bool {
    let [normal] = step.normal.as_slice() else {
        return false;
    };
    let plain = |kind| {
        matches!(
            kind,
            Kind::Insert | Kind::Update | Kind::Delete | Kind::CopyIn | Kind::Truncate
        )
    };
    let mut words = normal.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
    kinds(step).all(plain) && step.own.writes.len() <= 1 && words.all(|word| word != "select")
}

/// The kinds of its statements.
fn kinds(step: &Step) -> impl Iterator<Item = Kind> {
    let kinds = |normal: &String| meaning(normal, &[]).kinds;
    step.normal.iter().flat_map(kinds)
}
