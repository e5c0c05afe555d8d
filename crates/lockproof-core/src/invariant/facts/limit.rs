//! The limit that a run hit, if it hit one, and the error at which it was stopped.
//!
//! Owns how it is told. Knows nothing of what it does to a verdict.

use super::words::millis;
use crate::history::{Event, Line};

/// Why the run came to its end before its pods did.
#[derive(Debug)]
pub(crate) struct LimitFacts {
    /// From this line on the harness stops the pods: what follows is not their doing.
    pub seq: u64,
    words: String,
}

impl LimitFacts {
    /// `the limit of 30000 ms was hit while waiting for the end of pod b; seen instead: …`.
    pub fn words(&self) -> String {
        self.words.clone()
    }
}

/// All limits that were hit.
pub(crate) fn limits(lines: &[Line]) -> Vec<LimitFacts> {
    lines
        .iter()
        .filter_map(|line| {
            let words = match &line.event {
                Event::LimitHit {
                    waited_for,
                    saw,
                    limit_us,
                } => {
                    let limit = match *limit_us {
                        0 => "the cap on steps".to_owned(),
                        us => format!("the limit of {}", millis(us)),
                    };
                    format!("{limit} was hit while waiting for {waited_for}; seen instead: {saw}")
                }
                Event::StoppedEarly { .. } => {
                    "the run was stopped at its first error, to search on".to_owned()
                }
                _ => return None,
            };
            Some(LimitFacts {
                seq: line.seq,
                words,
            })
        })
        .collect()
}
