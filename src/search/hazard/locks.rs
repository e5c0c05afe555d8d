//! Hazards of the lock itself: a pod that comes while another has it, work that it does not cover,
//! and all of a pod's work between two writes of another.
//!
//! Owns these three kinds.

use std::collections::BTreeSet;

use super::anchor::{after, before, end, words};
use super::finding::{Expected, Hazard, HazardKind, Role};
use super::parts::{among, bare, part, window};
use super::trace::{Ground, Trace};
use crate::search::footprint::{LockUse, LockUseKind};

/// The most transactions before whose commit the other pod comes.
const MOST: usize = 3;
/// Where a pod stops there.
const UNCOMMITTED: &str = "before its commit";

fn lock_name(one: &LockUse) -> String {
    let key = one.key.map_or_else(
        || "of a key that is not known".to_owned(),
        |key| key.to_string(),
    );
    let how = match (one.action, one.xact) {
        (LockUseKind::Try, false) => ", tried",
        (LockUseKind::Try, true) => ", tried, to the end of the transaction",
        (_, true) => ", to the end of the transaction",
        _ => "",
    };
    let mode = if one.mode.keeps_its_like_out() {
        ""
    } else {
        ", shared"
    };
    format!("lock {key}{mode}{how}")
}

/// a has just asked for a lock; b comes and does what it can. Each call of a lock function has its own.
pub(super) fn contention(ground: &Ground<'_>, x: &Trace, y: &Trace, found: &mut Vec<Hazard>) {
    for place in x.takes() {
        let step = &x.steps[place];
        let Some(taken) = step
            .own
            .locks
            .iter()
            .find(|one| matches!(one.action, LockUseKind::Take | LockUseKind::Try))
        else {
            continue;
        };
        let name = lock_name(taken);
        let (a, b) = (ground.a, ground.b);
        let Some(comes) = y.takes().first().map(|at| &y.steps[*at]) else {
            continue;
        };
        let Some(until) = after(a, x, place, 0) else {
            continue;
        };
        found.push(Hazard {
            kind: HazardKind::Contention,
            title: format!("{a} has just asked for {name}; {b} comes"),
            tables: BTreeSet::new(),
            about: Some(name),
            steps: vec![part(a, Role::Opens, step), part(b, Role::Intrudes, comes)],
            expected: Expected {
                words: "work of both pods at once, though one has the lock".to_owned(),
                ..Expected::default()
            },
            window: window(place, x.steps.len()),
            depth: 0,
            moves: vec![until, end(b), end(a)],
        });
    }
}

/// A write for which its pod held none of the locks that it holds at others.
pub(super) fn outside_lock(ground: &Ground<'_>, x: &Trace, y: &Trace, found: &mut Vec<Hazard>) {
    let outside = |trace: &Trace| -> (Vec<usize>, Vec<usize>, Vec<usize>) {
        let locks: Vec<_> = trace.locks(ground.rules).into_iter().collect();
        let work = trace.work(ground.rules);
        let (inside, outside): (Vec<usize>, Vec<usize>) = work
            .into_iter()
            .partition(|place| trace.steps[*place].own.held_any(&locks));
        let first = inside.first().copied().unwrap_or(usize::MAX);
        let (before, after) = outside.into_iter().partition(|place| *place < first);
        (inside, before, after)
    };
    let (a, b) = (ground.a, ground.b);
    let (inside, ..) = outside(x);
    let (_, early, _) = outside(y);
    // b's write before it has the lock comes into a's section.
    if let (Some(intruder), Some(middle)) = (early.first(), inside.get(inside.len() / 2)) {
        let moves = || {
            Some(vec![
                before(a, x, *middle, 0)?,
                after(b, y, y.visible(*intruder), 0)?,
                end(a),
            ])
        };
        found.extend(moves().map(|moves| Hazard {
            kind: HazardKind::OutsideLock,
            title: format!(
                "{b} does {} before it has the lock, while {a} works under it",
                words(&y.steps[*intruder])
            ),
            tables: among(y.steps[*intruder].own.writes.keys()),
            about: None,
            steps: vec![
                part(a, Role::Closes, &x.steps[*middle]),
                part(b, Role::Intrudes, &y.steps[*intruder]),
            ],
            expected: Expected {
                words: "a write of one pod inside the section of the other".to_owned(),
                ..Expected::default()
            },
            window: window(inside[0], *middle),
            depth: 0,
            moves,
        }));
    }
    // a's write after it has given the lock back comes into b's section.
    let (_, _, late) = outside(x);
    let (theirs, ..) = outside(y);
    if let (Some(write), Some(middle)) = (late.first(), theirs.get(theirs.len() / 2)) {
        let moves = || {
            Some(vec![
                before(a, x, *write, 0)?,
                before(b, y, *middle, 0)?,
                end(a),
            ])
        };
        found.extend(moves().map(|moves| Hazard {
            kind: HazardKind::OutsideLock,
            title: format!(
                "{a} does {} when it has given the lock back, while {b} works under it",
                words(&x.steps[*write])
            ),
            tables: among(x.steps[*write].own.writes.keys()),
            about: None,
            steps: vec![
                part(a, Role::Closes, &x.steps[*write]),
                part(b, Role::Intrudes, &y.steps[*middle]),
            ],
            expected: Expected {
                words: "a write of one pod inside the section of the other".to_owned(),
                ..Expected::default()
            },
            window: window(*write, x.steps.len()),
            depth: 0,
            moves,
        }));
    }
}

/// All of b's work between two protected writes of a: after its first, and before its last; and what b can do
/// where a has only to commit.
pub(super) fn interleaved(ground: &Ground<'_>, x: &Trace, y: &Trace, found: &mut Vec<Hazard>) {
    let work = x.work(ground.rules);
    let theirs = y.work(ground.rules);
    let (Some(first), Some(last), Some(intruder)) = (work.first(), work.last(), theirs.first())
    else {
        return;
    };
    let (a, b) = (ground.a, ground.b);
    // Two pods that share no table do not meet.
    let mine: BTreeSet<&String> = work
        .iter()
        .flat_map(|place| x.steps[*place].own.writes.keys())
        .filter(|table| ground.is_protected(table))
        .collect();
    let shared: BTreeSet<String> = theirs
        .iter()
        .flat_map(|place| y.steps[*place].own.writes.keys())
        .filter(|table| mine.contains(table))
        .cloned()
        .collect();
    if shared.is_empty() {
        return;
    }
    let mut places = Vec::new();
    if first != last {
        let seen = after(a, x, x.visible(*first), 0);
        places.push((seen, *first, "after its first write"));
        places.push((before(a, x, *last, 0), *last, "before its last write"));
    }
    // A transaction that has done all it does and has not committed: others wait for its rows, or see none of them.
    let mut forms = BTreeSet::new();
    for done in work.iter().copied() {
        let step = &x.steps[done];
        if step.effective == step.id {
            continue;
        }
        let mut later = work.iter().filter(|place| **place > done);
        let is_last = !later.any(|place| x.one_transaction(done, *place));
        if is_last && forms.insert(step.form()) && forms.len() <= MOST {
            places.push((after(a, x, done, 0), done, UNCOMMITTED));
        }
    }
    for (until, place, which) in places {
        let Some(until) = until else { continue };
        found.push(Hazard {
            kind: HazardKind::Interleaved,
            title: match which == UNCOMMITTED {
                true => format!(
                    "{a} has done {} and not committed it; {b} comes",
                    words(&x.steps[place])
                ),
                false => format!(
                    "{a} stops {which}, {}; {b} does all its work",
                    words(&x.steps[place])
                ),
            },
            tables: shared.clone(),
            about: Some(match which == UNCOMMITTED {
                true => format!("{which}: {}", x.steps[place].form()),
                false => which.to_owned(),
            }),
            steps: vec![
                part(a, Role::Closes, &x.steps[place]),
                part(b, Role::Intrudes, &y.steps[*intruder]),
            ],
            expected: Expected {
                words: format!(
                    "the rows of both pods together in {} and what goes with it",
                    shared.iter().next().map_or("", |table| bare(table))
                ),
                ..Expected::default()
            },
            window: window(*first, *last),
            depth: 0,
            moves: vec![until, end(b), end(a)],
        });
    }
}
