//! How a write of a protected table stands to one section of the lock row, or of one row of several.
//!
//! Owns the words for it and the answer for a section that the write came after. Which section that is, `late` and `claims`
//! say.

use super::super::facts::{Facts, PodWrite};
use super::order::{Order, order};
use crate::ledger::{LeaseChange, LeaseSection, Leases, SectionEnd};

/// How a write stands to its pod's lock.
pub(super) enum Standing<'f, 'a> {
    /// Its pod had the lock when the write was committed.
    Under(&'f LeaseSection<'a>),
    /// Its pod had given it back by this change.
    GivenBack(&'f LeaseChange<'a>),
    /// Another pod had got it by this change.
    Late(&'f LeaseSection<'a>, &'f LeaseChange<'a>),
    /// This change, by which another pod got it, was on its way at the same time.
    InFlight(&'f LeaseSection<'a>, &'f LeaseChange<'a>),
    /// This change, by which its pod gave it back, or got it, was on its way at the same time.
    Unclear(&'f LeaseChange<'a>),
    /// Of a claim: it was committed only after the write.
    Early(&'f LeaseChange<'a>),
}

/// A write of a protected table.
pub(super) struct Stands<'f, 'a> {
    pub write: &'f PodWrite<'a>,
    /// The row that this is about; of a queue, that which its pod got last, or has still.
    pub row: &'f Leases<'a>,
    pub how: Standing<'f, 'a>,
}

/// For each change the next one by which somebody got the lock, itself included.
pub(super) fn next_grants(leases: &Leases<'_>) -> Vec<Option<usize>> {
    let mut next = vec![None; leases.changes.len()];
    let mut last = None;
    for (place, change) in leases.changes.iter().enumerate().rev() {
        if change.grants() {
            last = Some(place);
        }
        next[place] = last;
    }
    next
}

pub(super) fn of_section<'f, 'a>(
    facts: &'f Facts<'a>,
    leases: &'f Leases<'a>,
    next: &[Option<usize>],
    write: &PodWrite<'a>,
    section: &'f LeaseSection<'a>,
) -> Standing<'f, 'a> {
    let (place, how) = match section.end {
        Some(end) => end,
        None => return Standing::Under(section),
    };
    let end = &leases.changes[place];
    match how {
        SectionEnd::Released => match order(facts, write, end) {
            Order::Before => Standing::Under(section),
            Order::After => Standing::GivenBack(end),
            // Of one session the server's clock tells.
            Order::Unknown if end.session == write.session => {
                match end.server_us < write.server_us {
                    true => Standing::GivenBack(end),
                    false => Standing::Under(section),
                }
            }
            Order::Unknown => Standing::Unclear(end),
        },
        SectionEnd::TakenOver | SectionEnd::TakenAway => {
            let Some(grant) = next[place].map(|place| &leases.changes[place]) else {
                return Standing::Under(section);
            };
            if grant.pod() == Some(section.pod()) {
                return Standing::Under(section);
            }
            match order(facts, write, grant) {
                Order::Before => Standing::Under(section),
                Order::After => Standing::Late(section, grant),
                Order::Unknown => Standing::InFlight(section, grant),
            }
        }
    }
}
