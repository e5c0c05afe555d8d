//! The course of a run: the moves that began, why turns ended, and what was waited for in vain.
//!
//! Owns those values. Knows nothing of how a run is led.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::name::PodName;
use crate::schedule::{FaultKind, Move, Turn};

/// What begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Begun {
    /// A move: one of the schedule's, or one that was added.
    Move(Move),
    /// A pod runs for as long as it comes first among those that can go on, by its priority.
    First(PodName),
}

impl Begun {
    /// The turn, if it is one of one pod with a stop.
    #[must_use]
    pub fn turn(&self) -> Option<&Turn> {
        match self {
            Self::Move(Move::Turn(turn)) => Some(turn),
            Self::Move(
                Move::Together(_) | Move::Fault(_) | Move::Tick | Move::Advance(_) | Move::Manual,
            )
            | Self::First(_) => None,
        }
    }

    /// The one pod that runs.
    #[must_use]
    pub fn pod(&self) -> Option<&PodName> {
        match self {
            Self::First(pod) => Some(pod),
            Self::Move(_) => self.turn().map(|turn| &turn.pod),
        }
    }

    /// The pods that run.
    #[must_use]
    pub fn pods(&self) -> &[PodName] {
        match self {
            Self::Move(Move::Together(pods)) => pods,
            _ => self.pod().map_or(&[], std::slice::from_ref),
        }
    }

    /// Whether steps of several pods are let go at the same moment.
    #[must_use]
    pub fn is_together(&self) -> bool {
        matches!(self, Self::Move(Move::Together(_)))
    }

    /// Whether pods run: then it ends with a [`TurnEnd`].
    #[must_use]
    pub fn is_turn(&self) -> bool {
        self.is_together() || self.pod().is_some()
    }
}

/// Why a turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TurnEnd {
    /// Its stop was met.
    Reached,
    /// The pod ended first (or, for a turn without stop, as wanted).
    PodEnded,
    /// Everything the pod could still do was blocked.
    Blocked,
    /// The pod repeats itself without effect: others go first.
    Yielded,
    /// The pod rests outside the server until another goes on: others go first.
    Waits,
    /// A limit was hit.
    Limit,
    /// There is no such pod: the CronJob's controller had not created it, or had deleted it before
    /// it started.
    NotThere,
}

/// What a pod waits for that no lock of the server shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WaitsFor {
    /// Another answer to a request that it repeats.
    RepeatedRequest,
    /// A notification on a connection that listens.
    Notification,
    /// A lock on a file, or a file.
    File,
    /// The other end of a pipe.
    Pipe,
    /// The end of a child process.
    Child,
    /// A time to pass.
    Timer,
    /// Something else outside the server.
    Outside,
}

impl fmt::Display for WaitsFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RepeatedRequest => "another answer to a request that it repeats",
            Self::Notification => "a notification",
            Self::File => "a file",
            Self::Pipe => "a pipe",
            Self::Child => "a child process",
            Self::Timer => "a timer",
            Self::Outside => "something outside the server",
        })
    }
}

/// Why a held step never reached the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DropReason {
    /// A fault took its pod, its session or its connection.
    Fault(FaultKind),
    /// Its session had ended.
    SessionEnded,
    /// The run ended.
    RunEnded,
}

/// What a run waited for in vain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Awaited {
    /// Any pod to go on: none can.
    PodToGoOn,
    /// The next request, or the end, of a pod.
    NextRequest(PodName),
    /// The ending of a step that the server has.
    StepEnding,
    /// A step that nothing holds back to go on.
    StepToGoOn,
    /// The pods to end within so many steps.
    Steps(u64),
    /// A pod to end within its grace.
    Grace,
    /// The exit of a pod that was sent SIGTERM to be reported.
    TerminatedExit,
    /// The end of a pod that was killed to be reported.
    KilledEnd,
    /// The server side of a closed connection to end.
    SessionEnd,
    /// A connection that a fault cut to end.
    CutConnection,
    /// A connection that is starting to log in, before its server goes.
    LogIn,
    /// A server that goes to end its connections.
    EndByServer,
    /// A connection to a server that is gone to end.
    EndAfterServer,
    /// The pooler to deal with the end of a connection.
    PoolerTakesBack,
    /// The pooler to notice the end of a server connection.
    PoolerNotices,
    /// In free pacing: the last start or fault of the schedule.
    LastOfSchedule,
    /// In free pacing: the end of every pod.
    EveryPod,
}

impl fmt::Display for Awaited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PodToGoOn => "a pod to go on",
            Self::NextRequest(pod) => {
                return write!(f, "the next request or the end of pod {pod}");
            }
            Self::StepEnding => "the ending of a step",
            Self::StepToGoOn => "a step that goes on by itself",
            Self::Steps(cap) => return write!(f, "the pods to end within {cap} steps"),
            Self::Grace => "the end of a pod within its grace",
            Self::TerminatedExit => "the report of a terminated pod's exit",
            Self::KilledEnd => "the report of a killed pod's end",
            Self::SessionEnd => "the end of a closed connection's session",
            Self::CutConnection => "the end of a connection that was cut",
            Self::LogIn => "a connection to log in",
            Self::EndByServer => "the server's end of its connections",
            Self::EndAfterServer => "the end of a connection to a server that is gone",
            Self::PoolerTakesBack => "the pooler to deal with the end of a connection",
            Self::PoolerNotices => "the pooler to notice the end of a server connection",
            Self::LastOfSchedule => "the last start or fault of the schedule",
            Self::EveryPod => "the end of every pod",
        })
    }
}
