//! What a step asks of locks, and what its answer says came of it.
//!
//! Owns the outcomes of lock calls, the end of transactions, and what drops all locks at once. Knows
//! nothing of `pg_locks`.

use super::reading::Reading;
use super::step::Step;
use super::terms::{Action, By, Outcome, Place, Reason};
use crate::history::{Answer, Delivery, Ending, LockAction, LockCall, Request};
use crate::name::{Session, StepId};

/// What came of a call, by its step's answer.
fn outcome<'a>(
    call: &LockCall,
    request: &Request,
    answer: &'a Answer,
    result: Option<bool>,
) -> (Outcome, Option<Reason<'a>>) {
    let refused = match call.action {
        LockAction::Unlock | LockAction::UnlockAll => Reason::NotHeld,
        LockAction::Lock | LockAction::TryLock => Reason::Refused,
    };
    let Some(error) = &answer.error else {
        let made = call.whole && !answer.gave_nothing();
        return match (call.action, result) {
            (LockAction::Lock, _) if made => (Outcome::Ok, None),
            (_, Some(true)) => (Outcome::Ok, None),
            (_, Some(false)) => (Outcome::Fail, Some(refused)),
            (_, None) => (Outcome::Info, Some(Reason::NoAnswer)),
        };
    };
    let reason = Some(Reason::Failed(&error.sqlstate));
    let alone = request.sql.len() == 1 && request.lock_calls.len() == 1;
    // An aborted transaction does nothing that it is asked. What a transaction was to hold goes with its
    // statement. A lock of the session can be had all the same: a cancel that races the grant.
    let undone = alone && (error.sqlstate == "25P02" || call.xact);
    match result {
        _ if undone => (Outcome::Fail, reason),
        Some(false) => (Outcome::Fail, Some(refused)),
        Some(true) if !call.xact => (Outcome::Ok, None),
        _ => (Outcome::Info, reason),
    }
}

impl<'a> Reading<'a> {
    pub fn step_held(&mut self, id: StepId, connection: usize, request: &'a Request, here: Place) {
        self.steps.entry(id).or_insert(Step {
            connection,
            request,
            called: None,
            held: here,
            calls: Vec::new(),
            perhaps: Vec::new(),
            ran: true,
        });
    }

    pub fn step_dropped(&mut self, id: StepId) {
        if self
            .steps
            .get(&id)
            .is_some_and(|step| step.called.is_none())
        {
            self.steps.remove(&id);
        }
    }

    /// The server has the step: what it asks of locks is called. In free pacing that may have been as
    /// soon as it arrived.
    pub fn step_released(
        &mut self,
        id: StepId,
        session: Option<Session>,
        delivery: Delivery,
        here: Place,
    ) {
        let free = self.free;
        let Some(step) = self.steps.get_mut(&id).filter(|step| step.called.is_none()) else {
            return;
        };
        let called = if free { step.held } else { here };
        step.called = Some(called);
        step.ran = delivery != Delivery::Replaced;
        if !step.ran {
            return;
        }
        let (connection, request) = (step.connection, step.request);
        let mut perhaps = Vec::new();
        let vague = request.lock_calls.iter().any(|call| call.key.is_none());
        if request.opaque || vague {
            let facts = &mut self.connections[connection];
            facts.opaque_from.get_or_insert(called);
            if free {
                perhaps = self.may_release(connection, called);
            }
        }
        let mut calls = Vec::new();
        for (i, call) in request.lock_calls.iter().enumerate() {
            let action = match call.action {
                LockAction::Lock | LockAction::TryLock => Action::Acquire,
                LockAction::Unlock => Action::Release,
                LockAction::UnlockAll => continue,
            };
            let Some(key) = call.key else { continue };
            let slot = self.slot(connection, key, call.mode);
            let operation = self.operation(slot, action, By::Client, called, None, Outcome::Info);
            let told = &mut self.operations[operation];
            told.step = Some(id);
            told.xact = Some(call.xact);
            told.session = session.or(told.session);
            if action == Action::Acquire {
                self.slots[slot].waiting.push(operation);
            }
            calls.push((i, operation));
        }
        if let Some(step) = self.steps.get_mut(&id) {
            step.calls = calls;
            step.perhaps = perhaps;
        }
    }

    /// A step that does not tell may have given back all that its session has. Where `pg_locks` is
    /// read at every boundary, that tells.
    fn may_release(&mut self, connection: usize, called: Place) -> Vec<usize> {
        let mut perhaps = Vec::new();
        for slot in self.active(connection) {
            for _ in 0..self.slots[slot].units.len() {
                perhaps.push(self.operation(
                    slot,
                    Action::Release,
                    By::Unseen,
                    called,
                    None,
                    Outcome::Info,
                ));
                self.slots[slot].blurred = true;
            }
        }
        perhaps
    }

    pub fn step_ended(&mut self, id: StepId, ending: Ending, answer: &'a Answer, here: Place) {
        if !matches!(ending, Ending::Done | Ending::Gone) {
            return;
        }
        let free = self.free;
        if free
            && self
                .steps
                .get(&id)
                .is_some_and(|step| step.called.is_none())
        {
            self.step_released(id, None, Delivery::Forwarded, here);
        }
        let Some(step) = self.steps.remove(&id) else {
            return;
        };
        let Some(called) = step.called else { return };
        if ending == Ending::Gone {
            let calls = step.calls.iter().map(|(_, operation)| *operation);
            self.connections[step.connection].orphans.extend(calls);
            return;
        }
        for (i, operation) in &step.calls {
            let call = &step.request.lock_calls[*i];
            let result = answer.lock_results.get(*i).copied().flatten();
            let (outcome, reason) = outcome(call, step.request, answer, result);
            self.finish(*operation, outcome, reason, Some(here));
        }
        for operation in &step.perhaps {
            self.operations[*operation].returned = Some(here);
        }
        let clean = answer.error.is_none();
        let unlocks_all = step
            .request
            .lock_calls
            .iter()
            .any(|call| call.action == LockAction::UnlockAll);
        if step.ran && (unlocks_all || (step.discards() && clean)) {
            for slot in self.active(step.connection) {
                let kept = |xact| xact != Some(true);
                self.release_all(slot, By::Client, (called, Some(here)), clean, kept);
            }
        }
        self.transaction(step.connection, answer.transaction, called, here);
        self.connections[step.connection].alive = here;
    }

    /// What the transaction's status after a step says of the locks that a transaction holds. An
    /// aborted one lets go at once, though not what it had before a savepoint.
    fn transaction(&mut self, connection: usize, status: Option<char>, called: Place, here: Place) {
        let facts = &mut self.connections[connection];
        match status {
            Some('I') => {
                let since = facts.failed_from.take().unwrap_or(called);
                for slot in self.active(connection) {
                    let xact = |xact| xact == Some(true);
                    self.release_all(slot, By::System, (since, Some(here)), true, xact);
                }
            }
            Some('E') => {
                facts.failed_from.get_or_insert(called);
            }
            Some(_) => facts.failed_from = None,
            None => {}
        }
    }

    /// A call of a pod has come to its end.
    pub fn finish(
        &mut self,
        operation: usize,
        outcome: Outcome,
        reason: Option<Reason<'a>>,
        returned: Option<Place>,
    ) {
        let told = &mut self.operations[operation];
        told.outcome = outcome;
        told.reason = reason;
        told.returned = returned;
        let (action, key, mode, called) = (told.action, told.key, told.mode, told.called);
        let here = returned.unwrap_or(called);
        let name = told.connection;
        let connection = self.connection(name);
        let slot = self.slot(connection, key, mode);
        self.slots[slot].waiting.retain(|one| *one != operation);
        self.slots[slot].changed = here;
        let gone = self.connections[connection].gone;
        match (action, outcome) {
            (_, Outcome::Fail) => {}
            // Its session is gone already, and took it along.
            (Action::Acquire, Outcome::Ok) if gone => {
                self.operation(
                    slot,
                    Action::Release,
                    By::System,
                    called,
                    returned,
                    Outcome::Info,
                );
            }
            (Action::Acquire, Outcome::Ok) => self.taken(slot, operation),
            (Action::Acquire, Outcome::Info) => {
                self.slots[slot].maybe.push(operation);
                self.recount(slot);
            }
            (Action::Release, Outcome::Info) => self.slots[slot].blurred = true,
            (Action::Release, Outcome::Ok) => self.unlocked(slot, here),
        }
    }

    /// An unlock was done: of what was surely held, else of what may have been, else of what was
    /// taken where the text does not tell.
    fn unlocked(&mut self, slot: usize, here: Place) {
        if let Some(i) = self.slots[slot].unlocked(&self.operations) {
            self.slots[slot].units.remove(i);
        } else if !self.slots[slot].maybe.is_empty() {
            self.slots[slot].maybe.remove(0);
        } else if let Some(since) = self.connections[self.slots[slot].connection].opaque_from {
            self.operation(
                slot,
                Action::Acquire,
                By::Unseen,
                since,
                Some(here),
                Outcome::Ok,
            );
        }
        self.recount(slot);
    }

    /// Steps and calls that have not ended at the end of the history.
    pub fn forget_running(&mut self) {
        let mut unanswered: Vec<usize> = Vec::new();
        let mut running: Vec<StepId> = self.steps.keys().copied().collect();
        running.sort_unstable();
        for id in running {
            // In free pacing what was not dropped has passed when it arrived.
            if self.free {
                self.step_released(id, None, Delivery::Forwarded, Place::default());
            }
            if let Some(step) = self.steps.remove(&id) {
                unanswered.extend(step.calls.iter().map(|(_, operation)| *operation));
            }
        }
        for connection in &mut self.connections {
            unanswered.append(&mut connection.orphans);
        }
        for operation in unanswered {
            self.finish(operation, Outcome::Info, Some(Reason::NoAnswer), None);
        }
    }
}
