//! The facts of a run, derived from its events alone.
//!
//! Owns what follows from the history without any rule: who is behind a session, what a step did,
//! which lock was held from when to when. Knows nothing of what must hold.

mod all;
mod by_connection;
mod commits;
mod errors;
mod explained;
mod faults;
mod grants;
mod holders;
mod ledger;
mod limit;
mod pods;
mod reach;
mod sessions;
mod snapshot;
mod spans;
mod steps;
mod strangers;
mod timers;
mod words;
mod writes;

pub(super) use all::*;
pub(super) use errors::*;
pub(super) use explained::is_loss;
pub(super) use grants::*;
pub(super) use holders::*;
pub(super) use pods::*;
pub(super) use snapshot::Snapshot;
pub(super) use spans::Spans;
pub(super) use steps::*;
pub(super) use timers::Timer;
pub(super) use words::*;
pub(super) use writes::*;
