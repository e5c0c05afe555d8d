//! The same schedule, again and again.
//!
//! Owns the counting: nothing is called deterministic without its k of n.

use super::error::TrialError;
use super::failure::same_verdict;
use super::trial::{Outcome, Trial};
use crate::history::Ending;
use crate::history::Writer;
use crate::run::{TraceEntry, trace_of};
use crate::schedule::Schedule;

/// What came of running a schedule several times.
#[derive(Debug, Clone)]
pub struct Replays {
    /// How often it was run.
    pub of: u32,
    /// How often the verdict and its violated invariants were those of the first run, each by itself: no replay is
    /// confirmed.
    pub same_verdict: u32,
    /// How often the trace's hash was that of the first run.
    pub same_trace: u32,
    /// How often what was asked for came.
    pub hits: u32,
    /// The first difference of two traces, in words.
    pub first_difference: Option<String>,
}

/// Runs a schedule `times` times and compares each run with `first`; `hit` says whether a run shows
/// what is looked for.
///
/// # Errors
/// When the harness cannot do its work.
pub async fn replay(
    trial: &Trial<'_>,
    schedule: &Schedule,
    first: &Outcome,
    times: u32,
    hit: impl Fn(&Outcome) -> bool,
    mut progress: impl FnMut(u32, &Outcome),
) -> Result<Replays, TrialError> {
    let mut replays = Replays {
        of: times,
        same_verdict: 0,
        same_trace: 0,
        hits: 0,
        first_difference: None,
    };
    let expected = trace_of(&first.lines);
    for number in 1..=times {
        let outcome = trial.run_along(schedule, Writer::in_memory()).await?;
        let unweighed = first.unweighed.as_ref().unwrap_or(&first.verdict);
        replays.same_verdict += u32::from(same_verdict(&outcome.verdict, unweighed));
        replays.hits += u32::from(hit(&outcome));
        if outcome.trace_hash == first.trace_hash {
            replays.same_trace += 1;
        } else if replays.first_difference.is_none() {
            replays.first_difference = difference(&expected, &trace_of(&outcome.lines))
                .map(|text| format!("replay {number}, {text}"));
        }
        progress(number, &outcome);
    }
    Ok(replays)
}

/// Where two traces part: which pod, which of its steps, what was expected and what came.
pub(super) fn difference(expected: &[TraceEntry], came: &[TraceEntry]) -> Option<String> {
    let index = (0..expected.len().max(came.len()))
        .find(|index| expected.get(*index) != came.get(*index))?;
    Some(format!(
        "at place {} of the trace: expected {}; came {}",
        index + 1,
        told(expected, index),
        told(came, index)
    ))
}

/// The longest part of a statement that is shown.
const SHOWN: usize = 100;

/// An entry in words: `step 2 of pod a (a.0), "insert into t …", done: INSERT 0 1`.
fn told(trace: &[TraceEntry], index: usize) -> String {
    let Some(entry) = trace.get(index) else {
        return "nothing more".to_owned();
    };
    // A step that waits has further endings; the last one counts.
    let before = trace
        .iter()
        .take(index)
        .filter(|one| one.connection.pod == entry.connection.pod)
        .filter(|one| {
            !matches!(
                one.ending,
                Some(Ending::Blocked | Ending::NeedsPod | Ending::Inside)
            )
        })
        .count();
    let mut sql: String = entry.normal.chars().take(SHOWN).collect();
    if sql.len() < entry.normal.len() {
        sql.push('…');
    }
    let outcome = match entry.outcome.as_str() {
        "" => String::new(),
        outcome => format!(": {outcome}"),
    };
    format!(
        "step {} of pod {} ({}), \"{sql}\", {}{outcome}",
        before + 1,
        entry.connection.pod,
        entry.connection,
        entry.ending_word()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(connection: &str, ending: Ending, normal: &str, outcome: &str) -> TraceEntry {
        TraceEntry {
            connection: connection.parse().unwrap(),
            ending: Some(ending),
            normal: normal.to_owned(),
            outcome: outcome.to_owned(),
        }
    }

    #[test]
    fn the_first_difference_names_pod_step_and_both_sides() {
        let expected = [
            entry("b.0", Ending::Done, "begin", "BEGIN"),
            entry("a.0", Ending::Blocked, "select pg_advisory_lock(?)", ""),
            entry(
                "a.0",
                Ending::Done,
                "select pg_advisory_lock(?)",
                "SELECT 1",
            ),
            entry("a.1", Ending::Done, "insert into t", "INSERT 0 1"),
        ];
        let mut came = expected.clone();
        came[3].outcome = "23505".to_owned();
        assert_eq!(
            difference(&expected, &came).as_deref(),
            Some(
                "at place 4 of the trace: expected step 2 of pod a (a.1), \"insert into t\", done: \
                 INSERT 0 1; came step 2 of pod a (a.1), \"insert into t\", done: 23505"
            )
        );
        assert!(
            difference(&expected, &expected[..3])
                .is_some_and(|text| text.ends_with("came nothing more"))
        );
        assert_eq!(difference(&expected, &expected), None);
    }
}
