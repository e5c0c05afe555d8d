//! Hazards of two transactions that each wait for what the other has locked.
//!
//! Owns this kind: locks that are shared first and then wanted alone (FOR SHARE, then UPDATE; a table that is read
//! or written, then truncated or altered), and rows or tables that pods lock in different orders.

use std::collections::BTreeSet;

use super::anchor::{after, end, words};
use super::finding::{Expected, Hazard, HazardKind, Role};
use super::parts::{kept_apart, part, window};
use super::trace::{Ground, Trace};
use crate::history::Operation;
use crate::schedule::Move;
use crate::search::footprint::Step;

/// The most places at which two pods are stopped inside their transactions.
const MOST: usize = 3;

/// Both pods are past the first step of a transaction that locks rows or a table; each goes on to the next one.
pub(super) fn deadlock(ground: &Ground<'_>, x: &Trace, y: &Trace, found: &mut Vec<Hazard>) {
    upgrade(ground, x, y, found);
    let (a, b) = (ground.a, ground.b);
    let locking = x.places(|step| !locked(step).is_empty());
    let mut firsts: BTreeSet<_> = BTreeSet::new();
    let mut forms = BTreeSet::new();
    for (index, first) in locking.iter().enumerate() {
        let step = &x.steps[*first];
        let mut later = locking[index + 1..].iter();
        let Some(next) = later.find(|place| x.one_transaction(*first, **place)) else {
            continue;
        };
        // One place a transaction, one of each form.
        if !firsts.insert(step.effective) || !forms.insert(step.form()) || forms.len() > MOST {
            continue;
        }
        let theirs = y.places(|other| other.form() == step.form());
        let Some(other) = theirs.first() else {
            continue;
        };
        let shared = locked(&x.steps[*next]);
        let meet = locked(&y.steps[*other]);
        if shared.is_disjoint(&meet) || kept_apart(step, &y.steps[*other]) {
            continue;
        }
        let moves = || {
            Some(vec![
                after(a, x, *first, 0)?,
                after(b, y, *other, 0)?,
                end(a),
                end(b),
            ])
        };
        let tables = shared.intersection(&meet).cloned().collect();
        let met = (x, *first, *next, y, *other);
        found.extend(moves().map(|moves| each_waits(ground, met, tables, moves)));
    }
}

/// The hazard of two pods that are each past the step at `first` of a transaction, and go on to that at `next`.
fn each_waits(
    ground: &Ground<'_>,
    (x, first, next, y, other): (&Trace, usize, usize, &Trace, usize),
    tables: BTreeSet<String>,
    moves: Vec<Move>,
) -> Hazard {
    let (a, b) = (ground.a, ground.b);
    Hazard {
        kind: HazardKind::Deadlock,
        title: format!(
            "{a} and {b} are each past {} in a transaction and go on to {}: does each wait for the other?",
            words(&x.steps[first]),
            words(&x.steps[next])
        ),
        tables,
        about: None,
        steps: vec![
            part(a, Role::Opens, &x.steps[first]),
            part(a, Role::Closes, &x.steps[next]),
            part(b, Role::Intrudes, &y.steps[other]),
        ],
        expected: Expected {
            sqlstate: Some("40P01".to_owned()),
            constraint: None,
            words: "40P01, a deadlock".to_owned(),
        },
        window: window(first, next),
        depth: 0,
        moves,
    }
}

/// A transaction reads or writes a table, which others can do beside it, and then wants it for itself alone.
fn upgrade(ground: &Ground<'_>, x: &Trace, y: &Trace, found: &mut Vec<Hazard>) {
    let mut forms = BTreeSet::new();
    for table in x.written() {
        let Some(next) = x.places(|step| alone(step, &table)).first().copied() else {
            continue;
        };
        let shares = |step: &Step| {
            let own = &step.own;
            (own.reads.contains(&table) || own.writes.contains_key(&table)) && !alone(step, &table)
        };
        let earlier = x.places(shares).into_iter();
        let mut earlier = earlier.filter(|place| *place < next && x.one_transaction(*place, next));
        let Some(first) = earlier.next() else {
            continue;
        };
        let step = &x.steps[first];
        let theirs = y.places(|other| other.form() == step.form() && shares(other));
        let Some(other) = theirs.first().copied() else {
            continue;
        };
        if kept_apart(step, &y.steps[other]) || !forms.insert(step.form()) || forms.len() > MOST {
            continue;
        }
        let (a, b) = (ground.a, ground.b);
        let moves = || {
            Some(vec![
                after(a, x, first, 0)?,
                after(b, y, other, 0)?,
                end(a),
                end(b),
            ])
        };
        let met = (x, first, next, y, other);
        found.extend(moves().map(|moves| each_waits(ground, met, [table].into(), moves)));
    }
}

/// Whether a step wants the table for itself alone.
fn alone(step: &Step, table: &str) -> bool {
    let all = |done: &Operation| matches!(done, Operation::Truncate | Operation::Ddl(_));
    step.own.did(table, all)
}

/// The tables that a step locks, or of which it locks rows.
fn locked(step: &Step) -> BTreeSet<String> {
    let own = &step.own;
    let keys = own.locks.iter().filter_map(|one| one.key);
    let tables = keys.filter_map(|key| key.table().map(|table| table.to_string()));
    own.writes
        .keys()
        .chain(&own.locked)
        .cloned()
        .chain(tables)
        .collect()
}
