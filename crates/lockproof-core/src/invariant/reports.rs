//! What is reported, not judged.
//!
//! Owns those sentences. Knows nothing of verdicts.

use std::collections::HashMap;

use super::belief::{lost, sent_in_belief};
use super::cover::{Work, work};
use super::facts::{Facts, Grant, Spans, StepFacts, count};
use super::ghosts::{Ghost, ghosts};
use super::process_end::{ProcessEnd, ProcessEnds};
use super::several::Parts;
use super::workers::idle;
use crate::history::Event;
use crate::name::{LockKey, PodName};

/// One sentence for each thing that a tester should know and no invariant judges.
pub(super) fn reports(facts: &Facts<'_>, parts: &Parts<'_>) -> Vec<String> {
    let mut reports = belief(facts);
    reports.extend(ghosts(facts).iter().map(Ghost::words));
    reports.extend(granted_again(facts));
    reports.extend(left_to_the_process(facts));
    for line in facts.lines {
        if let Event::CancelRequested { pod, target_pid } = &line.event {
            reports.push(format!(
                "pod {pod} asked the server to cancel what session {target_pid} did (line {})",
                line.seq
            ));
        }
    }
    // What is said of a row is about the tables that it protects.
    for part in parts.each(facts) {
        let rows = part.leases.iter();
        reports.extend(rows.flat_map(|books| super::lease::reports(part, books)));
    }
    reports.extend(did_nothing(facts));
    let limits = facts.limits.iter();
    reports.extend(limits.map(|limit| format!("{} (line {})", limit.words(), limit.seq)));
    reports.extend(facts.timers.iter().map(|timer| timer.why.clone()));
    reports
}

/// Pods that did nothing and ended well.
fn did_nothing(facts: &Facts<'_>) -> Vec<String> {
    let words = |pod: &PodName| match facts.refused(pod) {
        true => format!(
            "pod {pod} was refused the lock and left with success, having written no protected table \
             (`on_contention = \"skip\"` says that it is to)"
        ),
        false => format!(
            "pod {pod} ended with success, was not refused the lock and wrote no protected table, though it \
             writes in the serial run of all pods"
        ),
    };
    idle(facts).into_iter().map(words).collect()
}

/// Locks that went with their session because the pod was done.
fn left_to_the_process(facts: &Facts<'_>) -> Vec<String> {
    let ends = ProcessEnds::of(facts);
    let grants = facts.grants.iter();
    grants
        .filter(|grant| facts.is_rule_key(&grant.key))
        .filter(|grant| matches!(ends.judge(grant), Some(ProcessEnd::Done)))
        .map(|grant| {
            format!(
                "{} was not given back by an unlock: it ended with its session when the pod was done, which \
                 `release = \"process\"` allows",
                grant.words()
            )
        })
        .collect()
}

/// Behind a pooler: locks that a session was granted again, for another pod than the one that holds it.
fn granted_again(facts: &Facts<'_>) -> Vec<String> {
    if facts.run.pooler.is_none() {
        return Vec::new();
    }
    let slot = |grant: &Grant<'_>| (grant.session, grant.key, grant.mode);
    let mut reports = Vec::new();
    for (i, again) in facts.grants.iter().enumerate() {
        let first = facts.grants[..i].iter().find(|first| {
            slot(first) == slot(again)
                && first.pod() != again.pod()
                && first.end.is_none_or(|(end, _)| end > again.from)
        });
        if let Some(first) = first {
            reports.push(format!(
                "{} was granted {} on the session on which {} held it: the pooler gave it to both, and \
                 a session is granted again what it holds (line {})",
                again.connection, again.key, first.connection, again.from
            ));
        }
    }
    reports
}

/// For each lock that a pod lost with its session: what the pod still wrote.
fn belief(facts: &Facts<'_>) -> Vec<String> {
    let losses = lost(facts);
    if losses.all.is_empty() {
        return Vec::new();
    }
    let all = work(facts);
    let writes = by_release(&all);
    let mut grants: HashMap<(&PodName, LockKey), Vec<u64>> = HashMap::new();
    for grant in facts.grants {
        let of_pod = grants.entry((grant.pod(), grant.key)).or_default();
        of_pod.push(grant.from);
    }
    let mut reports = Vec::new();
    for one in &losses.all {
        let pod = one.grant.pod();
        let next = grants.get(&(pod, one.grant.key)).and_then(|from| {
            let after = from.partition_point(|from| *from <= one.lost);
            from.get(after).copied()
        });
        let Some((spans, of_pod)) = writes.get(pod) else {
            continue;
        };
        let near = &of_pod[spans.around(one.lost, next.unwrap_or(u64::MAX))];
        let mut after: Vec<usize> = near
            .iter()
            .copied()
            .filter(|place| {
                let end = all[*place].step.and_then(StepFacts::last);
                end.is_none_or(|end| end.at.seq > one.lost)
            })
            .collect();
        after.sort_unstable();
        let Some((last, step)) = after
            .last()
            .and_then(|place| Some((&all[*place], all[*place].step?)))
        else {
            continue;
        };
        let sent_before = after
            .iter()
            .filter_map(|place| all[*place].step)
            .filter(|step| sent_in_belief(facts, &losses, step).is_some())
            .count();
        let until = step.last().map_or(0, |end| end.at.seq);
        reports.push(format!(
            "pod {pod} went on without a lock that it had lost: {} was lost with its session at line \
             {}, and the pod wrote on until line {until}: {}, {sent_before} of them sent before it \
             could know (the last: {})",
            one.grant.words(),
            one.lost,
            count(after.len(), "write"),
            last.words
        ));
    }
    reports
}

/// For each pod the places of its writes, by when their steps were with the server.
fn by_release<'f>(all: &[Work<'f, '_>]) -> HashMap<&'f PodName, (Spans, Vec<usize>)> {
    let mut places: Vec<(u64, u64, usize)> = all
        .iter()
        .enumerate()
        .filter_map(|(place, work)| {
            let step = work.step?;
            let end = step.last().map_or(u64::MAX, |end| end.at.seq);
            Some((step.released?.seq, end, place))
        })
        .collect();
    places.sort_unstable();
    let mut by_pod: HashMap<&PodName, (Spans, Vec<usize>)> = HashMap::new();
    for (released, end, place) in places {
        let (spans, of_pod) = by_pod.entry(all[place].pod).or_default();
        spans.push(released, end);
        of_pod.push(place);
    }
    by_pod
}
