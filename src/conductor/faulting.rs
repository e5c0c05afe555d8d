//! Applying a fault at its point.
//!
//! Owns the way to the point: the step before it, in doubt, waiting, after it. What is done there is
//! the affair of `applying`; what a fault explains is `fault`'s.

use std::time::Duration;

use super::aim::{Aim, FAULT_LIMIT, Outcome, STANDS_STILL};
use super::beside::comes_beside;
use super::machine::Conductor;
use super::world::World;
use crate::history::{Delivery, Ending};
use crate::name::{ConnectionName, PodName, StepId};
use crate::schedule::{Fault, FaultKind, FaultTarget, InDoubt, Point, Points, SessionChoice};

impl<W: World> Conductor<W> {
    /// Applies a fault of a controlled schedule.
    pub(crate) async fn fault(&mut self, fault: &Fault) -> Result<(), W::Error> {
        let Some(name) = &fault.pod else {
            W::apply(self, &Aim::of(fault)).await?;
            return Ok(());
        };
        if !self.is_there(name) {
            let why = self.why_not_there(name);
            self.miss(fault, &why);
            return Ok(());
        }
        let target = fault.kind.target();
        if target == FaultTarget::Link && fault.point == Point::Before {
            // A link can be slow before anybody uses it, and healed whatever its pod does.
            if self.members.get(name).is_some_and(|one| one.started) {
                self.quiet(name).await?;
            }
            if self.is_beyond(fault, name) {
                let why = format!("pod {name} had ended before");
                self.miss(fault, &why);
                return Ok(());
            }
            let aim = Aim {
                fault,
                connection: self.choose(fault, name),
                step: None,
            };
            W::apply(self, &aim).await?;
            return Ok(());
        }
        self.start(name).await?;
        self.come_to_gate(name).await?;
        if self.members.get(name).is_some_and(|member| member.ended) {
            let why = format!("pod {name} had ended before");
            self.miss(fault, &why);
            return Ok(());
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
            self.miss(fault, &why);
            return Ok(());
        }
        match (fault.point, aim.step) {
            (Point::InDoubt | Point::After, None) => {
                let why = format!("pod {name} has no step at the gate there");
                self.note_fault(&aim, Outcome::absent(why));
                return Ok(());
            }
            (Point::InDoubt | Point::After, Some(_)) if !self.world.can_look() => {
                // It would be let go, and nothing would come of it.
                self.note_fault(&aim, Outcome::missed(STANDS_STILL));
                return Ok(());
            }
            (Point::InDoubt | Point::After, Some(step)) => {
                self.fault_round_step(&aim, name, step).await?;
            }
            (Point::Waiting, _) if !self.waits(name) => {
                let why = format!("no step of pod {name} waits for a lock");
                self.note_fault(&aim, Outcome::absent(why));
            }
            (Point::Before | Point::Waiting | Point::At(_), _) => {
                W::apply(self, &aim).await?;
            }
        }
        self.look_again().await?;
        self.quiet(name).await
    }

    /// Whether the pod has ended, so that nothing of it is left that a link fault could touch. (That
    /// there is nothing to heal is told by itself.)
    fn is_beyond(&self, fault: &Fault, name: &PodName) -> bool {
        !fault.kind.entry().heals() && self.members.get(name).is_some_and(|member| member.ended)
    }

    /// Waits until the pod has a step at the gate, or can have none: it waits on the server, it is
    /// kept back, it has ended. A busy machine takes its time over a pod's start.
    async fn come_to_gate(&mut self, name: &PodName) -> Result<(), W::Error> {
        let until = self.now() + FAULT_LIMIT;
        loop {
            self.pass_preparations(name).await?;
            let ended = self.members.get(name).is_none_or(|member| member.ended);
            let there = self.next_held(name).is_some() || self.waits(name);
            if ended || there || self.is_kept_back(name) || self.limit_hit {
                return Ok(());
            }
            if self.now() > until {
                // The fault says what it missed.
                return Ok(());
            }
            self.next_event(Duration::from_millis(20)).await?;
        }
    }

    /// Applies a fault of free pacing, whose time has come.
    pub(crate) async fn fault_now(&mut self, fault: &Fault) -> Result<(), W::Error> {
        let mut aim = Aim::of(fault);
        let (Some(name), target) = (&fault.pod, fault.kind.target()) else {
            W::apply(self, &aim).await?;
            return Ok(());
        };
        let started = self
            .members
            .get(name)
            .is_some_and(|member| member.started && !member.ended);
        aim.connection = self.choose(fault, name);
        let there = match target {
            FaultTarget::Session => started && aim.connection.is_some(),
            FaultTarget::Pod => started,
            FaultTarget::Link => !self.is_beyond(fault, name),
            FaultTarget::Server | FaultTarget::Lock => true,
        };
        if !there {
            let why = format!("pod {name} had no such target at that time");
            self.note_fault(&aim, Outcome::absent(why));
            return Ok(());
        }
        W::apply(self, &aim).await?;
        Ok(())
    }

    async fn fault_round_step(
        &mut self,
        aim: &Aim<'_>,
        name: &PodName,
        step: StepId,
    ) -> Result<(), W::Error> {
        let fault = aim.fault;
        let at = self.steps.get(&step).map(|step| step.connection.clone());
        if comes_beside(fault) && aim.connection.is_some() && aim.connection != at {
            return self.fault_beside_step(aim, name, step).await;
        }
        let points = fault.kind.entry().points;
        let delivery = match (fault.point, points) {
            (Point::InDoubt, Points::OfAnAnswer) => {
                // It takes the place of the answer.
                W::apply(self, aim).await?;
                return Ok(());
            }
            (Point::InDoubt, Points::Each(InDoubt::KeepsAnswer)) => {
                return self.apply_and_release(aim, step).await;
            }
            (Point::InDoubt, Points::Each(InDoubt::AnswerDropped) | Points::Between) => {
                Delivery::AnswerDropped
            }
            (Point::InDoubt, Points::Each(InDoubt::PodHears) | Points::Edges)
            | (Point::Before | Point::Waiting | Point::After | Point::At(_), _) => {
                Delivery::Forwarded
            }
        };
        let ending = self.step(step, delivery).await?;
        let gone = ending == Some(Ending::Gone);
        let why = match ending {
            Some(Ending::Gone) => Some("the step's session was gone before the fault"),
            Some(Ending::Done) if points == Points::Each(InDoubt::PodHears) => {
                Some("the step had ended before it could be cancelled")
            }
            ending if fault.point == Point::After && ending != Some(Ending::Done) => {
                Some("the step had not ended, so nothing could come after it")
            }
            _ => None,
        };
        if let Some(why) = why {
            let outcome = if gone {
                Outcome::absent(why)
            } else {
                Outcome::missed(why)
            };
            self.note_fault(aim, outcome);
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
        let outcome = if aim.connection.is_none() && fault.kind.is_of_session() {
            let why = format!("pod {name} has no such session, not after the step either");
            self.note_fault(&aim, Outcome::absent(why))
        } else {
            W::apply(self, &aim).await?
        };
        let cut = connection.as_ref().is_some_and(|name| self.is_cut(name));
        if let Some(connection) = connection
            && dropped
            && !(outcome.fired && cut)
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
            W::apply(self, &aim).await?;
        }
        Ok(())
    }

    /// Does it, and then lets the step go: the fault keeps the answer from the pod.
    async fn apply_and_release(&mut self, aim: &Aim<'_>, step: StepId) -> Result<(), W::Error> {
        W::apply(self, aim).await?;
        // The step was under way before the link went.
        self.step(step, Delivery::Forwarded).await?;
        Ok(())
    }

    /// Whether this connection is over, or its pod is.
    fn is_cut(&self, name: &ConnectionName) -> bool {
        self.members.get(&name.pod).is_none_or(|member| {
            member.exited.is_some()
                || member
                    .links
                    .get(&name.index)
                    .is_none_or(|link| link.gone || link.finished || link.client_closed)
        })
    }

    /// Notes that there was nothing that a fault could have hit.
    pub(crate) fn miss(&mut self, fault: &Fault, why: &str) {
        self.note_fault(&Aim::of(fault), Outcome::absent(why));
    }
}
