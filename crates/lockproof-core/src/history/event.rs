//! The events of a history: one JSON object a line, in the order in which they were recorded.
//!
//! Owns the format and its version. Knows nothing of sockets, clocks or SQL: whoever records an
//! event has already decided what it says.

use serde::{Deserialize, Serialize};

use super::answer::Object;
use super::course::{Awaited, Begun, DropReason, TurnEnd, WaitsFor};
use super::cronjob::Decision;
use super::facts::{FinalState, RunFacts, SerialRun};
use super::fault::FaultEvent;
use super::held::HeldLock;
use super::held_row::HeldRow;
use super::lock_row::RowChange;
use super::setting::Setting;
use super::step::{Answer, Delivery, Ending, Request, ServerError, is_zero};
use super::write::{Committing, Write};
use crate::name::{ConnectionName, PodName, Session, StepId};
use crate::state::Snapshot;

/// The version of the format. A reader refuses a history of another version.
pub const FORMAT: u32 = 3;

/// One line of a history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Its number, from 1, without gaps.
    pub seq: u64,
    /// When the harness recorded it, in microseconds since the run began.
    pub at_us: u64,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// Always the first line: what was run, and what the verdict needs to know of it.
    Run(Box<RunFacts>),
    /// A pod's process was started.
    PodStarted {
        /// Which pod.
        pod: PodName,
        /// Process id of its first process.
        pid: u32,
        /// Whether it is the recovery pod, started when all others had ended.
        recovery: bool,
    },
    /// A pod sees the machine's own name: one of its own could not be had.
    NodeShared {
        /// Which pod.
        pod: PodName,
    },
    /// A line that a pod printed. Recorded, never trusted.
    PodOutput {
        /// Which pod.
        pod: PodName,
        /// Where it printed.
        stream: OutputStream,
        /// The line, without its line feed; bytes that are no UTF-8 replaced.
        line: String,
    },
    /// A pod's first process has exited.
    PodExited {
        /// Which pod.
        pod: PodName,
        /// Its exit code, unless a signal ended it.
        code: Option<i32>,
        /// The signal that ended it.
        signal: Option<i32>,
    },
    /// A pod has ended: its processes are gone and so is the server side of all its sessions.
    PodEnded {
        /// Which pod.
        pod: PodName,
    },
    /// A pod opened a connection.
    ConnectionOpened {
        /// Its name.
        connection: ConnectionName,
    },
    /// A connection asked for more than the run's database.
    ConnectionElsewhere {
        /// The connection.
        connection: ConnectionName,
        /// The database that it names.
        database: String,
        /// Whether it asks for replication.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        replication: bool,
        /// Whether it was refused.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        refused: bool,
    },
    /// A connection's start-up message has settings that a search must know.
    ConnectionSettings {
        /// The connection.
        connection: ConnectionName,
        /// Those settings, in the order in which the server takes them.
        settings: Vec<Setting>,
    },
    /// The server gave a connection a session; behind a pooler, the backend that serves it now.
    SessionStarted {
        /// The connection.
        connection: ConnectionName,
        /// The backend behind it.
        session: Session,
        /// Which of the run's servers has it: 0 is the first primary, 1 the standby that was
        /// promoted.
        #[serde(default, skip_serializing_if = "crate::name::is_first")]
        server: u8,
    },
    /// A connection was closed.
    ConnectionClosed {
        /// Which connection.
        connection: ConnectionName,
        /// Who closed it.
        by: ClosedBy,
    },
    /// The backend of a session has left `pg_stat_activity`.
    SessionGone {
        /// The connection it served.
        connection: ConnectionName,
        /// The backend.
        session: Session,
    },
    /// Behind a pooler that gives a client a session for as long as it stays: the client has left,
    /// and the pooler has reset the session and taken it back.
    SessionReturned {
        /// The connection it served.
        connection: ConnectionName,
        /// The backend.
        session: Session,
    },
    /// Behind a pooler: nobody can tell which backend has served the step of this connection that ends
    /// next.
    SessionUnknown {
        /// The connection.
        connection: ConnectionName,
    },
    /// Behind a pooler: a step waits inside it for a server connection, not on the server for a lock.
    /// Its ending `blocked` comes next, with the backends that have all of them.
    StepQueued {
        /// The step.
        step: StepId,
    },
    /// The server refused a connection, or ended a session, with an error outside any step; its
    /// client has been told.
    SessionError {
        /// The connection.
        connection: ConnectionName,
        /// The error.
        error: ServerError,
    },
    /// A client asked to cancel what a session does.
    CancelRequested {
        /// The pod that asked.
        pod: PodName,
        /// The backend process id that the request named.
        target_pid: i32,
    },
    /// A step arrived and is held by the gate (in free pacing: arrived and passed).
    StepHeld {
        /// The step.
        step: StepId,
        /// On which connection.
        connection: ConnectionName,
        /// What it asks.
        request: Request,
    },
    /// A step was given to the server.
    StepReleased {
        /// The step.
        step: StepId,
        /// Its number among the pod's steps, from 1; `None` for driver look-ups, for
        /// Syncs that commit nothing, and for steps that only prepare.
        number: Option<u32>,
        /// On which connection.
        connection: ConnectionName,
        /// On which session.
        session: Option<Session>,
        /// How it was given.
        delivery: Delivery,
        /// How long the gate held it, in microseconds.
        held_us: u64,
    },
    /// A step ended, or was seen to be blocked (then a second ending follows, unless a fault
    /// or the run's end takes the step first).
    StepEnded {
        /// The step.
        step: StepId,
        /// How.
        ending: Ending,
        /// What came back.
        answer: Answer,
        /// Process ids of the sessions that block it, when it is blocked.
        blocked_by: Vec<i32>,
    },
    /// A held step never reached the server.
    StepDropped {
        /// The step.
        step: StepId,
        /// Why.
        why: DropReason,
    },
    /// A dead client's statement that still runs, or still waits, on the server.
    Ghost {
        /// The step.
        step: StepId,
        /// Its connection.
        connection: ConnectionName,
        /// The backend that runs it.
        session: Option<Session>,
    },
    /// A move begins.
    MoveStarted {
        /// Its place in the schedule, from 0; moves added after the schedule's end count on.
        index: usize,
        /// What is to be done.
        begun: Begun,
        /// Whether the schedule says so (`false`: added to bring the pods to their end).
        scheduled: bool,
    },
    /// A turn has ended.
    TurnEnded {
        /// Its place in the schedule.
        index: usize,
        /// Why.
        why: TurnEnd,
    },
    /// A pod waits while the gate holds others, and no lock of the server shows it.
    PodWaits {
        /// Which pod.
        pod: PodName,
        /// For what.
        waits_for: WaitsFor,
        /// The pods that the gate holds.
        held: Vec<PodName>,
        /// After how many of its steps the wait began, look-ups aside.
        steps: u32,
    },
    /// The stop of a turn that had ended as blocked was met later.
    StopMetLater {
        /// The turn's place in the schedule.
        index: usize,
    },
    /// A fault was applied, or could not be.
    Fault(FaultEvent),
    /// The controller of the scenario's CronJob decided something.
    Controller(Decision),
    /// All advisory locks of the run's database, at a step boundary or as a sample.
    Locks {
        /// When the server read them, in microseconds since 1970 on its own clock.
        server_us: i64,
        /// Granted and awaited advisory locks, of all sessions.
        locks: Vec<HeldLock>,
    },
    /// A write that the witness saw. Read from the log after the run; ordered among the `locks`
    /// events by `server_us`.
    Write(Write),
    /// What a session held when a transaction of its own, that had written under a lock of the session's,
    /// was about to commit. Read from the log, as writes are.
    Committing(Committing),
    /// A change of the row that the scenario names as the lock. Read from the log, as writes are.
    LockRow(RowChange),
    /// Where rows of a table are the lock: those that transactions have locked, when that has changed.
    RowLocks {
        /// When, in microseconds since 1970 on the server's clock.
        server_us: i64,
        /// Which.
        rows: Vec<HeldRow>,
    },
    /// Whether the witness was whole when the run had ended. What a subject takes of it, it blinds.
    Witness {
        /// The tables (`schema.table`), event triggers and tables of its own that it had lost.
        lost: Vec<String>,
        /// The connections whose sessions had silenced the server's log when they wrote.
        silenced: Vec<ConnectionName>,
    },
    /// A transaction was prepared: from here on it holds its locks, and no session does.
    Prepared {
        /// Its id. `pg_locks` shows what it holds under this number, negative, for a process id.
        transaction: u32,
        /// The step that prepared it, where known.
        step: Option<StepId>,
        /// The session that prepared it, where known.
        session: Option<Session>,
    },
    /// A line of the server's structured log that belongs to the run (not the witness's).
    ServerLog(LogLine),
    /// The sentinel line was seen in the server's log: everything before it has been read.
    LogComplete {
        /// How many lines of the run's database were read.
        lines: u64,
    },
    /// What the server still shows after the last pod ended (and its time to settle passed).
    Remains {
        /// Advisory locks that pods' sessions hold or wait for.
        locks: Vec<HeldLock>,
        /// Pods' sessions that the server still has.
        sessions: Vec<RemainingSession>,
        /// How long was waited for them to go, in microseconds.
        waited_us: u64,
    },
    /// Which of the objects are there at the end that a CREATE was to make which failed.
    Created {
        /// Those that are there.
        there: Vec<Object>,
    },
    /// The final rows.
    FinalState(FinalState),
    /// The final rows one by one: they are not those of the serial run of all pods.
    FinalRows(Snapshot),
    /// What serial runs left, to be compared with the final rows. Written when the run is over.
    SerialRuns {
        /// Each of them.
        runs: Vec<SerialRun>,
    },
    /// How the pods were known to be quiet between steps.
    Settling(SettleCounts),
    /// A time limit or a cap was hit: what was waited for, and what was seen.
    LimitHit {
        /// What was waited for.
        waited_for: Awaited,
        /// What was seen instead, in words.
        saw: String,
        /// The limit, in microseconds (0 for a cap on steps).
        limit_us: u64,
    },
    /// The run was stopped at this step's error, which no clean run shows; what would have come
    /// after it is not known.
    StoppedEarly {
        /// The step that failed.
        step: StepId,
    },
    /// The last line of a complete history.
    RunEnded {
        /// Hash over the trace, as 64 hexadecimal digits.
        trace_hash: String,
    },
}

/// Where a pod printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutputStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// Nowhere: it is lockproof's word on what the pod prints.
    Lockproof,
}

/// Who closed a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClosedBy {
    /// The pod: Terminate message, or end of stream.
    Client,
    /// The server.
    Server,
    /// The harness, as a fault.
    Fault,
    /// The harness, because the client broke the protocol or asked for what cannot be had.
    Refused,
}

/// A line of the server's structured log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// When, in microseconds since 1970 (the log has milliseconds).
    pub server_us: i64,
    /// Process id of the backend.
    pub pid: i32,
    /// The connection that the backend served; `None`: no pod's.
    pub connection: Option<ConnectionName>,
    /// The step in which it happened, where known.
    pub step: Option<StepId>,
    /// `ERROR`, `FATAL`, `WARNING`, `LOG`, …
    pub severity: String,
    /// The SQLSTATE.
    pub sqlstate: String,
    /// The message.
    pub message: String,
    /// The detail.
    pub detail: Option<String>,
    /// The statement, cut at 2,000 characters.
    pub statement: Option<String>,
}

/// A pod's session that outlived its pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemainingSession {
    /// The backend.
    pub session: Session,
    /// The connection it served.
    pub connection: Option<ConnectionName>,
    /// `state` in `pg_stat_activity`.
    pub state: String,
    /// Its query, cut at 200 characters.
    pub query: String,
}

/// How the pods were known to be quiet between steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct SettleCounts {
    /// The pod could only have one request open, and had it: no look was needed.
    pub not_needed: u64,
    /// Two equal looks, all waits untimed.
    pub settled: u64,
    /// Two equal looks, some waits timed, or sockets or pipes that leave the pod.
    pub assumed: u64,
    /// Never quiet within the limit.
    pub restless: u64,
    /// The pods' processes could not be looked at (no /proc).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unseen: u64,
    /// What leaves the pods: sockets and pipes by name.
    pub leaves: Vec<String>,
}
