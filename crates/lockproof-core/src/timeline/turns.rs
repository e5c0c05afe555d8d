//! Turns and other moves, with the steps that were let go in each.
//!
//! Owns which step belongs to which turn. Knows nothing of why a turn was chosen.

use std::ops::Range;

use crate::history::{Begun, Event, TurnEnd};

/// A turn, a fault, or steps released together.
#[derive(Debug)]
pub struct TurnFacts<'a> {
    /// Its place in the schedule, from 0; added turns count on.
    pub index: usize,
    /// What is done.
    pub begun: &'a Begun,
    /// Whether the schedule says so.
    pub scheduled: bool,
    /// Why it ended, if it is a turn that did.
    pub why: Option<TurnEnd>,
    /// The steps that were let go in it, and after it until the next, as places in the timeline's
    /// `released`.
    pub released: Range<usize>,
}

/// The turns, while lines are read.
#[derive(Default)]
pub(super) struct Turns<'a> {
    turns: Vec<TurnFacts<'a>>,
    /// How many steps have been let go.
    released: usize,
}

impl<'a> Turns<'a> {
    pub(super) fn read(&mut self, event: &'a Event) {
        match event {
            Event::MoveStarted {
                index,
                begun,
                scheduled,
            } => self.turns.push(TurnFacts {
                index: *index,
                begun,
                scheduled: *scheduled,
                why: None,
                released: self.released..self.released,
            }),
            Event::TurnEnded { index, why } => {
                if let Some(turn) = self.turns.last_mut().filter(|turn| turn.index == *index) {
                    turn.why = Some(*why);
                }
            }
            Event::StepReleased { .. } => {
                self.released += 1;
                if let Some(turn) = self.turns.last_mut() {
                    turn.released.end = self.released;
                }
            }
            _ => {}
        }
    }

    pub(super) fn finish(self) -> Vec<TurnFacts<'a>> {
        self.turns
    }
}
