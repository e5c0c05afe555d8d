//! Writes of protected tables, each with the section of the lock row under which its pod made it, and what
//! had become of that section by the write's commit.
//!
//! Owns that answer; which invariant a late write violates is theirs to say.

use std::collections::HashMap;

use super::super::facts::{Facts, PodWrite};
use super::order::{Order, order};
use crate::ledger::{LeaseChange, LeaseSection, Leases, SectionEnd};
use crate::name::PodName;

/// How a write stands to its pod's lock.
pub(super) enum Standing<'f, 'a> {
    /// Its pod had the lock when the write was committed.
    Under(&'f LeaseSection<'a>),
    /// Its pod had never got it.
    NoGrant,
    /// Its pod had given it back by this change.
    GivenBack(&'f LeaseChange<'a>),
    /// Another pod had got it by this change.
    Late(&'f LeaseSection<'a>, &'f LeaseChange<'a>),
    /// This change, by which another pod got it, was on its way at the same time.
    InFlight(&'f LeaseSection<'a>, &'f LeaseChange<'a>),
    /// This change, by which its pod gave it back, was on its way at the same time.
    Unclear(&'f LeaseChange<'a>),
}

/// All writes of protected tables with how they stand.
pub(super) fn standings<'f, 'a>(
    facts: &'f Facts<'a>,
    leases: &'f Leases<'a>,
) -> Vec<(&'f PodWrite<'a>, Standing<'f, 'a>)> {
    let mut by_pod: HashMap<&PodName, Vec<&LeaseSection<'a>>> = HashMap::new();
    for section in &leases.sections {
        by_pod.entry(section.pod()).or_default().push(section);
    }
    let next = next_grants(leases);
    let standing = |write: &'f PodWrite<'a>| {
        let own = by_pod.get(write.pod()).map_or(&[][..], Vec::as_slice);
        let after = own
            .partition_point(|section| leases.changes[section.taken].server_us <= write.server_us);
        match after.checked_sub(1).map(|place| own[place]) {
            None => Standing::NoGrant,
            Some(section) => of_section(facts, leases, &next, write, section),
        }
    };
    let writes = facts.writes.iter();
    writes.map(|write| (write, standing(write))).collect()
}

/// For each change the next one by which somebody got the lock, itself included.
fn next_grants(leases: &Leases<'_>) -> Vec<Option<usize>> {
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

fn of_section<'f, 'a>(
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
