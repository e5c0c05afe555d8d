//! The trace: what is compared between two runs of the same schedule.
//!
//! Owns what is in it (each ending of each step, in order, with connection, normal form and
//! outcome; driver look-ups, literals and names that a session gives to its own left out) and its hash. A function of the history alone.

use std::collections::HashMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::history::{Ending, Line};
use crate::name::{ConnectionName, StepId};
use crate::sql::SessionNames;
use crate::timeline::{Happening, Timeline};

/// One ending of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceEntry {
    /// The connection.
    pub connection: ConnectionName,
    /// How the step ended; `None`: it never reached the server.
    pub ending: Option<Ending>,
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
            self.connection,
            self.ending_word(),
            self.outcome,
            self.normal
        )
    }
}

impl TraceEntry {
    /// How the step ended, in a word.
    pub(crate) fn ending_word(&self) -> &'static str {
        match self.ending {
            Some(Ending::Done) => "done",
            Some(Ending::Blocked) => "blocked",
            Some(Ending::NeedsPod) => "needs-pod",
            Some(Ending::Inside) => "inside",
            Some(Ending::Gone) => "gone",
            None => "dropped",
        }
    }
}

/// The trace of a history.
#[must_use]
pub fn trace_of(lines: &[Line]) -> Vec<TraceEntry> {
    let mut trace = Vec::new();
    each_entry(lines, |entry| trace.push(entry));
    trace
}

/// The hash over the trace of a history, as 64 hexadecimal digits. The entries are made one at a time.
pub(super) fn trace_hash(lines: &[Line]) -> String {
    let mut hasher = blake3::Hasher::new();
    each_entry(lines, |entry| {
        hasher.update(entry.to_string().as_bytes());
        hasher.update(b"\n");
    });
    hasher.finalize().to_hex().to_string()
}

fn each_entry(lines: &[Line], does: impl FnMut(TraceEntry)) {
    let timeline = Timeline::of(lines);
    // Names that only their own session knows may be random.
    let mut names: HashMap<&ConnectionName, SessionNames> = HashMap::new();
    let mut normals: HashMap<StepId, String> = HashMap::new();
    for step in timeline.steps.values() {
        let own = names.entry(step.connection).or_default();
        let numbered = step.request.normal.iter();
        let numbered: Vec<String> = numbered.map(|one| own.numbered(one)).collect();
        normals.insert(step.id, numbered.join("; "));
    }
    let happened = timeline.happenings().filter_map(|(_, one)| {
        let (step, ending, outcome) = match one {
            Happening::Ended(step, end) => {
                let outcome = match &end.answer.error {
                    Some(error) => error.sqlstate.clone(),
                    None => end.answer.tags.join(", "),
                };
                (step, Some(end.ending), outcome)
            }
            Happening::Dropped(step) => (step, None, String::new()),
            _ => return None,
        };
        (!step.request.look_up).then(|| TraceEntry {
            connection: step.connection.clone(),
            ending,
            normal: normals.get(&step.id).cloned().unwrap_or_default(),
            outcome,
        })
    });
    happened.for_each(does);
}
