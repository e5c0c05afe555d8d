//! The turns that a run took.
//!
//! Owns the way back from a history to a schedule of plain turns, so that a run by priorities, or one that
//! nobody led, can be saved and replayed.

use crate::history::{Line, TurnEnd};
use crate::name::PodName;
use crate::schedule::{Move, Schedule, Stop, Turn};
use crate::search::executed::{Executed, ExecutedStep, ExecutedTurn};

/// The schedule that a run took, from its history and the schedule that it was told: turns of so many
/// steps, and the told schedule's faults. A turn in which the pod made way is a turn to the pod's
/// end, which ends there as well. Not for schedules that release steps together: a history does not say which of
/// them the server did first.
#[must_use]
pub fn recorded(lines: &[Line], told: &Schedule) -> Vec<Move> {
    let executed = Executed::of(lines);
    if matches!(told, Schedule::Free(_)) {
        // Nothing led such a run; the order in which its steps came may lead another.
        let mut moves = Vec::new();
        for step in &executed.steps {
            add_step(&mut moves, step.pod());
        }
        return moves;
    }
    let told: &[Move] = match told {
        Schedule::Controlled(moves) => moves,
        _ => &[],
    };
    let mut moves: Vec<Move> = Vec::new();
    for turn in &executed.turns {
        let said = told.get(turn.index).filter(|_| turn.scheduled);
        let steps: &[ExecutedStep] = &executed.steps[turn.steps.clone()];
        match said {
            Some(Move::Fault(fault)) => {
                moves.push(Move::Fault(fault.clone()));
                continue;
            }
            Some(one) if one.is_of_controller() => {
                moves.push(one.clone());
                continue;
            }
            _ => {}
        }
        if let Some(pod) = made_way(turn) {
            moves.push(run(pod, Stop::End));
        } else {
            steps
                .iter()
                .for_each(|step| add_step(&mut moves, step.pod()));
        }
    }
    moves
}

fn made_way(turn: &ExecutedTurn) -> Option<&PodName> {
    let yielded = matches!(turn.why, Some(TurnEnd::Yielded | TurnEnd::Waits));
    turn.pod.as_ref().filter(|_| yielded)
}

fn run(pod: &PodName, until: Stop) -> Move {
    Move::Turn(Turn {
        pod: pod.clone(),
        until,
    })
}

/// Adds a step to the last turn, if that is of the same pod.
fn add_step(moves: &mut Vec<Move>, pod: &PodName) {
    if let Some(Move::Turn(turn)) = moves.last_mut()
        && turn.pod == *pod
        && let Stop::Steps(steps) = &mut turn.until
    {
        *steps = steps.saturating_add(1);
    } else {
        moves.push(run(pod, Stop::Steps(1)));
    }
}
