//! The runs of a list of schedules, and the second look at those that are violated.
//!
//! Owns what is kept of each run, and that a violation is run again: with the witness, so that it is
//! known whether it comes again, and without, so that it is not the witness's doing.

use crate::search::strategy::Why;
use std::path::Path;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::history::{Event, Line};
use crate::invariant::{Judgement, Verdict};
use crate::name::{ConnectionName, GuardName};
use crate::run::{TraceEntry, trace_of};
use crate::schedule::{FaultKind, Schedule};
use crate::search::after_crash::Breaks;
use crate::search::confirm::make;
use crate::search::error::TrialError;
use crate::search::explore::Found;
use crate::search::failure::{Failure, same_verdict};
use crate::search::replay::difference;
use crate::search::threads::apart;
use crate::search::trial::{Outcome, Trial};
use crate::search::unclear::{Reason, unclear};
use crate::search::weighing::{Confirmation, weigh};
use crate::search::workers::{Probed, Workers, on_own_runtime};

/// How a survey is made.
#[derive(Debug, Clone)]
pub struct SurveyOptions {
    /// How many runs at once, at least 1.
    pub jobs: usize,
    /// How often each violated schedule is run again.
    pub times: u32,
    /// Becomes true at an interrupt.
    pub cancel: watch::Receiver<bool>,
}

/// What a schedule came to.
#[derive(Debug, Clone)]
pub struct Surveyed {
    /// What it came to. A run that took another course than it was made for is judged like any
    /// other.
    pub judgement: Judgement,
    /// Its verdict, after the look without the witness.
    pub verdict: Verdict,
    /// Why it could not be judged: the reason and a sentence.
    pub unclear: Option<(Reason, String)>,
    /// Its faults: one for each session where a fault is done to several.
    pub faults: Vec<FaultSeen>,
    /// What the second look showed, where it was violated.
    pub again: Option<Again>,
}

impl Surveyed {
    /// Why its fault did not fire, or not wholly; `None` if it did.
    #[must_use]
    pub fn missed(&self) -> Option<&str> {
        if self.faults.is_empty() {
            return Some("the run ended before the fault's turn");
        }
        let missed = self.faults.iter().find(|fault| !fault.fired)?;
        Some(&missed.evidence)
    }
}

/// A fault, as a run's history tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultSeen {
    /// What it is.
    pub kind: FaultKind,
    /// The connection that it hit.
    pub connection: Option<ConnectionName>,
    /// Whether it fired.
    pub fired: bool,
    /// What proves it, or why it did not.
    pub evidence: String,
}

/// What came of running a violated schedule again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Again {
    /// How often it was run again.
    pub of: u32,
    /// How often the same invariants were violated, and no others.
    pub same_verdict: u32,
    /// How often with the same trace, too.
    pub same_trace: u32,
    /// The first difference of two traces, in words.
    pub first_difference: Option<String>,
    /// What the run without the witness showed; `None` where there was none.
    pub bare: Option<Confirmation>,
}

/// What a survey came to.
#[derive(Debug, Clone)]
pub struct Survey {
    /// One for each schedule that was run, in their order; all, unless an interrupt came.
    pub runs: Vec<Surveyed>,
    /// How long the runs took.
    pub took: Duration,
    /// How long it took to run the violated ones again.
    pub again: Duration,
    /// Whether an interrupt came before the end.
    pub interrupted: bool,
}

/// What is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// The schedules, each once.
    First,
    /// The violated ones again.
    Again,
    /// The violated ones without the witness.
    Bare,
}

/// Runs these schedules, each once, and those that are violated again. `progress` is told of the pass,
/// how many of it are done, and of how many. Blocks the thread.
///
/// # Errors
/// When the harness cannot do its work.
pub fn survey(
    trial: &Trial<'_>,
    schedules: &[Schedule],
    options: &SurveyOptions,
    mut progress: impl FnMut(Pass, usize, usize),
) -> Result<Survey, TrialError> {
    let begun = Instant::now();
    let mut survey = Survey {
        runs: Vec::new(),
        took: Duration::ZERO,
        again: Duration::ZERO,
        interrupted: false,
    };
    let mut first: Vec<Option<(Vec<TraceEntry>, String)>> = Vec::new();
    survey.interrupted = !each(trial, options, schedules, |index, mut outcome| {
        apart(|| on_own_runtime(trial.serial_anew(&mut outcome, None)))?;
        let (seen, trace) = look(outcome);
        survey.runs.push(seen);
        first.push(trace);
        progress(Pass::First, index + 1, schedules.len());
        Ok(())
    })?;
    survey.took = begun.elapsed();
    if survey.interrupted {
        return Ok(survey);
    }
    let begun = Instant::now();
    let violated: Vec<usize> = (0..schedules.len())
        .filter(|index| first[*index].is_some())
        .collect();
    let again: Vec<Schedule> = violated
        .iter()
        .map(|index| schedules[*index].clone())
        .collect();
    let all = again.len() * options.times as usize;
    for round in 0..options.times as usize {
        let complete = each(trial, options, &again, |place, outcome| {
            let index = violated[place];
            if let Some(first) = &first[index] {
                compare(&mut survey.runs[index], first, &outcome, options.times);
            }
            progress(Pass::Again, round * again.len() + place + 1, all);
            Ok(())
        })?;
        survey.interrupted |= !complete;
    }
    if trial.has_witness() && !survey.interrupted {
        let bare = trial.clone().without_witness();
        let complete = each(&bare, options, &again, |place, mut outcome| {
            let seen = &mut survey.runs[violated[place]];
            // Who did their work is known of the run with the witness.
            let worked = &seen.verdict.worked;
            let verdict = apart(|| on_own_runtime(bare.judged(&mut outcome.lines, None, worked)))?;
            confirm(seen, verdict);
            progress(Pass::Bare, place + 1, again.len());
            Ok(())
        })?;
        survey.interrupted |= !complete;
    }
    survey.again = begun.elapsed();
    Ok(survey)
}

/// A schedule run as a whole, confirmed, and written to this directory, as a failure that was found;
/// `None` if it does not fail this time.
///
/// # Errors
/// When the harness cannot do its work.
pub async fn example(
    trial: &Trial<'_>,
    schedule: &Schedule,
    why: Why,
    at: u64,
    dir: &Path,
) -> Result<Option<Found>, TrialError> {
    make(dir)?;
    let outcome = trial.run_confirmed(schedule, Some(dir)).await?;
    Ok(Failure::of(&outcome.verdict).map(|failure| Found {
        at,
        schedule: schedule.clone(),
        why,
        failure,
        // A sweep asks nothing but what faults do, and groups by fault.
        breaks: Breaks::Order,
        outcome,
        dir: dir.to_owned(),
        rate: None,
    }))
}

/// Runs each once and hands it on, in order; whether all were run.
fn each(
    trial: &Trial<'_>,
    options: &SurveyOptions,
    schedules: &[Schedule],
    mut take: impl FnMut(usize, Outcome) -> Result<(), TrialError>,
) -> Result<bool, TrialError> {
    let workers = Workers::new(trial, options.jobs.max(1), options.cancel.clone());
    let mut complete = true;
    workers.run(schedules, |index, probed| match probed {
        Probed::Run(outcome) => {
            take(index, *outcome)?;
            Ok(true)
        }
        Probed::Left => {
            complete = false;
            Ok(false)
        }
    })?;
    Ok(complete)
}

/// What is kept of a run; of one that is violated its trace as well.
fn look(outcome: Outcome) -> (Surveyed, Option<(Vec<TraceEntry>, String)>) {
    let unclear = unclear(&outcome.verdict, false);
    let judgement = match (outcome.verdict.judgement, &unclear) {
        (Judgement::Inconclusive, None) => Judgement::Holds,
        (_, Some((reason, _))) if reason.is_refutation() => Judgement::Holds,
        (judgement, _) => judgement,
    };
    let trace = (judgement == Judgement::Violated)
        .then(|| (trace_of(&outcome.lines), outcome.trace_hash.clone()));
    let seen = Surveyed {
        judgement,
        unclear: unclear.filter(|_| judgement != Judgement::Violated),
        faults: faults(&outcome.lines),
        verdict: outcome.verdict,
        again: None,
    };
    (seen, trace)
}

/// The faults of the schedule: those that its run adds to clear up after one are left out.
fn faults(lines: &[Line]) -> Vec<FaultSeen> {
    let mut faults: Vec<FaultSeen> = Vec::new();
    for line in lines {
        if let Event::Fault(event) = &line.event {
            let added = faults
                .first()
                .is_some_and(|first| first.kind != event.fault.kind);
            if !added {
                faults.push(FaultSeen {
                    kind: event.fault.kind.clone(),
                    connection: event.connection.clone(),
                    fired: event.fired,
                    evidence: event.evidence.clone(),
                });
            }
        }
    }
    faults
}

/// Takes a run of the same schedule into account.
fn compare(seen: &mut Surveyed, first: &(Vec<TraceEntry>, String), again: &Outcome, times: u32) {
    let told = seen.again.get_or_insert_with(Again::default);
    told.of = times;
    let same = same_verdict(&again.verdict, &seen.verdict);
    told.same_verdict += u32::from(same);
    if again.trace_hash == first.1 {
        told.same_trace += u32::from(same);
    } else if told.first_difference.is_none() {
        told.first_difference = difference(&first.0, &trace_of(&again.lines));
    }
}

/// Weighs the verdict by that without the witness. A guard that was not met with it either is no
/// other course.
fn confirm(seen: &mut Surveyed, mut bare: Verdict) {
    let met = |name: GuardName| {
        let mut guards = seen.verdict.guards.iter();
        guards.any(|guard| guard.name == name && guard.met)
    };
    bare.guards.retain(|guard| guard.met || met(guard.name));
    let confirmation = weigh(&mut seen.verdict, &bare);
    seen.again.get_or_insert_with(Again::default).bare = Some(confirmation);
    seen.judgement = seen.verdict.judgement;
    if seen.judgement == Judgement::Inconclusive {
        seen.unclear = unclear(&seen.verdict, false);
    }
}
