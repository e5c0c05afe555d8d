//! The ledger: all grants of a run.
//!
//! Owns the way to them, all or of one slot. How they are found is the business of `reading`.

use std::collections::HashMap;

use super::grant::{Grant, Slot};
use super::reading::grants;
use crate::timeline::Timeline;

/// All grants of pods' sessions in the run's database.
#[derive(Debug)]
pub struct Ledger<'a> {
    /// In the order in which they began.
    pub grants: Vec<Grant<'a>>,
    /// Places of the grants of each slot.
    by_slot: HashMap<Slot, Vec<usize>>,
}

impl<'a> Ledger<'a> {
    /// The ledger of this run.
    pub fn of(timeline: &Timeline<'a>) -> Self {
        let grants = grants(timeline);
        let mut by_slot: HashMap<Slot, Vec<usize>> = HashMap::new();
        for (place, grant) in grants.iter().enumerate() {
            by_slot.entry(grant.slot()).or_default().push(place);
        }
        Self { grants, by_slot }
    }

    /// The grants of this slot, in the order in which they began.
    pub fn of_slot(&self, slot: Slot) -> impl Iterator<Item = &Grant<'a>> {
        let places = self.by_slot.get(&slot).into_iter().flatten();
        places.map(|place| &self.grants[*place])
    }
}
