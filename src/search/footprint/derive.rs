//! From a history to the footprint of each of its steps.
//!
//! Owns what only the run shows: what the witness saw, which locks came and went, where transactions
//! begin and end, which step is a pod's last.

use std::collections::{BTreeMap, BTreeSet};

use super::request::{Known, complete, footprint};
use super::steps::{Footprints, Step};
use super::touched::{Footprint, Held, LockUse, LockUseKind};
use crate::history::{Answer, Catalog, Delivery, Ending, Event, HeldLock, Line, Request, Write};
use crate::name::{ConnectionName, LockKey, PodName, StepId};
use crate::sql::{Kind, meaning};

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
fn steps_of(lines: &[Line], catalog: &Catalog) -> Vec<Step> {
    let witness = lines
        .iter()
        .any(|line| matches!(&line.event, Event::Run(run) if run.witness));
    let created = created(lines);
    let known = Known {
        catalog,
        created: &created,
        witness,
    };
    let mut book = Book::new(lines, known);
    for line in lines {
        book.read(&line.event);
    }
    book.close(lines)
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

/// What is kept while a history is read once.
struct Book<'a> {
    known: Known<'a>,
    requests: BTreeMap<StepId, (&'a ConnectionName, &'a Request)>,
    writes: BTreeMap<StepId, Vec<&'a Write>>,
    steps: Vec<Step>,
    place: BTreeMap<StepId, usize>,
    answers: BTreeMap<StepId, &'a Answer>,
    owner: BTreeMap<i32, &'a ConnectionName>,
    /// Locks that pods hold, by the last look at them.
    held: BTreeSet<Held>,
    /// The last step that a pod released.
    last: BTreeMap<&'a PodName, usize>,
    /// For each connection in a transaction what it has touched so far, and its steps.
    open: BTreeMap<&'a ConnectionName, (Footprint, Vec<usize>)>,
    /// Connections that asked for snapshots that outlive a statement.
    snapshots: BTreeSet<&'a ConnectionName>,
}

impl<'a> Book<'a> {
    fn new(lines: &'a [Line], known: Known<'a>) -> Self {
        let mut requests = BTreeMap::new();
        let mut writes: BTreeMap<StepId, Vec<&Write>> = BTreeMap::new();
        for line in lines {
            match &line.event {
                Event::StepHeld {
                    step,
                    connection,
                    request,
                } => {
                    requests.insert(*step, (connection, request));
                }
                Event::Write(write) => {
                    if let Some(step) = write.step {
                        writes.entry(step).or_default().push(write);
                    }
                }
                _ => {}
            }
        }
        Self {
            known,
            requests,
            writes,
            steps: Vec::new(),
            place: BTreeMap::new(),
            answers: BTreeMap::new(),
            owner: BTreeMap::new(),
            held: BTreeSet::new(),
            last: BTreeMap::new(),
            open: BTreeMap::new(),
            snapshots: BTreeSet::new(),
        }
    }

    fn read(&mut self, event: &'a Event) {
        match event {
            Event::SessionStarted {
                connection,
                session,
                ..
            } => {
                self.owner.insert(session.pid, connection);
            }
            Event::StepReleased {
                step,
                number,
                delivery,
                ..
            } => self.released(*step, *number, *delivery),
            Event::StepEnded {
                step,
                ending,
                answer,
                ..
            } => self.ended(*step, *ending, answer),
            Event::Locks { locks, .. } => self.locks(locks),
            Event::ConnectionClosed { connection, .. } | Event::SessionGone { connection, .. } => {
                self.gone(connection);
            }
            _ => {}
        }
    }

    fn released(&mut self, id: StepId, number: Option<u32>, delivery: Delivery) {
        let Some((connection, request)) = self.requests.get(&id).copied() else {
            return;
        };
        if self.place.contains_key(&id) {
            return;
        }
        let mut own = Footprint {
            held: self
                .held
                .iter()
                .filter(|held| held.connection.pod == connection.pod)
                .cloned()
                .collect(),
            ..Footprint::default()
        };
        if delivery != Delivery::Forwarded {
            own.everything = Some("a fault changed it or its answer".to_owned());
        }
        if is_isolation(request) || self.known.catalog.long_snapshots {
            self.snapshots.insert(connection);
        }
        let index = self.steps.len();
        self.place.insert(id, index);
        if number.is_some() {
            self.last.insert(&connection.pod, index);
        }
        self.steps.push(Step {
            id,
            pod: connection.pod.clone(),
            connection: connection.clone(),
            number,
            sql: request.sql.clone(),
            normal: request.normal.clone(),
            ending: None,
            blocked: false,
            error: None,
            footprint: Footprint::default(),
            own,
            effective: id,
        });
    }

    fn ended(&mut self, id: StepId, ending: Ending, answer: &'a Answer) {
        let Some(index) = self.place.get(&id).copied() else {
            return;
        };
        self.steps[index].blocked |= ending == Ending::Blocked;
        self.steps[index].ending = Some(ending);
        if !matches!(ending, Ending::Done | Ending::Gone) {
            return;
        }
        self.answers.insert(id, answer);
        self.steps[index].error = answer.error.as_ref().map(|error| error.sqlstate.clone());
        let mut own = self.touched(index);
        own.waited = self.steps[index].blocked;
        // What was seen while it was blocked stays.
        let seen = self.steps[index].own.locks.iter();
        own.locks
            .extend(seen.filter(|one| one.action == LockUseKind::Seen).cloned());
        self.steps[index].own = own.clone();
        self.steps[index].footprint = own;
        self.transaction(index, answer);
    }

    /// What a step that has ended touched by itself.
    fn touched(&mut self, index: usize) -> Footprint {
        let step = &self.steps[index];
        let Some((connection, request)) = self.requests.get(&step.id).copied() else {
            return step.own.clone();
        };
        let answer = self.answers.get(&step.id).copied();
        let mut own = footprint(request, answer, &self.known);
        own.held = step.own.held.clone();
        if own.everything.is_none() {
            own.everything.clone_from(&step.own.everything);
        }
        if step.ending == Some(Ending::Gone) || step.ending.is_none() {
            own.everything
                .get_or_insert_with(|| "it was never answered".to_owned());
        }
        if self.snapshots.contains(connection) {
            own.everything
                .get_or_insert_with(|| "its snapshots outlive a statement".to_owned());
        }
        for write in self.writes.get(&step.id).into_iter().flatten() {
            let operations = own.writes.entry(write.table.clone()).or_default();
            operations.insert(write.operation.clone());
            own.held.retain(|held| {
                write.locks.iter().any(|lock| {
                    lock.granted
                        && lock.mode == held.mode
                        && lock.key.same_key(&held.key)
                        && self.owner.get(&lock.pid).copied() == Some(&held.connection)
                })
            });
        }
        complete(&mut own, &self.known);
        own
    }

    /// Keeps account of the transaction that a step is in.
    fn transaction(&mut self, index: usize, answer: &Answer) {
        let Some((connection, request)) = self.requests.get(&self.steps[index].id).copied() else {
            return;
        };
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
        if !goes_on {
            let end = self.steps[index].id;
            for member in std::mem::take(members) {
                self.steps[member].effective = end;
            }
            self.open.remove(connection);
        }
    }

    /// Locks that came or went, by whatever way: the doing of the pod's last step.
    fn locks(&mut self, locks: &[HeldLock]) {
        let now: BTreeSet<Held> = locks
            .iter()
            .filter(|lock| lock.granted)
            .filter_map(|lock| {
                Some(Held {
                    key: LockKey {
                        server: 0,
                        database: 0,
                        ..lock.key
                    },
                    mode: lock.mode,
                    connection: (*self.owner.get(&lock.pid)?).clone(),
                })
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

    fn close(mut self, lines: &'a [Line]) -> Vec<Step> {
        for index in 0..self.steps.len() {
            if !matches!(self.steps[index].ending, Some(Ending::Done | Ending::Gone)) {
                let own = self.touched(index);
                let step = &mut self.steps[index];
                step.own.absorb(&own);
                step.footprint.absorb(&own);
                step.footprint
                    .everything
                    .get_or_insert_with(|| "it was never answered".to_owned());
            }
        }
        self.unattributed(lines);
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

    /// A driver's look-ups pass with the step before them.
    fn look_ups(&mut self) {
        let mut before: BTreeMap<PodName, usize> = BTreeMap::new();
        for index in 0..self.steps.len() {
            let pod = self.steps[index].pod.clone();
            if self.steps[index].number.is_some() {
                before.insert(pod, index);
            } else if let Some(step) = before.get(&pod).copied() {
                let own = self.steps[index].footprint.clone();
                self.steps[step].footprint.absorb(&own);
            }
        }
    }
}

/// Whether the text asks, or may ask, for another isolation level than READ COMMITTED.
fn is_isolation(request: &Request) -> bool {
    request.sql.iter().chain(&request.normal).any(|sql| {
        let text = sql.to_lowercase();
        text.contains("isolation")
            && !text.contains("read committed")
            && !text.contains("read uncommitted")
            || text.contains("repeatable read")
            || text.contains("serializable")
    })
}

fn is_rollback(request: &Request) -> bool {
    request.normal.iter().any(|form| {
        meaning(form, &[]).kinds.first() == Some(&Kind::Transaction)
            && (form.starts_with("rollback") || form.starts_with("abort"))
    })
}
