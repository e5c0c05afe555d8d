//! Parts that every kind of hazard is put together from: steps in their roles, windows, names of tables.
//!
//! Owns their shape. Looks for nothing.

use std::collections::BTreeSet;

use super::finding::{HazardStep, Role};
use crate::name::PodName;
use crate::search::footprint::Step;

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

/// Whether both hold a lock that only one pod can have.
pub(super) fn kept_apart(one: &Step, other: &Step) -> bool {
    one.own.held.iter().any(|held| {
        held.guards()
            && other
                .own
                .held
                .iter()
                .any(|also| also.guards() && also.key.same_key(&held.key))
    })
}
