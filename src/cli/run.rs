//! `lockproof run`: scenarios to their verdicts.

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::common::{Failure, OutputArguments, ServerArguments, Talk, millis, with_server};
use super::exit::{Exit, exit_of};
use super::out::OutputDirectory;
use super::subject::job;
use crate::invariant::Judgement;
use crate::report::{
    RunJson, ScenarioJson, ScenarioSource, scenario_json, verdict_block, wrap, wrap_lines,
};
use crate::run::BaselineRuns;
use crate::scenario::{self, Scenario};
use crate::search::{Confirmation, Job, Stage, Trial};
use crate::server::Server;

/// Options of `run`.
#[derive(Debug, Clone, clap::Args)]
pub struct RunArguments {
    /// Scenario files, and directories with such files
    #[arg(default_value = "scenarios")]
    pub paths: Vec<PathBuf>,

    /// Only scenarios with this tag
    #[arg(long)]
    pub tag: Option<String>,

    /// Run without the witness: a step that may both lock and write is inconclusive then
    #[arg(long)]
    pub no_witness: bool,

    /// Print every invariant and guard, not only what does not hold
    #[arg(long, short)]
    pub verbose: bool,

    /// Which server
    #[command(flatten)]
    pub server: ServerArguments,

    /// How the result is shown
    #[command(flatten)]
    pub output: OutputArguments,
}

/// Templates and clean runs that several scenarios share.
#[derive(Default)]
pub struct Known {
    stages: Vec<(Job, Stage)>,
    measured: Vec<(Job, usize, bool, BaselineRuns)>,
}

/// Runs the scenarios; the exit code.
///
/// # Errors
/// When a file has errors or no server can be had.
pub async fn run(arguments: &RunArguments) -> Result<Exit, Failure> {
    let talk = Talk::new(&arguments.output);
    let scenarios = read_all(
        &arguments.paths,
        arguments.tag.as_deref(),
        arguments.no_witness,
    )?;
    let directory = OutputDirectory::make(&arguments.output.out, "run")?;
    let out = directory.path();
    let (document, exit) = with_server(&arguments.server, talk, async |server| {
        let mut known = Known::default();
        let mut results = Vec::new();
        let mut exits = Vec::new();
        for (file, scenario) in &scenarios {
            let result = run_one(&server, &mut known, file, scenario, out).await?;
            talk.result(&block(&result, arguments.verbose));
            exits.push(result.exit);
            results.push(result.json);
        }
        known.strike().await?;
        let as_expected = results.iter().filter(|one| one.as_expected).count();
        let document = RunJson {
            server: server.facts().clone(),
            as_expected,
            unexpected: results.len() - as_expected,
            scenarios: results,
        };
        Ok((document, gravest(&exits)))
    })
    .await?;
    talk.result(&format!(
        "{} of {} scenarios as expected on {} {} ({})",
        document.as_expected,
        document.scenarios.len(),
        document.server.kind,
        document.server.version,
        out.display()
    ));
    talk.say(
        "each in controlled pacing: one order of steps, one request cycle at a time; races inside a \
         statement, a function or a multi-statement query were not explored",
    );
    talk.document(&document);
    Ok(exit)
}

/// The exit code of them all: a wrong scenario goes first, then a verdict not as expected, then one
/// that could not be reached.
fn gravest(exits: &[Exit]) -> Exit {
    [Exit::Usage, Exit::Unexpected, Exit::Inconclusive]
        .into_iter()
        .find(|exit| exits.contains(exit))
        .unwrap_or(Exit::AsExpected)
}

/// Reads all scenario files before anything is run.
///
/// # Errors
/// Every file's error, and that there is none to run.
pub fn read_all(
    paths: &[PathBuf],
    tag: Option<&str>,
    no_witness: bool,
) -> Result<Vec<(PathBuf, Scenario)>, Failure> {
    let files = scenario::find(paths, tag).map_err(|error| Failure::scenarios(vec![error]))?;
    if files.is_empty() {
        let places: Vec<String> = paths
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        let tag = tag
            .map(|tag| format!(" with tag {tag}"))
            .unwrap_or_default();
        return Err(Failure::new(
            Exit::Usage,
            format!(
                "no scenario{tag} in {}: a scenario is a file whose name ends in .toml (README.md \
                 shows one)",
                places.join(", ")
            ),
        ));
    }
    let mut scenarios = Vec::new();
    let mut errors = Vec::new();
    for file in files {
        match scenario::load(&file) {
            Ok(mut scenario) => {
                scenario.subject.witness &= !no_witness;
                scenarios.push((file, scenario));
            }
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() {
        Ok(scenarios)
    } else {
        Err(Failure::scenarios(errors))
    }
}

/// A scenario's result, with what only the terminal shows.
pub struct ScenarioResult {
    /// For JSON.
    pub json: ScenarioJson,
    /// The exit code that it means.
    pub exit: Exit,
    /// The verdict's block, short.
    pub short: String,
    /// The verdict's block, with everything.
    pub long: String,
}

/// Runs one scenario. What is wrong with its subject is its result, not an error.
///
/// # Errors
/// When the environment fails.
pub async fn run_one(
    server: &Server,
    known: &mut Known,
    file: &Path,
    scenario: &Scenario,
    out: &Path,
) -> Result<ScenarioResult, Failure> {
    let begun = Instant::now();
    let dir = directory(out, file);
    std::fs::create_dir_all(&dir).map_err(|error| {
        Failure::new(
            Exit::Environment,
            format!("cannot write to {}: {error}", dir.display()),
        )
    })?;
    let source = |begun: Instant| ScenarioSource {
        file: file.to_owned(),
        title: scenario.title.clone(),
        replay: format!("lockproof replay {}", file.display()),
        artifacts: dir.clone(),
        elapsed_ms: millis(begun.elapsed()),
    };
    let job = job(&scenario.subject)?;
    let outcome = known.trial(server, scenario, &job, &dir).await;
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(failure) if matches!(failure.exit, Exit::Inconclusive | Exit::Usage) => {
            let json = scenario_json(source(begun), None, None, vec![failure.message.clone()]);
            return Ok(ScenarioResult {
                json,
                exit: failure.exit,
                short: wrap_lines("no verdict", &failure.message) + "\n",
                long: wrap_lines("no verdict", &failure.message) + "\n",
            });
        }
        Err(failure) => return Err(failure),
    };
    outcome.save(scenario, &dir)?;
    let confirmation = match &outcome.confirmation {
        Confirmation::NotNeeded => String::new(),
        Confirmation::NotPossible(why) => wrap("not confirmed", why) + "\n",
        Confirmation::Confirmed(names) if names.is_empty() => {
            wrap(
                "not confirmed",
                "without the witness the server does not show enough to say it again",
            ) + "\n"
        }
        Confirmation::Confirmed(names) => {
            let names: Vec<&str> = names.iter().map(|name| name.name()).collect();
            wrap(
                "confirmed",
                &format!("without the witness: {}", names.join(", ")),
            ) + "\n"
        }
        Confirmation::Refuted(names) => {
            let names: Vec<&str> = names.iter().map(|name| name.name()).collect();
            wrap(
                "refuted",
                &format!("without the witness: {}", names.join(", ")),
            ) + "\n"
        }
    };
    let short = verdict_block(&outcome.verdict, false) + &confirmation;
    let long = verdict_block(&outcome.verdict, true) + &confirmation;
    Ok(ScenarioResult {
        exit: exit_of(&outcome.verdict, &scenario.expect),
        json: scenario_json(
            source(begun),
            Some(&outcome.verdict),
            Some(outcome.trace_hash),
            outcome.unexpected,
        ),
        short,
        long,
    })
}

/// A directory of its own for each file: its path below the working directory, without the ending.
fn directory(out: &Path, file: &Path) -> PathBuf {
    let name: Vec<String> = file
        .with_extension("")
        .components()
        .filter_map(|part| match part {
            std::path::Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
            _ => None,
        })
        .collect();
    out.join(name.join("-"))
}

/// Whether a limit is one of every run in controlled pacing, which is said once at the end.
fn is_general(limit: &str) -> bool {
    limit.starts_with("one request cycle at a time") || limit.starts_with("one order of steps")
}

fn block(result: &ScenarioResult, verbose: bool) -> String {
    let json = &result.json;
    let mark = if json.as_expected { "✓" } else { "✗" };
    let verdict = json
        .verdict
        .map_or_else(|| "no verdict".to_owned(), |verdict| verdict.to_string());
    let mut text = format!(
        "{mark} {}: {verdict}{} [{:.1} s]\n    {}\n",
        json.title,
        if json.as_expected {
            ", as expected"
        } else {
            ", NOT AS EXPECTED"
        },
        std::time::Duration::from_millis(json.elapsed_ms).as_secs_f32(),
        json.file.display(),
    );
    if verbose {
        text.push_str(&result.long);
    } else if !json.as_expected || json.verdict != Some(Judgement::Holds) {
        text.push_str(&result.short);
    } else {
        for limit in json.not_tested.iter().filter(|limit| !is_general(limit)) {
            text.push_str(&wrap("not tested", limit));
            text.push('\n');
        }
    }
    if !json.as_expected {
        // Why there is no verdict was just said.
        let reasons = json.verdict.iter().flat_map(|_| &json.reasons);
        for reason in reasons {
            text.push_str(&wrap("unexpected", reason));
            text.push('\n');
        }
        text.push_str(&wrap("again with", &json.replay));
        text.push('\n');
    }
    text.trim_end().to_owned()
}

impl Known {
    async fn trial(
        &mut self,
        server: &Server,
        scenario: &Scenario,
        job: &Job,
        dir: &Path,
    ) -> Result<crate::search::Outcome, Failure> {
        if !self.stages.iter().any(|(known, _)| known.same_stage(job)) {
            let stage = Stage::build(server, job).await?;
            self.stages.push((job.clone(), stage));
        }
        let Some((_, stage)) = self.stages.iter().find(|(known, _)| known.same_stage(job)) else {
            return Err(Failure::new(Exit::Environment, "the stage is gone"));
        };
        let pods = scenario.pods.count + usize::from(scenario.pods.recovery);
        let witness = scenario.subject.witness;
        let measured = self
            .measured
            .iter()
            .find(|(known, count, seen, _)| known == job && *count == pods && *seen == witness)
            .map(|(_, _, _, measured)| measured.clone());
        let fresh = measured.is_none();
        let trial = Trial::prepare(stage, scenario, job, measured).await?;
        if fresh {
            self.measured
                .push((job.clone(), pods, witness, trial.measured().clone()));
        }
        Ok(trial.run(Some(dir)).await?)
    }

    /// Drops all templates.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn strike(self) -> Result<(), Failure> {
        for (_, stage) in self.stages {
            stage.strike().await?;
        }
        Ok(())
    }
}
