//! From a history to the footprint of each of its steps.
//!
//! Owns what only the run shows: what the witness saw, which locks came and went, where transactions
//! begin and end, which step is a pod's last.

use std::collections::{BTreeMap, BTreeSet};

use super::request::{Known, complete, footprint, is_isolation, is_rollback};
use super::steps::{Footprints, Step};
use super::touched::{Footprint, Held, LockUse, LockUseKind};
use super::waits::{Unknown, WaitLimits};
use crate::history::{
    Catalog, Delivery, Ending, Event, HeldLock, Line, PoolMode, Setting, Write, rows_told,
};
use crate::ledger::served;
use crate::name::{ConnectionName, PodName, StepId};
use crate::timeline::{EndingFacts, Happening, Snapshot, StepFacts, Timeline};

impl Footprints {
    /// The footprints of the steps of a run with these lines.
    #[must_use]
    pub fn of(lines: &[Line], catalog: &Catalog) -> Self {
        Self {
            steps: steps_of(lines, catalog),
        }
    }
}

/// The steps of a run with their footprints.
pub(super) fn steps_of(lines: &[Line], catalog: &Catalog) -> Vec<Step> {
    let timeline = Timeline::of(lines);
    let created = created(lines);
    let known = Known {
        catalog,
        created: &created,
        witness: timeline.run.is_some_and(|run| run.witness),
    };
    let mut book = Book::new(&timeline, known);
    for (_, happening) in timeline.happenings() {
        book.take(happening);
    }
    book.close()
}

/// Tables that a pod created while it ran; temporary ones are its own affair and stay unknown.
fn created(lines: &[Line]) -> BTreeSet<String> {
    lines
        .iter()
        .filter_map(|line| match &line.event {
            Event::Write(write)
                if write.connection.is_some() && !write.table.starts_with("pg_temp") =>
            {
                Some(write.table.clone())
            }
            _ => None,
        })
        .collect()
}

/// What is kept while a timeline is gone through once.
struct Book<'t, 'a> {
    known: Known<'t>,
    timeline: &'t Timeline<'a>,
    writes: BTreeMap<StepId, Vec<&'a Write>>,
    steps: Vec<Step>,
    place: BTreeMap<StepId, usize>,
    /// Places of the steps that only prepare.
    prepared: BTreeSet<usize>,
    /// Locks that pods hold, by the last look at them.
    held: BTreeSet<Held>,
    /// The last step that a pod released.
    last: BTreeMap<&'a PodName, usize>,
    /// For each connection in a transaction what it has touched so far, and its steps.
    open: BTreeMap<&'a ConnectionName, (Footprint, Vec<usize>)>,
    /// Connections that asked for snapshots that outlive a statement.
    snapshots: BTreeSet<&'a ConnectionName>,
    /// What the start-up messages of connections set.
    asked: BTreeMap<&'a ConnectionName, &'a [Setting]>,
    /// The limits that sessions have.
    limits: BTreeMap<&'a ConnectionName, WaitLimits>,
    /// With which limits later sessions begin is not known of these,
    later: Unknown,
    /// nor, where a pooler gives server connections to one pod after the other, with which limits it gives them.
    left: Unknown,
    shares_sessions: bool,
}

impl<'t, 'a> Book<'t, 'a> {
    fn new(timeline: &'t Timeline<'a>, known: Known<'t>) -> Self {
        let mut writes: BTreeMap<StepId, Vec<&Write>> = BTreeMap::new();
        for line in timeline.lines {
            if let Event::Write(write) = &line.event
                && let Some(step) = write.step
            {
                writes.entry(step).or_default().push(write);
            }
        }
        let pooler = timeline.run.and_then(|run| run.pooler.as_ref());
        Self {
            known,
            timeline,
            writes,
            steps: Vec::new(),
            place: BTreeMap::new(),
            prepared: BTreeSet::new(),
            held: BTreeSet::new(),
            last: BTreeMap::new(),
            open: BTreeMap::new(),
            snapshots: BTreeSet::new(),
            asked: BTreeMap::new(),
            limits: BTreeMap::new(),
            later: Unknown::default(),
            left: Unknown::default(),
            shares_sessions: pooler.is_some_and(|pooler| pooler.settings.mode != PoolMode::Session),
        }
    }

    fn take(&mut self, happening: Happening<'t, 'a>) {
        match happening {
            Happening::Released(step) => self.released(step),
            Happening::Ended(step, end) => self.ended(step, end),
            Happening::Locks(snapshot) => self.locks(snapshot),
            Happening::Other(Event::ConnectionSettings {
                connection,
                settings,
            }) => {
                self.asked.insert(connection, settings);
            }
            Happening::Other(
                Event::ConnectionClosed { connection, .. } | Event::SessionGone { connection, .. },
            ) => self.gone(connection),
            _ => {}
        }
    }

    fn released(&mut self, step: &StepFacts<'a>) {
        if self.place.contains_key(&step.id) {
            return;
        }
        let (id, connection, request) = (step.id, step.connection, step.request);
        let mut own = Footprint {
            held: self
                .held
                .iter()
                .filter(|held| held.connection.pod == connection.pod)
                .cloned()
                .collect(),
            ..Footprint::default()
        };
        if step.delivery != Delivery::Forwarded {
            own.everything = Some("a fault changed it or its answer".to_owned());
        }
        let asked = self.asked.get(connection).copied().unwrap_or_default();
        let began: Vec<&Setting> = self.known.catalog.settings.iter().chain(asked).collect();
        let long = began.iter().rev().find_map(|one| one.long_snapshots());
        if is_isolation(request) || long == Some(true) {
            self.snapshots.insert(connection);
        }
        let limits = self.limits.entry(connection);
        let limits = limits.or_insert_with(|| WaitLimits::of(&began, &self.later));
        if !self.open.contains_key(connection) {
            limits.may_be(&self.left);
        }
        let waits_end = limits.sent(request, step.delivery);
        self.later.note(request);
        let index = self.steps.len();
        self.place.insert(id, index);
        if request.prepares {
            self.prepared.insert(index);
        }
        if step.number.is_some() {
            self.last.insert(&connection.pod, index);
        }
        self.steps.push(Step {
            id,
            pod: connection.pod.clone(),
            connection: connection.clone(),
            number: step.number,
            sql: request.sql.clone(),
            normal: request.normal.clone(),
            ending: None,
            blocked: false,
            rows: 0,
            waits_end,
            error: None,
            footprint: Footprint::default(),
            own,
            effective: id,
        });
    }

    fn ended(&mut self, step: &'t StepFacts<'a>, end: &EndingFacts<'a>) {
        let Some(index) = self.place.get(&step.id).copied() else {
            return;
        };
        let (ending, answer) = (end.ending, end.answer);
        self.steps[index].blocked |= ending == Ending::Blocked;
        let told = end.answer.tags.iter().filter_map(|tag| rows_told(tag));
        self.steps[index].rows = told.max().unwrap_or(0).max(self.steps[index].rows);
        self.steps[index].ending = Some(ending);
        if !matches!(ending, Ending::Done | Ending::Gone) {
            return;
        }
        self.steps[index].error = answer.error.as_ref().map(|error| error.sqlstate.clone());
        let mut own = self.touched(step, index);
        own.waited = self.steps[index].blocked;
        // What was seen while it was blocked stays.
        let seen = self.steps[index].own.locks.iter();
        own.locks
            .extend(seen.filter(|one| one.action == LockUseKind::Seen).cloned());
        self.steps[index].own = own.clone();
        self.steps[index].footprint = own;
        self.transaction(step, index, end);
    }

    /// What a step that has ended touched by itself.
    fn touched(&mut self, facts: &StepFacts<'a>, index: usize) -> Footprint {
        let step = &self.steps[index];
        let last = facts.last();
        let answer = last.map(|end| end.answer);
        let mut own = footprint(facts.request, answer, &self.known);
        own.held = step.own.held.clone();
        if own.everything.is_none() {
            own.everything.clone_from(&step.own.everything);
        }
        if step.ending == Some(Ending::Gone) || step.ending.is_none() {
            own.everything
                .get_or_insert_with(|| "it was never answered".to_owned());
        }
        if self.snapshots.contains(facts.connection) {
            own.everything
                .get_or_insert_with(|| "its snapshots outlive a statement".to_owned());
        }
        let until = last.map_or(u64::MAX, |end| end.at.seq);
        let sessions = &self.timeline.sessions;
        let of = |lock: &HeldLock, write: &Write, held: &Held| {
            let owner = sessions.at(lock.pid, write.server_us, until);
            owner.is_some_and(|owner| *owner.connection == held.connection)
        };
        for write in self.writes.get(&step.id).into_iter().flatten() {
            let operations = own.writes.entry(write.table.clone()).or_default();
            operations.insert(write.operation.clone());
            own.held.retain(|held| {
                write.locks.iter().any(|lock| {
                    lock.granted
                        && lock.mode == held.mode
                        && lock.key.same_key(&held.key)
                        && of(lock, write, held)
                })
            });
        }
        complete(&mut own, &self.known);
        own
    }

    /// Keeps account of the transaction that a step is in.
    fn transaction(&mut self, step: &StepFacts<'a>, index: usize, end: &EndingFacts<'_>) {
        let (connection, request, answer) = (step.connection, step.request, end.answer);
        let was_open = self.open.contains_key(connection);
        let (sum, members) = self.open.entry(connection).or_default();
        sum.absorb(&self.steps[index].own);
        members.push(index);
        let goes_on = matches!(answer.transaction, Some('T' | 'E'));
        // An error gives the locks of its (sub)transaction back at once, and so does ROLLBACK TO.
        let lets_go = was_open && (answer.error.is_some() || is_rollback(request));
        if !goes_on || lets_go {
            let whole = sum.clone();
            self.steps[index].footprint.absorb(&whole);
            self.steps[index].footprint.ends_transaction = was_open;
        }
        if let Some(limits) = self.limits.get_mut(connection) {
            limits.answered(answer);
            if self.shares_sessions {
                self.left.add(limits.changed());
            }
        }
        if !goes_on {
            let end = self.steps[index].id;
            for member in std::mem::take(members) {
                self.steps[member].effective = end;
            }
            self.open.remove(connection);
        }
    }

    /// Locks that came or went, by whatever way: the doing of the pod's last step. Behind a pooler a
    /// backend that is given to another pod takes its locks along: then the steps of both conflict, as
    /// they must, for which of them gets the backend depends on their order.
    fn locks(&mut self, snapshot: &Snapshot<'a>) {
        let granted = served(self.timeline, snapshot).filter(|(lock, _)| lock.granted);
        let now: BTreeSet<Held> = granted
            .map(|(lock, connection)| Held {
                key: lock.key.anywhere(),
                mode: lock.mode,
                connection: connection.clone(),
            })
            .collect();
        let changed: Vec<Held> = self.held.symmetric_difference(&now).cloned().collect();
        for held in changed {
            let Some(index) = self.last.get(&held.connection.pod).copied() else {
                continue;
            };
            let seen = LockUse {
                action: LockUseKind::Seen,
                mode: held.mode,
                xact: false,
                key: Some(held.key),
                result: None,
            };
            let step = &mut self.steps[index];
            let called = |uses: &[LockUse]| {
                uses.iter()
                    .any(|one| one.key.is_some_and(|key| key.same_key(&held.key)))
            };
            for footprint in [&mut step.own, &mut step.footprint] {
                if !called(&footprint.locks) {
                    footprint.locks.push(seen.clone());
                }
            }
        }
        self.held = now;
    }

    /// A connection is gone, and what it had open is rolled back.
    fn gone(&mut self, connection: &ConnectionName) {
        let Some((sum, members)) = self.open.remove(connection) else {
            return;
        };
        if let Some(index) = self.last.get(&connection.pod).copied() {
            self.steps[index].footprint.absorb(&sum);
            self.steps[index].footprint.ends_transaction = true;
            let end = self.steps[index].id;
            for member in members {
                self.steps[member].effective = end;
            }
        }
    }

    fn close(mut self) -> Vec<Step> {
        let timeline = self.timeline;
        for index in 0..self.steps.len() {
            let over = matches!(self.steps[index].ending, Some(Ending::Done | Ending::Gone));
            if !over && let Some(facts) = timeline.steps.get(&self.steps[index].id) {
                let own = self.touched(facts, index);
                let step = &mut self.steps[index];
                step.own.absorb(&own);
                step.footprint.absorb(&own);
                step.footprint
                    .everything
                    .get_or_insert_with(|| "it was never answered".to_owned());
            }
        }
        self.unattributed(timeline.lines);
        self.look_ups();
        for index in self.last.values() {
            self.steps[*index].footprint.ends_pod = true;
            self.steps[*index].own.ends_pod = true;
        }
        self.steps
    }

    /// A write whose step is not known may be of any step of its connection.
    fn unattributed(&mut self, lines: &[Line]) {
        for line in lines {
            let Event::Write(write) = &line.event else {
                continue;
            };
            let (None, Some(connection)) = (write.step, &write.connection) else {
                continue;
            };
            for step in &mut self.steps {
                if step.connection == *connection {
                    let why = format!("it may have written {}", write.table);
                    step.own.everything.get_or_insert(why.clone());
                    step.footprint.everything.get_or_insert(why);
                }
            }
        }
    }

    /// A driver's look-ups pass with the step before them, preparations with the one after them.
    fn look_ups(&mut self) {
        let mut after: BTreeMap<PodName, usize> = BTreeMap::new();
        for index in (0..self.steps.len()).rev() {
            let pod = self.steps[index].pod.clone();
            if self.steps[index].number.is_some() {
                after.insert(pod, index);
            } else if self.prepared.contains(&index)
                && let Some(step) = after.get(&pod).copied()
            {
                let own = self.steps[index].footprint.clone();
                self.steps[step].footprint.absorb(&own);
            }
        }
        let mut before: BTreeMap<PodName, usize> = BTreeMap::new();
        for index in 0..self.steps.len() {
            let pod = self.steps[index].pod.clone();
            if self.steps[index].number.is_some() {
                before.insert(pod, index);
            } else if !self.prepared.contains(&index)
                && let Some(step) = before.get(&pod).copied()
            {
                let own = self.steps[index].footprint.clone();
                self.steps[step].footprint.absorb(&own);
            }
        }
    }
}
