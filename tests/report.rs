//! Pages of real runs in a real browser: the lanes say what the history says, keys and links do what they say, nothing
//! leaves the page, nothing in the job's data runs, and what a screen reader gets answers the same questions.

// Test code: a failed unwrap is a failed test, in helper functions too.
#![allow(clippy::unwrap_used)]
#![deny(dead_code)]

#[path = "report/bad.rs"]
mod bad;
mod browser;
#[path = "report/figures.rs"]
mod figures;
#[path = "report/gallery.rs"]
mod gallery;
mod harness;
#[path = "report/hostile.rs"]
mod hostile;
#[path = "report/index.rs"]
mod index;
#[path = "support/kept.rs"]
mod kept;
#[path = "report/lease.rs"]
mod lease;
#[path = "report/picture.rs"]
mod picture;
#[path = "report/reading.rs"]
mod reading;
mod support;
#[path = "report/trace.rs"]
mod trace;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// Scenarios of which pages are made: each shows something else.
const SCENARIOS: [&str; 13] = [
    "scenarios/planted/original-bug.toml",
    "scenarios/lock/two-overlap.toml",
    "scenarios/faults/lock-session-lost.toml",
    "scenarios/faults/failover-split-brain.toml",
    "scenarios/real-bugs/index-concurrently.toml",
    "scenarios/real-bugs/try-misread-two.toml",
    "scenarios/relation/weak-mode-two.toml",
    "scenarios/rows/queue-wrong.toml",
    "scenarios/ghosts/waiter-granted.toml",
    "scenarios/sound/lock-row.toml",
    "scenarios/lease/late-holder.toml",
    "scenarios/lease/renewal-ignored.toml",
    "scenarios/lease/flag-killed.toml",
];

fn lockproof(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lockproof"))
        .args(arguments)
        .current_dir(support::root())
        .output()
        .unwrap()
}

/// The run directories of all scenarios, run once.
fn runs() -> &'static BTreeMap<&'static str, PathBuf> {
    static RUNS: OnceLock<(tempfile::TempDir, BTreeMap<&str, PathBuf>)> = OnceLock::new();
    let (_, runs) = RUNS.get_or_init(|| {
        kept::keep_server();
        let out = tempfile::tempdir().unwrap();
        let mut arguments = vec![
            "run",
            "--format",
            "json",
            "--out",
            out.path().to_str().unwrap(),
        ];
        arguments.extend(SCENARIOS);
        let done = lockproof(&arguments);
        assert!(done.status.success(), "{done:?}");
        let document: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
        let results = document["scenarios"].as_array().unwrap();
        let runs = SCENARIOS.into_iter().map(|scenario| {
            let result = results.iter().find(|one| one["file"] == scenario).unwrap();
            (
                scenario,
                PathBuf::from(result["artifacts"].as_str().unwrap()),
            )
        });
        let runs = runs.collect();
        (out, runs)
    });
    runs
}

/// The page of a run, and the directory that it is in until dropped.
fn page(run: &Path, more: &[&str]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("page.html");
    let mut arguments = vec![
        "report",
        run.to_str().unwrap(),
        "--to",
        to.to_str().unwrap(),
    ];
    arguments.extend(more);
    let done = lockproof(&arguments);
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    (folder, to)
}

fn main() -> std::process::ExitCode {
    harness::run([
        picture::tests(),
        lease::tests(),
        reading::tests(),
        hostile::tests(),
        figures::tests(),
        bad::tests(),
        index::tests(),
        trace::tests(),
        gallery::tests(),
    ])
}
