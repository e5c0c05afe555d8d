//! HOW IT IS SHOWN: a run as a play, a verdict for the terminal and as JSON.
//!
//! Owns every word that a verdict is told in. Judges nothing and runs nothing.

mod answers;
mod case;
mod catches;
mod every;
mod explore;
mod grid;
mod json;
mod limits;
mod moves;
pub mod page;
mod play;
mod rows;
mod scene;
mod story;
mod survey;
mod terminal;
mod timings;
mod visible;

pub use answers::answer_sentence;
pub use case::{Case, Cases};
pub use catches::{Caught, catches};
pub use every::{EveryJson, SearchedJson, SoundJson};
pub use explore::{
    ExploreJson, FoundJson, ReplayCountJson, ShrunkJson, SpaceJson, count, strategy_words,
};
pub use grid::{Cell, Grid};
pub use json::{
    ReplaysJson, ReproduceJson, RunJson, ScenarioJson, ScenarioSource, VerdictJson, scenario_json,
};
pub use limits::limit_sentence;
pub use moves::{
    begun_words, fault_without_point, fault_words, move_words, schedule_words, stop_words,
    why_words,
};
pub use play::play;
pub use story::story;
pub use survey::{GroupJson, NotFiredJson, SurveyJson, SweptJson, ranges};
pub use terminal::{three_lines, verdict_block, wrap, wrap_lines};
pub use timings::{TimingsJson, timing_lines};
pub use visible::{visible, visible_json};
