//! THE CONDUCTOR: which step is released when, what ends a step, and when a fault has come to its point.
//!
//! Owns the book of steps and every rule over it: turns, endings, blocked chains, polling and waits, the
//! order in which things are written down, the points of faults. It acts on a [`World`] alone (the next
//! report, release, look, settle, apply): `run` makes one of proxies, processes and a server, the tests one of
//! small programs over locks. Knows no socket, no process and no clock: what time it is, the world says.

mod absorb;
mod after_fault;
mod aim;
mod beside;
mod booking;
mod books;
mod chain;
mod choosing;
mod clock;
mod controller;
mod course;
mod ending;
mod faulting;
mod inside;
mod launcher;
mod limit;
mod machine;
mod needing;
mod orders;
mod outside;
mod plain;
mod queueing;
mod quiet;
mod repeats;
mod seen;
#[cfg(test)]
pub(crate) mod simulated;
mod starting;
mod target;
#[cfg(test)]
mod tests;
mod turn;
mod undoing;
mod waiting;
mod world;

pub(crate) use aim::{Aim, FAULT_LIMIT, Outcome, STANDS_STILL};
pub(crate) use books::{Link, Step};
pub(crate) use machine::Conductor;
pub use orders::{LetGo, Silence, Waits};
pub(crate) use orders::{Mistake, Orders};
pub use plain::is_plain;
pub use seen::{Activity, Need, Quiet};
pub(crate) use seen::{Heard, Queue, Report, Rested, Sessions, Started};
pub(crate) use world::World;
