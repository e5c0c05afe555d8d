//! same-session: every lock grant ended on the session that got it: by an unlock there that
//! returned true, the end of its transaction for xact locks, or, where `release = "any"` or a
//! fault took the pod, the end of that session; no unlock returned false, no "you don't own a
//! lock" in the log, unlocks balance grants.
//!
//! Owns that rule. Evidence: `pg_locks`, answers of lock calls, warnings on the wire and in the log.

use super::facts::{Facts, Grant, How, step_words};
use super::ruling::{Found, not_judged};
use super::verdict::{Finding, InvariantName, InvariantVerdict};
use crate::history::Release;

const NAME: InvariantName = InvariantName::SameSession;

pub(super) fn judge(facts: &Facts<'_>) -> InvariantVerdict {
    if facts.rule_keys.is_empty() {
        return not_judged(NAME, super::judge::NO_LOCK);
    }
    let mut found = Found::default();
    for failed in &facts.failed_unlocks {
        let key = failed
            .key
            .map_or_else(String::new, |key| format!(" (lock {key})"));
        found.violation(Finding {
            why: format!(
                "pod {} gave back a lock that its session did not hold: {}{key}, {}",
                failed.connection.pod,
                step_words(failed.step, &facts.steps, failed.connection, None),
                failed.shown_by
            ),
            seqs: failed.seqs.clone(),
            pod: Some(failed.connection.pod.clone()),
            ..Finding::default()
        });
    }
    let mut grants = 0;
    for grant in &facts.grants {
        if facts.is_rule_key(&grant.key) {
            grants += 1;
            ending(facts, grant, &mut found);
        }
    }
    let holds = match grants {
        0 => "no pod was granted the lock, and no unlock failed".to_owned(),
        1 => "the one grant of the lock ended on the session that got it".to_owned(),
        _ => format!("all {grants} grants of the lock ended on the sessions that got them"),
    };
    found.ruling(NAME, facts, holds)
}

fn ending(facts: &Facts<'_>, grant: &Grant<'_>, found: &mut Found) {
    let finding = |why: String, end: Option<u64>| Finding {
        why,
        seqs: std::iter::once(grant.from).chain(end).collect(),
        pod: Some(grant.pod().clone()),
        ..Finding::default()
    };
    let last = facts.lines.last().map_or(0, |line| line.seq);
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
        How::Session if by_fault => {}
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
        How::Session if grant.xact.is_none() && grant.in_transaction => found.unclear(
            format!(
                "{} ended with its session inside a transaction, and no call was seen that tells \
                 whether the transaction held it",
                grant.words()
            ),
            vec![grant.from, end],
        ),
        How::Session => found.violation(finding(
            format!(
                "{} ended with its session, not by an unlock there, and no fault took it",
                grant.words()
            ),
            Some(end),
        )),
    }
}

fn times(number: u32) -> String {
    match number {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        _ => format!("{number} times"),
    }
}
