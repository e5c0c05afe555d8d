//! What tests with a real subject share: a server, a stage, a scenario from text, and ways to
//! read what came of a run.

#![allow(dead_code)]
#![allow(clippy::unwrap_used)]

use lockproof_core::schedule::FaultKind;
use std::path::{Path, PathBuf};

use lockproof::internals::run::trace_of;
use lockproof::internals::search::{Job, Outcome, Stage, Trial, TrialError};
use lockproof::internals::server::{Server, ServerChoice, ServerOptions};
use lockproof_core::history::{Event, FaultEvent, Line, OutputStream, TurnEnd, Writer};
use lockproof_core::scenario::{self, Scenario};

/// A file below tests/.
pub fn file(path: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join(path);
    assert!(file.exists(), "{} is missing", file.display());
    file.display().to_string()
}

/// The server: `LOCKPROOF_SERVER`, else one of the machine's own.
pub async fn server() -> Server {
    Server::acquire(&options()).await.unwrap()
}

/// What `LOCKPROOF_SERVER` asks for, else a server of the machine's own.
pub fn options() -> ServerOptions {
    crate::harness::need(crate::harness::Need::Postgres);
    let choice = std::env::var("LOCKPROOF_SERVER").map_or(ServerChoice::Local, |text| {
        text.parse().expect("LOCKPROOF_SERVER")
    });
    ServerOptions::of(choice)
}

/// The Python that Debian's python3-psycopg belongs to.
pub const PYTHON: &str = "/usr/bin/python3";
/// Where Debian keeps Node's modules.
pub const NODE_PATH: &str = "/usr/share/nodejs";

/// A scenario's text with `$TESTS` for the folder of the tests.
pub fn scenario(text: &str) -> Scenario {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let text = text.replace("$TESTS", &tests.display().to_string());
    match scenario::parse(&text, Path::new("test.toml")) {
        Ok(scenario) => scenario,
        Err(error) => panic!("{error}\n{text}"),
    }
}

/// A scenario, its subject and a stage for it.
pub struct Theatre {
    pub server: Server,
    pub stage: Stage,
    pub scenario: Scenario,
    pub job: Job,
}

impl Theatre {
    /// With a schema for the template and a scenario's text without its title.
    pub async fn open(schema: &str, text: &str) -> Self {
        let scenario = scenario(&format!("title = \"a test\"\n{text}"));
        let mut job = lockproof::internals::cli::job(&scenario.subject)
            .map_err(|failure| failure.message)
            .unwrap();
        if !schema.is_empty() {
            job.schema = Some(("the test's schema".to_owned(), schema.to_owned()));
        }
        let server = if scenario.needs_own_server() {
            Server::own(&options()).await.unwrap()
        } else {
            server().await
        };
        let stage = Stage::build(&server, &job).await.unwrap();
        Self {
            server,
            stage,
            scenario,
            job,
        }
    }

    /// Clean and serial runs.
    pub async fn rehearse(&self) -> Result<Trial<'_>, TrialError> {
        Trial::prepare(&self.stage, &self.scenario, &self.job, None).await
    }

    /// Strikes the stage and gives the server back.
    pub async fn close(self) {
        self.stage.strike().await.unwrap();
        self.server.release().await.unwrap();
    }
}

/// How often a run must come out alike: `LOCKPROOF_REPEATS=20`.
pub fn repeats() -> usize {
    std::env::var("LOCKPROOF_REPEATS").map_or(4, |times| times.parse().unwrap())
}

/// Runs a scenario this often, after its clean and serial runs.
pub async fn play_times(schema: &str, text: &str, times: usize) -> Vec<Outcome> {
    play_all(schema, &vec![text.to_owned(); times]).await
}

/// Runs scenarios of one subject, after its clean and serial runs.
pub async fn play_all(schema: &str, texts: &[String]) -> Vec<Outcome> {
    let theatre = Theatre::open(schema, &texts[0]).await;
    let measured = theatre.rehearse().await.unwrap().measured().clone();
    let mut outcomes = Vec::new();
    for text in texts {
        let scenario = scenario(&format!("title = \"a test\"\n{text}"));
        let of_stage = scenario.subject == theatre.scenario.subject
            && scenario.pods == theatre.scenario.pods
            && scenario.needs_own_server() == theatre.scenario.needs_own_server();
        assert!(of_stage, "another subject: {text}");
        let known = Some(measured.clone());
        let trial = Trial::prepare(&theatre.stage, &scenario, &theatre.job, known)
            .await
            .unwrap();
        let outcome = trial.run_unconfirmed(Writer::in_memory()).await.unwrap();
        if std::env::var_os("DUMP").is_some() || limit(&outcome.lines).is_some() {
            dump(&outcome.lines);
        }
        outcomes.push(outcome);
    }
    theatre.close().await;
    outcomes
}

/// Runs a scenario once, after its clean and serial runs.
pub async fn play(schema: &str, text: &str) -> Outcome {
    play_times(schema, text, 1).await.remove(0)
}

/// What a scenario's clean run is refused for.
pub async fn refused(schema: &str, text: &str) -> String {
    let theatre = Theatre::open(schema, text).await;
    let why = theatre.rehearse().await.err().map(|why| why.to_string());
    theatre.close().await;
    why.expect("the clean run must not succeed")
}

/// Prints a history.
pub fn dump(lines: &[Line]) {
    for line in lines {
        let text = serde_json::to_string(line).unwrap();
        eprintln!("{}", text.chars().take(400).collect::<String>());
    }
}

/// The trace, an ending a line: connection, ending, outcome, normal form.
pub fn trace(outcome: &Outcome) -> Vec<String> {
    trace_of(&outcome.lines)
        .iter()
        .map(ToString::to_string)
        .collect()
}

/// The place of the first line of the trace that begins so.
pub fn place(trace: &[String], beginning: &str) -> usize {
    trace
        .iter()
        .position(|line| line.starts_with(beginning))
        .unwrap_or_else(|| panic!("no {beginning:?} in {trace:#?}"))
}

/// Fails unless lines that begin so are in the trace in this order.
pub fn in_order(trace: &[String], beginnings: &[&str]) {
    let mut rest = trace.iter();
    for beginning in beginnings {
        assert!(
            rest.any(|line| line.starts_with(beginning)),
            "no {beginning:?} (in the order {beginnings:?}) in {trace:#?}"
        );
    }
}

/// How many different trace hashes the runs had. One: the same trace each time.
pub fn same_trace(outcomes: &[Outcome]) {
    let first = &outcomes[0];
    let same = outcomes
        .iter()
        .filter(|one| one.trace_hash == first.trace_hash)
        .count();
    eprintln!("same trace hash: {same} of {}", outcomes.len());
    if let Some(other) = outcomes
        .iter()
        .find(|one| one.trace_hash != first.trace_hash)
    {
        panic!(
            "same trace in {same} of {} only:\n{:#?}\n{:#?}",
            outcomes.len(),
            trace(first),
            trace(other)
        );
    }
}

/// Why the turns ended, in their order (faults have none).
pub fn turn_ends(lines: &[Line]) -> Vec<TurnEnd> {
    lines
        .iter()
        .filter_map(|line| match &line.event {
            Event::TurnEnded { why, .. } => Some(*why),
            _ => None,
        })
        .collect()
}

/// The faults.
pub fn faults(lines: &[Line]) -> Vec<&FaultEvent> {
    lines
        .iter()
        .filter_map(|line| match &line.event {
            Event::Fault(fault) => Some(fault),
            _ => None,
        })
        .collect()
}

/// Fails unless there is one fault and it fired. (What the harness undoes by itself when the
/// schedule is over is none of the schedule's.)
pub fn the_fault_fired(outcome: &Outcome) -> &FaultEvent {
    let mut faults = faults(&outcome.lines);
    faults.retain(|fault| !matches!(fault.fault.kind, FaultKind::Resume | FaultKind::Heal));
    assert_eq!(faults.len(), 1, "{faults:#?}");
    assert!(faults[0].fired, "{:#?}", faults[0]);
    faults[0]
}

/// What a pod printed to one of its streams.
pub fn printed(lines: &[Line], of: &str, on: OutputStream) -> Vec<String> {
    lines
        .iter()
        .filter_map(|line| match &line.event {
            Event::PodOutput { pod, stream, line } if pod.as_str() == of && *stream == on => {
                Some(line.clone())
            }
            _ => None,
        })
        .collect()
}

/// How a pod exited: its code, or the signal that ended it as a negative number.
pub fn exit_of(lines: &[Line], of: &str) -> i32 {
    lines
        .iter()
        .find_map(|line| match &line.event {
            Event::PodExited { pod, code, signal } if pod.as_str() == of => {
                Some(code.unwrap_or_else(|| -signal.unwrap_or(0)))
            }
            _ => None,
        })
        .unwrap_or_else(|| panic!("pod {of} never exited"))
}

/// The final number of rows of a table of schema public.
pub fn rows(outcome: &Outcome, table: &str) -> u64 {
    outcome
        .lines
        .iter()
        .find_map(|line| match &line.event {
            Event::FinalState(state) => state
                .tables
                .get(&format!("public.{table}"))
                .map(|table| table.rows),
            _ => None,
        })
        .unwrap_or_else(|| panic!("no final state of {table}"))
}

/// What was waited for in vain, and what was seen.
pub fn limit(lines: &[Line]) -> Option<(String, String)> {
    lines.iter().find_map(|line| match &line.event {
        Event::LimitHit {
            waited_for, saw, ..
        } => Some((waited_for.to_string(), saw.clone())),
        _ => None,
    })
}

/// A private folder that is gone with the test.
pub fn folder() -> tempfile::TempDir {
    tempfile::Builder::new()
        .prefix("lockproof-test-")
        .tempdir()
        .unwrap()
}

/// The repository's folder.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
