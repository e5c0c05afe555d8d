//! ONE RUN: the world that the conductor acts on, from the run's database to the last line of its history.
//!
//! Owns the flow of a run, the proxies, processes and servers that it consists of, how each fault is done to them,
//! and the last evidence. Which step is released when is the conductor's; how a verdict is reached or shown is
//! for others.

mod answer;
mod applying;
mod baseline;
mod bridge;
mod created;
mod cutting;
mod environment;
mod error;
mod expiring;
mod failure;
mod finish;
mod free;
mod hearing;
mod injecting;
mod kept;
mod killing;
mod one_run;
mod outage;
mod passage;
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
mod stopwatch;
mod trace;
mod trust;
mod watchers;
mod witnessing;

pub(crate) use baseline::qualified;
pub use baseline::{BaselineRuns, measure};
pub(crate) use environment::{Way, environment};
pub use error::RunError;
pub use kept::KeptHistory;
pub(crate) use kept::{fold, unfold};
pub use one_run::run_once;
pub(crate) use passage::Passage;
pub use plan::{Place, Plan};
pub use serial::SerialRuns;
pub use stopwatch::{Phase, Timings};
pub use trace::{TraceEntry, trace_of};
pub(crate) use trust::Trust;

pub use crate::conductor::{LetGo, Silence, Waits, is_plain};
