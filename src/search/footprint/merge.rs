//! Two footprints as one: for a transaction, whose end does what all its steps did.
//!
//! Owns that sum, and nothing else.

use super::touched::Footprint;

impl Footprint {
    /// Adds what another step of the same pod touched. What the pod held, and what ended, stays as
    /// it is.
    pub(super) fn absorb(&mut self, other: &Self) {
        if self.everything.is_none() {
            self.everything.clone_from(&other.everything);
        }
        self.reads.extend(other.reads.iter().cloned());
        self.checks.extend(other.checks.iter().cloned());
        for (table, operations) in &other.writes {
            self.writes
                .entry(table.clone())
                .or_default()
                .extend(operations.iter().cloned());
        }
        self.locked.extend(other.locked.iter().cloned());
        self.sequences.extend(other.sequences.iter().cloned());
        self.any_sequence |= other.any_sequence;
        self.reads_catalog |= other.reads_catalog;
        for one in &other.locks {
            if !self.locks.contains(one) {
                self.locks.push(one.clone());
            }
        }
    }
}
