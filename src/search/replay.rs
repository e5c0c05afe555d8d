//! The same schedule, again and again.
//!
//! Owns the counting: nothing is called deterministic without its k of n.

use super::error::TrialError;
use super::trial::{Outcome, Trial};
use crate::history::Writer;
use crate::run::{TraceEntry, trace_of};
use crate::schedule::Schedule;

/// What came of running a schedule several times.
#[derive(Debug, Clone)]
pub struct Replays {
    /// How often it was run.
    pub of: u32,
    /// How often the verdict and its violated invariants were those of the first run.
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
        let same_verdict = outcome.verdict.judgement == first.verdict.judgement
            && outcome.verdict.violated().eq(first.verdict.violated());
        replays.same_verdict += u32::from(same_verdict);
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

fn difference(expected: &[TraceEntry], came: &[TraceEntry]) -> Option<String> {
    let index = (0..expected.len().max(came.len()))
        .find(|index| expected.get(*index) != came.get(*index))?;
    let show = |entry: Option<&TraceEntry>| {
        entry.map_or_else(
            || "nothing more".to_owned(),
            |entry| entry.to_string().chars().take(160).collect(),
        )
    };
    Some(format!(
        "entry {} of the trace: expected {}; came {}",
        index + 1,
        show(expected.get(index)),
        show(came.get(index))
    ))
}
