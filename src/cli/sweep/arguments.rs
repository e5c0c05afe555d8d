//! What `lockproof sweep` is asked for.
//!
//! Owns the options, the faults by name, and the subjects that they stand for.

use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser as _};

use crate::cli::common::{Failure, OutputArguments, ServerArguments};
use crate::cli::subject::no_cronjob;
use crate::history::Release;
use crate::scenario::{self, Program, Scenario, SeederSettings};
use crate::schedule::{FaultKind, SweptByName};
use crate::search::default_jobs;
use crate::search::strategy::Swept;

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

    pub(super) fn swept(&self) -> Option<Swept> {
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
    pub(super) fn subjects(&self) -> Result<Vec<(String, Scenario)>, Failure> {
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

    pub(super) fn jobs(&self, own: bool) -> usize {
        if own {
            return 1;
        }
        self.jobs.map_or_else(default_jobs, usize::from)
    }
}
