//! Applying a fault at its point.
//!
//! Owns the way to the point (the step before it, in doubt, waiting, after it) and the proof that
//! the fault did fire, by the kernel's or the server's word. What a fault explains is `fault`'s.

use std::time::{Duration, Instant};

use super::conductor::Conductor;
use super::error::RunError;
use crate::fault::InjectedError;
use crate::history::{ConnectionName, Delivery, Ending, StepId};
use crate::schedule::{Fault, FaultKind, Point, SessionChoice};
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

impl Conductor<'_> {
    /// Applies a fault of a controlled schedule.
    pub(super) async fn fault(&mut self, fault: &Fault) -> Result<(), RunError> {
        let name = &fault.pod;
        self.start(name).await?;
        self.quiet(name).await?;
        if self.members.get(name).is_some_and(|member| member.ended) {
            let why = format!("pod {name} had ended before");
            self.note_fault(fault, None, None, &Outcome::missed(why));
            return Ok(());
        }
        let connection = self.choose(fault);
        let step = match &connection {
            Some(connection) if fault.kind.is_of_session() => self.held_on(connection),
            _ => self.next_held(name),
        };
        if fault.kind.is_of_session() && connection.is_none() {
            let why = format!("pod {name} has no such session now");
            self.note_fault(fault, None, None, &Outcome::missed(why));
            return Ok(());
        }
        match fault.point {
            Point::InDoubt | Point::After => {
                let Some(step) = step else {
                    let why = format!("pod {name} has no step at the gate there");
                    self.note_fault(fault, connection, None, &Outcome::missed(why));
                    return Ok(());
                };
                self.fault_round_step(fault, connection, step).await?;
            }
            Point::Waiting if !self.waits(name) => {
                let why = format!("no step of pod {name} waits for a lock");
                self.note_fault(fault, connection, step, &Outcome::missed(why));
            }
            Point::Before | Point::Waiting | Point::At(_) => {
                self.hit(fault, connection, step).await?;
            }
        }
        self.look_again().await?;
        self.quiet(name).await
    }

    /// Applies a fault of free pacing, whose time has come.
    pub(super) async fn fault_now(&mut self, fault: &Fault) -> Result<(), RunError> {
        let started = self
            .members
            .get(&fault.pod)
            .is_some_and(|member| member.pod.is_some() && !member.ended);
        let connection = self.choose(fault);
        if !started || (fault.kind.is_of_session() && connection.is_none()) {
            let why = format!("pod {} had no such target at that time", fault.pod);
            self.note_fault(fault, connection, None, &Outcome::missed(why));
            return Ok(());
        }
        self.hit(fault, connection, None).await
    }

    async fn fault_round_step(
        &mut self,
        fault: &Fault,
        connection: Option<ConnectionName>,
        step: StepId,
    ) -> Result<(), RunError> {
        if let FaultKind::Error { sqlstate } = &fault.kind
            && fault.point == Point::InDoubt
        {
            let error = InjectedError::new(sqlstate);
            let handover = error.and_then(|error| {
                Some(Handover::AnswerWith {
                    instead: error.answer(),
                    abort: error.statement()?,
                })
            });
            let Some(handover) = handover else {
                let why = format!("{sqlstate} is no SQLSTATE of an error");
                self.note_fault(fault, connection, Some(step), &Outcome::missed(why));
                return Ok(());
            };
            let ending = self.step(step, handover, Delivery::AnswerReplaced).await?;
            let outcome = match ending {
                Some(Ending::Done) => {
                    Outcome::fired("the server did the step; its answer was replaced on the wire")
                }
                _ => Outcome::missed("the step had no answer that could be replaced"),
            };
            self.note_fault(fault, connection, Some(step), &outcome);
            return Ok(());
        }
        let (handover, delivery) = match (&fault.kind, fault.point) {
            // A cancel is for what runs: the pod is to hear of it.
            (FaultKind::CancelBackend, _) | (_, Point::After) => {
                (Handover::Forward, Delivery::Forwarded)
            }
            _ => (Handover::DropAnswer, Delivery::AnswerDropped),
        };
        let ending = self.step(step, handover, delivery).await?;
        if ending == Some(Ending::Gone) {
            let why = "the step's session was gone before the fault";
            self.note_fault(fault, connection, Some(step), &Outcome::missed(why));
            return Ok(());
        }
        if fault.point == Point::After && ending != Some(Ending::Done) {
            let why = "the step had not ended, so nothing could come after it";
            self.note_fault(fault, connection, Some(step), &Outcome::missed(why));
            return Ok(());
        }
        if fault.kind == FaultKind::CancelBackend && ending == Some(Ending::Done) {
            let why = "the step had ended before it could be cancelled";
            self.note_fault(fault, connection, Some(step), &Outcome::missed(why));
            return Ok(());
        }
        let dropped = delivery == Delivery::AnswerDropped;
        let name = self.steps.get(&step).map(|step| step.connection.clone());
        self.hit(fault, connection, Some(step)).await?;
        let missed = matches!(
            self.last_fault(),
            Some(event) if !event.fired
        );
        if dropped
            && missed
            && let Some(name) = name
        {
            // The pod would wait for ever for the answer that was kept from it.
            let reset = Fault {
                kind: FaultKind::Reset,
                pod: fault.pod.clone(),
                session: SessionChoice::Connection(name.clone()),
                point: Point::InDoubt,
            };
            self.reset(&reset, Some(name), Some(step)).await?;
        }
        Ok(())
    }

    /// Does it, now.
    async fn hit(
        &mut self,
        fault: &Fault,
        connection: Option<ConnectionName>,
        step: Option<StepId>,
    ) -> Result<(), RunError> {
        match &fault.kind {
            FaultKind::Kill => self.kill(fault, step).await,
            FaultKind::Terminate { grace } => self.terminate(fault, *grace, step).await,
            FaultKind::Error { sqlstate } => self.error(fault, sqlstate, connection, step).await,
            FaultKind::TerminateBackend => self.terminate_backend(fault, connection, step).await,
            FaultKind::CancelBackend => self.cancel_backend(fault, connection, step).await,
            FaultKind::Reset => self.reset(fault, connection, step).await,
        }
    }

    /// Notes that a fault could not be done.
    pub(super) fn miss(&mut self, fault: &Fault, why: &str) {
        self.note_fault(fault, None, None, &Outcome::missed(why));
    }

    async fn error(
        &mut self,
        fault: &Fault,
        sqlstate: &str,
        connection: Option<ConnectionName>,
        step: Option<StepId>,
    ) -> Result<(), RunError> {
        let error = InjectedError::new(sqlstate);
        let (Some(error), Some(name)) = (error, connection.clone()) else {
            let why = format!("{sqlstate} is no SQLSTATE of an error");
            self.note_fault(fault, connection, step, &Outcome::missed(why));
            return Ok(());
        };
        if fault.point == Point::After {
            let sent = self
                .members
                .get(&name.pod)
                .is_some_and(|member| member.proxy.close_after(&name, error.farewell()).is_ok());
            let outcome = if sent {
                Outcome::fired("FATAL error sent to the idle connection, then closed")
            } else {
                Outcome::missed("the connection had ended before")
            };
            self.note_fault(fault, connection, step, &outcome);
            return self.await_closed(&name).await;
        }
        let (Some(id), Some(statement)) = (step, error.statement()) else {
            let why = format!("connection {name} has no step at the gate there");
            self.note_fault(fault, connection, step, &Outcome::missed(why));
            return Ok(());
        };
        self.step(id, Handover::Replace(statement), Delivery::Replaced)
            .await?;
        let raised = self
            .steps
            .get(&id)
            .and_then(|step| step.answer.as_ref()?.error.as_ref())
            .map(|error| error.sqlstate.clone());
        let outcome = match raised {
            Some(raised) if raised == sqlstate => {
                Outcome::fired("the server raised it in the step's place")
            }
            Some(other) => Outcome::missed(format!("the server raised {other} instead")),
            None => Outcome::missed("the server did not answer"),
        };
        self.note_fault(fault, connection, step, &outcome);
        Ok(())
    }

    async fn terminate_backend(
        &mut self,
        fault: &Fault,
        connection: Option<ConnectionName>,
        step: Option<StepId>,
    ) -> Result<(), RunError> {
        let Some((name, pid)) = self.target(connection.as_ref()) else {
            let outcome = Outcome::missed("the connection has no backend that is known");
            self.note_fault(fault, connection, step, &outcome);
            return Ok(());
        };
        let sent = self.observer.terminate_backend(pid).await?;
        let begun = Instant::now();
        let mut left = !sent;
        while !left && begun.elapsed() < FAULT_LIMIT {
            left = !self.observer.activity(&[pid]).await?.contains_key(&pid);
            if !left {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        let outcome = if sent && left {
            Outcome::fired(format!("backend {pid} has left pg_stat_activity"))
        } else {
            Outcome::missed(format!(
                "backend {pid}: signal sent: {sent}, gone within {} s: {left}",
                FAULT_LIMIT.as_secs()
            ))
        };
        self.note_fault(fault, connection, step, &outcome);
        if left {
            self.await_closed(&name).await?;
        }
        Ok(())
    }

    async fn cancel_backend(
        &mut self,
        fault: &Fault,
        connection: Option<ConnectionName>,
        step: Option<StepId>,
    ) -> Result<(), RunError> {
        let Some((_, pid)) = self.target(connection.as_ref()) else {
            let outcome = Outcome::missed("the connection has no backend that is known");
            self.note_fault(fault, connection, step, &outcome);
            return Ok(());
        };
        let before = self.observer.activity(&[pid]).await?;
        let active = before.get(&pid).is_some_and(|seen| seen.state == "active");
        if !active {
            let outcome = Outcome::missed(format!("backend {pid} was idle: nothing to cancel"));
            self.note_fault(fault, connection, step, &outcome);
            return Ok(());
        }
        let query = before.get(&pid).map(|seen| seen.query.clone());
        let sent = self.observer.cancel_backend(pid).await?;
        let begun = Instant::now();
        let mut stopped = false;
        while !stopped && begun.elapsed() < FAULT_LIMIT {
            let now = self.observer.activity(&[pid]).await?;
            stopped = now
                .get(&pid)
                .is_none_or(|seen| seen.state != "active" || Some(&seen.query) != query.as_ref());
            if !stopped {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        let outcome = if sent && stopped {
            Outcome::fired(format!("backend {pid} has stopped what it did"))
        } else {
            Outcome::missed(format!("backend {pid} went on; signal sent: {sent}"))
        };
        self.note_fault(fault, connection, step, &outcome);
        Ok(())
    }

    async fn reset(
        &mut self,
        fault: &Fault,
        connection: Option<ConnectionName>,
        step: Option<StepId>,
    ) -> Result<(), RunError> {
        let Some(name) = connection.clone() else {
            return Ok(());
        };
        self.drop_held(&name, "reset");
        let sent = self
            .members
            .get(&name.pod)
            .is_some_and(|member| member.proxy.reset(&name).is_ok());
        let outcome = if sent {
            Outcome::fired("RST sent to pod and server")
        } else {
            Outcome::missed("the connection had ended before")
        };
        self.note_fault(fault, connection, step, &outcome);
        self.await_closed(&name).await
    }

    /// Notes that something did not come about in time; the run is not at its end for that.
    pub(super) fn note_silence(&mut self, waited_for: &str) {
        let limit = u64::try_from(FAULT_LIMIT.as_micros()).unwrap_or(u64::MAX);
        self.note_limit(waited_for, limit);
    }

    /// Waits until a connection's end has been reported and its backend is gone (or goes on with
    /// its last statement as a ghost).
    async fn await_closed(&mut self, name: &ConnectionName) -> Result<(), RunError> {
        let begun = Instant::now();
        loop {
            let closed = self
                .members
                .get(&name.pod)
                .and_then(|member| member.links.get(&name.index))
                .is_none_or(|link| link.finished || link.gone || link.is_ghost());
            if closed {
                break;
            }
            if begun.elapsed() > FAULT_LIMIT {
                self.note_silence("the end of a connection that was cut");
                break;
            }
            self.next_event(Duration::from_millis(2)).await?;
        }
        self.look_again().await
    }
}
