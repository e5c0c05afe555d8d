//! The options of `lockproof explore`.
//!
//! Owns the options and the names of the strategies. `uses` says which strategy uses which option.

use std::path::PathBuf;

use clap::ValueEnum;
use clap::builder::{PossibleValue, PossibleValuesParser};

use super::faults::{SweptName, swept_name};
use crate::cli::ci::CiArguments;
use crate::cli::common::{OutputArguments, ServerArguments};
use crate::cli::keys::KeyArguments;
use crate::cli::template::TemplateArguments;
use crate::scenario::{SEEDER_LOCKS, SEEDER_PROFILES, Scenario};
use crate::search::default_jobs;

/// How schedules are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StrategyName {
    /// Try each conflict that the job's own runs suggest
    Hazards,
    /// Run every schedule with at most so many preemptions
    Preemptions,
    /// Draw random priorities with change points (PCT)
    Pct,
    /// Do each fault at each step and point of pod a while b waits
    Sweep,
    /// Let two conflicting steps go at the same moment, again and again
    Overlap,
    /// Draw turns and faults
    Random,
    /// Kill pod a at a random step while b waits, or b
    Kills,
    /// Draw start times and hold nothing back: the baseline to beat
    Stress,
}

impl StrategyName {
    /// All, in the order in which `--strategy every` takes them: those that may have fewer schedules than
    /// their share come first, and what they leave goes to the others.
    pub(super) const ALL: &[Self] = &[
        Self::Hazards,
        Self::Preemptions,
        Self::Sweep,
        Self::Overlap,
        Self::Pct,
        #[cfg(feature = "random")]
        Self::Random,
        Self::Kills,
        Self::Stress,
    ];

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
            Self::Kills => "kills",
            Self::Stress => "stress",
        }
    }
}

/// The value of `--strategy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chosen {
    /// This one.
    One(StrategyName),
    /// All, one after the other.
    Every,
}

impl ValueEnum for Chosen {
    fn value_variants<'a>() -> &'a [Self] {
        use StrategyName::*;
        &[
            Self::One(Hazards),
            Self::One(Preemptions),
            Self::One(Pct),
            Self::One(Sweep),
            Self::One(Overlap),
            #[cfg(feature = "random")]
            Self::One(Random),
            Self::One(Kills),
            Self::One(Stress),
            Self::Every,
        ]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        match self {
            Self::One(strategy) => strategy.to_possible_value(),
            Self::Every => Some(PossibleValue::new("every").help(
                "Search with all of them in turn: on a sound job whatever fails is a false alarm",
            )),
        }
    }
}

/// Options of `explore`.
#[derive(Debug, Clone, clap::Args)]
pub struct ExploreArguments {
    /// How schedules are looked for
    #[arg(long, value_enum, default_value = "hazards")]
    pub strategy: Chosen,

    /// Go on after the first failure
    #[arg(long)]
    pub all: bool,

    /// Run every schedule, run each violated one again, and count what is alike
    #[arg(long)]
    pub survey: bool,

    /// Compare chance with this many runs of the directed schedule of the original bug [20 if left out]
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "20", value_parser = clap::value_parser!(u32).range(1..))]
    pub directed: Option<u32>,

    /// The most preemptions of a schedule
    #[arg(long, value_name = "C", default_value_t = 1)]
    pub preemptions: u32,

    /// Run equivalent schedules, too
    #[arg(long)]
    pub unreduced: bool,

    /// Switch, or do the fault, only at the first, second and last of a run of equal statements
    #[arg(long)]
    pub sample: bool,

    /// Depth of the bugs that are looked for: a schedule has one priority change less
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub depth: u32,

    /// How many schedules [default: 100; every: 10000 in all; with --directed: 200 pairs]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub schedules: Option<u64>,

    /// Seed of random draws
    #[arg(long, default_value_t = 1)]
    pub seed: u64,

    /// What is done to pod a at each step and point, while b waits
    #[arg(long, value_name = "FAULT,…", value_delimiter = ',', value_parser = swept_name())]
    pub faults: Vec<SweptName>,

    /// How many schedules are run at once [default: half as many again as
    /// there are cores]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub jobs: Option<u16>,

    /// Print what the time of a schedule is spent with
    #[arg(long)]
    pub timings: bool,

    /// Run only one part of the schedules: I/N, I from 0; N alone takes I from JOB_COMPLETION_INDEX
    /// [default: all]
    #[arg(long, value_name = "I/N")]
    pub shard: Option<String>,

    /// Go on with a search that was broken off: what it has kept in this directory is not run again
    #[arg(long, value_name = "DIR")]
    pub resume: Option<PathBuf>,

    /// Keep each failure in this directory, as a scenario file
    #[arg(long, value_name = "DIR")]
    pub save: Option<PathBuf>,

    /// How often a failure is run again [default: 10; with --survey: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub times: Option<u32>,

    /// Keep a failure as it was found, without shrinking and replays
    #[arg(long)]
    pub no_shrink: bool,

    /// Take subject, pods and rules from a scenario file; --survey and --strategy every take several,
    /// and directories
    #[arg(long, value_name = "FILE", conflicts_with_all = ["seeder", "profile"])]
    pub scenario: Vec<PathBuf>,

    /// The lock of the built-in job, where no CMD is given; --survey and --strategy every take several
    /// [default: none; with --survey: session,guarded]
    #[arg(long, value_name = "LOCK", value_delimiter = ',', conflicts_with = "command", value_parser = PossibleValuesParser::new(SEEDER_LOCKS))]
    pub seeder: Vec<String>,

    /// How much the built-in job seeds
    #[arg(long, default_value = "tiny", conflicts_with = "command", value_parser = PossibleValuesParser::new(SEEDER_PROFILES))]
    pub profile: String,

    /// Keys of the scenario
    #[command(flatten)]
    pub keys: KeyArguments,

    /// A running database instead of a schema
    #[command(flatten)]
    pub template: TemplateArguments,

    /// What is written for the machine around it
    #[command(flatten)]
    pub ci: CiArguments,

    /// Which server
    #[command(flatten)]
    pub server: ServerArguments,

    /// How the result is shown
    #[command(flatten)]
    pub output: OutputArguments,

    /// The subject: a command that uses DATABASE_URL or the PG* variables [default: that of
    /// lockproof.toml here, else the built-in job without its lock]
    #[arg(last = true, value_name = "CMD")]
    pub command: Vec<String>,
}

/// How many schedules are drawn where nothing is said.
const SCHEDULES: u64 = 100;
/// How often a failure is replayed where nothing is said.
const TIMES: u32 = 10;

impl ExploreArguments {
    /// A search for the first hazard, of no subject, whose failure is replayed once.
    #[must_use]
    pub fn plain(server: &ServerArguments, output: &OutputArguments) -> Self {
        Self {
            strategy: Chosen::One(StrategyName::Hazards),
            all: false,
            survey: false,
            directed: None,
            preemptions: 1,
            unreduced: false,
            sample: false,
            depth: 1,
            schedules: None,
            seed: 1,
            faults: Vec::new(),
            jobs: None,
            timings: false,
            shard: None,
            resume: None,
            save: None,
            times: Some(1),
            no_shrink: false,
            scenario: Vec::new(),
            seeder: Vec::new(),
            profile: "tiny".to_owned(),
            keys: KeyArguments::default(),
            template: TemplateArguments::default(),
            ci: CiArguments::default(),
            server: server.clone(),
            output: output.clone(),
            command: Vec::new(),
        }
    }

    /// How many schedules a strategy draws.
    pub(super) fn schedules(&self) -> u64 {
        self.schedules.unwrap_or(SCHEDULES)
    }

    /// How often a failure is replayed.
    pub(super) fn times(&self) -> u32 {
        self.times.unwrap_or(TIMES)
    }

    /// How many schedules of this subject are run at once.
    pub(super) fn jobs(&self, scenario: &Scenario) -> usize {
        if scenario.needs_own_server() {
            return 1;
        }
        self.jobs.map_or_else(default_jobs, usize::from)
    }
}
