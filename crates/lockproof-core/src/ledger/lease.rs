//! The book of a lock row: each change of the row as a grant, a renewal, a release, a take-over, or something
//! done to another pod's lock; and sections, from a grant to its end.
//!
//! Owns their shape. How they are found is the business of `lease_reading`.

use crate::history::{LockRow, RowVersion};
use crate::name::{ConnectionName, PodName, Session, StepId};

/// What a pod did to the lock by a change of its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// It got the lock, which nobody had.
    Grant,
    /// It got the lock that another pod had in this section.
    TakeOver {
        /// That section.
        from: usize,
        /// Whether the lock was still the other's: its time had not passed.
        kept_out: bool,
    },
    /// It put a second row of the same name beside the one that another pod has.
    SecondRow {
        /// The section of the other.
        of: usize,
    },
    /// It goes on having it.
    Renewal {
        /// Whether it has it for less long now than it had said before: a release that keeps the lock for a
        /// while (`lockAtLeastFor`) does so.
        shortened: bool,
    },
    /// It gave the lock back.
    Release,
    /// It changed the row in which another pod has the lock, and did not take it.
    Foreign {
        /// The section of the other.
        of: usize,
        /// Whether the lock was still the other's.
        kept_out: bool,
        /// Whether the other has it no longer.
        takes_away: bool,
    },
    /// Time passed: lockproof moved the end of the lease.
    Aged,
    /// Nothing that bears on who has it.
    Nothing,
}

/// A change of the lock row that was committed.
#[derive(Debug, Clone)]
pub struct LeaseChange<'a> {
    /// The line of the log that tells it.
    pub seq: u64,
    /// When it was made, on the server's clock.
    pub server_us: i64,
    /// Who made it; `None`: lockproof, or a stranger.
    pub connection: Option<&'a ConnectionName>,
    /// In which session.
    pub session: Session,
    /// In which step.
    pub step: Option<StepId>,
    /// In which transaction.
    pub transaction: Option<u64>,
    /// The row before.
    pub before: Option<&'a RowVersion>,
    /// The row after.
    pub after: Option<&'a RowVersion>,
    /// What it means.
    pub deed: Deed,
}

impl LeaseChange<'_> {
    /// Whose it is.
    #[must_use]
    pub fn pod(&self) -> Option<&PodName> {
        self.connection.map(|connection| &connection.pod)
    }

    /// Whether its pod has the lock from then on, and had it not before.
    #[must_use]
    pub fn grants(&self) -> bool {
        matches!(
            self.deed,
            Deed::Grant | Deed::TakeOver { .. } | Deed::SecondRow { .. }
        )
    }
}

/// How a section ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SectionEnd {
    /// Its pod gave the lock back.
    Released,
    /// Another pod took it over.
    TakenOver,
    /// Another pod, or a stranger, freed the row.
    TakenAway,
}

/// From the change that gave a pod the lock to the one that took it from it. (The passing of time ends none: it
/// allows another to take over.)
#[derive(Debug)]
pub struct LeaseSection<'a> {
    /// Who had it.
    pub connection: &'a ConnectionName,
    /// The change that gave it, as a place among all.
    pub taken: usize,
    /// Its fencing token.
    pub token: Option<i64>,
    /// Until when its pod wrote that it has it, the last time.
    pub until_us: Option<i64>,
    /// The change by which lockproof moved that nearer.
    pub aged: Option<usize>,
    /// The last change that its pod made to it.
    pub last: usize,
    /// The change that ended it.
    pub end: Option<(usize, SectionEnd)>,
}

impl LeaseSection<'_> {
    /// Whose it is.
    #[must_use]
    pub fn pod(&self) -> &PodName {
        &self.connection.pod
    }
}

/// A change of the row that nobody logged, found by the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The line of the change that does not follow on the one before.
    pub seq: u64,
}

/// All that happened to the lock row of a run.
#[derive(Debug)]
pub struct Leases<'a> {
    /// What the row means.
    pub rule: &'a LockRow,
    /// Which row it is, in words: `the lock row of lease`, `row 5 of job`, `claim (day) = ('2026-01-01') in run_log`.
    pub name: String,
    /// Its changes, in the order of its versions.
    pub changes: Vec<LeaseChange<'a>>,
    /// Who had it, one after the other.
    pub sections: Vec<LeaseSection<'a>>,
    /// Where changes are missing.
    pub gaps: Vec<Gap>,
    /// The places of changes by sessions that did not come through lockproof.
    pub strangers: Vec<usize>,
}

/// All rows that are locks: the one that the scenario names, or each row of a queue.
#[derive(Debug)]
pub struct RowBooks<'a> {
    /// What they mean.
    pub rule: &'a LockRow,
    /// The book of each; of a queue, of each that pods had in hand, by its key; of claims, of each key.
    pub rows: Vec<Leases<'a>>,
}

impl<'a> RowBooks<'a> {
    /// All sections, each with the book that it is in.
    pub fn sections(&self) -> impl Iterator<Item = (&Leases<'a>, &LeaseSection<'a>)> {
        let rows = self.rows.iter();
        rows.flat_map(|row| row.sections.iter().map(move |section| (row, section)))
    }
}

impl<'a> Leases<'a> {
    /// The row's last version.
    #[must_use]
    pub fn last_version(&self) -> Option<&'a RowVersion> {
        self.changes.last().and_then(|change| change.after)
    }
}
