//! `lockproof sweep`: a lock's claim under faults, over every step and point.

mod told;
mod work;

use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser as _};

use super::common::{Failure, OutputArguments, ServerArguments, Talk, millis, with_cancel};
use super::exit::Exit;
use super::out::{OutputDirectory, write_json};
use super::subject::{job, no_cronjob};
use crate::history::Release;
use crate::report::SweepJson;
use crate::scenario::{self, Program, Scenario, SeederSettings};
use crate::schedule::{FaultKind, SweptByName};
use crate::search::default_jobs;
use crate::search::strategy::Swept;
use work::Work;

/// The faults that can be named, each with what it does.
fn swept_by_name() -> impl Iterator<Item = (&'static str, &'static SweptByName)> {
    let entries = FaultKind::CATALOGUE.iter();
    entries.filter_map(|entry| Some((entry.name, entry.search.by_name.as_ref()?)))
}

/// Reads the name of a fault that can be swept.
fn swept() -> impl clap::builder::TypedValueParser<Value = SweptName> {
    let values = swept_by_name().map(|(name, one)| PossibleValue::new(name).help(one.doc));
    PossibleValuesParser::new(values).map(SweptName)
}

/// The name of a fault that can be swept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SweptName(String);

impl SweptName {
    /// The names of the faults that are swept where none is named.
    fn usual() -> impl Iterator<Item = &'static str> {
        swept_by_name().filter_map(|(name, one)| one.usual.then_some(name))
    }

    fn swept(&self) -> Option<Swept> {
        let (_, one) = swept_by_name().find(|(name, _)| *name == self.0)?;
        Some(Swept::drawn(&one.draw))
    }
}

/// Options of `sweep`.
#[derive(Debug, Clone, clap::Args)]
pub struct SweepArguments {
    /// The built-in subject with each of these locks
    #[arg(long, value_name = "LOCK,…", value_delimiter = ',', default_values = ["session", "guarded"], value_parser = PossibleValuesParser::new(scenario::SEEDER_LOCKS))]
    pub lock: Vec<String>,

    /// How much it seeds
    #[arg(long, default_value = "tiny", value_parser = PossibleValuesParser::new(scenario::SEEDER_PROFILES))]
    pub profile: String,

    /// Sweep the subjects of these scenario files instead of the built-in one
    #[arg(long, value_name = "FILE", conflicts_with_all = ["lock", "profile"])]
    pub scenario: Vec<PathBuf>,

    /// What is done to pod a at each step and point, while b waits
    #[arg(long, value_name = "FAULT,…", value_delimiter = ',', default_values = SweptName::usual(), value_parser = swept())]
    pub faults: Vec<SweptName>,

    /// How often each violated schedule is run again
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub times: u32,

    /// How many schedules are run at once [default: half as many again as
    /// there are cores]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub jobs: Option<u16>,

    /// Make the example of each group small before it is kept
    #[arg(long)]
    pub shrink: bool,

    /// Keep an example of each group in this directory, as a scenario file
    #[arg(long, value_name = "DIR")]
    pub save: Option<PathBuf>,

    /// Which server
    #[command(flatten)]
    pub server: ServerArguments,

    /// How the result is shown
    #[command(flatten)]
    pub output: OutputArguments,
}

impl SweepArguments {
    /// Each subject with its name.
    fn subjects(&self) -> Result<Vec<(String, Scenario)>, Failure> {
        if self.scenario.is_empty() {
            let seeder = |lock: &String| {
                let settings = SeederSettings {
                    lock: lock.clone(),
                    profile: self.profile.clone(),
                    ..SeederSettings::default()
                };
                let mut scenario = Scenario::new("a sweep", Program::Seeder(settings));
                // Its pool ends with it: a lock that an error leaves goes with its session.
                scenario.subject.release = Release::Any;
                (lock.clone(), scenario)
            };
            return Ok(self.lock.iter().map(seeder).collect());
        }
        let mut subjects = Vec::new();
        let mut errors = Vec::new();
        for file in &self.scenario {
            match scenario::load(file) {
                Ok(scenario) => {
                    no_cronjob(&scenario, file)?;
                    self.server.refuse(file, &scenario)?;
                    subjects.push((scenario.title.clone(), scenario.for_a_search()));
                }
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() {
            Ok(subjects)
        } else {
            Err(Failure::scenarios(errors))
        }
    }

    fn jobs(&self, own: bool) -> usize {
        if own {
            return 1;
        }
        self.jobs.map_or_else(default_jobs, usize::from)
    }
}

/// Sweeps; the exit code: 0 if all held, 1 if something was violated, 3 if something could not be
/// judged and nothing was violated.
///
/// # Errors
/// When the arguments do not fit, a clean run does not succeed, or no server can be had.
pub async fn run(arguments: &SweepArguments) -> Result<Exit, Failure> {
    let talk = Talk::new(&arguments.output);
    // What cannot be used is said before a server is started.
    let subjects = arguments.subjects()?;
    for (name, scenario) in &subjects {
        if scenario.pods.count < 2 {
            let message = format!("{name}: with one pod nobody waits; a sweep needs two");
            return Err(Failure::new(Exit::Usage, message));
        }
        job(&scenario.subject)?;
    }
    let directory = OutputDirectory::make(&arguments.output.out, "sweep")?;
    let out = directory.path().to_owned();
    let own = subjects.iter().any(|(_, one)| one.needs_own_server());
    let document = with_cancel(&arguments.server, own, talk, async |server, cancel| {
        let begun = std::time::Instant::now();
        let mut document = SweepJson {
            lockproof: env!("CARGO_PKG_VERSION").to_owned(),
            server: server.facts().clone(),
            jobs: arguments.jobs(own),
            subjects: Vec::new(),
            elapsed_ms: 0,
            interrupted: false,
        };
        for (name, scenario) in &subjects {
            let work = Work {
                arguments,
                talk,
                name,
                scenario,
                out: &out,
            };
            document
                .subjects
                .push(work.sweep(&server, cancel.clone()).await?);
            document.interrupted = *cancel.borrow();
            if document.interrupted {
                break;
            }
        }
        document.elapsed_ms = millis(begun.elapsed());
        Ok(document)
    })
    .await?;
    write_json(&out.join("sweep.json"), &document)?;
    told::sum(&document, talk, &out);
    talk.document(&document);
    Ok(exit(&document))
}

fn exit(document: &SweepJson) -> Exit {
    let any =
        |of: fn(&crate::report::SweptJson) -> u64| document.subjects.iter().any(|one| of(one) > 0);
    if document.interrupted {
        Exit::Interrupted
    } else if any(|one| one.violated) {
        Exit::Unexpected
    } else if any(|one| one.inconclusive) || !any(|one| one.fired) {
        Exit::Inconclusive
    } else {
        Exit::AsExpected
    }
}
