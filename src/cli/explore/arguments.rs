//! What `lockproof explore` is asked for.
//!
//! Owns the options and the names of the strategies. What they do is the business of `work`.

use std::path::PathBuf;

use clap::ValueEnum;

use crate::cli::common::{OutputArguments, ServerArguments};
use crate::scenario;

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

impl ExploreArguments {
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
}
