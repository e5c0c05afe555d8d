//! A history, read as operations on locks.
//!
//! Owns the pass over the events of the ledger: which connection and which lock an event is about, and
//! what the end of a session does. What a step's answer means is the business of `calls`, what
//! `pg_locks` shows that of `locks`.
//!
//! Whatever is not known widens an operation and never narrows it: it is called no later and returns no
//! earlier than it can have been. So two operations that are told to exclude each other do.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::slot::{Connection, Slot};
use super::step::Step;
use super::terms::{Action, By, LockOperation, Outcome, Place, Reason};
use crate::history::{Line, RunFacts};
use crate::ledger::{LedgerEvent, LetGo, LockKind, ledger_events};
use crate::name::{ConnectionName, LockKey, LockMode, Session, StepId};
use crate::timeline::Timeline;

/// All operations on advisory locks of the run's database by pods' sessions, in no order.
#[must_use]
pub fn operations<'a>(lines: &'a [Line], run: &'a RunFacts) -> Vec<LockOperation<'a>> {
    operations_of(&Timeline::of_run(lines, Some(run)))
}

/// The same, of a history that has been read.
pub fn operations_of<'a>(timeline: &Timeline<'a>) -> Vec<LockOperation<'a>> {
    let mut reading = Reading {
        free: timeline.is_free(),
        database: timeline.database(),
        complete: timeline.complete,
        operations: Vec::new(),
        connections: Vec::new(),
        by_name: HashMap::new(),
        by_session: HashMap::new(),
        slots: Vec::new(),
        by_slot: HashMap::new(),
        held: BTreeSet::new(),
        steps: BTreeMap::new(),
        snapshots: 0,
        last_snapshot: Place::default(),
    };
    ledger_events(timeline, |at, event| {
        reading.take(at.into(), event, timeline);
    });
    reading.end();
    reading.operations
}

/// The pass over a history.
pub(super) struct Reading<'a> {
    pub free: bool,
    pub database: u32,
    pub operations: Vec<LockOperation<'a>>,
    pub connections: Vec<Connection<'a>>,
    by_name: HashMap<&'a ConnectionName, usize>,
    by_session: HashMap<Session, usize>,
    pub slots: Vec<Slot>,
    by_slot: HashMap<(usize, LockKey, LockMode), usize>,
    /// Slots that surely hold something.
    pub held: BTreeSet<usize>,
    /// Steps that the server has and that have not ended.
    pub steps: BTreeMap<StepId, Step>,
    /// How many snapshots of `pg_locks` there were.
    pub snapshots: u64,
    pub last_snapshot: Place,
    /// Whether the history has its last line.
    complete: bool,
}

impl<'a> Reading<'a> {
    fn take(&mut self, here: Place, event: LedgerEvent<'_, 'a>, timeline: &Timeline<'a>) {
        match event {
            LedgerEvent::Asked(step) => self.asked(step, here),
            LedgerEvent::Called(step, nth, call, said) => {
                self.called((step, nth), call, said, here)
            }
            LedgerEvent::LetGo(step, cause, certain) => self.let_go_by(step, cause, certain, here),
            LedgerEvent::Transaction(step, status) => self.transaction(step, status, here),
            LedgerEvent::Over(step, end) => self.over(step, end, here),
            LedgerEvent::Shown(snapshot) => self.snapshot(snapshot, &timeline.sessions, here),
            LedgerEvent::SessionStarted(connection, session) => {
                self.session_started(connection, session, here);
            }
            LedgerEvent::SessionGone(connection, session) => {
                let known = self.by_session.get(&session).copied();
                let connection = known.unwrap_or_else(|| self.connection(connection));
                self.session_gone(connection, here);
            }
            LedgerEvent::Closed(connection) => {
                let connection = self.connection(connection);
                self.connection_closed(connection);
            }
        }
    }

    /// The place of a connection that has been heard of.
    pub fn known(&self, name: &ConnectionName) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    pub fn connection(&mut self, name: &'a ConnectionName) -> usize {
        *self.by_name.entry(name).or_insert_with(|| {
            self.connections.push(Connection {
                name,
                session: None,
                shared: false,
                active: BTreeSet::new(),
                orphans: Vec::new(),
                alive: Place::default(),
                failed_from: None,
                opaque_from: None,
                closed: false,
                gone: false,
            });
            self.connections.len() - 1
        })
    }

    /// Two servers, before and after a promotion, are to be one lock: that they are not is what a
    /// reader is to see.
    pub fn slot(&mut self, connection: usize, key: LockKey, mode: LockMode) -> usize {
        let key = LockKey {
            server: 0,
            database: self.database,
            ..key
        };
        if let Some(place) = self.by_slot.get(&(connection, key, mode)) {
            return *place;
        }
        let place = self.slots.len();
        self.slots.push(Slot {
            connection,
            key,
            mode,
            units: Vec::new(),
            maybe: Vec::new(),
            waiting: Vec::new(),
            blurred: false,
            shown: None,
            in_snapshot: 0,
            changed: Place::default(),
        });
        self.by_slot.insert((connection, key, mode), place);
        place
    }

    /// A new operation on a slot.
    pub fn operation(
        &mut self,
        slot: usize,
        action: Action,
        by: By,
        called: Place,
        returned: Option<Place>,
        outcome: Outcome,
    ) -> usize {
        let Slot {
            connection,
            key,
            mode,
            ..
        } = self.slots[slot];
        let connection = &self.connections[connection];
        self.operations.push(LockOperation {
            connection: connection.name,
            session: connection.session,
            step: None,
            key,
            mode,
            xact: None,
            action,
            by,
            called,
            returned,
            outcome,
            reason: (outcome == Outcome::Info).then_some(Reason::NoAnswer),
        });
        self.operations.len() - 1
    }

    /// An acquire that was done is counted.
    pub fn taken(&mut self, slot: usize, operation: usize) {
        self.slots[slot].units.push(operation);
        self.recount(slot);
    }

    /// Keeps the books of which slots have something.
    pub fn recount(&mut self, place: usize) {
        let slot = &self.slots[place];
        let active = &mut self.connections[slot.connection].active;
        if slot.units.is_empty() && slot.maybe.is_empty() {
            active.remove(&place);
        } else {
            active.insert(place);
        }
        if slot.units.is_empty() {
            self.held.remove(&place);
        } else {
            self.held.insert(place);
        }
    }

    /// The slots of a connection that have something, surely or perhaps.
    pub fn active(&self, connection: usize) -> Vec<usize> {
        self.connections[connection]
            .active
            .iter()
            .copied()
            .collect()
    }

    /// Which holds of a slot this ends.
    pub fn which(&self, slot: usize, cause: LetGo) -> impl Fn(Option<bool>) -> bool + use<'a> {
        let kind = LockKind::of(&self.slots[slot].key);
        move |xact| kind.ends_by(cause, xact)
    }

    /// Releases of all that a slot has and that `which` means, not asked for one by one. Where it is
    /// not certain that they were done, they may have been. (What may have been taken needs none.)
    pub fn release_all(
        &mut self,
        slot: usize,
        by: By,
        (called, returned): (Place, Option<Place>),
        certain: bool,
        which: impl Fn(Option<bool>) -> bool,
    ) {
        let operations = &self.operations;
        let facts = &mut self.slots[slot];
        let all = std::mem::take(&mut facts.units).into_iter();
        let (units, kept): (Vec<usize>, Vec<usize>) =
            all.partition(|unit| which(operations[*unit].xact));
        facts.units = kept;
        facts.maybe.retain(|unit| !which(operations[*unit].xact));
        if !units.is_empty() {
            let certain = certain && !facts.blurred;
            facts.blurred |= !certain;
            facts.changed = facts.changed.max(returned.unwrap_or(called));
            let outcome = if certain { Outcome::Ok } else { Outcome::Info };
            for unit in units {
                let called = called.max(self.operations[unit].called);
                self.operation(slot, Action::Release, by, called, returned, outcome);
            }
        }
        self.recount(slot);
    }

    fn session_started(&mut self, name: &'a ConnectionName, session: Session, here: Place) {
        let connection = self.connection(name);
        if let Some(other) = self.by_session.insert(session, connection)
            && other != connection
        {
            self.connections[other].shared = true;
            self.connections[connection].shared = true;
        }
        let facts = &mut self.connections[connection];
        // Behind a pooler a connection has one session after the other.
        facts.shared |= facts.session.is_some_and(|one| one != session);
        facts.session = Some(session);
        facts.alive = here;
    }

    /// The server has let go of everything that the session had.
    fn session_gone(&mut self, connection: usize, here: Place) {
        if self.connections[connection].shared {
            return;
        }
        self.connections[connection].gone = true;
        let since = self.connections[connection].alive.after();
        for slot in self.active(connection) {
            // An unlock whose answer is still to be written down may have come first.
            let certain = !self.is_being_released(slot);
            let which = self.which(slot, LetGo::Session);
            self.release_all(slot, By::System, (since, Some(here)), certain, which);
        }
    }

    fn connection_closed(&mut self, connection: usize) {
        self.connections[connection].closed = true;
        // Whether a pooler kept the session, and the lock with it, is not told.
        if self.connections[connection].shared {
            self.let_go(connection);
        }
    }

    /// A connection of which nothing more is heard may have lost everything since it was last
    /// known to be alive.
    fn let_go(&mut self, connection: usize) {
        let since = self.connections[connection].alive.after();
        for slot in self.active(connection) {
            let which = self.which(slot, LetGo::Session);
            self.release_all(slot, By::System, (since, None), false, which);
        }
    }

    /// The history is at its end: what has not returned never will.
    fn end(&mut self) {
        self.forget_running();
        for connection in 0..self.connections.len() {
            let facts = &self.connections[connection];
            // Of a history that was cut, the end is not known.
            if !facts.gone && (facts.closed || !self.complete) {
                self.let_go(connection);
            }
        }
    }
}
