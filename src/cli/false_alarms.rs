//! `lockproof false-alarms`: how often it cries wolf over sound subjects.
//!
//! Owns how the schedules are shared out over subjects and strategies. How a search is made is
//! `explore`'s.

use std::path::{Path, PathBuf};
use std::time::Instant;

use tokio::sync::watch;

use super::common::{
    Failure, OutputArguments, ServerArguments, Talk, millis, unless_cancelled, with_cancel,
};
use super::exit::Exit;
use super::explore::{ExploreArguments, StrategyName, Work, unclear_lines};
use super::out::{OutputDirectory, write_last};
use super::run::read_all;
use super::subject::{job, no_cronjob};
use crate::report::{FalseAlarmsJson, SearchedJson, SoundJson, wrap};
use crate::scenario::Scenario;
use crate::search::strategy::Shard;
use crate::search::{Stage, Trial, default_jobs};
use crate::server::Server;

/// In this order: those that may have fewer schedules than their share come first, and what they leave
/// goes to the others. The last has as many as one likes.
const STRATEGIES: [StrategyName; 7] = [
    StrategyName::Hazards,
    StrategyName::Preemptions,
    StrategyName::Sweep,
    StrategyName::Overlap,
    StrategyName::Pct,
    StrategyName::Random,
    StrategyName::Stress,
];

/// Options of `false-alarms`.
#[derive(Debug, Clone, clap::Args)]
pub struct FalseAlarmsArguments {
    /// Scenarios of sound subjects: files, and directories with such files
    #[arg(default_value = "scenarios/sound")]
    pub paths: Vec<PathBuf>,

    /// How many schedules in all, shared out over subjects and strategies
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub schedules: u64,

    /// Seed of random draws
    #[arg(long, default_value_t = 1)]
    pub seed: u64,

    /// How many schedules are run at once [default: half as many again as
    /// there are cores]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub jobs: Option<u16>,

    /// Keep each failure in this directory, as a scenario file
    #[arg(long, value_name = "DIR")]
    pub save: Option<PathBuf>,

    /// Which server
    #[command(flatten)]
    pub server: ServerArguments,

    /// How the result is shown
    #[command(flatten)]
    pub output: OutputArguments,
}

/// Searches every subject with every strategy; the exit code: 0 if nothing failed, 1 if something did,
/// 3 if nothing failed and something could not be judged.
///
/// # Errors
/// When a file has errors, a clean run does not succeed, or no server can be had.
pub async fn run(arguments: &FalseAlarmsArguments) -> Result<Exit, Failure> {
    let talk = Talk::new(&arguments.output);
    let scenarios = read_all(&arguments.paths, None, false)?;
    for (file, scenario) in &scenarios {
        if scenario.pods.count < 2 {
            let message = format!("{}: with one pod nothing overlaps", file.display());
            return Err(Failure::new(Exit::Usage, message));
        }
        no_cronjob(scenario, file)?;
        arguments.server.refuse(file, scenario)?;
        job(&scenario.subject)?;
    }
    let own = scenarios
        .iter()
        .any(|(_, one)| one.for_a_search().needs_own_server());
    let directory = OutputDirectory::make(&arguments.output.out, "false-alarms")?;
    let out = directory.path().to_owned();
    let document = with_cancel(&arguments.server, own, talk, async |server, cancel| {
        let begun = Instant::now();
        let mut document = FalseAlarmsJson {
            lockproof: env!("CARGO_PKG_VERSION").to_owned(),
            server: server.facts().clone(),
            strategies: STRATEGIES.iter().map(|one| one.name().to_owned()).collect(),
            subjects: Vec::new(),
            schedules: 0,
            violations: 0,
            inconclusive: 0,
            missed: 0,
            claim: String::new(),
            seed: arguments.seed,
            jobs: arguments.jobs.map_or_else(default_jobs, usize::from),
            elapsed_ms: 0,
            interrupted: false,
        };
        let shares = shares(arguments.schedules, scenarios.len());
        for ((file, scenario), share) in scenarios.iter().zip(shares) {
            let subject = Subject {
                arguments,
                talk,
                file,
                scenario: scenario.for_a_search(),
                out: &out,
            };
            let searches = subject.search(&server, share, cancel.clone()).await?;
            document.subjects.push(SoundJson {
                file: file.clone(),
                title: scenario.title.clone(),
                searches,
            });
            document.interrupted = *cancel.borrow();
            if document.interrupted {
                break;
            }
        }
        document.elapsed_ms = millis(begun.elapsed());
        document.add_up();
        Ok(document)
    })
    .await?;
    // What was found is told first: the disk may be full.
    tell(&document, talk, &out);
    talk.document(&document);
    write_last(&out.join("false-alarms.json"), &document, exit(&document))
}

/// So many schedules over so many, as evenly as it goes.
fn shares(schedules: u64, over: usize) -> Vec<u64> {
    let over = over as u64;
    (0..over)
        .map(|index| schedules / over + u64::from(index < schedules % over))
        .collect()
}

/// One subject.
struct Subject<'a> {
    arguments: &'a FalseAlarmsArguments,
    talk: Talk,
    file: &'a Path,
    scenario: Scenario,
    out: &'a Path,
}

impl Subject<'_> {
    async fn search(
        &self,
        server: &Server,
        schedules: u64,
        cancel: watch::Receiver<bool>,
    ) -> Result<Vec<SearchedJson>, Failure> {
        let name = self.file.file_stem().unwrap_or_default().to_string_lossy();
        self.talk.say(&format!("\n{name}: {}", self.scenario.title));
        let job = job(&self.scenario.subject)?;
        let stage = unless_cancelled(cancel.clone(), async {
            Ok(Stage::build(server, &job).await?)
        })
        .await?;
        let trial = unless_cancelled(cancel.clone(), async {
            Ok(Trial::prepare(&stage, &self.scenario, &job, None).await?)
        })
        .await?;
        let mut left = schedules;
        let mut searches = Vec::new();
        for (place, strategy) in STRATEGIES.into_iter().enumerate() {
            let share = left.div_ceil((STRATEGIES.len() - place) as u64);
            let dir = self.out.join(format!("{name}-{}", strategy.name()));
            let searched = self.search_with(&trial, strategy, share, &dir, cancel.clone())?;
            left -= searched.schedules.min(left);
            let nothing = searched.nothing.as_ref();
            self.talk.say(&wrap(
                strategy.name(),
                &match nothing {
                    Some(why) => format!("nothing to run: {why}"),
                    None => format!(
                        "{} run in {:.1} s: {} failed, {} unclear, {} missed",
                        searched.schedules,
                        searched.elapsed_ms as f64 / 1000.0,
                        searched.violations,
                        searched.inconclusive,
                        searched.missed
                    ),
                },
            ));
            for line in unclear_lines(&searched.unclear) {
                self.talk.say(&line);
            }
            searches.push(searched);
            if *cancel.borrow() {
                break;
            }
        }
        drop(trial);
        stage.strike().await?;
        Ok(searches)
    }

    fn search_with(
        &self,
        trial: &Trial<'_>,
        strategy: StrategyName,
        most: u64,
        dir: &Path,
        cancel: watch::Receiver<bool>,
    ) -> Result<SearchedJson, Failure> {
        let arguments = ExploreArguments {
            strategy,
            all: true,
            // One is soon done, and the bound below ends it.
            preemptions: 2,
            depth: 3,
            schedules: most,
            seed: self.arguments.seed,
            jobs: self.arguments.jobs,
            save: self.arguments.save.clone(),
            times: 10,
            ..ExploreArguments::plain(&self.arguments.server, &self.arguments.output)
        };
        let work = Work {
            arguments: &arguments,
            talk: self.talk.quietly(),
            scenario: &self.scenario,
            shard: Shard::WHOLE,
            out: dir,
            most: Some(most),
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
        let searched = match work.search(trial, cancel) {
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

fn tell(document: &FalseAlarmsJson, talk: Talk, out: &Path) {
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
                &format!("{}: {}", subject.file.display(), found.what),
            ));
            if let Some(file) = &found.schedule_file {
                talk.result(&format!(
                    "{}lockproof replay {}",
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
    talk.say(&wrap("histories", &out.display().to_string()));
}

fn exit(document: &FalseAlarmsJson) -> Exit {
    if document.interrupted {
        Exit::Interrupted
    } else if document.violations > 0 {
        Exit::Unexpected
    } else if document.inconclusive > 0 || document.schedules == 0 {
        Exit::Inconclusive
    } else {
        Exit::AsExpected
    }
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
