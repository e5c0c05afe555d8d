//! A search: a strategy's schedules, run side by side, until one fails or all have been run.
//!
//! Owns the loop (rounds, shards, the order of results, when it is enough), and that a failure is
//! confirmed by a whole run before it is told. Knows
//! nothing of how a strategy comes to its schedules, nor of how anything is shown.

use crate::search::strategy::Why;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::after_crash::Breaks;
use super::checkpoint::Checkpoint;
use super::confirm::{CHANCES, MEETINGS, alone, fails_without_faults, whole};
use super::course::{NotApplicable, other_course};
use super::error::TrialError;
use super::failure::Failure;
use super::left_open::LeftOpen;
use super::strategy::{Candidate, Explored, Kind, OtherCourse, Shard, Space, Strategy};
use super::threads::apart;
use super::trial::{Outcome, Trial};
use super::unclear::{Reason, Unclear, only_other_turns, unclear};
use super::weighing::is_in_own_lines;
use super::workers::{Probed, Workers};
use crate::history::Line;
use crate::invariant::Judgement;
use crate::name::StepId;
use crate::run::Timings;
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
    /// What that is a break of.
    pub breaks: Breaks,
    /// The whole run.
    pub outcome: Outcome,
    /// Where its history is.
    pub dir: PathBuf,
    /// How often it came, where not each run of its schedule showed it.
    pub rate: Option<Rate>,
}

/// In how many runs of a schedule a failure came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// In so many,
    pub hits: u32,
    /// of so many.
    pub of: u32,
}

/// What a search came to.
#[derive(Debug)]
pub struct Exploration {
    /// How many schedules were run; those that only taught what to try next are not counted.
    pub schedules: u64,
    /// How many of them were run by an earlier search that this one goes on with.
    pub resumed: u64,
    /// How many of them were steps let go at the same moment.
    pub draws: u64,
    /// How many of the schedules that were run stop inside a step.
    pub inside: u64,
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
    /// How many held that ask for what this subject never does: each reason once.
    pub not_applicable: Vec<NotApplicable>,
    /// What the runs left open, those that held among them.
    pub left_open: LeftOpen,
    /// Why those that are unclear could not be judged: each reason once.
    pub unclear: Vec<Unclear>,
    /// The number of the first that failed, from 1.
    pub first_violation_at: Option<u64>,
    /// One of each failure.
    pub found: Vec<Found>,
    /// What the strategy says of its space.
    pub space: Space,
    /// How long it took, from the first schedule's beginning to the last result: wall time, in which
    /// failures were confirmed, too.
    pub took: Duration,
    /// What the time of the schedules was spent with. (Confirming runs are not among them.)
    pub timings: Timings,
    /// Whether an interrupt came before the end.
    pub interrupted: bool,
    /// Whether the search ended because a failure was enough.
    pub stopped: bool,
    /// What ended it after something had failed: a full disk, say, or a server that had gone.
    pub broken_off: Option<String>,
}

/// What is told on the way.
pub struct Progress<'a> {
    /// The number of the schedule, from 1.
    pub number: u64,
    /// The schedule, and what it is for.
    pub candidate: &'a Candidate,
    /// What it came to, as the search counts it.
    pub judgement: Judgement,
    /// Whether it asks for what this subject never does.
    pub applies: bool,
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
    checkpoint: Option<&mut Checkpoint<'_>>,
    mut progress: impl FnMut(&Progress<'_>) + Send,
) -> Result<Exploration, TrialError> {
    // Behind the first error of a run there may be another failure.
    let trial = match options.all {
        true => trial.clone().to_the_end(),
        false => trial.clone(),
    };
    let workers = Workers::new(&trial, options.jobs.max(1), options.cancel.clone());
    let begun = Instant::now();
    apart(|| {
        let mut search = Search {
            workers: &workers,
            options,
            told: Exploration::new(strategy.space()),
            predicts: strategy.kind() == Kind::Predictions,
        };
        let result = search.run(strategy, independence, checkpoint, &mut progress);
        search.told.took = begun.elapsed();
        if let Err(error) = result {
            // What failed is not lost with it.
            if search.told.violations == 0 {
                return Err(error);
            }
            search.told.broken_off = Some(error.to_string());
        }
        let after_crash = |found: &Found| found.breaks == Breaks::AfterCrash;
        search.told.found.sort_by_key(after_crash);
        search.told.space = strategy.space();
        if let Some((why, times)) = strategy.not_applicable() {
            NotApplicable { why, times }.add_to(&mut search.told.not_applicable);
        }
        Ok(search.told)
    })
}

impl Exploration {
    /// How many schedules it has run itself.
    #[must_use]
    pub fn run_now(&self) -> u64 {
        self.schedules - self.resumed
    }

    fn new(space: Space) -> Self {
        Self {
            schedules: 0,
            resumed: 0,
            draws: 0,
            inside: 0,
            violations: 0,
            inconclusive: 0,
            unconfirmed: 0,
            missed: 0,
            not_applicable: Vec::new(),
            left_open: LeftOpen::default(),
            unclear: Vec::new(),
            first_violation_at: None,
            found: Vec::new(),
            space,
            took: Duration::ZERO,
            timings: Timings::default(),
            interrupted: false,
            stopped: false,
            broken_off: None,
        }
    }
}

struct Search<'s, 'a> {
    workers: &'s Workers<'a>,
    options: &'s SearchOptions,
    told: Exploration,
    /// Whether its schedules are predictions, some of which are about what a crash does to the lock.
    predicts: bool,
}

impl Search<'_, '_> {
    fn run(
        &mut self,
        strategy: &mut dyn Strategy,
        independence: &Independence<'_>,
        mut checkpoint: Option<&mut Checkpoint<'_>>,
        progress: &mut (impl FnMut(&Progress<'_>) + Send),
    ) -> Result<(), TrialError> {
        let aimed = strategy.aims();
        let drawn = strategy.kind() == Kind::Draws;
        loop {
            let shard = self.options.shard;
            let mut round = strategy.round();
            if let Some(error) = strategy.failure() {
                return Err(error.into());
            }
            if round.is_empty() {
                break;
            }
            round.retain(|one| one.needed || shard.owns(one.index));
            let schedules: Vec<Schedule> = round.iter().map(|one| one.schedule.clone()).collect();
            let workers = self.workers;
            let mut complete = round.is_empty();
            let is_known = |one: &Candidate| {
                (checkpoint.as_ref()).is_some_and(|kept| kept.knows(one.index, &one.schedule))
            };
            let known: Vec<bool> = round.iter().map(is_known).collect();
            let mut take = |index: usize, probed: Probed, earlier: bool| {
                let Probed::Run(outcome) = probed else {
                    self.told.interrupted = true;
                    return Ok(false);
                };
                self.told.timings.add_schedules(&outcome.timings);
                let candidate = &round[index];
                let independent = independence(&outcome.lines);
                // Whether two steps meet that are let go together is chance, in whatever strategy.
                let together = candidate.schedule.has_together();
                let mut unclear = unclear(&outcome.verdict, aimed && !together);
                let course = other_course(&*strategy, candidate, &outcome);
                if course.is_some() {
                    unclear = None;
                }
                let judgement = match (outcome.verdict.judgement, &unclear) {
                    (Judgement::Inconclusive, None) => Judgement::Holds,
                    (_, Some((reason, _))) if reason.is_refutation() => Judgement::Holds,
                    (judgement, _) => judgement,
                };
                let failure = Failure::of(&outcome.verdict);
                let seen = failure.map(|failure| failure.key().to_string());
                let explored = Explored {
                    candidate,
                    seen: seen.as_deref(),
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
                self.told.resumed += u64::from(earlier);
                self.told.draws += u64::from(together);
                let inside = candidate.schedule.inner_points().next().is_some();
                self.told.inside += u64::from(inside);
                self.told
                    .left_open
                    .take(self.told.schedules, &outcome.verdict);
                let not_applicable = match &course {
                    Some(OtherCourse::NotApplicable(why)) => Some(why.clone()),
                    _ => None,
                };
                progress(&Progress {
                    number: self.told.schedules,
                    candidate,
                    judgement,
                    applies: not_applicable.is_none(),
                    remark: match &course {
                        Some(OtherCourse::NotApplicable(why)) => {
                            Some(format!("not applicable: {why}"))
                        }
                        Some(OtherCourse::Answered(why)) => Some(format!("refuted: {why}")),
                        None => strategy.remark(&explored),
                    },
                });
                if let Some(why) = not_applicable {
                    let one = NotApplicable { why, times: 1 };
                    one.add_to(&mut self.told.not_applicable);
                }
                if let Some((reason, why)) = unclear.filter(|_| judgement != Judgement::Violated) {
                    match judgement {
                        Judgement::Inconclusive => self.unclear(reason, why),
                        // What failed is refuted, the rest of it held.
                        _ => self.note(reason, why),
                    }
                    return Ok(true);
                }
                let missed = course.is_none()
                    && outcome.verdict.judgement == Judgement::Inconclusive
                    && !((drawn || together) && only_other_turns(&outcome.verdict));
                self.told.missed += u64::from(missed);
                self.count(candidate, *outcome)
            };
            let mut at = 0;
            let mut more = true;
            while more && at < round.len() {
                let one = &round[at];
                let earlier = (checkpoint.as_ref())
                    .filter(|_| known[at])
                    .and_then(|kept| kept.known(one.index, &one.schedule));
                if let Some(outcome) = earlier {
                    more = take(at, Probed::Run(Box::new(outcome)), true)?;
                    at += 1;
                    continue;
                }
                let end = (at + 1..round.len()).find(|place| known[*place]);
                let end = end.unwrap_or(round.len());
                workers.run(&schedules[at..end], |place, probed| {
                    let one = &round[at + place];
                    if let (Some(kept), Probed::Run(outcome)) = (checkpoint.as_mut(), &probed) {
                        kept.keep(one.index, &one.schedule, outcome);
                    }
                    more = take(at + place, probed, false)?;
                    Ok(more)
                })?;
                at = end;
            }
            if !complete || self.told.interrupted || self.told.stopped {
                break;
            }
        }
        Ok(())
    }

    /// Takes a result into account; whether the search goes on.
    fn count(&mut self, candidate: &Candidate, outcome: Outcome) -> Result<bool, TrialError> {
        if outcome.verdict.violated().next().is_none() {
            return Ok(true);
        }
        let breaks = Breaks::at_most(&candidate.schedule, &outcome);
        let new = Failure::new_in(&outcome.verdict, &self.known(breaks));
        if let Some(failure) = new {
            let why = failure.words(&outcome.verdict);
            let confirmed = self.confirm(candidate, &failure, outcome);
            let cut_short = self.told.interrupted || confirmed.is_err();
            if cut_short && !matches!(confirmed, Ok(true)) {
                // It did fail; that nobody saw it fail again says nothing.
                self.failed();
            }
            match confirmed {
                Ok(true) => {}
                Ok(false) => return Ok(!self.told.interrupted),
                Err(error) => {
                    self.note(Reason::NotConfirmed, why);
                    return Err(error);
                }
            }
        }
        self.failed();
        // What a crash leaves behind says nothing of the lock: that is still to be looked at.
        let ends = |found: &Found| !self.predicts || found.breaks == Breaks::Order;
        self.told.stopped = !self.options.all && self.told.found.iter().any(ends);
        Ok(!self.told.stopped)
    }

    /// The failures that were found so far and stand for one of this sort: what a fault left behind does not
    /// stand for the same failure without one.
    fn known(&self, breaks: Breaks) -> Vec<&Failure> {
        let found = self.told.found.iter();
        found
            .filter(|one| one.breaks.stands_for(breaks))
            .map(|one| &one.failure)
            .collect()
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
        let number = self.told.found.len() + 1;
        let dir = self.options.dir.join(format!("failure-{number}"));
        let together = candidate.schedule.has_together();
        // What the lines of the run that was seen prove counts, with its rate.
        let proved = is_in_own_lines(failure.key().invariant);
        let most = match (together, proved) {
            (true, _) => MEETINGS,
            (false, true) => CHANCES,
            (false, false) => 1,
        };
        let mut confirmed = None;
        let mut runs = 1;
        for _ in 0..most {
            let Some(outcome) = whole(self.workers, &candidate.schedule, &dir)? else {
                self.told.interrupted = true;
                break;
            };
            runs += 1;
            // The run may be stopped at its first error and the whole of it show more, or it may end
            // in another failure: the one that is told is the whole run's own.
            let whole = match failure.is_in(&outcome.verdict) {
                true => Some(failure.clone().with_all_of(&outcome.verdict)),
                false if proved || outcome.verdict.violated().next().is_none() => None,
                false => match Failure::new_in(
                    &outcome.verdict,
                    &self.known(Breaks::at_most(&candidate.schedule, &outcome)),
                ) {
                    // It fails as others did that were found.
                    None => {
                        let _ = std::fs::remove_dir_all(&dir);
                        return Ok(true);
                    }
                    new => new,
                },
            };
            if let Some(failure) = whole {
                confirmed = Some((failure, outcome));
                break;
            }
        }
        let mut rate = None;
        if confirmed.is_none() && (together || proved) && !self.told.interrupted {
            let why = match together {
                true => format!(
                    "the two steps were let go together {MEETINGS} more times, and did not meet so again"
                ),
                false => format!("it came in 1 of {runs} runs of the same schedule"),
            };
            rate = Some(Rate { hits: 1, of: runs });
            confirmed = Some((failure.clone(), alone(seen.clone(), &dir, why)?));
        }
        let Some((failure, outcome)) = confirmed else {
            // Serial runs that were made meanwhile may have shown that the rows are right.
            let mut seen = seen;
            let again = self.workers.on_own_runtime(async {
                self.workers.trial.judged(&mut seen.lines, None, &[]).await
            })?;
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
        let breaks = match Breaks::at_most(&candidate.schedule, &outcome) {
            Breaks::AfterCrash if fails_without_faults(self.workers, &candidate.schedule)? => {
                Breaks::Order
            }
            breaks => breaks,
        };
        self.told.found.push(Found {
            at: self.told.schedules,
            breaks,
            schedule: candidate.schedule.clone(),
            why: candidate.why.clone(),
            failure,
            outcome,
            dir,
            rate,
        });
        Ok(true)
    }
}
