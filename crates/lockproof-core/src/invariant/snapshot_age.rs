//! Whether a lock is older than what the write under it looked at.
//!
//! Owns that answer. A statement reads as of its snapshot, which is taken before anything of it is executed:
//! a lock that it takes itself, or waits for, comes too late for what it reads. In REPEATABLE READ the same
//! is true of a whole transaction. (In READ COMMITTED each statement of a function has a snapshot of its own.
//! In SERIALIZABLE the server itself refuses what an older snapshot would break.)

use std::slice::from_ref;

use super::facts::{Facts, LockThen, PodWrite, StepFacts};
use crate::history::{Fate, Isolation};
use crate::sql::{Kind, TablesRead, meaning, tables_read};

/// What is known of a lock and a snapshot.
pub(super) enum Age {
    /// The lock was there first, or nothing was read.
    Older,
    /// The snapshot was there first: why the lock does not cover the write.
    Younger(String),
    /// Whether anything was read cannot be told.
    Unknown(String),
}

/// Which was first, by what the witness saw when the statement began and, for a transaction's snapshot, by the
/// course of the transaction.
pub(super) fn age(
    facts: &Facts<'_>,
    write: &PodWrite<'_>,
    step: Option<&StepFacts<'_>>,
    lock: &LockThen<'_>,
) -> Age {
    match write.extent.isolation {
        Some(Isolation::Serializable) => Age::Older,
        Some(Isolation::RepeatableRead) => of_transaction(facts, write, step, lock),
        None => of_statement(write, step, lock),
    }
}

fn of_statement(write: &PodWrite<'_>, step: Option<&StepFacts<'_>>, lock: &LockThen<'_>) -> Age {
    let Some(begun) = &write.extent.begun else {
        return Age::Older;
    };
    let held = |one: &crate::history::HeldLock| one.granted && one.key.same_key(&lock.key);
    if lock.session != write.session || begun.iter().any(held) {
        return Age::Older;
    }
    let key = &lock.key;
    match step.map_or(Reading::Unknown, reading) {
        Reading::Nothing => Age::Older,
        Reading::Tables => Age::Younger(format!(
            "it took lock {key} inside the statement that wrote, whose snapshot is older than the lock"
        )),
        Reading::Unknown => Age::Unknown(format!(
            "it took lock {key} inside the statement that wrote, and whether that read anything, as of \
             before the lock, cannot be told"
        )),
    }
}

/// What a statement reads.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    Nothing,
    Tables,
    Unknown,
}

/// What the statement of a step reads that writes, and takes a lock. Where no text does both, a function or a
/// trigger took it: then all that is certain is that a text without a table reads nothing.
fn reading(step: &StepFacts<'_>) -> Reading {
    let request = step.request;
    let mut found = Vec::new();
    for (place, normal) in request.normal.iter().enumerate() {
        let whole = request.sql.len() == request.normal.len();
        let text = request.sql.get(place).filter(|_| whole).unwrap_or(normal);
        let means = meaning(text, &[]);
        if !means.writes.is_empty() {
            let kind = means.kinds.first().copied();
            let (text, normal) = (from_ref(text), from_ref(normal));
            found.push((!means.lock_calls.is_empty(), read_by(kind, text, normal)));
        }
    }
    let locks = found.iter().any(|(locks, _)| *locks);
    found.retain(|(one, _)| *one || !locks);
    let all = |wanted: Reading| found.iter().all(|(_, one)| *one == wanted);
    let any = |wanted: Reading| found.iter().any(|(_, one)| *one == wanted);
    if !found.is_empty() && !request.opaque && all(Reading::Nothing) {
        Reading::Nothing
    } else if locks && any(Reading::Tables) {
        Reading::Tables
    } else {
        Reading::Unknown
    }
}

/// What a statement that writes reads. An UPDATE, a DELETE and a MERGE look for their rows.
fn read_by(kind: Option<Kind>, text: &[String], normal: &[String]) -> Reading {
    if matches!(kind, Some(Kind::Update | Kind::Delete | Kind::Merge)) {
        return Reading::Tables;
    }
    match tables_read(text, normal) {
        TablesRead::Known(looks) => {
            let mut tables = looks.tables.iter();
            if tables.any(|table| !looks.with_queries.contains(table)) {
                Reading::Tables
            } else if kind == Some(Kind::Insert) {
                Reading::Nothing
            } else {
                Reading::Unknown
            }
        }
        TablesRead::Unknown(_) => Reading::Unknown,
    }
}

/// Statements that take no snapshot: a transaction can lock a table before it looks at anything.
const NO_SNAPSHOT: [&str; 9] = [
    "begin",
    "start ",
    "set ",
    "reset ",
    "show ",
    "lock ",
    "savepoint ",
    "release ",
    "rollback to ",
];

/// The snapshot of a transaction is older than the lock if another pod committed in between: else it shows
/// what a later one would.
fn of_transaction(
    facts: &Facts<'_>,
    write: &PodWrite<'_>,
    step: Option<&StepFacts<'_>>,
    lock: &LockThen<'_>,
) -> Age {
    let Some(step) = step.filter(|_| facts.controlled()) else {
        return Age::Older;
    };
    let first = first_look(facts, step);
    let (Some(looked), Some(end)) = (first.released, step.last()) else {
        return Age::Older;
    };
    let grants = facts.grants.iter();
    let own = grants.filter(|grant| grant.session == lock.session && grant.key.same_key(&lock.key));
    let Some(got) = own
        .map(|grant| grant.from)
        .filter(|from| *from <= end.at.seq)
        .max()
    else {
        return Age::Older;
    };
    let until = match got > looked.seq {
        true => got,
        false => return Age::Older,
    };
    let between = facts.writes.iter().find(|other| {
        other.pod() != write.pod()
            && other.extent.fate != Some(Fate::RolledBack)
            && other
                .step
                .and_then(|step| facts.steps.get(&step))
                .is_some_and(|step| {
                    let commit = facts.commit_of(step).unwrap_or(step);
                    let at = commit.last().map_or(u64::MAX, |end| end.at.seq);
                    (looked.seq..=until).contains(&at)
                })
    });
    between.map_or(Age::Older, |other| {
        Age::Younger(format!(
            "its transaction's snapshot, of {}, is older than lock {}, which it got after pod {} had \
             committed",
            first.words(),
            lock.key,
            other.pod()
        ))
    })
}

/// The step in which the transaction of this one took its snapshot.
fn first_look<'f, 'a>(facts: &'f Facts<'a>, step: &'f StepFacts<'a>) -> &'f StepFacts<'a> {
    let looks = |step: &StepFacts<'_>| {
        let free = |normal: &String| NO_SNAPSHOT.iter().any(|word| normal.starts_with(word));
        !step.request.normal.iter().all(free)
    };
    let mut own: Vec<&StepFacts<'a>> = facts.steps_of(step.connection).collect();
    own.retain(|one| one.ran() && one.id < step.id);
    let mut first = step;
    for one in own.into_iter().rev() {
        let open = one.last().and_then(|end| end.answer.transaction) == Some('T');
        if !open {
            break;
        }
        if looks(one) {
            first = one;
        }
    }
    first
}
