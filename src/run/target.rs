//! What a fault is done to, and how it is written down.
//!
//! Owns the choice of the session that a fault means.

use super::conductor::Conductor;
use super::faulting::Aim;
use super::outcome::Outcome;
use crate::fault::effect_of;
use crate::history::{Event, FaultBy, FaultEvent, LockRule};
use crate::name::{ConnectionName, LockKey, PodName, StepId};
use crate::schedule::{Fault, FaultTarget, Point, SessionChoice};

impl Conductor<'_> {
    /// The connection that a fault of a session is done to.
    pub(super) fn choose(&self, fault: &Fault, pod: &PodName) -> Option<ConnectionName> {
        let member = self.members.get(pod)?;
        let live = || member.links.values().filter(|link| !link.gone);
        match &fault.session {
            SessionChoice::Every => live().next().map(|link| link.name.clone()),
            SessionChoice::Connection(name) => live()
                .find(|link| link.name == *name)
                .map(|link| link.name.clone()),
            SessionChoice::HoldingLock if self.pooled.is_some() => {
                let (connection, _) = self.pooled_holder(pod)?;
                live()
                    .find(|link| link.name == connection)
                    .map(|link| link.name.clone())
            }
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
                        .next_held(pod)
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

    /// The live connections of a pod.
    pub(super) fn connections_of(&self, pod: &PodName) -> Vec<ConnectionName> {
        let links = self.members.get(pod).into_iter();
        links
            .flat_map(|member| member.links.values())
            .filter(|link| !link.gone)
            .map(|link| link.name.clone())
            .collect()
    }

    pub(super) fn target(&mut self, aim: &Aim<'_>) -> Option<(ConnectionName, i32)> {
        if self.pooled.is_some() {
            return self.pooled_target(aim);
        }
        let name = aim.connection.as_ref()?;
        let link = self.members.get(&name.pod)?.links.get(&name.index)?;
        Some((name.clone(), link.pid?))
    }

    /// Why nothing could be done to the backend of a connection that has none.
    pub(super) fn no_backend(&self, aim: &Aim<'_>) -> &'static str {
        if self.pooled.is_none() {
            return "the connection has no backend that is known";
        }
        let link = aim.connection.as_ref().and_then(|name| {
            let member = self.members.get(&name.pod)?;
            member.links.get(&name.index)
        });
        if link.is_some_and(|link| link.running.is_some()) {
            "the connection waits inside the pooler and has no backend"
        } else {
            "the pooler has no backend for the connection at the moment, and the last one has served \
             others since"
        }
    }

    /// Writes down how a fault came out, for whoever applies it to give back.
    pub(super) fn note_fault(&mut self, aim: &Aim<'_>, outcome: Outcome) -> Outcome {
        let fault = aim.fault;
        let usual = || effect_of(&fault.kind, fault.point == Point::After);
        let effect = outcome.effect.clone().unwrap_or_else(usual);
        let one = fault.kind.target() == FaultTarget::Session
            || fault.kind.target() == FaultTarget::Link && fault.session != SessionChoice::Every
            || fault.kind.target() == FaultTarget::Server;
        let connection = aim.connection.clone().filter(|_| one);
        let session = connection
            .as_ref()
            .and_then(|name| self.members.get(&name.pod)?.links.get(&name.index)?.session);
        let session = match &mut self.pooled {
            Some(pooled) => pooled.aimed.take().or(session),
            None => session,
        };
        let pod = match fault.kind.target() {
            // Whom it hits, not at whose step it came.
            FaultTarget::Server => connection.as_ref().map(|name| name.pod.clone()),
            _ => fault.pod.clone(),
        };
        let event = FaultEvent {
            fault: fault.clone(),
            by: match self.acting_at() {
                Some(clock) => FaultBy::Controller { clock },
                None => FaultBy::Schedule,
            },
            pod,
            connection,
            session,
            step: aim
                .step
                .filter(|_| fault.kind.target() != FaultTarget::Server),
            fired: outcome.fired,
            absent: outcome.absent,
            evidence: outcome.evidence.clone(),
            takes_pod: effect.takes_pod,
            ends_session: effect.ends_session,
            sqlstates: effect.sqlstates,
        };
        self.note(Event::Fault(event));
        outcome
    }
}
