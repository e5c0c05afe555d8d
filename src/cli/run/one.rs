//! One scenario on its way to its verdict and, where they are asked for, its replays.
//!
//! Owns what is kept of a scenario's run, and the text of its result. Which scenarios are run is decided in `run`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::cli::common::{Failure, millis};
use crate::cli::exit::{Exit, exit_of};
use crate::cli::known::Known;
use crate::cli::subject::job;
use crate::invariant::Limit;
use crate::report::{
    ReplaysJson, ScenarioJson, ScenarioSource, VerdictJson, play, scenario_json, verdict_block,
    wrap, wrap_lines,
};
use crate::scenario::Scenario;
use crate::search::{Confirmation, Replays, save};

/// A scenario's result, with what only the terminal shows.
pub struct ScenarioResult {
    /// For JSON.
    pub json: ScenarioJson,
    /// The exit code that it means.
    pub exit: Exit,
    /// What was not tested; what no run in controlled pacing tests is said once, at the end.
    pub limits: Vec<Limit>,
    /// The run as a play, where it was replayed.
    pub play: Option<String>,
    /// The verdict's block, short.
    pub short: String,
    /// The verdict's block, with everything.
    pub long: String,
}

/// Runs one scenario, and as often again as `times` says. What is wrong with its subject is its result, not an error.
///
/// # Errors
/// When the environment fails.
pub async fn run_one(
    known: &mut Known,
    file: &Path,
    scenario: &Scenario,
    out: &Path,
    times: Option<u32>,
) -> Result<ScenarioResult, Failure> {
    let begun = Instant::now();
    let dir = directory(out, file);
    crate::history::private::make_directory(&dir).map_err(|error| {
        Failure::new(
            Exit::Environment,
            format!("cannot write to {}: {error}", dir.display()),
        )
    })?;
    let source = |begun: Instant| ScenarioSource {
        file: file.to_owned(),
        title: scenario.title.clone(),
        replay: format!("lockproof run --times 10 {}", file.display()),
        artifacts: dir.clone(),
        elapsed_ms: millis(begun.elapsed()),
    };
    let job = job(&scenario.subject)?;
    let outcome = known.trial(scenario, &job, &dir, times).await;
    let (mut outcome, replays) = match outcome {
        Ok(outcome) => outcome,
        Err(failure) if matches!(failure.exit, Exit::Inconclusive | Exit::Usage) => {
            let json = scenario_json(source(begun), None, None, vec![failure.message.clone()]);
            return Ok(ScenarioResult {
                json,
                exit: failure.exit,
                limits: Vec::new(),
                play: None,
                short: wrap_lines("no verdict", &failure.message) + "\n",
                long: wrap_lines("no verdict", &failure.message) + "\n",
            });
        }
        Err(failure) => return Err(failure),
    };
    save(scenario, &VerdictJson::of(&outcome.verdict), &dir)?;
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
        Confirmation::SeenOnce(names) => {
            let names: Vec<&str> = names.iter().map(|name| name.name()).collect();
            wrap(
                "seen once",
                &format!(
                    "in 1 of 2 runs, the other without the witness: {}",
                    names.join(", ")
                ),
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
    let exit = exit_of(&outcome.verdict, &scenario.expect);
    let (exit, again) = match &replays {
        Some(replays) => (
            replayed(replays, exit, &mut outcome.unexpected),
            replay_words(replays),
        ),
        None => (exit, String::new()),
    };
    let play = replays.is_some().then(|| {
        let scenes = play(&outcome.lines).into_iter();
        let scenes: Vec<String> = scenes.map(|scene| format!("  {scene}")).collect();
        format!("\n{}\n\n{}\n", scenario.title, scenes.join("\n"))
    });
    let short = verdict_block(&outcome.verdict, false) + &confirmation + &again;
    let long = verdict_block(&outcome.verdict, true) + &confirmation + &again;
    let mut limits = outcome.verdict.not_tested.clone();
    limits.retain(|limit| !limit.is_of_every_controlled_run());
    Ok(ScenarioResult {
        limits,
        exit,
        json: ScenarioJson {
            replays: replays.map(ReplaysJson::of),
            ..scenario_json(
                source(begun),
                Some(&outcome.verdict),
                Some(outcome.trace_hash),
                outcome.unexpected,
            )
        },
        play,
        short,
        long,
    })
}

/// The exit code after replays: one that came to another verdict is a reason why it is not as expected.
fn replayed(replays: &Replays, exit: Exit, unexpected: &mut Vec<String>) -> Exit {
    if replays.same_verdict == replays.of {
        return exit;
    }
    unexpected.push(format!(
        "{} of {} replays came to another verdict",
        replays.of - replays.same_verdict,
        replays.of
    ));
    Exit::Unexpected
}

/// What replays came to.
fn replay_words(replays: &Replays) -> String {
    let figure = format!(
        "{n} times: the same verdict {} of {n}, the same trace {} of {n}",
        replays.same_verdict,
        replays.same_trace,
        n = replays.of
    );
    let mut text = wrap("replayed", &figure) + "\n";
    if let Some(difference) = &replays.first_difference {
        text += &(wrap("difference", difference) + "\n");
    }
    text
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
