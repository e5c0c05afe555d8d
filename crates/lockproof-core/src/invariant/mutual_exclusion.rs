//! mutual-exclusion: no write of one pod executes inside another pod's section, and no two pods held
//! the lock at once.
//!
//! A section is from a lock grant to its release; where the scenario names a lock that a pod never
//! took, from the pod's first to its last protected write. Owns that rule. Evidence: the locks
//! that the witness saw at each write; without it, snapshots before and after its step.

use std::collections::{BTreeMap, BTreeSet};

use super::belief::{lost, written_in_belief};
use super::cover::{Work, locks_then, snapshot_after, tables, work};
use super::facts::{Facts, LockThen, count};
use super::held_at_once::held_at_once;
use super::ruling::{Found, not_judged};
use super::verdict::{Finding, InvariantVerdict};
use crate::name::InvariantName;
use crate::name::{LockKey, PodName};

const NAME: InvariantName = InvariantName::MutualExclusion;

/// Where a pod that never took the lock did its work: from its first to its last protected write.
struct Span {
    first: usize,
    last: usize,
}

pub(super) fn judge(facts: &Facts<'_>) -> InvariantVerdict {
    if let Some(books) = facts.leases.first() {
        return super::lease::mutual_exclusion(facts, books);
    }
    if let Some(book) = facts.row_locks.first() {
        return super::rows::mutual_exclusion(facts, book);
    }
    if facts.run.rules.lock.is_serializable() {
        return super::serializable::nobody_holds(NAME);
    }
    let key = match facts.rule_keys.as_slice() {
        [] => return not_judged(NAME, super::ruling::NO_LOCK),
        [key] => *key,
        more => {
            return not_judged(
                NAME,
                format!(
                    "the clean run takes {} different advisory locks; name one with `lock = {{ key \
                     = … }}`",
                    more.len()
                ),
            );
        }
    };
    let all = work(facts);
    let lost = lost(facts);
    let spans = spans(facts, &all, key);
    let mut found = Found::default();
    let mut judged = 0;
    let mut believed = 0;
    // The first write of a pod inside a section of another, and how many more there were.
    let mut intrusions: BTreeMap<(&PodName, &PodName), (usize, String, usize)> = BTreeMap::new();
    for (i, one) in all.iter().enumerate() {
        if one
            .step
            .is_some_and(|step| written_in_belief(facts, &lost, step).is_some())
        {
            believed += 1;
            continue;
        }
        judged += 1;
        let mut inside: Vec<(&PodName, String)> = Vec::new();
        match peers(facts, one, key) {
            Ok(peers) => inside.extend(peers),
            Err(why) => found.unclear(why, one.seqs.clone()),
        }
        for (pod, span) in &spans {
            if *pod != one.pod && span.first < i && i < span.last {
                let what = format!(
                    "pod {pod}, which never took lock {key}, was between its first and its last \
                     protected write"
                );
                inside.push((pod, what));
            }
        }
        for (peer, what) in inside {
            intrusions.entry((one.pod, peer)).or_insert((i, what, 0)).2 += 1;
        }
    }
    let mut intrusions: Vec<_> = intrusions.into_iter().collect();
    intrusions.sort_by_key(|(_, (i, ..))| *i);
    for ((pod, _), (i, what, writes)) in intrusions {
        let one = &all[i];
        let more = match writes {
            1 => String::new(),
            _ => format!("; {} in all", count(writes, "such write")),
        };
        let finding = Finding {
            why: format!("{} while {what}{more}", one.words),
            seqs: one.seqs.clone(),
            pod: Some(pod.clone()),
            table: Some(one.table.to_owned()),
            witness_only: !one.in_text,
            ..Finding::default()
        };
        if one.outlived_limit(facts) {
            found.stopped(finding);
        } else {
            found.violation(finding);
        }
    }
    match held_at_once(facts, key) {
        Ok(findings) => findings.into_iter().for_each(|one| found.violation(one)),
        Err(why) => found.unclear(
            format!("it cannot be told whether two pods held the lock at once: {why}"),
            Vec::new(),
        ),
    }
    found.strangers(facts);
    found.blinded(facts);
    found.unplaced(facts);
    let mut holds = format!(
        "none of {} was made inside another pod's section",
        count(judged, "protected write")
    );
    if believed > 0 {
        holds.push_str(&format!(
            "; {} sent before the pod could know that its lock was lost",
            match believed {
                1 => "1 was".to_owned(),
                more => format!("{more} were"),
            }
        ));
    }
    if took(facts, &all, key).is_empty() && !all.is_empty() {
        holds.push_str(&format!(
            " (no pod ever took lock {key}; sections are from first to last protected write)"
        ));
    }
    InvariantVerdict {
        tables: tables(&all),
        ..found.ruling(NAME, facts, holds)
    }
}

/// The pods other than the writer that held the lock while it wrote.
fn peers<'f>(
    facts: &Facts<'f>,
    work: &Work<'_, 'f>,
    key: LockKey,
) -> Result<Vec<(&'f PodName, String)>, String> {
    let of = |locks: &[LockThen<'f>]| -> Vec<LockThen<'f>> {
        locks
            .iter()
            .filter(|lock| lock.granted && lock.key.same_key(&key) && lock.pod() != work.pod)
            .cloned()
            .collect()
    };
    let words = |lock: &LockThen<'f>| {
        let mode = lock.mode;
        (
            &lock.connection.pod,
            format!(
                "pod {} was inside its section: {} ({}) held lock {key} ({mode})",
                lock.pod(),
                lock.connection,
                lock.session
            ),
        )
    };
    let before = of(&work.locks);
    if facts.run.witness {
        return Ok(before.iter().map(words).collect());
    }
    if facts.rule_keys.is_empty() || !facts.controlled() {
        return Err(format!(
            "it cannot be told whether {} inside another pod's section: in free pacing only a \
             witness tells",
            work.words
        ));
    }
    let end = work.step.and_then(|step| step.last());
    let after = end
        .and_then(|end| snapshot_after(facts, end.at.seq))
        .map_or_else(Vec::new, |one| of(&locks_then(facts, one)));
    let opaque = work.step.is_some_and(|step| step.request.opaque);
    if let Some(one) = before
        .iter()
        .chain(&after)
        .find(|one| opaque || end.is_none() || !(before.contains(one) && after.contains(one)))
    {
        return Err(format!(
            "it cannot be told whether {} inside the section of pod {}, whose lock came or went \
             meanwhile",
            work.words,
            one.pod()
        ));
    }
    Ok(before.iter().map(words).collect())
}

/// The pods that ever took the lock.
fn took<'f>(facts: &'f Facts<'_>, all: &[Work<'f, '_>], key: LockKey) -> BTreeSet<&'f PodName> {
    let own = |one: &Work<'f, '_>| {
        one.locks
            .iter()
            .any(|lock| lock.granted && lock.pod() == one.pod && lock.key.same_key(&key))
    };
    let granted = facts
        .grants
        .iter()
        .filter(|grant| grant.key.same_key(&key))
        .map(|grant| grant.pod());
    granted
        .chain(all.iter().filter(|one| own(one)).map(|one| one.pod))
        .collect()
}

/// The spans of pods that wrote and never took the lock, as places in the order of writes.
fn spans<'f>(
    facts: &'f Facts<'_>,
    all: &[Work<'f, '_>],
    key: LockKey,
) -> BTreeMap<&'f PodName, Span> {
    let took = took(facts, all, key);
    let mut spans: BTreeMap<&PodName, Span> = BTreeMap::new();
    for (i, one) in all.iter().enumerate() {
        let unsure = !facts.run.witness && one.cover.is_err();
        if !took.contains(one.pod) && !unsure {
            spans
                .entry(one.pod)
                .and_modify(|span| span.last = i)
                .or_insert(Span { first: i, last: i });
        }
    }
    spans
}
