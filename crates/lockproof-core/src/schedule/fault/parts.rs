//! What a fault is made of besides its kind: the point, the session, and the values of parameters.
//!
//! Owns these values. Knows nothing of any single fault.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::name::ConnectionName;

/// How a server is shut down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ShutdownMode {
    /// Sessions are ended in good order (SIGINT).
    #[default]
    Fast,
    /// Everything ends at once; recovery follows (SIGQUIT).
    Immediate,
}

/// What becomes of the primary that was, at a promotion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OldPrimary {
    /// It is dead before the standby is promoted.
    #[default]
    Dead,
    /// It goes on serving those who are connected to it: split brain.
    Alive,
}

impl ShutdownMode {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::Fast, Self::Immediate];
    /// Their names.
    pub const WORDS: &'static [&'static str] = &[Self::Fast.name(), Self::Immediate.name()];

    /// Its name, as in scenario files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Immediate => "immediate",
        }
    }
}

impl OldPrimary {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::Dead, Self::Alive];
    /// Their names.
    pub const WORDS: &'static [&'static str] = &[Self::Dead.name(), Self::Alive.name()];

    /// Its name, as in scenario files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dead => "dead",
            Self::Alive => "alive",
        }
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
    /// All of them, one after the other; for a link, those that come later as well.
    Every,
}

/// When a fault is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Point {
    /// Before the next step: the server never sees it (for `kill`, `terminate`, `error`, `reset`,
    /// `drop`).
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

impl Point {
    /// Its name, as in scenario files; `None` for a time.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::Before => Some("before"),
            Self::InDoubt => Some("in-doubt"),
            Self::Waiting => Some("waiting"),
            Self::After => Some("after"),
            Self::At(_) => None,
        }
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, self.name()) {
            (Self::At(time), _) => write!(f, "at {}ms", time.as_millis()),
            (_, name) => f.write_str(name.unwrap_or_default()),
        }
    }
}
