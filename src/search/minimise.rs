//! A failure made small: fewer pods, faults and turns, as long as it still fails.
//!
//! Owns the runs that this takes, and the rule that a failure which does not come every time is told
//! with its rate and left as it is. What to try next is decided in `shrink`, which is pure.

use std::path::Path;

use tokio::sync::watch;

use super::confirm::make;
use super::error::TrialError;
use super::explore::Found;
use super::failure::Failure;
use super::replay::{Replays, replay};
use super::shrink::{Failed, Progress, Shrink, recorded, settled};
use super::threads::apart;
use super::trial::{Outcome, Trial};
use super::workers::{Workers, becomes_true};
use crate::history::{Event, Writer};
use crate::name::StepId;
use crate::schedule::{Move, Schedule};

/// How often in a row a failure must come before it is made smaller.
const STEADY: u32 = 3;

/// A failure that was made small.
#[derive(Debug)]
pub struct Minimised {
    /// How many pods it takes.
    pub pods: usize,
    /// Its turns and faults.
    pub moves: Vec<Move>,
    /// How many moves it had when it was found.
    pub from_turns: usize,
    /// How many runs that took.
    pub runs: u64,
    /// The whole run of what is left, confirmed.
    pub outcome: Outcome,
    /// What its replays showed; `None` where an interrupt came first.
    pub replays: Option<Replays>,
    /// Whether an interrupt came before it was as small as can be.
    pub interrupted: bool,
}

/// What came of making a failure small.
#[derive(Debug)]
pub enum Shrunk {
    /// It is as small as can be, or an interrupt came first.
    Small(Box<Minimised>),
    /// It did not come every time: so often, of so many runs.
    Flaky {
        /// How often it came.
        hits: u32,
        /// Of how many runs.
        of: u32,
        /// The first difference between two runs.
        first_difference: Option<String>,
    },
    /// An interrupt came before anything was tried.
    Interrupted,
}

/// How it is done.
pub struct MinimiseOptions<'o> {
    /// How often the result is replayed.
    pub times: u32,
    /// Where the result's history goes.
    pub dir: &'o Path,
    /// Becomes true at an interrupt.
    pub cancel: watch::Receiver<bool>,
    /// Hears of each replay that is done: its number, from 1.
    pub replayed: &'o (dyn Fn(u32) + Sync),
}

/// Makes a failure small. Blocks the thread, as `explore` does.
///
/// # Errors
/// When the harness cannot do its work.
pub fn minimise(
    trial: &Trial<'_>,
    found: &Found,
    options: &MinimiseOptions<'_>,
    mut progress: impl FnMut(&Progress) + Send,
) -> Result<Shrunk, TrialError> {
    apart(|| {
        let workers = Workers::new(trial, 1, options.cancel.clone());
        workers.on_own_runtime(small(trial, found, options, &mut progress))
    })
}

async fn small(
    trial: &Trial<'_>,
    found: &Found,
    options: &MinimiseOptions<'_>,
    progress: &mut (impl FnMut(&Progress) + Send),
) -> Result<Shrunk, TrialError> {
    let trial = &trial.clone().looking_for(found.failure.key());
    let written = match &found.schedule {
        Schedule::Controlled(moves) => moves.clone(),
        // What a run did that was not led by a list of turns can be led by one.
        Schedule::Priorities { .. } | Schedule::Free(_) => {
            recorded(&found.outcome.lines, &found.schedule)
        }
    };
    let schedule = Schedule::Controlled(written.clone());
    let mut interrupt = Interrupt(options.cancel.clone());
    let mut hits = 0;
    for _ in 0..STEADY {
        let Some(outcome) = interrupt.unless(trial.probe(&schedule)).await? else {
            return Ok(Shrunk::Interrupted);
        };
        hits += u32::from(reproduces(&found.failure, &outcome));
    }
    if hits < STEADY {
        return flaky(trial, found, &schedule, hits, options).await;
    }
    let at = failing_step(&found.outcome, &found.failure);
    let failed = Failed {
        lines: &found.outcome.lines,
        at,
    };
    let mut shrink = Shrink::new(trial.pods(), written, failed);
    let mut interrupted = false;
    while let Some(attempt) = shrink.next_attempt() {
        let smaller = trial.clone().with_pods(attempt.pods);
        let schedule = Schedule::Controlled(attempt.moves);
        let Some(outcome) = interrupt.unless(smaller.probe(&schedule)).await? else {
            interrupted = true;
            break;
        };
        let at = failing_step(&outcome, &found.failure);
        shrink.told(reproduces(&found.failure, &outcome).then_some(Failed {
            lines: &outcome.lines,
            at,
        }));
        progress(&shrink.progress());
    }
    let best = shrink.best().clone();
    let told = shrink.progress();
    let trial = trial.clone().with_pods(best.pods);
    let schedule = Schedule::Controlled(best.moves.clone());
    make(options.dir)?;
    let mut outcome = trial.run_confirmed(&schedule, Some(options.dir)).await?;
    // The whole run may end a turn otherwise than the one that was stopped at its error.
    let taken = settled(&best.moves, &outcome.lines, &outcome.verdict);
    let (mut moves, mut schedule) = (best.moves, schedule);
    if let Some(taken) = taken.filter(|_| !interrupted) {
        let other = Schedule::Controlled(taken.clone());
        let whole = trial.run_confirmed(&other, Some(options.dir)).await?;
        if found.failure.is_in(&whole.verdict) {
            (outcome, moves, schedule) = (whole, taken, other);
        } else {
            outcome = trial.run_confirmed(&schedule, Some(options.dir)).await?;
        }
    }
    let replays = if interrupted {
        None
    } else {
        let again = replay(
            &trial,
            &schedule,
            &outcome,
            options.times,
            |outcome| found.failure.is_in(&outcome.verdict),
            |number, _| (options.replayed)(number),
        );
        interrupt.unless(again).await?
    };
    Ok(Shrunk::Small(Box::new(Minimised {
        pods: best.pods,
        moves,
        from_turns: told.from_moves,
        runs: u64::from(told.tried),
        outcome,
        interrupted: interrupted || replays.is_none(),
        replays,
    })))
}

/// Whether a run shows the failure, and is a test of what it was made for: a job that does not even
/// write, a fault that does not fire, a stop that is not reached make no scenario. (A run that was
/// stopped at its error has shown enough.)
fn reproduces(failure: &Failure, outcome: &Outcome) -> bool {
    let stopped = outcome
        .lines
        .iter()
        .any(|line| matches!(line.event, Event::StoppedEarly { .. }));
    failure.is_in(&outcome.verdict)
        && (stopped || outcome.verdict.guards.iter().all(|guard| guard.met))
}

/// Counts how often the failure comes, after `before` of the first few runs.
async fn flaky(
    trial: &Trial<'_>,
    found: &Found,
    schedule: &Schedule,
    before: u32,
    options: &MinimiseOptions<'_>,
) -> Result<Shrunk, TrialError> {
    let mut interrupt = Interrupt(options.cancel.clone());
    let Some(first) = interrupt
        .unless(trial.run_along(schedule, Writer::in_memory()))
        .await?
    else {
        return Ok(Shrunk::Interrupted);
    };
    let again = replay(
        trial,
        schedule,
        &first,
        options.times,
        |outcome| found.failure.is_in(&outcome.verdict),
        |_, _| {},
    );
    Ok(match interrupt.unless(again).await? {
        None => Shrunk::Interrupted,
        Some(replays) => Shrunk::Flaky {
            hits: before + replays.hits + u32::from(found.failure.is_in(&first.verdict)),
            of: STEADY + replays.of + 1,
            first_difference: replays.first_difference,
        },
    })
}

/// The step whose error is the failure, or that did what is told of it.
fn failing_step(outcome: &Outcome, failure: &Failure) -> Option<StepId> {
    let seqs: Vec<u64> = failure
        .findings(&outcome.verdict)
        .flat_map(|finding| finding.seqs.iter().copied())
        .collect();
    outcome
        .lines
        .iter()
        .filter(|line| seqs.contains(&line.seq))
        .find_map(|line| match &line.event {
            Event::StepEnded { step, .. } | Event::StepReleased { step, .. } => Some(*step),
            Event::Write(write) => write.step,
            Event::ServerLog(log) => log.step,
            _ => None,
        })
}

struct Interrupt(watch::Receiver<bool>);

impl Interrupt {
    /// What this comes to, unless an interrupt comes first.
    async fn unless<T>(
        &mut self,
        work: impl Future<Output = Result<T, TrialError>>,
    ) -> Result<Option<T>, TrialError> {
        tokio::select! {
            biased;
            () = becomes_true(self.0.clone()) => Ok(None),
            result = work => result.map(Some),
        }
    }
}
