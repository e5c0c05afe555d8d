//! The pure part of lockproof: what a scenario is, what a history tells, and the verdict over it.
//!
//! Owns everything that is a function of its arguments. It has no sockets, no processes and no runtime (tokio is
//! not among its dependencies, so the compiler keeps the rule), and it is tested without a server.
//! The rooms are listed in `DESIGN.md`, section 3; the crate `lockproof` passes them on.

pub mod cronjob;
#[doc(hidden)]
pub mod edits;
pub mod history;
pub mod invariant;
pub mod ledger;
pub mod name;
pub mod operation;
pub mod scenario;
pub mod schedule;
pub mod sql;
pub mod state;
pub mod timeline;
