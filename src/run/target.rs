//! What a fault is done to, and how it is written down.
//!
//! Owns the choice of the session that a fault means.

use super::conductor::Conductor;
use super::faulting::Outcome;
use crate::fault::effect_of;
use crate::history::{ConnectionName, Event, FaultEvent, LockKey, LockRule, StepId};
use crate::schedule::{Fault, Point, SessionChoice};

impl Conductor<'_> {
    /// The connection that a fault of a session is done to.
    pub(super) fn choose(&self, fault: &Fault) -> Option<ConnectionName> {
        let member = self.members.get(&fault.pod)?;
        let live = || member.links.values().filter(|link| !link.gone);
        match &fault.session {
            SessionChoice::Connection(name) => live()
                .find(|link| link.name == *name)
                .map(|link| link.name.clone()),
            SessionChoice::HoldingLock => {
                let held = self.locks.iter().flatten().filter(|lock| lock.granted);
                // The lock of the scenario, if one of the pod's sessions holds that.
                let mut held: Vec<_> = held
                    .filter(|lock| live().any(|link| link.pid == Some(lock.pid)))
                    .collect();
                held.sort_by_key(|lock| !self.is_rule_key(&lock.key));
                let pid = held.first()?.pid;
                live()
                    .find(|link| link.pid == Some(pid))
                    .map(|link| link.name.clone())
            }
            SessionChoice::Next => {
                let waiting = live().find(|link| self.is_waiting(link.running));
                match (fault.point, waiting) {
                    (Point::Waiting, Some(link)) => Some(link.name.clone()),
                    _ => self
                        .next_held(&fault.pod)
                        .and_then(|id| self.steps.get(&id))
                        .map(|step| step.connection.clone())
                        .or_else(|| waiting.map(|link| link.name.clone()))
                        .or_else(|| live().next().map(|link| link.name.clone())),
                }
            }
        }
    }

    pub(super) fn is_rule_key(&self, key: &LockKey) -> bool {
        match &self.plan.rules.lock {
            LockRule::Named(named) => named.same_key(key),
            LockRule::FromCleanRun(keys) => keys.iter().any(|known| known.same_key(key)),
            LockRule::None => false,
        }
    }

    pub(super) fn held_on(&self, connection: &ConnectionName) -> Option<StepId> {
        self.members
            .get(&connection.pod)?
            .links
            .get(&connection.index)?
            .held
    }

    pub(super) fn target(
        &self,
        connection: Option<&ConnectionName>,
    ) -> Option<(ConnectionName, i32)> {
        let name = connection?;
        let link = self.members.get(&name.pod)?.links.get(&name.index)?;
        Some((name.clone(), link.pid?))
    }

    pub(super) fn note_fault(
        &mut self,
        fault: &Fault,
        connection: Option<ConnectionName>,
        step: Option<StepId>,
        outcome: &Outcome,
    ) {
        let effect = effect_of(&fault.kind, fault.point == Point::After);
        let connection = connection.filter(|_| fault.kind.is_of_session());
        let session = connection
            .as_ref()
            .and_then(|name| self.members.get(&name.pod)?.links.get(&name.index)?.session);
        let event = FaultEvent {
            name: fault.kind.name().to_owned(),
            point: fault.point.to_string(),
            pod: Some(fault.pod.clone()),
            connection,
            session,
            step,
            fired: outcome.fired,
            evidence: outcome.evidence.clone(),
            takes_pod: effect.takes_pod,
            ends_session: effect.ends_session,
            sqlstates: effect.sqlstates,
        };
        self.note(Event::Fault(event));
    }

    /// The fault that was noted last.
    pub(super) fn last_fault(&self) -> Option<&FaultEvent> {
        self.writer
            .lines()
            .iter()
            .rev()
            .find_map(|line| match &line.event {
                Event::Fault(event) => Some(event),
                _ => None,
            })
    }
}
