//! The books that a run keeps of its pods, connections and steps.
//!
//! Owns plain bookkeeping, with times as what has passed since the run began. Knows nothing of how it comes
//! about.

use std::collections::BTreeMap;
use std::time::Duration;

use super::repeats::Repeats;
use super::seen::Need;
use crate::history::{Answer, ClosedBy, Delivery, Request, WaitsFor};
use crate::name::{ConnectionName, PodName, Session, StepId};
use crate::schedule::{FaultKind, InnerPoint, SqlPattern};

/// A pod of the run.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub name: PodName,
    pub recovery: bool,
    /// Its first turn has come.
    pub started: bool,
    pub links: BTreeMap<u32, Link>,
    pub exited: Option<(Option<i32>, Option<i32>)>,
    /// Its processes are gone and so is the server side of its sessions.
    pub ended: bool,
    /// Released steps, look-ups aside.
    pub steps: u32,
    /// The most requests that it had open at once.
    pub max_open: u32,
    /// What it did last, as long as it had no effect.
    pub repeats: Repeats,
    /// What it waits for while others are held, if it does.
    pub wait: Option<OpenWait>,
    /// Whether it has asked for notifications.
    pub listens: bool,
    /// Why its first attempt at TLS came to nothing, if one did.
    pub tls_failed: Option<String>,
    /// Steps that have their answer, their ending still to be written down.
    pub owed: u32,
    /// Its exit is still to be written down.
    pub exit_unwritten: bool,
    /// Its processes are stopped (SIGSTOP).
    pub paused: bool,
    /// The step before which a turn has stopped.
    pub stopped_at: Option<StepId>,
    /// What is wrong with all its links, those to come included.
    pub link_faults: Vec<FaultKind>,
}

impl Member {
    pub fn new(name: PodName, recovery: bool) -> Self {
        Self {
            name,
            recovery,
            started: false,
            links: BTreeMap::new(),
            exited: None,
            ended: false,
            steps: 0,
            max_open: 0,
            repeats: Repeats::default(),
            wait: None,
            listens: false,
            tls_failed: None,
            owed: 0,
            exit_unwritten: false,
            paused: false,
            stopped_at: None,
            link_faults: Vec::new(),
        }
    }
}

/// What a look at a silent pod showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rest {
    /// It was heard meanwhile.
    Heard,
    /// It may yet go on by itself.
    Lasts,
    /// Others go first.
    Over,
}

/// A wait that has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OpenWait {
    /// After how many of the pod's steps.
    pub steps: u32,
    pub what: WaitsFor,
    /// The pods that the gate held.
    pub held: Vec<PodName>,
}

/// A connection of a pod.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    pub name: ConnectionName,
    pub session: Option<Session>,
    pub pid: Option<i32>,
    /// The server never showed the session: it was over by the time that it was looked for. When it
    /// started is then an estimate.
    pub unseen: bool,
    /// Which of the run's servers it leads to.
    pub server: usize,
    /// The server is ready for its first request.
    pub started: bool,
    pub held: Option<StepId>,
    /// Released, its ending not yet seen on the wire.
    pub running: Option<StepId>,
    pub client_closed: bool,
    /// The pod has closed it; that is written once the ending of its answered step is.
    pub unwritten_close: Option<ClosedBy>,
    pub server_closed: bool,
    /// Cut on both sides while its step waited on the server: nothing more comes over the wire,
    /// and the backend does not know it yet.
    pub severed: bool,
    pub finished: bool,
    /// Its backend has left `pg_stat_activity`, or it never had one.
    pub gone: bool,
    /// When the pod opened it.
    pub opened_at: Duration,
    /// When the last answer went to the pod.
    pub answered_at: Option<Duration>,
}

/// How far the estimated start of a session may be from the one that the server gives, in seconds:
/// a process id does not come round again so soon.
const UNSEEN_TOLERANCE_S: u64 = 2;

impl Link {
    pub fn new(name: ConnectionName, opened_at: Duration) -> Self {
        Self {
            name,
            session: None,
            pid: None,
            unseen: false,
            server: 0,
            started: false,
            held: None,
            running: None,
            client_closed: false,
            unwritten_close: None,
            server_closed: false,
            severed: false,
            finished: false,
            gone: false,
            opened_at,
            answered_at: None,
        }
    }

    /// Whether its backend is this one. A log gives a session's start in whole seconds.
    pub fn is_of(&self, session: Session) -> bool {
        let tolerance = if self.unseen { UNSEEN_TOLERANCE_S } else { 0 };
        let second = |one: Session| one.started_us.div_euclid(1_000_000);
        self.session.is_some_and(|known| {
            known.pid == session.pid && second(known).abs_diff(second(session)) <= tolerance
        })
    }

    /// Between arrival and the first ReadyForQuery. A connection that says nothing for a second is
    /// open, not starting.
    pub fn is_starting(&self, now: Duration) -> bool {
        !self.started
            && !self.client_closed
            && !self.server_closed
            && !self.finished
            && now.saturating_sub(self.opened_at) < Duration::from_secs(1)
    }

    /// Neither side has closed it.
    pub fn is_open(&self) -> bool {
        !self.client_closed && !self.server_closed && !self.finished && !self.gone
    }

    /// Its end has begun and its backend is about to leave.
    pub fn is_leaving(&self) -> bool {
        !self.gone
            && self.held.is_none()
            && self.unwritten_close.is_none()
            && (self.server_closed || (self.client_closed && self.running.is_none()))
    }

    /// The pod's side is closed and its last statement still runs, or waits, on the server.
    pub fn is_ghost(&self) -> bool {
        self.client_closed && !self.server_closed && self.running.is_some()
    }
}

/// A step of the run.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub id: StepId,
    pub connection: ConnectionName,
    /// What it asks.
    pub request: Request,
    /// How many steps had been released before it came: equal for steps that arrived together.
    pub batch: u64,
    pub held_at: Duration,
    pub released: Option<Duration>,
    pub delivery: Delivery,
    /// The answer, latched when it was seen on the wire.
    pub answer: Option<Answer>,
    pub answered: Option<Duration>,
    /// Its final ending is in the history.
    pub ended: bool,
    /// Its arrival is still to be written down: an answer to the same pod comes first.
    pub unwritten: bool,
    /// It was seen blocked, or to need its pod, and has not ended since.
    pub waiting: Option<Waiting>,
    /// The gate that is closed in its middle.
    pub gate: Option<InnerPoint>,
    /// What it lacks of its pod, and since when it has at every look.
    pub lack: Option<(Need, Duration)>,
}

/// What a step that has not ended waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// For a lock.
    Lock,
    /// For its own pod.
    Pod,
    /// Inside a pooler, for a server connection.
    Connection,
    /// In its middle, for its pod's next turn.
    Gate,
}

/// A stop that was not met when its turn ended as blocked or because its pod made way.
#[derive(Debug, Clone)]
pub(crate) struct PendingStop {
    pub index: usize,
    pub pod: PodName,
    pub sql: SqlPattern,
    pub nth: u32,
    pub matches: u32,
    /// A held step that was counted already when the turn ended.
    pub counted: Option<StepId>,
}
