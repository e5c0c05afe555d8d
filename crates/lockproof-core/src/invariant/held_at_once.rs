//! Whether two pods held a lock at once that excludes.
//!
//! Owns how that is told; what it rests on are the answers on the wire and what `pg_locks` showed, read as
//! lock operations (`operation`). One session's locks are the server's business, and it does not err. But
//! there can be two servers, after a promotion, or one session for two pods, behind a pooler.

use std::collections::BTreeMap;

use super::facts::{Facts, count};
use super::verdict::Finding;
use crate::name::{LockKey, PodName};
use crate::operation::{
    Breach, LockOperation, MalformedEvents, exclusion, operations_of, timeline,
};

/// One finding for each pair of pods that held this lock at once.
///
/// # Errors
/// When the operations are no history, so that it cannot be told.
pub(super) fn held_at_once(
    facts: &Facts<'_>,
    key: LockKey,
) -> Result<Vec<Finding>, MalformedEvents> {
    let mut all = operations_of(facts.timeline);
    all.retain(|one| one.key.same_key(&key));
    let timeline = timeline(all);
    let (events, _, _) = timeline.events();
    let breaches = exclusion(&events)?;
    let operation = |call: u32| &timeline.operations[call as usize];
    let mut pairs: BTreeMap<(&PodName, &PodName), (usize, Finding, usize)> = BTreeMap::new();
    for (place, breach) in breaches.iter().enumerate() {
        let Breach::Overlap { holder, intruder } = breach else {
            continue;
        };
        let (holder, intruder) = (operation(*holder), operation(*intruder));
        let (one, other) = (&holder.connection.pod, &intruder.connection.pod);
        if one == other {
            continue;
        }
        let pair = (one.min(other), one.max(other));
        let told = || (place, finding(holder, intruder), 0);
        pairs.entry(pair).or_insert_with(told).2 += 1;
    }
    let mut pairs: Vec<_> = pairs.into_values().collect();
    pairs.sort_by_key(|(place, ..)| *place);
    let findings = pairs
        .into_iter()
        .map(|(_, mut finding, times)| {
            if times > 1 {
                finding.why = format!("{}; {} in all", finding.why, count(times, "such grant"));
            }
            finding
        })
        .collect();
    Ok(findings)
}

fn finding(holder: &LockOperation<'_>, intruder: &LockOperation<'_>) -> Finding {
    let line = |one: &LockOperation<'_>| one.returned.map_or(one.called.line, |at| at.line);
    Finding {
        why: format!(
            "pods {} and {} held lock {} at the same time: {} got it by line {} ({}) and had not \
             begun to give it back when {} got it by line {} ({})",
            holder.connection.pod,
            intruder.connection.pod,
            holder.key,
            holder.connection,
            line(holder),
            holder.mode,
            intruder.connection,
            line(intruder),
            intruder.mode,
        ),
        seqs: vec![line(holder), line(intruder)],
        pod: Some(intruder.connection.pod.clone()),
        ..Finding::default()
    }
}
