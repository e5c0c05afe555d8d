//! Kills at random steps, while a second pod waits.
//!
//! Owns the draws: the first pod runs for a random number of its steps, the second until it is blocked, then
//! one of the two is killed, the first at a random point of its step. Draw i depends on the seed and on i
//! alone. Made for a job that takes its lock first and gives it back last; on others the second pod may run
//! to its end before the kill.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::{Candidate, Kind, Strategy, drawn};
use crate::name::PodName;
use crate::schedule::{
    Fault, FaultKind, Move, PermittedFaults, Point, Schedule, SessionChoice, Stop, Turn,
};

/// Kills of one pod of two.
#[derive(Debug, Clone)]
pub struct Kills {
    steps: u32,
    schedules: u64,
    seed: u64,
    next: u64,
}

impl Kills {
    /// So many draws, for a job of so many steps.
    #[must_use]
    pub fn new(steps: u32, schedules: u64, seed: u64) -> Self {
        Self {
            steps,
            schedules,
            seed,
            next: 0,
        }
    }

    /// The same; `None` if such kills are not permitted.
    #[must_use]
    pub fn permitting(self, faults: &PermittedFaults) -> Option<Self> {
        let points = [Point::Before, Point::InDoubt, Point::After];
        let permitted = |point| faults.allow(&kill(PodName::of_index(0), point));
        points.into_iter().all(permitted).then_some(self)
    }

    fn draw(&self, index: u64) -> Schedule {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(index);
        let mut below =
            |limit: u32| u32::try_from(random.next_u64() % u64::from(limit)).unwrap_or(0);
        let (first, second) = (PodName::of_index(0), PodName::of_index(1));
        let run = |pod: &PodName, until: Stop| {
            Move::Turn(Turn {
                pod: pod.clone(),
                until,
            })
        };
        // Between its first step and its last, a has the lock, and b waits for it.
        let steps = 1 + below(self.steps.saturating_sub(2).max(1));
        let of_second = below(4) == 0;
        let point = match below(3) {
            // A pod that waits has no step at the gate: there, only "now" is a point.
            _ if of_second => Point::Before,
            0 => Point::Before,
            1 => Point::InDoubt,
            _ => Point::After,
        };
        let victim = if of_second { &second } else { &first };
        Schedule::Controlled(vec![
            run(&first, Stop::Steps(steps)),
            run(&second, Stop::Blocked),
            Move::Fault(kill(victim.clone(), point)),
        ])
    }
}

fn kill(pod: PodName, point: Point) -> Fault {
    Fault::of_pod(FaultKind::Kill, pod, SessionChoice::Next, point)
}

impl Strategy for Kills {
    fn name(&self) -> &'static str {
        "kills"
    }

    fn round(&mut self) -> Vec<Candidate> {
        let candidates = drawn(self.next, self.schedules, |index| self.draw(index));
        self.next += candidates.len() as u64;
        candidates
    }

    fn kind(&self) -> Kind {
        Kind::Draws
    }

    fn aims(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_draw_kills_one_pod_at_a_step_that_there_is_and_a_seed_repeats_it() {
        let draws = |seed| {
            let kills = Kills::new(9, 100, seed);
            (0..100).map(|index| kills.draw(index)).collect::<Vec<_>>()
        };
        assert_eq!(draws(5), draws(5));
        assert_ne!(draws(5), draws(6));
        let mut points = Vec::new();
        for schedule in draws(5) {
            let [Move::Turn(first), Move::Turn(_), Move::Fault(fault)] = schedule.moves() else {
                panic!("{schedule:?}");
            };
            assert!(matches!(first.until, Stop::Steps(1..=7)), "{first:?}");
            assert_eq!(fault.kind, FaultKind::Kill);
            points.push(format!("{fault:?}"));
        }
        points.sort();
        points.dedup();
        assert_eq!(points.len(), 4, "a at three points, b at one: {points:?}");
    }
}
