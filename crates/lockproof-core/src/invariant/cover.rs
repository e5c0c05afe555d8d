//! Which locks covered a write from its start to its end.
//!
//! Owns the way from evidence to that answer, with and without a witness. Knows nothing of what
//! ought to have covered it.

use std::collections::BTreeSet;

use super::facts::{
    Facts, Holder, LockThen, PodWrite, Snapshot, StepFacts, list, protected, write_words,
};
use super::snapshot_age::{Age, age};
use super::text::{Named, changed_nothing};
use super::until_commit::{Owned, committing_without};
use crate::history::{Ending, Event, HeldLock, Operation};
use crate::name::{ConnectionName, LockKey, PodName, Session};

/// Why nobody knows what a write held at its start.
const NO_SNAPSHOT: &str =
    "the history shows no locks before it, so that what it held at its start cannot be told";

/// A write of a protected table, as far as the evidence tells.
pub(super) struct Work<'f, 'a> {
    pub pod: &'f PodName,
    pub table: &'a str,
    /// `pod b wrote …`.
    pub words: String,
    pub seqs: Vec<u64>,
    pub step: Option<&'f StepFacts<'a>>,
    /// The locks of pods at its end; without a witness, before its start.
    pub locks: Vec<LockThen<'a>>,
    /// The locks that covered it, or why that cannot be told.
    pub cover: Result<Vec<LockKey>, String>,
    /// Why a lock that was held at its end did not cover it.
    pub but: Option<String>,
    /// Whether a run without the witness shows it, too.
    pub in_text: bool,
}

impl Work<'_, '_> {
    /// Whether its step was still under way when the harness began to stop the pods at a limit: what
    /// was held at its end says nothing of the pod then.
    pub fn outlived_limit(&self, facts: &Facts<'_>) -> bool {
        self.step
            .is_some_and(|step| step.last().is_none_or(|end| facts.after_limit(end.at.seq)))
            && !facts.limits.is_empty()
    }
}

/// The tables of these writes, each once.
pub(super) fn tables(work: &[Work<'_, '_>]) -> Vec<String> {
    let tables: BTreeSet<&str> = work.iter().map(|one| one.table).collect();
    tables.into_iter().map(str::to_owned).collect()
}

/// All writes by pods of protected tables that the lock guards, in their order.
pub(super) fn work<'f, 'a>(facts: &'f Facts<'a>) -> Vec<Work<'f, 'a>> {
    let owned = Owned::of(facts);
    let mut work = if facts.run.witness {
        let writes = facts.writes.iter();
        writes
            .map(|write| witnessed(facts, &owned, write))
            .collect()
    } else {
        unwitnessed(facts, &owned)
    };
    let unguarded = &facts.run.rules.unguarded;
    work.retain(|one| !unguarded.iter().any(|table| table == one.table));
    work
}

fn witnessed<'f, 'a>(
    facts: &'f Facts<'a>,
    owned: &Owned<'_, '_>,
    write: &'f PodWrite<'a>,
) -> Work<'f, 'a> {
    let step = write.step.and_then(|step| facts.steps.get(&step));
    let mut cover = Vec::new();
    let mut but = None;
    let mut unsure = None;
    let known = step.is_some_and(|step| step.released.is_some());
    let released = step.and_then(|step| step.released);
    let unseen = facts.controlled() && released.is_some_and(|at| is_unseen(facts, at.seq));
    for lock in &write.locks {
        if lock.granted && facts.guards(&lock.key, lock.mode) && lock.pod() == write.pod() {
            let without = begun_without(facts, write, step, lock)
                .or_else(|| committing_without(facts, write, lock))
                .or_else(|| owned.committed_without(facts, step?, &lock.key));
            match without.map_or_else(|| age(facts, write, step, lock), Age::Younger) {
                Age::Older => cover.push(facts.one_lock(lock.key)),
                Age::Younger(why) => but = Some(why),
                Age::Unknown(why) => unsure = Some(why),
            }
        }
    }
    let own = |lock: &&LockThen<'_>| {
        lock.granted && lock.session == write.session && facts.guards(&lock.key, lock.mode)
    };
    // What the statement's own session held when it began needs no look from elsewhere; DDL takes no lock of
    // the job's itself.
    let told = write.extent.begun.is_some() || matches!(write.operation, Operation::Ddl(_));
    let begun = told && write.locks.iter().any(|lock| own(&lock));
    Work {
        pod: write.pod(),
        table: write.table,
        words: write_words(write, facts.steps),
        seqs: step
            .and_then(|step| step.last())
            .map(|end| end.at.seq)
            .into_iter()
            .chain([write.seq])
            .collect(),
        step,
        locks: write.locks.clone(),
        cover: match unsure {
            _ if unseen && !cover.is_empty() && !begun => Err(NO_SNAPSHOT.to_owned()),
            Some(why) if cover.is_empty() => Err(why),
            _ if cover.is_empty() || known || begun || !facts.controlled() => Ok(cover),
            _ => Err(
                "its step is not known, so that what it held at its start cannot be told"
                    .to_owned(),
            ),
        },
        but,
        in_text: write.extent.isolation.is_none()
            && step.is_some_and(|step| names(facts, step, write.table)),
    }
}

/// Whether the text of a step names this table as written: that is all that shows it without a witness.
fn names(facts: &Facts<'_>, step: &StepFacts<'_>, table: &str) -> bool {
    let mut written = step.request.writes.iter();
    step.request.opaque || written.any(|name| protected(facts.run, name) == Some(table))
}

/// Whether nobody knows which locks were held at this line: none were shown before it, though a step had
/// ended. Before the first step of a run has ended, nobody holds any.
fn is_unseen(facts: &Facts<'_>, seq: u64) -> bool {
    let ended = |step: &StepFacts<'_>| step.last().is_some_and(|end| end.at.seq < seq);
    facts.in_force(seq).is_none() && facts.steps.values().any(ended)
}

/// Why a lock that was held at a write's end was not held, under the same grant, from its start.
/// The snapshot in force when its step was released tells; in free pacing there is none.
fn begun_without(
    facts: &Facts<'_>,
    write: &PodWrite<'_>,
    step: Option<&StepFacts<'_>>,
    lock: &LockThen<'_>,
) -> Option<String> {
    if !facts.controlled() {
        return None;
    }
    let released = step?.released?.seq;
    let start = facts.in_force(released)?;
    let holder = |snapshot: &Snapshot<'_>| {
        snapshot
            .locks
            .iter()
            .filter(|one| one.granted && one.mode == lock.mode && one.key.same_key(&lock.key))
            .flat_map(|one| owners_in(facts, one, snapshot))
            .find(|owner| owner.connection.pod == *write.pod())
            .map(|owner| owner.session)
    };
    match holder(start) {
        Some(session) if session == lock.session => facts
            .snapshots_from(released)
            .iter()
            .take_while(|one| one.server_us < write.server_us)
            .any(|one| holder(one) != Some(lock.session))
            .then(|| {
                format!(
                    "it gave lock {} back and took it again while it wrote",
                    lock.key
                )
            }),
        Some(session) => Some(format!(
            "it held lock {} under one grant when it began ({session}) and under another at its \
             end ({})",
            lock.key, lock.session
        )),
        // Taken inside the step: held before the write itself began.
        None if lock.session == write.session => None,
        None => Some(format!(
            "it took lock {} on {} only after the write had begun",
            lock.key, lock.connection
        )),
    }
}

/// Without a witness the text of steps tells what is written, and snapshots before and after
/// tell what was held. What neither tells is inconclusive.
fn unwitnessed<'f, 'a>(facts: &'f Facts<'a>, owned: &Owned<'_, '_>) -> Vec<Work<'f, 'a>> {
    let mut all = Vec::new();
    let named = Named::of(facts);
    for step in facts.steps.values() {
        let Some(released) = step
            .released
            .filter(|_| step.ran() && !step.request.look_up)
        else {
            continue;
        };
        if changed_nothing(step) || facts.rolled_back.contains(&step.id) {
            continue;
        }
        let unknown = named.unknown_in(step);
        let tables = if step.request.opaque || unknown.is_some() {
            facts.run.rules.protect.iter().map(String::as_str).collect()
        } else {
            named.protected_in(facts, step)
        };
        let before = facts.in_force(released.seq);
        let locks = before.map_or_else(Vec::new, |one| locks_then(facts, one));
        let mut cover = cover_of_step(facts, step, released.seq);
        if let Some(name) = unknown.filter(|_| cover.is_ok()) {
            cover = Err(format!(
                "its text writes {name}, which is no table, and what is written through it cannot be told"
            ));
        }
        let mut but = None;
        if let Ok(keys) = &mut cover {
            keys.retain(|key| {
                let why = owned.committed_without(facts, step, key);
                let covers = why.is_none();
                but = why.or(but.take());
                covers
            });
        }
        for table in tables {
            all.push(Work {
                pod: step.pod(),
                table,
                words: format!("pod {} wrote {table} in {}", step.pod(), step.words()),
                seqs: step
                    .last()
                    .map_or_else(|| vec![released.seq], |end| vec![released.seq, end.at.seq]),
                step: Some(step),
                locks: locks.clone(),
                cover: cover.clone(),
                but: but.clone(),
                in_text: true,
            });
        }
    }
    all.sort_by_key(|work| work.seqs[0]);
    all
}

fn cover_of_step(
    facts: &Facts<'_>,
    step: &StepFacts<'_>,
    released: u64,
) -> Result<Vec<LockKey>, String> {
    if !facts.controlled() {
        return Err("in free pacing nothing but a witness tells which locks it held".to_owned());
    }
    if step.request.opaque {
        return Err("its text does not tell what it writes and locks".to_owned());
    }
    if !step.request.lock_calls.is_empty() {
        return Err("it both takes or gives back locks and writes".to_owned());
    }
    let end = match step.last() {
        Some(end) if end.ending == Ending::Done => end.at.seq,
        _ => return Err("it was never answered".to_owned()),
    };
    if is_unseen(facts, released) {
        return Err(NO_SNAPSHOT.to_owned());
    }
    let held = |snapshot: Option<&Snapshot<'_>>| -> Vec<(LockKey, Session)> {
        snapshot
            .map_or_else(Vec::new, |one| locks_then(facts, one))
            .into_iter()
            .filter(|one| {
                one.granted && facts.guards(&one.key, one.mode) && one.pod() == step.pod()
            })
            .map(|one| (facts.one_lock(one.key), one.session))
            .collect()
    };
    let after = held(snapshot_after(facts, end));
    Ok(held(facts.in_force(released))
        .into_iter()
        .filter(|one| after.contains(one))
        .map(|(key, _)| key)
        .collect())
}

/// The locks in force right after a step ended: a snapshot taken before anything else was let go,
/// or, if there is none, the one that was in force already.
pub(super) fn snapshot_after<'f, 'a>(facts: &'f Facts<'a>, end: u64) -> Option<&'f Snapshot<'a>> {
    let after = facts.lines.partition_point(|line| line.seq <= end);
    let next = facts.lines[after..]
        .iter()
        .find(|line| matches!(line.event, Event::StepReleased { .. } | Event::Fault(_)))
        .map_or(u64::MAX, |line| line.seq);
    facts.in_force(next)
}

/// The locks of pods' sessions in a snapshot.
pub(super) fn locks_then<'a>(facts: &Facts<'a>, snapshot: &Snapshot<'a>) -> Vec<LockThen<'a>> {
    snapshot
        .locks
        .iter()
        .flat_map(|lock| {
            let owners = owners_in(facts, lock, snapshot).into_iter();
            owners.map(|owner| LockThen {
                connection: owner.connection,
                session: owner.session,
                key: lock.key,
                mode: lock.mode,
                granted: lock.granted,
            })
        })
        .collect()
}

/// Whose lock of a snapshot this is.
fn owners_in<'a>(facts: &Facts<'a>, lock: &HeldLock, snapshot: &Snapshot<'a>) -> Vec<Holder<'a>> {
    let (at, seq) = (snapshot.server_us, snapshot.seq);
    facts.holders().of(lock, at, seq, seq)
}

/// `it held no advisory lock, while a.0 held lock 7`.
pub(super) fn held_words(pod: &PodName, locks: &[LockThen<'_>]) -> String {
    let lock = |one: &LockThen<'_>| match (one.key.table(), one.guards()) {
        (None, true) => format!("lock {}", one.key),
        (None, false) => format!("lock {} in {} mode only", one.key, one.mode),
        (Some(_), true) => format!("lock {} in {} mode", one.key, one.mode),
        (Some(_), false) => format!(
            "lock {} in {} mode, which two pods can hold at once",
            one.key, one.mode
        ),
    };
    let (own, others): (Vec<_>, Vec<_>) = locks
        .iter()
        .filter(|one| one.granted)
        .partition(|one| one.pod() == pod);
    let own: Vec<String> = own.into_iter().map(lock).collect();
    let name =
        |one: &LockThen<'_>| -> (ConnectionName, String) { (one.connection.clone(), lock(one)) };
    let others: Vec<String> = others
        .into_iter()
        .map(name)
        .map(|(connection, lock)| format!("{connection} held {lock}"))
        .collect();
    let own = if own.is_empty() {
        "it held no advisory lock".to_owned()
    } else {
        format!("it held {}", list(&own))
    };
    if others.is_empty() {
        own
    } else {
        format!("{own}, while {}", list(&others))
    }
}
