//! Random priorities: Burckhardt, Kothari, Musuvathi and Nagarakatte, "A Randomized Scheduler with
//! Probabilistic Guarantees of Finding Bugs" (PCT), ASPLOS 2010.
//!
//! Owns the draws and their bound. Knows nothing of how priorities are followed.
//!
//! A bug of depth d is one that comes whenever d − 1 orderings of steps of different pods come out
//! in a certain way beside the choice of who runs first. With n pods and at most k steps in all, a
//! schedule with random priorities and d − 1 priority changes at random steps finds such a bug with
//! probability at least 1 / (n · k^(d−1)).
//!
//! Where this deviates from the paper:
//! * k is an estimate, fixed beforehand (n times the clean run's steps). A run that takes more steps
//!   has steps at which no change can come; for it the bound is not promised.
//! * The paper knows beforehand who is enabled. Here a step must be released for its pod to be seen
//!   blocked; that release is a step of its own and is counted in k.
//! * Draws of change points are independent, so two can fall on the same step, as in the paper.
//! * A pod that only polls gives way, which the paper leaves to the program's own yields.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::{Candidate, Kind, Strategy, drawn};
use crate::name::PodName;
use crate::schedule::Schedule;

/// Random priorities. Draw i depends on the seed and on i alone.
#[derive(Debug, Clone)]
pub struct Pct {
    pods: usize,
    steps: u64,
    depth: u32,
    schedules: u64,
    seed: u64,
    next: u64,
}

impl Pct {
    /// So many draws for this many pods (at least 1), an estimated number of steps of the whole run
    /// (at least 1) and a depth (at least 1).
    #[must_use]
    pub fn new(pods: usize, steps: u64, depth: u32, schedules: u64, seed: u64) -> Self {
        Self {
            pods: pods.max(1),
            steps: steps.max(1),
            depth: depth.max(1),
            schedules,
            seed,
            next: 0,
        }
    }

    /// The least probability with which one draw finds a bug of this depth.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // A rounded bound is still told as a rounded bound.
    pub fn bound(&self) -> f64 {
        let changes = i32::try_from(self.depth - 1).unwrap_or(i32::MAX);
        1.0 / (self.pods as f64 * (self.steps as f64).powi(changes))
    }

    /// Draw number i.
    #[must_use]
    pub fn draw(&self, index: u64) -> Schedule {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(index);
        let mut order: Vec<PodName> = (0..self.pods).map(PodName::of_index).collect();
        for last in (1..order.len()).rev() {
            let other = below(&mut random, u64::try_from(last).unwrap_or(0) + 1);
            order.swap(last, usize::try_from(other).unwrap_or(0));
        }
        let changes = (1..self.depth)
            .map(|_| 1 + below(&mut random, self.steps))
            .collect();
        Schedule::Priorities { order, changes }
    }
}

/// A number below the limit, each as likely as any other.
fn below(random: &mut ChaCha8Rng, limit: u64) -> u64 {
    // What lies in the last, incomplete round of the limit is drawn again.
    let rest = (u64::MAX % limit + 1) % limit;
    loop {
        let drawn = random.next_u64();
        if drawn <= u64::MAX - rest {
            return drawn % limit;
        }
    }
}

impl Strategy for Pct {
    fn name(&self) -> &'static str {
        "pct"
    }

    fn round(&mut self) -> Vec<Candidate> {
        let candidates = drawn(self.next, self.schedules, |index| self.draw(index));
        self.next += candidates.len() as u64;
        candidates
    }

    fn kind(&self) -> Kind {
        Kind::Draws
    }

    fn promise(&self) -> Option<String> {
        let changes = match self.depth {
            1 => String::new(),
            depth => format!("·{}^{}", self.steps, depth - 1),
        };
        Some(format!(
            "a draw finds a bug of depth {} in {} pods and at most {} steps with probability at \
             least 1/({}{changes}) = {:.2e}",
            self.depth,
            self.pods,
            self.steps,
            self.pods,
            self.bound()
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_draw_depends_on_the_seed_and_its_number_alone() {
        let mut all = Pct::new(3, 50, 3, 200, 7);
        let mut seen = Vec::new();
        loop {
            let round = all.round();
            if round.is_empty() {
                break;
            }
            seen.extend(round);
        }
        assert_eq!(seen.len(), 200);
        for (index, one) in (0..).zip(&seen) {
            assert_eq!((one.index, &one.schedule), (index, &all.draw(index)));
        }
        assert_ne!(Pct::new(3, 50, 3, 1, 8).draw(0), all.draw(0));
        assert_ne!(all.draw(1), all.draw(0));
    }

    #[test]
    fn orders_and_changes_are_drawn_evenly_within_their_range() {
        let pct = Pct::new(3, 10, 2, 0, 1);
        let (mut orders, mut changes) = (BTreeMap::new(), BTreeMap::new());
        for index in 0..6_000 {
            let Schedule::Priorities {
                order,
                changes: steps,
            } = pct.draw(index)
            else {
                panic!("no priorities");
            };
            *orders.entry(order).or_insert(0) += 1;
            *changes.entry(steps[0]).or_insert(0) += 1;
        }
        assert_eq!((orders.len(), changes.len()), (6, 10));
        assert!(changes.keys().eq((1..=10).collect::<Vec<_>>().iter()));
        assert!(orders.values().all(|count| (850..1_150).contains(count)));
        assert!(changes.values().all(|count| (480..720).contains(count)));
    }

    #[test]
    fn the_bound_is_the_papers() {
        let bound = Pct::new(2, 120, 3, 0, 0).bound();
        assert!((bound - 1.0 / 28_800.0).abs() < 1e-12);
        let promise = Pct::new(2, 120, 3, 0, 0).promise().unwrap();
        assert!(promise.contains("1/(2·120^2) = 3.47e-5"), "{promise}");
    }
}
