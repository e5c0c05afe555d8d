//! One operation on a lock, from its call to its return.
//!
//! Owns its words. Knows nothing of how it is found or written.

use crate::name::{ConnectionName, LockKey, LockMode, Session, StepId};
use crate::timeline;

/// What was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// The lock.
    Acquire,
    /// That it be given back.
    Release,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It was done, at some moment between call and return.
    Ok,
    /// It was not done: it changed nothing.
    Fail,
    /// It may have been done, or not.
    Info,
}

/// Who did it, and how it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum By {
    /// The pod, by a call on the wire.
    Client,
    /// The server of itself: the end of a transaction or of a session.
    System,
    /// Nobody on the wire: `pg_locks` showed that it had happened (a function, a trigger).
    Unseen,
}

/// Why an operation was not done, or why that is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason<'a> {
    /// A try found the lock taken.
    Refused,
    /// An unlock of what the session did not hold.
    NotHeld,
    /// It was never answered.
    NoAnswer,
    /// Its step failed with this SQLSTATE.
    Failed(&'a str),
}

/// A moment of the history: at a line, or right after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Place {
    /// The line.
    pub line: u64,
    /// Whether it is after that line, and before the next.
    pub after: bool,
    /// When that line was recorded, in microseconds since the run began.
    pub at_us: u64,
}

impl Place {
    /// Right after it.
    #[must_use]
    pub fn after(self) -> Self {
        Self {
            after: true,
            ..self
        }
    }
}

impl From<timeline::Moment> for Place {
    fn from(at: timeline::Moment) -> Self {
        Self {
            line: at.seq,
            after: false,
            at_us: at.at_us,
        }
    }
}

/// One operation on an advisory lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockOperation<'a> {
    /// Whose it is.
    pub connection: &'a ConnectionName,
    /// On which backend, where known.
    pub session: Option<Session>,
    /// The step that asked for it, if one did.
    pub step: Option<StepId>,
    /// The lock.
    pub key: LockKey,
    /// Exclusive or share.
    pub mode: LockMode,
    /// Whether the end of a transaction gives it back; `None` where no call was seen.
    pub xact: Option<bool>,
    /// What was asked.
    pub action: Action,
    /// By whom.
    pub by: By,
    /// Before this moment it had not been done.
    pub called: Place,
    /// By this moment it had been done, or not. `None`: it never returned, and may have been done
    /// at any moment after its call.
    pub returned: Option<Place>,
    /// What came of it.
    pub outcome: Outcome,
    /// Why it is no `Ok`.
    pub reason: Option<Reason<'a>>,
}
