//! Two steps let go at the same moment, many times: for races inside a step.
//!
//! Owns the draws. Which steps are worth it is somebody else's affair.
//!
//! The schedules are controlled up to the two steps; what happens between those is the server's
//! and the machine's, so that a repetition is a draw. The draws go through the pairs in turn. What
//! a clean result says (see [`super::claim()`]) it says of the mean over the pairs.

use super::{Candidate, Kind, Strategy, draws};
use crate::schedule::{Move, Schedule, Turn};
use crate::search::strategy::Why;

/// Repeated releases of two steps at the same moment.
#[derive(Debug, Clone)]
pub struct Overlap {
    pairs: Vec<(Turn, Turn)>,
    repetitions: u64,
    next: u64,
}

impl Overlap {
    /// For each pair: the turns after which the two pods are at the gate with the steps in question,
    /// and how often each pair is tried. Pairs of one pod are left out.
    #[must_use]
    pub fn new(mut pairs: Vec<(Turn, Turn)>, repetitions: u64) -> Self {
        pairs.retain(|(one, other)| one.pod != other.pod);
        Self {
            pairs,
            repetitions,
            next: 0,
        }
    }

    /// How many draws there are.
    #[must_use]
    pub fn draws(&self) -> u64 {
        self.repetitions
            .saturating_mul(u64::try_from(self.pairs.len()).unwrap_or(u64::MAX))
    }

    fn candidate(&self, index: u64) -> Option<Candidate> {
        let pairs = u64::try_from(self.pairs.len()).ok()?;
        let (one, other) = self.pairs.get(usize::try_from(index % pairs).ok()?)?;
        let schedule = Schedule::Controlled(vec![
            Move::Turn(one.clone()),
            Move::Turn(other.clone()),
            Move::Together(vec![one.pod.clone(), other.pod.clone()]),
        ]);
        Some(Candidate {
            why: Why::Repetition(index / pairs + 1),
            schedule,
            needed: false,
            index,
        })
    }
}

impl Strategy for Overlap {
    fn name(&self) -> &'static str {
        "overlap"
    }

    fn round(&mut self) -> Vec<Candidate> {
        let all = self.draws();
        let next = draws(self.next, all);
        self.next = next.end;
        next.filter_map(|index| self.candidate(index)).collect()
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
    use crate::name::PodName;
    use crate::schedule::Stop;

    #[test]
    fn pairs_take_turns_and_each_is_tried_as_often_as_said() {
        let turn = |pod: usize, steps| Turn {
            pod: PodName::of_index(pod),
            until: Stop::Steps(steps),
        };
        let pairs = vec![
            (turn(0, 1), turn(1, 2)),
            (turn(0, 3), turn(1, 4)),
            (turn(0, 3), turn(0, 4)),
        ];
        let mut overlap = Overlap::new(pairs, 50);
        let mut all = overlap.round();
        all.extend(overlap.round());
        assert_eq!((all.len(), overlap.round().len()), (100, 0));
        assert_eq!(
            crate::report::schedule_words(&all[1].schedule),
            "run a for 3 steps; run b for 4 steps; release the next steps of a and b together"
        );
        let first = all.iter().filter(|one| one.schedule == all[0].schedule);
        assert_eq!(first.count(), 50);
    }
}
