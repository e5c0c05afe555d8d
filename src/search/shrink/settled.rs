//! A schedule with the stops that its run really had.
//!
//! Owns what becomes of a move that its run did not reach: a run that is stopped at its error never came to it, and
//! the whole run showed how it ended instead. A finding that is kept must pass when it is run. Knows nothing of
//! what failed.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::{Line, TurnEnd};
use crate::invariant::Verdict;
use crate::name::GuardName;
use crate::schedule::{Move, Stop, Turn};
use crate::timeline::Timeline;

/// These moves as the run took them; `None` if each was as it says.
#[must_use]
pub fn settled(moves: &[Move], lines: &[Line], verdict: &Verdict) -> Option<Vec<Move>> {
    let timeline = Timeline::of(lines);
    let scheduled = timeline.turns.iter().filter(|turn| turn.scheduled);
    let ends: BTreeMap<usize, Option<TurnEnd>> =
        scheduled.map(|turn| (turn.index, turn.why)).collect();
    let about = |name: GuardName| matches!(name, GuardName::StopsReached | GuardName::FaultsFired);
    let unmet = verdict.guards.iter();
    let unmet = unmet.filter(|guard| !guard.met && about(guard.name));
    let missed: BTreeSet<usize> = unmet
        .flat_map(|guard| &guard.moves)
        .map(|placed| placed.index)
        .collect();
    let settled: Vec<Move> = moves
        .iter()
        .enumerate()
        .filter_map(|(index, one)| match (ends.get(&index), one) {
            (None, _) => None,
            (Some(_), one) if !missed.contains(&index) => Some(one.clone()),
            (Some(why), Move::Turn(turn)) => {
                let until = match why {
                    Some(TurnEnd::Blocked) => Stop::Blocked,
                    Some(TurnEnd::PodEnded | TurnEnd::Yielded) => Stop::End,
                    _ => return None,
                };
                let pod = turn.pod.clone();
                Some(Move::Turn(Turn { pod, until }))
            }
            (Some(_), Move::Fault(_)) => None,
            (Some(_), one) => Some(one.clone()),
        })
        .collect();
    (settled != moves).then_some(settled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Begun, Event};
    use crate::invariant::{Guard, Judgement, PlacedMove};
    use crate::name::PodName;

    fn turn(pod: &str, until: Stop) -> Move {
        let pod = PodName::new(pod);
        Move::Turn(Turn { pod, until })
    }

    /// The lines of a run that began these moves and ended them so.
    fn lines(course: &[(Move, TurnEnd)]) -> Vec<Line> {
        let events = course.iter().enumerate().flat_map(|(index, (one, why))| {
            let begun = Begun::Move(one.clone());
            [
                Event::MoveStarted {
                    index,
                    begun,
                    scheduled: true,
                },
                Event::TurnEnded { index, why: *why },
            ]
        });
        (1..)
            .zip(events)
            .map(|(seq, event)| Line {
                seq,
                at_us: seq,
                event,
            })
            .collect()
    }

    fn verdict(missed: &[(usize, &Move)]) -> Verdict {
        let placed = |(index, one): &(usize, &Move)| PlacedMove {
            index: *index,
            begun: Begun::Move((*one).clone()),
        };
        Verdict {
            guards: vec![Guard {
                name: GuardName::StopsReached,
                met: missed.is_empty(),
                why: String::new(),
                moves: missed.iter().map(placed).collect(),
            }],
            ..Verdict::saying(Judgement::Violated, Vec::new())
        }
    }

    #[test]
    fn a_stop_that_was_not_reached_becomes_the_end_that_its_turn_had() {
        let moves = [
            turn("a", Stop::Steps(2)),
            turn("b", Stop::Steps(9)),
            turn("a", Stop::Steps(9)),
            turn("b", Stop::Steps(1)),
        ];
        let course = [
            (moves[0].clone(), TurnEnd::Reached),
            (moves[1].clone(), TurnEnd::PodEnded),
            (moves[2].clone(), TurnEnd::Blocked),
        ];
        let verdict = verdict(&[(1, &moves[1]), (2, &moves[2])]);
        let settled = settled(&moves, &lines(&course), &verdict);
        let wanted = vec![
            turn("a", Stop::Steps(2)),
            turn("b", Stop::End),
            turn("a", Stop::Blocked),
        ];
        assert_eq!(settled, Some(wanted));
    }

    #[test]
    fn a_schedule_that_went_as_it_says_is_left_alone() {
        let moves = [turn("a", Stop::Steps(2)), turn("b", Stop::End)];
        let course = [
            (moves[0].clone(), TurnEnd::Reached),
            (moves[1].clone(), TurnEnd::PodEnded),
        ];
        assert_eq!(settled(&moves, &lines(&course), &verdict(&[])), None);
    }
}
