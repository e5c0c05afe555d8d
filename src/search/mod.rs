//! FINDING IT: the loops over runs: one scenario to its verdict, replays, random baselines.
//!
//! Owns how often what is run and what the runs say together. Knows nothing of how a run is
//! driven, nor of how anything is shown. `strategy` (what to run next) and `shrink` (how to make it
//! smaller) are pure: whoever drives them runs the schedules.

mod error;
mod executed;
mod expectation;
mod explore;
mod failure;
pub mod footprint;
pub mod hazard;
mod minimise;
mod printed;
mod replay;
pub mod shrink;
mod stage;
pub mod strategy;
mod stress;
pub mod survey;
#[cfg(test)]
mod tale;
mod trial;
mod unclear;
mod workers;

pub use error::TrialError;
pub use executed::{Executed, ExecutedStep, ExecutedTurn};
pub use expectation::unexpected;
pub use explore::{
    Commute, Exploration, Found, Independence, Progress, SearchOptions, explore, never_independent,
};
pub use failure::{Failure, FindingKey};
pub use minimise::{MinimiseOptions, Minimised, Shrunk, minimise};
pub use replay::{Replays, replay};
pub use stage::{Job, Stage, StageSeat};
pub use stress::{Kills, Stagger, random_kills, random_stagger, single_runs};
pub use trial::{CONFIRMATION, Confirmation, HISTORY, Outcome, Trial, save, weigh};
pub use unclear::{Reason, Unclear};
pub use workers::default_jobs;
