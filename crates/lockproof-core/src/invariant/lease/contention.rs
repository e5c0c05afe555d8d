//! Whether a pod asked for the lock row while another had it, and whether it was refused.
//!
//! Owns those answers, by the text of its steps and what they were answered.

use super::super::facts::Facts;
use super::order::committed;
use crate::ledger::{Leases, asks_for_row, told_lost};
use crate::name::PodName;

/// A pod that asked while another had it, in words.
pub(in super::super) fn asked_while_had(facts: &Facts<'_>, leases: &Leases<'_>) -> Option<String> {
    let spans: Vec<(&PodName, u64, u64)> = leases
        .sections
        .iter()
        .filter_map(|section| {
            let from = committed(facts, leases.changes[section.taken].step)?;
            let end = section.end.map(|(place, _)| leases.changes[place].step);
            let to = end.and_then(|step| committed(facts, step));
            Some((section.pod(), from.to, to.map_or(u64::MAX, |to| to.from)))
        })
        .collect();
    let mut asking = facts.steps.values().filter(|step| {
        asks_for_row(step, leases.rule)
            || step.request.opaque && told_lost(step, leases.rule).is_some()
    });
    asking.find_map(|step| {
        // Who has taken the row in a transaction that is still open lets nobody see it.
        let mut waits = step.endings.iter().flat_map(|end| end.blocked_by);
        let met = waits.find_map(|pid| {
            let session = facts.sessions.at(*pid, i64::MAX, u64::MAX)?;
            (session.connection.pod != *step.pod()).then_some(session)
        });
        if let Some(other) = met {
            return Some(format!(
                "{} asked for {} while {} had it locked",
                step.connection,
                leases.rule.words(),
                other.connection
            ));
        }
        let at = step.released?.seq;
        // One section begins where the one before has ended.
        let begun = spans.partition_point(|(_, from, _)| *from <= at);
        let (other, _, to) = spans[begun.checked_sub(1)?];
        if other == step.pod() || to < at {
            return None;
        }
        Some(format!(
            "{} asked for {} while pod {other} had it",
            step.connection,
            leases.rule.words()
        ))
    })
}

/// Whether this pod asked for the lock row and was told that it has it not.
pub(in super::super) fn was_refused(facts: &Facts<'_>, leases: &Leases<'_>, pod: &PodName) -> bool {
    let own = |section: &crate::ledger::LeaseSection<'_>| section.pod() == pod;
    let mut steps = facts.steps.values().filter(|step| step.pod() == pod);
    !leases.sections.iter().any(own) && steps.any(|step| told_lost(step, leases.rule).is_some())
}
