//! Sessions of the server, and steps.
//!
//! Owns what tells one from another. Knows nothing of what they do.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One Postgres backend: its process id and when it started. The id alone is reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Session {
    /// The backend's process id.
    pub pid: i32,
    /// When it started, in microseconds since 1970 on the server's clock.
    pub started_us: i64,
}

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "session {}", self.pid)
    }
}

/// A step, numbered through one run from 1 in the order of arrival at the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepId(pub u64);

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {}", self.0)
    }
}
