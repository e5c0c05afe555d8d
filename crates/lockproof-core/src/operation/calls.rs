//! What a step asks of locks, and what its answer says came of it.
//!
//! Owns what lock calls, the end of transactions and what drops all locks at once mean for operations.
//! What an answer says is read by `ledger`. Knows nothing of `pg_locks`.

use super::reading::Reading;
use super::step::Step;
use super::terms::{Action, By, Outcome, Place, Reason};
use crate::history::{Ending, LockAction, LockCall};
use crate::ledger::{LetGo, Said};
use crate::timeline::{EndingFacts, StepFacts};

/// What came of a call.
fn outcome<'a>(call: &LockCall, said: Said<'a>) -> (Outcome, Option<Reason<'a>>) {
    let refused = match call.action {
        LockAction::Unlock | LockAction::UnlockAll => Reason::NotHeld,
        LockAction::Lock | LockAction::TryLock => Reason::Refused,
    };
    match said {
        Said::Done => (Outcome::Ok, None),
        Said::Refused => (Outcome::Fail, Some(refused)),
        Said::Nothing | Said::Cut { .. } => (Outcome::Info, Some(Reason::NoAnswer)),
        // A lock of the session can be had all the same: a cancel that races the grant.
        Said::Failed {
            sqlstate,
            result,
            undone,
        } => match result {
            _ if undone => (Outcome::Fail, Some(Reason::Failed(sqlstate))),
            Some(false) => (Outcome::Fail, Some(refused)),
            Some(true) if !call.xact => (Outcome::Ok, None),
            _ => (Outcome::Info, Some(Reason::Failed(sqlstate))),
        },
    }
}

impl<'a> Reading<'a> {
    /// The server has the step: what it asks of locks is called. In free pacing that may have been as
    /// soon as it arrived.
    pub fn asked(&mut self, step: &StepFacts<'a>, here: Place) {
        let free = self.free;
        let called = if free { step.held.into() } else { here };
        let connection = self.connection(step.connection);
        let mut own = Step {
            connection,
            called,
            calls: Vec::new(),
            perhaps: Vec::new(),
        };
        if step.ran() {
            let request = step.request;
            let vague = request.lock_calls.iter().any(|call| call.key.is_none());
            if request.opaque || vague {
                let facts = &mut self.connections[connection];
                facts.opaque_from.get_or_insert(called);
                if free {
                    own.perhaps = self.may_release(connection, called);
                }
            }
            for (nth, call) in request.lock_calls.iter().enumerate() {
                let action = match call.action {
                    LockAction::Lock | LockAction::TryLock => Action::Acquire,
                    LockAction::Unlock => Action::Release,
                    LockAction::UnlockAll => continue,
                };
                let Some(key) = call.key.filter(|key| key.table().is_none()) else {
                    continue;
                };
                let slot = self.slot(connection, key, call.mode);
                let operation =
                    self.operation(slot, action, By::Client, called, None, Outcome::Info);
                let told = &mut self.operations[operation];
                told.step = Some(step.id);
                told.xact = Some(call.xact);
                told.session = step.session.or(told.session);
                if action == Action::Acquire {
                    self.slots[slot].waiting.push(operation);
                }
                own.calls.push((nth, operation));
            }
        }
        self.steps.insert(step.id, own);
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

    /// What came of a call. What was cut off with its session may still be done on the server.
    pub fn called(
        &mut self,
        (step, nth): (&StepFacts<'a>, usize),
        call: &LockCall,
        said: Said<'a>,
        here: Place,
    ) {
        let Some(own) = self.steps.get(&step.id) else {
            return;
        };
        let mut calls = own.calls.iter();
        let Some((_, operation)) = calls.find(|(place, _)| *place == nth).copied() else {
            return;
        };
        if let Said::Cut { .. } = said {
            self.connections[own.connection].orphans.push(operation);
        } else {
            let (outcome, reason) = outcome(call, said);
            self.finish(operation, outcome, reason, Some(here));
        }
    }

    /// A step let go of locks without naming them.
    pub fn let_go_by(&mut self, step: &StepFacts<'a>, cause: LetGo, certain: bool, here: Place) {
        if let Some(own) = self.steps.get(&step.id) {
            let (connection, called) = (own.connection, own.called);
            for slot in self.active(connection) {
                let which = self.which(slot, cause);
                self.release_all(slot, By::Client, (called, Some(here)), certain, which);
            }
        }
    }

    /// Nothing more comes of a step.
    pub fn over(&mut self, step: &StepFacts<'a>, end: &EndingFacts<'a>, here: Place) {
        if let Some(own) = self.steps.remove(&step.id)
            && end.ending == Ending::Done
        {
            for operation in own.perhaps {
                self.operations[operation].returned = Some(here);
            }
            self.connections[own.connection].alive = here;
        }
    }

    /// What the transaction's status after a step says of the locks that a transaction holds. An
    /// aborted one lets go at once, though not what it had before a savepoint.
    pub fn transaction(&mut self, step: &StepFacts<'a>, status: char, here: Place) {
        let Some(own) = self.steps.get(&step.id) else {
            return;
        };
        let (connection, called) = (own.connection, own.called);
        let facts = &mut self.connections[connection];
        match status {
            'I' => {
                let since = facts.failed_from.take().unwrap_or(called);
                for slot in self.active(connection) {
                    let which = self.which(slot, LetGo::Transaction);
                    self.release_all(slot, By::System, (since, Some(here)), true, which);
                }
            }
            'E' => {
                facts.failed_from.get_or_insert(called);
            }
            _ => facts.failed_from = None,
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
        let running = std::mem::take(&mut self.steps).into_values();
        let calls = running.flat_map(|step| step.calls);
        let mut unanswered: Vec<usize> = calls.map(|(_, operation)| operation).collect();
        for connection in &mut self.connections {
            unanswered.append(&mut connection.orphans);
        }
        for operation in unanswered {
            self.finish(operation, Outcome::Info, Some(Reason::NoAnswer), None);
        }
    }
}
