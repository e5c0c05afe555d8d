//! The words for what the witness saw: a write, how far it went, and the commit.
//!
//! Owns those values; they are part of the format. Knows nothing of how the witness sees them.

use serde::{Deserialize, Serialize};

use super::held::HeldLock;
use super::held_row::HeldRow;
use crate::name::{ConnectionName, Session, StepId};

/// A write that the witness saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Write {
    /// When, in microseconds since 1970 on the server's clock.
    pub server_us: i64,
    /// The backend that wrote.
    pub session: Session,
    /// The connection that the backend served, where known.
    pub connection: Option<ConnectionName>,
    /// The step in which it happened, where known.
    pub step: Option<StepId>,
    /// The table that the statement names, as `schema.table`.
    pub table: String,
    /// What was done.
    pub operation: Operation,
    /// Advisory locks of this database at that moment, of all sessions.
    pub locks: Vec<HeldLock>,
    /// How far it went.
    #[serde(default, skip_serializing_if = "Extent::is_unknown")]
    pub extent: Extent,
}

/// How far a write went: since when, over which rows, and whether it stayed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Extent {
    /// What its session held when the statement began, its snapshot taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun: Option<Vec<HeldLock>>,
    /// The tables in which rows were changed; `None` where nobody counted (DDL, TRUNCATE).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed: Option<Vec<Changed>>,
    /// The tables that the named one is a partition of, or inherits from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub above: Vec<String>,
    /// The transaction, which [`Committing`] names, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction: Option<u64>,
    /// What became of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fate: Option<Fate>,
    /// Whose snapshot it had; `None`: one of its own, as in READ COMMITTED.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isolation: Option<Isolation>,
    /// The level that its session's transactions have where they ask for none; `None`: READ COMMITTED.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usual: Option<Isolation>,
    /// Where rows of a table are the lock: those that transactions had locked when the statement ended; `None`
    /// where nobody looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<Vec<HeldRow>>,
}

impl Extent {
    fn is_unknown(&self) -> bool {
        *self == Self::default()
    }
}

/// An isolation level in which a transaction has one snapshot, taken by its first statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Isolation {
    /// REPEATABLE READ.
    RepeatableRead,
    /// SERIALIZABLE.
    Serializable,
}

/// A table in which rows were changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// The table, as `schema.table`.
    pub table: String,
    /// How many rows.
    pub rows: u64,
    /// The tables that it is a partition of, or inherits from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub above: Vec<String>,
}

/// What became of a write: of its transaction, or of the savepoint that it was made in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// It was committed.
    Committed,
    /// It was rolled back, and changed nothing.
    RolledBack,
    /// Neither, when the run had ended: a prepared transaction, or a ghost.
    Open,
}

/// What was done to a table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// INSERT, or COPY FROM.
    Insert,
    /// UPDATE.
    Update,
    /// DELETE.
    Delete,
    /// TRUNCATE.
    Truncate,
    /// DDL, with the command's tag, such as `CREATE TABLE` or `DROP TABLE`.
    Ddl(String),
}

/// What a session held when its transaction was about to commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Committing {
    /// When, in microseconds since 1970 on the server's clock.
    pub server_us: i64,
    /// The backend.
    pub session: Session,
    /// The connection that it served, where known.
    pub connection: Option<ConnectionName>,
    /// The step in which it happened, where known.
    pub step: Option<StepId>,
    /// The transaction.
    pub transaction: Option<u64>,
    /// What the session held.
    pub locks: Vec<HeldLock>,
}
