//! `lockproof explore`: finds the failing order by itself, makes it small, and keeps it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;
use tokio::sync::watch;

use super::common::{
    Failure, OutputArguments, ServerArguments, Talk, millis, unless_cancelled, with_cancel,
};
use super::exit::Exit;
use super::finding::{Finder, Kept};
use super::out::OutputDirectory;
use super::reproduce::ReproduceArguments;
use super::subject::{foreign, job};
use crate::history::{Line, PodName};
use crate::invariant::{Judgement, Verdict};
use crate::report::{ExploreJson, SpaceJson, wrap};
use crate::scenario::{self, Program, Scenario, SeederSettings};
use crate::schedule::FaultKind;
use crate::search::footprint::{Footprints, independent};
use crate::search::strategy::{
    Hazards, Kind, Overlap, Pct, Preemptions, Random, Shard, Strategy, Sweep, Tally, claim,
};
use crate::search::{
    Commute, Exploration, Independence, SearchOptions, Stage, Trial, explore, never_independent,
};
use crate::server::Server;

/// How schedules are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StrategyName {
    /// Conflicts predicted from executed runs, each tried at once
    Hazards,
    /// Every schedule with at most so many preemptions
    Preemptions,
    /// Random priorities with change points (PCT)
    Pct,
    /// Each fault at each step and point of a pod
    Sweep,
    /// The two steps of a hazard let go at the same moment, again and again
    Overlap,
    /// Random turns and faults
    Random,
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

    /// One change point less than this many (pct)
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub depth: u32,

    /// How many random schedules (pct, random, overlap)
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    pub schedules: u64,

    /// Where random draws start
    #[arg(long, default_value_t = 1)]
    pub seed: u64,

    /// Random schedules without faults (random)
    #[arg(long)]
    pub no_faults: bool,

    /// How many pods
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=26))]
    pub pods: Option<u8>,

    /// How many schedules are run at once [default: the number of cores]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub jobs: Option<u16>,

    /// Run only this part of the schedules, such as 0/4 [default: all; of I/N a bare N takes I from
    /// JOB_COMPLETION_INDEX]
    #[arg(long, value_name = "I/N")]
    pub shard: Option<String>,

    /// Keep the shrunk failure in this directory, as a scenario file
    #[arg(long, value_name = "DIR")]
    pub save: Option<PathBuf>,

    /// How often a shrunk failure is replayed
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    pub times: u32,

    /// Tell a failure as it was found
    #[arg(long)]
    pub no_shrink: bool,

    /// Take subject, pods and rules from a scenario file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["schema", "prepare", "seeder"])]
    pub scenario: Option<PathBuf>,

    /// SQL that makes the subject's tables
    #[arg(long, value_name = "FILE")]
    pub schema: Option<PathBuf>,

    /// A command (for sh -c) that prepares the database, after the schema
    #[arg(long, value_name = "CMD")]
    pub prepare: Option<String>,

    /// The lock of the built-in subject, where no CMD is given
    #[arg(long, value_name = "LOCK", default_value = "none", value_parser = clap::builder::PossibleValuesParser::new(scenario::SEEDER_LOCKS))]
    pub seeder: String,

    /// Which server
    #[command(flatten)]
    pub server: ServerArguments,

    /// How the result is shown
    #[command(flatten)]
    pub output: OutputArguments,

    /// The subject: a command that uses DATABASE_URL or the PG* variables [default: the built-in
    /// seeder]
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
    job(&wanted(arguments)?.subject)?;
    let directory = OutputDirectory::make(&arguments.output.out, "explore")?;
    let out = directory.path().to_owned();
    let document = with_cancel(&arguments.server, talk, async |server, cancel| {
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
            // The replays are made, and told, when it is reproduced.
            times: 1,
            no_shrink: false,
            scenario: None,
            schema: reproduce.schema.clone(),
            prepare: reproduce.prepare.clone(),
            seeder: String::new(),
            server: reproduce.server.clone(),
            output: reproduce.output.clone(),
            command: reproduce.command.clone(),
        }
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
    } else if document.inconclusive > 0 || document.unconfirmed > 0 || document.schedules == 0 {
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
            if !arguments.command.is_empty() {
                scenario.subject.program = Program::Command(arguments.command.clone());
            }
            scenario.schedule = crate::schedule::Schedule::Controlled(Vec::new());
            scenario.expect = scenario::Expect {
                only_sqlstates: scenario.expect.only_sqlstates,
                ..scenario::Expect::default()
            };
            scenario.tags.clear();
            scenario
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

/// The most turns of a random schedule.
const RANDOM_TURNS: usize = 8;

/// A search in progress.
struct Work<'a> {
    arguments: &'a ExploreArguments,
    talk: Talk,
    scenario: &'a Scenario,
    shard: Shard,
    out: &'a Path,
}

impl Work<'_> {
    async fn explore(
        &self,
        server: Server,
        cancel: watch::Receiver<bool>,
    ) -> Result<ExploreJson, Failure> {
        let job = job(&self.scenario.subject)?;
        let talk = self.talk;
        let facts = server.facts().clone();
        let stage = unless_cancelled(cancel.clone(), async {
            Ok(Stage::build(&server, &job).await?)
        })
        .await?;
        let mut trial = unless_cancelled(cancel.clone(), async {
            Ok(Trial::prepare(&stage, self.scenario, &job, None).await?)
        })
        .await?;
        if self.arguments.strategy != StrategyName::Hazards && !self.reduces() {
            trial = trial.lean();
        }
        self.tell_subject(&trial)?;
        let mut strategy = self.strategy(&trial)?;
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
            jobs: self.jobs(),
            all: self.arguments.all,
            shard: self.shard,
            dir: self.out.to_owned(),
            cancel: cancel.clone(),
        };
        talk.say("");
        let hazards = self.arguments.strategy == StrategyName::Hazards;
        let (mut last, mut unclear) = (0, 0);
        let exploration = explore(&trial, &mut *strategy, touched, &options, |progress| {
            let judgement = progress.judgement;
            if hazards || judgement == Judgement::Violated {
                talk.say(&wrap(
                    &format!("{:>3} {}", progress.number, word(judgement)),
                    &progress.candidate.why,
                ));
                if let Some(remark) = &progress.remark {
                    talk.say(&wrap("", remark));
                }
            } else if judgement == Judgement::Inconclusive {
                unclear += 1;
                if unclear <= UNCLEAR_TOLD {
                    talk.say(&wrap(
                        &format!("{:>3} unclear", progress.number),
                        &progress.candidate.why,
                    ));
                    talk.say(&wrap("", &why_unclear(&progress.outcome.verdict)));
                }
            } else if progress.number >= last + 100 {
                last = progress.number;
                talk.say(&format!("  {last} schedules"));
            }
        })?;
        let claim = claim(
            strategy.kind(),
            &exploration.space,
            &Tally {
                explored: exploration.schedules,
                violated: exploration.violations,
                inconclusive: exploration.inconclusive + exploration.unconfirmed,
            },
        );
        let claim = match strategy.promise() {
            Some(promise) => format!("{claim}; {promise}"),
            None => claim,
        };
        let kept = self.keep(&trial, &exploration, cancel)?;
        drop(trial);
        stage.strike().await?;
        self.tell(&exploration, &claim, strategy.kind());
        Ok(self.document(exploration, claim, kept, facts, &job.text))
    }

    fn jobs(&self) -> usize {
        self.arguments.jobs.map_or_else(
            || std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            usize::from,
        )
    }

    /// What the clean run showed, and what is wrong with it for a search.
    fn tell_subject(&self, trial: &Trial<'_>) -> Result<(), Failure> {
        let measured = trial.measured();
        let baseline = &measured.baseline;
        if trial.rules().protect.is_empty() {
            return Err(Failure::new(
                Exit::Inconclusive,
                "the clean run wrote no table: there is nothing that a lock could guard. Does the \
                 subject find work to do in a fresh database? (--schema, --prepare)",
            ));
        }
        let locks = match measured.locks.len() {
            0 => "no advisory lock: the three lock invariants are not judged".to_owned(),
            _ => format!(
                "advisory lock {}",
                measured
                    .locks
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
        };
        self.talk.say(&format!(
            "clean run: {} steps, writes {}; {locks}",
            baseline.steps,
            baseline.written.join(", ")
        ));
        if !baseline.unstable_steps.is_empty() {
            self.talk.say(&wrap(
                "note",
                &format!(
                    "the subject does not do the same in every serial run; what it does differently \
                     cannot be replayed for sure: {}",
                    baseline.unstable_steps.join("; ")
                ),
            ));
        }
        Ok(())
    }

    fn strategy(&self, trial: &Trial<'_>) -> Result<Box<dyn Strategy>, Failure> {
        let arguments = self.arguments;
        let pods = trial.pods();
        let steps = trial.measured().baseline.steps;
        let all_steps = u64::from(steps) * pods as u64;
        let empty = |what: &str| {
            Err(Failure::new(
                Exit::Usage,
                format!("there is no schedule to run: {what}"),
            ))
        };
        if pods < 2 && arguments.strategy != StrategyName::Sweep {
            return empty("with one pod nothing overlaps; give --pods 2 or more");
        }
        Ok(match arguments.strategy {
            StrategyName::Hazards => Box::new(self.hazards(trial)),
            StrategyName::Preemptions => Box::new(Preemptions::new(
                pods,
                arguments.preemptions,
                !arguments.unreduced,
                self.shard,
            )),
            StrategyName::Pct => Box::new(Pct::new(
                pods,
                all_steps,
                arguments.depth,
                arguments.schedules,
                arguments.seed,
            )),
            StrategyName::Sweep => Box::new(Sweep::new(sweep_kinds(), steps)),
            StrategyName::Overlap => {
                let pairs = self.hazards(trial).pairs();
                if pairs.is_empty() {
                    return empty(
                        "no two steps of two pods conflict, or a lock keeps all of them apart",
                    );
                }
                let each = (arguments.schedules / pairs.len() as u64).max(1);
                Box::new(Overlap::new(pairs, each))
            }
            StrategyName::Random => Box::new(Random::new(
                pods,
                RANDOM_TURNS,
                steps,
                !arguments.no_faults,
                arguments.schedules,
                arguments.seed,
            )),
        })
    }

    /// Whether the strategy leaves out what is equivalent to what was run.
    fn reduces(&self) -> bool {
        self.arguments.strategy == StrategyName::Preemptions && !self.arguments.unreduced
    }

    fn hazards(&self, trial: &Trial<'_>) -> Hazards {
        let measured = trial.measured();
        let mut runs = vec![measured.clean.clone()];
        runs.extend(measured.serial.iter().cloned());
        Hazards::new(
            runs,
            measured.catalog.clone(),
            trial.rules().clone(),
            (0..trial.pods()).map(PodName::of_index).collect(),
            self.shard.of() == 1,
        )
    }

    fn keep(
        &self,
        trial: &Trial<'_>,
        exploration: &Exploration,
        cancel: watch::Receiver<bool>,
    ) -> Result<Vec<Kept>, Failure> {
        let finder = Finder {
            trial,
            scenario: self.scenario,
            talk: self.talk,
            cancel,
            shrink: !self.arguments.no_shrink,
            times: self.arguments.times,
            save: self.arguments.save.as_deref(),
        };
        exploration
            .found
            .iter()
            .map(|found| finder.keep(found))
            .collect()
    }

    fn tell(&self, exploration: &Exploration, claim: &str, kind: Kind) {
        let talk = self.talk;
        let seconds = exploration.took.as_secs_f64();
        talk.result(&format!(
            "\n{} schedules in {seconds:.1} s ({:.1} a second, {} at once): {} failed, {} \
             inconclusive",
            exploration.schedules,
            exploration.schedules as f64 / seconds.max(1e-9),
            self.jobs(),
            exploration.violations,
            exploration.inconclusive + exploration.unconfirmed
        ));
        if exploration.unconfirmed > 0 {
            talk.result(&wrap(
                "unconfirmed",
                &format!(
                    "{} failed at first and not in a whole run",
                    exploration.unconfirmed
                ),
            ));
        }
        talk.result(&wrap("means", claim));
        if exploration.missed > 0 {
            talk.result(&wrap(
                "missed",
                &format!(
                    "in {} of them a fault did not fire or a stop was not reached: they held, and say \
                     nothing of that point",
                    exploration.missed
                ),
            ));
        }
        if exploration.space.pruned > 0 && kind == Kind::Enumeration {
            let run = exploration.schedules as f64;
            let all = run + exploration.space.pruned as f64;
            talk.result(&wrap(
                "reduction",
                &format!(
                    "{:.1} times: {} schedules stand for {}",
                    all / run.max(1.0),
                    exploration.schedules,
                    exploration.schedules + exploration.space.pruned
                ),
            ));
        }
        talk.result(&wrap(
            "not tested",
            "one request cycle at a time; races inside a statement, a function or a \
             multi-statement query are what --strategy overlap is for",
        ));
        if exploration.interrupted {
            talk.result("interrupted; this is what was found so far");
        }
        talk.say(&format!("histories and verdicts: {}", self.out.display()));
    }

    fn document(
        &self,
        exploration: Exploration,
        claim: String,
        kept: Vec<Kept>,
        server: crate::history::ServerFacts,
        subject: &str,
    ) -> ExploreJson {
        let first = exploration.found.first();
        let first_kept = kept.first();
        let seconds = exploration.took.as_secs_f64();
        ExploreJson {
            strategy: self.settings(),
            subject: subject.to_owned(),
            schedules: exploration.schedules,
            violations: exploration.violations,
            inconclusive: exploration.inconclusive,
            unconfirmed: exploration.unconfirmed,
            missed: exploration.missed,
            first_violation_at: exploration.first_violation_at,
            invariant: first.map(|found| found.failure.invariant),
            sqlstate: first.and_then(|found| found.failure.sqlstate.clone()),
            table: first.and_then(|found| found.failure.table.clone()),
            constraint: first.and_then(|found| found.failure.constraint.clone()),
            space: SpaceJson {
                explored: exploration.schedules,
                total: exploration.space.total,
                pruned: exploration.space.pruned,
                diverged: exploration.space.diverged,
            },
            schedules_per_second: exploration.schedules as f64 / seconds.max(1e-9),
            shrunk: first_kept.and_then(|kept| kept.shrunk),
            replay: first_kept.and_then(|kept| kept.replay),
            schedule_file: first_kept.map(|kept| kept.file.clone()),
            found: exploration
                .found
                .iter()
                .zip(&kept)
                .map(|(found, kept)| kept.json(found))
                .collect(),
            claim,
            shard: (self.shard.index(), self.shard.of()),
            seed: self.draws().then_some(self.arguments.seed),
            interrupted: exploration.interrupted,
            stopped_at_first: exploration.stopped,
            server,
            elapsed_ms: millis(exploration.took),
            jobs: self.jobs(),
        }
    }

    fn draws(&self) -> bool {
        matches!(
            self.arguments.strategy,
            StrategyName::Pct | StrategyName::Random
        )
    }

    /// The strategy with its settings: what two parts of one search have in common.
    fn settings(&self) -> String {
        let arguments = self.arguments;
        match arguments.strategy {
            StrategyName::Hazards => "hazards".to_owned(),
            StrategyName::Preemptions => format!(
                "preemptions = {}{}",
                arguments.preemptions,
                if arguments.unreduced {
                    ", unreduced"
                } else {
                    ""
                }
            ),
            StrategyName::Pct => format!(
                "pct, depth {}, {} schedules, seed {}",
                arguments.depth, arguments.schedules, arguments.seed
            ),
            StrategyName::Sweep => "sweep".to_owned(),
            StrategyName::Overlap => format!("overlap, {} schedules", arguments.schedules),
            StrategyName::Random => format!(
                "random{}, {} schedules, seed {}",
                if arguments.no_faults {
                    " without faults"
                } else {
                    ""
                },
                arguments.schedules,
                arguments.seed
            ),
        }
    }
}

/// What a sweep does to a pod and its sessions.
fn sweep_kinds() -> Vec<FaultKind> {
    vec![
        FaultKind::Kill,
        FaultKind::Terminate {
            grace: Duration::from_millis(500),
        },
        FaultKind::Error {
            sqlstate: "53100".to_owned(),
        },
        FaultKind::TerminateBackend,
        FaultKind::CancelBackend,
        FaultKind::Reset,
    ]
}

/// At most this many schedules that could not be judged are told one by one.
const UNCLEAR_TOLD: u32 = 5;

/// Why a run could not be judged.
fn why_unclear(verdict: &Verdict) -> String {
    let invariant = verdict
        .invariants
        .iter()
        .find(|one| one.judgement == Judgement::Inconclusive)
        .map(|one| format!("{}: {}", one.name, one.why));
    let guard = verdict
        .guards
        .iter()
        .find(|guard| !guard.met)
        .map(|guard| format!("{}: {}", guard.name, guard.why));
    invariant.or(guard).unwrap_or_default()
}

fn word(judgement: Judgement) -> &'static str {
    match judgement {
        Judgement::Holds => "held",
        Judgement::Violated => "FAILED",
        Judgement::Inconclusive | Judgement::NotJudged => "unclear",
    }
}
