//! A lock as the server shows it.
//!
//! Owns that value, which snapshots and what the witness saw have in common.

use serde::{Deserialize, Serialize};

use crate::name::{LockKey, LockMode};

/// An advisory lock of `pg_locks`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct HeldLock {
    /// Process id of the session. Of a prepared transaction, which no session has, its id, negative (see
    /// [`Event::Prepared`](super::Event::Prepared)); 0 where nobody can tell which one it is.
    pub pid: i32,
    /// The lock.
    pub key: LockKey,
    /// How.
    pub mode: LockMode,
    /// Held, or still awaited.
    pub granted: bool,
}
