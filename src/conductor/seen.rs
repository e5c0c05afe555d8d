//! What the world tells the conductor.
//!
//! Owns these plain values: reports, what sessions do, how pods came to rest. Knows nothing of what follows from
//! them.

use std::collections::HashMap;
use std::time::Duration;

use crate::history::{Answer, ClosedBy, OutputStream, Request, ServerError, Setting};
use crate::name::{ConnectionName, PodName, Session};

/// What sessions do, by process id.
pub(crate) type Sessions = HashMap<i32, Activity>;

/// What a session does, as the server shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activity {
    /// Its session.
    pub session: Session,
    /// `state`: `active`, `idle`, `idle in transaction`, …
    pub state: String,
    /// `wait_event_type`, empty if it does not wait.
    pub wait_event_type: String,
    /// Sessions that block it.
    pub blocked_by: Vec<i32>,
    /// For how long it has waited for a heavyweight lock by the server's own clock, in
    /// microseconds (server 14 and later).
    pub waited_us: Option<i64>,
    /// Since when, in microseconds since 1970 by the same clock (server 14 and later).
    pub waits_since_us: Option<i64>,
    /// Its query, cut at 200 characters.
    pub query: String,
}

/// What a step needs of its client in order to go on. Equal at two looks: nothing has passed in
/// between that could meet it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Need {
    /// Nothing: the server is at work, or its answer is on the way, or no step runs.
    #[default]
    Nothing,
    /// More of a COPY. Whether the server has taken in what was sent, only the server can tell.
    Data {
        /// How many bytes the connection has sent to the server so far.
        sent: u64,
    },
    /// Its next message: all that it has sent is answered, and its Sync is still to come.
    Message,
    /// Nothing: bytes from it or for it are on a slow link.
    Late,
    /// That it reads on: what waits for it is as much as the proxy takes.
    Reading {
        /// How many bytes the connection has sent to the client so far.
        taken: u64,
    },
}

/// How pods came to rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quiet {
    /// Nothing but a word from outside can make them go on.
    Settled,
    /// They rest, but later timers, or sockets and pipes that leave them, may make them go on.
    Assumed,
    /// They did not rest within the limit.
    Restless,
    /// Something was heard meanwhile, on the wire or on a pipe: handle it and ask again. (Whoever
    /// asks again for ever waits for ever on a pod that never stops printing.)
    Spoke,
}

/// What a wait for rest showed.
#[derive(Debug, Clone)]
pub(crate) struct Rested {
    pub quiet: Quiet,
    /// What leads out of the pods.
    pub leaves: Vec<String>,
    /// The processes of one of them could not be seen.
    pub unseen: bool,
}

/// A pod that was started.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Started {
    pub pid: u32,
    /// It sees the machine's own name.
    pub shares_node: bool,
}

/// For what a connection waits inside a pooler.
#[derive(Debug, Clone)]
pub(crate) struct Queue {
    /// Every server connection of its pool is with a client.
    pub all_taken: bool,
    pub backends: Vec<i32>,
}

/// What was heard of a pod.
#[derive(Debug, Clone)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all that is heard comes over the wire: a box for it would save nothing"
)]
pub(crate) enum Heard<Own> {
    /// On a connection, at this time.
    Wire {
        connection: ConnectionName,
        at: Duration,
        report: Report<Own>,
    },
    /// It printed a line.
    Output {
        pod: PodName,
        stream: OutputStream,
        line: String,
    },
    /// Its first process has exited.
    Exited {
        pod: PodName,
        code: Option<i32>,
        signal: Option<i32>,
    },
}

/// What happened on a connection.
#[derive(Debug, Clone)]
pub(crate) enum Report<Own> {
    /// The pod opened it.
    Opened,
    /// It asks for more than the run's database.
    Elsewhere {
        database: String,
        replication: bool,
        refused: bool,
    },
    /// Settings in its start-up message, of those that a search must know.
    Settings(Vec<Setting>),
    /// The server of this number is ready for its first request; the session's process id, where it is the
    /// server's own.
    Started { pid: Option<i32>, server: usize },
    /// TLS came to nothing: why, of the pod.
    TlsFailed(String),
    /// It was a cancel request for the session of that connection, or else of this process id.
    CancelRequested {
        pid: i32,
        meant: Option<ConnectionName>,
    },
    /// A step has arrived and is held.
    Held(Request),
    /// It was given to the server as it came (free pacing).
    Passed,
    /// It has its answer.
    Answered(Answer),
    /// An error outside any step.
    ErrorOutsideStep(ServerError),
    /// The pod's side is closed.
    ClientClosed(ClosedBy),
    /// The server's side is closed.
    ServerClosed(ClosedBy),
    /// Both sides are closed; the last report of a connection.
    Finished,
    /// The world's own.
    Own(Own),
}
