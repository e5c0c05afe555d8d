//! lockproof proves, or breaks, the lock around a Postgres job.
//!
//! It starts the job several times against a disposable Postgres, decides itself in which order
//! the copies' statements reach the server, and says from the server's own evidence whether the
//! lock held. Most people use the command `lockproof` and scenario files (README.md). This page is
//! about the same thing from inside `cargo test`.
#![doc = include_str!("../docs/library.md")]
//!
//! # The rooms
//!
//! | room | question |
//! |---|---|
//! | [`testing`] | a job inside `cargo test`, in five lines |
//! | [`cli`] | what each command prints, and its exit code |
//! | [`report`] | how a run and a verdict are shown |
//! | [`search`] | the loops over runs: trial, replay, stress |
//! | [`run`] | one run: the pods, proxies and server that the conductor acts on |
//! | [`fault`] | the bytes of an injected error |
//! | [`evidence`] | what the server says |
//! | [`wire`] | the proxy of a pod and its gate |
//! | [`pod`] | processes, output, settling |
//! | [`server`] | where it runs, and clearing up |
//! | `conductor` | what happens next |
//! | [`invariant`] | what must hold |
//! | [`operation`] | what was asked of locks, as calls and returns |
//! | `ledger` | who held which lock, from when to when |
//! | `timeline` | what a history tells: steps, turns, sessions, pods |
//! | [`scenario`] | what to test |
//! | [`cronjob`] | who starts whom, where a CronJob does |
//! | [`sql`] | what a statement means |
//! | [`history`] | what happened, line by line |
//! | [`state`] | what is left in the tables |
//! | [`schedule`] | in what order |
//! | [`name`] | what things are called |
//!
//! From [`invariant`] down they are the rooms of the crate `lockproof-core`. The built-in subject is the crate
//! `groombook`.

pub mod cli;
pub(crate) mod conductor;
pub mod evidence;
pub mod fault;
pub mod pod;
pub mod report;
pub mod run;
pub mod search;
pub mod server;
pub mod testing;
pub mod wire;

#[cfg(test)]
pub(crate) use lockproof_core::edits;
pub use lockproof_core::{
    cronjob, history, invariant, name, operation, scenario, schedule, sql, state,
};
pub(crate) use lockproof_core::{ledger, timeline};
