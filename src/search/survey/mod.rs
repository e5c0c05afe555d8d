//! EVERY ONE OF THEM: a list of schedules of which each is run and told by itself.
//!
//! Owns the runs of such a list, the second look at those that are violated, and which of them are
//! alike. Unlike a search it is not after a first failure: what it comes to is a claim over all.

mod course;
mod groups;
mod run;

pub use course::{StepKind, before_last_write, step_kinds};
pub use groups::{Case, Group, group};
pub use run::{Pass, Survey, SurveyOptions, Surveyed, example, survey};
