//! Which faults can show on a connection, found without looking at all faults.
//!
//! Owns that search; whether a fault does show there is said by [`FaultFacts::reaches`]. Knows
//! nothing of what a fault excuses.

use std::collections::HashMap;

use super::faults::FaultFacts;
use crate::name::{ConnectionName, PodName, Session, StepId};

/// Faults by what they hit. Places are those of the faults, in their order.
#[derive(Debug, Default)]
pub(crate) struct Reach<'a> {
    /// Those that take a pod, or of which only the pod is known.
    pods: HashMap<&'a PodName, Vec<usize>>,
    connections: HashMap<&'a ConnectionName, Vec<usize>>,
    sessions: HashMap<Session, Vec<usize>>,
    /// The first fault at a step.
    steps: HashMap<StepId, usize>,
}

impl<'a> Reach<'a> {
    /// Of these faults.
    pub fn of(faults: &[FaultFacts<'a>]) -> Self {
        let mut reach = Self::default();
        for (place, fault) in faults.iter().enumerate() {
            if let Some(step) = fault.event.step {
                reach.steps.entry(step).or_insert(place);
            }
            let pod_only = fault.session.is_none() && fault.connection.is_none();
            if fault.event.takes_pod || pod_only {
                if let Some(pod) = fault.pod {
                    reach.pods.entry(pod).or_default().push(place);
                }
                continue;
            }
            if let Some(connection) = fault.connection {
                reach.connections.entry(connection).or_default().push(place);
            }
            if let Some(session) = fault.session {
                reach.sessions.entry(session).or_default().push(place);
            }
        }
        reach
    }

    /// The places of faults among which are all that reach this connection and session.
    pub fn near<'r>(
        &'r self,
        connection: &ConnectionName,
        session: Option<Session>,
    ) -> impl Iterator<Item = usize> + 'r {
        let pod = self.pods.get(&connection.pod);
        let connection = self.connections.get(connection);
        let session = session.and_then(|session| self.sessions.get(&session));
        let all = [pod, connection, session].into_iter().flatten();
        all.flatten().copied()
    }

    /// The place of the first fault at this step.
    pub fn at_step(&self, step: StepId) -> Option<usize> {
        self.steps.get(&step).copied()
    }
}
