//! One search from its clean runs to its result.
//!
//! Owns which strategy is made of the options, and what is said on the way. `subject_told` tells what the clean run showed,
//! `finding` keeps what was found, and `told` tells the result.

use std::path::Path;

use tokio::sync::watch;

use super::arguments::{ExploreArguments, StrategyName};
use super::estimate::Estimate;
use super::faults::{of_lock_row, swept};
use super::grids::{MOST_CELLS, Tried, keep, of_search};
use super::search::on_trial;
use super::told::{Told, tell};
use crate::cli::common::{Failure, Talk};
use crate::cli::exit::Exit;
use crate::cli::finding::{Finder, Kept};
use crate::cli::progress::Meter;
use crate::history::Line;
use crate::invariant::Judgement;
use crate::name::PodName;
use crate::report::{ExploreJson, why_words, wrap};
use crate::scenario::{Expect, Scenario};
use crate::search::footprint::{Footprints, independent};
use crate::search::strategy::{
    Hazards, Kills, Kind, Limited, Overlap, Pct, Preemptions, Sample, Settings, Shard, Stagger,
    Strategy, Sweep, Swept, Tally, claim,
};
use crate::search::{
    Checkpoint, Commute, Earlier, Exploration, Independence, Job, Progress, SearchOptions, Trial,
    TrialError, explore, never_independent,
};
use crate::server::Server;

/// The most turns of a random schedule.
#[cfg(feature = "random")]
const RANDOM_TURNS: usize = 8;

/// A search in progress.
pub(in crate::cli) struct Work<'a> {
    pub arguments: &'a ExploreArguments,
    pub strategy: StrategyName,
    pub talk: Talk,
    pub scenario: &'a Scenario,
    pub shard: Shard,
    pub out: &'a Path,
    /// The most schedules, if not all that the strategy has.
    pub most: Option<u64>,
    /// What the search is to find, where it was said.
    pub expect: Option<Expect>,
    /// What an earlier search has done that this one goes on with; `None`: this one keeps no checkpoint.
    pub earlier: Option<&'a Earlier>,
}

/// What a search came to.
pub(in crate::cli) struct Searched {
    pub exploration: Exploration,
    pub kept: Vec<Kept>,
    pub claim: String,
    pub promise: Option<String>,
    pub kind: Kind,
}

impl Work<'_> {
    pub async fn explore(
        &self,
        server: Server,
        cancel: watch::Receiver<bool>,
    ) -> Result<ExploreJson, Failure> {
        let explored = async |trial: &Trial<'_>, job: &Job| {
            self.tell_subject(trial)?;
            let mut checkpoint = self.checkpoint(trial, job, &server)?;
            let searched = self.search(trial, checkpoint.as_mut(), cancel.clone())?;
            let goes_on = self.end(checkpoint, &searched.exploration);
            Ok(Told {
                exploration: searched.exploration,
                kept: searched.kept,
                claim: searched.claim,
                promise: searched.promise,
                kind: searched.kind,
                settings: self.settings(),
                pods: self.scenario.pods.count,
                shard: self.shard,
                server: server.facts().clone(),
                subject: job.text.clone(),
                jobs: self.arguments.jobs(self.scenario),
                timings: self.arguments.timings,
                sampled_out: self.sample(trial)?.map(|sample| sample.left_out),
                expect: self.expect.clone(),
                locks: self.guards_itself(trial),
                goes_on,
            })
        };
        let result = on_trial(&server, self.scenario, self.talk, &cancel, explored).await?;
        tell(&result, self.talk, self.out);
        Ok(result.document())
    }

    /// Searches with the strategy, and keeps what fails. Blocks the thread.
    ///
    /// # Errors
    /// When the strategy has nothing to run, or the harness cannot do its work.
    pub fn search(
        &self,
        trial: &Trial<'_>,
        checkpoint: Option<&mut Checkpoint<'_>>,
        cancel: watch::Receiver<bool>,
    ) -> Result<Searched, Failure> {
        let talk = self.talk;
        let mut trial = trial.clone();
        if self.strategy != StrategyName::Hazards && !self.reduces() {
            trial = trial.lean();
        }
        let trial = &trial;
        let mut strategy = self.strategy(trial)?;
        let catalog = trial.measured().catalog.clone();
        let rules = trial.rules().clone();
        // What a step touched is asked of one run at a time, and only by strategies that reduce.
        let commute = move |lines: &[Line]| -> Commute {
            let known = Footprints::of(lines, &catalog);
            let rules = rules.clone();
            Box::new(
                move |one, other| match (known.step(one), known.step(other)) {
                    (Some(one), Some(other)) => {
                        independent(&one.footprint, &other.footprint, &rules)
                    }
                    _ => false,
                },
            )
        };
        let touched: &Independence<'_> = if self.reduces() {
            &commute
        } else {
            &never_independent
        };
        let options = SearchOptions {
            jobs: self.arguments.jobs(self.scenario),
            all: self.arguments.all,
            shard: self.shard,
            dir: self.out.to_owned(),
            cancel: cancel.clone(),
        };
        let foreseen = self.tell_estimate(trial, &mut *strategy)?;
        talk.say("");
        let hazards = self.strategy == StrategyName::Hazards;
        let mut tried = Vec::new();
        let total = self.most.or(strategy.space().total.max(foreseen));
        let meter = Meter::new(talk, "schedules", total);
        let strategy = &mut *strategy;
        let mut exploration =
            explore(trial, strategy, touched, &options, checkpoint, |progress| {
                if tried.len() < MOST_CELLS {
                    tried.push(Tried {
                        schedule: progress.candidate.schedule.clone(),
                        why: progress.candidate.why.clone(),
                        judgement: progress.judgement,
                    });
                }
                // Twenty draws of one schedule that held are one line at the end.
                let told = hazards && !progress.candidate.schedule.has_together();
                if told || progress.judgement == Judgement::Violated {
                    talk.say(&wrap(
                        &format!("{:>3} {}", progress.number, word(progress)),
                        &why_words(&progress.candidate.why, &progress.candidate.schedule),
                    ));
                    if let Some(remark) = &progress.remark {
                        talk.say(&wrap("", remark));
                    }
                }
                meter.at(progress.number, None, "");
            })?;
        drop(meter);
        let claim = claim(
            strategy.kind(),
            &exploration.space,
            &Tally {
                explored: exploration.schedules,
                violated: exploration.violations,
                inconclusive: exploration.inconclusive + exploration.unconfirmed,
                draws: exploration.draws,
            },
        );
        // What a strategy promises is of interest where it found nothing.
        let promise = strategy
            .promise()
            .filter(|_| exploration.violations == 0 && exploration.schedules > 0);
        let kept = self.keep(trial, &exploration, cancel.clone());
        keep(self.out, &of_search(self.scenario, &tried));
        // It may have come while a failure was made small.
        exploration.interrupted |= *cancel.borrow();
        Ok(Searched {
            exploration,
            kept,
            claim,
            promise,
            kind: strategy.kind(),
        })
    }

    /// What becomes of the checkpoint: whether the search can be gone on with by it.
    fn end(&self, checkpoint: Option<Checkpoint<'_>>, exploration: &Exploration) -> bool {
        let Some(checkpoint) = checkpoint else {
            return false;
        };
        if let Some(why) = checkpoint.failed() {
            let words = format!("{why}: were the search broken off, it could not be gone on with");
            self.talk.say(&wrap("note", &words));
            return false;
        }
        let goes_on = exploration.interrupted || exploration.broken_off.is_some();
        if !goes_on {
            checkpoint.remove();
        }
        goes_on
    }

    /// What the whole search will take; how many schedules that are. (`every` shares its schedules out, and tells that itself.)
    fn tell_estimate(
        &self,
        trial: &Trial<'_>,
        strategy: &mut dyn Strategy,
    ) -> Result<Option<u64>, Failure> {
        if self.most.is_some() || !self.talk.is_talking() {
            return Ok(None);
        }
        let size = (self.arguments.jobs(self.scenario), self.shard.of());
        let given = self.sample(trial)?;
        let estimate = Estimate::of(self.arguments, strategy, given.as_ref(), trial, size);
        let Some(estimate) = estimate else {
            return Ok(None);
        };
        self.talk.say(&wrap("will take", &estimate.words()));
        if given.is_none() && self.can_sample() && estimate.is_long() {
            let arguments = ExploreArguments {
                sample: true,
                ..self.arguments.clone()
            };
            let smaller = Work {
                arguments: &arguments,
                expect: None,
                ..*self
            };
            let sample = Sample::of(&trial.measured().clean.lines()?);
            let strategy = &mut *smaller.strategy(trial)?;
            let offered = Estimate::of(&arguments, strategy, Some(&sample), trial, size);
            let fewer = |one: &Estimate| one.schedules < estimate.schedules;
            if let Some(offered) = offered.filter(fewer) {
                self.talk.say(&wrap("", &offered.offer()));
            }
        }
        Ok(Some(estimate.schedules))
    }

    /// Whether the strategy goes through the steps of a job, so that it can leave some of them out.
    fn can_sample(&self) -> bool {
        matches!(
            self.strategy,
            StrategyName::Preemptions | StrategyName::Sweep
        )
    }

    /// The steps at which it switches, if not all.
    fn sample(&self, trial: &Trial<'_>) -> Result<Option<Sample>, Failure> {
        if !self.arguments.sample || !self.can_sample() {
            return Ok(None);
        }
        Ok(Some(Sample::of(&trial.measured().clean.lines()?)))
    }

    fn strategy(&self, trial: &Trial<'_>) -> Result<Box<dyn Strategy>, Failure> {
        let arguments = self.arguments;
        let pods = trial.pods();
        let steps = trial.measured().baseline.steps;
        let all_steps = u64::from(steps) * pods as u64;
        let permitted = &self.scenario.search.faults;
        let strategy: Box<dyn Strategy> = match self.strategy {
            StrategyName::Hazards => Box::new(self.hazards(trial)?),
            StrategyName::Preemptions => {
                let reduced = !arguments.unreduced;
                let all = Preemptions::new(pods, arguments.preemptions, reduced, self.shard);
                Box::new(match arguments.sample {
                    true => all.sampled(),
                    false => all,
                })
            }
            StrategyName::Pct => Box::new(Pct::new(
                pods,
                all_steps,
                arguments.depth,
                arguments.schedules(),
                arguments.seed,
            )),
            StrategyName::Sweep => {
                let faults = match arguments.faults.is_empty() {
                    true => {
                        let mut faults = Swept::usual();
                        faults.extend(of_lock_row(trial.rules()));
                        faults
                    }
                    false => swept(&arguments.faults),
                };
                let mut sweep = Sweep::new(Swept::permitted(faults, permitted), steps);
                if let Some(sample) = self.sample(trial)? {
                    sweep = sweep.sampled(sample);
                }
                Box::new(match self.most {
                    Some(most) => sweep.at_most(most),
                    None => sweep,
                })
            }
            StrategyName::Overlap => {
                let mut hazards = self.hazards(trial)?;
                let pairs = hazards.pairs();
                if let Some(error) = hazards.failure() {
                    return Err(TrialError::from(error).into());
                }
                if pairs.is_empty() {
                    return Err(Failure::new(
                        Exit::Inconclusive,
                        "there is no schedule to run: no two steps of two pods conflict, or a lock keeps \
                         all of them apart, so letting them go at the same moment would show nothing",
                    ));
                }
                let each = (arguments.schedules() / pairs.len() as u64).max(1);
                Box::new(Overlap::new(pairs, each))
            }
            StrategyName::Kills => {
                let kills = Kills::new(steps, arguments.schedules(), arguments.seed);
                Box::new(kills.permitting(permitted).ok_or_else(|| {
                    let message =
                        "there is no schedule to run: [search] faults does not permit `kill`";
                    Failure::new(Exit::Inconclusive, message)
                })?)
            }
            StrategyName::Stress => {
                // As long as one copy alone: later it would find the first at its end.
                Box::new(Stagger::new(
                    trial.measured().clean_time(),
                    arguments.schedules(),
                    arguments.seed,
                ))
            }
            #[cfg(feature = "random")]
            StrategyName::Random => Box::new(
                crate::search::strategy::Random::new(
                    pods,
                    RANDOM_TURNS,
                    steps,
                    !permitted.is_none(),
                    arguments.schedules(),
                    arguments.seed,
                )
                .permitting(permitted.clone()),
            ),
            #[cfg(not(feature = "random"))]
            StrategyName::Random => {
                let message = "this lockproof was built without its feature `random`";
                return Err(Failure::new(Exit::Usage, message));
            }
        };
        Ok(match self.most {
            Some(most) => Box::new(Limited::new(strategy, most)),
            None => strategy,
        })
    }

    /// Whether the strategy leaves out what is equivalent to what was run.
    fn reduces(&self) -> bool {
        self.strategy == StrategyName::Preemptions && !self.arguments.unreduced
    }

    /// The strategy with its settings: what two parts of one search have in common.
    pub(super) fn settings(&self) -> Settings {
        let arguments = self.arguments;
        let (schedules, seed) = (arguments.schedules(), arguments.seed);
        match self.strategy {
            StrategyName::Hazards => Settings::Hazards,
            StrategyName::Preemptions => Settings::Preemptions {
                most: arguments.preemptions,
                unreduced: arguments.unreduced,
            },
            StrategyName::Pct => Settings::Pct {
                depth: arguments.depth,
                schedules,
                seed,
            },
            StrategyName::Sweep => Settings::Sweep,
            StrategyName::Overlap => Settings::Overlap { schedules },
            StrategyName::Random => Settings::Random {
                faults: !self.scenario.search.faults.is_none(),
                schedules,
                seed,
            },
            StrategyName::Kills => Settings::Kills { schedules, seed },
            StrategyName::Stress => Settings::Stress { schedules, seed },
        }
    }

    fn hazards(&self, trial: &Trial<'_>) -> Result<Hazards, Failure> {
        let measured = trial.measured();
        let mut runs = vec![measured.clean.clone()];
        runs.extend_from_slice(&measured.serial);
        let hazards = Hazards::new(
            runs,
            measured.catalog.clone(),
            trial.rules().clone(),
            (0..trial.pods()).map(PodName::of_index).collect(),
            self.shard.of() == 1,
        );
        Ok(hazards.permitting(self.scenario.search.faults.clone()))
    }

    fn keep(
        &self,
        trial: &Trial<'_>,
        exploration: &Exploration,
        cancel: watch::Receiver<bool>,
    ) -> Vec<Kept> {
        let finder = Finder {
            trial,
            scenario: self.scenario,
            talk: self.talk,
            cancel,
            shrink: !self.arguments.no_shrink,
            times: self.arguments.times(),
            save: self.arguments.save.as_deref(),
        };
        exploration
            .found
            .iter()
            .map(|found| finder.keep(found))
            .collect()
    }
}

fn word(progress: &Progress<'_>) -> &'static str {
    match progress.judgement {
        Judgement::Holds if !progress.applies => "n/a",
        Judgement::Holds => "held",
        Judgement::Violated => "FAILED",
        Judgement::Inconclusive | Judgement::NotJudged => "unclear",
    }
}
