//! A random stagger in real time: what people do today, as the baseline to beat.
//!
//! Owns the draws: nothing is held, each pod but the first starts a random time after the one before
//! it. Draw i depends on the seed and on i alone; which order the server then takes does not.

use std::time::Duration;

use super::{Candidate, Kind, Strategy, drawn};
use crate::schedule::{FreeSchedule, Schedule};

/// Pods that start at random times.
#[derive(Debug, Clone)]
pub struct Stagger {
    longest: Duration,
    schedules: u64,
    seed: u64,
    next: u64,
}

impl Stagger {
    /// So many draws; each pod starts up to `longest` after the one before it.
    #[must_use]
    pub fn new(longest: Duration, schedules: u64, seed: u64) -> Self {
        Self {
            longest,
            schedules,
            seed,
            next: 0,
        }
    }

    fn draw(&self, index: u64) -> Schedule {
        Schedule::Free(FreeSchedule {
            stagger: (Duration::ZERO, self.longest),
            seed: self.seed.wrapping_add(index),
            faults: Vec::new(),
        })
    }
}

impl Strategy for Stagger {
    fn name(&self) -> &'static str {
        "stress"
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
