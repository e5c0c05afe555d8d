//! A limit of a verdict: something that a run did not test.
//!
//! Owns the values. Which of them a run has is the business of `limits`; how one is told, of `report`.

use serde::{Deserialize, Serialize};

use crate::history::{PoolMode, WaitsFor};
use crate::name::{InvariantName, LockKey, PodName};
use crate::state::Reason;

/// Something that a run did not test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "limit", rename_all = "kebab-case")]
pub enum Limit {
    /// One request cycle was run at a time: no race inside a statement was.
    OneCycle,
    /// The same, but that steps were stopped in their middle, at one point each.
    StoppedInside {
        /// How many steps.
        steps: usize,
    },
    /// One order of steps was run.
    OneOrder,
    /// Steps were let go together: the server chose their order.
    Together,
    /// The run was in real time: its order was left to chance.
    RealTime,
    /// The pooler chose which session serves a step.
    PoolersChoice {
        /// What the pooler calls itself.
        version: String,
        /// How it pools.
        mode: PoolMode,
    },
    /// Of steps it is not known which session served them.
    UnknownSessions {
        /// How many steps.
        steps: usize,
    },
    /// The CronJob's clock was the schedule's.
    SchedulesClock,
    /// The text of steps does not tell what they write or lock.
    Opaque {
        /// How many steps.
        steps: usize,
        /// Whether the witness told what was written.
        witness: bool,
    },
    /// Settling was assumed.
    SettlingAssumed {
        /// How often.
        times: u64,
        /// What the pods reach outside.
        leaves: Vec<String>,
    },
    /// A pod did not come to rest.
    Restless {
        /// How often.
        times: u64,
    },
    /// The pods' processes could not be looked at: waits outside the server were not seen.
    WaitsUnseen,
    /// A pod waited outside the server for held ones, and those went on first.
    MadeWay {
        /// The pod.
        pod: PodName,
        /// What it waited for.
        waits_for: WaitsFor,
    },
    /// An invariant was not judged.
    NotJudged {
        /// Which one.
        invariant: InvariantName,
        /// Why, in a sentence.
        why: String,
    },
    /// Columns of the final rows were not compared.
    ColumnsNotCompared {
        /// Which, as `table.column`.
        columns: Vec<String>,
        /// Why.
        reason: Reason,
    },
    /// Columns were compared by themselves, not with the rest of their rows.
    ComparedAlone {
        /// Which, as `table.column`.
        columns: Vec<String>,
    },
    /// Ids from sequences may be others than in a serial run: their order was not compared.
    IdsRenamed {
        /// Which columns, as `table.column`.
        columns: Vec<String>,
    },
    /// Serial runs leave open to which rows these refer.
    ReferencesNotFollowed {
        /// Which columns, as `table.column`.
        columns: Vec<String>,
    },
    /// Of these tables only the number of rows was compared.
    OnlyCounted {
        /// Which.
        tables: Vec<String>,
    },
    /// Of these tables, which are too large, each column was compared by itself.
    ByColumn {
        /// Which.
        tables: Vec<String>,
    },
    /// Of these tables not even the number of rows was compared.
    TablesNotCompared {
        /// Which.
        tables: Vec<String>,
        /// Why.
        reason: Reason,
    },
    /// There was no witness.
    NoWitness,
    /// The server's log could not be read.
    NoLog,
    /// In free pacing, the locks at a write are those at its end.
    LocksAtTheEnd,
    /// The clean run locked a table by name, but not around all that it wrote: that is no lock with which
    /// it guards itself.
    PassingLock {
        /// The lock.
        lock: LockKey,
    },
    /// Clean and serial runs write these tables outside of the lock only: whether they did so in another pod's section
    /// was not judged.
    OutsideTheLock {
        /// Which.
        tables: Vec<String>,
    },
    /// Each of several locks protects tables of its own, and none of them these: who wrote them under which lock was
    /// not judged.
    NoLockFor {
        /// Which.
        tables: Vec<String>,
    },
    /// Pods went, or wanted to go, to another database of the server.
    OtherDatabase {
        /// Which.
        database: String,
        /// Whether they were refused.
        refused: bool,
    },
    /// Pods asked for replication.
    Replication {
        /// Whether they were refused.
        refused: bool,
    },
    /// No lock of the database was seen, and pods share this machine.
    SharedMachine {
        /// Whether they share its name, too.
        name: bool,
    },
    /// No pod asked for the lock while another held it.
    NoContention,
    /// No table is protected.
    NothingProtected,
    /// No-errors looked for these SQLSTATEs only.
    OnlySqlstates {
        /// Which.
        sqlstates: Vec<String>,
    },
    /// Steps differed between two clean runs.
    Unstable {
        /// How many.
        steps: usize,
    },
}

impl Limit {
    /// Whether every run in controlled pacing has it.
    #[must_use]
    pub fn is_of_every_controlled_run(&self) -> bool {
        matches!(self, Self::OneCycle | Self::OneOrder)
    }
}
