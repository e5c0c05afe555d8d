//! The facts of a run, derived from its events alone.
//!
//! Owns what follows from the timeline without any rule: what faults reach, which writes and errors there
//! were, which lock was held from when to when. Knows nothing of what must hold.

mod all;
mod by_connection;
mod commits;
mod errors;
mod explained;
mod faults;
mod known;
mod limit;
mod reach;
mod refused;
mod strangers;
mod timers;
mod witness;
mod words;
mod writes;

pub(super) use crate::ledger::{FailedUnlock, Grant, Holder, How};
pub(super) use crate::timeline::{PodFacts, Snapshot, Spans, StepFacts, sql_start};
pub(super) use all::*;
pub(super) use errors::*;
pub use errors::{named_constraint, named_table};
pub(super) use explained::is_loss;
pub(super) use faults::FaultFacts;
pub(crate) use known::*;
pub use known::{answered, known_errors_of, names_made};
pub use refused::was_refused;
pub(super) use refused::writes_nothing_protected;
pub(super) use timers::Timer;
pub(super) use words::*;
pub(super) use writes::*;
