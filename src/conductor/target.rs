//! What a fault is done to, and how it is written down.
//!
//! Owns the choice of the session that a fault means.

use super::aim::{Aim, Outcome};
use super::machine::Conductor;
use super::world::World;
use crate::history::{Event, FaultBy, FaultEvent, HeldLock, LockRule};
use crate::name::{ConnectionName, LockKey, PodName, StepId};
use crate::schedule::{Fault, FaultTarget, Point, SessionChoice, effect_of};

impl<W: World> Conductor<W> {
    /// The connection that a fault of a session is done to.
    pub(crate) fn choose(&self, fault: &Fault, pod: &PodName) -> Option<ConnectionName> {
        let member = self.members.get(pod)?;
        let live = || member.links.values().filter(|link| !link.gone);
        match &fault.session {
            SessionChoice::Every => live().next().map(|link| link.name.clone()),
            SessionChoice::Connection(name) => live()
                .find(|link| link.name == *name)
                .map(|link| link.name.clone()),
            SessionChoice::HoldingLock => {
                let (connection, _) = self.holder(pod)?;
                live()
                    .find(|link| link.name == connection)
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

    /// The session of a pod that holds a lock, the scenario's lock first: its connection, behind a pooler the
    /// one whose step took it, and its process id.
    pub(crate) fn holder(&self, pod: &PodName) -> Option<(ConnectionName, i32)> {
        let member = self.members.get(pod)?;
        let pooled = self.is_pooled();
        let owner = |pid: i32| {
            let mut live = member.links.values().filter(|link| !link.gone);
            live.find(|link| link.pid == Some(pid))
        };
        let mut rows = self.world.row_holders().into_iter();
        if let Some((pid, link)) = rows.find_map(|pid| Some((pid, owner(pid)?))) {
            return Some((link.name.clone(), pid));
        }
        let mut held: Vec<(ConnectionName, &HeldLock)> = self
            .locks
            .iter()
            .flatten()
            .filter(|lock| lock.granted)
            .filter_map(|lock| match pooled {
                true => Some((self.world.owner_of(lock)?, lock)),
                false => Some((owner(lock.pid)?.name.clone(), lock)),
            })
            .filter(|(owner, _)| owner.pod == *pod)
            .collect();
        held.sort_by_key(|(_, lock)| !self.is_rule_key(&lock.key));
        let (owner, lock) = held.into_iter().next()?;
        Some((owner, lock.pid))
    }

    pub(crate) fn is_rule_key(&self, key: &LockKey) -> bool {
        self.orders.rules.lock.each().any(|lock| match lock {
            LockRule::Named(named) => named.same_key(key),
            LockRule::FromCleanRun(keys) => keys.iter().any(|known| known.same_key(key)),
            LockRule::Row(_)
            | LockRule::Rows(_)
            | LockRule::Serializable
            | LockRule::Several(_)
            | LockRule::None => false,
        })
    }

    pub(crate) fn held_on(&self, connection: &ConnectionName) -> Option<StepId> {
        self.members
            .get(&connection.pod)?
            .links
            .get(&connection.index)?
            .held
    }

    /// The live connections of a pod.
    pub(crate) fn connections_of(&self, pod: &PodName) -> Vec<ConnectionName> {
        let links = self.members.get(pod).into_iter();
        links
            .flat_map(|member| member.links.values())
            .filter(|link| !link.gone)
            .map(|link| link.name.clone())
            .collect()
    }

    /// Writes down how a fault came out, for whoever applies it to give back.
    pub(crate) fn note_fault(&mut self, aim: &Aim<'_>, outcome: Outcome) -> Outcome {
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
        let session = self.world.take_hit().or(session);
        let pod = match fault.kind.target() {
            // Whom it hits, not at whose step it came.
            FaultTarget::Server => connection.as_ref().map(|name| name.pod.clone()),
            FaultTarget::Lock => None,
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
            step: aim.step.filter(|_| fault.kind.target().needs_pod()),
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
