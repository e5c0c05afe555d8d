//! What is reported, not judged.
//!
//! Owns those sentences. Knows nothing of verdicts.

use super::belief::{lost, sent_in_belief};
use super::cover::work;
use super::facts::{Facts, count};
use crate::history::Event;

/// One sentence for each thing that a tester should know and no invariant judges.
pub(super) fn reports(facts: &Facts<'_>) -> Vec<String> {
    let mut reports = belief(facts);
    for line in facts.lines {
        match &line.event {
            Event::Ghost {
                step, connection, ..
            } => {
                let what = facts
                    .steps
                    .get(step)
                    .map_or_else(|| format!("{step} on {connection}"), |step| step.words());
                reports.push(format!(
                    "ghost: {what} went on on the server after its client was dead (line {})",
                    line.seq
                ));
            }
            Event::CancelRequested { pod, target_pid } => reports.push(format!(
                "pod {pod} asked the server to cancel what session {target_pid} did (line {})",
                line.seq
            )),
            _ => {}
        }
    }
    let limits = facts.limits.iter();
    reports.extend(limits.map(|limit| format!("{} (line {})", limit.words(), limit.seq)));
    reports.extend(facts.timers.iter().map(|timer| timer.why.clone()));
    reports
}

/// For each lock that a pod lost with its session: what the pod still wrote.
fn belief(facts: &Facts<'_>) -> Vec<String> {
    let all_lost = lost(facts);
    if all_lost.is_empty() {
        return Vec::new();
    }
    let all = work(facts);
    let mut reports = Vec::new();
    for one in &all_lost {
        let pod = one.grant.pod();
        let next = facts
            .grants
            .iter()
            .filter(|grant| {
                grant.pod() == pod && grant.key.same_key(&one.grant.key) && grant.from > one.lost
            })
            .map(|grant| grant.from)
            .min()
            .unwrap_or(u64::MAX);
        let after: Vec<_> = all
            .iter()
            .filter_map(|work| Some((work, work.step?)))
            .filter(|(work, step)| {
                work.pod == pod
                    && step.released.is_some_and(|at| at.seq < next)
                    && step.last().is_none_or(|end| end.at.seq > one.lost)
            })
            .collect();
        let Some((last, step)) = after.last() else {
            continue;
        };
        let sent_before = after
            .iter()
            .filter(|(_, step)| sent_in_belief(&all_lost, step).is_some())
            .count();
        let until = step.last().map_or(0, |end| end.at.seq);
        reports.push(format!(
            "pod {pod} believed in a lock it no longer had: {} was lost with its session at line \
             {}, and the pod went on until line {until}: {}, {sent_before} of them sent before it \
             could know (the last: {})",
            one.grant.words(),
            one.lost,
            count(after.len(), "write"),
            last.words
        ));
    }
    reports
}
