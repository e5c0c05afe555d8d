//! A scenario file as it stands: every key it may have, with its type and its place.
//!
//! Owns the keys and their descriptions, which become the JSON schema. A key that is not here is an
//! error. Whether a value is possible is decided elsewhere.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;

use super::fault_file::{ExpireFile, FaultFile};
use super::lock_file::LocksFile;
use super::server_file::ServerFile;
use crate::history::{OnContention, Release};

/// A scenario for lockproof: what to test, in what order, and what must come of it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "lockproof scenario")]
pub(super) struct File {
    /// What the scenario shows, in one line.
    #[schemars(with = "String")]
    pub(super) title: Spanned<String>,
    /// Words to choose scenarios by (`lockproof run --tag`).
    #[serde(default)]
    pub(super) tags: Vec<String>,
    /// What is tested.
    #[schemars(with = "SubjectFile")]
    pub(super) subject: Spanned<SubjectFile>,
    /// How many copies of it.
    #[serde(default)]
    pub(super) pods: PodsFile,
    /// What stands around the server; left out, nothing.
    #[serde(default)]
    pub(super) server: ServerFile,
    /// The CronJob whose controller starts the pods; left out, the schedule does.
    #[schemars(with = "Option<CronJobFile>")]
    pub(super) cronjob: Option<Spanned<CronJobFile>>,
    /// In what order; left out, the pods run one after the other.
    #[serde(default)]
    pub(super) schedule: ScheduleFile,
    /// What must come of it; left out, every invariant must hold.
    #[serde(default)]
    pub(super) expect: ExpectFile,
    /// What a search (`lockproof explore --scenario`) may do to it.
    #[serde(default)]
    pub(super) search: SearchFile,
    /// How its runs are told and kept.
    #[serde(default)]
    pub(super) output: OutputFile,
}

/// How runs are told and kept.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table such as { redact = true }")]
pub(super) struct OutputFile {
    /// Whether constants, rows and what the job prints are replaced by placeholders of their type in all that is
    /// printed and kept, equal values by equal ones (default: false).
    #[serde(default)]
    pub(super) redact: bool,
}

/// What is tested: either `seeder` or `command`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a table with the key `command` or `seeder`"
)]
pub(super) struct SubjectFile {
    /// The built-in job.
    #[schemars(with = "Option<SeederFile>")]
    pub(super) seeder: Option<Spanned<SeederFile>>,
    /// A program and its arguments, looked for in PATH, or from `dir` where it is a path. A subject has either
    /// this or `seeder`.
    #[schemars(with = "Option<Vec<String>>", length(min = 1))]
    pub(super) command: Option<Spanned<Vec<String>>>,
    /// SQL that makes the tables; relative to the scenario file. Left out, the database is empty.
    #[schemars(with = "Option<String>")]
    pub(super) schema: Option<Spanned<PathBuf>>,
    /// A command that prepares the template database after the schema: a line for `sh -c`, or a program and
    /// its arguments.
    #[schemars(with = "Option<PrepareFile>")]
    pub(super) prepare: Option<Spanned<PrepareFile>>,
    /// Where the command and `prepare` are started; relative to the scenario file. Left out, the folder of
    /// that file; or where lockproof is started, if the files that the command names are found from there alone.
    #[schemars(with = "Option<String>")]
    pub(super) dir: Option<Spanned<PathBuf>>,
    /// The name of every run's database, for jobs that look at it (default: lockproof). Not on an external
    /// server.
    #[schemars(with = "Option<String>", length(min = 1, max = 63))]
    pub(super) database: Option<Spanned<String>>,
    /// Further environment variables of every pod. `{url}`, `{host}`, `{port}`, `{user}`, `{password}`, `{database}`,
    /// `{socket}` and `{ca}` in a value are filled in; `PGHOST = "{socket}"` lets pods come by a Unix socket.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub(super) env: BTreeMap<Spanned<String>, String>,
    /// The protected tables; left out, every table that the clean run writes.
    #[schemars(with = "Option<Vec<String>>", length(min = 1))]
    pub(super) protect: Option<Spanned<Vec<Spanned<String>>>>,
    /// Tables and columns of which the final rows are not compared: `table`, `table.column`, with the schema
    /// in front where it is not public. They are told under *not tested*.
    #[schemars(with = "Option<Vec<String>>", length(min = 1))]
    pub(super) ignore: Option<Spanned<Vec<Spanned<String>>>>,
    /// The lock that must guard them. Left out: whatever advisory lock the clean run takes, and a table that it
    /// locks by name around all that it writes; where there is none, the three lock invariants are not judged.
    /// Several stand in brackets: a write needs each that names its table by `protect`, or names none.
    #[schemars(with = "Option<LocksFile>")]
    pub(super) lock: Option<Spanned<LocksFile>>,
    /// How a lock grant may end. `unlock`: by an unlock on its session. `process`: also with its session, if the
    /// pod's process ended by itself, with success, after its last protected write had committed. `any`: also by
    /// any end of the session. Default: `process`; with `seeder`, `unlock`.
    pub(super) release: Option<Release>,
    /// What a pod does that finds the lock taken: it waits (`wait`, the default), or it leaves (`skip`): it asked,
    /// and its own try, NOWAIT or timeout was answered that the lock is taken.
    pub(super) on_contention: Option<OnContention>,
    /// Errors that are the lock's answer: no failure of the pod that meets one. Left out, those that the
    /// wire shows to be one.
    #[schemars(with = "Option<Vec<AnswerFile>>", length(min = 1))]
    pub(super) answers: Option<Spanned<Vec<AnswerFile>>>,
    /// Where the job believes its server to be, `host` or `host:port` each, for a job that does not look at
    /// DATABASE_URL: each pod gets a network of its own in which these lead to lockproof, and nothing else is.
    #[schemars(with = "Option<Vec<String>>", length(min = 1))]
    pub(super) isolate: Option<Spanned<Vec<Spanned<String>>>>,
    /// How long a run may take, such as "2m". Left out, ten times as long as the clean run, at least 30 s; the
    /// clean run itself may take ten minutes.
    #[schemars(with = "Option<String>")]
    pub(super) time_limit: Option<Spanned<String>>,
    /// Whether triggers in the run's database watch every write (default: true).
    pub(super) witness: Option<bool>,
}

/// What the built-in subject is told.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a table such as { lock = \"session\", profile = \"tiny\" }"
)]
pub(super) struct SeederFile {
    /// How it locks (default: session).
    #[schemars(with = "Option<String>", extend("enum" = super::model::SEEDER_LOCKS))]
    pub(super) lock: Option<Spanned<String>>,
    /// How much it seeds (default: tiny).
    #[schemars(with = "Option<String>", extend("enum" = super::model::SEEDER_PROFILES))]
    pub(super) profile: Option<Spanned<String>>,
    /// Whether it first drops and creates the schema.
    #[serde(default)]
    pub(super) reset: bool,
    /// Whether it seeds the known users only.
    #[serde(default)]
    pub(super) known_users: bool,
    /// Where its random draws start.
    pub(super) seed: Option<u64>,
    /// How long its process stays where its pool lives on, such as "300ms".
    #[schemars(with = "Option<String>")]
    pub(super) linger: Option<Spanned<String>>,
}

/// A command that prepares the template database.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "expected a line for the shell, or a list of a program and its arguments"
)]
pub(super) enum PrepareFile {
    /// A line for `sh -c`.
    Shell(String),
    /// A program and its arguments.
    Command(Vec<String>),
}

/// An error that is the lock's answer, such as `{ sqlstate = "23505", constraint = "job_lock_pkey" }`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a table such as { sqlstate = \"23505\", constraint = \"job_lock_pkey\" }"
)]
pub(super) struct AnswerFile {
    /// Its SQLSTATE.
    #[schemars(with = "String")]
    pub(super) sqlstate: Spanned<String>,
    /// The constraint that it names; left out, any.
    #[schemars(with = "Option<String>")]
    pub(super) constraint: Option<Spanned<String>>,
    /// The table that it names; left out, any.
    #[schemars(with = "Option<String>")]
    pub(super) table: Option<Spanned<String>>,
}

/// How many copies of the subject.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table such as { count = 2 }")]
pub(super) struct PodsFile {
    /// How many (default: 2). They are called a, b, c, … With a CronJob: the most that its controller
    /// may create.
    #[schemars(with = "Option<u8>", range(min = 1, max = 26))]
    pub(super) count: Option<Spanned<i64>>,
    /// Whether one more runs after all others have ended (default: false).
    #[serde(default)]
    pub(super) recovery: bool,
}

/// A CronJob: when its Jobs are made, and what becomes of those that still run. Its clock begins on a
/// Monday, the first of January, at midnight, and goes on only as the schedule says.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a table such as { schedule = \"*/10 * * * *\" }"
)]
pub(super) struct CronJobFile {
    /// When a Job is made: minute, hour, day, month, weekday, or `@hourly` and the like; in UTC.
    #[schemars(with = "String")]
    pub(super) schedule: Spanned<String>,
    /// `concurrencyPolicy`: what becomes of the CronJob's own Jobs that still run then (default:
    /// Allow).
    #[schemars(with = "Option<String>", extend("enum" = crate::cronjob::Policy::NAMES))]
    pub(super) policy: Option<Spanned<String>>,
    /// `terminationGracePeriodSeconds`: from SIGTERM to SIGKILL (default: 30s).
    #[schemars(with = "Option<String>")]
    pub(super) grace: Option<Spanned<String>>,
    /// `startingDeadlineSeconds`: how late a Job may still be made (default: however late).
    #[schemars(with = "Option<String>")]
    pub(super) starting_deadline: Option<Spanned<String>>,
    /// `backoffLimit`: how many failed pods of a Job are tried again (default: 6).
    #[schemars(with = "Option<u32>")]
    pub(super) backoff_limit: Option<Spanned<i64>>,
    /// Whether the job's first process is PID 1 of its container, on which a signal without a handler
    /// has no effect (default: true).
    pub(super) pid1: Option<bool>,
}

/// In what order: `turns`, where the harness releases every step, or `free`, in real time.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a table with the key `turns` or `free`"
)]
pub(super) struct ScheduleFile {
    /// Turns and faults, one after the other; then every pod runs to its end.
    #[schemars(with = "Option<Vec<MoveFile>>")]
    pub(super) turns: Option<Vec<Spanned<MoveFile>>>,
    /// Real time.
    #[schemars(with = "Option<FreeFile>")]
    pub(super) free: Option<Spanned<FreeFile>>,
}

/// `{ run = "a", until = … }`, `{ together = ["a", "b"] }` or `{ fault = … }`; where the lock is a row
/// also `{ expire = "lock" }`, and where there is a CronJob `{ tick = true }`, `{ advance = "10s" }` or `{ manual = true }`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table such as { run = \"a\" }")]
pub(super) struct MoveFile {
    /// Let this pod run, step by step.
    #[schemars(with = "Option<String>")]
    pub(super) run: Option<Spanned<String>>,
    /// Until when; left out, to its end.
    #[schemars(with = "Option<StopFile>")]
    pub(super) until: Option<Spanned<StopFile>>,
    /// Release the next steps of these pods at the same moment.
    #[schemars(with = "Option<Vec<String>>", length(min = 2))]
    pub(super) together: Option<Spanned<Vec<Spanned<String>>>>,
    /// Do something to a pod, a session, a link or the server.
    #[schemars(with = "Option<FaultFile>")]
    pub(super) fault: Option<Spanned<FaultFile>>,
    /// Time passes for the lock row: `"lock"` until just behind its end, or `{ by = "10s" }`. The same as the fault
    /// `expire`.
    #[schemars(with = "Option<ExpireFile>")]
    pub(super) expire: Option<Spanned<ExpireFile>>,
    /// The CronJob's clock goes on to the next time of its schedule.
    #[schemars(with = "Option<bool>", extend("const" = true))]
    pub(super) tick: Option<Spanned<bool>>,
    /// It goes on by so much.
    #[schemars(with = "Option<String>")]
    pub(super) advance: Option<Spanned<String>>,
    /// Someone makes a Job of the CronJob by hand.
    #[schemars(with = "Option<bool>", extend("const" = true))]
    pub(super) manual: Option<Spanned<bool>>,
}

/// When a turn ends: one of `before`, `after`, `inside` (each perhaps with `nth`), `steps`, `blocked`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a table such as { before = \"insert into t\" }"
)]
pub(super) struct StopFile {
    /// The turn ends when a step whose SQL begins so (or, between slashes, matches so) is at the gate.
    #[schemars(with = "Option<String>")]
    pub(super) before: Option<Spanned<String>>,
    /// The turn ends when such a step has ended, with success or with an error.
    #[schemars(with = "Option<String>")]
    pub(super) after: Option<Spanned<String>>,
    /// The turn ends when such a step stands in its middle: before the first statement in it that writes to the
    /// table `at`, or behind the `row`-th row that it writes there. It stands there until the pod's next turn.
    #[schemars(with = "Option<String>")]
    pub(super) inside: Option<Spanned<String>>,
    /// With `inside`: the table, with or without its schema.
    #[schemars(with = "Option<String>")]
    pub(super) at: Option<Spanned<String>>,
    /// With `inside`: behind which row that the step writes to the table, from 1.
    #[schemars(with = "Option<u32>", range(min = 1, max = 10000))]
    pub(super) row: Option<Spanned<i64>>,
    /// Which of the matching steps of this turn, from 1.
    #[schemars(with = "Option<u32>", range(min = 1))]
    pub(super) nth: Option<Spanned<i64>>,
    /// With `before` or `after`: only steps that prepare such a statement (Parse, Describe, Bind or Close
    /// whose answer the client waits for) are meant. Without it, none of them is.
    #[schemars(with = "Option<bool>", extend("const" = true))]
    pub(super) prepare: Option<Spanned<bool>>,
    /// The turn ends after this many steps; those that only prepare are not counted.
    #[schemars(with = "Option<u32>", range(min = 1))]
    pub(super) steps: Option<Spanned<i64>>,
    /// The turn ends when all that the pod can do is wait for a lock.
    #[schemars(with = "Option<bool>", extend("const" = true))]
    pub(super) blocked: Option<Spanned<bool>>,
}

/// Pods in real time.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a table such as { stagger = [\"0ms\", \"3s\"] }"
)]
pub(super) struct FreeFile {
    /// Each pod but the first starts a random time after the one before it, between these two
    /// (default: all at once).
    #[schemars(with = "Option<[String; 2]>")]
    pub(super) stagger: Option<Spanned<[Spanned<String>; 2]>>,
    /// Where the random times start (default: 0).
    #[serde(default)]
    pub(super) seed: u64,
    /// Faults, each `at` a time since the run began.
    #[serde(default)]
    #[schemars(with = "Vec<FaultFile>")]
    pub(super) faults: Vec<Spanned<FaultFile>>,
}

/// What a search may do to the subject.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a table such as { faults = [\"kill\"] }"
)]
pub(super) struct SearchFile {
    /// The faults that it may do, by their names; left out, all that it knows. (An error after a step, or
    /// in doubt of one, may end its session: it is done where `terminate-backend` is listed, too.)
    #[schemars(schema_with = "super::read_search::fault_names")]
    pub(super) faults: Option<Vec<Spanned<String>>>,
}

/// What must come of it.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a table such as { violates = [\"no-errors\"] }"
)]
pub(super) struct ExpectFile {
    /// The verdict; left out, `violated` where `violates` names an invariant, else `holds`.
    #[schemars(with = "Option<super::names::ExpectedVerdict>")]
    pub(super) verdict: Option<Spanned<String>>,
    /// The invariants that must be violated, all of them (`progress` may be left out where it follows from an
    /// expected error). Left out, all must hold.
    #[serde(default)]
    #[schemars(with = "Vec<crate::name::InvariantName>")]
    pub(super) violates: Vec<Spanned<String>>,
    /// Further invariants that may be violated, or not.
    #[serde(default)]
    #[schemars(with = "Vec<crate::name::InvariantName>")]
    pub(super) may_violate: Vec<Spanned<String>>,
    /// The SQLSTATE that must come.
    #[schemars(with = "Option<String>", regex(pattern = r"^[0-9A-Z]{5}$"))]
    pub(super) sqlstate: Option<Spanned<String>>,
    /// The constraint that its error must name.
    #[schemars(with = "Option<String>")]
    pub(super) constraint: Option<Spanned<String>>,
    /// The table that its error must name.
    #[schemars(with = "Option<String>")]
    pub(super) table: Option<Spanned<String>>,
    /// The only SQLSTATEs that no-errors looks for, and honest-exit among errors.
    #[schemars(with = "Option<Vec<String>>", length(min = 1))]
    pub(super) only_sqlstates: Option<Spanned<Vec<Spanned<String>>>>,
    /// Guards that must come true, besides those that always apply.
    #[serde(default)]
    #[schemars(with = "Vec<super::names::DemandedGuard>")]
    pub(super) guards: Vec<Spanned<String>>,
}
