//! WHO: spawn, signals, output lines, settling.
//!
//! Owns the processes of a pod from their start to their reaping, what they print, and the answer
//! to "does the pod still have something to say?". Knows no Postgres, no wire and no SQL.

mod awaits;
mod diag;
mod entering;
mod error;
mod exits;
mod family;
mod group;
mod isolation;
mod lines;
mod marker;
mod node;
mod proc;
mod process;
mod program;
mod pump;
mod settle;
mod shared;
mod syscalls;
mod ticker;
mod wait;
mod watch;

pub use entering::{WORD as ENTER, enter};
pub use error::PodError;
pub use isolation::Isolation;
pub use marker::{MARKER, kill_by_marker};
pub use node::Node;
pub use process::{Pod, Termination};
pub use program::Program;
pub use pump::PodEvent;
pub use settle::{Quiet, SettleLimits, Settled, Settler};
