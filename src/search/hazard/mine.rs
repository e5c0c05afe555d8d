//! Mining: all kinds over all courses that pods took, without doubles, in their order.
//!
//! Owns the loop, the order and what counts as the same hazard. The kinds are found elsewhere.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::faults::faults;
use super::finding::{Hazard, HazardStep, Role};
use super::keys::{equal_keys, parent_gone};
use super::locks::{contention, interleaved, outside_lock};
use super::rows::{definition_changed, stale_read, wiped_rows};
use super::trace::Ground;
use crate::history::{Catalog, Line, Rules};
use crate::name::PodName;
use crate::search::footprint::Step;

/// The hazards of a subject, as far as executed runs show them; the most promising first.
///
/// `runs` are histories of the subject: the clean run first (its places are those that schedules
/// count from), then serial and contended ones. A run that adds a course that no pod took before
/// adds the hazards of that course. `pods` are those that the schedules are for; with fewer than two
/// there is no hazard. The same input gives the same hazards in the same order.
#[must_use]
pub fn mine(runs: &[&[Line]], catalog: &Catalog, rules: &Rules, pods: &[PodName]) -> Vec<Hazard> {
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
                wiped_rows,
                outside_lock,
                contention,
                interleaved,
                definition_changed,
                faults,
            ] {
                kind(&ground, x, y, &mut found);
            }
        }
    }
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

/// A step in its part.
pub(super) fn part(pod: &PodName, role: Role, step: &Step) -> HazardStep {
    HazardStep {
        pod: pod.clone(),
        role,
        normal: step.form(),
        number: step.number.unwrap_or(0),
    }
}

/// For how many steps a window is open.
pub(super) fn window(opens: usize, closes: usize) -> u32 {
    u32::try_from(closes.saturating_sub(opens)).unwrap_or(u32::MAX)
}

/// A table's name for a sentence: without the schema that most have.
pub(super) fn bare(table: &str) -> &str {
    table.strip_prefix("public.").unwrap_or(table)
}

/// These tables.
pub(super) fn among<'a>(tables: impl IntoIterator<Item = &'a String>) -> BTreeSet<String> {
    tables.into_iter().cloned().collect()
}

/// `t, u and v`; of many the first three.
pub(super) fn list(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [rest @ .., last] if names.len() <= 3 => format!("{} and {last}", rest.join(", ")),
        [first, second, third, rest @ ..] => {
            format!("{first}, {second}, {third} and {} more tables", rest.len())
        }
        [first, second] => format!("{first} and {second}"),
    }
}
