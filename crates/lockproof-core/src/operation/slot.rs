//! What one connection has of one lock in one mode, while a history is read.
//!
//! Owns the count of what is surely and what is perhaps held. Knows nothing of lines.

use std::collections::BTreeSet;

use super::terms::{LockOperation, Place};
use crate::name::{ConnectionName, LockKey, LockMode, Session};

/// What one connection has of one lock in one mode.
#[derive(Debug)]
pub(super) struct Slot {
    /// Place of the connection.
    pub connection: usize,
    pub key: LockKey,
    pub mode: LockMode,
    /// Acquires that were done and not given back, in their order.
    pub units: Vec<usize>,
    /// Acquires that may have been done.
    pub maybe: Vec<usize>,
    /// Acquires that have not returned.
    pub waiting: Vec<usize>,
    /// Whether a release may have been done.
    pub blurred: bool,
    /// Until when `pg_locks` is known to have shown it.
    pub shown: Option<Place>,
    /// The last snapshot that showed it, by number.
    pub in_snapshot: u64,
    /// When the last operation on it returned.
    pub changed: Place,
}

/// A connection, while a history is read.
#[derive(Debug)]
pub(super) struct Connection<'a> {
    pub name: &'a ConnectionName,
    pub session: Option<Session>,
    /// Whether its backend serves other connections, too (behind a pooler): then `pg_locks` does not
    /// tell whose a lock is.
    pub shared: bool,
    /// Places of its slots that have something, surely or perhaps.
    pub active: BTreeSet<usize>,
    /// Operations of steps that ended with their session, and have no answer.
    pub orphans: Vec<usize>,
    /// When it was last known to be alive.
    pub alive: Place,
    /// Since when its transaction may have been aborted.
    pub failed_from: Option<Place>,
    /// Since when it ran what does not tell which locks it takes.
    pub opaque_from: Option<Place>,
    pub closed: bool,
    pub gone: bool,
}

impl Slot {
    /// The place in `units` of what an unlock gives back: a session's lock before a transaction's.
    pub fn unlocked(&self, operations: &[LockOperation<'_>]) -> Option<usize> {
        self.units
            .iter()
            .rposition(|unit| operations[*unit].xact == Some(false))
            .or_else(|| {
                self.units
                    .iter()
                    .rposition(|unit| operations[*unit].xact.is_none())
            })
    }
}
