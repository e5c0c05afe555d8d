//! THE CONDUCTOR: drives pods through the gate along a schedule, writes the history.
//!
//! Owns the order in which steps are released, what ends a step, when a pod counts as quiet, and
//! the flow of one run from its database to its last line. Knows nothing of how a verdict is
//! reached or shown.

mod answer;
mod applying;
mod baseline;
mod bridge;
mod created;
mod cutting;
mod environment;
mod error;
mod failure;
mod finish;
mod free;
mod injecting;
mod killing;
mod one_run;
mod outage;
mod pausing;
mod plan;
mod pooled;
mod promotion;
mod real;
mod reports;
mod request;
mod returning;
mod serial;
mod shaping;
mod trace;
mod watchers;
mod witnessing;

pub(crate) use baseline::qualified;
pub use baseline::{BaselineRuns, measure};
pub(crate) use environment::environment;
pub use error::RunError;
pub use one_run::{Finished, run_once};
pub use plan::{Place, Plan};
pub use serial::SerialRuns;
pub use trace::{TraceEntry, trace_hash, trace_of};

pub use crate::conductor::{LetGo, Silence, Waits, is_plain};
