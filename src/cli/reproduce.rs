//! `lockproof reproduce`: shows a failure along a schedule and replays it; the built-in job also with its lock.
//!
//! Owns the original bug as a scenario, and the figures that are told. A search for a schedule is `explore`'s.

use std::path::PathBuf;
use std::time::Instant;

use super::alone::Alone;
use super::ci::CiArguments;
use super::common::{
    Failure, OutputArguments, ServerArguments, Talk, millis, unless_cancelled, with_cancel,
    with_server_for,
};
use super::exit::Exit;
use super::explore::ExploreArguments;
use super::keys::KeyArguments;
use super::out::OutputDirectory;
use super::page::report_last;
use super::progress::{Meter, watched};
use super::subject::job;
use super::template::{TEMPLATE, TemplateArguments};
use crate::invariant::Judgement;
use crate::name::{InvariantName as Named, PodName};
use crate::report::{
    Cases, ReproduceJson, VerdictJson, move_words, schedule_words, story, verdict_block, wrap,
};
use crate::scenario::{self, Program, Scenario, SeederSettings};
use crate::schedule::{Move, Schedule, SqlPattern, Stop, Turn};
use crate::search::{Failure as Failed, Stage, Trial, replay, save};
use crate::server::Server;

/// Where the run with the lock is kept, below the one without.
const WITH_LOCK: &str = "with-lock";

/// Options of `reproduce`.
#[derive(Debug, Clone, clap::Args)]
pub struct ReproduceArguments {
    /// How often the schedule is replayed
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    pub times: u32,

    /// A scenario file whose schedule is used [default: one is looked for, as `explore` does]
    #[arg(long, value_name = "FILE")]
    pub schedule: Option<PathBuf>,

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

    /// The subject: a command that uses DATABASE_URL or the PG* variables [default: the built-in
    /// seeder without its lock]
    #[arg(last = true, value_name = "CMD")]
    pub command: Vec<String>,
}

/// The original bug, as a scenario: a resets and is held before its first tip splits; b truncates;
/// a goes on.
///
/// # Errors
/// Never in fact: the patterns are fixed.
pub fn original_bug(lock: &str) -> Result<Scenario, Failure> {
    let program = Program::Seeder(SeederSettings {
        lock: lock.to_owned(),
        ..SeederSettings::default()
    });
    let mut scenario = Scenario::new("Two resets overlap", program);
    let pattern = |text: &str| {
        SqlPattern::new(text).map_err(|error| Failure::new(Exit::Usage, error.to_string()))
    };
    let turn = |index: usize, until: Stop| {
        Move::Turn(Turn {
            pod: PodName::of_index(index),
            until,
        })
    };
    scenario.schedule = Schedule::Controlled(vec![
        turn(
            0,
            Stop::Before {
                sql: pattern("insert into invoice_tip_splits")?,
                nth: 1,
            },
        ),
        turn(
            1,
            Stop::After {
                sql: pattern("truncate")?,
                nth: 1,
            },
        ),
        turn(0, Stop::End),
    ]);
    Ok(scenario)
}

/// What is to be reproduced.
enum Wanted {
    /// The original bug of the built-in subject.
    BuiltIn(Scenario),
    /// A schedule that is known.
    Known(Scenario),
    /// Whatever a search finds.
    Unknown,
}

/// What the arguments ask for.
fn wanted(arguments: &ReproduceArguments) -> Result<Wanted, Failure> {
    let Some(file) = &arguments.schedule else {
        if !arguments.command.is_empty() {
            return Ok(Wanted::Unknown);
        }
        let mut scenario = original_bug("none")?;
        scenario.expect.verdict = scenario::ExpectedVerdict::Violated;
        scenario.expect.violates = vec![Named::NoErrors];
        scenario.expect.sqlstate = Some("23503".to_owned());
        scenario.expect.table = Some("invoice_tip_splits".to_owned());
        scenario.expect.constraint =
            Some("invoice_tip_splits_invoice_id_invoices_id_fk".to_owned());
        if !arguments.keys.is_empty() {
            let message = "the built-in job's bug is shown as it is: options of a job go with a job of your own,                            behind `--`, or with --schedule FILE";
            return Err(Failure::new(Exit::Usage, message));
        }
        return Ok(Wanted::BuiltIn(scenario));
    };
    let loaded = arguments.keys.load(file);
    let mut scenario = loaded.map_err(|error| Failure::scenarios(vec![error]))?;
    if !arguments.command.is_empty() {
        scenario.subject.program = Program::Command(arguments.command.clone());
        // What is written here is meant from here.
        scenario.subject.dir = std::env::current_dir().ok();
        scenario.title = format!("{} along {}", scenario.subject.program, file.display());
    }
    Ok(Wanted::Known(scenario))
}

/// Reproduces; the exit code.
///
/// # Errors
/// When the clean run does not succeed or no server can be had.
pub async fn run(arguments: &ReproduceArguments) -> Result<Exit, Failure> {
    let begun = Instant::now();
    let talk = Talk::new(&arguments.output);
    let mut arguments = arguments.clone();
    let file = arguments.output.out.join(TEMPLATE);
    if let Some(schema) = arguments.template.dump(&file, talk).await? {
        arguments.keys.set_schema(&schema)?;
    }
    let arguments = &arguments;
    let wanted = wanted(arguments)?;
    // A schema that is not there is said before a server is started.
    match &wanted {
        Wanted::BuiltIn(scenario) | Wanted::Known(scenario) => drop(job(&scenario.subject)?),
        Wanted::Unknown => for_a_schedule(arguments).check()?,
    }
    let directory = OutputDirectory::make(&arguments.output.out, "reproduce")?;
    let work = Work {
        arguments,
        talk,
        out: directory.path().to_owned(),
        begun,
    };
    let document = match &wanted {
        Wanted::BuiltIn(scenario) | Wanted::Known(scenario) => {
            let built_in = matches!(wanted, Wanted::BuiltIn(_));
            arguments
                .server
                .refuse(std::path::Path::new("the schedule"), scenario)?;
            let alone = Alone::of([scenario]);
            with_server_for(&arguments.server, alone, talk, async |server| {
                work.reproduce(server, scenario, built_in).await
            })
            .await?
        }
        Wanted::Unknown => {
            let search = for_a_schedule(arguments);
            let document = with_cancel(
                &arguments.server,
                Alone::No,
                talk,
                async |server, cancel| {
                    let found = search
                        .first_hazard(
                            talk,
                            &work.out.join("search"),
                            server.clone(),
                            cancel.clone(),
                        )
                        .await?;
                    let Some(file) = &found.schedule_file else {
                        return Ok(None);
                    };
                    let scenario =
                        scenario::load(file).map_err(|error| Failure::scenarios(vec![error]))?;
                    talk.say("\nagain, from the beginning:");
                    unless_cancelled(cancel, work.reproduce(server, &scenario, false))
                        .await
                        .map(Some)
                },
            )
            .await?;
            let Some(document) = document else {
                return Err(Failure::new(
                    Exit::Unexpected,
                    "no schedule was found that fails, so there is nothing to reproduce; `lockproof \
                     explore` has other strategies, and --schedule FILE takes one that you write",
                ));
            };
            document
        }
    };
    talk.document(&document);
    let inconclusive =
        document.hits == document.attempts && document.with_lock == Some(Judgement::Inconclusive);
    let exit = match document.reproduced {
        true => Exit::AsExpected,
        false if inconclusive => Exit::Inconclusive,
        false => Exit::Unexpected,
    };
    let name = match &wanted {
        Wanted::BuiltIn(scenario) | Wanted::Known(scenario) => scenario.title.clone(),
        Wanted::Unknown => scenario::Program::Command(arguments.command.clone()).to_string(),
    };
    let mut cases = Cases::of_replays(&document, &name);
    for case in &mut cases.all {
        case.page.clone_from(&arguments.output.report);
    }
    let told = arguments.ci.publish(&cases, exit, talk)?;
    let Some(to) = &arguments.output.report else {
        return Ok(told);
    };
    // Where there is a run with the lock it stands below the one without.
    let below = work.out.join(WITH_LOCK);
    let below = below.exists().then_some(below);
    report_last(&work.out, below.as_deref(), to, talk, exit).map(|()| told)
}

struct Work<'a> {
    arguments: &'a ReproduceArguments,
    talk: Talk,
    out: PathBuf,
    begun: Instant,
}

impl Work<'_> {
    async fn reproduce(
        &self,
        server: Server,
        scenario: &Scenario,
        built_in: bool,
    ) -> Result<ReproduceJson, Failure> {
        let talk = self.talk;
        let job = job(&scenario.subject)?;
        let stage = Stage::build(&server, &job).await?;
        let trial = Trial::prepare(&stage, scenario, &job, None);
        let trial = watched(talk, "clean and serial runs", trial).await?;
        let baseline = &trial.measured().baseline;
        talk.say(&format!(
            "clean run: {}, {} steps, {} tables written, no error",
            job.text,
            baseline.steps,
            baseline.written.len()
        ));
        let turns = turns(&scenario.schedule);
        talk.say("\nthe schedule:");
        for turn in &turns {
            talk.say(&format!("  {turn}"));
        }
        let first = trial.run(Some(&self.out)).await?;
        save(scenario, &VerdictJson::of(&first.verdict), &self.out)?;
        // What `run` calls as expected, and nothing less.
        let expected = Failed::expected(&first.verdict, &scenario.expect);
        let failure = expected.filter(|_| first.unexpected.is_empty());
        let finding = failure
            .as_ref()
            .and_then(|failure| failure.findings(&first.verdict).next());
        let first_error_ms = finding.map(|_| millis(self.begun.elapsed()));
        if let Some(finding) = finding {
            talk.result(&format!("\n{}", wrap("violated", &finding.why)));
            talk.say(&format!(
                "  first error {:.1} s after the start of the command",
                self.begun.elapsed().as_secs_f32()
            ));
        } else {
            talk.result("\nThe schedule did not bring the expected error:");
            talk.result(verdict_block(&first.verdict, true).trim_end());
        }
        talk.say("\nwhat happened:");
        for line in story(&first.lines, &first.verdict) {
            talk.say(&format!("  {line}"));
        }
        let meter = Meter::new(talk, "replays", Some(u64::from(self.arguments.times)));
        let replays = replay(
            &trial,
            &scenario.schedule,
            &first,
            self.arguments.times,
            |outcome| {
                let again = |failure: &Failed| failure.is_in(&outcome.verdict);
                outcome.unexpected.is_empty() && failure.as_ref().is_some_and(again)
            },
            |number, _| meter.at(u64::from(number), None, ""),
        )
        .await?;
        drop(meter);
        talk.result(&format!(
            "\nreplayed {n} times: the exact error {} of {n}, the same trace {} of {n}",
            replays.hits,
            replays.same_trace,
            n = replays.of
        ));
        if let Some(difference) = &replays.first_difference {
            talk.result(&format!("  first difference: {difference}"));
        }
        let with_lock = if built_in {
            Some(self.with_lock(&stage).await?)
        } else {
            None
        };
        stage.strike().await?;
        talk.say(&format!("\nhistory and verdict: {}", self.out.display()));
        if built_in {
            talk.say(&format!(
                "again with: lockproof run --times 10 {}",
                self.out.join("scenario.toml").display()
            ));
        }
        let every_time = finding.is_some() && replays.hits == replays.of;
        Ok(ReproduceJson {
            reproduced: every_time && with_lock.is_none_or(|verdict| verdict == Judgement::Holds),
            attempts: replays.of,
            hits: replays.hits,
            sqlstate: finding.and_then(|found| found.sqlstate.clone()),
            table: finding.and_then(|found| found.table.clone()),
            constraint: finding.and_then(|found| found.constraint.clone()),
            turns,
            trace_hash_same: replays.same_trace,
            with_lock,
            first_error_ms,
            elapsed_ms: millis(self.begun.elapsed()),
            server: server.facts().clone(),
            artifacts: self.out.clone(),
        })
    }

    /// The same schedule with the lock: it must block, and hold.
    async fn with_lock(&self, stage: &Stage) -> Result<Judgement, Failure> {
        let mut scenario = original_bug("session")?;
        scenario.subject.lock = Some(scenario::LockName::Key(groombook::LOCK_KEY));
        scenario.expect.guards = vec![scenario::DemandedGuard::Contention];
        let job = job(&scenario.subject)?;
        let trial = Trial::prepare(stage, &scenario, &job, None).await?;
        let dir = self.out.join(WITH_LOCK);
        crate::history::private::make_directory(&dir).map_err(|error| {
            Failure::new(
                Exit::Environment,
                format!("cannot write to {}: {error}", dir.display()),
            )
        })?;
        let outcome = trial.run(Some(&dir)).await?;
        save(&scenario, &VerdictJson::of(&outcome.verdict), &dir)?;
        let talk = self.talk;
        talk.say(&format!(
            "\nthe same schedule with the lock ({}):",
            job.text
        ));
        for line in story(&outcome.lines, &outcome.verdict) {
            talk.say(&format!("  {line}"));
        }
        talk.result(&format!("\nwith the lock: {}", outcome.verdict.judgement));
        talk.say(verdict_block(&outcome.verdict, false).trim_end());
        Ok(outcome.verdict.judgement)
    }
}

/// The schedule, a line each.
fn turns(schedule: &Schedule) -> Vec<String> {
    match schedule {
        Schedule::Controlled(moves) => moves.iter().map(move_words).collect(),
        one_line => vec![schedule_words(one_line)],
    }
}

/// The search for a failing schedule of a subject that has none.
fn for_a_schedule(arguments: &ReproduceArguments) -> ExploreArguments {
    ExploreArguments {
        keys: arguments.keys.clone(),
        command: arguments.command.clone(),
        // The replays are made, and told, when it is reproduced.
        ..ExploreArguments::plain(&arguments.server, &arguments.output)
    }
}
