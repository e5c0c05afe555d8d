//! What the verdict needs to know of a run besides what happened in it: what was run, what the
//! scenario demands, what clean and serial runs showed.
//!
//! Owns those values; they are part of the format.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::answer::NamedError;
use super::held_row::RowsRule;
use super::lock_row::LockRow;
use crate::name::{GuardName, LockKey, LockMode, PodName};
use crate::state::{LeftOut, Snapshot};

/// What the verdict needs to know of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunFacts {
    /// The version of the format.
    pub format: u32,
    /// The version of lockproof.
    pub lockproof: String,
    /// An id of the run, unique on the machine.
    pub run: String,
    /// The scenario's title.
    pub title: String,
    /// How the steps were let go.
    pub pacing: Pacing,
    /// The subject, as a person would write it.
    pub subject: String,
    /// The pods that were to run, recovery pod aside. None where the controller of a CronJob decides
    /// which there are: then its decisions tell.
    pub pods: Vec<PodName>,
    /// Whether a recovery pod was to run after all others.
    pub recovery: bool,
    /// How many turns and faults the schedule has (in free pacing: how many faults).
    #[serde(default)]
    pub moves: usize,
    /// The server.
    pub server: ServerFacts,
    /// The pooler between the pods and the server, if there is one. Then the session behind a
    /// connection may change from step to step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pooler: Option<PoolerFacts>,
    /// Oid of the run's database.
    pub database: u32,
    /// Whether the witness was in the run's database.
    pub witness: bool,
    /// Whether the server's log could be read.
    pub log: bool,
    /// What the scenario demands.
    pub rules: Rules,
    /// What clean and serial runs showed; `None` where the run is itself one of them.
    pub baseline: Option<Baseline>,
}

/// How steps were let go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pacing {
    /// The harness released every step.
    Controlled,
    /// In real time.
    Free,
}

/// The server of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerFacts {
    /// `container`, `local` or `external`.
    pub kind: String,
    /// `server_version`, such as `15.18`.
    pub version: String,
    /// Which one and why, in one line.
    pub description: String,
}

/// The pooler of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolerFacts {
    /// How it is set up.
    #[serde(flatten)]
    pub settings: PoolerSettings,
    /// What it calls itself, such as `PgBouncer 1.18.0`.
    pub version: String,
}

/// How a pooler is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolerSettings {
    /// For how long a client has a server connection.
    pub mode: PoolMode,
    /// How many server connections there are at most for each database and user.
    pub size: u32,
}

/// For how long a pooler's client has a server connection to itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PoolMode {
    /// From its first statement until it leaves.
    Session,
    /// For a transaction.
    Transaction,
    /// For a statement; transactions of several are refused.
    Statement,
}

impl PoolMode {
    /// Its name, as in scenario files and in the pooler's own configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Transaction => "transaction",
            Self::Statement => "statement",
        }
    }
}

/// What the scenario demands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// The protected tables, as `schema.table`.
    pub protect: Vec<String>,
    /// Those of them that the scenario did not name and that hold a row only while a pod is at work, in each clean
    /// and serial run: 23505 there may be the answer of a lock.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lock_rows: Vec<String>,
    /// Those of them that the scenario did not name and of which each clean and serial run writes rows outside of its
    /// locks only: what the lock guards is something else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unguarded: Vec<String>,
    /// The lock that must guard them.
    pub lock: LockRule,
    /// The weakest mode in which it guards, where the scenario says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock_mode: Option<LockMode>,
    /// Tables and columns of which the final rows are not compared, as the scenario writes them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<String>,
    /// How a grant may end.
    pub release: Release,
    /// What a pod does that finds the lock taken.
    pub on_contention: OnContention,
    /// Errors that are the lock's answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<NamedError>,
    /// If set, the only SQLSTATEs that `no-errors` looks for.
    pub only_sqlstates: Option<Vec<String>>,
    /// Guards that the scenario demands; the ones that always apply need not be listed.
    pub guards: Vec<GuardName>,
}

/// The lock that must guard the protected tables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LockRule {
    /// The scenario names it. (The database in the key is the run's.)
    Named(LockKey),
    /// It is whatever the clean run took; the databases in the keys are to be ignored.
    FromCleanRun(Vec<LockKey>),
    /// The scenario names a row of a table.
    Row(Box<LockRow>),
    /// Rows of a table, locked by each transaction that works.
    Rows(RowsRule),
    /// None is held: transactions are serializable, and the server checks them.
    Serializable,
    /// The scenario names several: a write needs each that protects its table.
    Several(Vec<OneLock>),
    /// Neither: the lock invariants are not judged.
    None,
}

/// One of several locks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OneLock {
    /// Which one; never `Several`.
    pub lock: LockRule,
    /// The weakest mode in which it guards, where the scenario says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<LockMode>,
    /// The tables that it protects, as `schema.table`; empty: all that are protected.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub protect: Vec<String>,
}

impl Rules {
    /// The rules of each of several locks: that lock alone, and the tables that it protects.
    #[must_use]
    pub fn of_each(&self) -> Vec<Self> {
        let LockRule::Several(all) = &self.lock else {
            return vec![self.clone()];
        };
        let own = |one: &OneLock| Self {
            lock: one.lock.clone(),
            lock_mode: one.mode,
            protect: match one.protect.is_empty() {
                true => self.protect.clone(),
                false => one.protect.clone(),
            },
            ..self.clone()
        };
        all.iter().map(own).collect()
    }
}

impl LockRule {
    /// This lock, or each of several.
    pub fn each(&self) -> impl Iterator<Item = &Self> {
        let (one, several) = match self {
            Self::Several(all) => (None, all.as_slice()),
            one => (Some(one), &[][..]),
        };
        let several = several.iter().map(|one| &one.lock);
        one.into_iter().chain(several)
    }

    /// The same, to be changed.
    pub fn each_mut(&mut self) -> Vec<&mut Self> {
        match self {
            Self::Several(all) => all.iter_mut().map(|one| &mut one.lock).collect(),
            one => vec![one],
        }
    }

    /// What a finding about one of several locks calls it.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Named(key) => format!("lock {key}"),
            Self::FromCleanRun(keys) => {
                let keys: Vec<String> = keys.iter().map(|key| format!("lock {key}")).collect();
                keys.join(", ")
            }
            Self::Row(row) => row.words(),
            Self::Rows(rows) => rows.words(),
            Self::Serializable => "SERIALIZABLE transactions".to_owned(),
            Self::Several(all) => {
                let all: Vec<String> = all.iter().map(|one| one.lock.words()).collect();
                all.join(", ")
            }
            Self::None => "no lock".to_owned(),
        }
    }

    /// The row, where the lock is one.
    #[must_use]
    pub fn row(&self) -> Option<&LockRow> {
        match self {
            Self::Row(row) => Some(row),
            _ => None,
        }
    }

    /// The table of which rows are the lock, where they are.
    #[must_use]
    pub fn rows(&self) -> Option<&RowsRule> {
        match self {
            Self::Rows(rows) => Some(rows),
            _ => None,
        }
    }

    /// Whether the server's check of serializable transactions is in the place of a lock.
    #[must_use]
    pub fn is_serializable(&self) -> bool {
        *self == Self::Serializable
    }
}

/// How a grant may end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Release {
    /// By an unlock on its own session.
    Unlock,
    /// By an unlock, or with its session when the pod's process ended by itself, with success, after its last
    /// protected write had committed.
    Process,
    /// By an unlock or by the end of its session.
    Any,
}

/// What a pod does that finds the lock taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnContention {
    /// It waits and then does its work.
    Wait,
    /// It leaves without having done anything.
    Skip,
}

/// What clean and serial runs showed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct Baseline {
    /// Errors that statements of the clean run met, and of the serial runs, each once.
    pub errors: Vec<KnownError>,
    /// The lines of the clean run's standard output that begin with `✓`.
    pub check_lines: Vec<String>,
    /// The same lines of each later pod of the serial runs, where they are others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub later_check_lines: Vec<Vec<String>>,
    /// The tables that the clean run wrote, as `schema.table`.
    pub written: Vec<String>,
    /// The pods that write some table in the serial run of all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub writers: Vec<PodName>,
    /// The longest time between an answer and the same connection's next request, in microseconds.
    pub max_gap_us: u64,
    /// The most requests that a pod had open at once.
    pub max_open_requests: u32,
    /// How many steps the clean run had.
    pub steps: u32,
    /// Final states of serial runs of 1, 2, … pods, in the order of their names; digests leave out what
    /// `left_out` names.
    pub serial: Vec<FinalState>,
    /// What digests leave out: what the scenario ignores, and what serial runs of a alone and of b alone
    /// differ in.
    #[serde(default)]
    pub left_out: LeftOut,
    /// The tables that had rows in some serial run, and all their columns were left out, so that their
    /// digests tell the number of rows only.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub only_counted: BTreeSet<String>,
    /// Steps that differed between two clean runs, as normal forms; empty: deterministic.
    pub unstable_steps: Vec<String>,
    /// Tables that the clean run locked by name, but not around all that clean and serial runs wrote: no
    /// lock that the job guards itself with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passing_locks: Vec<LockKey>,
    /// The calls by which the clean run was granted advisory locks: where a key is another one in every
    /// run, as one made of the database's name is, its call tells which lock it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lock_calls: Vec<KeyedCall>,
}

/// A call that was granted an advisory lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyedCall {
    /// The normal forms of its step's statements.
    pub statement: Vec<String>,
    /// How many steps of the same form its pod had taken locks by before.
    pub place: u32,
    /// The key, the database left aside.
    pub key: LockKey,
}

impl Baseline {
    /// Whether a clean or serial run shows this error.
    #[must_use]
    pub fn shows(&self, error: &KnownError) -> bool {
        self.errors.iter().any(|one| one.is_same(error))
    }
}

/// An error of a clean or serial run, as far as another run can meet the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct KnownError {
    /// The SQLSTATE.
    pub sqlstate: String,
    /// The normal form of the statement, of several in one request all; none: outside any statement, a
    /// connection refused or a session ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement: Option<String>,
    /// The table that it names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// The constraint that it names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub constraint: Option<String>,
    /// The statement without names that the job makes up anew in each run, where it has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nameless: Option<String>,
}

impl KnownError {
    /// Whether both are one error. Where one says no table or constraint, it is not compared: the wire may
    /// leave out what the server's log tells.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let agree = |one: &Option<String>, other: &Option<String>| {
            one.is_none() || other.is_none() || one == other
        };
        self.sqlstate == other.sqlstate
            && match (&self.nameless, &other.nameless) {
                (Some(one), Some(other)) => one == other,
                _ => self.statement == other.statement && agree(&self.table, &other.table),
            }
            && agree(&self.constraint, &other.constraint)
    }
}

/// The rows of a database at the end of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct FinalState {
    /// Each table, as `schema.table`.
    pub tables: BTreeMap<String, TableState>,
}

/// The rows of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct TableState {
    /// How many.
    pub rows: u64,
    /// A digest of all rows, in no order, over the columns that are compared.
    pub digest: String,
    /// Indexes that the server does not use (`not indisvalid`): what is left of a `CREATE INDEX
    /// CONCURRENTLY` that failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub invalid_indexes: Vec<String>,
}

/// A serial run, and what it left in the tables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SerialRun {
    /// Its pods, in the order in which they ran.
    pub pods: Vec<PodName>,
    /// When it was made, and how.
    pub made: Made,
    /// What it left.
    pub state: Snapshot,
}

/// When a serial run was made, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Made {
    /// At the start, before any other run.
    First,
    /// Under other circumstances on purpose: sequences start elsewhere, pods are held in their middle.
    Elsewhere,
    /// Anew, because a difference was about to be told.
    Anew,
}
