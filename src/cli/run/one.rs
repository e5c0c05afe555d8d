//! One scenario on its way to its verdict and, where they are asked for, its replays.
//!
//! Owns what is kept of a scenario's run, and the text of its result. Which scenarios are run is decided in `run`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::cli::common::{Failure, millis};
use crate::cli::exit::{Exit, exit_of};
use crate::cli::known::Known;
use crate::cli::subject::job;
use crate::history::{Event, Line};
use crate::invariant::{Judgement, Limit, Verdict};
use crate::report::{
    ReplaysJson, ScenarioJson, ScenarioSource, VerdictJson, scenario_json, story, verdict_block,
    wrap, wrap_lines,
};
use crate::scenario::{Places, Scenario, places};
use crate::search::{Confirmation, Replays, output_file, outputs, save};

/// A scenario's result, with what only the terminal shows.
pub struct ScenarioResult {
    /// For JSON.
    pub json: ScenarioJson,
    /// The exit code that it means.
    pub exit: Exit,
    /// What was not tested; what no run in controlled pacing tests is said once, at the end.
    pub limits: Vec<Limit>,
    /// The run as a play, where it was replayed or did not come out as expected.
    pub play: Option<String>,
    /// What its replays came to; empty where there were none.
    pub again: String,
    /// Where all that its pods printed is kept, of a run that did not come out as expected.
    pub output: Vec<PathBuf>,
    /// The verdict's block, short.
    pub short: String,
    /// The verdict's block, with everything.
    pub long: String,
    /// The line of the scenario file that matters most.
    pub line: usize,
}

/// Runs one scenario, and as often again as `times` says; `overridden`: options changed what its file says. What is wrong with its subject is its result, not an error.
///
/// # Errors
/// When the environment fails.
pub async fn run_one(
    known: &mut Known,
    file: &Path,
    scenario: &Scenario,
    out: &Path,
    times: Option<u32>,
    overridden: bool,
) -> Result<ScenarioResult, Failure> {
    let begun = Instant::now();
    let dir = directory(out, file);
    crate::history::private::make_directory(&dir).map_err(|error| {
        Failure::new(
            Exit::Environment,
            format!("cannot write to {}: {error}", dir.display()),
        )
    })?;
    // What options changed stands in no file but the one that is kept.
    let again = match overridden {
        true => dir.join("scenario.toml"),
        false => file.to_owned(),
    };
    let source = |begun: Instant| ScenarioSource {
        file: file.to_owned(),
        title: scenario.title.clone(),
        replay: format!("lockproof run --times 10 {}", again.display()),
        artifacts: dir.clone(),
        elapsed_ms: millis(begun.elapsed()),
    };
    let job = job(&scenario.subject)?;
    let outcome = known.trial(scenario, &job, &dir, times).await;
    let (mut outcome, replays) = match outcome {
        Ok(outcome) => outcome,
        Err(failure) if matches!(failure.exit, Exit::Inconclusive | Exit::Usage) => {
            let failure = failure.keeping_output(&dir);
            let json = scenario_json(source(begun), None, None, vec![failure.message.clone()]);
            return Ok(ScenarioResult {
                json,
                exit: failure.exit,
                limits: Vec::new(),
                play: None,
                again: String::new(),
                output: Vec::new(),
                short: wrap_lines("no verdict", &failure.message) + "\n",
                long: wrap_lines("no verdict", &failure.message) + "\n",
                line: places_of(file).subject,
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
    let told = replays.is_some() || !outcome.unexpected.is_empty();
    let play = told.then(|| {
        let lines = story(&outcome.lines, &outcome.verdict).into_iter();
        let lines: Vec<String> = lines.map(|line| format!("  {line}")).collect();
        format!("\n{}\n\n", lines.join("\n"))
    });
    let short = verdict_block(&outcome.verdict, false) + &confirmation;
    let long = verdict_block(&outcome.verdict, true) + &confirmation;
    let output = match outcome.unexpected.is_empty() {
        true => Vec::new(),
        false => outputs(&outcome.lines)
            .into_keys()
            .map(|pod| dir.join(output_file(&pod)))
            .collect(),
    };
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
        again,
        output,
        short,
        long,
        line: line_of(file, &outcome.lines, &outcome.verdict),
    })
}

fn places_of(file: &Path) -> Places {
    // It was read a moment ago; if it is gone, its first line is as good as any.
    places(&std::fs::read_to_string(file).unwrap_or_default())
}

/// The line of the file that matters most: the move that was under way when a rule was broken or that did not
/// come true, else what is expected.
fn line_of(file: &Path, lines: &[Line], verdict: &Verdict) -> usize {
    let places = places_of(file);
    let unmet = verdict.guards.iter().filter(|guard| !guard.met);
    let unmet = unmet
        .flat_map(|guard| &guard.moves)
        .map(|one| one.index)
        .next();
    let violated = verdict
        .invariants
        .iter()
        .filter(|one| one.judgement == Judgement::Violated);
    let seq = violated
        .flat_map(|one| &one.findings)
        .flat_map(|one| &one.seqs)
        .next();
    let under_way = seq.and_then(|seq| {
        let before = lines.iter().take_while(|line| line.seq <= *seq);
        let moves = before.filter_map(|line| match &line.event {
            Event::MoveStarted {
                index,
                scheduled: true,
                ..
            } => Some(*index),
            _ => None,
        });
        moves.last()
    });
    let line = under_way
        .or(unmet)
        .and_then(|index| places.moves.get(index));
    line.copied().or(places.expect).unwrap_or(places.title)
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
