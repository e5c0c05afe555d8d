//! lockproof proves, or breaks, the lock around a Postgres job.
//!
//! It starts the job several times against a disposable Postgres, decides itself in which order
//! the copies' statements reach the server, and says from the server's own evidence whether the
//! lock held. Most people use the command `lockproof` and scenario files (README.md). This page is
//! about the same thing from inside `cargo test`.
//!
//! # A scenario is a value
//!
//! A *subject* is the command under test; a *pod* is one running copy of it. A *schedule* is a list of
//! *turns*: each lets one pod run, step by step, until a stop. Here a is held before the statement
//! that needs what it has inserted, and b comes in and truncates:
//!
//! ```
//! use lockproof::name::PodName;
//! use lockproof::scenario::{self, LockName, Program, Scenario};
//! use lockproof::schedule::{Move, Schedule, SqlPattern, Stop, Turn};
//!
//! let (a, b) = (PodName::of_index(0), PodName::of_index(1));
//! let turn = |pod: &PodName, until| Move::Turn(Turn { pod: pod.clone(), until });
//!
//! let job = Program::Command(vec!["sh".into(), "refill.sh".into()]);
//! let mut scenario = Scenario::new("Two refills overlap", job);
//! scenario.subject.lock = Some(LockName::Key(4711));
//! scenario.schedule = Schedule::Controlled(vec![
//!     turn(&a, Stop::Before { sql: SqlPattern::new("insert into price")?, nth: 1 }),
//!     turn(&b, Stop::After { sql: SqlPattern::new("truncate")?, nth: 1 }),
//!     turn(&a, Stop::End),
//! ]);
//!
//! // What a file says and what code says is the same.
//! let text = scenario.to_toml();
//! assert!(text.contains(r#"{ run = "a", until = { before = "insert into price" } }"#));
//! assert_eq!(scenario::parse(&text, "refill.toml".as_ref())?, scenario);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # From a scenario to its verdict
//!
//! A test takes a [`server`], builds a [`search::Stage`] (the template databases), prepares a
//! [`search::Trial`] (clean and serial runs: what the job does undisturbed) and runs it. What comes
//! back is an [`invariant::Verdict`] with its evidence, and the reasons why it is not as the scenario
//! expects. This needs a Docker engine or PostgreSQL binaries, so it is only compiled here:
//!
//! ```no_run
//! use lockproof::scenario;
//! use lockproof::search::{Job, Stage, Trial};
//! use lockproof::server::{Server, ServerChoice, ServerOptions};
//!
//! async fn the_refill_is_locked() -> Result<(), Box<dyn std::error::Error>> {
//!     let scenario = scenario::load("tests/refill.toml".as_ref())?;
//!     let server = Server::acquire(&ServerOptions::of(ServerChoice::Auto)).await?;
//!     println!("server: {}", server.facts().description);
//!
//!     let job = Job {
//!         program: lockproof::pod::Program {
//!             argv: vec!["sh".into(), "refill.sh".into()],
//!             env: Vec::new(),
//!             dir: None,
//!         },
//!         text: "sh refill.sh".into(),
//!         schema: Some(("schema.sql".into(), std::fs::read_to_string("schema.sql")?)),
//!         prepare: None,
//!         database: None,
//!     };
//!     let stage = Stage::build(&server, &job).await?;
//!     let trial = Trial::prepare(&stage, &scenario, &job, None).await?;
//!     let outcome = trial.run(None).await?;
//!     stage.strike().await?;
//!     server.release().await?;
//!
//!     let verdict = &outcome.verdict;
//!     assert!(
//!         outcome.unexpected.is_empty(),
//!         "{}\n{}",
//!         outcome.unexpected.join("\n"),
//!         lockproof::report::verdict_block(verdict, true),
//!     );
//!     Ok(())
//! }
//!
//! // In a test: #[tokio::test(flavor = "current_thread")]
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(the_refill_is_locked())
//! # ; Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Use a current-thread runtime: the conductor takes in reports and decides in one thread.
//! `Server::release` stops the server if nobody else uses it; a test that panics before it leaves
//! that to the keeper and the guardian. Both are the `lockproof` binary, started again: from another
//! crate, build or install it and name it in `LOCKPROOF_BIN`.
//!
//! # Judging what is stored
//!
//! The verdict is a pure function of the history. [`history::read`] and [`invariant::judge`] need no
//! server and no clock:
//!
//! ```no_run
//! let history = lockproof::history::read("lockproof-out/reproduce/history.jsonl".as_ref())?;
//! let verdict = lockproof::invariant::judge(&history)?;
//! println!("{}", verdict.judgement);
//! for name in verdict.violated() {
//!     println!("violated: {name}");
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The rooms
//!
//! | room | question |
//! |---|---|
//! | [`cli`] | what each command prints, and its exit code |
//! | [`report`] | how a run and a verdict are shown |
//! | [`search`] | the loops over runs: trial, replay, stress |
//! | [`run`] | the conductor: drives pods through the gate, writes the history |
//! | [`fault`] | what each fault explains |
//! | [`evidence`] | what the server says |
//! | [`wire`] | the proxy of a pod and its gate |
//! | [`pod`] | processes, output, settling |
//! | [`server`] | where it runs, and clearing up |
//! | [`invariant`] | what must hold |
//! | [`operation`] | what was asked of locks, as calls and returns |
//! | `ledger` | who held which lock, from when to when |
//! | `timeline` | what a history tells: steps, turns, sessions, pods |
//! | [`scenario`] | what to test |
//! | [`cronjob`] | who starts whom, where a CronJob does |
//! | [`sql`] | what a statement means |
//! | [`history`] | what happened, line by line |
//! | [`schedule`] | in what order |
//! | [`name`] | what things are called |
//!
//! The last nine, `ledger` and `timeline` are those of `lockproof-core`; the built-in subject is the crate `groombook`.

pub mod cli;
pub(crate) mod conductor;
pub mod evidence;
pub mod fault;
pub mod pod;
pub mod report;
pub mod run;
pub mod search;
pub mod server;
pub mod wire;

#[cfg(test)]
pub(crate) use lockproof_core::edits;
pub use lockproof_core::{
    cronjob, history, invariant, name, operation, scenario, schedule, sql, state,
};
pub(crate) use lockproof_core::{ledger, timeline};
