//! Hazards that need a fault: the lock's session dies, or a step fails, in mid-section.
//!
//! Owns these two kinds, and which fault is put where.

use super::anchor::{before, blocked, end, words};
use super::finding::{Expected, Hazard, HazardKind, Role};
use super::parts::{part, window};
use super::trace::{Ground, Trace};
use crate::name::PodName;
use crate::schedule::{Fault, FaultKind, Move, Point, SessionChoice};

fn fault(pod: &PodName, kind: FaultKind, session: SessionChoice) -> Move {
    Move::Fault(Fault::of_pod(kind, pod.clone(), session, Point::Before))
}

/// In the middle of what a does under a lock, while b waits for it.
pub(super) fn faults(ground: &Ground<'_>, x: &Trace, y: &Trace, found: &mut Vec<Hazard>) {
    let locks: Vec<_> = x.locks(ground.rules).into_iter().collect();
    let inside: Vec<usize> = x
        .work(ground.rules)
        .into_iter()
        .filter(|place| x.steps[*place].own.held_any(&locks))
        .collect();
    let (Some(first), Some(middle)) = (inside.first(), inside.get(inside.len() / 2)) else {
        return;
    };
    if first == middle {
        return;
    }
    let Some(comes) = y.takes().first().map(|at| &y.steps[*at]) else {
        return;
    };
    let Some(key) = locks.first() else { return };
    let (a, b) = (ground.a, ground.b);
    let Some(until) = before(a, x, *middle, 0) else {
        return;
    };
    let at = words(&x.steps[*middle]);
    let hazard = |kind, title: String, expected: &str, moves| Hazard {
        kind,
        title,
        tables: [].into(),
        about: Some(format!("lock {key}")),
        steps: vec![
            part(a, Role::Closes, &x.steps[*middle]),
            part(b, Role::Intrudes, comes),
        ],
        expected: Expected {
            words: expected.to_owned(),
            ..Expected::default()
        },
        window: window(*first, *middle),
        depth: 0,
        moves,
    };
    found.push(hazard(
        HazardKind::LockLost,
        format!("the session that holds lock {key} for {a} dies before {at}, while {b} waits for the lock"),
        "a goes on without the lock, beside b",
        vec![
            until.clone(),
            blocked(b),
            fault(a, FaultKind::TerminateBackend, SessionChoice::HoldingLock),
            end(a),
            end(b),
        ],
    ));
    found.push(hazard(
        HazardKind::ErrorInSection,
        format!("{at} of {a} fails under lock {key}, while {b} waits for the lock"),
        "a lock that is not given back",
        vec![
            until,
            blocked(b),
            fault(
                a,
                FaultKind::Error {
                    sqlstate: "53100".to_owned(),
                },
                SessionChoice::Next,
            ),
            end(a),
            end(b),
        ],
    ));
}
