//! What `lockproof sweep` is asked for.
//!
//! Owns the options, the faults by name, and the subjects that they stand for.

use std::path::PathBuf;

use clap::ValueEnum;

use crate::cli::common::{Failure, OutputArguments, ServerArguments};
use crate::cli::subject::no_cronjob;
use crate::history::Release;
use crate::scenario::{self, Program, Scenario, SeederSettings};
use crate::schedule::{FaultKind, SessionChoice};
use crate::search::default_jobs;
use crate::search::strategy::Swept;

/// What is done to pod a.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SweptName {
    /// SIGKILL to all its processes
    Kill,
    /// SIGTERM, then after 0.5 s SIGKILL
    Terminate,
    /// `pg_terminate_backend` on the session that holds the lock
    TerminateBackend,
    /// Every session of it is reset (RST)
    Reset,
    /// Every session of it is closed (FIN), with no word of goodbye
    Drop,
    /// Its next step fails with SQLSTATE 53100
    Error,
}

impl SweptName {
    pub(super) fn swept(self) -> Swept {
        let (kind, session) = match self {
            Self::Kill => (FaultKind::Kill, SessionChoice::Next),
            Self::Terminate => (
                FaultKind::Terminate {
                    grace: std::time::Duration::from_millis(500),
                    pid1: false,
                },
                SessionChoice::Next,
            ),
            Self::TerminateBackend => (FaultKind::TerminateBackend, SessionChoice::HoldingLock),
            Self::Reset => (FaultKind::Reset, SessionChoice::Every),
            Self::Drop => (FaultKind::Drop, SessionChoice::Every),
            Self::Error => (
                FaultKind::Error {
                    sqlstate: "53100".to_owned(),
                },
                SessionChoice::Next,
            ),
        };
        Swept::at_every_point(kind, session)
    }
}

/// Options of `sweep`.
#[derive(Debug, Clone, clap::Args)]
pub struct SweepArguments {
    /// The built-in subject with each of these locks
    #[arg(long, value_name = "LOCK,…", value_delimiter = ',', default_values = ["session", "guarded"], value_parser = clap::builder::PossibleValuesParser::new(scenario::SEEDER_LOCKS))]
    pub lock: Vec<String>,

    /// How much it seeds
    #[arg(long, default_value = "tiny", value_parser = clap::builder::PossibleValuesParser::new(scenario::SEEDER_PROFILES))]
    pub profile: String,

    /// Sweep the subjects of these scenario files instead of the built-in one
    #[arg(long, value_name = "FILE", conflicts_with_all = ["lock", "profile"])]
    pub scenario: Vec<PathBuf>,

    /// What is done to pod a at each step and point, while b waits
    #[arg(long, value_enum, value_name = "FAULT,…", value_delimiter = ',', default_values_t = [SweptName::Kill, SweptName::TerminateBackend, SweptName::Reset, SweptName::Error])]
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
