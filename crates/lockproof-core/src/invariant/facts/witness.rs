//! What the witness could not see.
//!
//! Owns the way to that line of the history. Knows nothing of what follows from it.

use crate::history::{Event, Line};
use crate::name::ConnectionName;

/// What the witness had lost when the run had ended, and whose sessions had silenced the log.
pub(crate) fn blinded(lines: &[Line]) -> (&[String], &[ConnectionName]) {
    let seen = lines.iter().rev().find_map(|line| match &line.event {
        Event::Witness { lost, silenced } => Some((lost.as_slice(), silenced.as_slice())),
        _ => None,
    });
    seen.unwrap_or_default()
}
