//! The order with which a new scenario begins: pod a is held in the middle of its work, b runs as far as it can,
//! a goes on.
//!
//! Owns the choice of that middle, from the clean run alone.

use super::executed::{Executed, ExecutedStep};
use super::shrink::pattern;
use crate::history::Line;
use crate::name::PodName;
use crate::schedule::{Move, Schedule, Stop, Turn};

/// A schedule in which a second pod comes while the first one is before its last write. Where a write has no
/// text by which a stop could know it, the pods run one after the other.
#[must_use]
pub fn first_order(clean: &[Line], pods: usize) -> Schedule {
    let executed = Executed::of(clean);
    let writes = |step: &&ExecutedStep| !step.only_asks;
    let last = executed.steps.iter().rev().find(writes);
    let stop = last.and_then(|last| {
        let sql = pattern(&last.normal)?;
        let alike = |step: &&ExecutedStep| sql.matches(&step.normal);
        let before = executed.steps.iter().take_while(|step| step.id != last.id);
        let nth = u32::try_from(before.filter(alike).count() + 1).ok()?;
        Some(Stop::Before { sql, nth })
    });
    let turn = |index: usize, until: Stop| {
        Move::Turn(Turn {
            pod: PodName::of_index(index),
            until,
        })
    };
    let mut moves: Vec<Move> = stop.into_iter().map(|stop| turn(0, stop)).collect();
    if moves.is_empty() {
        return Schedule::Controlled(moves);
    }
    moves.extend((1..pods).map(|index| turn(index, Stop::End)));
    moves.push(turn(0, Stop::End));
    Schedule::Controlled(moves)
}
