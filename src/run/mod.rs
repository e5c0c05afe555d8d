//! THE CONDUCTOR: drives pods through the gate along a schedule, writes the history.
//!
//! Owns the order in which steps are released, what ends a step, when a pod counts as quiet, and
//! the flow of one run from its database to its last line. Knows nothing of how a verdict is
//! reached or shown.

mod absorb;
mod answer;
mod applying;
mod baseline;
mod beside;
mod booking;
mod chain;
mod choosing;
mod conductor;
mod controller;
mod course;
mod created;
mod cutting;
mod ending;
mod environment;
mod error;
mod failure;
mod faulting;
mod finish;
mod free;
mod injecting;
mod killing;
mod limit;
mod links;
mod needing;
mod outage;
mod outcome;
mod outside;
mod pausing;
mod plan;
mod pooled;
mod promotion;
mod queueing;
mod quiet;
mod repeats;
mod reports;
mod returning;
mod serial;
mod shaping;
mod target;
mod trace;
mod turn;
mod waiting;
mod watchers;
mod witnessing;

pub(crate) use baseline::qualified;
pub use baseline::{BaselineRuns, measure};
pub use conductor::{Finished, run_once};
pub use ending::is_plain;
pub(crate) use environment::environment;
pub use error::RunError;
pub use plan::{LetGo, Place, Plan, Silence, Waits};
pub use serial::SerialRuns;
pub use trace::{TraceEntry, trace_hash, trace_of};
