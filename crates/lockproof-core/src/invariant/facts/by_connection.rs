//! What is asked of a connection's steps, or of a pod's, again and again.
//!
//! Owns those answers, found in one look at all steps. Knows nothing of what they mean.

use std::collections::{BTreeMap, HashMap};

use crate::name::{ConnectionName, PodName, StepId};
use crate::timeline::StepFacts;

/// Steps by whose they are.
#[derive(Debug, Default)]
pub(crate) struct ByConnection<'a> {
    /// The steps of each connection.
    pub steps: HashMap<&'a ConnectionName, Vec<StepId>>,
    /// The last line at which a pod asked for anything.
    asked: HashMap<&'a PodName, u64>,
    /// Lines at which a connection was seen to be outside a transaction.
    idle: HashMap<&'a ConnectionName, Vec<u64>>,
}

impl<'a> ByConnection<'a> {
    /// Of these steps.
    pub fn of(steps: &BTreeMap<StepId, StepFacts<'a>>) -> Self {
        let mut by = Self::default();
        for step in steps.values() {
            by.steps.entry(step.connection).or_default().push(step.id);
            let asked = by.asked.entry(step.pod()).or_default();
            *asked = step.held.seq.max(*asked);
            if let Some(end) = step.last()
                && end.answer.transaction == Some('I')
            {
                by.idle.entry(step.connection).or_default().push(end.at.seq);
            }
        }
        for lines in by.idle.values_mut() {
            lines.sort_unstable();
        }
        by
    }

    /// Whether the pod asked for nothing more after this line.
    pub fn done(&self, pod: &PodName, seq: u64) -> bool {
        self.asked.get(pod).is_none_or(|asked| *asked <= seq)
    }

    /// Whether the connection was seen to be outside a transaction between these lines.
    pub fn idle_between(&self, connection: &ConnectionName, after: u64, before: u64) -> bool {
        self.idle.get(connection).is_some_and(|lines| {
            let next = lines.partition_point(|line| *line <= after);
            lines.get(next).is_some_and(|line| *line < before)
        })
    }
}
