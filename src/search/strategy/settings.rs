//! A strategy with its settings, as a value: what two parts of one search have in common.
//!
//! Owns what follows from them for a result whose strategy is no longer there. Makes no schedules.

use serde::{Deserialize, Serialize};

use super::Kind;

/// A strategy with what it was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "strategy", rename_all = "kebab-case")]
pub enum Settings {
    /// Conflicts predicted from executed runs.
    Hazards,
    /// Every schedule with at most so many preemptions.
    Preemptions {
        /// The most preemptions of a schedule.
        most: u32,
        /// Whether equivalent schedules are run, too.
        unreduced: bool,
    },
    /// Random priorities with change points.
    Pct {
        /// The depth of the bugs that are looked for.
        depth: u32,
        /// How many schedules.
        schedules: u64,
        /// The seed of the draws.
        seed: u64,
    },
    /// Each fault at each step and point.
    Sweep,
    /// Two conflicting steps at the same moment.
    Overlap {
        /// How many schedules, shared among the pairs.
        schedules: u64,
    },
    /// Random turns and faults.
    Random {
        /// Whether there are faults.
        faults: bool,
        /// How many schedules.
        schedules: u64,
        /// The seed of the draws.
        seed: u64,
    },
    /// Kills at random steps.
    Kills {
        /// How many schedules.
        schedules: u64,
        /// The seed of the draws.
        seed: u64,
    },
    /// Random start times and no control.
    Stress {
        /// How many schedules.
        schedules: u64,
        /// The seed of the draws.
        seed: u64,
    },
}

impl Settings {
    /// The seed of its draws, if it has one.
    #[must_use]
    pub fn seed(self) -> Option<u64> {
        match self {
            Self::Pct { seed, .. }
            | Self::Random { seed, .. }
            | Self::Kills { seed, .. }
            | Self::Stress { seed, .. } => Some(seed),
            Self::Hazards | Self::Preemptions { .. } | Self::Sweep | Self::Overlap { .. } => None,
        }
    }

    /// Whether its draws are independent, it enumerates, or it predicts: as its strategy says.
    #[must_use]
    pub fn kind(self) -> Kind {
        match self {
            Self::Hazards => Kind::Predictions,
            Self::Preemptions { .. } | Self::Sweep => Kind::Enumeration,
            Self::Pct { .. }
            | Self::Overlap { .. }
            | Self::Random { .. }
            | Self::Kills { .. }
            | Self::Stress { .. } => Kind::Draws,
        }
    }

    /// Whether it finds its schedules as it goes: a part knows how many there are in its own part only,
    /// and a schedule has no number in the whole search.
    #[must_use]
    pub fn finds_schedules_as_it_goes(self) -> bool {
        matches!(self, Self::Preemptions { .. })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::search::strategy::{
        Kills, Overlap, Pct, Preemptions, Random, Shard, Stagger, Strategy, Sweep, Swept,
    };

    #[test]
    fn settings_say_of_a_strategy_what_it_says_of_itself() {
        let (schedules, seed) = (2, 7);
        let pairs: [(Box<dyn Strategy>, Settings); 7] = [
            (
                Box::new(Preemptions::new(2, 1, true, Shard::WHOLE)),
                Settings::Preemptions {
                    most: 1,
                    unreduced: false,
                },
            ),
            (
                Box::new(Pct::new(2, 9, 3, schedules, seed)),
                Settings::Pct {
                    depth: 3,
                    schedules,
                    seed,
                },
            ),
            (Box::new(Sweep::new(Swept::usual(), 3)), Settings::Sweep),
            (
                Box::new(Overlap::new(Vec::new(), schedules)),
                Settings::Overlap { schedules },
            ),
            (
                Box::new(Random::new(2, 8, 3, true, schedules, seed)),
                Settings::Random {
                    faults: true,
                    schedules,
                    seed,
                },
            ),
            (
                Box::new(Kills::new(9, schedules, seed)),
                Settings::Kills { schedules, seed },
            ),
            (
                Box::new(Stagger::new(Duration::from_millis(1), schedules, seed)),
                Settings::Stress { schedules, seed },
            ),
        ];
        for (strategy, settings) in pairs {
            assert_eq!(strategy.kind(), settings.kind(), "{settings:?}");
            let json = serde_json::to_value(settings).unwrap();
            assert_eq!(json["strategy"], strategy.name());
            assert_eq!(serde_json::from_value::<Settings>(json).unwrap(), settings);
        }
    }
}
