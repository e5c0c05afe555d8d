//! One test of each scenario file: the verdict must be the one that the file expects.
//!
//! The server is `LOCKPROOF_SERVER` (auto, container, local, postgres://…); which one was used is
//! printed first. Filters, `--list` and `--exact` work as with any test. The history that each leaves is
//! judged a second time with noise in the place of every sentence, and what of its rows was not compared must
//! be listed in `scenarios/left-out.txt`. A scenario whose job or surroundings need what is not there is
//! ignored (`harness`).

#![deny(dead_code)]

mod harness;
#[path = "scenarios/left_out.rs"]
mod left_out;
mod noise;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use harness::{Need, need, need_all_of};
use libtest_mimic::{Completion, Failed, Trial};
use lockproof::internals::cli::run::{Known, ScenarioResult, run_one};
use lockproof::internals::server::{Server, ServerChoice, ServerOptions};
use lockproof_core::scenario;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

fn options() -> ServerOptions {
    let choice = std::env::var("LOCKPROOF_SERVER").map_or(ServerChoice::Auto, |text| {
        text.parse().expect("LOCKPROOF_SERVER")
    });
    ServerOptions::of(choice)
}

/// What tests share that run one after the other: templates and clean runs of the subjects so far.
struct Worker {
    runtime: tokio::runtime::Runtime,
    server: Server,
    known: Known,
}

impl Worker {
    fn new() -> Result<Self, String> {
        let runtime = runtime();
        // The lease makes this the server that main() holds.
        let server = runtime
            .block_on(Server::acquire(&options()))
            .map_err(|error| error.to_string())?;
        let known = Known::on(server.clone(), options());
        Ok(Self {
            runtime,
            server,
            known,
        })
    }

    fn judged(&mut self, file: &Path, out: &Path) -> Result<ScenarioResult, String> {
        let scenario = scenario::load(file).map_err(|error| error.to_string())?;
        self.runtime
            .block_on(run_one(&mut self.known, file, &scenario, out, None, false))
            .map_err(|failure| failure.message)
    }

    fn strike(self) -> Result<(), String> {
        self.runtime.block_on(async {
            let struck = self.known.strike().await;
            self.server
                .release()
                .await
                .map_err(|error| error.to_string())?;
            struck.map_err(|failure| failure.message)
        })
    }
}

/// The workers that have nothing to do at the moment.
static IDLE: Mutex<Vec<Worker>> = Mutex::new(Vec::new());

fn idle() -> std::sync::MutexGuard<'static, Vec<Worker>> {
    IDLE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn judged(file: &Path, out: &Path) -> Result<ScenarioResult, String> {
    let waiting = idle().pop();
    let mut worker = match waiting {
        Some(worker) => worker,
        None => Worker::new()?,
    };
    match worker.judged(file, out) {
        Ok(result) => {
            idle().push(worker);
            Ok(result)
        }
        Err(why) => {
            // What it knows may be spoilt. The first failure is the one to tell.
            let _ = worker.strike();
            Err(why)
        }
    }
}

/// Ends the test unless everything is there that the scenario's subject and surroundings need.
fn need_what_it_needs(file: &Path) -> Result<(), Failed> {
    let scenario = scenario::load(file).map_err(|error| error.to_string())?;
    if scenario.server.pooler.is_some() {
        need(Need::PgBouncer);
    }
    if scenario.tags.iter().any(|tag| tag == "changes-server") {
        need(Need::CopiedServer);
    }
    if let scenario::Program::Command(command) = &scenario.subject.program {
        // Paths are relative to the file, or to where the tests run.
        let project = Path::new(env!("CARGO_MANIFEST_DIR"));
        for folder in [project, file.parent().unwrap_or(project)] {
            need_all_of(command, folder);
        }
    }
    let prepare = &scenario.subject.prepare;
    if format!("{prepare:?}").contains("psql") {
        need(Need::Postgres);
    }
    Ok(())
}

fn test(file: &Path, out: &Path) -> Result<(), Failed> {
    need_what_it_needs(file)?;
    let result = judged(file, out)?;
    if result.json.as_expected {
        left_out::only_what_is_listed(file, &result.json.artifacts)?;
        return Ok(noise::sentences_are_never_read(&result.json.artifacts)?);
    }
    Err(format!(
        "{}\nnot as expected: {}\n{}\nagain with: {}\nhistory: {}",
        result.json.title,
        result.json.reasons.join("; "),
        result.long,
        result.json.replay,
        result.json.artifacts.display()
    )
    .into())
}

/// What runs of the cases, which stand outside of this project, left out.
fn cases() -> Result<Completion, Failed> {
    let Some(dir) = std::env::var_os("LOCKPROOF_CASES_DIR") else {
        let lacks =
            "needs LOCKPROOF_CASES_DIR: the directory that the cases' `check --keep` has filled";
        return Ok(Completion::ignored_with(lacks));
    };
    left_out::only_what_is_listed_of_cases(Path::new(&dir))?;
    Ok(Completion::Completed)
}

fn main() -> ExitCode {
    let arguments = harness::arguments_of_who_waits();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let out = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("scenarios-{}", std::process::id()));
    let files = scenario::find(std::slice::from_ref(&root), None).expect("the scenario files");
    assert!(!files.is_empty(), "no scenario in {}", root.display());
    let mut trials: Vec<Trial> = files
        .into_iter()
        .map(|file| {
            let name = file
                .strip_prefix(&root)
                .unwrap_or(&file)
                .with_extension("")
                .display()
                .to_string();
            let out = out.clone();
            harness::checked(name, move || test(&file, &out))
        })
        .collect();
    trials.push(Trial::ignorable_test("cases: what was left out", cases));
    if arguments.list {
        return libtest_mimic::run(&arguments, trials).exit_code();
    }
    std::fs::create_dir_all(&out).expect("a directory for the histories");
    // Held to the end, so that the server is started once.
    let runtime = runtime();
    let server = match runtime.block_on(Server::acquire(&options())) {
        Ok(server) => server,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(4);
        }
    };
    println!("server: {}", server.facts().description);
    let conclusion = libtest_mimic::run(&arguments, trials);
    let workers = std::mem::take(&mut *idle());
    let struck: Result<Vec<()>, String> = workers.into_iter().map(Worker::strike).collect();
    let released = runtime.block_on(server.release());
    if let Err(error) = struck.and(released.map_err(|error| error.to_string())) {
        eprintln!("{error}");
        return ExitCode::FAILURE;
    }
    if !conclusion.has_failed() {
        let _ = std::fs::remove_dir_all(&out);
    }
    conclusion.exit_code()
}
