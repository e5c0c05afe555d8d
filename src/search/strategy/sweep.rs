//! One fault, at every step of a pod and at every point of it, while a second pod waits.
//!
//! Owns which schedule stands for which fault, step and point, and their order. Knows nothing of how a
//! fault is applied.
//!
//! The fault of step j hits the first pod at its step j: it runs j − 1 steps, then the second pod runs
//! as far as it can (to its end where nothing holds it up: its turn is one to its end, so that this is
//! no stop that was missed), then the fault is done, and the rest runs out. At step 1 the fault comes
//! first: the first pod has not begun, so the second has nothing to wait for.
//!
//! "Before" step j + 1 and "after" step j are two points: between them the first pod has heard the
//! answer and has its next request on the way, which a fault may find at the gate.
//!
//! The order, and so the index: by step; at each step by fault, in the order given; for each fault
//! by point, and for each point by who goes on first.

use super::{BATCH, Candidate, Kind, OtherCourse, Sample, Space, Strategy};
use crate::history::{Event, FaultBy, Line};
use crate::name::PodName;
use crate::schedule::{
    Draw, Fault, FaultKind, Move, PermittedFaults, Point, Schedule, SessionChoice, Stop, Turn,
};
use crate::search::strategy::Why;

/// Why a fault of a sweep may have nothing to say.
const NOTHING_THERE: &str = "there was nothing that the fault could have hit: its pod had ended by then, it had no \
     such session, or nobody waited";

/// A fault as it is swept over the steps of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swept {
    /// What is done.
    pub kind: FaultKind,
    /// To which session, where it is done to one.
    pub session: SessionChoice,
    /// At which points of each step.
    pub points: Vec<Point>,
    /// The first step at which it is done, from 1.
    pub from: u32,
    /// Whether it is done to the pod that waits.
    pub to_waiter: bool,
}

impl Swept {
    /// This one of the catalogue.
    #[must_use]
    pub fn drawn(draw: &Draw) -> Self {
        Self {
            kind: (draw.kind)(),
            session: draw.session.clone(),
            points: draw.points.to_vec(),
            from: draw.from,
            to_waiter: draw.to_waiter,
        }
    }

    /// What can be done to a pod and its sessions, for a search: 17 faults a step, 15 at the first.
    #[must_use]
    pub fn usual() -> Vec<Self> {
        let entries = FaultKind::CATALOGUE.iter();
        let draws = entries.flat_map(|entry| entry.search.swept);
        draws.map(Self::drawn).collect()
    }

    /// These, with those faults left out that are not permitted.
    #[must_use]
    pub fn permitted(mut swept: Vec<Self>, permitted: &PermittedFaults) -> Vec<Self> {
        for one in &mut swept {
            let points = std::mem::take(&mut one.points);
            let allowed = |point: &Point| permitted.allow(&one.fault(*point));
            one.points = points.iter().copied().filter(allowed).collect();
        }
        swept.retain(|one| !one.points.is_empty());
        swept
    }

    /// Whether the same is done to the same, at whichever points.
    #[must_use]
    pub fn is_same_as(&self, other: &Self) -> bool {
        self.fault(Point::Before) == other.fault(Point::Before)
    }

    /// The fault at this point.
    #[must_use]
    pub fn fault(&self, point: Point) -> Fault {
        let pod = PodName::of_index(usize::from(self.to_waiter));
        Fault::of_pod(self.kind.clone(), pod, self.session.clone(), point)
    }
}

/// Who goes on first when the fault has been done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Onward {
    /// The first pod, to its end.
    FirstPod,
    /// The second, up to this stop; then the first.
    SecondPod(Stop),
}

/// Where a schedule has its place in a sweep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The step of the first pod, from 1.
    pub step: u32,
    /// Which of the faults, from 0.
    pub fault: usize,
    /// The point of the step.
    pub point: Point,
    /// Which way on, from 0.
    pub onward: usize,
}

/// Every given fault at every step.
#[derive(Debug, Clone)]
pub struct Sweep {
    faults: Vec<Swept>,
    onward: Vec<Onward>,
    steps: u32,
    round: u32,
    next: u64,
    most: Option<u64>,
    sample: Option<Sample>,
}

impl Sweep {
    /// These faults at steps 1 to `steps` of pod a, while pod b waits; then the pods in the order
    /// of their names.
    #[must_use]
    pub fn new(faults: Vec<Swept>, steps: u32) -> Self {
        Self {
            faults,
            onward: vec![Onward::FirstPod],
            steps,
            round: 0,
            next: 0,
            most: None,
            sample: None,
        }
    }

    /// The same at those steps only that this sample keeps.
    #[must_use]
    pub fn sampled(mut self, sample: Sample) -> Self {
        self.sample = Some(sample);
        self
    }

    /// Whether faults are done at this step.
    fn tries(&self, step: u32) -> bool {
        self.sample.as_ref().is_none_or(|sample| sample.keeps(step))
    }

    /// At most so many of them, spread evenly over all.
    #[must_use]
    pub fn at_most(mut self, most: u64) -> Self {
        self.most = Some(most);
        self
    }

    /// Whether the schedule of this number is one of those.
    fn keeps(&self, number: u64) -> bool {
        let (Some(most), all) = (self.most, self.all()) else {
            return true;
        };
        let before = |number: u64| u128::from(number) * u128::from(most) / u128::from(all.max(1));
        most >= all || before(number + 1) > before(number)
    }

    /// The same with each of these ways on after each fault.
    #[must_use]
    pub fn onward(mut self, onward: Vec<Onward>) -> Self {
        self.onward = onward;
        self
    }

    /// All places, in order.
    #[must_use]
    pub fn places(&self) -> Vec<Place> {
        (1..=self.steps).flat_map(|step| self.at(step)).collect()
    }

    /// The places at one step.
    fn at(&self, step: u32) -> Vec<Place> {
        let mut places = Vec::new();
        for (fault, swept) in self.faults.iter().enumerate() {
            if step < swept.from || !self.tries(step) {
                continue;
            }
            for point in &swept.points {
                places.extend((0..self.onward.len()).map(|onward| Place {
                    step,
                    fault,
                    point: *point,
                    onward,
                }));
            }
        }
        places
    }

    /// The schedule of a place; `None` if it is none of this sweep.
    #[must_use]
    pub fn schedule(&self, place: &Place) -> Option<Schedule> {
        let fault = self.faults.get(place.fault)?.fault(place.point);
        let run = |pod: usize, until| {
            let pod = PodName::of_index(pod);
            Move::Turn(Turn { pod, until })
        };
        let mut moves = Vec::new();
        if place.step > 1 {
            moves.push(run(0, Stop::Steps(place.step - 1)));
            moves.push(run(1, Stop::End));
        }
        moves.push(Move::Fault(fault));
        if let Onward::SecondPod(stop) = self.onward.get(place.onward)? {
            moves.push(run(1, stop.clone()));
        }
        Some(Schedule::Controlled(moves))
    }

    fn why(&self, place: &Place) -> Why {
        Why::FaultAt {
            step: place.step,
            fault: self.faults[place.fault].fault(place.point),
            second_first: matches!(self.onward[place.onward], Onward::SecondPod(_)),
        }
    }

    fn count(&self) -> u64 {
        self.most.map_or(self.all(), |most| most.min(self.all()))
    }

    fn all(&self) -> u64 {
        let a_point = u64::try_from(self.onward.len()).unwrap_or(u64::MAX);
        let steps = |swept: &Swept| match &self.sample {
            None => u64::from((self.steps + 1).saturating_sub(swept.from)),
            Some(_) => {
                let tried = (swept.from..=self.steps).filter(|step| self.tries(*step));
                u64::try_from(tried.count()).unwrap_or(u64::MAX)
            }
        };
        let of = |swept: &Swept| {
            let points = u64::try_from(swept.points.len()).unwrap_or(u64::MAX);
            steps(swept).saturating_mul(points).saturating_mul(a_point)
        };
        self.faults.iter().map(of).sum()
    }
}

impl Strategy for Sweep {
    fn name(&self) -> &'static str {
        "sweep"
    }

    fn round(&mut self) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        while self.round < self.steps && candidates.len() < BATCH {
            self.round += 1;
            for place in self.at(self.round) {
                let index = self.next;
                self.next += 1;
                let schedule = self.schedule(&place).filter(|_| self.keeps(index));
                candidates.extend(schedule.map(|schedule| Candidate {
                    why: self.why(&place),
                    schedule,
                    needed: false,
                    index,
                }));
            }
        }
        candidates
    }

    fn space(&self) -> Space {
        Space {
            total: Some(self.count()),
            sampled: self.sample.is_some(),
            ..Space::default()
        }
    }

    fn kind(&self) -> Kind {
        Kind::Enumeration
    }

    /// A fault cannot fire at every point (after a pod's last step it may be gone).
    fn aims(&self) -> bool {
        false
    }

    fn other_course(&self, _candidate: &Candidate, lines: &[Line]) -> Option<OtherCourse> {
        let missed = |line: &Line| match &line.event {
            Event::Fault(fault) if fault.by == FaultBy::Schedule && !fault.fired => {
                Some(fault.absent)
            }
            _ => None,
        };
        let mut missed = lines.iter().filter_map(missed).peekable();
        (missed.peek().is_some() && missed.all(|absent| absent))
            .then(|| OtherCourse::NotApplicable(NOTHING_THERE.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::history::FaultEvent;
    use crate::schedule::{STEP_POINTS, SqlPattern};

    fn all(mut sweep: Sweep) -> Vec<Candidate> {
        let mut all = Vec::new();
        loop {
            let round = sweep.round();
            if round.is_empty() {
                return all;
            }
            all.extend(round);
        }
    }

    fn kill() -> Swept {
        Swept::drawn(&Draw::at(&STEP_POINTS, || FaultKind::Kill))
    }

    #[test]
    fn a_fault_that_finds_nothing_to_hit_does_not_apply_and_one_that_fails_is_missed() {
        let course = |faults: &[(bool, bool)]| {
            let mut sweep = Sweep::new(vec![kill()], 3);
            let candidate = sweep.round().remove(0);
            let lines: Vec<Line> = faults
                .iter()
                .map(|(fired, absent)| {
                    let fault = kill().fault(Point::Before);
                    let event = Event::Fault(FaultEvent {
                        pod: fault.pod.clone(),
                        fault,
                        by: FaultBy::Schedule,
                        connection: None,
                        session: None,
                        step: None,
                        fired: *fired,
                        absent: *absent,
                        evidence: String::new(),
                        takes_pod: true,
                        ends_session: true,
                        sqlstates: Vec::new(),
                    });
                    Line {
                        seq: 1,
                        at_us: 0,
                        event,
                    }
                })
                .collect();
            sweep.other_course(&candidate, &lines)
        };
        let does_not_apply = Some(OtherCourse::NotApplicable(NOTHING_THERE.to_owned()));
        assert_eq!(course(&[(false, true)]), does_not_apply);
        assert_eq!(course(&[(true, false), (false, true)]), does_not_apply);
        assert_eq!(course(&[(false, false)]), None);
        assert_eq!(course(&[(false, false), (false, true)]), None);
        assert_eq!(course(&[(true, false)]), None);
        assert_eq!(course(&[]), None);
    }

    #[test]
    fn every_fault_comes_at_every_step_and_point_once_and_in_order() {
        let sweep = Sweep::new(Swept::usual(), 40);
        let total = sweep.space().total;
        let places = sweep.places();
        let all = all(sweep);
        assert_eq!(total, Some(u64::try_from(all.len()).unwrap()));
        assert_eq!((all.len(), places.len()), (15 + 39 * 17, 15 + 39 * 17));
        assert!((0..).zip(&all).all(|(index, one)| one.index == index));
        let different: BTreeSet<String> = all.iter().map(|one| one.schedule.key()).collect();
        assert_eq!(different.len(), all.len());
        assert_eq!(
            crate::report::schedule_words(&all[0].schedule),
            "kill a (before)"
        );
        assert_eq!(
            crate::report::schedule_words(&all[15 + 1].schedule),
            "run a for 1 step; run b to its end; kill a (in-doubt)"
        );
        assert_eq!(
            crate::report::schedule_words(&all[15 + 12].schedule),
            "run a for 1 step; run b to its end; \
             terminate-backend a, the session that holds the lock (before)"
        );
        assert_eq!(
            crate::report::schedule_words(&all[15 + 13].schedule),
            "run a for 1 step; run b to its end; \
             cancel-backend b, the session of its next step (waiting)"
        );
    }

    #[test]
    fn each_way_on_comes_after_each_fault() {
        let stop = Stop::Before {
            sql: SqlPattern::new("insert into t").unwrap(),
            nth: 2,
        };
        let sweep =
            Sweep::new(vec![kill()], 2).onward(vec![Onward::FirstPod, Onward::SecondPod(stop)]);
        assert_eq!(sweep.space().total, Some(12));
        let all = all(sweep);
        assert_eq!(all.len(), 12);
        assert_eq!(
            crate::report::schedule_words(&all[0].schedule),
            "kill a (before)"
        );
        assert_eq!(
            crate::report::schedule_words(&all[7].schedule),
            "run a for 1 step; run b to its end; kill a (before); \
             run b until before \"insert into t\" (match 2)"
        );
    }

    #[test]
    fn a_part_of_a_sweep_is_spread_over_all_steps() {
        let whole = all(Sweep::new(Swept::usual(), 40));
        for most in [0, 1, 7, 100, 678, 10_000] {
            let part = Sweep::new(Swept::usual(), 40).at_most(most);
            let total = part.space().total;
            let part = all(part);
            assert_eq!(part.len(), usize::try_from(most).unwrap().min(whole.len()));
            assert_eq!(total, Some(u64::try_from(part.len()).unwrap()));
            assert!(part.iter().all(|one| whole.contains(one)));
        }
        let part = all(Sweep::new(Swept::usual(), 40).at_most(40));
        assert!(part[1].index > 20 && part[38].index > 620);
    }

    #[test]
    fn what_is_not_permitted_is_not_swept() {
        let names = ["kill", "error"].map(str::to_owned).to_vec();
        let some = Swept::permitted(Swept::usual(), &PermittedFaults::only(names));
        // An error after a step, or in doubt of one, may end its session.
        assert_eq!(Sweep::new(some, 10).space().total, Some(30 + 10));
        let all = Swept::permitted(Swept::usual(), &PermittedFaults::default());
        assert_eq!(all, Swept::usual());
    }

    #[test]
    fn no_step_or_no_fault_is_an_empty_space() {
        assert!(all(Sweep::new(vec![kill()], 0)).is_empty());
        assert!(all(Sweep::new(Vec::new(), 9)).is_empty());
        assert_eq!(Sweep::new(Vec::new(), 9).space().total, Some(0));
        let late = Swept { from: 2, ..kill() };
        assert_eq!(all(Sweep::new(vec![late.clone()], 2)).len(), 3);
        assert_eq!(Sweep::new(vec![late], 2).space().total, Some(3));
    }
}
