//! Subjects that do not start, do not connect, do not end, or say too much.

use std::time::Duration;

use super::sandbox::Sandbox;
use super::{fails, run, scenario};

fn a_subject_that_does_not_exist_is_a_wrong_scenario() {
    let done = fails(
        &scenario(&["/no/such/job"], ""),
        2,
        &[
            "no verdict program \"/no/such/job\" was not found",
            "0 of 1 scenarios",
        ],
    );
    assert_eq!(done.text().matches("was not found").count(), 1, "{done}");
    fails(
        &scenario(&["no-such-job"], ""),
        2,
        &["\"no-such-job\" was not found; looked in PATH="],
    );
    fails(
        &scenario(&["/etc/passwd"], ""),
        2,
        &["/etc/passwd cannot be run: permission denied"],
    );
}

fn a_subject_that_exits_at_once_is_told_with_its_code_and_its_words() {
    let command = ["sh", "-c", "echo begun; echo no config; exit 7"];
    let done = fails(
        &scenario(&command, ""),
        3,
        &[
            "the clean run did not succeed: the subject never connected to the server (it exited with code 7)",
            "it printed last: a: no config",
        ],
    );
    // What it printed keeps its lines.
    assert!(
        done.stdout.contains("\n                  a: no config\n"),
        "{done}"
    );
    fails(
        &scenario(&["sh", "-c", "kill -9 $$"], ""),
        3,
        &["ended by signal 9", "printed nothing"],
    );
}

fn a_subject_that_works_and_then_fails_is_told_with_the_error() {
    let command = [
        "psql",
        "-v",
        "ON_ERROR_STOP=1",
        "-c",
        "select 1",
        "-c",
        "select 1/0",
    ];
    fails(
        &scenario(&command, ""),
        3,
        &["exited with code 1", "division by zero"],
    );
}

fn a_subject_that_never_connects_is_told_what_it_must_use() {
    fails(
        &scenario(&["sh", "-c", "echo done"], ""),
        3,
        &[
            "never connected to the server",
            "DATABASE_URL or the PG* variables",
            "a: done",
        ],
    );
}

fn binary_output_is_no_obstacle() {
    let sandbox = Sandbox::new();
    let command = "head -c 100000 /dev/urandom; head -c 9 /dev/zero >&2; \
                   psql -c 'create table if not exists t (i int)' -c 'insert into t values (1)'";
    let done = run(&sandbox, &scenario(&["sh", "-c", command], ""));
    assert_eq!(done.code, Some(0), "{done}");
    let done = sandbox.run(&["check", "lockproof-out/run/it"]);
    assert_eq!(done.code, Some(0), "{done}");
}

fn a_subject_that_prints_without_end_is_stopped() {
    let done = fails(
        &scenario(&["yes", "and on"], "time_limit = \"2s\""),
        3,
        &[
            "waited 2 s for",
            "a runs and has never connected",
            "a: and on",
            "time_limit",
        ],
    );
    assert!(done.took < Duration::from_secs(60), "{done}");
    assert!(done.stdout.len() < 10_000, "{done}");
}

fn a_subject_that_never_ends_is_told_with_what_was_waited_for_and_seen() {
    fails(
        &scenario(&["sleep", "600"], "time_limit = \"1s\""),
        3,
        &[
            "waited 1 s for the next request or the end of pod a",
            "has never connected",
        ],
    );
    fails(
        &scenario(
            &["psql", "-c", "select pg_sleep(600)"],
            "time_limit = \"1s\"",
        ),
        3,
        &[
            "waited 1 s for",
            "a.0 has no answer yet to \"select pg_sleep",
        ],
    );
}

crate::harness::tests![
    a_subject_that_does_not_exist_is_a_wrong_scenario,
    a_subject_that_exits_at_once_is_told_with_its_code_and_its_words,
    a_subject_that_works_and_then_fails_is_told_with_the_error,
    a_subject_that_never_connects_is_told_what_it_must_use,
    binary_output_is_no_obstacle,
    a_subject_that_prints_without_end_is_stopped,
    a_subject_that_never_ends_is_told_with_what_was_waited_for_and_seen,
];
