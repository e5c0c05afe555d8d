//! `lockproof explore`: finds the failing order by itself, makes it small, and keeps it.

mod told;
mod work;

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use tokio::sync::watch;

use super::common::{Failure, OutputArguments, ServerArguments, Talk, with_cancel};
use super::exit::Exit;
use super::out::OutputDirectory;
use super::reproduce::ReproduceArguments;
use super::subject::{foreign, job, no_cronjob};
use crate::report::ExploreJson;
use crate::scenario::{self, Program, Scenario, SeederSettings};
use crate::search::Job;
use crate::search::strategy::Shard;
use crate::server::Server;
pub(super) use told::unclear_lines;
pub(super) use work::Work;

/// How schedules are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StrategyName {
    /// Conflicts predicted from executed runs, each tried at once
    Hazards,
    /// Every schedule with at most so many preemptions
    Preemptions,
    /// Random priorities with change points (PCT)
    Pct,
    /// Each fault at each step and point of pod a, while b waits
    Sweep,
    /// Two conflicting steps let go at the same moment, again and again
    Overlap,
    /// Random turns and faults
    Random,
    /// Random start times and no control: the baseline to beat
    Stress,
}

impl StrategyName {
    /// As on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Hazards => "hazards",
            Self::Preemptions => "preemptions",
            Self::Pct => "pct",
            Self::Sweep => "sweep",
            Self::Overlap => "overlap",
            Self::Random => "random",
            Self::Stress => "stress",
        }
    }
}

/// Options of `explore`.
#[derive(Debug, Clone, clap::Args)]
pub struct ExploreArguments {
    /// How schedules are looked for
    #[arg(long, value_enum, default_value_t = StrategyName::Hazards)]
    pub strategy: StrategyName,

    /// Go on after the first failure
    #[arg(long)]
    pub all: bool,

    /// The most preemptions of a schedule (preemptions)
    #[arg(long, value_name = "C", default_value_t = 1)]
    pub preemptions: u32,

    /// Run equivalent schedules, too (preemptions)
    #[arg(long)]
    pub unreduced: bool,

    /// Depth of the bugs that are looked for: one priority change less in a schedule (pct)
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub depth: u32,

    /// How many random schedules (pct, random, stress; overlap: shared among its pairs)
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    pub schedules: u64,

    /// Seed of random draws (pct, random, stress)
    #[arg(long, default_value_t = 1)]
    pub seed: u64,

    /// Random schedules without faults (random)
    #[arg(long)]
    pub no_faults: bool,

    /// How many pods [default: 2, or the scenario's]
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=26))]
    pub pods: Option<u8>,

    /// How many schedules are run at once [default: half as many again as
    /// there are cores]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub jobs: Option<u16>,

    /// Run only one part of the schedules: I/N, I from 0; N alone takes I from JOB_COMPLETION_INDEX
    /// [default: all]
    #[arg(long, value_name = "I/N")]
    pub shard: Option<String>,

    /// Keep each failure in this directory, as a scenario file
    #[arg(long, value_name = "DIR")]
    pub save: Option<PathBuf>,

    /// How often a shrunk failure is replayed
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    pub times: u32,

    /// Keep a failure as it was found, without shrinking and replays
    #[arg(long)]
    pub no_shrink: bool,

    /// Take subject, pods and rules from a scenario file; not together with --schema, --prepare,
    /// --seeder
    #[arg(long, value_name = "FILE", conflicts_with_all = ["schema", "prepare", "seeder"])]
    pub scenario: Option<PathBuf>,

    /// SQL that makes the subject's tables
    #[arg(long, value_name = "FILE")]
    pub schema: Option<PathBuf>,

    /// A command (for sh -c) that prepares the database, after the schema
    #[arg(long, value_name = "CMD")]
    pub prepare: Option<String>,

    /// The lock of the built-in subject, where no CMD is given
    #[arg(long, value_name = "LOCK", default_value = "none", conflicts_with = "command", value_parser = clap::builder::PossibleValuesParser::new(scenario::SEEDER_LOCKS))]
    pub seeder: String,

    /// Which server
    #[command(flatten)]
    pub server: ServerArguments,

    /// How the result is shown
    #[command(flatten)]
    pub output: OutputArguments,

    /// The subject: a command that uses DATABASE_URL or the PG* variables [default: the built-in
    /// seeder, without its lock]
    #[arg(last = true, value_name = "CMD")]
    pub command: Vec<String>,
}

/// Explores; the exit code: 0 if nothing failed, 1 if something did, 3 if something could not be
/// judged and nothing failed.
///
/// # Errors
/// When the arguments do not fit, the clean run does not succeed, or no server can be had.
pub async fn run(arguments: &ExploreArguments) -> Result<Exit, Failure> {
    let talk = Talk::new(&arguments.output);
    // What cannot be used is said before a server is started.
    shard(arguments.shard.as_deref())?;
    let scenario = wanted(arguments)?;
    if scenario.pods.count < 2 {
        return Err(Failure::new(
            Exit::Usage,
            "there is no schedule to run: with one pod nothing overlaps; give --pods 2 or more",
        ));
    }
    job(&scenario.subject)?;
    let directory = OutputDirectory::make(&arguments.output.out, "explore")?;
    let out = directory.path().to_owned();
    let own = scenario.needs_own_server();
    let document = with_cancel(&arguments.server, own, talk, async |server, cancel| {
        arguments.explore(talk, &out, server, cancel).await
    })
    .await?;
    super::out::write_json(&out.join("explore.json"), &document)?;
    talk.document(&document);
    Ok(exit(&document))
}

impl ExploreArguments {
    /// The search that `reproduce` makes for a subject without a schedule.
    #[must_use]
    pub fn for_a_schedule(reproduce: &ReproduceArguments) -> Self {
        Self {
            schema: reproduce.schema.clone(),
            prepare: reproduce.prepare.clone(),
            command: reproduce.command.clone(),
            // The replays are made, and told, when it is reproduced.
            ..Self::plain(&reproduce.server, &reproduce.output)
        }
    }

    /// A search for the first hazard, of no subject.
    #[must_use]
    pub fn plain(server: &ServerArguments, output: &OutputArguments) -> Self {
        Self {
            strategy: StrategyName::Hazards,
            all: false,
            preemptions: 1,
            unreduced: false,
            depth: 1,
            schedules: 1,
            seed: 1,
            no_faults: false,
            pods: None,
            jobs: None,
            shard: None,
            save: None,
            times: 1,
            no_shrink: false,
            scenario: None,
            schema: None,
            prepare: None,
            seeder: String::new(),
            server: server.clone(),
            output: output.clone(),
            command: Vec::new(),
        }
    }

    /// The subject as a job that can be run.
    ///
    /// # Errors
    /// When the scenario or the schema cannot be read.
    pub fn job(&self) -> Result<Job, Failure> {
        job(&wanted(self)?.subject)
    }

    /// Searches on this server. An interrupt ends the search, and what it found so far is the result.
    ///
    /// # Errors
    /// When the arguments do not fit, the clean run does not succeed or the harness cannot do its work.
    pub async fn explore(
        &self,
        talk: Talk,
        out: &Path,
        server: Server,
        cancel: watch::Receiver<bool>,
    ) -> Result<ExploreJson, Failure> {
        let scenario = wanted(self)?;
        let work = Work {
            arguments: self,
            talk,
            scenario: &scenario,
            shard: shard(self.shard.as_deref())?,
            out,
            most: None,
        };
        work.explore(server, cancel).await
    }
}

/// What the result means as an exit code.
pub(super) fn exit(document: &ExploreJson) -> Exit {
    if document.interrupted {
        Exit::Interrupted
    } else if document.violations > 0 {
        Exit::Unexpected
    } else if document.inconclusive > 0 || document.unconfirmed > 0 {
        Exit::Inconclusive
    } else if document.schedules == 0 && document.shard.1 == 1 {
        // Nothing is known. (A part may well be empty: there were fewer schedules than parts.)
        Exit::Inconclusive
    } else {
        Exit::AsExpected
    }
}

/// The shard that the argument names, with Kubernetes' index where it only says of how many.
fn shard(text: Option<&str>) -> Result<Shard, Failure> {
    let wrong =
        |error: &dyn std::fmt::Display| Failure::new(Exit::Usage, format!("--shard: {error}"));
    let Some(text) = text else {
        return Ok(Shard::WHOLE);
    };
    let Ok(of) = text.trim().parse::<u64>() else {
        return text.parse().map_err(|error| wrong(&error));
    };
    let index = std::env::var("JOB_COMPLETION_INDEX").map_err(|_| {
        wrong(&format!(
            "{text} says of how many; which one is taken from JOB_COMPLETION_INDEX, and that is not \
             set (outside of an Indexed Job write 0/{of})"
        ))
    })?;
    Shard::from_job_completion_index(&index, of).map_err(|error| wrong(&error))
}

/// The subject and its rules, as a scenario without a schedule.
fn wanted(arguments: &ExploreArguments) -> Result<Scenario, Failure> {
    let mut scenario = match &arguments.scenario {
        Some(file) => {
            let mut scenario =
                scenario::load(file).map_err(|error| Failure::scenarios(vec![error]))?;
            no_cronjob(&scenario, file)?;
            if !arguments.command.is_empty() {
                scenario.subject.program = Program::Command(arguments.command.clone());
            }
            arguments.server.refuse(file, &scenario)?;
            scenario.for_a_search()
        }
        None if arguments.command.is_empty() => Scenario::new(
            "a search",
            Program::Seeder(SeederSettings {
                lock: arguments.seeder.clone(),
                ..SeederSettings::default()
            }),
        ),
        None => foreign(
            arguments.command.clone(),
            arguments.schema.clone(),
            arguments.prepare.clone(),
        ),
    };
    if let Some(pods) = arguments.pods {
        scenario.pods.count = usize::from(pods);
    }
    Ok(scenario)
}
