//! The limit that a run hit, if it hit one, and the error at which it was stopped.
//!
//! Owns how it is told. Knows nothing of what it does to a verdict.

use std::collections::BTreeMap;

use super::words::millis;
use crate::history::{Event, Line};
use crate::name::PodName;

/// So many requests after its last error a pod that has not ended goes on.
const GOES_ON: usize = 3;

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

/// A pod whose work has failed, and something of which goes on asking: a heartbeat keeps its process from ending.
fn after_an_error(lines: &[Line], limit: u64) -> String {
    let before = || lines.iter().take_while(|line| line.seq < limit);
    let mut connections = BTreeMap::new();
    let mut failed: BTreeMap<&PodName, (&str, usize)> = BTreeMap::new();
    for line in before() {
        match &line.event {
            Event::StepHeld {
                step, connection, ..
            } => {
                connections.insert(*step, connection);
                if let Some((_, since)) = failed.get_mut(&connection.pod) {
                    *since += 1;
                }
            }
            Event::StepEnded { step, answer, .. } => {
                let error = answer.error.as_ref();
                if let (Some(connection), Some(error)) = (connections.get(step), error) {
                    failed.insert(&connection.pod, (&error.sqlstate, 0));
                }
            }
            Event::PodExited { pod, .. } => {
                failed.remove(pod);
            }
            _ => {}
        }
    }
    let goes_on = failed.iter().filter(|(_, (_, since))| *since >= GOES_ON);
    let words = goes_on.map(|(pod, (sqlstate, since))| {
        format!(
            "; after {sqlstate} pod {pod} has asked {since} times more, without another error, and has not ended: if its \
             work has failed, a thread or a child of it (a heartbeat?) keeps it from ending, as it would in production"
        )
    });
    words.collect()
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
                    let after = after_an_error(lines, line.seq);
                    format!(
                        "{limit} was hit while waiting for {waited_for}; seen instead: {saw}{after}"
                    )
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
