//! Unlocks that failed.
//!
//! Owns the way from wire and log to one unlock of what its session did not hold. Knows nothing of
//! who did hold it.

use std::collections::HashMap;

use crate::history::{Event, LockAction};
use crate::name::{ConnectionName, LockKey, StepId};
use crate::timeline::Timeline;

/// An unlock of what the session did not hold.
#[derive(Debug)]
pub struct FailedUnlock<'a> {
    /// Who asked for it.
    pub connection: &'a ConnectionName,
    /// In which step.
    pub step: Option<StepId>,
    /// Of which lock, if that is known.
    pub key: Option<LockKey>,
    /// The lines that show it.
    pub seqs: Vec<u64>,
    /// `its answer was false`, `the server warned …`.
    pub shown_by: String,
}

/// Whether a warning says that a session does not hold what it gives back.
fn is_unlock_warning(sqlstate: &str, message: &str) -> bool {
    sqlstate == "01000" && message.starts_with("you don't own a lock of type")
}

/// All unlocks of what the session did not hold, each once though wire and log both tell it.
pub fn failed_unlocks<'a>(timeline: &Timeline<'a>) -> Vec<FailedUnlock<'a>> {
    let mut failed: Vec<FailedUnlock> = Vec::new();
    for step in timeline.steps.values().filter(|step| step.ran()) {
        for end in &step.endings {
            let is_unlock = |i: usize| {
                let call = step.request.lock_calls.get(i);
                call.is_some_and(|call| call.action == LockAction::Unlock)
            };
            let false_at = (0..end.answer.lock_results.len())
                .find(|i| end.answer.lock_results[*i] == Some(false) && is_unlock(*i));
            let warned = end
                .answer
                .notices
                .iter()
                .any(|notice| is_unlock_warning(&notice.sqlstate, &notice.message));
            if false_at.is_none() && !warned {
                continue;
            }
            let shown_by = match (false_at.is_some(), warned) {
                (true, true) => "it answered false and the server warned",
                (true, false) => "it answered false",
                _ => "the server warned \"you don't own a lock\"",
            };
            failed.push(FailedUnlock {
                connection: step.connection,
                step: Some(step.id),
                key: step
                    .request
                    .lock_calls
                    .get(false_at.unwrap_or(0))
                    .and_then(|call| call.key),
                seqs: vec![end.at.seq],
                shown_by: shown_by.to_owned(),
            });
        }
    }
    let mut on_wire: HashMap<&ConnectionName, Vec<usize>> = HashMap::new();
    let mut of_connection: HashMap<&ConnectionName, Vec<Option<StepId>>> = HashMap::new();
    for (place, one) in failed.iter().enumerate() {
        on_wire.entry(one.connection).or_default().push(place);
        of_connection
            .entry(one.connection)
            .or_default()
            .push(one.step);
    }
    for line in timeline.lines {
        let Event::ServerLog(log) = &line.event else {
            continue;
        };
        let (Some(connection), true) = (
            &log.connection,
            is_unlock_warning(&log.sqlstate, &log.message),
        ) else {
            continue;
        };
        let same = |step: Option<StepId>| log.step.is_none() || step == log.step;
        let unmerged = on_wire.entry(connection).or_default();
        let known = of_connection.entry(connection).or_default();
        if let Some(i) = unmerged.iter().position(|place| same(failed[*place].step)) {
            let place = unmerged.remove(i);
            failed[place].seqs.push(line.seq);
        } else if log.step.is_none() || !known.iter().any(|step| same(*step)) {
            known.push(log.step);
            failed.push(FailedUnlock {
                connection,
                step: log.step,
                key: None,
                seqs: vec![line.seq],
                shown_by: "the server's log warned \"you don't own a lock\"".to_owned(),
            });
        }
    }
    failed
}
