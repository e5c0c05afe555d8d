//! Tables that a job writes outside of its locks alone, where it is undisturbed.
//!
//! Owns that list. A job may guard a part of its work: it makes a partition under a lock, and then logs without one.
//! A table of which some rows are written under a lock, and some not, is none of these. Knows nothing of what is
//! protected.

use std::collections::BTreeSet;

use crate::history::{Event, Fate, Operation, Write};
use crate::name::LockKey;
use crate::timeline::Timeline;

/// What was written under locks and outside of them, in all runs so far.
#[derive(Debug, Default)]
pub struct OutsideLocks {
    under: BTreeSet<String>,
    outside: BTreeSet<String>,
    /// Whether anything was written under a lock, definitions included.
    guards: bool,
}

impl OutsideLocks {
    /// Takes a run into account; `keys` are the job's locks, the database left aside.
    pub fn take(&mut self, timeline: &Timeline<'_>, keys: &[LockKey]) {
        for line in timeline.lines {
            let Event::Write(write) = &line.event else {
                continue;
            };
            let Some(connection) = &write.connection else {
                continue;
            };
            let own = |pid| {
                let owner = timeline.sessions.at(pid, write.server_us, line.seq);
                owner.is_some_and(|owner| owner.connection.pod == connection.pod)
            };
            let held = timeline.locks_at(write, line.seq).any(|lock| {
                lock.granted && keys.iter().any(|key| key.same_key(&lock.key)) && own(lock.pid)
            });
            self.guards |= held;
            let known = match held {
                true => &mut self.under,
                false => &mut self.outside,
            };
            known.extend(rows_of(write));
        }
    }

    /// The tables of which no row was written under a lock; none, if nothing at all was.
    #[must_use]
    pub fn tables(&self) -> Vec<String> {
        match self.guards {
            true => self.outside.difference(&self.under).cloned().collect(),
            false => Vec::new(),
        }
    }
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
