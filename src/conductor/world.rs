//! The world that the conductor acts on.
//!
//! Owns the trait and what passes through it, as plain values. Five calls do something: the next report,
//! release, look, settle, apply. The rest are questions that the world can answer at once.

use std::collections::HashMap;
use std::time::Duration;

use super::aim::{Aim, Outcome};
use super::machine::Conductor;
use super::orders::Mistake;
use crate::history::{
    Answer, ClosedBy, Delivery, HeldLock, OutputStream, Request, ServerError, WaitsFor,
};
use crate::name::{ConnectionName, PodName, Session, StepId};

/// What the conductor acts on.
///
/// What takes the whole conductor instead of `self` may drive it in turn: a fault lets steps go.
pub(crate) trait World: Sized {
    /// Why it could not do its work.
    type Error: From<Mistake>;
    /// Reports of its own, which it takes in itself.
    type Own;

    /// How long ago the run began.
    fn now(&self) -> Duration;

    /// This time by the calendar, in microseconds since 1970.
    fn wall_us(&self, at: Duration) -> i64;

    /// THE NEXT REPORT, waited for at most this long; with zero, one that is there.
    async fn next_report(
        &mut self,
        within: Duration,
    ) -> Result<Option<Heard<Self::Own>>, Self::Error>;

    /// Takes in a report of its own on this connection.
    async fn take_in(
        run: &mut Conductor<Self>,
        connection: ConnectionName,
        own: Self::Own,
        at: Duration,
    ) -> Result<(), Self::Error>;

    /// Opens a pod's way to the server.
    async fn admit(&mut self, pod: &PodName) -> Result<(), Self::Error>;

    /// Takes away a pod that was never started.
    fn dismiss(&mut self, pod: &PodName);

    /// Starts a pod.
    async fn start(&mut self, pod: &PodName) -> Result<Started, Self::Error>;

    /// RELEASES the step that is held on a connection.
    fn release(&mut self, connection: &ConnectionName, delivery: Delivery);

    /// A step has been released: what else keeps books of it.
    fn released(
        &mut self,
        _step: StepId,
        _connection: &ConnectionName,
        _request: &Request,
        _has_session: bool,
    ) {
    }

    /// Forgets the step that is held on a connection: it never reaches the server.
    fn drop_held(&mut self, connection: &ConnectionName);

    /// Keeps from the pod what comes on this connection, or lets it have it.
    fn withhold(&mut self, connection: &ConnectionName, cut: bool);

    /// LOOKS at what these sessions do; those that are gone are missing.
    async fn look(&mut self, pids: &[i32]) -> Result<Sessions, Self::Error>;

    /// Looks at the locks: when, in microseconds since 1970, and which there are; `None` if the look says
    /// nothing.
    async fn look_at_locks(
        run: &mut Conductor<Self>,
    ) -> Result<Option<(i64, Vec<HeldLock>)>, Self::Error>;

    /// Whether the server has made its deadlock check on the wait of this session, which was first seen then.
    async fn has_checked(
        &mut self,
        pid: i32,
        seen: Option<&Activity>,
        since: Duration,
    ) -> Result<bool, Self::Error>;

    /// Whether the server can be asked now.
    fn can_look(&self) -> bool;

    /// What the step under way on a connection needs of its pod, as far as the wire shows it.
    fn need(&self, connection: &ConnectionName) -> Need;

    /// Whether nothing passes on this connection.
    fn is_cut_off(&self, connection: &ConnectionName) -> bool;

    /// Whether a process of a pod runs.
    fn is_running(&self, pod: &PodName) -> bool;

    /// Waits until these pods have SETTLED.
    async fn settle(&mut self, pods: &[PodName]) -> Rested;

    /// What a pod that rests waits for, outside the server.
    fn waits_for(&self, pod: &PodName) -> WaitsFor;

    /// APPLIES a fault that has come to its point; how it came out, which is written down by then.
    async fn apply(run: &mut Conductor<Self>, aim: &Aim<'_>) -> Result<Outcome, Self::Error>;

    /// Lets a session go on that a fault has stopped.
    async fn resume_session(&mut self, pid: i32) -> Result<(), Self::Error>;

    /// The session that the fault under way is done to, if the connection does not tell.
    fn take_hit(&mut self) -> Option<Session> {
        None
    }

    /// How many server connections a pooler has, if there is one.
    fn pool_size(&self) -> Option<u32> {
        None
    }

    /// Behind a pooler: waits until all sessions have ended whose end has begun.
    async fn await_returned(_run: &mut Conductor<Self>) -> Result<(), Self::Error> {
        Ok(())
    }

    /// Behind a pooler: for what a connection waits inside it, if it does.
    async fn queue(&mut self, _connection: &ConnectionName) -> Result<Option<Queue>, Self::Error> {
        Ok(None)
    }

    /// Behind a pooler: whether a server connection is known for this step.
    fn is_placed(&self, _connection: &ConnectionName, _step: StepId) -> bool {
        true
    }

    /// Behind a pooler: whether nobody knows which session has served this step, which has its answer.
    fn forget_unplaced(
        &mut self,
        _connection: &ConnectionName,
        _step: StepId,
        _request: &Request,
    ) -> bool {
        false
    }

    /// Behind a pooler: whose step took this lock.
    fn owner_of(&self, _lock: &HeldLock) -> Option<ConnectionName> {
        None
    }
}

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
    /// The server of this number is ready for its first request; the session's process id, where it is the
    /// server's own.
    Started { pid: Option<i32>, server: usize },
    /// The pod will not go on without TLS.
    TlsDemanded,
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
