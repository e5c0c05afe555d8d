//! Faults as data: what is done, to whom, at which point.
//!
//! Owns a fault of a schedule and how it is described; what there is to say of each kind of fault stands
//! in the catalogue. Knows nothing of how a fault is applied.

mod catalogue;
mod entry;
mod parameter;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::name::{ConnectionName, PodName};

pub use catalogue::FaultKind;
pub use entry::{
    Consequence, Draw, EVERY_POINT, FaultEntry, FaultTarget, InDoubt, InSearch, Points,
    STEP_POINTS, ServerNeed, Sessions, SweptByName, Undo,
};
pub use parameter::{LeftOut, Parameter, ParameterValue, Shape};

/// Something done to a pod, a session, a link or the server, at a stated point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// What is done.
    pub kind: FaultKind,
    /// The pod it is done to. A fault of the server needs none; with one, its point is at that
    /// pod's next step.
    pub pod: Option<PodName>,
    /// The session it is done to, for faults of a session; for those of a link, the connections.
    pub session: SessionChoice,
    /// The point at which it is done.
    pub point: Point,
}

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

impl FaultKind {
    /// Its name, as in scenario files.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.entry().name
    }

    /// What it is done to.
    #[must_use]
    pub fn target(&self) -> FaultTarget {
        self.entry().target
    }

    /// The fault that undoes it, where what it stops would not go on by itself.
    #[must_use]
    pub fn undone_by(&self) -> Option<&'static str> {
        match self.entry().undo {
            Undo::Needed(name) => Some(name),
            Undo::Nothing | Undo::Possible(_) | Undo::Undoes => None,
        }
    }

    /// Whether it is done to a session rather than to the pod.
    #[must_use]
    pub fn is_of_session(&self) -> bool {
        self.target() == FaultTarget::Session
    }

    /// Whether it needs a server that nobody else uses.
    #[must_use]
    pub fn needs_own_server(&self) -> bool {
        match self.entry().server {
            ServerNeed::Own | ServerNeed::OwnWithStandby => true,
            ServerNeed::Shared => false,
        }
    }

    /// Whether it needs a standby.
    #[must_use]
    pub fn needs_standby(&self) -> bool {
        self.entry().server == ServerNeed::OwnWithStandby
    }
}

impl Fault {
    /// A fault of a pod, of one of its sessions, or of its link.
    #[must_use]
    pub fn of_pod(kind: FaultKind, pod: PodName, session: SessionChoice, point: Point) -> Self {
        Self {
            kind,
            pod: Some(pod),
            session,
            point,
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

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.name())?;
        if let Some(pod) = &self.pod {
            write!(f, " {pod}")?;
        }
        let target = self.kind.target();
        match (&self.session, target) {
            (_, FaultTarget::Pod | FaultTarget::Server)
            | (SessionChoice::Every, FaultTarget::Link) => {}
            (SessionChoice::Next, _) => f.write_str(", the session of its next step")?,
            (SessionChoice::HoldingLock, _) => f.write_str(", the session that holds the lock")?,
            (SessionChoice::Connection(name), _) => write!(f, ", connection {name}")?,
            (SessionChoice::Every, _) => f.write_str(", every session")?,
        }
        for (parameter, value) in self
            .kind
            .entry()
            .parameters
            .iter()
            .zip(self.kind.parameters())
        {
            if let Some(told) = parameter.describe(&value) {
                write!(f, ", {told}")?;
            }
        }
        if self.pod.is_some() || matches!(self.point, Point::At(_)) {
            write!(f, " ({})", self.point)?;
        }
        Ok(())
    }
}
