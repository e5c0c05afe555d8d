//! Faults as data: what is done, to whom, at which point.
//!
//! Owns the catalogue's shape: each fault's name, its target, what undoes it. Knows nothing of how
//! a fault is applied.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::name::{ConnectionName, PodName};

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
        /// Whether the first process is taken as PID 1 of its container: a signal for which it has
        /// no handler has no effect on it.
        pid1: bool,
    },
    /// SIGSTOP to all processes of the pod.
    Pause,
    /// SIGCONT to all processes of the pod: undoes `pause`.
    Resume,
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
    /// The connection is closed (FIN) on both sides, with no word of goodbye.
    Drop,
    /// SIGSTOP to the session's backend process.
    PauseBackend,
    /// SIGCONT to the session's backend process: undoes `pause-backend`.
    ResumeBackend,
    /// Nothing passes any more, in neither direction, and neither side is told; the server's side
    /// stays open.
    Blackhole,
    /// Whatever passes comes so much later, in each direction.
    Delay {
        /// By how much.
        by: Duration,
    },
    /// No more than this passes, in each direction.
    Throttle {
        /// How much, in bytes a second.
        bytes_per_second: u64,
    },
    /// The link is as it was: undoes `blackhole`, `delay` and `throttle`.
    Heal,
    /// The server is shut down and started again.
    Restart {
        /// How it is shut down.
        mode: ShutdownMode,
    },
    /// SIGKILL to the postmaster; then the server is started again.
    Crash,
    /// SIGSTOP to all processes of the server.
    PauseServer,
    /// SIGCONT to them: undoes `pause-server`.
    UnpauseServer,
    /// The standby becomes primary, and new connections go to it.
    Promote {
        /// What becomes of the primary that was.
        old: OldPrimary,
    },
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

/// Whether a link lets anything through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkState {
    /// Nothing passes, and neither side is told.
    CutOff,
    /// It is as it was.
    Whole,
}

/// What kind of thing a fault is done to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultTarget {
    /// A pod with all its processes.
    Pod,
    /// One or every session of a pod.
    Session,
    /// The link between a pod and the server.
    Link,
    /// The server.
    Server,
}

impl FaultKind {
    /// The names of all faults, as in scenario files.
    pub const NAMES: [&'static str; 20] = [
        "kill",
        "terminate",
        "pause",
        "resume",
        "error",
        "terminate-backend",
        "cancel-backend",
        "reset",
        "drop",
        "pause-backend",
        "resume-backend",
        "blackhole",
        "delay",
        "throttle",
        "heal",
        "restart",
        "crash",
        "pause-server",
        "unpause-server",
        "promote",
    ];

    /// Its name, as in scenario files.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Terminate { .. } => "terminate",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Error { .. } => "error",
            Self::TerminateBackend => "terminate-backend",
            Self::CancelBackend => "cancel-backend",
            Self::Reset => "reset",
            Self::Drop => "drop",
            Self::PauseBackend => "pause-backend",
            Self::ResumeBackend => "resume-backend",
            Self::Blackhole => "blackhole",
            Self::Delay { .. } => "delay",
            Self::Throttle { .. } => "throttle",
            Self::Heal => "heal",
            Self::Restart { .. } => "restart",
            Self::Crash => "crash",
            Self::PauseServer => "pause-server",
            Self::UnpauseServer => "unpause-server",
            Self::Promote { .. } => "promote",
        }
    }

    /// What it is done to.
    #[must_use]
    pub fn target(&self) -> FaultTarget {
        match self {
            Self::Kill | Self::Terminate { .. } | Self::Pause | Self::Resume => FaultTarget::Pod,
            Self::Error { .. }
            | Self::TerminateBackend
            | Self::CancelBackend
            | Self::Reset
            | Self::Drop
            | Self::PauseBackend
            | Self::ResumeBackend => FaultTarget::Session,
            Self::Blackhole | Self::Delay { .. } | Self::Throttle { .. } | Self::Heal => {
                FaultTarget::Link
            }
            Self::Restart { .. }
            | Self::Crash
            | Self::PauseServer
            | Self::UnpauseServer
            | Self::Promote { .. } => FaultTarget::Server,
        }
    }

    /// The fault that undoes it, where what it stops would not go on by itself.
    #[must_use]
    pub fn undone_by(&self) -> Option<&'static str> {
        match self {
            Self::Pause => Some("resume"),
            Self::PauseBackend => Some("resume-backend"),
            Self::Blackhole => Some("heal"),
            Self::PauseServer => Some("unpause-server"),
            _ => None,
        }
    }

    /// In what state it leaves the link, where a link can be cut off without either side being told.
    #[must_use]
    pub fn effect_on_link(&self) -> Option<LinkState> {
        match self {
            Self::Blackhole => Some(LinkState::CutOff),
            Self::Heal => Some(LinkState::Whole),
            _ => None,
        }
    }

    /// Whether what it hits may still tidy up before it ends.
    #[must_use]
    pub fn leaves_time_to_tidy_up(&self) -> bool {
        matches!(self, Self::Terminate { .. })
    }

    /// Whether it is an error that the harness makes up, which is known by its message.
    #[must_use]
    pub fn is_injected_error(&self) -> bool {
        matches!(self, Self::Error { .. })
    }

    /// Whether it is done to a session rather than to the pod.
    #[must_use]
    pub fn is_of_session(&self) -> bool {
        self.target() == FaultTarget::Session
    }

    /// Whether it needs a server that nobody else uses: it is done to the server, or to one of
    /// its processes from outside.
    #[must_use]
    pub fn needs_own_server(&self) -> bool {
        self.target() == FaultTarget::Server
            || matches!(self, Self::PauseBackend | Self::ResumeBackend)
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

impl fmt::Display for ShutdownMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fast => "fast",
            Self::Immediate => "immediate",
        })
    }
}

impl fmt::Display for OldPrimary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dead => "dead",
            Self::Alive => "alive",
        })
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
        match &self.kind {
            FaultKind::Error { sqlstate } => write!(f, ", SQLSTATE {sqlstate}")?,
            FaultKind::Terminate { grace, pid1 } => {
                write!(f, ", grace {} ms", grace.as_millis())?;
                if *pid1 {
                    f.write_str(", as PID 1")?;
                }
            }
            FaultKind::Delay { by } => write!(f, ", by {} ms", by.as_millis())?,
            FaultKind::Throttle { bytes_per_second } => {
                write!(f, ", {bytes_per_second} bytes a second")?;
            }
            FaultKind::Restart { mode } => write!(f, ", {mode}")?,
            FaultKind::Promote { old } => write!(f, ", the old primary {old}")?,
            _ => {}
        }
        if self.pod.is_some() || matches!(self.point, Point::At(_)) {
            write!(f, " ({})", self.point)?;
        }
        Ok(())
    }
}
