//! One fault, at every step of a pod and at every point of it, while a second pod waits.
//!
//! Owns which faults at which points, and their order. Knows nothing of how a fault is applied.
//!
//! Fault number j hits the first pod at its step j: it runs j − 1 steps, then the second pod runs as
//! far as it can (to its end where nothing holds it up: its turn is one to its end, so that this is
//! no stop that was missed), then the fault is done, and the rest runs out. At step 1 the fault
//! comes first: the first pod has not begun, so the second has nothing to wait for.
//!
//! The order, and so the index: by step; at each step by kind, in the order given; for each kind by
//! point: before, in doubt, after. A fault of a session hits the session of the next step;
//! terminate-backend then comes once more, before the step, for the session that holds a lock.
//! cancel-backend needs a statement under way: it is done to the second pod while that waits, once
//! for each step from the second on.

use super::{BATCH, Candidate, Explored, Kind, Space, Strategy};
use crate::history::PodName;
use crate::schedule::{Fault, FaultKind, Move, Point, Schedule, SessionChoice, Stop, Turn};

/// Every given fault at every step.
#[derive(Debug, Clone)]
pub struct Sweep {
    kinds: Vec<FaultKind>,
    steps: u32,
    round: u32,
    next: u64,
}

impl Sweep {
    /// These faults at steps 1 to `steps` of pod a, while pod b waits.
    #[must_use]
    pub fn new(kinds: Vec<FaultKind>, steps: u32) -> Self {
        Self {
            kinds,
            steps,
            round: 0,
            next: 0,
        }
    }

    /// The faults at one step, in order.
    fn faults(&self, step: u32) -> Vec<Fault> {
        let mut faults = Vec::new();
        for kind in &self.kinds {
            let fault = |pod: usize, session, point| Fault {
                kind: kind.clone(),
                pod: PodName::of_index(pod),
                session,
                point,
            };
            if *kind == FaultKind::CancelBackend {
                if step > 1 {
                    faults.push(fault(1, SessionChoice::Next, Point::Waiting));
                }
                continue;
            }
            for point in [Point::Before, Point::InDoubt, Point::After] {
                faults.push(fault(0, SessionChoice::Next, point));
            }
            if *kind == FaultKind::TerminateBackend && step > 1 {
                faults.push(fault(0, SessionChoice::HoldingLock, Point::Before));
            }
        }
        faults
    }

    fn schedule(step: u32, fault: Fault) -> Schedule {
        let run = |pod: usize, until| {
            let pod = PodName::of_index(pod);
            Move::Turn(Turn { pod, until })
        };
        let mut moves = Vec::new();
        if step > 1 {
            moves.push(run(0, Stop::Steps(step - 1)));
            moves.push(run(1, Stop::End));
        }
        moves.push(Move::Fault(fault));
        Schedule::Controlled(moves)
    }

    fn count(&self) -> u64 {
        let at = |step| u64::try_from(self.faults(step).len()).unwrap_or(u64::MAX);
        match self.steps {
            0 => 0,
            steps => at(1).saturating_add(at(2).saturating_mul(u64::from(steps - 1))),
        }
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
            for fault in self.faults(self.round) {
                candidates.push(Candidate {
                    why: format!("step {}: {fault}", self.round),
                    schedule: Self::schedule(self.round, fault),
                    needed: false,
                    index: self.next,
                });
                self.next += 1;
            }
        }
        candidates
    }

    fn learn(&mut self, _explored: &[Explored<'_>]) {}

    fn space(&self) -> Space {
        Space {
            total: Some(self.count()),
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
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

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

    #[test]
    fn every_fault_comes_at_every_step_and_point_once_and_in_order() {
        let kinds = vec![
            FaultKind::Kill,
            FaultKind::TerminateBackend,
            FaultKind::CancelBackend,
        ];
        let sweep = Sweep::new(kinds, 40);
        let total = sweep.space().total;
        let all = all(sweep);
        assert_eq!(total, Some(u64::try_from(all.len()).unwrap()));
        assert_eq!(all.len(), 6 + 39 * 8);
        assert!((0..).zip(&all).all(|(index, one)| one.index == index));
        let different: BTreeSet<String> = all.iter().map(|one| one.schedule.to_string()).collect();
        assert_eq!(different.len(), all.len());
        assert_eq!(all[0].schedule.to_string(), "kill a (before)");
        assert_eq!(
            all[6 + 1].schedule.to_string(),
            "run a for 1 step; run b to its end; kill a (in-doubt)"
        );
        assert_eq!(
            all[6 + 6].schedule.to_string(),
            "run a for 1 step; run b to its end; \
             terminate-backend a, the session that holds the lock (before)"
        );
        assert_eq!(
            all[6 + 7].schedule.to_string(),
            "run a for 1 step; run b to its end; \
             cancel-backend b, the session of its next step (waiting)"
        );
    }

    #[test]
    fn no_step_or_no_kind_is_an_empty_space() {
        assert!(all(Sweep::new(vec![FaultKind::Kill], 0)).is_empty());
        assert!(all(Sweep::new(Vec::new(), 9)).is_empty());
        assert_eq!(Sweep::new(Vec::new(), 9).space().total, Some(0));
        assert_eq!(all(Sweep::new(vec![FaultKind::CancelBackend], 2)).len(), 1);
    }
}
