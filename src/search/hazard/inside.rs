//! Pairs of steps that may race inside: where no boundary between two steps is the place at which it goes wrong.
//!
//! Owns that question alone. A statement that only puts in given rows, or changes rows where they are, is one
//! moment to all others, and the order of two such moments is a hazard of another kind. One that reads what the
//! other writes and writes what the other touches has a middle (insert … where not exists, MERGE, a function,
//! several statements in one request), and so has one that does its work in several tables.

use std::collections::BTreeSet;

use crate::search::footprint::Step;
use crate::sql::{Kind, meaning};

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
