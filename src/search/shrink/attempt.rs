//! A schedule that a shrink has tried, or tries next.
//!
//! Owns its shape. What is tried is the business of `changes` and `anchor`.

use crate::schedule::{Move, Schedule};

/// A schedule to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// How many pods.
    pub pods: usize,
    /// The moves.
    pub moves: Vec<Move>,
    /// How many of the last moves are there to be read only: those that the conductor would add.
    pub story: usize,
}

impl Attempt {
    /// What tells it from other attempts.
    pub(super) fn text(&self) -> String {
        let schedule = Schedule::Controlled(self.moves.clone());
        format!("{} {} {}", self.pods, self.story, schedule.key())
    }

    /// The moves that can be left out.
    pub(super) fn open(&self) -> &[Move] {
        &self.moves[..self.moves.len().saturating_sub(self.story)]
    }
}
