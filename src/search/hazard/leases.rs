//! Hazards of a lock that is a row: its time runs out, or its holder dies, while the holder is at work.
//!
//! Owns these kinds. A place at which the holder's own transaction has the row locked is none: no time passes for
//! such a row, and nobody takes it over. Then the window is before that transaction.

use std::collections::BTreeSet;
use std::time::Duration;

use super::anchor::{before, blocked, end, words};
use super::finding::{Expected, Hazard, HazardKind, Role};
use super::parts::{part, window};
use super::trace::{Ground, Trace};
use crate::history::LockRow;
use crate::name::PodName;
use crate::schedule::{Fault, FaultKind, Move, Point, SessionChoice};
use crate::search::footprint::Step;
use crate::sql::{Assigned, Value, assigned};

/// Time passes for the lock row.
fn expire() -> Move {
    Move::Fault(Fault {
        kind: FaultKind::Expire { by: Duration::ZERO },
        pod: None,
        session: SessionChoice::Every,
        point: Point::Before,
    })
}

fn kill(pod: &PodName) -> Move {
    let session = SessionChoice::Every;
    Move::Fault(Fault::of_pod(
        FaultKind::Kill,
        pod.clone(),
        session,
        Point::Before,
    ))
}

/// What a pod does from its grant on, with another beside it.
pub(super) fn leases(ground: &Ground<'_>, x: &Trace, y: &Trace, found: &mut Vec<Hazard>) {
    // Of several locks the work of each is what it protects.
    for rules in ground.rules.of_each() {
        if let Some(rule) = rules.lock.row() {
            of_row(ground, rule, &x.work(&rules), (x, y), found);
        }
    }
}

/// Whether a step sets what says that a row of the queue is claimed, as its text tells.
fn claims_by_text(rule: &LockRow, step: &Step) -> bool {
    let held = rule.held.as_ref().filter(|_| rule.queue.is_some());
    let claims = |one: Assigned| {
        let mut set = one.set.into_iter();
        set.any(|(column, value)| match value {
            Value::Constant(value) => {
                held.is_some_and(|held| *held == format!("{column} = {value}"))
            }
            Value::Other => false,
        })
    };
    step.sql.iter().flat_map(|sql| assigned(sql)).any(claims)
}

fn of_row(
    ground: &Ground<'_>,
    rule: &LockRow,
    work: &[usize],
    (x, y): (&Trace, &Trace),
    found: &mut Vec<Hazard>,
) {
    let lock = x.did(&rule.table, |_| true);
    // A worker may first put rows in, or clear old ones away.
    let takes = |place: &&usize| claims_by_text(rule, &x.steps[**place]);
    let Some(take) = lock.iter().find(takes).or(lock.first()).copied() else {
        return;
    };
    let lock: Vec<usize> = lock.into_iter().filter(|place| *place >= take).collect();
    let open = x.visible(take);
    let after = |places: Vec<usize>, from: usize| -> Vec<usize> {
        places.into_iter().filter(|place| *place > from).collect()
    };
    // Of a queue the next claim is neither a renewal nor a release: nothing is in hand then.
    let claims = |place: &usize| rule.is_many() && x.steps[*place].form() == x.steps[take].form();
    let lock: Vec<usize> = lock.into_iter().filter(|place| !claims(place)).collect();
    let (lock, work) = (after(lock, open), after(work.to_vec(), take));
    let Some((first, last)) = work.first().copied().zip(work.last().copied()) else {
        return;
    };
    let sight = Sight {
        ground,
        rule,
        x,
        y,
        open,
    };
    if rule.is_many() {
        found.extend(sight.double_pick_up(take));
    }
    let middle = work[work.len() / 2];
    let ages = rule.expiry.is_some();
    for place in BTreeSet::from([first, middle, last]) {
        if ages {
            found.extend(sight.late_holder(place));
        }
        found.extend(sight.blind_take_over(place));
    }
    found.extend(sight.dead_owner(first, ages));
    for place in lock.into_iter().filter(|_| ages) {
        found.extend(sight.late_change(place, last));
    }
}

/// Two courses of a job with the lock row.
struct Sight<'s, 'g> {
    ground: &'s Ground<'g>,
    rule: &'s LockRow,
    x: &'s Trace,
    y: &'s Trace,
    /// The place at which a's grant is committed.
    open: usize,
}

impl Sight<'_, '_> {
    fn what(&self) -> &'static str {
        match self.rule.claim {
            Some(_) => "the claim",
            None => self.of_row("the lock row", "a row of the queue"),
        }
    }

    /// Where another can come before the step at this place: before its transaction, if that locks the row.
    fn window(&self, place: usize) -> Option<usize> {
        let own = |other: &usize| *other == place || self.x.one_transaction(*other, place);
        let locks = |other: usize| {
            let step = &self.x.steps[other];
            step.own.writes.contains_key(&self.rule.table)
                || step.own.locked.contains(&self.rule.table)
        };
        let of_transaction: Vec<usize> = (0..place).filter(own).collect();
        if !of_transaction.iter().any(|other| locks(*other)) {
            return Some(place);
        }
        of_transaction
            .first()
            .copied()
            .filter(|first| *first > self.open)
    }

    fn hazard(
        &self,
        kind: HazardKind,
        title: String,
        expected: &str,
        place: usize,
        moves: Vec<Move>,
    ) -> Option<Hazard> {
        let comes = self.y.did(&self.rule.table, |_| true);
        let comes = comes.first().map(|at| &self.y.steps[*at])?;
        Some(Hazard {
            kind,
            title,
            tables: [self.rule.table.clone()].into(),
            about: None,
            steps: vec![
                part(self.ground.a, Role::Closes, &self.x.steps[place]),
                part(self.ground.b, Role::Intrudes, comes),
            ],
            expected: Expected {
                words: expected.to_owned(),
                ..Expected::default()
            },
            window: window(self.open, place),
            depth: 0,
            moves,
        })
    }

    /// What is said of the lock row, or of a row of the queue.
    fn of_row(&self, lock: &'static str, queue: &'static str) -> &'static str {
        match self.rule.queue {
            Some(_) => queue,
            None => lock,
        }
    }

    /// Two pods have found the same row free: the one claims it when the other is at work on it, or has ended it.
    fn double_pick_up(&self, take: usize) -> Vec<Hazard> {
        let (a, b) = (self.ground.a, self.ground.b);
        let Some(stop) = before(a, self.x, take, 0) else {
            return Vec::new();
        };
        let place = self.y.work(self.ground.rules).first().copied();
        let at_work = place.and_then(|place| before(b, self.y, place, 0));
        let step = words(&self.x.steps[take]);
        let courses = [
            (Some(end(b)), "has ended it", "a row that is done twice"),
            (
                at_work,
                "is at work on it",
                "two pods that work on one row at once",
            ),
        ];
        let hazard = |(comes, how, expected): (Option<Move>, &str, &str)| {
            self.hazard(
                HazardKind::DoublePickUp,
                format!("{a} claims by {step} what it found free, when {b} {how}"),
                expected,
                take,
                vec![stop.clone(), comes?, end(a), end(b)],
            )
        };
        courses.into_iter().filter_map(hazard).collect()
    }

    fn late_holder(&self, place: usize) -> Option<Hazard> {
        let (a, b) = (self.ground.a, self.ground.b);
        let stop = before(a, self.x, self.window(place)?, 0)?;
        self.hazard(
            HazardKind::LateHolder,
            format!(
                "{a}'s lease runs out before {}, {b} takes it over, and {a} comes late",
                words(&self.x.steps[place])
            ),
            self.of_row(
                "a write of a pod that has the lock no longer",
                "a write of a pod that has its row no longer",
            ),
            place,
            vec![stop, expire(), end(b), end(a)],
        )
    }

    fn blind_take_over(&self, place: usize) -> Option<Hazard> {
        let (a, b) = (self.ground.a, self.ground.b);
        let window = self.window(place);
        let stop = before(a, self.x, window.unwrap_or(place), 0)?;
        // Where a's transaction has the row locked, b can only wait for it.
        let comes = match window {
            Some(_) => end(b),
            None => blocked(b),
        };
        self.hazard(
            HazardKind::BlindTakeOver,
            format!(
                "{b} comes for {} while {a} has it, before {}",
                self.what(),
                words(&self.x.steps[place])
            ),
            self.of_row(
                "two pods that have the lock at once",
                "two pods that have one row at once",
            ),
            place,
            vec![stop, comes, end(a), end(b)],
        )
    }

    fn dead_owner(&self, place: usize, ages: bool) -> Option<Hazard> {
        let (a, b) = (self.ground.a, self.ground.b);
        let mut moves = vec![before(a, self.x, self.window(place)?, 0)?, kill(a)];
        if ages {
            moves.push(expire());
        }
        moves.push(end(b));
        self.hazard(
            HazardKind::DeadOwner,
            format!(
                "{a} dies with {} in hand, before {}",
                self.what(),
                words(&self.x.steps[place])
            ),
            match self.rule.claim {
                Some(_) => "work that is lost with the pod that claimed it",
                None => self.of_row("a lock that nobody gives back", "a row that nobody ends"),
            },
            place,
            moves,
        )
    }

    /// A renewal, which work follows, or a release, while another has taken over.
    fn late_change(&self, place: usize, last: usize) -> Option<Hazard> {
        let (a, b) = (self.ground.a, self.ground.b);
        let stop = before(a, self.x, self.window(place)?, 0)?;
        let step = words(&self.x.steps[place]);
        if place < last {
            return self.hazard(
                HazardKind::LateRenewal,
                format!("{a}'s lease runs out before {step}, {b} takes it over, and {a} renews"),
                self.of_row(
                    "a renewal of another's lock, or one that nobody looks at",
                    "a renewal of another's claim, or one that nobody looks at",
                ),
                place,
                vec![stop, expire(), end(b), end(a)],
            );
        }
        let at_work = self.y.work(self.ground.rules).first().copied()?;
        let at_work = before(b, self.y, at_work, 0)?;
        self.hazard(
            HazardKind::ReleaseOfAnothers,
            format!("{a}'s lease runs out before {step}, {b} takes it over, and {a} gives it back"),
            self.of_row(
                "a lock that another pod gives back",
                "a row that another pod gives back or ends",
            ),
            place,
            vec![stop, expire(), at_work, end(a), end(b)],
        )
    }
}
