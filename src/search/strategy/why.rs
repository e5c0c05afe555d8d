//! Why a search runs a schedule.
//!
//! Owns the reason as a value. Knows nothing of the words for a schedule.

use crate::schedule::Fault;

/// Why a schedule is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// For this reason, which names no move.
    Words(String),
    /// It is the draw of this number, from 1.
    Draw(u64),
    /// It is the repetition of this number, from 1.
    Repetition(u64),
    /// To see this fault at this step of the first pod, from 1.
    FaultAt {
        /// The step.
        step: u32,
        /// The fault.
        fault: Fault,
        /// Whether the second pod goes on first after it.
        second_first: bool,
    },
}
