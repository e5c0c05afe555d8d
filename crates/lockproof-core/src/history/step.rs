//! The words for one step: what it asks, how it was given to the server, how it ended, what came back.

use serde::{Deserialize, Serialize};

use super::digest::Beside;
use crate::name::{LockKey, LockMode};

/// What a step asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Request {
    /// The SQL of the step's statements; long ones cut at 2,000 characters.
    pub sql: Vec<String>,
    /// The normal form of each: white space folded, literals replaced.
    pub normal: Vec<String>,
    /// Calls of advisory lock functions, and tables that LOCK TABLE names, in the order of the text.
    pub lock_calls: Vec<LockCall>,
    /// Tables that the text names as written, as the text spells them, lower case.
    pub writes: Vec<String>,
    /// Whether the text cannot tell what is written (functions, DO blocks, unknown SQL).
    pub opaque: bool,
    /// Whether the gate lets it pass by itself: a driver's look-up in the catalog, or a Sync that
    /// commits nothing.
    pub look_up: bool,
    /// Of all that it asks, its parameters and arguments included; in memory only.
    #[serde(skip)]
    pub digest: Beside,
    /// Whether it only prepares (Parse, Describe, Bind, Close), and the client waits for that before it
    /// executes anything. It is held like any step, and no count, pattern or fault point means it
    /// without saying so.
    #[serde(default, skip_serializing_if = "is_false")]
    pub prepares: bool,
}

/// A call of an advisory lock function in a statement's text, or a table in a LOCK TABLE.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockCall {
    /// What the function does.
    pub action: LockAction,
    /// Exclusive or share; of unlock: which it gives back.
    pub mode: LockMode,
    /// Whether a transaction's end releases it (`…_xact_…`, LOCK TABLE).
    pub xact: bool,
    /// The key, where text and parameters tell it; the database is 0. A table is named as the text
    /// spells it.
    pub key: Option<LockKey>,
    /// Whether the call is a whole item of its statement's select list, or all that it selects from:
    /// then it is made once for each row, and a boolean column is its own answer. Elsewhere (negated,
    /// in a condition, in a query inside) the text does not tell whether it was made.
    #[serde(default = "whole")]
    pub whole: bool,
}

fn whole() -> bool {
    true
}

/// What a lock function does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LockAction {
    /// `pg_advisory_lock…` or `LOCK TABLE`, waits.
    Lock,
    /// `pg_try_advisory_lock…`, answers whether it got the lock.
    TryLock,
    /// `pg_advisory_unlock…`, answers whether the session held it.
    Unlock,
    /// `pg_advisory_unlock_all`.
    UnlockAll,
}

/// How a step was given to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Delivery {
    /// As the pod sent it.
    Forwarded,
    /// As the pod sent it, and the answer is kept from the pod.
    AnswerDropped,
    /// As the pod sent it, and the pod is told the fault's error instead of the answer.
    AnswerReplaced,
    /// The server got another statement in its place, which raises the chosen error.
    Replaced,
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// The server is ready for the next request.
    Done,
    /// It waits for a lock, or inside a pooler for a server connection, that only another turn can
    /// free.
    Blocked,
    /// It waits for something else of its own pod.
    NeedsPod,
    /// It stands in its middle, at a gate of lockproof's, until its pod's next turn.
    Inside,
    /// The session is gone.
    Gone,
}

/// What came back for a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Answer {
    /// Command tags, such as `INSERT 0 8`.
    pub tags: Vec<String>,
    /// The error, if one came.
    pub error: Option<ServerError>,
    /// Warnings and notices: SQLSTATE and message. The first 100 of each severity.
    pub notices: Vec<ServerError>,
    /// How many warnings and notices more there were.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub notices_left_out: u64,
    /// Results of the step's lock calls in order; `None` where it answers nothing (void) or the
    /// call was never answered.
    pub lock_results: Vec<Option<bool>>,
    /// Transaction status after it: `I`, `T` or `E`; absent while the step is not done.
    pub transaction: Option<char>,
    /// Of all that came back, every row included; in memory only.
    #[serde(skip)]
    pub digest: Beside,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

pub(super) fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Answer {
    /// Whether a query gave no row: then what stands in its select list may not have been called.
    #[must_use]
    pub fn gave_nothing(&self) -> bool {
        self.tags.iter().any(|tag| tag == "SELECT 0")
    }
}

/// An error or a notice of the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct ServerError {
    /// `ERROR`, `FATAL`, `WARNING`, …
    pub severity: String,
    /// The SQLSTATE.
    pub sqlstate: String,
    /// The primary message.
    pub message: String,
    /// The table it names.
    pub table: Option<String>,
    /// The constraint it names.
    pub constraint: Option<String>,
}

/// Whether a command wrote no row, by its tag. The count of a SELECT is of the rows that came back: what a
/// function or a `WITH` query in it wrote it does not tell.
#[must_use]
pub fn wrote_nothing(tag: &str) -> bool {
    const COUNTED: [&str; 5] = ["INSERT ", "UPDATE ", "DELETE ", "MERGE ", "COPY "];
    let counted = COUNTED.iter().any(|verb| tag.starts_with(verb));
    (counted && tag.ends_with(" 0")) || asks_nothing(tag)
}

/// How many rows a command tells of, by its tag; `None` where it counts none.
#[must_use]
pub fn rows_told(tag: &str) -> Option<u64> {
    tag.rsplit(' ').next()?.parse().ok()
}

/// Whether a command only begins or ends a transaction, or sets something for its session, by its tag.
#[must_use]
pub fn asks_nothing(tag: &str) -> bool {
    const FORMAL: [&str; 12] = [
        "BEGIN",
        "START",
        "COMMIT",
        "ROLLBACK",
        "SAVEPOINT",
        "RELEASE",
        "SET",
        "RESET",
        "DISCARD",
        "DEALLOCATE",
        "LISTEN",
        "UNLISTEN",
    ];
    FORMAL.contains(&tag.split(' ').next().unwrap_or_default())
}
