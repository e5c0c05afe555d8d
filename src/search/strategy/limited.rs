//! The first so many schedules of a strategy.
//!
//! Owns the bound, and nothing else: all is as the strategy has it.

use super::{Candidate, Explored, Kind, OtherCourse, Space, Strategy};
use crate::history::Line;
use crate::run::RunError;

/// A strategy that ends after so many schedules, if it does not end before.
pub struct Limited {
    strategy: Box<dyn Strategy>,
    left: u64,
}

impl Limited {
    /// At most so many of this strategy's schedules. In a search that is split, so many of all parts.
    #[must_use]
    pub fn new(strategy: Box<dyn Strategy>, most: u64) -> Self {
        Self {
            strategy,
            left: most,
        }
    }
}

impl Strategy for Limited {
    fn name(&self) -> &'static str {
        self.strategy.name()
    }

    fn round(&mut self) -> Vec<Candidate> {
        if self.left == 0 {
            return Vec::new();
        }
        let mut round = self.strategy.round();
        round.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left -= u64::try_from(round.len()).unwrap_or(self.left);
        round
    }

    fn failure(&mut self) -> Option<RunError> {
        self.strategy.failure()
    }

    fn learn(&mut self, explored: &[Explored<'_>]) {
        self.strategy.learn(explored);
    }

    fn space(&self) -> Space {
        self.strategy.space()
    }

    fn kind(&self) -> Kind {
        self.strategy.kind()
    }

    fn aims(&self) -> bool {
        self.strategy.aims()
    }

    fn other_course(&self, candidate: &Candidate, lines: &[Line]) -> Option<OtherCourse> {
        self.strategy.other_course(candidate, lines)
    }

    fn not_applicable(&self) -> Option<(String, u64)> {
        self.strategy.not_applicable()
    }

    fn remark(&self, explored: &Explored<'_>) -> Option<String> {
        self.strategy.remark(explored)
    }

    fn promise(&self) -> Option<String> {
        self.strategy.promise()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::strategy::Random;

    #[test]
    fn no_more_than_so_many_are_handed_out_and_they_are_the_first() {
        for most in [0, 1, 64, 65, 100, 1000] {
            let draws = || Box::new(Random::new(2, 3, 4, true, 100, 7));
            let mut limited = Limited::new(draws(), most);
            let mut all = Vec::new();
            loop {
                let round = limited.round();
                if round.is_empty() {
                    break;
                }
                all.extend(round);
            }
            let most = usize::try_from(most).unwrap();
            assert_eq!(all.len(), most.min(100));
            for (index, one) in (0..).zip(&all) {
                assert_eq!(one.schedule, draws().draw(index));
            }
        }
    }
}
