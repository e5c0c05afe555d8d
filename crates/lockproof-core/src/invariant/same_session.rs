//! same-session: every lock grant ended on the session that got it: by an unlock there that
//! returned true, the end of its transaction for xact locks, or, where `release = "any"`, or a fault
//! took the pod, the session or the unlock, or kept from the pod that it had the lock, or where
//! `release = "process"` and the pod was done (see `process_end`), the end of that session; no unlock
//! returned false, no "you don't own a lock" in the log (but of what a fault had taken from a pod that wrote nothing
//! more), unlocks balance grants.
//!
//! Owns that rule. Evidence: `pg_locks`, answers of lock calls, warnings on the wire and in the log.

use super::belief::told;
use super::cover::work;
use super::facts::{Facts, FailedUnlock, Grant, How, StepFacts, step_words};
use super::process_end::{ProcessEnd, ProcessEnds};
use super::ruling::{Found, not_judged};
use super::verdict::{Finding, InvariantVerdict};
use crate::history::{Delivery, LockAction, Release};
use crate::name::{InvariantName, PodName};

const NAME: InvariantName = InvariantName::SameSession;

pub(super) fn judge(facts: &Facts<'_>) -> InvariantVerdict {
    if let Some(books) = facts.leases.first() {
        return super::lease::same_owner(facts, books);
    }
    if let Some(book) = facts.row_locks.first() {
        return super::rows::same_session(facts, book);
    }
    if facts.run.rules.lock.is_serializable() {
        return super::serializable::nobody_holds(NAME);
    }
    if facts.rule_keys.is_empty() {
        return not_judged(NAME, super::ruling::NO_LOCK);
    }
    let mut found = Found::default();
    let failed = facts.failed_unlocks.iter();
    for failed in failed.filter(|failed| !tidies_up(facts, failed)) {
        let key = failed
            .key
            .map_or_else(String::new, |key| format!(" (lock {key})"));
        found.violation(Finding {
            why: format!(
                "pod {} gave back a lock that its session did not hold: {}{key}, {}{}",
                failed.connection.pod,
                step_words(failed.step, facts.steps, failed.connection, None),
                failed.shown_by,
                elsewhere(facts, failed)
            ),
            seqs: failed.seqs.clone(),
            pod: Some(failed.connection.pod.clone()),
            ..Finding::default()
        });
    }
    found.unplaced(facts);
    let mut grants = 0;
    let ends = ProcessEnds::of(facts);
    for grant in facts.grants {
        if facts.is_rule_key(&grant.key) {
            grants += 1;
            ending(facts, &ends, grant, &mut found);
        }
    }
    let holds = match grants {
        0 => "no pod was granted the lock, and no unlock failed".to_owned(),
        1 => "the one grant of the lock ended on the session that got it".to_owned(),
        _ => format!("all {grants} grants of the lock ended on the sessions that got them"),
    };
    found.ruling(NAME, facts, holds)
}

/// Whether a pod only gave back, by another session, what a fault had taken from it with its session: a client that
/// connects again does so in its `finally`. Who has written since then has gone on without its lock.
fn tidies_up(facts: &Facts<'_>, failed: &FailedUnlock<'_>) -> bool {
    let pod = &failed.connection.pod;
    let step = failed.step.and_then(|step| facts.steps.get(&step));
    let Some((step, at)) = step.and_then(|step| Some((step, step.released?.seq))) else {
        return false;
    };
    facts.grants.iter().any(|grant| {
        let Some((end, How::Session)) = grant.end else {
            return false;
        };
        grant.pod() == pod
            && end < at
            && Some(grant.session) != step.session
            && failed.key.is_some_and(|key| key.same_key(&grant.key))
            && facts.fault_ended(grant, end)
            && !wrote_after(facts, pod, told(facts, grant, end))
    })
}

/// Whether a pod sent a write that the lock should guard behind this line; without the witness, as its texts tell.
fn wrote_after(facts: &Facts<'_>, pod: &PodName, line: u64) -> bool {
    let mut writes = work(facts).into_iter().filter(|write| write.pod == pod);
    writes.any(|write| match write.step {
        Some(step) => step.held.seq > line,
        None => write.seqs.iter().any(|seq| *seq > line),
    })
}

/// Behind a pooler: which session the pod had got the lock on, where the unlock went to another.
fn elsewhere(facts: &Facts<'_>, failed: &FailedUnlock<'_>) -> String {
    let step = failed.step.and_then(|step| facts.steps.get(&step));
    let (Some(_), Some(step)) = (&facts.run.pooler, step) else {
        return String::new();
    };
    let at = step.released.map_or(0, |at| at.seq);
    let own = facts.grants.iter().find(|grant| {
        grant.pod() == step.pod()
            && failed.key.is_none_or(|key| key.same_key(&grant.key))
            && grant.held_at(at)
            && Some(grant.session) != step.session
    });
    match (own, step.session) {
        (Some(grant), Some(session)) => format!(
            ": the pooler sent it to {session}, and {} had got the lock on {}",
            grant.connection, grant.session
        ),
        _ => String::new(),
    }
}

fn ending(facts: &Facts<'_>, ends: &ProcessEnds<'_, '_>, grant: &Grant<'_>, found: &mut Found) {
    let finding = |why: String, end: Option<u64>| Finding {
        why,
        seqs: std::iter::once(grant.from).chain(end).collect(),
        pod: Some(grant.pod().clone()),
        ..Finding::default()
    };
    let last = facts.lines.last().map_or(0, |line| line.seq);
    if let Some(by) = grant.given_back_by {
        let why = format!(
            "{} was given back by {by}, to which the pooler had given the same session",
            grant.words()
        );
        found.violation(finding(why, grant.end.map(|(end, _)| end)));
        return;
    }
    // Stopped before it could give the lock back: what it had done with it until then is unknown.
    if facts.after_limit(grant.end.map_or(last, |(end, _)| end))
        && !matches!(grant.end, Some((_, How::Unlocked | How::Transaction)))
        && !facts.fault_ended(grant, last)
    {
        let end = grant.end.map(|(end, _)| end);
        found.stopped(finding(
            format!("{} had not been given back", grant.words()),
            end,
        ));
        return;
    }
    let Some((end, how)) = grant.end else {
        // A history that was cut tells nothing of what came after.
        if facts.complete && !facts.fault_ended(grant, last) {
            found.violation(finding(
                format!("{} never ended", grant.words()),
                Some(last),
            ));
        }
        return;
    };
    let by_fault = facts.fault_ended(grant, end);
    let any = facts.run.rules.release == Release::Any;
    match how {
        How::Unlocked | How::Transaction | How::Unanswered => {}
        How::Discarded => {
            if !any && !by_fault {
                found.violation(finding(
                    format!("{} ended by DISCARD ALL, not by an unlock", grant.words()),
                    Some(end),
                ));
            }
        }
        How::Session if never_told(facts, grant) || kept_from(facts, grant) => {}
        How::Session | How::Returned if by_fault => {}
        How::Returned if any => {}
        How::Session if grant.exact && grant.returned > 0 && grant.returned < grant.taken => {
            found.violation(finding(
                format!(
                    "{} was taken {} times and given back {}: it stayed held until its session \
                     ended",
                    grant.words(),
                    grant.taken,
                    times(grant.returned)
                ),
                Some(end),
            ));
        }
        How::Session if any => {}
        How::Session | How::Returned => with_session(ends.judge(grant), grant, (end, how), found),
    }
}

/// A grant that ended with its session, and no fault took it.
fn with_session(
    process: Option<ProcessEnd>,
    grant: &Grant<'_>,
    (end, how): (u64, How),
    found: &mut Found,
) {
    let seqs = vec![grant.from, end];
    let ended = match how {
        How::Returned => "ended when the pooler took its session back",
        _ => "ended with its session",
    };
    let why = match process {
        Some(ProcessEnd::Done) => return,
        Some(ProcessEnd::Unknown(why)) => {
            let why = format!("{} {ended}, not by an unlock there; {why}", grant.words());
            return found.unclear(why, seqs);
        }
        _ if how == How::Session && grant.xact.is_none() && grant.in_transaction => {
            let why = format!(
                "{} ended with its session inside a transaction, and no call was seen that tells \
                 whether the transaction held it",
                grant.words()
            );
            return found.unclear(why, seqs);
        }
        Some(ProcessEnd::NotDone(why)) => format!("; {why}"),
        None => String::new(),
    };
    found.violation(Finding {
        why: format!(
            "{} {ended}, not by an unlock there, and no fault took it{why}",
            grant.words()
        ),
        seqs,
        pod: Some(grant.pod().clone()),
        ..Finding::default()
    });
}

/// Whether a fault kept from the pod that it had got the lock (an error in place of the answer): it
/// cannot give back what it was told it did not get. That the session ends is all it can do.
fn never_told(facts: &Facts<'_>, grant: &Grant<'_>) -> bool {
    let takes = |step: &&StepFacts<'_>| {
        let calls = &step.request.lock_calls;
        step.ran()
            && (step.request.opaque
                || calls
                    .iter()
                    .any(|call| matches!(call.action, LockAction::Lock | LockAction::TryLock)))
    };
    let mut takes = facts.steps_of(grant.connection).filter(takes).peekable();
    takes.peek().is_some()
        && takes.all(|step| {
            matches!(
                step.delivery,
                Delivery::AnswerReplaced | Delivery::AnswerDropped
            )
        })
}

/// Whether a fault kept the pod from giving it back: its unlock never reached the server.
fn kept_from(facts: &Facts<'_>, grant: &Grant<'_>) -> bool {
    facts.steps_of(grant.connection).any(|step| {
        let mut calls = step.request.lock_calls.iter();
        facts.reach.at_step(step.id).is_some()
            && step.held.seq > grant.from
            && step.delivery == Delivery::Replaced
            && calls.any(|call| matches!(call.action, LockAction::Unlock | LockAction::UnlockAll))
    })
}

fn times(number: u32) -> String {
    match number {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        _ => format!("{number} times"),
    }
}
