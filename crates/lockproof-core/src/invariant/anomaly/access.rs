//! One access of a step to a table, and how two of them bear on each other.
//!
//! Owns the edges of the serialization graph: whether a later access depends on an earlier one. Knows nothing of
//! where accesses come from, nor of cycles.

use std::collections::BTreeSet;

use super::rows::{Meant, Same, same};
use crate::name::{PodName, StepId};
use crate::sql::{OneTable, RowsMeant, SetColumn};
use crate::timeline::StepFacts;

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Does {
    /// Rows were looked at.
    Read,
    /// Rows were changed that stayed.
    Update,
    /// Rows were made.
    Insert,
    /// Rows were taken away.
    Delete,
}

/// On what a constraint fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// A row that should not be there.
    There,
    /// None where there should be one.
    Missing,
}

/// What must not be cut in two.
pub(super) type Unit<'a> = (&'a PodName, Option<StepId>);

/// One access of a step to a table.
#[derive(Debug)]
pub(super) struct Access<'a> {
    pub unit: Unit<'a>,
    pub step: &'a StepFacts<'a>,
    pub table: String,
    pub does: Does,
    /// What its text says.
    pub text: OneTable,
    /// Whether there surely was a row that it means.
    pub some: bool,
    /// What a constraint of the server's found on which it failed.
    pub fails: Option<Found>,
    /// Between these lines it took effect: a write when it was committed, a read when its statement ran.
    pub from: u64,
    pub until: u64,
    /// The sessions for which its statement waited.
    pub waited: Vec<i32>,
}

impl<'a> Access<'a> {
    /// Whether it is a write.
    pub fn writes(&self) -> bool {
        self.does != Does::Read
    }

    /// Whose it is.
    pub fn pod(&self) -> &'a PodName {
        self.unit.0
    }

    /// Whether it took effect before the other.
    pub fn before(&self, other: &Self) -> bool {
        if self.until < other.from {
            return true;
        }
        // Who waited for the other's row came after it, though the lines of both overlap.
        let pid = self.step.session.map(|session| session.pid);
        other.from < self.until
            && self.from > other.from
            && self.writes()
            && (other.writes() || other.fails.is_some())
            && pid.is_some_and(|pid| other.waited.contains(&pid))
    }

    fn meant(&self) -> Meant<'_> {
        Meant {
            rows: &self.text.rows,
            some: self.some,
        }
    }

    /// Whether both mean a row in common.
    pub fn same(&self, other: &Self) -> Same {
        match (self.fails, other.fails) {
            (Some(what), _) => what.by(self, other),
            (_, Some(what)) => what.by(other, self),
            _ => same(self.meant(), other.meant()),
        }
    }

    /// Whether the later one (of another unit) depends on this: it read or wrote over what this wrote, or wrote
    /// over what this read.
    pub fn leads_to(&self, later: &Self) -> Same {
        use Does::{Delete, Insert, Read, Update};
        match (self.does, later.does) {
            (Read, Read) => Same::No,
            // Of rows that are gone nothing is written over, and rows that are made are new ones.
            (Delete, Update | Insert | Delete) | (Update | Insert, Insert) => Same::No,
            _ => self.same(later).min(self.columns(later)),
        }
    }

    /// Whether both are about a column in common.
    fn columns(&self, other: &Self) -> Same {
        match (self.does, other.does) {
            (Does::Update, Does::Update) => shared(&self.text.sets, &other.text.sets),
            (Does::Read, Does::Update) if self.fails.is_none() => self.looks_at(&other.text.sets),
            (Does::Update, Does::Read) if other.fails.is_none() => other.looks_at(&self.text.sets),
            // A constraint looks at keys.
            (Does::Read, Does::Update) | (Does::Update, Does::Read) => Same::Perhaps,
            _ => Same::Surely,
        }
    }

    /// Whether a read looks at one of these columns.
    fn looks_at(&self, sets: &Option<Vec<SetColumn>>) -> Same {
        let Some(sets) = sets else {
            return Same::Perhaps;
        };
        let mut names = sets.iter().map(|one| &one.name);
        Same::surely_if(names.any(|name| self.sees(name)))
    }

    /// Whether a read surely looks at this column.
    pub fn sees(&self, column: &String) -> bool {
        self.text.looks_at_all || self.text.looks.contains(column)
    }

    /// Whether it writes over what was in this column: whatever that was, it is gone.
    pub fn overwrites(&self, column: &String) -> bool {
        let sets = self.text.sets.iter().flatten();
        self.does == Does::Delete || sets.into_iter().any(|one| one.name == *column && one.blind)
    }

    /// The columns of its condition.
    pub fn condition(&self) -> Option<&BTreeSet<String>> {
        match &self.text.rows {
            RowsMeant::Where(condition) => Some(&condition.columns),
            _ => None,
        }
    }
}

/// Whether two lists of columns have one in common.
fn shared(one: &Option<Vec<SetColumn>>, other: &Option<Vec<SetColumn>>) -> Same {
    let (Some(one), Some(other)) = (one, other) else {
        return Same::Perhaps;
    };
    let meets = one.iter().any(|a| other.iter().any(|b| a.name == b.name));
    match meets {
        true => Same::Surely,
        false => Same::No,
    }
}

impl Found {
    /// Whether what failed (`at`) found this because of what the other did.
    fn by(self, at: &Access<'_>, other: &Access<'_>) -> Same {
        match (self, other.does) {
            (Self::Missing, Does::Insert) | (Self::There, Does::Delete) => Same::No,
            (Self::Missing, Does::Delete) => Same::surely_if(other.text.rows == RowsMeant::All),
            (Self::There, Does::Insert) => same(at.meant(), other.meant()),
            _ => Same::Perhaps,
        }
    }
}
