//! What the steps of the clean run are, so that it can be said where a fault came.
//!
//! Owns the kinds of steps, and the stop before a job's last write. Knows nothing of faults.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::history::{Event, Line, LockAction};
use crate::name::StepId;
use crate::schedule::{SqlPattern, Stop};
use crate::search::shrink::pattern;
use crate::timeline::{StepFacts, Timeline};

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

/// The steps that wrote: by the witness's word or, without one, by their text's.
fn wrote(timeline: &Timeline<'_>) -> BTreeSet<StepId> {
    let witnessed = timeline.lines.iter().filter_map(|line| match &line.event {
        Event::Write(write) => write.step,
        _ => None,
    });
    let told = timeline.steps.values();
    told.filter(|step| !step.request.writes.is_empty())
        .map(|step| step.id)
        .chain(witnessed)
        .collect()
}

/// The kind of each step of a run of one pod, in order.
#[must_use]
pub fn step_kinds(lines: &[Line]) -> Vec<StepKind> {
    let timeline = Timeline::of(lines);
    let wrote = wrote(&timeline);
    let kind = |step: &StepFacts<'_>| {
        let calls = |wanted: [LockAction; 2]| {
            let mut calls = step.request.lock_calls.iter();
            calls.any(|call| wanted.contains(&call.action))
        };
        if wrote.contains(&step.id) {
            StepKind::Write
        } else if calls([LockAction::Lock, LockAction::TryLock]) {
            StepKind::Lock
        } else if calls([LockAction::Unlock, LockAction::UnlockAll]) {
            StepKind::Unlock
        } else {
            StepKind::Question
        }
    };
    timeline.numbered().map(kind).collect()
}

/// The stop before the last write of a run of one pod: all of its work but that is done there. `None`
/// if it wrote nothing.
#[must_use]
pub fn before_last_write(lines: &[Line]) -> Option<Stop> {
    let timeline = Timeline::of(lines);
    let wrote = wrote(&timeline);
    let steps: Vec<&StepFacts<'_>> = timeline.numbered().collect();
    let last = steps.iter().rposition(|step| wrote.contains(&step.id))?;
    let sql: SqlPattern = pattern(&steps[last].request.normal)?;
    let nth = steps[..=last]
        .iter()
        .filter(|step| sql.matches(&step.request.normal))
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
        let stop = before_last_write(&job()).map(|stop| crate::report::stop_words(&stop));
        assert_eq!(
            stop.as_deref(),
            Some("until before \"insert into t\" (match 2)")
        );
        let mut tale = Tale::of(&["a"]);
        tale.step("a.0", "select 1");
        assert_eq!(before_last_write(&tale.lines()), None);
    }
}
