//! Which locks cover which of the tables that a job writes, where it is undisturbed.
//!
//! Owns that table of locks and tables. A job may guard one part of its work with one lock and another with another, or
//! leave a part without: it makes a partition under a lock, and then logs outside of it. Which lock is then judged is
//! decided elsewhere. Knows nothing of what is protected.

use std::collections::{BTreeMap, BTreeSet};

use super::likely_queue::{LikelyQueue, claimed_steps};
use super::row_guards::RowTimes;
use crate::history::{Event, Fate, Line, Operation, RowsRule, Write};
use crate::name::{ConnectionName, LockKey, StepId, TableName};
use crate::timeline::Timeline;

/// A lock with which a job may guard a part of its work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Guard {
    /// One that `pg_locks` shows, the database left aside.
    Key(LockKey),
    /// Rows of a table.
    Rows(RowsRule),
    /// Rows of a queue, claimed by their status.
    Queue(Box<LikelyQueue>),
}

/// What was written of a table while a lock was held.
#[derive(Debug, Clone, Copy)]
struct Cover {
    some: bool,
    all: bool,
}

/// What was written under locks, in all runs so far.
#[derive(Debug, Clone, Default)]
pub struct Coverage {
    guards: Vec<Guard>,
    /// For each table of which rows were changed, in the order of the guards.
    tables: BTreeMap<String, Vec<Cover>>,
    /// Whether anything was written under each at all, definitions included.
    any: Vec<bool>,
}

impl Coverage {
    /// Nothing yet, of these locks.
    #[must_use]
    pub fn of(guards: Vec<Guard>) -> Self {
        Self {
            any: vec![false; guards.len()],
            guards,
            tables: BTreeMap::new(),
        }
    }

    /// Takes a run into account.
    pub fn take(&mut self, timeline: &Timeline<'_>) {
        let shown: Vec<Shown<'_>> = self
            .guards
            .iter()
            .map(|guard| Shown::of(guard, timeline))
            .collect();
        for line in timeline.lines {
            let Event::Write(write) = &line.event else {
                continue;
            };
            let Some(connection) = &write.connection else {
                continue;
            };
            let own = locks_of(timeline, write, connection, line);
            let covers: Vec<bool> = shown
                .iter()
                .map(|one| one.covers(timeline, write, &own))
                .collect();
            for (any, covered) in self.any.iter_mut().zip(&covers) {
                *any |= covered;
            }
            for table in rows_of(write) {
                let known = self.tables.entry(table).or_insert_with(|| {
                    let none = Cover {
                        some: false,
                        all: true,
                    };
                    vec![none; covers.len()]
                });
                for (cover, covered) in known.iter_mut().zip(&covers) {
                    cover.some |= covered;
                    cover.all &= covered;
                }
            }
        }
    }

    /// The locks that were looked for.
    #[must_use]
    pub fn guards(&self) -> &[Guard] {
        &self.guards
    }

    /// The tables of which each row was written under this lock; those of a queue itself left aside.
    #[must_use]
    pub fn kept(&self, guard: &Guard) -> BTreeSet<String> {
        let Some(place) = self.guards.iter().position(|one| one == guard) else {
            return BTreeSet::new();
        };
        let kept = self.tables.iter().filter(|(_, covers)| covers[place].all);
        let own = |table: &&String| match guard {
            Guard::Queue(queue) => {
                TableName::new(table).may_mean(TableName::new(&queue.rule.table))
            }
            Guard::Key(_) | Guard::Rows(_) => false,
        };
        kept.map(|(table, _)| table)
            .filter(|table| !own(table))
            .cloned()
            .collect()
    }

    /// The tables of which no row was written under any of these locks; none, if nothing at all was.
    #[must_use]
    pub fn outside(&self, keys: &[LockKey]) -> Vec<String> {
        let is = |guard: &Guard| match guard {
            Guard::Key(own) => keys.iter().any(|key| key.same_key(own)),
            Guard::Rows(_) | Guard::Queue(_) => false,
        };
        let places: Vec<usize> = (0..self.guards.len())
            .filter(|place| is(&self.guards[*place]))
            .collect();
        if !places.iter().any(|place| self.any[*place]) {
            return Vec::new();
        }
        let tables = self.tables.iter();
        let outside = tables.filter(|(_, covers)| !places.iter().any(|place| covers[*place].some));
        outside.map(|(table, _)| table.clone()).collect()
    }
}

/// What a run shows of a lock.
enum Shown<'t> {
    Key(LockKey),
    Rows(RowTimes<'t>),
    /// The steps at which their pod has a row claimed.
    Queue(BTreeSet<StepId>),
}

impl<'t> Shown<'t> {
    fn of(guard: &Guard, timeline: &'t Timeline<'t>) -> Self {
        match guard {
            Guard::Key(key) => Self::Key(*key),
            Guard::Rows(rows) => Self::Rows(RowTimes::of(timeline, rows.table)),
            Guard::Queue(queue) => Self::Queue(claimed_steps(timeline, queue)),
        }
    }

    /// Whether a write was made under it; `own`: what its pod had of what `pg_locks` shows.
    fn covers(&self, timeline: &Timeline<'_>, write: &Write, own: &[LockKey]) -> bool {
        let step = write.step.and_then(|step| timeline.steps.get(&step));
        match self {
            Self::Key(key) => own.iter().any(|one| one.same_key(key)),
            Self::Rows(times) => step.is_some_and(|step| times.has(step)),
            Self::Queue(claimed) => step.is_some_and(|step| claimed.contains(&step.id)),
        }
    }
}

/// The locks that the writer's pod had granted at this write.
fn locks_of(
    timeline: &Timeline<'_>,
    write: &Write,
    connection: &ConnectionName,
    line: &Line,
) -> Vec<LockKey> {
    let own = |pid| {
        let owner = timeline.sessions.at(pid, write.server_us, line.seq);
        owner.is_some_and(|owner| owner.connection.pod == connection.pod)
    };
    let locks = timeline.locks_at(write, line.seq);
    locks
        .filter(|lock| lock.granted && own(lock.pid))
        .map(|lock| lock.key)
        .collect()
}

/// The tables of which a write put in, changed or took away rows, as far as that is known.
fn rows_of(write: &Write) -> BTreeSet<String> {
    let extent = &write.extent;
    if matches!(write.operation, Operation::Ddl(_)) || extent.fate == Some(Fate::RolledBack) {
        return BTreeSet::new();
    }
    let Some(changed) = &extent.changed else {
        return [write.table.clone()].into();
    };
    let some = changed.iter().filter(|one| one.rows > 0);
    some.flat_map(|one| std::iter::once(&one.table).chain(&one.above))
        .cloned()
        .collect()
}
