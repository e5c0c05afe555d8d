//! Faults as data: what is done, to whom, at which point.
//!
//! Owns the catalogue's shape. Knows nothing of how a fault is applied.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::history::{ConnectionName, PodName};

/// Something done to a pod, a session, a link or the server, at a stated point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// What is done.
    pub kind: FaultKind,
    /// The pod it is done to.
    pub pod: PodName,
    /// The session it is done to, for faults of a session.
    pub session: SessionChoice,
    /// The point at which it is done.
    pub point: Point,
}

/// What is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// SIGKILL to all processes of the pod.
    Kill,
    /// SIGTERM to the pod's first process, then, when it has not ended after the grace period,
    /// SIGKILL to all.
    Terminate {
        /// The grace period.
        grace: Duration,
    },
    /// The step is answered with an error of this SQLSTATE.
    Error {
        /// Five digits or upper-case letters, not of class 00.
        sqlstate: String,
    },
    /// `pg_terminate_backend` on the session.
    TerminateBackend,
    /// `pg_cancel_backend` on the session.
    CancelBackend,
    /// The connection is reset (RST) on both sides.
    Reset,
}

impl FaultKind {
    /// Its name, as in scenario files.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Terminate { .. } => "terminate",
            Self::Error { .. } => "error",
            Self::TerminateBackend => "terminate-backend",
            Self::CancelBackend => "cancel-backend",
            Self::Reset => "reset",
        }
    }

    /// Whether it is done to one session rather than to the pod.
    #[must_use]
    pub fn is_of_session(&self) -> bool {
        !matches!(self, Self::Kill | Self::Terminate { .. })
    }
}

/// Which of a pod's sessions a fault is done to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SessionChoice {
    /// The one whose step is next to be released.
    #[default]
    Next,
    /// The one that holds an advisory lock.
    HoldingLock,
    /// The one of this connection.
    Connection(ConnectionName),
}

/// When a fault is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Point {
    /// Before the next step: the server never sees it (for `kill`, `terminate`, `error`, `reset`).
    #[default]
    Before,
    /// The server gets the next step, the pod never hears the answer.
    InDoubt,
    /// While the pod's step is blocked.
    Waiting,
    /// After the next step: the server has done it and the pod has heard.
    After,
    /// In free pacing: this long after the run began.
    At(Duration),
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Before => f.write_str("before"),
            Self::InDoubt => f.write_str("in-doubt"),
            Self::Waiting => f.write_str("waiting"),
            Self::After => f.write_str("after"),
            Self::At(time) => write!(f, "at {}ms", time.as_millis()),
        }
    }
}
