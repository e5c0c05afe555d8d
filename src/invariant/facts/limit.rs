//! The limit that a run hit, if it hit one.
//!
//! Owns how it is told. Knows nothing of what it does to a verdict.

use super::words::millis;
use crate::history::{Event, Line};

/// A limit that was hit.
#[derive(Debug)]
pub(crate) struct LimitFacts<'a> {
    /// From this line on the harness stops the pods: what follows is not their doing.
    pub seq: u64,
    waited_for: &'a str,
    saw: &'a str,
    limit_us: u64,
}

impl LimitFacts<'_> {
    /// `the limit of 30000 ms was hit while waiting for the end of pod b; seen instead: …`.
    pub fn words(&self) -> String {
        let limit = match self.limit_us {
            0 => "the cap on steps".to_owned(),
            us => format!("the limit of {}", millis(us)),
        };
        format!(
            "{limit} was hit while waiting for {}; seen instead: {}",
            self.waited_for, self.saw
        )
    }
}

/// All limits that were hit.
pub(crate) fn limits(lines: &[Line]) -> Vec<LimitFacts<'_>> {
    lines
        .iter()
        .filter_map(|line| match &line.event {
            Event::LimitHit {
                waited_for,
                saw,
                limit_us,
            } => Some(LimitFacts {
                seq: line.seq,
                waited_for,
                saw,
                limit_us: *limit_us,
            }),
            _ => None,
        })
        .collect()
}
