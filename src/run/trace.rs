//! The trace: what is compared between two runs of the same schedule.
//!
//! Owns what is in it (each ending of each step, in order, with connection, normal form and
//! outcome; driver look-ups and literals left out) and its hash. A function of the history alone.

use std::collections::HashMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::history::{Ending, Event, Line, Request};
use crate::name::StepId;

/// One ending of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceEntry {
    /// The connection.
    pub connection: String,
    /// How the step ended: `done`, `blocked`, `needs-pod`, `gone`, `dropped`.
    pub ending: String,
    /// Normal forms of its statements.
    pub normal: String,
    /// SQLSTATE of its error, or its command tags.
    pub outcome: String,
}

impl fmt::Display for TraceEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} {} {}",
            self.connection, self.ending, self.outcome, self.normal
        )
    }
}

/// The trace of a history.
#[must_use]
pub fn trace_of(lines: &[Line]) -> Vec<TraceEntry> {
    let mut steps: HashMap<StepId, (String, &Request)> = HashMap::new();
    let mut trace = Vec::new();
    let mut push = |steps: &HashMap<StepId, (String, &Request)>,
                    step: &StepId,
                    ending: &str,
                    outcome: String| {
        let Some((connection, request)) = steps.get(step) else {
            return;
        };
        if !request.look_up {
            trace.push(TraceEntry {
                connection: connection.clone(),
                ending: ending.to_owned(),
                normal: request.normal.join("; "),
                outcome,
            });
        }
    };
    for line in lines {
        match &line.event {
            Event::StepHeld {
                step,
                connection,
                request,
            } => {
                steps.insert(*step, (connection.to_string(), request));
            }
            Event::StepEnded {
                step,
                ending,
                answer,
                ..
            } => {
                let outcome = match &answer.error {
                    Some(error) => error.sqlstate.clone(),
                    None => answer.tags.join(", "),
                };
                let ending = match ending {
                    Ending::Done => "done",
                    Ending::Blocked => "blocked",
                    Ending::NeedsPod => "needs-pod",
                    Ending::Gone => "gone",
                };
                push(&steps, step, ending, outcome);
            }
            Event::StepDropped { step, .. } => push(&steps, step, "dropped", String::new()),
            _ => {}
        }
    }
    trace
}

/// The trace's hash, as 64 hexadecimal digits.
#[must_use]
pub fn trace_hash(trace: &[TraceEntry]) -> String {
    let mut hasher = blake3::Hasher::new();
    for entry in trace {
        hasher.update(entry.to_string().as_bytes());
        hasher.update(b"\n");
    }
    hasher.finalize().to_hex().to_string()
}
