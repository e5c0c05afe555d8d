//! A search: a strategy's schedules, run side by side, until one fails or all have been run.
//!
//! Owns the loop (rounds, shards, the order of results, when it is enough), and that a failure is
//! confirmed by a whole run before it is told. Knows
//! nothing of how a strategy comes to its schedules, nor of how anything is shown.

use crate::search::strategy::Why;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::error::TrialError;
use super::failure::Failure;
use super::strategy::{Candidate, Explored, Shard, Space, Strategy};
use super::trial::{Confirmation, HISTORY, Outcome, Trial};
use super::unclear::{Reason, Unclear, unclear};
use super::workers::{Probed, Workers, becomes_true};
use crate::history::{Line, private};
use crate::invariant::Judgement;
use crate::name::StepId;
use crate::schedule::Schedule;

/// Whether two steps of a run are independent, for each run.
pub type Independence<'i> = dyn Fn(&[Line]) -> Commute + Sync + 'i;
/// Whether two steps of one run are independent.
pub type Commute = Box<dyn Fn(StepId, StepId) -> bool>;

/// For strategies that do not ask.
#[must_use]
pub fn never_independent(_lines: &[Line]) -> Commute {
    Box::new(|_, _| false)
}

/// How a search is made.
#[derive(Debug, Clone)]
pub struct SearchOptions {
    /// How many runs at once, at least 1.
    pub jobs: usize,
    /// Whether it goes on after the first failure.
    pub all: bool,
    /// Which part of the schedules is this search's.
    pub shard: Shard,
    /// Where the histories of failures are kept, each in a directory of its own.
    pub dir: PathBuf,
    /// Becomes true at an interrupt.
    pub cancel: watch::Receiver<bool>,
}

/// A failure that was found and confirmed.
#[derive(Debug, Clone)]
pub struct Found {
    /// The number of its schedule among those that were run, from 1.
    pub at: u64,
    /// Its schedule.
    pub schedule: Schedule,
    /// What the schedule was for.
    pub why: Why,
    /// What failed.
    pub failure: Failure,
    /// The whole run.
    pub outcome: Outcome,
    /// Where its history is.
    pub dir: PathBuf,
}

/// What a search came to.
#[derive(Debug)]
pub struct Exploration {
    /// How many schedules were run; those that only taught what to try next are not counted.
    pub schedules: u64,
    /// How many of them failed: those that were found and confirmed, those that failed in the same way, and
    /// the one that an interrupt kept from being confirmed.
    pub violations: u64,
    /// How many of them could not be judged.
    pub inconclusive: u64,
    /// How many failed at first and not in a whole run.
    pub unconfirmed: u64,
    /// How many held in which a fault did not fire, or a stop was not reached: they were other
    /// schedules than they were meant to be.
    pub missed: u64,
    /// Why those that are unclear could not be judged: each reason once.
    pub unclear: Vec<Unclear>,
    /// The number of the first that failed, from 1.
    pub first_violation_at: Option<u64>,
    /// One of each failure.
    pub found: Vec<Found>,
    /// What the strategy says of its space.
    pub space: Space,
    /// How long the schedules took, from the first one's start to the last one's end; the
    /// confirmation of failures is left out.
    pub took: Duration,
    /// Whether an interrupt came before the end.
    pub interrupted: bool,
    /// Whether the search ended because a failure was enough.
    pub stopped: bool,
}

/// What is told on the way.
pub struct Progress<'a> {
    /// The number of the schedule, from 1.
    pub number: u64,
    /// The schedule, and what it is for.
    pub candidate: &'a Candidate,
    /// What it came to, as the search counts it.
    pub judgement: Judgement,
    /// What the strategy has to say of it.
    pub remark: Option<String>,
}

/// Runs a strategy's schedules. Blocks the thread, which must not be one of a runtime that is
/// needed meanwhile.
///
/// # Errors
/// When the harness cannot do its work.
pub fn explore(
    trial: &Trial<'_>,
    strategy: &mut dyn Strategy,
    independence: &Independence<'_>,
    options: &SearchOptions,
    mut progress: impl FnMut(&Progress<'_>) + Send,
) -> Result<Exploration, TrialError> {
    let workers = Workers {
        trial,
        jobs: options.jobs.max(1),
        cancel: options.cancel.clone(),
    };
    // Whoever calls may be on a runtime, where none can be started.
    std::thread::scope(|scope| {
        let search = scope.spawn(|| {
            let mut search = Search {
                workers: &workers,
                options,
                told: Exploration::new(strategy.space()),
                confirming: Duration::ZERO,
            };
            search.run(strategy, independence, &mut progress)?;
            search.told.space = strategy.space();
            Ok(search.told)
        });
        match search.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

impl Exploration {
    fn new(space: Space) -> Self {
        Self {
            schedules: 0,
            violations: 0,
            inconclusive: 0,
            unconfirmed: 0,
            missed: 0,
            unclear: Vec::new(),
            first_violation_at: None,
            found: Vec::new(),
            space,
            took: Duration::ZERO,
            interrupted: false,
            stopped: false,
        }
    }
}

struct Search<'s, 'a> {
    workers: &'s Workers<'a>,
    options: &'s SearchOptions,
    told: Exploration,
    confirming: Duration,
}

impl Search<'_, '_> {
    fn run(
        &mut self,
        strategy: &mut dyn Strategy,
        independence: &Independence<'_>,
        progress: &mut (impl FnMut(&Progress<'_>) + Send),
    ) -> Result<(), TrialError> {
        let begun = Instant::now();
        let aimed = strategy.aims();
        loop {
            let shard = self.options.shard;
            let mut round = strategy.round();
            if round.is_empty() {
                break;
            }
            round.retain(|one| one.needed || shard.owns(one.index));
            let schedules: Vec<Schedule> = round.iter().map(|one| one.schedule.clone()).collect();
            let workers = self.workers;
            let mut complete = round.is_empty();
            workers.run(&schedules, |index, probed| {
                let Probed::Run(outcome) = probed else {
                    self.told.interrupted = true;
                    return Ok(false);
                };
                let candidate = &round[index];
                let independent = independence(&outcome.lines);
                let unclear = unclear(&outcome.verdict, aimed);
                let judgement = match (outcome.verdict.judgement, &unclear) {
                    (Judgement::Inconclusive, None) => Judgement::Holds,
                    (judgement, _) => judgement,
                };
                let explored = Explored {
                    candidate,
                    lines: &outcome.lines,
                    violated: judgement == Judgement::Violated,
                    conclusive: judgement != Judgement::Inconclusive,
                    independent: &*independent,
                };
                strategy.learn(std::slice::from_ref(&explored));
                complete = index + 1 == round.len();
                if !shard.owns(candidate.index) {
                    return Ok(true);
                }
                self.told.schedules += 1;
                progress(&Progress {
                    number: self.told.schedules,
                    candidate,
                    judgement,
                    remark: strategy.remark(&explored),
                });
                if let (Judgement::Inconclusive, Some((reason, why))) = (judgement, unclear) {
                    self.unclear(reason, why);
                    return Ok(true);
                }
                let missed = outcome.verdict.judgement == Judgement::Inconclusive;
                self.told.missed += u64::from(missed);
                self.count(candidate, *outcome)
            })?;
            self.told.took = begun.elapsed().saturating_sub(self.confirming);
            if !complete || self.told.interrupted || self.told.stopped {
                break;
            }
        }
        self.told.took = begun.elapsed().saturating_sub(self.confirming);
        Ok(())
    }

    /// Takes a result into account; whether the search goes on.
    fn count(&mut self, candidate: &Candidate, outcome: Outcome) -> Result<bool, TrialError> {
        let Some(failure) = Failure::of(&outcome.verdict) else {
            return Ok(true);
        };
        let known = self
            .told
            .found
            .iter()
            .any(|one| one.failure.is_same_as(&failure));
        if !known && !self.confirm(candidate, &failure, outcome)? {
            if self.told.interrupted {
                // It did fail; that nobody saw it fail again says nothing.
                self.failed();
            }
            return Ok(!self.told.interrupted);
        }
        self.failed();
        self.told.stopped = !self.options.all;
        Ok(self.options.all)
    }

    /// Counts a schedule that failed.
    fn failed(&mut self) {
        self.told.violations += 1;
        self.told
            .first_violation_at
            .get_or_insert(self.told.schedules);
    }

    /// Takes into account that the schedule could not be judged.
    fn unclear(&mut self, reason: Reason, why: String) {
        self.told.inconclusive += 1;
        self.note(reason, why);
    }

    /// Keeps a reason, once.
    fn note(&mut self, reason: Reason, why: String) {
        let unclear = Unclear {
            reason,
            why,
            first: self.told.schedules,
            times: 1,
        };
        unclear.add_to(&mut self.told.unclear);
    }

    /// Makes the whole run, and the one without the witness. Whether it failed there, too. Steps that
    /// are let go together need not meet again: then the run that showed it stands for itself.
    fn confirm(
        &mut self,
        candidate: &Candidate,
        failure: &Failure,
        seen: Outcome,
    ) -> Result<bool, TrialError> {
        let begun = Instant::now();
        let number = self.told.found.len() + 1;
        let dir = self.options.dir.join(format!("failure-{number}"));
        let together = candidate.schedule.has_together();
        let mut confirmed = None;
        for _ in 0..if together { MEETINGS } else { 1 } {
            let Some(outcome) = self.whole(&candidate.schedule, &dir)? else {
                self.told.interrupted = true;
                break;
            };
            // The run may be stopped at its first error and the whole of it show more, or it may end
            // in another failure: the one that is told is the whole run's own.
            let same = failure.is_in(&outcome.verdict);
            let whole = Failure::of(&outcome.verdict);
            if let Some(failure) = if same { Some(failure.clone()) } else { whole } {
                confirmed = Some((failure, outcome));
                break;
            }
        }
        if confirmed.is_none() && together {
            confirmed = Some((failure.clone(), alone(seen.clone(), &dir)?));
        }
        self.confirming += begun.elapsed();
        let Some((failure, outcome)) = confirmed else {
            // Serial runs that were made meanwhile may have shown that the rows are right.
            let mut seen = seen;
            let again = self
                .workers
                .on_own_runtime(async { self.workers.trial.judged(&mut seen.lines, None).await })?;
            if again.judgement != Judgement::Violated {
                return Ok(false);
            }
            let why = failure.words(&seen.verdict);
            if self.told.interrupted {
                self.note(Reason::NotConfirmed, why);
            } else {
                self.told.unconfirmed += 1;
                self.note(Reason::FailedOnce, why);
            }
            return Ok(false);
        };
        self.told.found.push(Found {
            at: self.told.schedules,
            schedule: candidate.schedule.clone(),
            why: candidate.why.clone(),
            failure,
            outcome,
            dir,
        });
        Ok(true)
    }

    /// The whole run, with nothing in its directory of one before it.
    fn whole(&self, schedule: &Schedule, dir: &Path) -> Result<Option<Outcome>, TrialError> {
        let cleared = std::fs::remove_dir_all(dir);
        if dir.exists() {
            cleared.map_err(|cause| TrialError::Write {
                path: dir.to_owned(),
                cause,
            })?;
        }
        make(dir)?;
        let trial = self.workers.trial;
        let cancel = self.options.cancel.clone();
        self.workers.on_own_runtime(async {
            tokio::select! {
                biased;
                () = becomes_true(cancel) => Ok(None),
                outcome = trial.run_confirmed(schedule, Some(dir)) => outcome.map(Some),
            }
        })
    }
}

/// How often steps that are let go together get the chance to meet again.
const MEETINGS: u32 = 10;

/// A run that could not be repeated, written to its directory.
fn alone(mut seen: Outcome, dir: &Path) -> Result<Outcome, TrialError> {
    let path = dir.join(HISTORY);
    let written = private::create(&path).and_then(|file| {
        let mut file = BufWriter::new(file);
        for line in &seen.lines {
            serde_json::to_writer(&mut file, line)?;
            file.write_all(b"\n")?;
        }
        file.flush()
    });
    written.map_err(|cause| TrialError::Write { path, cause })?;
    seen.confirmation = Confirmation::NotPossible(format!(
        "the two steps were let go together {MEETINGS} more times, and did not meet so again"
    ));
    Ok(seen)
}

/// Makes a directory, and those above it.
pub(super) fn make(dir: &Path) -> Result<(), TrialError> {
    private::make_directory(dir).map_err(|cause| TrialError::Write {
        path: dir.to_owned(),
        cause,
    })
}
