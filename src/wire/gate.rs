//! What passes between the proxy and whoever drives it: events out, commands in.
//!
//! Owns the vocabulary of the gate. Knows no SQL: a step's text and parameters are handed on as
//! they came.

use std::time::Instant;

use bytes::Bytes;

use super::admission::Elsewhere;
use super::decode::{Parameter, RawError};
use crate::history::{Digest, Setting};
use crate::name::ConnectionName;

/// A connection's name serves as its id.
pub type ConnectionId = ConnectionName;

/// Something happened on a pod's connection.
#[derive(Debug)]
pub struct WireEvent {
    /// On which connection.
    pub connection: ConnectionId,
    /// When the proxy saw it.
    pub at: Instant,
    /// What.
    pub event: ConnectionEvent,
}

/// What happened on a connection.
#[derive(Debug)]
pub enum ConnectionEvent {
    /// The pod opened it.
    Opened,
    /// The server is ready for its first request; the backend's process id, if it gave one.
    Started {
        /// Process id of BackendKeyData.
        pid: Option<i32>,
        /// Which of the run's servers it leads to: the number in its upstream.
        server: usize,
    },
    /// It asks for more than the run's database.
    Elsewhere {
        /// For what.
        asked: Elsewhere,
        /// Whether it was told that it may not, and is closed.
        refused: bool,
    },
    /// Settings in its start-up message, of those that a search must know.
    Settings(Vec<Setting>),
    /// Its way to the server is open, and nothing has been said on it yet.
    Connected {
        /// The port of our end, by which a pooler names its client.
        port: u16,
    },
    /// Something happened on a connection that a pooler has opened to the server.
    ServerSide(ServerSide),
    /// TLS came to nothing: why, of the client.
    TlsFailed(String),
    /// It was a cancel request for this backend; it has been forwarded.
    CancelRequested {
        /// Process id in the request.
        pid: i32,
    },
    /// A step has arrived and is held (or, with the gate open, passes at once).
    Held {
        /// Its number on this connection, from 0.
        step: u64,
        /// What it asks.
        text: StepText,
    },
    /// A step has been given to the server.
    Released {
        /// Its number on this connection.
        step: u64,
    },
    /// The server is ready for the next step.
    Ended {
        /// Number of the step on this connection.
        step: u64,
        /// What came back.
        answer: Answer,
    },
    /// An error outside any step, as a server sends one that ends an idle session.
    ErrorOutsideStep(RawError),
    /// The pod's side is closed.
    ClientClosed(CloseCause),
    /// The server's side is closed.
    ServerClosed(CloseCause),
    /// Both sides are closed; the last event of a connection.
    Finished,
}

/// What happened on a connection that a pooler has opened to the server. Told before what it
/// brings about can show on the pooler's client's side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerSide {
    /// The server has let the pooler in: the backend's process id.
    Started {
        /// Process id of BackendKeyData.
        pid: i32,
        /// Which of the run's servers it leads to: the number in its upstream.
        server: usize,
    },
    /// Its `application_name` from now on: as the pooler set it, or as the server reports it.
    Named {
        /// The name.
        name: String,
        /// Whether the pooler set it, on handing the connection to a client.
        by_pooler: bool,
    },
    /// The server's report of a name that the pooler has set, perhaps cut. From then on the pooler uses
    /// this one for the client.
    Reported {
        /// The name.
        name: String,
    },
    /// A request of a client has reached it.
    Serves,
    /// It is ready for its next request; transaction status.
    Ready {
        /// `I`, `T` or `E`.
        status: u8,
    },
    /// The server's side is closed.
    ServerClosed,
    /// Both sides are closed: the pooler knows of it.
    Finished,
}

/// How a side was closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CloseCause {
    /// With a Terminate message.
    Terminate,
    /// End of stream.
    EndOfStream,
    /// A reset, or another socket error.
    Error(String),
    /// By a command to the gate.
    Commanded,
    /// The peer broke the protocol, or sent more than is kept.
    Protocol(String),
}

/// What kind of step it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StepKind {
    /// It executes: Query, Execute, FunctionCall, a whole COPY.
    #[default]
    Execution,
    /// It only prepares, describes, binds or closes, and the client waits for the answer.
    Preparation,
    /// A Sync by itself.
    Sync {
        /// Whether it commits what was executed before it.
        commits: bool,
    },
}

/// What a step asks, as it came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StepText {
    /// Its kind.
    pub kind: StepKind,
    /// Its statements in order.
    pub statements: Vec<StatementText>,
}

/// A statement of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementText {
    /// The SQL; of a simple Query possibly several statements.
    pub sql: String,
    /// Bound parameters.
    pub parameters: Vec<Parameter>,
    /// Whether the step executes it; `false`: it only prepares it.
    pub executes: bool,
    /// Of its SQL with all that is bound to it, or of a function call's arguments.
    pub digest: Digest,
}

/// What came back for a step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// Command tags.
    pub tags: Vec<String>,
    /// The first error.
    pub error: Option<RawError>,
    /// Notices and warnings: the first of each severity.
    pub notices: Vec<RawError>,
    /// How many notices and warnings more there were.
    pub notices_left_out: u64,
    /// The first rows of each result, as far as they are short.
    pub rows: Vec<ResultRow>,
    /// Transaction status of ReadyForQuery.
    pub status: u8,
    /// Of its tags, all its rows and the SQLSTATE of its error.
    pub digest: Digest,
}

/// A row of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultRow {
    /// Which result of the step, from 0.
    pub result: usize,
    /// Type oids of the columns, where the step's answer described them.
    pub types: Option<Vec<u32>>,
    /// Values of at most 64 bytes; others and NULL are `None`.
    pub values: Vec<Option<Bytes>>,
}

/// How a held step is let go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Handover {
    /// As it came, and its answer goes to the pod.
    Forward,
    /// As it came, and nothing of its answer goes to the pod.
    DropAnswer,
    /// As it came; the pod gets another answer.
    AnswerWith {
        /// The message that the pod gets, with the server's ReadyForQuery, instead of the answer.
        instead: Bytes,
        /// What the server gets behind the step if that leaves a transaction open: an error in
        /// a transaction aborts it, and ReadyForQuery must say so.
        abort: Bytes,
        /// Whether nothing goes to the pod if the step did not fail and left no transaction open: what
        /// it did is committed then, and an error would say that it is not.
        unless_committed: bool,
    },
    /// The server gets this message in its place, and the pod the answer to it.
    Replace(Bytes),
}

/// What a connection can be told.
#[derive(Debug)]
pub(super) enum Command {
    /// Let the held step go.
    Release(Handover),
    /// Let the answer to the step that was let go pass to the pod, whatever was said before.
    PassAnswer,
    /// Reset both sides (RST).
    Reset,
    /// Close both sides (FIN).
    Close,
    /// Close both sides (FIN), after sending the pod this message.
    CloseAfter(Bytes),
    /// Forget what is held: the server never sees it.
    DropHeld,
}
