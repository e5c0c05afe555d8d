//! `explore --strategy every`: searches one or several jobs with each strategy in turn.
//!
//! Owns how the schedules are shared out over jobs and strategies. On sound jobs the result is the figure of
//! false alarms. `work` does each search.

use std::time::Instant;

use tokio::sync::watch;

use super::arguments::{ExploreArguments, StrategyName};
use super::search::{Search, exit_of, on_trial};
use super::subjects::Subject;
use super::told::unclear_lines;
use super::work::Work;
use crate::cli::common::{Failure, millis};
use crate::cli::exit::Exit;
use crate::report::{EveryJson, SearchedJson, SoundJson, wrap};
use crate::search::Trial;
use crate::search::strategy::Shard;
use crate::server::Server;

/// How many schedules are run in all where nothing is said.
const SCHEDULES: u64 = 10_000;

impl Search<'_> {
    /// Searches each job with every strategy, until an interrupt.
    pub(super) async fn every(
        &self,
        server: &Server,
        cancel: watch::Receiver<bool>,
    ) -> Result<EveryJson, Failure> {
        let begun = Instant::now();
        let scenarios = self.subjects.iter().map(|one| &one.scenario);
        let jobs = scenarios.map(|one| self.arguments.jobs(one)).max();
        let names = StrategyName::ALL.iter().map(|one| one.name().to_owned());
        let mut document = EveryJson {
            lockproof: env!("CARGO_PKG_VERSION").to_owned(),
            server: server.facts().clone(),
            strategies: names.collect(),
            subjects: Vec::new(),
            schedules: 0,
            violations: 0,
            inconclusive: 0,
            missed: 0,
            claim: String::new(),
            seed: self.arguments.seed,
            jobs: jobs.unwrap_or(1),
            elapsed_ms: 0,
            interrupted: false,
        };
        let all = self.arguments.schedules.unwrap_or(SCHEDULES);
        for (subject, share) in self.subjects.iter().zip(shares(all, self.subjects.len())) {
            self.talk.say(&format!("\n{}", subject.name));
            let searched = async |trial: &Trial<'_>, _: &_| {
                self.with_each(subject, trial, share, cancel.clone())
            };
            let scenario = &subject.scenario;
            document.subjects.push(SoundJson {
                name: subject.name.clone(),
                file: subject.file.clone(),
                searches: on_trial(server, scenario, self.talk, &cancel, searched).await?,
            });
            document.interrupted = *cancel.borrow();
            if document.interrupted {
                break;
            }
        }
        document.elapsed_ms = millis(begun.elapsed());
        document.add_up();
        Ok(document)
    }

    /// One job with each strategy.
    fn with_each(
        &self,
        subject: &Subject,
        trial: &Trial<'_>,
        schedules: u64,
        cancel: watch::Receiver<bool>,
    ) -> Result<Vec<SearchedJson>, Failure> {
        let mut left = schedules;
        let mut searches = Vec::new();
        for (place, strategy) in StrategyName::ALL.iter().copied().enumerate() {
            let share = left.div_ceil((StrategyName::ALL.len() - place) as u64);
            let searched = self.with(subject, trial, strategy, share, cancel.clone())?;
            left -= searched.schedules.min(left);
            let told = match &searched.nothing {
                Some(why) => format!("nothing to run: {why}"),
                None => format!(
                    "{} run in {:.1} s: {} failed, {} unclear, {} missed",
                    searched.schedules,
                    searched.elapsed_ms as f64 / 1000.0,
                    searched.violations,
                    searched.inconclusive,
                    searched.missed
                ),
            };
            self.talk.say(&wrap(strategy.name(), &told));
            for line in unclear_lines(&searched.unclear) {
                self.talk.say(&line);
            }
            searches.push(searched);
            if *cancel.borrow() {
                break;
            }
        }
        Ok(searches)
    }

    /// One job with one strategy.
    fn with(
        &self,
        subject: &Subject,
        trial: &Trial<'_>,
        strategy: StrategyName,
        most: u64,
        cancel: watch::Receiver<bool>,
    ) -> Result<SearchedJson, Failure> {
        let arguments = ExploreArguments {
            all: true,
            // One is soon done, and the bound below ends it.
            preemptions: 2,
            schedules: Some(most),
            ..self.arguments.clone()
        };
        let dir = format!("{}-{}", subject.directory(), strategy.name());
        let work = Work {
            arguments: &arguments,
            strategy,
            talk: self.talk.quietly(),
            scenario: &subject.scenario,
            shard: Shard::WHOLE,
            out: &self.directory.path().join(dir),
            most: Some(most),
            expect: None,
            earlier: None,
        };
        let mut json = SearchedJson {
            strategy: strategy.name().to_owned(),
            schedules: 0,
            violations: 0,
            inconclusive: 0,
            missed: 0,
            unclear: Vec::new(),
            found: Vec::new(),
            nothing: None,
            elapsed_ms: 0,
        };
        let searched = match work.search(trial, None, cancel) {
            Ok(searched) => searched,
            // The strategy has nothing to run on this subject.
            Err(failure) if failure.exit == Exit::Inconclusive => {
                json.nothing = Some(failure.message);
                return Ok(json);
            }
            Err(failure) => return Err(failure),
        };
        let exploration = searched.exploration;
        json.schedules = exploration.schedules;
        json.violations = exploration.violations;
        // A run that took another course than it was made for was judged all the same.
        let (missed, unclear): (Vec<_>, Vec<_>) = exploration
            .unclear
            .into_iter()
            .partition(|one| one.reason.is_another_course());
        let missed: u64 = missed.iter().map(|one| one.times).sum();
        json.inconclusive = exploration.inconclusive - missed + exploration.unconfirmed;
        json.missed = exploration.missed + missed;
        json.elapsed_ms = millis(exploration.took);
        let pairs = searched.kept.iter().zip(&exploration.found);
        json.found = pairs.map(|(kept, found)| kept.json(found)).collect();
        json.unclear = unclear;
        Ok(json)
    }
}

/// Tells people, and what it means.
pub(super) fn tell(document: &EveryJson, search: &Search<'_>) -> Exit {
    let talk = search.talk;
    talk.result("");
    if document.interrupted {
        talk.result("interrupted; this is what was run so far:");
    }
    talk.result(document.table().trim_end());
    talk.result("");
    for subject in &document.subjects {
        for found in subject.searches.iter().flat_map(|one| &one.found) {
            talk.result(&wrap(
                "FAILED",
                &format!("{}: {}", subject.name, found.what),
            ));
            if let Some(file) = &found.schedule_file {
                talk.result(&format!(
                    "{}lockproof run {}",
                    wrap("again with", ""),
                    file.display()
                ));
            }
        }
    }
    if document.missed > 0 {
        talk.say(&wrap(
            "missed",
            &format!(
                "in {} of them a fault did not fire, a stop was not reached or nothing was written: they \
                 were other schedules than they were made for, and judged like any other",
                document.missed
            ),
        ));
    }
    talk.result(&format!(
        "{}, in {:.1} s ({} at once)",
        document.claim,
        document.elapsed_ms as f64 / 1000.0,
        document.jobs
    ));
    let out = search.directory.path();
    talk.say(&wrap("histories", &out.display().to_string()));
    exit_of(
        document.interrupted,
        document.violations > 0,
        document.inconclusive > 0 || document.schedules == 0,
    )
}

/// So many schedules over so many, as evenly as it goes.
fn shares(schedules: u64, over: usize) -> Vec<u64> {
    let over = over as u64;
    (0..over)
        .map(|index| schedules / over + u64::from(index < schedules % over))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_of_all_subjects_are_the_whole() {
        assert_eq!(shares(10_000, 7).iter().sum::<u64>(), 10_000);
        assert_eq!(shares(10, 3), [4, 3, 3]);
        assert_eq!(shares(2, 3), [1, 1, 0]);
    }
}
