//! A row lock as the server shows it, and the rule that rows of a table are the lock.
//!
//! Owns those values, which looks at the server and what the witness saw have in common; they are part of the
//! format. Knows nothing of who may write.

use serde::{Deserialize, Serialize};

use crate::name::TableName;

/// Rows of a table are the lock: a transaction locks some of them, does its work, and ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowsRule {
    /// The table, as `schema.table`.
    pub table: TableName,
    /// How the clean run locks its rows, such as `FOR UPDATE SKIP LOCKED`; `None` where no text shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub how: Option<String>,
    /// Whether the scenario names it; else the clean and serial runs show it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub named: bool,
    /// The tables that refer to it by one foreign key: a row of those belongs to the row that it refers to, and that
    /// must be locked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<TableName>,
}

impl RowsRule {
    /// `rows of job`.
    #[must_use]
    pub fn words(&self) -> String {
        format!("rows of {}", self.table)
    }

    /// `rows of job (FOR UPDATE SKIP LOCKED)`.
    #[must_use]
    pub fn in_full(&self) -> String {
        match &self.how {
            Some(how) => format!("{} ({how})", self.words()),
            None => self.words(),
        }
    }
}

/// A row of the lock's table that a transaction has locked or changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldRow {
    /// Process id of the session; 0 where the server does not tell whose transaction it is: one whose savepoint
    /// was released, or one that was prepared.
    pub pid: i32,
    /// The transaction or subtransaction that locked it, by the 32 bits that the row shows.
    pub transaction: u32,
    /// The table, as `schema.table`.
    pub table: TableName,
    /// The row, by its primary key; without one by its place.
    pub row: String,
    /// How, where the server tells.
    pub mode: RowMode,
}

/// How a row is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RowMode {
    /// FOR KEY SHARE, as foreign keys do.
    KeyShare,
    /// FOR SHARE.
    Share,
    /// FOR NO KEY UPDATE, or an UPDATE that leaves the key.
    NoKeyUpdate,
    /// FOR UPDATE, a DELETE, or an UPDATE of the key.
    Update,
    /// Locked by one transaction alone: the server does not tell how.
    Alone,
    /// Its own transaction made this version of the row, by an INSERT or an UPDATE.
    Made,
}

impl RowMode {
    /// Whether two transactions cannot hold a row so at once; `None`: the server does not tell.
    #[must_use]
    pub fn keeps_its_like_out(self) -> Option<bool> {
        match self {
            Self::KeyShare | Self::Share => Some(false),
            Self::NoKeyUpdate | Self::Update => Some(true),
            Self::Alone | Self::Made => None,
        }
    }

    /// The mode that the server calls so, of a lock that several may share.
    #[must_use]
    pub fn of_server_name(name: &str) -> Option<Self> {
        Some(match name {
            "keysh" => Self::KeyShare,
            "sh" => Self::Share,
            "fornokeyupd" | "nokeyupd" => Self::NoKeyUpdate,
            "forupd" | "upd" => Self::Update,
            "alone" => Self::Alone,
            "made" => Self::Made,
            _ => return None,
        })
    }
}
