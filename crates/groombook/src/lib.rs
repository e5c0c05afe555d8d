//! The built-in subject: resetting GroomBook's demo data. Knows nothing of the harness.
//!
//! It is the job that made it all necessary, in the shape that made it fail: autocommit, a pool,
//! statements of the same sizes in the same order. [`Options`] say what to do, [`run`] does it and
//! gives the exit code. Which statements a run sends is decided beforehand and purely
//! ([`Script`]); the lock around them is one of [`LockKind`], most of them wrong on purpose. What its log must say is
//! the [`log_contract`].

mod batch;
mod connections;
mod dates;
mod draw;
mod error;
mod guard;
mod invented;
mod job;
mod known_users;
mod lock;
mod lock_kind;
pub mod log_contract;
mod options;
mod output;
mod people;
mod pool;
mod production;
mod profile;
mod rows;
mod schema;
mod script;
mod stop;
mod visits;

pub use error::SeedError;
pub use job::run;
pub use lock_kind::{LOCK_KEY, LockKind, UnknownLockKind};
pub use options::Options;
pub use output::{Collected, Console, Output};
pub use production::looks_like_production;
pub use profile::{Profile, Sizes, UnknownProfile};
pub use schema::{SCHEMA, TABLES, schema_statements};
pub use script::{Act, Script};
