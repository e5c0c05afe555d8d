//! IN WHAT ORDER: turns, stops and faults as data.
//!
//! Owns the thing that is searched, shrunk, saved and replayed. Pure; knows nothing of how a turn
//! is driven or a fault applied, and nothing of TOML.

mod fault;
mod pattern;
mod permitted;
mod turn;

pub use fault::*;
pub use pattern::*;
pub use permitted::*;
pub use turn::*;
