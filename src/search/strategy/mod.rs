//! WHAT TO RUN NEXT: strategies that look for a failing schedule.
//!
//! Owns the choice of schedules, what is learned from runs, how large the space is, and what a
//! clean result means. All of it is pure: no tokio, no clock, no thread, no server. Whoever drives a
//! strategy asks for a round, runs its schedules in whatever order and tells what they showed.
//! Strategies know nothing of invariants or scenarios; of a run they see its history and whether
//! it was violated.

mod claim;
mod hazards;
mod kept;
mod kills;
mod limited;
mod overlap;
mod pct;
mod preemptions;
#[cfg(feature = "random")]
pub(super) mod random;
mod reduction;
mod sampled;
mod settings;
mod shard;
mod stagger;
mod sweep;
#[cfg(test)]
mod tests;
mod tree;
mod walk;
mod why;

use serde::{Deserialize, Serialize};

use crate::history::Line;
use crate::name::StepId;
use crate::run::RunError;
use crate::schedule::Schedule;

pub use crate::search::hazard::OtherCourse;
pub use claim::{Tally, claim};
pub use hazards::Hazards;
pub use kills::Kills;
pub use limited::Limited;
pub use overlap::Overlap;
pub use pct::Pct;
pub use preemptions::Preemptions;
#[cfg(feature = "random")]
pub use random::Random;
pub use sampled::{Sample, SampledOut};
pub use settings::Settings;
pub use shard::Shard;
pub use stagger::Stagger;
pub use sweep::{Onward, Place, Sweep, Swept};
pub use why::Why;

/// A schedule to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The schedule.
    pub schedule: Schedule,
    /// Why it is run.
    pub why: Why,
    /// Whether every shard must run it, for what it teaches. It is counted by its owner alone.
    pub needed: bool,
    /// Its place in the whole space, or a number that stands for it: what decides which shard it is
    /// of, see [`Shard::owns`]. Not always unique: candidates that can only be found one after the
    /// other share it.
    pub index: u64,
}

/// A candidate that was run, and what it showed.
pub struct Explored<'a> {
    /// The candidate.
    pub candidate: &'a Candidate,
    /// The run's history.
    pub lines: &'a [Line],
    /// Whether the run was violated. It may have been stopped there.
    pub violated: bool,
    /// What was seen in it that violates, in a few words.
    pub seen: Option<&'a str>,
    /// Whether the run could be judged.
    pub conclusive: bool,
    /// Whether two executed steps of different pods of this run commute: in either order, from any
    /// state, both have the same effect and the same answers. What is not known must not commute.
    pub independent: &'a dyn Fn(StepId, StepId) -> bool,
}

/// How large a strategy's space is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Space {
    /// How many schedules there are, those left out included; `None` while that is not known.
    pub total: Option<u64>,
    /// How many were left out, because one that was run is equivalent.
    pub pruned: u64,
    /// How many runs did not follow the run that they were derived from.
    pub diverged: u64,
    /// Whether only some steps of a repetition were tried: then all is not all there are.
    pub sampled: bool,
    /// Of a strategy that predicts: how many draws there are beside that, of steps that are let go at the same
    /// moment.
    pub draws: u64,
}

/// What a clean result of a strategy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// It goes through all schedules of a kind.
    Enumeration,
    /// It tries what was predicted from executed runs: there are other schedules of the kind.
    Predictions,
    /// Its draws are independent: a clean result is a probability.
    Draws,
}

/// A way to look for a failing schedule.
pub trait Strategy: Send {
    /// Its name, as on the command line.
    fn name(&self) -> &'static str;

    /// The next schedules, which may be run side by side in any order; empty: done.
    fn round(&mut self) -> Vec<Candidate>;

    /// Why no round can be made: what it would be made from is lost. To be asked after each.
    fn failure(&mut self) -> Option<RunError> {
        None
    }

    /// How many schedules there will be, as far as that is known before any was run. It may work out its first
    /// round for that, which it hands out unchanged.
    fn foreseen(&mut self) -> Option<u64> {
        self.space().total
    }

    /// What those showed, in their order. What was not run (another shard's) is left out. Who draws learns
    /// nothing from it.
    fn learn(&mut self, _explored: &[Explored<'_>]) {}

    /// The space as far as it is known by now.
    fn space(&self) -> Space {
        Space::default()
    }

    /// Whether its draws are independent, it enumerates, or it predicts.
    fn kind(&self) -> Kind;

    /// Whether each of its schedules is made for something: a run in which a stop was not reached or a
    /// fault did not fire then says nothing. Of random schedules it says as much as any other.
    fn aims(&self) -> bool {
        true
    }

    /// Whether this run, in which a stop was not reached, says what its schedule was made to tell, or shows
    /// that it could not be told. `None`: it says nothing.
    fn other_course(&self, _candidate: &Candidate, _lines: &[Line]) -> Option<OtherCourse> {
        None
    }

    /// Why some of its schedules were not run, since they do not apply to the subject, and how many.
    fn not_applicable(&self) -> Option<(String, u64)> {
        None
    }

    /// What it has to say of a schedule that it has just learned of, as a sentence.
    fn remark(&self, _explored: &Explored<'_>) -> Option<String> {
        None
    }

    /// What the strategy itself promises of each of its schedules, as a sentence.
    fn promise(&self) -> Option<String> {
        None
    }
}

/// How many candidates a strategy that knows them all hands out at a time.
const BATCH: usize = 64;

/// The next candidates of a strategy whose draw i is this schedule, `next` draws after its first.
fn drawn(next: u64, all: u64, draw: impl Fn(u64) -> Schedule) -> Vec<Candidate> {
    draws(next, all)
        .map(|index| {
            let schedule = draw(index);
            Candidate {
                why: Why::Draw(index + 1),
                schedule,
                needed: false,
                index,
            }
        })
        .collect()
}

/// The draws of the next round, as a range of their numbers.
fn draws(next: u64, all: u64) -> std::ops::Range<u64> {
    next..all.min(next.saturating_add(u64::try_from(BATCH).unwrap_or(u64::MAX)))
}
