//! Grants: which lock was held by which session, from when to when, and how it ended.
//!
//! Owns a grant's shape. How grants are found is the business of `reading`.

use super::kind::{LetGo, LockKind};
use crate::name::{ConnectionName, LockKey, LockMode, PodName, Session};

/// A lock in one mode, as one session can have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot {
    pub session: Session,
    /// With the run's database. The session says which server it is; calls on the wire do not: 0.
    pub key: LockKey,
    pub mode: LockMode,
}

impl Slot {
    /// The lock that `pg_locks` shows of this session.
    pub fn shown(session: Session, key: LockKey, mode: LockMode) -> Self {
        let key = LockKey { server: 0, ..key };
        Self { session, key, mode }
    }
}

/// How a grant ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// By an unlock on its session, or by a step there that can have unlocked it.
    Unlocked,
    /// By an unlock on its session that was never answered: it may or may not have been done.
    Unanswered,
    /// By `DISCARD ALL` on its session.
    Discarded,
    /// By the end of its transaction.
    Transaction,
    /// By the end of its session.
    Session,
    /// By the pooler, which took the session back from a client that had left, and reset it.
    Returned,
}

impl From<LetGo> for How {
    fn from(cause: LetGo) -> Self {
        match cause {
            LetGo::UnlockAll => Self::Unlocked,
            LetGo::Discard => Self::Discarded,
            LetGo::Transaction => Self::Transaction,
            LetGo::Session => Self::Session,
        }
    }
}

/// A lock held by a session from its grant to its release.
#[derive(Debug, Clone)]
pub struct Grant<'a> {
    /// Which session holds it.
    pub session: Session,
    /// Whose session that is.
    pub connection: &'a ConnectionName,
    /// Which lock.
    pub key: LockKey,
    /// In which mode.
    pub mode: LockMode,
    /// Whether its transaction's end releases it; `None` if no call was seen that took it.
    pub xact: Option<bool>,
    /// From which line on.
    pub from: u64,
    /// The last snapshot that showed it.
    pub seen: Option<u64>,
    /// Until which line, and how it ended; `None`: it never did.
    pub end: Option<(u64, How)>,
    /// How often it was taken (session locks stack); 0 if no call was seen that took it.
    pub taken: u32,
    /// How often it was given back.
    pub returned: u32,
    /// Whether every lock call of the session was seen and answered, so that the two can be compared.
    pub exact: bool,
    /// Whether its session was in a transaction when it was last heard of.
    pub in_transaction: bool,
    /// Behind a pooler: the connection of another pod that the session was given back by.
    pub given_back_by: Option<&'a ConnectionName>,
}

impl Grant<'_> {
    /// Whose it is.
    pub fn pod(&self) -> &PodName {
        &self.connection.pod
    }

    /// Its lock and mode on its session.
    pub fn slot(&self) -> Slot {
        Slot {
            session: self.session,
            key: self.key,
            mode: self.mode,
        }
    }

    /// Whether it keeps out others that ask for the same.
    pub fn guards(&self) -> bool {
        LockKind::of(&self.key).guards(self.mode)
    }

    /// Whether it ends by this.
    pub fn ends_by(&self, cause: LetGo) -> bool {
        LockKind::of(&self.key).ends_by(cause, self.xact)
    }

    /// Whether it was held at this line.
    pub fn held_at(&self, seq: u64) -> bool {
        self.from < seq && self.end.is_none_or(|(end, _)| seq < end)
    }

    /// `the exclusive lock 1196576591 of a.0 (session 812)`.
    pub fn words(&self) -> String {
        format!(
            "the {} lock {} of {} ({})",
            self.mode, self.key, self.connection, self.session
        )
    }
}
