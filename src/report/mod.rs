//! HOW IT IS SHOWN: a run as a play, a verdict for the terminal and as JSON.
//!
//! Owns every word that a verdict is told in. Judges nothing and runs nothing.

mod explore;
mod json;
mod play;
mod terminal;

pub use explore::{ExploreJson, FoundJson, ReplayCountJson, ShrunkJson, SpaceJson, count};
pub use json::{
    GuardJson, InvariantJson, ReproduceJson, RunJson, ScenarioJson, ScenarioSource, scenario_json,
};
pub use play::{Scene, play};
pub use terminal::{verdict_block, wrap, wrap_lines};
