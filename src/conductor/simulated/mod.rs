//! A simulated world, for tests: pods as lists of steps over shared variables and locks.
//!
//! Owns the model of the server and of the pods, and how the conductor acts on it. What the conductor decides is
//! its own: no rule of it stands here. A run takes microseconds, and what comes out is a history.

mod act;
mod model;
mod op;
mod world;

pub use act::Act;
pub use model::Model;
pub use op::{Op, op};
pub use world::{LOCK_ROW, Ran, Simulated, block_on, orders, run, run_with};
