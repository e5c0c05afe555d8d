//! A moment of a run as the page has it.
//!
//! Owns that value.

use serde::Serialize;

use crate::timeline::Moment;

/// A line of the history, and microseconds since the run began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct At(pub u64, pub u64);

impl From<Moment> for At {
    fn from(at: Moment) -> Self {
        Self(at.seq, at.at_us)
    }
}
