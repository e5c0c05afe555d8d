//! Single changes that make a schedule simpler.
//!
//! Owns what each change is and the order in which changes of a kind are tried, largest first. Knows
//! nothing of what is kept.

use super::attempt::Attempt;
use crate::name::{ConnectionName, PodName};
use crate::schedule::{Fault, Move, SessionChoice, Stop, Turn};
use crate::search::executed::Executed;

pub(super) fn faults(attempt: &Attempt) -> usize {
    let moves = attempt.moves.iter();
    moves.filter(|one| matches!(one, Move::Fault(_))).count()
}

fn with(attempt: &Attempt, moves: Vec<Move>) -> Attempt {
    Attempt {
        moves,
        ..attempt.clone()
    }
}

/// Without one pod; the last first. (What it takes away from the story, the story is written anew.)
pub(super) fn fewer_pods(best: &Attempt) -> Vec<Attempt> {
    (0..best.pods)
        .rev()
        .filter(|_| best.pods > 1)
        .map(|gone| {
            let moves = best.open().iter().filter_map(|one| without(one, gone));
            Attempt {
                pods: best.pods - 1,
                moves: moves.collect(),
                story: 0,
            }
        })
        .collect()
}

/// A move when this pod is gone and those after it have moved up; `None`: nothing is left of it.
fn without(one: &Move, gone: usize) -> Option<Move> {
    let renamed = |pod: &PodName| {
        let index = (0..26).find(|index| PodName::of_index(*index) == *pod)?;
        match index {
            index if index == gone => None,
            index if index > gone => Some(PodName::of_index(index - 1)),
            index => Some(PodName::of_index(index)),
        }
    };
    match one {
        Move::Tick | Move::Advance(_) | Move::Manual => Some(one.clone()),
        Move::Turn(turn) => Some(Move::Turn(Turn {
            pod: renamed(&turn.pod)?,
            until: turn.until.clone(),
        })),
        Move::Together(pods) => {
            let left: Vec<PodName> = pods.iter().filter_map(renamed).collect();
            match left.as_slice() {
                [] => None,
                [only] => Some(one_step(only)),
                _ => Some(Move::Together(left)),
            }
        }
        Move::Fault(fault) => {
            // A fault of the server alone is nobody's.
            let pod = match &fault.pod {
                Some(pod) => Some(renamed(pod)?),
                None => None,
            };
            let session = match (&fault.session, &pod) {
                (SessionChoice::Connection(name), Some(pod)) => {
                    SessionChoice::Connection(ConnectionName {
                        pod: pod.clone(),
                        index: name.index,
                    })
                }
                (other, _) => other.clone(),
            };
            Some(Move::Fault(Fault {
                pod,
                session,
                ..fault.clone()
            }))
        }
    }
}

fn one_step(pod: &PodName) -> Move {
    Move::Turn(Turn {
        pod: pod.clone(),
        until: Stop::Steps(1),
    })
}

/// Without all faults, then without each of them.
pub(super) fn fewer_faults(best: &Attempt) -> Vec<Attempt> {
    let is_fault = |one: &Move| matches!(one, Move::Fault(_));
    let places: Vec<usize> = (0..best.open().len())
        .filter(|place| is_fault(&best.moves[*place]))
        .collect();
    if places.is_empty() {
        return Vec::new();
    }
    let none = best.moves.iter().filter(|one| !is_fault(one)).cloned();
    let mut attempts = vec![with(best, none.collect())];
    attempts.extend(places.into_iter().map(|place| {
        let mut moves = best.moves.clone();
        moves.remove(place);
        with(best, moves)
    }));
    attempts
}

/// Without any move, then without a half, a quarter, …, one.
pub(super) fn fewer_moves(best: &Attempt) -> Vec<Attempt> {
    let count = best.open().len();
    let mut attempts = Vec::new();
    let mut size = count;
    while size > 0 {
        for from in (0..count).step_by(size) {
            let mut moves = best.moves.clone();
            moves.drain(from..count.min(from + size));
            attempts.push(with(best, moves));
        }
        size /= 2;
    }
    attempts
}

/// Neighbouring turns of one pod as one; steps released together one after the other.
pub(super) fn joined(best: &Attempt) -> Vec<Attempt> {
    let mut attempts = Vec::new();
    for (place, pair) in best.open().windows(2).enumerate() {
        if let [Move::Turn(one), Move::Turn(two)] = pair
            && one.pod == two.pod
            && let (Stop::Steps(steps), Stop::Steps(more)) = (&one.until, &two.until)
        {
            let mut moves = best.moves.clone();
            moves.remove(place);
            moves[place] = Move::Turn(Turn {
                pod: one.pod.clone(),
                until: Stop::Steps(steps.saturating_add(*more)),
            });
            attempts.push(with(best, moves));
        }
    }
    for (place, one) in best.open().iter().enumerate() {
        if let Move::Together(pods) = one {
            let orders = [
                pods.iter().map(one_step).collect::<Vec<_>>(),
                pods.iter().rev().map(one_step).collect(),
            ];
            for order in orders {
                let mut moves = best.moves.clone();
                moves.splice(place..=place, order);
                attempts.push(with(best, moves));
            }
        }
    }
    attempts
}

/// Each turn with fewer steps than it took: half as many, …, one less. A turn that stops at an SQL
/// text is tried with one less only.
pub(super) fn earlier_stops(best: &Attempt, executed: &Executed) -> Vec<Attempt> {
    let mut attempts = Vec::new();
    for (place, one) in best.open().iter().enumerate() {
        let Move::Turn(turn) = one else { continue };
        let took = executed
            .turns
            .iter()
            .find(|done| done.scheduled && done.index == place)
            .map_or(0, |done| done.steps.len());
        let took = u32::try_from(took).unwrap_or(u32::MAX);
        let (steps, mut less) = match turn.until {
            Stop::Steps(steps) => (steps, steps / 2),
            Stop::End => (took, took / 2),
            _ => (took, 1),
        };
        if steps > 1 {
            less = less.max(1);
        }
        while less > 0 && less < steps {
            let mut moves = best.moves.clone();
            moves[place] = Move::Turn(Turn {
                pod: turn.pod.clone(),
                until: Stop::Steps(steps - less),
            });
            attempts.push(with(best, moves));
            less /= 2;
        }
    }
    attempts
}
