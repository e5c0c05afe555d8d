//! Snapshots of `pg_locks`.
//!
//! Owns the choice of what is the run's: the locks of its database. Knows nothing of whose they are.

use crate::history::{Event, HeldLock, Line, RunFacts};

/// The locks of the run's database at one moment.
#[derive(Debug)]
pub struct Snapshot<'a> {
    /// The line that has it.
    pub seq: u64,
    /// When the server read it, by its own clock, in microseconds since 1970.
    pub server_us: i64,
    /// Locks that were held or awaited.
    pub locks: Vec<&'a HeldLock>,
}

impl<'a> Snapshot<'a> {
    /// The snapshot that this line has, if it has one.
    pub(super) fn of(line: &'a Line, run: Option<&RunFacts>) -> Option<Self> {
        let Event::Locks { server_us, locks } = &line.event else {
            return None;
        };
        let own = |lock: &&HeldLock| run.is_none_or(|run| lock.key.database == run.database);
        Some(Self {
            seq: line.seq,
            server_us: *server_us,
            locks: locks.iter().filter(own).collect(),
        })
    }
}
