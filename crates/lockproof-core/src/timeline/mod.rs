//! TIMELINE: the one reader of a history.
//!
//! It reads the lines once and gives every step with its life, the turns with their steps, sessions
//! and connections, pods, and the snapshots of `pg_locks`; and it gives them again in the order of
//! the lines. Whoever asks what a run did asks here: invariants, lock operations, footprints, play,
//! traces, search. Owns the way from lines to these; it borrows from the lines. Pure. Knows nothing of
//! who holds a lock (that is `ledger`) and of what must hold (`invariant`).

mod explicit;
mod moments;
mod pods;
mod reader;
mod sessions;
mod snapshots;
mod spans;
mod steps;
#[cfg(test)]
mod tests;
mod turns;
mod waiting;

pub use moments::Happening;
pub use pods::PodFacts;
pub use reader::Timeline;
pub use sessions::Sessions;
pub use snapshots::Snapshot;
pub use spans::Spans;
pub use steps::{EndingFacts, Moment, StepFacts, by_session, sql_start};
pub use waiting::Waiting;
