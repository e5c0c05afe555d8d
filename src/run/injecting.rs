//! Errors that are injected into a session: before a step, in doubt of it, after it.
//!
//! Owns how each comes to the pod, and the proof that it did. The bytes are `fault`'s.

use super::error::RunError;
use super::real::Run;
use crate::conductor::Outcome;
use crate::conductor::{Aim, STANDS_STILL, World};
use crate::fault::InjectedError;
use crate::history::{Delivery, Ending, Request};
use crate::name::StepId;
use crate::schedule::{Point, effect_of};
use crate::wire::Handover;

impl Run<'_> {
    pub(super) async fn error(
        &mut self,
        aim: &Aim<'_>,
        sqlstate: &str,
    ) -> Result<Outcome, RunError> {
        if let (Point::InDoubt, Some(step)) = (aim.fault.point, aim.step) {
            return self.error_in_doubt(aim, step, sqlstate).await;
        }
        let error = InjectedError::new(sqlstate);
        let (Some(error), Some(name)) = (error, aim.connection.clone()) else {
            let why = format!("{sqlstate} is no SQLSTATE of an error");
            return Ok(self.note_fault(aim, Outcome::missed(why)));
        };
        if aim.fault.point == Point::After {
            let proxy = self.world.proxy(&name.pod);
            let sent =
                proxy.is_some_and(|proxy| proxy.close_after(&name, error.farewell()).is_ok());
            let outcome = if sent {
                Outcome::fired("FATAL error sent to the idle connection, then closed")
            } else {
                Outcome::absent("the connection had ended before")
            };
            let outcome = self.note_fault(aim, outcome);
            self.await_closed(&name).await?;
            return Ok(outcome);
        }
        let (Some(id), Some(statement)) = (aim.step, error.statement()) else {
            let why = format!("connection {name} has no step at the gate there");
            return Ok(self.note_fault(aim, Outcome::missed(why)));
        };
        if !self.world.can_look() {
            return Ok(self.note_fault(aim, Outcome::missed(STANDS_STILL)));
        }
        self.step_as(id, Handover::Replace(statement), Delivery::Replaced)
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
        Ok(self.note_fault(aim, outcome))
    }

    /// Has the server do a step and the pod get an error for it. An error says that nothing was done: the
    /// transaction that is open is aborted with it, and where the step was committed the pod hears, as
    /// from a server, that its session ended and nothing of the step.
    async fn error_in_doubt(
        &mut self,
        aim: &Aim<'_>,
        id: StepId,
        sqlstate: &str,
    ) -> Result<Outcome, RunError> {
        let error = InjectedError::new(sqlstate);
        let parts =
            error.and_then(|error| Some((error.answer(), error.statement()?, error.farewell())));
        let (Some((instead, abort, farewell)), Some(step)) = (parts, self.steps.get(&id)) else {
            let why = format!("{sqlstate} is no SQLSTATE of an error");
            return Ok(self.note_fault(aim, Outcome::missed(why)));
        };
        let name = step.connection.clone();
        let lasts = !is_read(&step.request);
        let handover = Handover::AnswerWith {
            instead,
            abort,
            unless_committed: lasts,
        };
        let ending = self.step_as(id, handover, Delivery::AnswerReplaced).await?;
        if ending != Some(Ending::Done) {
            // It is not to be replaced later either, when the fault is long over.
            self.pass_answer(id);
            let why = "the step waits on the server: there was no answer that could be replaced";
            return Ok(self.note_fault(aim, Outcome::missed(why)));
        }
        let answer = self.steps.get(&id).and_then(|step| step.answer.as_ref());
        let committed =
            answer.is_some_and(|answer| answer.transaction == Some('I') && answer.error.is_none());
        if !(lasts && committed) {
            let done = "the server did the step; its answer was replaced on the wire";
            return Ok(self.note_fault(aim, Outcome::fired(done)));
        }
        let proxy = self.world.proxy(&name.pod);
        let sent = proxy.is_some_and(|proxy| proxy.close_after(&name, farewell).is_ok());
        let mut aim = aim.clone();
        aim.connection = Some(name.clone());
        let outcome = if sent {
            let done = "the server did the step and committed it; in place of the answer a FATAL error \
                        was sent, and the connection closed";
            Outcome::fired(done).with(effect_of(&aim.fault.kind, true))
        } else {
            Outcome::absent("the connection had ended before")
        };
        let outcome = self.note_fault(&aim, outcome);
        self.await_closed(&name).await?;
        Ok(outcome)
    }

    /// Lets a held step go, with this in its place or in the place of its answer.
    async fn step_as(
        &mut self,
        id: StepId,
        handover: Handover,
        delivery: Delivery,
    ) -> Result<Option<Ending>, RunError> {
        self.step_by(id, delivery, |world, connection| {
            if let Some(proxy) = world.proxy(&connection.pod) {
                // A connection that ended in between has told so, or will.
                let _ = proxy.release(connection, handover);
            }
        })
        .await
    }

    /// Lets the answer to a step that still waits pass to its pod when it comes.
    fn pass_answer(&mut self, id: StepId) {
        let Some(step) = self.steps.get_mut(&id).filter(|step| !step.ended) else {
            return;
        };
        step.delivery = Delivery::Forwarded;
        if let Some(proxy) = self.world.proxy(&step.connection.pod) {
            // A connection that ended in between has nothing to pass.
            let _ = proxy.pass_answer(&step.connection);
        }
    }
}

/// Whether a step only read, or took or gave back advisory locks, which no error undoes.
fn is_read(request: &Request) -> bool {
    // What writes under these words is named, or opaque.
    let reads = |normal: &String| {
        let mut words = ["select ", "with ", "values ", "show "].iter();
        words.any(|word| normal.starts_with(word))
    };
    request.writes.is_empty() && !request.opaque && request.normal.iter().all(reads)
}
