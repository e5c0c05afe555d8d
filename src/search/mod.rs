//! FINDING IT: the loops over runs: one scenario to its verdict, replays, random baselines.
//!
//! Owns how often what is run and what the runs say together. Knows nothing of how a run is
//! driven, nor of how anything is shown. `strategy` (what to run next) and `shrink` (how to make it
//! smaller) are pure: whoever drives them runs the schedules.

mod after_crash;
mod beside_serial;
mod checkpoint;
mod confirm;
mod course;
mod error;
mod executed;
mod expectation;
mod explore;
mod failure;
mod first_order;
pub mod footprint;
mod giving_up;
pub mod hazard;
mod left_open;
mod lock_rule;
mod minimise;
mod output;
mod own_time;
mod printed;
mod recognised;
mod redact;
mod redacted;
mod replay;
mod schema;
mod script;
pub mod shrink;
mod stage;
pub mod strategy;
mod stress;
pub mod survey;
#[cfg(test)]
mod tale;
mod threads;
mod trial;
mod unclear;
mod weighing;
#[cfg(test)]
mod weighing_tests;
mod workers;

pub use after_crash::Breaks;
pub use checkpoint::{Checkpoint, Earlier, Sought};
pub use course::NotApplicable;
pub use error::TrialError;
pub use expectation::{unexpected, unexpected_find};
pub use explore::{
    Commute, Exploration, Found, Independence, Progress, Rate, SearchOptions, explore,
    never_independent,
};
pub use failure::{Failure, FindingKey};
pub use first_order::first_order;
pub use giving_up::{LET_GO, weigh_giving_up};
pub use left_open::LeftOpen;
pub use minimise::{MinimiseOptions, Minimised, Shrunk, minimise};
pub use output::{output_file, outputs};
pub use recognised::Beside;
pub use redacted::without_data;
pub use replay::{Replays, replay};
pub use stage::{Job, Stage};
pub use stress::{random_stagger, single_runs};
pub use trial::{CONFIRMATION, HISTORY, Outcome, Trial, save};
pub use unclear::Unclear;
pub use weighing::{Confirmation, weigh};
pub use workers::default_jobs;
