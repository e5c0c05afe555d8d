//! A scenario as a value: subject, pods, schedule, expectation.
//!
//! Owns the defaults. Knows nothing of TOML.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::names::{DemandedGuard, ExpectedVerdict};
use crate::cronjob::CronJob;
use crate::history::{LockRow, NamedError, OnContention, PoolerSettings, Release};
use crate::name::LockKey;
use crate::name::{InvariantName, LockMode, TableName};
use crate::schedule::{PermittedFaults, Schedule};

/// What to test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scenario {
    /// What it shows, in one line.
    pub title: String,
    /// Words to choose scenarios by.
    pub tags: Vec<String>,
    /// What is tested.
    pub subject: Subject,
    /// How many copies of it.
    pub pods: Pods,
    /// What stands around the server.
    pub server: Surroundings,
    /// The CronJob whose controller decides which pods there are; `None`: the schedule does.
    pub cronjob: Option<CronJob>,
    /// In what order, with what faults.
    pub schedule: Schedule,
    /// What must come of it.
    pub expect: Expect,
    /// What a search may do to it.
    pub search: SearchRules,
    /// Whether its data is left out of what is told and kept.
    pub redact: bool,
}

impl Scenario {
    /// Two pods of this program, one after the other, of which every invariant must hold.
    #[must_use]
    pub fn new(title: impl Into<String>, program: Program) -> Self {
        Self {
            title: title.into(),
            tags: Vec::new(),
            subject: Subject::new(program),
            pods: Pods::default(),
            server: Surroundings::default(),
            cronjob: None,
            schedule: Schedule::Controlled(Vec::new()),
            expect: Expect::default(),
            search: SearchRules::default(),
            redact: false,
        }
    }

    /// The same subject and its rules, with no schedule yet: as a search begins.
    #[must_use]
    pub fn for_a_search(&self) -> Self {
        Self {
            tags: Vec::new(),
            schedule: Schedule::Controlled(Vec::new()),
            expect: Expect {
                only_sqlstates: self.expect.only_sqlstates.clone(),
                ..Expect::default()
            },
            ..self.clone()
        }
    }

    /// Whether it must have a server that nobody else uses.
    #[must_use]
    pub fn needs_own_server(&self) -> bool {
        self.why_own_server().is_some()
    }

    /// What in it needs a server that nobody else uses: it asks for one, or something is done to
    /// the server.
    #[must_use]
    pub fn why_own_server(&self) -> Option<&'static str> {
        let fault = self
            .schedule
            .faults()
            .find(|fault| fault.kind.needs_own_server());
        match fault {
            Some(fault) => Some(fault.kind.name()),
            None if self.server.standby => Some("a standby"),
            None => self.server.own.then_some("`own = true`"),
        }
    }
}

/// What is tested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The command under test.
    pub program: Program,
    /// SQL that makes the template database; absolute.
    pub schema: Option<PathBuf>,
    /// A command that prepares the template database.
    pub prepare: Option<Prepare>,
    /// Where the command and `prepare` are started, absolute; `None`: where lockproof is.
    pub dir: Option<PathBuf>,
    /// The name of every run's database; `None`: as lockproof thinks fit.
    pub database: Option<String>,
    /// Further environment variables of every pod.
    pub env: BTreeMap<String, String>,
    /// The protected tables; `None`: every table that the clean run writes.
    pub protect: Option<Vec<String>>,
    /// Tables and columns of which the final rows are not compared: `table` or `table.column`.
    pub ignore: Vec<String>,
    /// The lock that must guard them; `None`: whatever the clean run takes.
    pub lock: Option<LockName>,
    /// How a lock grant may end.
    pub release: Release,
    /// What a pod does that finds the lock taken.
    pub on_contention: OnContention,
    /// Errors that are the lock's answer.
    pub answers: Vec<NamedError>,
    /// Where the job believes its server to be, if it does not look at what it is told.
    pub isolate: Vec<Endpoint>,
    /// How long a run may take; `None`: as the clean run's time suggests.
    pub time_limit: Option<Duration>,
    /// Whether the witness is in the run's database.
    pub witness: bool,
}

impl Subject {
    /// This program, and all else as it is where a file says nothing.
    #[must_use]
    pub fn new(program: Program) -> Self {
        Self {
            release: program.usual_release(),
            program,
            schema: None,
            prepare: None,
            dir: None,
            database: None,
            env: BTreeMap::new(),
            protect: None,
            ignore: Vec::new(),
            lock: None,
            on_contention: OnContention::Wait,
            answers: Vec::new(),
            isolate: Vec::new(),
            time_limit: None,
            witness: true,
        }
    }
}

/// Where a server listens, as a job has it built in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// A name, or the loopback.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// The command under test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    /// The built-in one.
    Seeder(SeederSettings),
    /// A program and its arguments; never empty.
    Command(Vec<String>),
}

impl Program {
    /// How its grants may end where a file says nothing. The built-in job promises an unlock; many others
    /// leave the lock to the end of their process.
    #[must_use]
    pub fn usual_release(&self) -> Release {
        match self {
            Self::Seeder(_) => Release::Unlock,
            Self::Command(_) => Release::Process,
        }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seeder(settings) => settings.fmt(f),
            Self::Command(words) => {
                for (index, word) in words.iter().enumerate() {
                    let gap = if index == 0 { "" } else { " " };
                    let plain = !word.is_empty()
                        && word
                            .chars()
                            .all(|c| c.is_alphanumeric() || "-_./=:,@%+".contains(c));
                    if plain {
                        write!(f, "{gap}{word}")?;
                    } else {
                        write!(f, "{gap}'{}'", word.replace('\'', r"'\''"))?;
                    }
                }
                Ok(())
            }
        }
    }
}

/// The names of the seeder's locks.
pub const SEEDER_LOCKS: [&str; 15] = [
    "session",
    "guarded",
    "whole-job",
    "single",
    "none",
    "pooled",
    "late",
    "early-release",
    "try-ignored",
    "xact",
    "shared",
    "wrong-key",
    "double",
    "no-finally",
    "end-first",
];

/// The names of the seeder's profiles.
pub const SEEDER_PROFILES: [&str; 4] = ["tiny", "dev", "uat", "demo"];

/// What the built-in subject is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeederSettings {
    /// How it locks: one of [`SEEDER_LOCKS`].
    pub lock: String,
    /// How much it seeds: one of [`SEEDER_PROFILES`].
    pub profile: String,
    /// Whether it first drops and creates the schema.
    pub reset: bool,
    /// Whether it seeds the known users only.
    pub known_users: bool,
    /// Where its random draws start; `None`: its own default.
    pub seed: Option<u64>,
    /// How long its process stays where its pool lives on; `None`: its own default.
    pub linger: Option<Duration>,
}

impl Default for SeederSettings {
    fn default() -> Self {
        Self {
            lock: "session".to_owned(),
            profile: "tiny".to_owned(),
            reset: false,
            known_users: false,
            seed: None,
            linger: None,
        }
    }
}

impl SeederSettings {
    /// The arguments that follow `lockproof` on its command line.
    #[must_use]
    pub fn arguments(&self) -> Vec<String> {
        let command = ["groombook", "seed", "--lock", &self.lock];
        let mut arguments: Vec<String> = command.map(str::to_owned).into();
        arguments.extend(["--profile".to_owned(), self.profile.clone()]);
        let flags = [(self.reset, "--reset"), (self.known_users, "--known-users")];
        arguments.extend(
            flags
                .iter()
                .filter(|flag| flag.0)
                .map(|flag| flag.1.to_owned()),
        );
        if let Some(seed) = self.seed {
            arguments.extend(["--seed".to_owned(), seed.to_string()]);
        }
        if let Some(linger) = self.linger {
            arguments.extend(["--linger".to_owned(), linger.as_millis().to_string()]);
        }
        arguments
    }
}

impl fmt::Display for SeederSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lockproof {}", self.arguments().join(" "))
    }
}

/// A command that prepares the template database. It gets the environment of a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prepare {
    /// A line for `sh -c`.
    Shell(String),
    /// A program and its arguments; never empty.
    Command(Vec<String>),
}

/// A lock by its key, by its table, or by its row; the database left aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LockName {
    /// `pg_advisory_lock(bigint)`.
    Key(i64),
    /// `pg_advisory_lock(int, int)`.
    Keys([i32; 2]),
    /// `LOCK TABLE`.
    Relation {
        /// The table.
        table: TableName,
        /// The weakest mode in which it guards; `None`: any that keeps its like out.
        mode: Option<LockMode>,
    },
    /// A row of a table.
    Row(Box<LockRow>),
    /// Rows of this table, which each transaction that works locks.
    Rows(TableName),
    /// None: transactions are serializable.
    Serializable,
    /// Several, or one that does not protect all: a write needs each that protects its table. Never empty, and none
    /// of them several again.
    Several(Vec<ProtectingLock>),
}

/// One of several locks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProtectingLock {
    /// Which one.
    pub lock: LockName,
    /// The tables that it protects; empty: all that are protected.
    pub protect: Vec<String>,
}

impl LockName {
    /// The lock in this database, where `pg_locks` shows it.
    #[must_use]
    pub fn in_database(&self, database: u32) -> Option<LockKey> {
        Some(match self {
            Self::Key(key) => LockKey::bigint(database, *key),
            Self::Keys([first, second]) => LockKey::two_ints(database, *first, *second),
            Self::Relation { table, .. } => LockKey::relation(database, *table),
            Self::Row(_) | Self::Rows(_) | Self::Serializable | Self::Several(_) => return None,
        })
    }

    /// This lock, or each of several.
    pub fn each(&self) -> impl Iterator<Item = &Self> {
        let (one, several) = match self {
            Self::Several(all) => (None, all.as_slice()),
            one => (Some(one), &[][..]),
        };
        let several = several.iter().map(|one| &one.lock);
        one.into_iter().chain(several)
    }

    /// The row, where it is one.
    #[must_use]
    pub fn row(&self) -> Option<&LockRow> {
        match self {
            Self::Row(row) => Some(row),
            _ => None,
        }
    }

    /// The weakest mode in which it guards, where it is said.
    #[must_use]
    pub fn mode(&self) -> Option<LockMode> {
        match self {
            Self::Relation { mode, .. } => *mode,
            _ => None,
        }
    }
}

/// How many copies of the subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pods {
    /// How many, from 1 to [`MOST_PODS`]; with a CronJob, the most that may be created.
    pub count: usize,
    /// Whether one more runs after all others have ended.
    pub recovery: bool,
}

/// The most pods that a scenario can have: one for each letter.
pub const MOST_PODS: usize = 26;

impl Default for Pods {
    fn default() -> Self {
        Self {
            count: 2,
            recovery: false,
        }
    }
}

/// What stands around the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Surroundings {
    /// Whether the server is one that nobody else uses, whatever the schedule asks for.
    pub own: bool,
    /// Whether a streaming standby stands beside it.
    pub standby: bool,
    /// The pooler between the pods and the server, if there is to be one.
    pub pooler: Option<PoolerSettings>,
}

/// The most server connections that a pool can be told to have.
pub const MOST_SERVER_CONNECTIONS: u32 = 1000;

/// What a search may do to the subject. A run of the scenario's own schedule is not touched by it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SearchRules {
    /// The faults that it may do.
    pub faults: PermittedFaults,
}

/// What must come of a scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expect {
    /// The verdict.
    pub verdict: ExpectedVerdict,
    /// The invariants that must be violated.
    pub violates: Vec<InvariantName>,
    /// Further ones that may be violated, or not.
    pub may_violate: Vec<InvariantName>,
    /// The SQLSTATE that must come.
    pub sqlstate: Option<String>,
    /// The constraint that its error must name.
    pub constraint: Option<String>,
    /// The table that its error must name.
    pub table: Option<String>,
    /// If set, the only SQLSTATEs that `no-errors` looks for.
    pub only_sqlstates: Option<Vec<String>>,
    /// Guards that must come true, besides those that always apply.
    pub guards: Vec<DemandedGuard>,
}

impl Default for Expect {
    fn default() -> Self {
        Self {
            verdict: ExpectedVerdict::Holds,
            violates: Vec::new(),
            may_violate: Vec::new(),
            sqlstate: None,
            constraint: None,
            table: None,
            only_sqlstates: None,
            guards: Vec::new(),
        }
    }
}
