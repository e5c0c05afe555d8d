//! `lockproof run`: brings scenarios to their verdicts.
//!
//! Owns which scenarios are run, in which order, and what their verdicts mean together.

mod one;
mod paged;
mod versions;

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::ci::CiArguments;
use super::common::{
    Failure, Format, OutputArguments, RELEASE_LIMIT, ServerArguments, Talk, not_released,
    with_server,
};
use super::exit::Exit;
use super::keys::KeyArguments;
pub use super::known::Known;
use super::known::OwnServer;
use super::out::OutputDirectory;
use super::page::report_last;
use super::progress::watched;
use super::subject::{OWN_FILE, own_file, own_file_above};
use crate::history::ServerFacts;
use crate::invariant::Judgement;
use crate::report::{
    Case, Cases, Caught, RunJson, ScenarioJson, answer_sentence, catches, limit_sentence, visible,
    wrap,
};
use crate::scenario::{self, Scenario};
use crate::search::HISTORY;
pub use one::{ScenarioResult, run_one};
use paged::Paged;

/// The directory of its histories, below `--out`.
const NAME: &str = "run";

/// Options of `run`.
#[derive(Debug, Clone, clap::Args)]
pub struct RunArguments {
    /// Scenario files, and directories with such files [default: lockproof.toml and the directory
    /// scenarios, as far as they are here]
    #[arg(value_name = "FILE or DIR")]
    pub paths: Vec<PathBuf>,

    /// Only scenarios with this tag
    #[arg(long)]
    pub tag: Option<String>,

    /// Show each run as a play, run it N times more, and count equal verdicts and traces
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub times: Option<u32>,

    /// Print every invariant and guard, not only what does not hold
    #[arg(long, short)]
    pub verbose: bool,

    /// Write the table of bugs that were caught to this file, as Markdown
    #[arg(long, value_name = "FILE", hide = true)]
    pub catches: Option<PathBuf>,

    /// Keys that take the place of each file's own
    #[command(flatten)]
    pub keys: KeyArguments,

    /// What is written for the machine around it
    #[command(flatten)]
    pub ci: CiArguments,

    /// Which server
    #[command(flatten)]
    pub server: ServerArguments,

    /// How the result is shown
    #[command(flatten)]
    pub output: OutputArguments,
}

/// Runs the scenarios; the exit code.
///
/// # Errors
/// When a file has errors or no server can be had.
pub async fn run(arguments: &RunArguments) -> Result<Exit, Failure> {
    if let majors @ [_, _, ..] = &arguments.server.pg[..] {
        let talk = Talk::new(&arguments.output);
        let all = OutputDirectory::make(&arguments.output.out, "versions")?;
        let exit = versions::each(talk, majors, all.path(), async |major| {
            let mut one = arguments.clone();
            one.server.pg = vec![major];
            one.output.out = all.path().join(format!("pg{major}"));
            one.output.report = None;
            one.ci = arguments.ci.of_part(&format!("pg{major}"));
            let paged = Paged::of(&arguments.output, true);
            made(&one, paged)
                .await
                .map(|made| (made.exit, made.document))
        })
        .await?;
        return paged(arguments, &[], all.path(), exit).map(|()| arguments.ci.exit(exit));
    }
    let made = made(arguments, Paged::of(&arguments.output, false)).await?;
    Talk::new(&arguments.output).document(&made.document);
    let scenarios = made.document.scenarios.iter();
    let kept: Vec<&Path> = scenarios.map(|one| &*one.artifacts).collect();
    paged(arguments, &kept, made.directory.path(), made.exit)?;
    Ok(arguments.ci.exit(made.exit))
}

/// What came of scenarios on one server.
struct Made {
    exit: Exit,
    /// The document that tells it.
    document: RunJson,
    /// Where it is kept.
    directory: OutputDirectory,
}

/// Runs the scenarios on one server.
async fn made(arguments: &RunArguments, paged: Paged<'_>) -> Result<Made, Failure> {
    let talk = Talk::new(&arguments.output);
    let scenarios = read_all(
        &paths(&arguments.paths)?,
        arguments.tag.as_deref(),
        &arguments.keys,
    )?;
    for (file, scenario) in &scenarios {
        arguments.server.refuse(file, scenario)?;
    }
    let directory = OutputDirectory::make(&arguments.output.out, NAME)?;
    let out = directory.path();
    // What is to outlive an interrupt, which drops the work.
    let own = OwnServer::default();
    let so_far: RefCell<(Option<ServerFacts>, Vec<ScenarioResult>)> = RefCell::default();
    let worked = with_server(&arguments.server, talk, async |server| {
        so_far.borrow_mut().0 = Some(server.facts().clone());
        let mut known = Known::on(server.clone(), arguments.server.options()?);
        known.own = own.clone();
        for (file, scenario) in &scenarios {
            let one = run_one(
                &mut known,
                file,
                scenario,
                out,
                arguments.times,
                !arguments.keys.is_empty(),
            );
            let result = watched(talk, "scenario", one).await?;
            talk.result(&block(&result, arguments.verbose, talk.is_talking()));
            so_far.borrow_mut().1.push(result);
        }
        known.strike().await
    })
    .await;
    // Whatever happened: before this process ends, its own server has.
    let released = tokio::time::timeout(RELEASE_LIMIT, own.release()).await;
    let released = released.map_err(|_| not_released()).flatten();
    let stopped = worked.and(released).err();
    let (server, done) = so_far.into_inner();
    let Some(server) = server else {
        return Err(stopped.unwrap_or_else(not_released));
    };
    let exit = gravest(&done.iter().map(|result| result.exit).collect::<Vec<_>>());
    let cases = done.iter().map(|result| {
        let text = format!(
            "{}{}{}",
            result.short,
            result.play.as_deref().unwrap_or(""),
            result.again
        );
        Case::of_scenario(&result.json, &text, result.line)
    });
    let why = stopped.as_ref().map_or("", |failure| &*failure.message);
    let not_run = scenarios[done.len()..].iter();
    let not_run = not_run.map(|(file, scenario)| Case::not_run(file, scenario, why));
    let cases: Vec<Case> = cases.chain(not_run).collect();
    let results: Vec<ScenarioJson> = done.into_iter().map(|result| result.json).collect();
    let kept: Vec<PathBuf> = results.iter().map(|one| one.artifacts.clone()).collect();
    let as_expected = results.iter().filter(|one| one.as_expected).count();
    let document = RunJson {
        server,
        as_expected,
        unexpected: results.len() - as_expected,
        not_run: scenarios.len() - results.len(),
        stopped: stopped.as_ref().map(|failure| failure.message.clone()),
        elapsed_ms: results.iter().map(|one| one.elapsed_ms).sum(),
        scenarios: results,
    };
    let means = format!(
        "{} of {} scenarios as expected on {} {} in {:.0} s{} ({})",
        document.as_expected,
        document.scenarios.len(),
        document.server.kind,
        document.server.version,
        Duration::from_millis(document.elapsed_ms).as_secs_f32(),
        match document.not_run {
            0 => String::new(),
            more => format!(", {more} not run"),
        },
        out.display()
    );
    talk.result(&means);
    let mut cases = Cases {
        title: "lockproof run".to_owned(),
        means,
        all: cases,
        report: None,
    };
    if let Some(failure) = stopped {
        arguments.ci.publish(&cases, failure.exit, talk)?;
        let exit = failure.exit;
        if arguments.output.format != Format::Json {
            return Err(failure);
        }
        // One document, with what there is and why there is no more.
        eprintln!("lockproof: {}", visible(&failure.message));
        return Ok(Made {
            exit,
            document,
            directory,
        });
    }
    talk.say(
        "each in controlled pacing: one order of steps, one request cycle at a time; races inside a \
         statement, a function or a multi-statement query were not explored",
    );
    if let Some(file) = &arguments.catches {
        write_table(file, &scenarios, &document)?;
        talk.say(&format!("table: {}", file.display()));
    }
    paged.name(&mut cases, &kept);
    arguments.ci.publish(&cases, exit, talk)?;
    Ok(Made {
        exit,
        document,
        directory,
    })
}

/// What is run: what was given, else what this directory has of its own.
fn paths(given: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    if !given.is_empty() {
        return Ok(given.to_vec());
    }
    let folder = PathBuf::from("scenarios");
    let folder = folder.is_dir().then_some(folder);
    let paths: Vec<PathBuf> = own_file().into_iter().chain(folder).collect();
    if !paths.is_empty() {
        return Ok(paths);
    }
    let above = own_file_above().map_or_else(String::new, |file| {
        format!(
            " There is one above, {}: start lockproof there, or name the file.",
            file.display()
        )
    });
    Err(Failure::new(
        Exit::Usage,
        format!(
            "there is neither a {OWN_FILE} nor a directory `scenarios` here.{above} `lockproof init -- CMD` makes \
             the file for a job; `lockproof run FILE` takes any other"
        ),
    ))
}

/// Writes the page of the one run that there is, or the index of all in this directory, if one is wanted.
fn paged(arguments: &RunArguments, kept: &[&Path], out: &Path, exit: Exit) -> Result<(), Failure> {
    let Some(to) = &arguments.output.report else {
        return Ok(());
    };
    let dir = match kept {
        [one] if one.join(HISTORY).exists() => one,
        _ => out,
    };
    report_last(dir, None, to, Talk::new(&arguments.output), exit)
}

/// The table of what was caught.
fn write_table(
    file: &Path,
    scenarios: &[(PathBuf, Scenario)],
    document: &RunJson,
) -> Result<(), Failure> {
    let caught: Vec<Caught<'_>> = scenarios
        .iter()
        .zip(&document.scenarios)
        .map(|((file, scenario), result)| Caught {
            file,
            scenario,
            seconds: Some(Duration::from_millis(result.elapsed_ms).as_secs_f64()),
            as_expected: result.as_expected,
        })
        .collect();
    std::fs::write(file, catches(&caught)).map_err(|cause| {
        Failure::new(
            Exit::Environment,
            format!("cannot write {}: {cause}", file.display()),
        )
    })
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
    keys: &KeyArguments,
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
                "no scenario{tag} in {}: a scenario is a file whose name ends in .toml (docs/write.md \
                 shows one)",
                places.join(", ")
            ),
        ));
    }
    let mut scenarios = Vec::new();
    let mut errors = Vec::new();
    for file in files {
        match keys.load(&file) {
            Ok(scenario) => scenarios.push((file, scenario)),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() {
        Ok(scenarios)
    } else {
        Err(Failure::scenarios(errors))
    }
}

fn block(result: &ScenarioResult, verbose: bool, with_play: bool) -> String {
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
        Duration::from_millis(json.elapsed_ms).as_secs_f32(),
        json.file.display(),
    );
    if verbose {
        text.push_str(&result.long);
    } else if !json.as_expected || json.verdict != Some(Judgement::Holds) || result.play.is_some() {
        text.push_str(&result.short);
    } else {
        for answered in &json.answers {
            text.push_str(&wrap("answered", &answer_sentence(answered)));
            text.push('\n');
        }
        for limit in &result.limits {
            text.push_str(&wrap("not tested", &limit_sentence(limit)));
            text.push('\n');
        }
    }
    if let Some(play) = result.play.as_ref().filter(|_| with_play) {
        text.push_str(play);
    }
    text.push_str(&result.again);
    if !json.as_expected {
        // Why there is no verdict was just said.
        let reasons = json.verdict.iter().flat_map(|_| &json.reasons);
        for reason in reasons {
            text.push_str(&wrap("unexpected", reason));
            text.push('\n');
        }
        let files: Vec<String> = result
            .output
            .iter()
            .map(|file| file.display().to_string())
            .collect();
        if !files.is_empty() {
            text.push_str(&wrap("output", &files.join(", ")));
            text.push('\n');
        }
        // On one line, to be copied.
        text.push_str(&format!("{}{}", wrap("again with", ""), json.replay));
        text.push('\n');
    }
    text.trim_end().to_owned()
}
