//! Mining: all kinds over all courses that pods took, without doubles, in their order.
//!
//! Owns the loop, the order and what counts as the same hazard. The kinds are found elsewhere.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::again::stale_again;
use super::checks::{check_then_set, stale_read};
use super::deadlock::deadlock;
use super::faults::faults;
use super::finding::Hazard;
use super::keys::{equal_keys, parent_gone};
use super::leases::leases;
use super::locks::{contention, interleaved, outside_lock};
use super::rows::{definition_changed, wiped_rows};
use super::trace::{Ground, Runs};
use crate::history::{Catalog, Rules};
use crate::name::PodName;

/// The hazards of a subject, as far as executed runs show them; the most promising first.
///
/// `runs` are histories of the subject: the clean run first (its places are those that schedules
/// count from), then serial and contended ones. A run that adds a course that no pod took before
/// adds the hazards of that course. `pods` are those that the schedules are for; with fewer than two
/// there is no hazard. The same input gives the same hazards in the same order.
#[must_use]
pub fn mine(
    runs: &(impl Runs + ?Sized),
    catalog: &Catalog,
    rules: &Rules,
    pods: &[PodName],
) -> Vec<Hazard> {
    let [a, b, ..] = pods else {
        return Vec::new();
    };
    let ground = Ground::of(runs, catalog, rules, a, b);
    let mut found = Vec::new();
    for x in &ground.traces {
        for y in &ground.traces {
            for kind in [
                parent_gone,
                equal_keys,
                stale_read,
                stale_again,
                check_then_set,
                deadlock,
                wiped_rows,
                outside_lock,
                contention,
                interleaved,
                definition_changed,
                faults,
                leases,
            ] {
                kind(&ground, x, y, &mut found);
            }
        }
    }
    // What a pod comes to only beside another is not reached by the first turn.
    found.retain(|hazard: &Hazard| {
        let first = hazard.moves.first();
        first.is_none_or(|first| ground.reached_alone(first))
    });
    // The first of each: that of the clean run, if it was there.
    let mut keys = BTreeSet::new();
    found.retain(|hazard| keys.insert(hazard.key()));
    found.sort_by_cached_key(|hazard| {
        (
            hazard.kind,
            Reverse(hazard.depth),
            Reverse(hazard.window),
            hazard.title.clone(),
        )
    });
    found
}
