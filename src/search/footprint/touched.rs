//! A footprint as a value.
//!
//! Owns its shape. Knows nothing of how it is found.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::{LockAction, Operation};
use crate::ledger::LockKind;
use crate::name::{ConnectionName, LockKey, LockMode};

/// What a step touched. Tables are `schema.table`, as the catalog has them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Footprint {
    /// Why it must be taken to touch everything; `None`: what follows is all.
    pub everything: Option<String>,
    /// Tables whose rows its text looks at.
    pub reads: BTreeSet<String>,
    /// Tables that are looked at on its behalf: parents of what it inserts, children of what it
    /// deletes.
    pub checks: BTreeSet<String>,
    /// Tables it wrote, and how.
    pub writes: BTreeMap<String, BTreeSet<Operation>>,
    /// Tables it locks against others without writing them: FOR UPDATE, neighbours of DDL, the
    /// other tables of an inheritance tree.
    pub locked: BTreeSet<String>,
    /// Sequences it advances.
    pub sequences: BTreeSet<String>,
    /// Whether it uses a sequence that the text does not tell.
    pub any_sequence: bool,
    /// Whether it looks up tables in the catalog.
    pub reads_catalog: bool,
    /// What it does to advisory locks, the locks that come or go with it among them.
    pub locks: Vec<LockUse>,
    /// Whether it was seen to wait for a lock: what it did, it did not do when it was released.
    pub waited: bool,
    /// Whether a transaction of several steps ends with it, for good or ill.
    pub ends_transaction: bool,
    /// Whether it is the last step of its pod.
    pub ends_pod: bool,
    /// The advisory locks that its pod held from its start to its end.
    pub held: Vec<Held>,
}

/// What is done to an advisory lock.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LockUse {
    /// Taken, tried or given back.
    pub action: LockUseKind,
    /// Which mode.
    pub mode: LockMode,
    /// Whether the end of the transaction gives it back.
    pub xact: bool,
    /// The lock, the database left aside (0); `None`: the text does not tell.
    pub key: Option<LockKey>,
    /// What a call that gives an answer answered.
    pub result: Option<bool>,
}

/// What is done to an advisory lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LockUseKind {
    /// Asked for, and waited for.
    Take,
    /// Asked for, without waiting.
    Try,
    /// Given back.
    GiveBack,
    /// Seen to come or go in `pg_locks`, without a call in the text.
    Seen,
}

impl LockUseKind {
    pub(super) fn of(action: LockAction) -> Self {
        match action {
            LockAction::Lock => Self::Take,
            LockAction::TryLock => Self::Try,
            LockAction::Unlock | LockAction::UnlockAll => Self::GiveBack,
        }
    }
}

/// An advisory lock that a pod held.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Held {
    /// The lock, the database left aside (0).
    pub key: LockKey,
    /// How.
    pub mode: LockMode,
    /// On which connection.
    pub connection: ConnectionName,
}

impl Held {
    /// Whether it keeps out others that ask for the same.
    #[must_use]
    pub fn guards(&self) -> bool {
        LockKind::of(&self.key).guards(self.mode)
    }
}

impl Footprint {
    /// A step of which nothing is known but why not.
    #[must_use]
    pub fn of_everything(why: impl Into<String>) -> Self {
        Self {
            everything: Some(why.into()),
            ..Self::default()
        }
    }

    /// Whether it did this to the table.
    #[must_use]
    pub fn did(&self, table: &str, what: impl Fn(&Operation) -> bool) -> bool {
        self.writes
            .get(table)
            .is_some_and(|operations| operations.iter().any(what))
    }

    /// Whether it changed the definition of a table.
    #[must_use]
    pub fn is_ddl(&self) -> bool {
        self.writes
            .values()
            .flatten()
            .any(|operation| matches!(operation, Operation::Ddl(_)))
    }

    /// Whether the pod held one of these locks, in any mode, meanwhile.
    #[must_use]
    pub fn held_any(&self, keys: &[LockKey]) -> bool {
        self.held
            .iter()
            .any(|held| keys.iter().any(|key| key.same_key(&held.key)))
    }
}
