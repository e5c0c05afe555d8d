//! `lockproof reproduce`, `run --times` and `check` as a user runs them: the exact error every time, the
//! same trace, and the same verdict again with no server.

#![allow(clippy::unwrap_used)]
#![deny(dead_code)]

mod harness;
#[path = "support/kept.rs"]
mod kept;

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// Runs lockproof in this directory, against `LOCKPROOF_SERVER`.
fn lockproof(dir: &Path, arguments: &[&str]) -> Output {
    kept::keep_server();
    Command::new(env!("CARGO_BIN_EXE_lockproof"))
        .args(arguments)
        .current_dir(dir)
        .output()
        .expect("lockproof starts")
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!(
            "{error}: {}\n{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )
    })
}

fn the_bug_is_reproduced_every_time_with_one_trace_and_the_lock_holds() {
    let dir = tempfile::tempdir().unwrap();
    let output = lockproof(
        dir.path(),
        &["reproduce", "--times", "5", "--format", "json"],
    );
    let document = json(&output);
    assert_eq!(output.status.code(), Some(0), "{document:#}");
    assert_eq!(document["reproduced"], true);
    assert_eq!(document["attempts"], 5);
    assert_eq!(document["hits"], 5);
    assert_eq!(document["trace_hash_same"], 5);
    assert_eq!(document["sqlstate"], "23503");
    assert_eq!(document["table"], "invoice_tip_splits");
    assert_eq!(
        document["constraint"],
        "invoice_tip_splits_invoice_id_invoices_id_fk"
    );
    assert_eq!(document["with_lock"], "holds");
    assert_eq!(document["turns"].as_array().map(Vec::len), Some(3));

    // The stored run gives the same verdict with no server in reach.
    let artifacts = Path::new(document["artifacts"].as_str().unwrap()).to_owned();
    for run in [artifacts.clone(), artifacts.join("with-lock")] {
        let checked = Command::new(env!("CARGO_BIN_EXE_lockproof"))
            .args(["check", "--format", "json"])
            .arg(&run)
            .env("DOCKER_HOST", "tcp://127.0.0.1:9")
            .env("PATH", "")
            .output()
            .unwrap();
        assert_eq!(checked.status.code(), Some(0), "{checked:?}");
        let stored: Value =
            serde_json::from_slice(&std::fs::read(run.join("verdict.json")).unwrap()).unwrap();
        assert_eq!(json(&checked), stored);
    }

    // The saved scenario replays.
    let saved = artifacts.join("scenario.toml");
    let replayed = lockproof(
        dir.path(),
        &[
            "run",
            saved.to_str().unwrap(),
            "--times",
            "2",
            "--format",
            "json",
        ],
    );
    let document = json(&replayed);
    assert_eq!(replayed.status.code(), Some(0), "{document:#}");
    let scenario = &document["scenarios"][0];
    assert_eq!(scenario["verdict"], "violated");
    assert_eq!(scenario["replays"]["same_verdict"], 2, "{document:#}");
    assert_eq!(scenario["replays"]["same_trace"], 2, "{document:#}");
}

fn a_foreign_subject_is_reproduced_along_a_schedule_file() {
    let dir = tempfile::tempdir().unwrap();
    let binary = env!("CARGO_BIN_EXE_lockproof");
    let schema = dir.path().join("schema.sql");
    std::fs::write(&schema, groombook::SCHEMA).unwrap();
    let file = dir.path().join("mine.toml");
    std::fs::write(
        &file,
        r#"title = "Mine"
[subject]
command = ["false"]
schema = "schema.sql"
[schedule]
turns = [
  { run = "a", until = { before = "insert into invoice_tip_splits" } },
  { run = "b", until = { after = "truncate" } },
  { run = "a" },
]
[expect]
violates = ["no-errors"]
sqlstate = "23503"
"#,
    )
    .unwrap();
    let output = lockproof(
        dir.path(),
        &[
            "reproduce",
            "--times",
            "2",
            "--format",
            "json",
            "--schedule",
            file.to_str().unwrap(),
            "--",
            binary,
            "groombook",
            "seed",
            "--profile",
            "tiny",
            "--lock",
            "none",
        ],
    );
    let document = json(&output);
    assert_eq!(output.status.code(), Some(0), "{document:#}");
    assert_eq!(document["hits"], 2);
    assert_eq!(document["sqlstate"], "23503");
    assert!(document["with_lock"].is_null());
}

fn a_foreign_subject_without_a_schedule_has_one_looked_for() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("t.sql"), "create table t (a int)").unwrap();
    let job = "n=$(psql -XqAtc 'select count(*) from t'); \
               [ $n = 0 ] && psql -XqAtc 'insert into t values (1)' || true";
    let reproduce = [
        "reproduce",
        "--times",
        "2",
        "--format",
        "json",
        "--schema",
        "t.sql",
        "--",
        "sh",
        "-c",
        job,
    ];
    let output = lockproof(dir.path(), &reproduce);
    let document = json(&output);
    assert_eq!(output.status.code(), Some(0), "{document:#}");
    assert_eq!(
        (&document["hits"], &document["attempts"]),
        (&2.into(), &2.into())
    );
    assert!(
        document["turns"].as_array().unwrap().len() >= 2,
        "{document:#}"
    );
}

fn the_lock_holds_under_kills_at_random_steps() {
    let dir = tempfile::tempdir().unwrap();
    let scenario = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/scenarios/lock/two-overlap.toml"
    );
    let output = lockproof(
        dir.path(),
        &[
            "explore",
            "--strategy",
            "kills",
            "--scenario",
            scenario,
            "--schedules",
            "15",
            "--seed",
            "5",
            "--format",
            "json",
        ],
    );
    let document = json(&output);
    assert_eq!(output.status.code(), Some(0), "{document:#}");
    assert_eq!(document["schedules"], 15);
    assert_eq!(document["missed"], 0, "each kill fired: {document:#}");
    assert_eq!(document["violations"], 0);
}

fn kills_at_random_steps_find_a_lock_that_does_not_hold() {
    let dir = tempfile::tempdir().unwrap();
    let scenario = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/scenarios/planted/early-release.toml"
    );
    let text = std::fs::read_to_string(scenario)
        .unwrap()
        .split("[expect]")
        .next()
        .unwrap()
        .to_owned();
    let file = dir.path().join("early-release.toml");
    std::fs::write(&file, text).unwrap();
    let output = lockproof(
        dir.path(),
        &[
            "explore",
            "--strategy",
            "kills",
            "--no-shrink",
            "--scenario",
            file.to_str().unwrap(),
            "--schedules",
            "5",
            "--format",
            "json",
        ],
    );
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_ne!(json(&output)["violations"], 0);
}

crate::harness::tests![
    a_foreign_subject_is_reproduced_along_a_schedule_file,
    a_foreign_subject_without_a_schedule_has_one_looked_for,
    kills_at_random_steps_find_a_lock_that_does_not_hold,
    the_bug_is_reproduced_every_time_with_one_trace_and_the_lock_holds,
    the_lock_holds_under_kills_at_random_steps,
];

fn main() -> std::process::ExitCode {
    harness::run([tests()])
}
