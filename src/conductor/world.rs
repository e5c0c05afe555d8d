//! The world that the conductor acts on.
//!
//! Owns the trait. Five calls carry a run: the next report, release, look, settle, apply. The others open and close the
//! ways of pods, keep the books of a pooler, or ask what the world can answer at once.

use std::time::Duration;

use super::aim::{Aim, Outcome};
use super::machine::Conductor;
use super::orders::Mistake;
use super::seen::{Activity, Heard, Need, Queue, Rested, Sessions, Started};
use crate::history::{Delivery, HeldLock, Request, WaitsFor};
use crate::name::{ConnectionName, PodName, Session, StepId};
use crate::schedule::InnerPoint;

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

    /// Closes a gate in the middle of what this session does next: there it stands.
    async fn close_gate(&mut self, pid: i32, at: &InnerPoint) -> Result<(), Self::Error>;

    /// Whether this session keeps gates closed.
    fn keeps_gates(&self, pid: i32) -> bool;

    /// A session stands behind its first row: lets it go on to this one. Whether it stands there, and not its gate is
    /// open because it never came so far.
    async fn pass_rows(&mut self, pid: i32, at: &InnerPoint) -> Result<bool, Self::Error>;

    /// Opens the gates of this session.
    async fn open_gates(&mut self, pid: i32) -> Result<(), Self::Error>;

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

    /// Where rows of a table are the lock: the process ids of the sessions that have some locked.
    fn row_holders(&self) -> Vec<i32> {
        Vec::new()
    }

    /// Behind a pooler: whose step took this lock.
    fn owner_of(&self, _lock: &HeldLock) -> Option<ConnectionName> {
        None
    }
}
