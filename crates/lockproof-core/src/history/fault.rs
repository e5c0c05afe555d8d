//! What a history tells of a fault: what was to be done, whom it hit, whether it fired.
//!
//! Owns the event. What a fault is stands in `schedule`; what it explains is decided by whoever
//! records it.

use serde::{Deserialize, Serialize};

use crate::name::{ConnectionName, PodName, Session, StepId};
use crate::schedule::Fault;

/// A fault that was applied, or could not be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultEvent {
    /// What was to be done, to whom, and at which point.
    pub fault: Fault,
    /// Who wanted it.
    #[serde(default, skip_serializing_if = "FaultBy::is_schedule")]
    pub by: FaultBy,
    /// The pod it hit.
    pub pod: Option<PodName>,
    /// The connection it hit.
    pub connection: Option<ConnectionName>,
    /// The session it hit.
    pub session: Option<Session>,
    /// The step at which it came.
    pub step: Option<StepId>,
    /// Whether it did fire, by the server's or the kernel's own word.
    pub fired: bool,
    /// Whether there was nothing that it could have hit: its pod had ended, it had no such session, nobody waited.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub absent: bool,
    /// What showed that it fired, or why it did not, in words.
    pub evidence: String,
    /// Whether it takes the pod as a whole.
    pub takes_pod: bool,
    /// Whether it ends the session.
    pub ends_session: bool,
    /// SQLSTATEs that it explains on the session it hit (on every session of the pod if it takes
    /// the pod).
    pub sqlstates: Vec<String>,
}

/// The message of every injected error: so is it told from the server's own.
pub const INJECTED: &str = "injected by lockproof";

/// Who wanted a fault.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultBy {
    /// The schedule (or the harness, to undo what the schedule did).
    #[default]
    Schedule,
    /// The controller of the scenario's CronJob.
    Controller {
        /// Its clock, as in [`Decision::clock`](super::Decision::clock).
        clock: String,
    },
}

impl FaultBy {
    fn is_schedule(&self) -> bool {
        *self == Self::Schedule
    }
}
