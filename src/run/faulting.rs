//! Applying a fault at its point.
//!
//! Owns the way to the point: the step before it, in doubt, waiting, after it. What is done there is
//! the affair of the targets (`killing` and `pausing` for pods, `cutting` for sessions, `shaping`
//! for links, `outage` for the server), and each proves by the kernel's or the server's word that it
//! did fire. What a fault explains is `fault`'s.

use std::time::{Duration, Instant};

use super::beside::comes_beside;
use super::conductor::Conductor;
use super::cutting::STANDS_STILL;
use super::error::RunError;
use crate::history::{Awaited, Delivery, Ending};
use crate::name::{ConnectionName, PodName, StepId};
use crate::schedule::{Fault, FaultKind, FaultTarget, Point, SessionChoice};
use crate::wire::Handover;

/// How long a fault may take to show.
pub(super) const FAULT_LIMIT: Duration = Duration::from_secs(10);

/// How a fault came out.
pub(super) struct Outcome {
    pub fired: bool,
    pub evidence: String,
}

impl Outcome {
    pub fn fired(evidence: impl Into<String>) -> Self {
        Self {
            fired: true,
            evidence: evidence.into(),
        }
    }

    pub fn missed(why: impl Into<String>) -> Self {
        Self {
            fired: false,
            evidence: why.into(),
        }
    }
}

/// A fault with what it is aimed at, once that is known.
#[derive(Debug, Clone)]
pub(super) struct Aim<'f> {
    pub fault: &'f Fault,
    pub connection: Option<ConnectionName>,
    pub step: Option<StepId>,
}

impl<'f> Aim<'f> {
    /// A fault that is aimed at no connection and no step.
    pub fn of(fault: &'f Fault) -> Self {
        Self {
            fault,
            connection: None,
            step: None,
        }
    }

    /// The same at another connection of the pod.
    pub fn at(&self, connection: ConnectionName) -> Self {
        Self {
            connection: Some(connection),
            ..self.clone()
        }
    }
}

impl Conductor<'_> {
    /// Applies a fault of a controlled schedule.
    pub(super) async fn fault(&mut self, fault: &Fault) -> Result<(), RunError> {
        let Some(name) = &fault.pod else {
            return Box::pin(self.outage(&Aim::of(fault))).await;
        };
        if !self.is_there(name) {
            let why = self.why_not_there(name);
            return self.miss(fault, &why);
        }
        let target = fault.kind.target();
        if target == FaultTarget::Link && fault.point == Point::Before {
            // A link can be slow before anybody uses it, and healed whatever its pod does.
            if self.members.get(name).is_some_and(|one| one.pod.is_some()) {
                self.quiet(name).await?;
            }
            if self.is_beyond(fault, name) {
                let why = format!("pod {name} had ended before");
                return self.miss(fault, &why);
            }
            let aim = Aim {
                fault,
                connection: self.choose(fault, name),
                step: None,
            };
            return self.shape(&aim, name).await;
        }
        self.start(name).await?;
        self.come_to_gate(name).await?;
        if self.members.get(name).is_some_and(|member| member.ended) {
            let why = format!("pod {name} had ended before");
            return self.miss(fault, &why);
        }
        let connection = self.choose(fault, name);
        let of_session = target == FaultTarget::Session && fault.session != SessionChoice::Every;
        let step = match &connection {
            Some(connection) if of_session => self
                .held_on(connection)
                .or_else(|| self.next_held(name).filter(|_| comes_beside(fault))),
            _ => self.next_held(name),
        };
        let aim = Aim {
            fault,
            connection,
            step,
        };
        // A session that holds a lock after the step need not hold one before.
        if target == FaultTarget::Session && aim.connection.is_none() && !comes_beside(fault) {
            let why = format!("pod {name} has no such session now");
            return self.miss(fault, &why);
        }
        match fault.point {
            Point::InDoubt | Point::After => {
                let Some(step) = aim.step else {
                    let why = format!("pod {name} has no step at the gate there");
                    self.note_fault(&aim, &Outcome::missed(why));
                    return Ok(());
                };
                if !self.can_ask() {
                    // It would be let go, and nothing would come of it.
                    self.note_fault(&aim, &Outcome::missed(STANDS_STILL));
                    return Ok(());
                }
                self.fault_round_step(&aim, name, step).await?;
            }
            Point::Waiting if !self.waits(name) => {
                let why = format!("no step of pod {name} waits for a lock");
                self.note_fault(&aim, &Outcome::missed(why));
            }
            Point::Before | Point::Waiting | Point::At(_) => self.hit(&aim, name).await?,
        }
        self.look_again().await?;
        self.quiet(name).await
    }

    /// Whether the pod has ended, so that nothing of it is left that a link fault could touch. (That
    /// there is nothing to heal is told by itself.)
    fn is_beyond(&self, fault: &Fault, name: &PodName) -> bool {
        fault.kind != FaultKind::Heal && self.members.get(name).is_some_and(|member| member.ended)
    }

    /// Waits until the pod has a step at the gate, or can have none: it waits on the server, it is
    /// kept back, it has ended. A busy machine takes its time over a pod's start.
    async fn come_to_gate(&mut self, name: &PodName) -> Result<(), RunError> {
        let until = Instant::now() + FAULT_LIMIT;
        loop {
            self.quiet(name).await?;
            let ended = self.members.get(name).is_none_or(|member| member.ended);
            let there = self.next_held(name).is_some() || self.waits(name);
            if ended || there || self.is_kept_back(name) || self.limit_hit {
                return Ok(());
            }
            if Instant::now() > until {
                // The fault says what it missed.
                return Ok(());
            }
            self.next_event(Duration::from_millis(20)).await?;
        }
    }

    /// Applies a fault of free pacing, whose time has come.
    pub(super) async fn fault_now(&mut self, fault: &Fault) -> Result<(), RunError> {
        let mut aim = Aim::of(fault);
        let (Some(name), target) = (&fault.pod, fault.kind.target()) else {
            return Box::pin(self.outage(&aim)).await;
        };
        let started = self
            .members
            .get(name)
            .is_some_and(|member| member.pod.is_some() && !member.ended);
        aim.connection = self.choose(fault, name);
        let there = match target {
            FaultTarget::Session => started && aim.connection.is_some(),
            FaultTarget::Pod => started,
            FaultTarget::Link => !self.is_beyond(fault, name),
            FaultTarget::Server => true,
        };
        if !there {
            let why = format!("pod {name} had no such target at that time");
            self.note_fault(&aim, &Outcome::missed(why));
            return Ok(());
        }
        self.hit(&aim, name).await
    }

    async fn fault_round_step(
        &mut self,
        aim: &Aim<'_>,
        name: &PodName,
        step: StepId,
    ) -> Result<(), RunError> {
        let fault = aim.fault;
        let at = self.steps.get(&step).map(|step| step.connection.clone());
        if comes_beside(fault) && aim.connection.is_some() && aim.connection != at {
            return self.fault_beside_step(aim, name, step).await;
        }
        if let FaultKind::Error { sqlstate } = &fault.kind
            && fault.point == Point::InDoubt
        {
            return self.error_in_doubt(aim, step, sqlstate).await;
        }
        if fault.point == Point::InDoubt && self.cuts_before_release(&fault.kind) {
            // The answer is not kept from the pod by us but by the fault.
            return self.hit_and_release(aim, name, step).await;
        }
        let (handover, delivery) = match (&fault.kind, fault.point) {
            // A cancel is for what runs: the pod is to hear of it.
            (FaultKind::CancelBackend, _) | (_, Point::After) => {
                (Handover::Forward, Delivery::Forwarded)
            }
            _ => (Handover::DropAnswer, Delivery::AnswerDropped),
        };
        let ending = self.step(step, handover, delivery).await?;
        let why = match ending {
            Some(Ending::Gone) => Some("the step's session was gone before the fault"),
            Some(Ending::Done) if fault.kind == FaultKind::CancelBackend => {
                Some("the step had ended before it could be cancelled")
            }
            ending if fault.point == Point::After && ending != Some(Ending::Done) => {
                Some("the step had not ended, so nothing could come after it")
            }
            _ => None,
        };
        if let Some(why) = why {
            self.note_fault(aim, &Outcome::missed(why));
            return Ok(());
        }
        let dropped = delivery == Delivery::AnswerDropped;
        let connection = at;
        if fault.point == Point::After && fault.session == SessionChoice::Every {
            // Which sessions it has is settled when the pod has asked for its next: else one that it
            // opens meanwhile may come too late for the fault, or not.
            self.quiet(name).await?;
        }
        let mut aim = aim.clone();
        if aim.connection.is_none() && fault.kind.is_of_session() {
            aim.connection = self.choose(fault, name);
        }
        if aim.connection.is_none() && fault.kind.is_of_session() {
            let why = format!("pod {name} has no such session, not after the step either");
            self.note_fault(&aim, &Outcome::missed(why));
        } else {
            self.hit(&aim, name).await?;
        }
        let missed = matches!(
            self.last_fault(),
            Some(event) if !event.fired
        );
        let cut = connection.as_ref().is_some_and(|name| self.is_cut(name));
        if let Some(connection) = connection
            && dropped
            && (missed || !cut)
        {
            // The pod would wait for ever for the answer that was kept from it.
            let reset = Fault::of_pod(
                FaultKind::Reset,
                name.clone(),
                SessionChoice::Connection(connection.clone()),
                Point::InDoubt,
            );
            let aim = Aim {
                fault: &reset,
                connection: Some(connection),
                step: Some(step),
            };
            self.reset(&aim).await?;
        }
        Ok(())
    }

    /// Lets the answer to a step that still waits pass to its pod when it comes.
    pub(super) fn pass_answer(&mut self, id: StepId) {
        let Some(step) = self.steps.get_mut(&id).filter(|step| !step.ended) else {
            return;
        };
        step.delivery = Delivery::Forwarded;
        if let Some(member) = self.members.get(&step.connection.pod) {
            // A connection that ended in between has nothing to pass.
            let _ = member.proxy.pass_answer(&step.connection);
        }
    }

    /// Whether the fault itself keeps an answer from the pod, so that it comes before the step is
    /// let go.
    fn cuts_before_release(&self, kind: &FaultKind) -> bool {
        matches!(
            kind,
            FaultKind::Pause
                | FaultKind::Blackhole
                | FaultKind::Delay { .. }
                | FaultKind::Throttle { .. }
        )
    }

    async fn hit_and_release(
        &mut self,
        aim: &Aim<'_>,
        name: &PodName,
        step: StepId,
    ) -> Result<(), RunError> {
        self.hit(aim, name).await?;
        // The step was under way before the link went.
        self.step(step, Handover::Forward, Delivery::Forwarded)
            .await?;
        Ok(())
    }

    /// Whether this connection is over, or its pod is.
    fn is_cut(&self, name: &ConnectionName) -> bool {
        self.members.get(&name.pod).is_none_or(|member| {
            member.exited.is_some()
                || member
                    .links
                    .get(&name.index)
                    .is_none_or(|link| link.gone || link.finished || link.client_closed.is_some())
        })
    }

    /// Does it, now.
    pub(super) async fn hit(&mut self, aim: &Aim<'_>, name: &PodName) -> Result<(), RunError> {
        match aim.fault.kind.target() {
            FaultTarget::Link => return self.shape(aim, name).await,
            FaultTarget::Server => return Box::pin(self.outage(aim)).await,
            FaultTarget::Session if aim.fault.session == SessionChoice::Every => {
                return self.hit_every(aim, name).await;
            }
            FaultTarget::Session | FaultTarget::Pod => {}
        }
        self.hit_one(aim, name).await
    }

    pub(super) async fn hit_one(&mut self, aim: &Aim<'_>, name: &PodName) -> Result<(), RunError> {
        match &aim.fault.kind {
            FaultKind::Kill => self.kill(aim, name).await,
            FaultKind::Terminate { grace, pid1 } => self.terminate(aim, name, *grace, *pid1).await,
            FaultKind::Pause => self.pause(aim, name).await,
            FaultKind::Resume => {
                self.resume(aim, name);
                Ok(())
            }
            FaultKind::Error { sqlstate } => self.error(aim, sqlstate).await,
            FaultKind::TerminateBackend => self.terminate_backend(aim).await,
            FaultKind::CancelBackend => self.cancel_backend(aim).await,
            FaultKind::PauseBackend => self.pause_backend(aim).await,
            FaultKind::ResumeBackend => self.resume_backend(aim).await,
            _ => self.reset(aim).await,
        }
    }

    /// Notes that a fault could not be done.
    pub(super) fn miss(&mut self, fault: &Fault, why: &str) -> Result<(), RunError> {
        self.note_fault(&Aim::of(fault), &Outcome::missed(why));
        Ok(())
    }

    /// Notes that something did not come about in time. What goes on is not known then: the run ends.
    pub(super) fn note_silence(&mut self, waited_for: Awaited) {
        let limit = u64::try_from(FAULT_LIMIT.as_micros()).unwrap_or(u64::MAX);
        self.note_limit(waited_for, limit);
    }
}
