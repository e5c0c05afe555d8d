//! What the steps of the clean run are, so that it can be said where a fault came.
//!
//! Owns the kinds of steps, and the stop before a job's last write. Knows nothing of faults.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::history::{Event, Line, LockAction, Request};
use crate::name::StepId;
use crate::schedule::{SqlPattern, Stop};
use crate::search::shrink::pattern;

/// What a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepKind {
    /// Asks for an advisory lock.
    Lock,
    /// Gives one back.
    Unlock,
    /// Writes a table.
    Write,
    /// None of these.
    Question,
}

impl fmt::Display for StepKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lock => "the lock call",
            Self::Unlock => "the unlock",
            Self::Write => "a write",
            Self::Question => "a question",
        })
    }
}

/// The steps of a run that have a number, in order, and those that wrote: by the witness's word
/// or, without one, by their text's.
fn steps(lines: &[Line]) -> (Vec<(StepId, &Request)>, BTreeSet<StepId>) {
    let mut requests: BTreeMap<StepId, &Request> = BTreeMap::new();
    let mut steps = Vec::new();
    let mut wrote = BTreeSet::new();
    for line in lines {
        match &line.event {
            Event::StepHeld { step, request, .. } => {
                requests.insert(*step, request);
                if !request.writes.is_empty() {
                    wrote.insert(*step);
                }
            }
            Event::StepReleased {
                step,
                number: Some(_),
                ..
            } => steps.extend(requests.get(step).map(|request| (*step, *request))),
            Event::Write(write) => wrote.extend(write.step),
            _ => {}
        }
    }
    (steps, wrote)
}

/// The kind of each step of a run of one pod, in order.
#[must_use]
pub fn step_kinds(lines: &[Line]) -> Vec<StepKind> {
    let (steps, wrote) = steps(lines);
    let kind = |(step, request): &(StepId, &Request)| {
        let calls = |wanted: [LockAction; 2]| {
            let mut calls = request.lock_calls.iter();
            calls.any(|call| wanted.contains(&call.action))
        };
        if wrote.contains(step) {
            StepKind::Write
        } else if calls([LockAction::Lock, LockAction::TryLock]) {
            StepKind::Lock
        } else if calls([LockAction::Unlock, LockAction::UnlockAll]) {
            StepKind::Unlock
        } else {
            StepKind::Question
        }
    };
    steps.iter().map(kind).collect()
}

/// The stop before the last write of a run of one pod: all of its work but that is done there. `None`
/// if it wrote nothing.
#[must_use]
pub fn before_last_write(lines: &[Line]) -> Option<Stop> {
    let (steps, wrote) = steps(lines);
    let last = steps.iter().rposition(|(step, _)| wrote.contains(step))?;
    let sql: SqlPattern = pattern(&steps[last].1.normal)?;
    let nth = steps[..=last]
        .iter()
        .filter(|(_, request)| sql.matches(&request.normal))
        .count();
    Some(Stop::Before {
        sql,
        nth: u32::try_from(nth).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::tale::Tale;

    fn job() -> Vec<Line> {
        let mut tale = Tale::of(&["a"]);
        tale.lock("a.0", 7)
            .step("a.1", "insert into t values (1)")
            .step("a.0", "select 1")
            .step("a.1", "insert into t values (2)")
            .unlock("a.0", 7);
        tale.lines()
    }

    #[test]
    fn a_step_is_known_by_what_it_does() {
        use StepKind::{Lock, Question, Unlock, Write};
        assert_eq!(step_kinds(&job()), [Lock, Write, Question, Write, Unlock]);
    }

    #[test]
    fn the_last_write_is_found_and_which_of_its_kind_it_is() {
        let stop = before_last_write(&job()).map(|stop| stop.to_string());
        assert_eq!(
            stop.as_deref(),
            Some("until before \"insert into t\" (match 2)")
        );
        let mut tale = Tale::of(&["a"]);
        tale.step("a.0", "select 1");
        assert_eq!(before_last_write(&tale.lines()), None);
    }
}
