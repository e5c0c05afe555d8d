//! The words for a lock that is a row of a table, a lease: what its columns mean, and what the server tells
//! of each change of it; and for a queue or a table of claims, each row of which is such a lock.
//!
//! Owns those values; they are part of the format. Knows nothing of who holds such a lock.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::write::{Fate, Operation};
use crate::name::{ConnectionName, Session, StepId};

/// A lock that is a row of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockRow {
    /// The table: as the scenario spells it, in a history as `schema.table`.
    pub table: String,
    /// Which row: what these columns hold, as text. Empty: the only one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub row: BTreeMap<String, String>,
    /// The column that says who has it; NULL or an empty text: nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Until when it is had; `None`: until it is given back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiry: Option<Expiry>,
    /// An SQL condition on the row that says whether it is had at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
    /// The column of the fencing token: each grant has a higher one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Whether a write must be refused, too, that was on its way when another pod took the lock over.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fencing: bool,
    /// Where each row of the table is a lock by itself, a job to be done: when one is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<Done>,
    /// Where each key of the table is a lock by itself, which whoever inserts the key has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<Claim>,
    /// Which of the run's lock rows it is, from 0; in a scenario always 0.
    #[serde(default, skip_serializing_if = "is_first")]
    pub place: usize,
}

/// A key that only one can insert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// Its columns. Never empty.
    pub columns: Vec<String>,
    /// Why the table can hold one key twice: it has no unique index on exactly these columns, or that is partial, or
    /// a column can be NULL. `None`: it cannot, or nobody has asked the catalog yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loose: Option<Loose>,
}

/// Why a table can hold one key twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loose {
    /// No unique index is on exactly its columns.
    NoIndex,
    /// This one is, and it is partial.
    Partial(String),
    /// This one is, and it is not valid.
    Invalid(String),
    /// This one is, and it may be checked only at the end of a transaction.
    Deferred(String),
    /// A column can be NULL, and no NULL equals another.
    Nullable {
        /// The column.
        column: String,
        /// The unique index.
        index: String,
    },
}

impl Claim {
    /// Why the table can hold one key twice, in words.
    #[must_use]
    pub fn loose_words(&self) -> Option<String> {
        Some(match self.loose.as_ref()? {
            Loose::NoIndex => {
                format!(
                    "there is no unique index on exactly ({})",
                    self.columns.join(", ")
                )
            }
            Loose::Partial(index) => format!("the unique index {index} is partial"),
            Loose::Invalid(index) => format!("the unique index {index} is not valid"),
            Loose::Deferred(index) => format!("the unique constraint {index} can be deferred"),
            Loose::Nullable { column, index } => {
                format!(
                    "{column} can be NULL, and the unique index {index} takes no NULL for another"
                )
            }
        })
    }
}

/// When a row of a queue is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Done {
    /// An SQL condition on the row says so.
    When(String),
    /// It is not there any more.
    Deleted,
}

/// What tells until when a lock row is had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expiry {
    /// A column that holds the time.
    Until(String),
    /// A column that holds when it was taken, and how long it is had from then on.
    Since {
        /// The column.
        column: String,
        /// How long.
        lease: Duration,
    },
}

impl Expiry {
    /// The column.
    #[must_use]
    pub fn column(&self) -> &str {
        match self {
            Self::Until(column) | Self::Since { column, .. } => column,
        }
    }

    /// How long after the time in the column it ends.
    #[must_use]
    pub fn lease(&self) -> Duration {
        match self {
            Self::Until(_) => Duration::ZERO,
            Self::Since { lease, .. } => *lease,
        }
    }
}

impl LockRow {
    /// The claims in this table, by the key of these columns.
    #[must_use]
    pub fn of_claims(table: String, columns: Vec<String>) -> Self {
        Self {
            table,
            row: BTreeMap::new(),
            owner: None,
            expiry: None,
            held: None,
            token: None,
            fencing: false,
            queue: None,
            claim: Some(Claim {
                columns,
                loose: None,
            }),
            place: 0,
        }
    }

    /// Whether each row of the table is a lock by itself: a queue, or claims.
    #[must_use]
    pub fn is_many(&self) -> bool {
        self.queue.is_some() || self.claim.is_some()
    }

    /// `the lock row of shedlock (name = 'report')`, `the queue job`, `the claims in run_log`.
    #[must_use]
    pub fn words(&self) -> String {
        let table = self.table.strip_prefix("public.").unwrap_or(&self.table);
        if self.queue.is_some() {
            return format!("the queue {table}");
        }
        if self.claim.is_some() {
            return format!("the claims in {table}");
        }
        let row: Vec<String> = self
            .row
            .iter()
            .map(|(column, value)| format!("{column} = '{value}'"))
            .collect();
        match row.is_empty() {
            true => format!("the lock row of {table}"),
            false => format!("the lock row of {table} ({})", row.join(", ")),
        }
    }

    /// One of these locks: `the lock row of shedlock`, `a row of the queue job`, `a claim in run_log`.
    #[must_use]
    pub fn one_of(&self) -> String {
        let table = self.table.strip_prefix("public.").unwrap_or(&self.table);
        if self.claim.is_some() {
            format!("a claim in {table}")
        } else if self.queue.is_some() {
            format!("a row of {}", self.words())
        } else {
            self.words()
        }
    }

    /// The same, and of a queue what makes a row of it claimed: `the queue job (claimed: state = 'running')`; of claims the
    /// key, and why the table can hold one twice.
    #[must_use]
    pub fn in_full(&self) -> String {
        if let Some(claim) = &self.claim {
            let loose = claim.loose_words().map_or(String::new(), |why| {
                format!("; nothing keeps a key from being inserted twice ({why}), so that the rows decide")
            });
            return format!("{} by ({}){loose}", self.words(), claim.columns.join(", "));
        }
        match (&self.queue, &self.held) {
            (Some(_), Some(claimed)) => format!("{} (claimed: {claimed})", self.words()),
            _ => self.words(),
        }
    }
}

/// A change of a lock row, as a trigger on its table saw it. Read from the log after the run, as writes are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowChange {
    /// When, in microseconds since 1970 on the server's clock.
    pub server_us: i64,
    /// The backend that changed it.
    pub session: Session,
    /// The connection that the backend served, where known.
    pub connection: Option<ConnectionName>,
    /// The step in which it happened, where known.
    pub step: Option<StepId>,
    /// Which of the run's lock rows it is, by its place.
    #[serde(default, skip_serializing_if = "is_first")]
    pub lock: usize,
    /// Whether lockproof did it: time passes for the lease (`expire`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_lockproof: bool,
    /// What was done.
    pub operation: Operation,
    /// Of a queue: which row, by its primary key; of claims by the claimed key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<String>,
    /// The row before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<RowVersion>,
    /// The row after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<RowVersion>,
    /// The transaction, which [`Write`](super::Write) names, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction: Option<u64>,
    /// What became of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fate: Option<Fate>,
}

fn is_first(place: &usize) -> bool {
    *place == 0
}

/// A version of a lock row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowVersion {
    /// The (sub)transaction that made it: its `xmin`. The version after one names it, so that the versions of
    /// a row are a chain.
    pub made_by: u32,
    /// What stands in the owner's column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Until when it is had, in microseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_us: Option<i64>,
    /// Whether it is had by somebody, expired or not.
    pub held: bool,
    /// Of a queue: whether it is done.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub done: bool,
    /// Whether its time had passed at the moment of the change, by the server's clock.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub expired: bool,
    /// The fencing token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<i64>,
}

impl RowVersion {
    /// Whether it keeps others out: somebody has it, and its time has not passed.
    #[must_use]
    pub fn keeps_out(&self) -> bool {
        self.held && !self.expired
    }
}
