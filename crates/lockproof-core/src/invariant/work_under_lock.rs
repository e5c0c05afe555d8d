//! work-under-lock: for each protected table there is one lock (server, database, key form, key)
//! that the writer's pod held exclusively, under one grant from start to end, at every write of
//! every pod, and gave back only when the write was committed; DDL is a write.
//!
//! This is the lockset rule (Savage, Burrows, Nelson, Sobalvarro and Anderson, "Eraser", SOSP
//! 1997, section 2): the candidates of a table start as all locks and are intersected, at each
//! write, with what the writer holds. Our deviations: a pod, not a thread, holds a lock, whichever
//! of its sessions got it; the candidates start as the scenario's or the clean run's locks;
//! only writes count and there is no "exclusive" first phase, because a write outside the lock is
//! wrong even while only one pod runs; a table that a pod by itself writes under several locks by turns
//! (one for each job of a queue), or its sessions each under its own (workers), asks for some lock at each write
//! and is else not judged; and after a finding the
//! candidates are kept, so that each pod's first write outside the lock is named.

use std::collections::{BTreeMap, BTreeSet};

use super::belief::{lost, written_in_belief};
use super::cover::{Work, held_words, tables, work};
use super::facts::{Facts, count, list, was_each};
use super::ruling::{Found, not_judged};
use super::verdict::{Finding, InvariantVerdict, Judgement};
use crate::history::LockRule;
use crate::name::{InvariantName, LockKey};

const NAME: InvariantName = InvariantName::WorkUnderLock;

pub(super) fn judge(facts: &Facts<'_>) -> InvariantVerdict {
    if let Some(books) = facts.leases.first() {
        return super::lease::work_under_lock(facts, books);
    }
    if let Some(book) = facts.row_locks.first() {
        return super::rows::work_under_lock(facts, book);
    }
    if facts.run.rules.lock.is_serializable() {
        return super::serializable::work_under_lock(facts);
    }
    if facts.rule_keys.is_empty() {
        return not_judged(NAME, super::ruling::NO_LOCK);
    }
    let lost = lost(facts);
    let mut candidates: BTreeMap<&str, Vec<LockKey>> = BTreeMap::new();
    let mut told: BTreeSet<(&str, &str)> = BTreeSet::new();
    let mut found = Found::default();
    let mut covered = 0;
    let mut believed = 0;
    let all = work(facts);
    let mut by_turns = under_locks_by_turns(facts, &all);
    let apart = under_own_locks(facts, &all);
    for one in &all {
        if one
            .step
            .is_some_and(|step| written_in_belief(facts, &lost, step).is_some())
        {
            believed += 1;
            continue;
        }
        let keys = match &one.cover {
            Ok(keys) => keys,
            Err(why) => {
                found.unclear(
                    format!(
                        "it cannot be told whether {} under the lock: {why}",
                        one.words
                    ),
                    one.seqs.clone(),
                );
                continue;
            }
        };
        let before = candidates
            .entry(one.table)
            .or_insert_with(|| facts.rule_locks());
        if by_turns.contains(one.table) && !keys.is_empty() {
            covered += 1;
            continue;
        }
        let after: Vec<LockKey> = before
            .iter()
            .copied()
            .filter(|key| keys.contains(key))
            .collect();
        if !after.is_empty() {
            *before = after;
            covered += 1;
        } else if apart.contains(one.table) && !own_session(facts, one).is_empty() {
            by_turns.insert(one.table);
            covered += 1;
        } else if one.outlived_limit(facts) {
            found.stopped(finding(facts, one, before));
        } else if told.insert((one.table, one.pod.as_str())) {
            found.violation(finding(facts, one, before));
        }
    }
    found.strangers(facts);
    found.blinded(facts);
    found.unplaced(facts);
    let holds = match covered {
        0 if believed > 0 => format!(
            "{} of protected tables, sent before the pod could know that its lock was lost",
            count(believed, "write")
        ),
        0 => "no pod wrote a protected table".to_owned(),
        _ => format!(
            "{} of {} {} made under the table's lock",
            count(covered, "write"),
            count(candidates.len(), "protected table"),
            was_each(covered)
        ),
    };
    let ruling = InvariantVerdict {
        tables: tables(&all),
        ..found.ruling(NAME, facts, holds)
    };
    if ruling.judgement != Judgement::Holds || by_turns.is_empty() {
        return ruling;
    }
    // That each write was under some lock does not say that one lock kept them apart.
    let tables: Vec<String> = by_turns.iter().map(|table| (*table).to_owned()).collect();
    let why = format!(
        "{} is written under one lock and then under another by the same pod, so which of them guards it \
         is not known; each write was under one of them (`lock = {{ key = … }}` asks for one)",
        list(&tables)
    );
    not_judged(NAME, why)
}

/// Tables that one and the same pod writes under one lock of the clean run and then under another: a
/// queue's workers, with a lock for each job. Which lock guards such a table is not known, unless the
/// scenario says.
fn under_locks_by_turns<'a>(facts: &Facts<'a>, all: &[Work<'_, 'a>]) -> BTreeSet<&'a str> {
    if !matches!(facts.run.rules.lock, LockRule::FromCleanRun(_)) {
        return BTreeSet::new();
    }
    let mut own: BTreeMap<(&str, &str), Vec<LockKey>> = BTreeMap::new();
    let mut by_turns = BTreeSet::new();
    for one in all {
        let Ok(keys) = &one.cover else { continue };
        if keys.is_empty() {
            continue;
        }
        let before = own.entry((one.table, one.pod.as_str()));
        let before = before.or_insert_with(|| keys.clone());
        before.retain(|key| keys.contains(key));
        if before.is_empty() {
            by_turns.insert(one.table);
        }
    }
    by_turns
}

/// Tables that several sessions of one pod write, each under a lock of its own: workers or processes, with a lock
/// for each part. What another session of the pod happens to hold meanwhile does not make it one lock.
fn under_own_locks<'a>(facts: &Facts<'a>, all: &[Work<'_, 'a>]) -> BTreeSet<&'a str> {
    if !matches!(facts.run.rules.lock, LockRule::FromCleanRun(_)) {
        return BTreeSet::new();
    }
    let mut own: BTreeMap<(&str, &str), Vec<LockKey>> = BTreeMap::new();
    for one in all {
        let keys = own_session(facts, one);
        if keys.is_empty() {
            continue;
        }
        let common = own.entry((one.table, one.pod.as_str()));
        let common = common.or_insert_with(|| keys.clone());
        common.retain(|key| keys.contains(key));
    }
    let apart = own.into_iter().filter(|(_, common)| common.is_empty());
    let apart: BTreeSet<&str> = apart.map(|((table, _), _)| table).collect();
    let tables = all.iter().map(|one| one.table);
    tables.filter(|table| apart.contains(table)).collect()
}

/// The locks that covered a write and that its own session held.
fn own_session(facts: &Facts<'_>, work: &Work<'_, '_>) -> Vec<LockKey> {
    let (Ok(cover), Some(step)) = (&work.cover, work.step) else {
        return Vec::new();
    };
    let own = work.locks.iter().filter(|lock| {
        lock.granted && lock.connection == step.connection && facts.guards(&lock.key, lock.mode)
    });
    let own: BTreeSet<LockKey> = own.map(|lock| facts.one_lock(lock.key)).collect();
    cover
        .iter()
        .copied()
        .filter(|key| own.contains(key))
        .collect()
}

/// The locks of the rule under which a write was made, in words; none, if it was made under none.
fn own_locks(facts: &Facts<'_>, work: &Work<'_, '_>) -> Option<String> {
    let keys = work.cover.as_ref().ok()?;
    let own = keys.iter().filter(|key| facts.is_rule_key(key));
    let own: Vec<String> = own.map(|key| format!("lock {key}")).collect();
    (!own.is_empty()).then(|| own.join(" and "))
}

fn finding(facts: &Facts<'_>, work: &Work<'_, '_>, wanted: &[LockKey]) -> Finding {
    let names: Vec<String> = wanted.iter().map(|key| format!("lock {key}")).collect();
    let how = match (facts.run.rules.lock_mode, wanted) {
        (Some(mode), _) => format!("in {mode} mode or a stronger one"),
        (None, [key]) if key.table().is_some() => "in a mode that keeps its like out".to_owned(),
        (None, _) => "exclusively".to_owned(),
    };
    if let Some(under) = own_locks(facts, work) {
        let why = format!(
            "{} under {under}, and other writes of {} were made under {}: one lock for each part of a table \
             guards no table as a whole",
            work.words,
            work.table,
            names.join(" or ")
        );
        return Finding {
            why,
            seqs: work.seqs.clone(),
            pod: Some(work.pod.clone()),
            table: Some(work.table.to_owned()),
            ..Finding::default()
        };
    }
    let wrong_key = work.locks.iter().any(|lock| {
        lock.granted && lock.pod() == work.pod && lock.guards() && !facts.is_rule_key(&lock.key)
    }) && !facts
        .grants
        .iter()
        .any(|grant| grant.pod() == work.pod && facts.is_rule_key(&grant.key));
    let mut why = format!(
        "{} without holding {} {how}: {}",
        work.words,
        names.join(" or "),
        work.but
            .clone()
            .unwrap_or_else(|| held_words(work.pod, &work.locks))
    );
    if wrong_key {
        why.push_str("; pod ");
        why.push_str(work.pod.as_str());
        why.push_str(" never took the lock that guards the table but another: the key differs from pod to pod");
    }
    Finding {
        why,
        seqs: work.seqs.clone(),
        pod: Some(work.pod.clone()),
        table: Some(work.table.to_owned()),
        witness_only: !work.in_text,
        ..Finding::default()
    }
}
