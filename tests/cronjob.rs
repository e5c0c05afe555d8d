//! The CronJob's controller with real jobs on a real server, and the book's table of its policies (docs/cases.md).

// Test code: a failed unwrap is a failed test, in helper functions too.
#![allow(clippy::unwrap_used)]
#![deny(dead_code)]

mod harness;
#[path = "support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use lockproof::internals::report;
use lockproof::internals::search::Outcome;
use lockproof_core::history::{Decided, Decision, Event, FaultBy, Line, Operation, Writer};
use lockproof_core::invariant::{Judgement, judge};
use lockproof_core::scenario::{self, ExpectedVerdict, Scenario};
use support::{Theatre, exit_of, faults, play, rows};

const TABLE: &str = "create table t (id int)";
/// It fills the table anew with two rows, each a step, and ends at the first error.
const WRITES: &str = "exec psql -XqAt -v ON_ERROR_STOP=1 -c 'delete from t' \
                      -c 'insert into t values (1)' -c 'insert into t values (2)'";
const HELD: &str = "{ run = \"a\", until = { before = \"insert\", nth = 2 } }";

/// A scenario of a shell line under a CronJob.
fn text(line: &str, cronjob: &str, count: usize, turns: &[&str]) -> String {
    format!(
        "[subject]\ncommand = [\"sh\", \"-c\", \"\"\"{line}\"\"\"]\n[pods]\ncount = {count}\n\
         [cronjob]\nschedule = \"*/10 * * * *\"\n{cronjob}\n[schedule]\nturns = [\n{}\n]\n",
        turns
            .iter()
            .map(|turn| format!("  {turn},\n"))
            .collect::<String>()
    )
}

fn decisions(lines: &[Line]) -> impl Iterator<Item = &Decision> {
    lines.iter().filter_map(|line| match &line.event {
        Event::Controller(decision) => Some(decision),
        _ => None,
    })
}

/// How many rows a pod has inserted, as the witness saw it.
fn inserted(lines: &[Line], pod: &str) -> usize {
    let of_pod = |line: &&Line| match &line.event {
        Event::Write(write) => {
            write.operation == Operation::Insert
                && write
                    .connection
                    .as_ref()
                    .is_some_and(|one| one.pod.as_str() == pod)
        }
        _ => false,
    };
    lines.iter().filter(of_pod).count()
}

fn guard(outcome: &Outcome, name: &str) -> (bool, String) {
    let guards = &outcome.verdict.guards;
    let guard = guards.iter().find(|one| one.name.name() == name).unwrap();
    (guard.met, guard.why.clone())
}

fn told(outcome: &Outcome) -> String {
    report::play(&outcome.lines)
        .iter()
        .map(|scene| format!("{scene}\n"))
        .collect()
}

async fn turns_and_faults_of_a_pod_that_was_never_created_say_why_it_was_not() {
    let turns = [
        "{ tick = true }",
        HELD,
        "{ tick = true }",
        "{ run = \"b\", until = { steps = 1 } }",
        "{ fault = { delay = { pod = \"b\", by = \"1ms\" } } }",
        "{ together = [\"a\", \"b\"] }",
    ];
    let outcome = play(TABLE, &text(WRITES, "policy = \"Forbid\"", 2, &turns)).await;
    assert_eq!(outcome.verdict.judgement, Judgement::Inconclusive);
    let why = "pod b was never created (at 00:20: Forbid, and job-1 (pod a) has not finished)";
    let (met, stops) = guard(&outcome, "stops-reached");
    assert!(!met && stops.matches(why).count() == 2, "{stops}");
    let (met, fired) = guard(&outcome, "faults-fired");
    assert!(!met && fired.contains(why), "{fired}");
    let (met, ended) = guard(&outcome, "pods-ended");
    assert!(met, "{ended}");
    // The schedule was over when a ended: what was skipped is not made up.
    assert!(
        !decisions(&outcome.lines)
            .any(|one| one.pod.as_ref().is_some_and(|pod| pod.as_str() == "b"))
    );
}

async fn one_pod_more_than_the_scenario_has_is_an_error_that_says_which() {
    let turns = ["{ tick = true }", "{ tick = true }"];
    let theatre = Theatre::open(TABLE, &text(WRITES, "", 1, &turns)).await;
    let error = {
        let trial = theatre.rehearse().await.unwrap();
        trial
            .run_unconfirmed(Writer::in_memory())
            .await
            .err()
            .unwrap()
            .to_string()
    };
    theatre.close().await;
    let words = "at 00:20 the CronJob's controller would create one pod more (attempt 1 of job-2), \
                 but `[pods] count` is 1";
    assert!(error.contains(words), "{error}");
}

async fn after_the_schedule_time_passes_until_a_failed_job_has_been_tried_again() {
    let turns = [
        "{ tick = true }",
        HELD,
        "{ fault = { error = { pod = \"a\", sqlstate = \"40001\" } } }",
    ];
    let outcome = play(TABLE, &text(WRITES, "backoff_limit = 1", 2, &turns)).await;
    assert_eq!(
        outcome.verdict.judgement,
        Judgement::Holds,
        "{}",
        told(&outcome)
    );
    assert_ne!(exit_of(&outcome.lines, "a"), 0);
    assert_eq!(exit_of(&outcome.lines, "b"), 0);
    assert_eq!((inserted(&outcome.lines, "a"), rows(&outcome, "t")), (1, 2));
    let second = decisions(&outcome.lines)
        .find(|one| one.attempt == Some(2))
        .unwrap();
    assert_eq!(second.clock, "00:10:10");
    assert!(
        told(&outcome).contains("time passes: 10 s"),
        "{}",
        told(&outcome)
    );
}

async fn a_first_process_with_a_handler_ends_at_sigterm_and_takes_its_container_with_it() {
    // What the shell waits for does not know of the signal.
    let line = "trap 'exit 7' TERM; psql -XqAt -c 'delete from t' -c 'insert into t values (1)' \
                -c 'insert into t values (2)' & wait $!";
    let turns = [
        "{ tick = true }",
        HELD,
        "{ tick = true }",
        "{ run = \"b\" }",
        "{ advance = \"1m\" }",
    ];
    let outcome = play(TABLE, &text(line, "policy = \"Replace\"", 2, &turns)).await;
    assert_eq!(
        outcome.verdict.judgement,
        Judgement::Holds,
        "{}",
        told(&outcome)
    );
    assert_eq!(exit_of(&outcome.lines, "a"), 7);
    assert_eq!(
        inserted(&outcome.lines, "a"),
        1,
        "the server never saw the second"
    );
    let done: Vec<(&str, &FaultBy)> = faults(&outcome.lines)
        .iter()
        .map(|fault| (fault.fault.kind.name(), &fault.by))
        .collect();
    assert!(
        matches!(*done, [("terminate", FaultBy::Controller { .. })]),
        "no SIGKILL is due"
    );
}

async fn a_first_process_with_no_handler_writes_on_until_sigkill() {
    let line = "psql -XqAt -c 'delete from t' -c 'insert into t values (1)' \
                -c 'insert into t values (2)' -c 'insert into t values (3)'; exit $?";
    let turns = [
        "{ tick = true }",
        HELD,
        "{ tick = true }",
        "{ run = \"a\", until = { after = \"insert\" } }",
        "{ advance = \"29s\" }",
        "{ advance = \"1s\" }",
        "{ run = \"b\" }",
    ];
    let outcome = play(TABLE, &text(line, "policy = \"Replace\"", 2, &turns)).await;
    assert_eq!(
        outcome.verdict.judgement,
        Judgement::Holds,
        "{}",
        told(&outcome)
    );
    assert_eq!(exit_of(&outcome.lines, "a"), -9);
    assert_eq!((inserted(&outcome.lines, "a"), rows(&outcome, "t")), (2, 3));
    let all = faults(&outcome.lines);
    let [term, kill] = all.as_slice() else {
        panic!("{all:#?}")
    };
    assert!(
        term.fired && term.evidence.contains("no handler for SIGTERM"),
        "{term:?}"
    );
    assert!(!term.takes_pod, "what has no effect explains nothing");
    let at = |clock: &str| FaultBy::Controller {
        clock: clock.to_owned(),
    };
    assert!(
        kill.fired && kill.takes_pod && kill.by == at("00:20:30"),
        "{kill:?}"
    );
    // What is stored tells the same: kinds and clocks of decisions are part of the format.
    let stored: Vec<String> = outcome
        .lines
        .iter()
        .map(|line| serde_json::to_string(line).unwrap())
        .collect();
    let read: Vec<Line> = stored
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(read, outcome.lines);
    let again = judge(&read).unwrap();
    assert_eq!(
        serde_json::to_value(&again).unwrap(),
        serde_json::to_value(&outcome.verdict).unwrap()
    );
}

async fn a_pod_that_was_deleted_before_it_started_never_runs() {
    let turns = ["{ tick = true }", "{ tick = true }", "{ run = \"a\" }"];
    let outcome = play(TABLE, &text(WRITES, "policy = \"Replace\"", 2, &turns)).await;
    let (met, why) = guard(&outcome, "stops-reached");
    assert!(
        !met && why.contains("pod a was deleted at 00:20 before it had started"),
        "{why}"
    );
    assert!(decisions(&outcome.lines).any(|one| one.decided == Decided::Remove));
    assert_eq!(rows(&outcome, "t"), 2, "b alone");
}

fn commands_that_draw_schedules_refuse_a_cronjob_before_anything_runs() {
    let file = root().join("scenarios/cronjob/forbid-none-ticks.toml");
    let file = file.to_str().unwrap();
    for arguments in [
        [
            "explore",
            "--server=local",
            "--strategy=hazards",
            "--scenario",
            file,
        ],
        [
            "explore",
            "--server=local",
            "--strategy=kills",
            "--scenario",
            file,
        ],
    ] {
        let done = Command::new(env!("CARGO_BIN_EXE_lockproof"))
            .args(arguments)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&done.stderr).replace('\n', " ");
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(done.status.code(), Some(2), "{said}");
        assert!(
            said.contains("has a [cronjob]: its controller decides which pods there are"),
            "{said}"
        );
        assert!(!said.contains("server: "), "{said}");
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// The one scenario with all of these tags.
fn with_tags(tags: &[String]) -> Scenario {
    let files = scenario::find(&[root().join("scenarios/cronjob")], Some("cronjob")).unwrap();
    let mut found: Vec<Scenario> = files
        .iter()
        .map(|file| scenario::load(file).unwrap())
        .filter(|scenario| tags.iter().all(|tag| scenario.tags.contains(tag)))
        .collect();
    assert_eq!(found.len(), 1, "{tags:?}: {found:#?}");
    found.remove(0)
}

/// The book's table, as the corpus has it. That each verdict is true is shown by running the files
/// (tests/scenarios.rs).
fn the_book_has_the_table_of_the_policies_that_the_corpus_has() {
    let mut table = vec![
        "| policy | lock | beside the running Job | verdict | |".to_owned(),
        "|---|---|---|---|---|".to_owned(),
    ];
    for policy in ["Allow", "Forbid", "Replace"] {
        for (lock, lock_words) in [("none", "no lock"), ("session", "with the lock")] {
            for (case, case_words, column) in [
                ("ticks", "two ticks", "the next tick"),
                ("manual", "a Job by hand", "a Job made by hand"),
            ] {
                let tags = [
                    format!("policy:{policy}"),
                    format!("lock:{lock}"),
                    format!("case:{case}"),
                ];
                let scenario = with_tags(&tags);
                let cronjob = scenario.cronjob.as_ref().unwrap();
                assert_eq!(cronjob.policy.name(), policy, "{}", scenario.title);
                let seeder = scenario.subject.program.to_string();
                assert!(seeder.contains(&format!("--lock {lock} ")), "{seeder}");
                let beginning = format!("{policy}, {lock_words}, {case_words}: ");
                let sentence = scenario.title.strip_prefix(&beginning).expect(&beginning);
                let expect = &scenario.expect;
                let verdict = match (&expect.sqlstate, &expect.table) {
                    (Some(sqlstate), Some(table)) => {
                        assert_eq!(expect.verdict, ExpectedVerdict::Violated);
                        format!("**breaks**: {sqlstate} on {table}")
                    }
                    _ => {
                        assert_eq!(expect.verdict, ExpectedVerdict::Holds);
                        "holds".to_owned()
                    }
                };
                let lock = if lock == "none" { "no" } else { "yes" };
                table.push(format!(
                    "| {policy} | {lock} | {column} | {verdict} | {sentence} |"
                ));
            }
        }
    }
    let table = table.join("\n");
    let page = std::fs::read_to_string(root().join("docs/cases.md")).unwrap();
    assert!(
        page.contains(&table),
        "docs/cases.md must have this table:\n{table}"
    );
}

crate::harness::tests![
    a_first_process_with_a_handler_ends_at_sigterm_and_takes_its_container_with_it,
    a_first_process_with_no_handler_writes_on_until_sigkill,
    a_pod_that_was_deleted_before_it_started_never_runs,
    after_the_schedule_time_passes_until_a_failed_job_has_been_tried_again,
    commands_that_draw_schedules_refuse_a_cronjob_before_anything_runs,
    one_pod_more_than_the_scenario_has_is_an_error_that_says_which,
    the_book_has_the_table_of_the_policies_that_the_corpus_has,
    turns_and_faults_of_a_pod_that_was_never_created_say_why_it_was_not,
];

fn main() -> std::process::ExitCode {
    harness::run([tests()])
}
