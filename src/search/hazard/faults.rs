//! Hazards that need a fault: the lock's session dies, or a step fails, in mid-section; the wait for the lock ends
//! by its time limit.
//!
//! Owns these kinds, and which fault is put where.

use super::anchor::{before, blocked, end, words};
use super::finding::{Expected, Hazard, HazardKind, Role};
use super::parts::{part, window};
use super::trace::{Ground, Trace};
use crate::history::{Catalog, Line};
use crate::name::{LockKey, PodName};
use crate::schedule::{Fault, FaultKind, Move, Point, SessionChoice};
use crate::search::footprint::{Footprints, LockUse, LockUseKind, Step, WaitEnd};

fn fault(pod: &PodName, kind: FaultKind, session: SessionChoice) -> Move {
    Move::Fault(Fault::of_pod(kind, pod.clone(), session, Point::Before))
}

/// The first step of a run that waits for a lock for as long as a limit says of which the value is not known: its end by
/// that limit is not tried.
pub fn unknown_limit(lines: &[Line], catalog: &Catalog) -> Option<String> {
    let footprints = Footprints::of(lines, catalog);
    let waits = |step: &&Step| {
        let mut locks = step.own.locks.iter();
        step.waits_end == WaitEnd::Unknown && locks.any(|one| one.action == LockUseKind::Take)
    };
    footprints.steps.iter().find(waits).map(words)
}

/// The step before which a stands, and why, beside b that comes for the lock.
struct Middle<'a> {
    ground: &'a Ground<'a>,
    key: LockKey,
    /// The trace of a, and the places of its first write under the lock and of this one.
    x: &'a Trace,
    first: usize,
    at: usize,
    comes: &'a Step,
}

impl Middle<'_> {
    fn hazard(&self, kind: HazardKind, title: String, expected: &str, moves: Vec<Move>) -> Hazard {
        let (a, b) = (self.ground.a, self.ground.b);
        Hazard {
            kind,
            title,
            tables: [].into(),
            about: Some(format!("lock {}", self.key)),
            steps: vec![
                part(a, Role::Closes, &self.x.steps[self.at]),
                part(b, Role::Intrudes, self.comes),
            ],
            expected: Expected {
                words: expected.to_owned(),
                ..Expected::default()
            },
            window: window(self.first, self.at),
            depth: 0,
            moves,
        }
    }
}

/// In the middle of what a does under a lock, while b waits for it or comes for it: of each lock that b takes.
pub(super) fn faults(ground: &Ground<'_>, x: &Trace, y: &Trace, found: &mut Vec<Hazard>) {
    let mut earlier: Vec<LockKey> = Vec::new();
    for take in y.takes() {
        let taken = y.steps[take].own.locks.iter();
        let taken = taken.filter(|one| matches!(one.action, LockUseKind::Take | LockUseKind::Try));
        let Some(key) = taken.map(|one| one.key).next() else {
            continue;
        };
        // What a key that no text tells is, the locks say that a had at its work.
        let locks: Vec<LockKey> = x
            .locks(ground.rules)
            .into_iter()
            .filter(|own| key.is_none_or(|key| own.same_key(&key)))
            .collect();
        if let Some(key) = locks.first()
            && !earlier.iter().any(|one| one.same_key(key))
        {
            of_lock(ground, (x, y), (take, *key), (&locks, &earlier), found);
            earlier.push(*key);
        }
    }
}

/// Of one lock, which b takes at this place: `locks` are what a may have of it, and `earlier` what b takes before.
fn of_lock(
    ground: &Ground<'_>,
    (x, y): (&Trace, &Trace),
    (take, key): (usize, LockKey),
    (locks, earlier): (&[LockKey], &[LockKey]),
    found: &mut Vec<Hazard>,
) {
    let inside: Vec<usize> = x
        .work(ground.rules)
        .into_iter()
        .filter(|place| x.steps[*place].own.held_any(locks))
        .collect();
    let (Some(first), Some(last)) = (inside.first(), inside.last()) else {
        return;
    };
    // While a has a lock that b takes before this one, b does not come to it.
    if inside
        .iter()
        .any(|place| x.steps[*place].own.held_any(earlier))
    {
        return;
    }
    let (a, b) = (ground.a, ground.b);
    let stands_before = |at: usize| {
        let middle = Middle {
            ground,
            key,
            x,
            first: *first,
            at,
            comes: &y.steps[take],
        };
        Some((before(a, x, at, 0)?, middle, words(&x.steps[at])))
    };
    // What a sends after it has lost the lock is what counts: another write, or the commit of this one.
    let lost = inside[(inside.len() - 1) / 2];
    let more = lost < *last || x.visible(lost) != lost;
    if let Some((until, middle, at)) = stands_before(lost).filter(|_| more) {
        found.push(middle.hazard(
            HazardKind::LockLost,
            format!("the session that holds lock {key} for {a} dies before {at}, while {b} waits for the lock"),
            "a goes on without the lock, beside b",
            vec![
                until,
                blocked(b),
                fault(a, FaultKind::TerminateBackend, SessionChoice::HoldingLock),
                end(a),
                end(b),
            ],
        ));
    }
    let failing = inside[inside.len() / 2];
    let error = |sqlstate: &str| FaultKind::Error {
        sqlstate: sqlstate.to_owned(),
    };
    if let Some((until, middle, at)) = stands_before(failing).filter(|_| first != last) {
        found.push(middle.hazard(
            HazardKind::ErrorInSection,
            format!("{at} of {a} fails under lock {key}, while {b} waits for the lock"),
            "a lock that is not given back",
            vec![
                until,
                blocked(b),
                fault(a, error("53100"), SessionChoice::Next),
                end(a),
                end(b),
            ],
        ));
    }
    let waits = |one: &LockUse| {
        one.action == LockUseKind::Take && one.key.is_none_or(|own| own.same_key(&key))
    };
    if let WaitEnd::By(refusal) = y.steps[take].waits_end
        && y.steps[take].own.locks.iter().any(waits)
        && let (Some((until, middle, _)), Some(asks)) =
            (stands_before(*last), before(b, y, take, 0))
    {
        found.push(middle.hazard(
            HazardKind::RefusedLock,
            format!(
                "the wait of {b} for lock {key} ends by its time limit, while {a} works under it"
            ),
            "b goes on without the lock, beside a",
            vec![
                until,
                asks,
                fault(b, error(refusal), SessionChoice::Next),
                end(b),
                end(a),
            ],
        ));
    }
}
