//! Histories of real runs, written for Jepsen and for Porcupine, read back with others' readers, and
//! judged by the plain search (`linearizable/search.rs`): it says what lockproof says.

#![allow(clippy::unwrap_used)]
#![deny(dead_code)]

mod harness;
#[path = "support/kept.rs"]
mod kept;
#[path = "linearizable/search.rs"]
mod search;
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::str::FromStr;

use edn_rs::Edn;
use search::{Function, Operation, Type, linearizable};

fn lockproof(arguments: &[&str]) -> Output {
    kept::keep_server();
    Command::new(env!("CARGO_BIN_EXE_lockproof"))
        .args(arguments)
        .current_dir(support::root())
        .output()
        .unwrap()
}

fn exported(from: &Path, text: &str) -> (String, String) {
    let done = lockproof(&["export", from.to_str().unwrap(), "--as", text]);
    let said = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(0), "{said}");
    (String::from_utf8(done.stdout).unwrap(), said)
}

/// Runs a scenario; the directory of its run.
fn stored(scenario: &str, out: &Path) -> PathBuf {
    all_stored(&[scenario], out).remove(0)
}

/// Runs scenarios; the directories of their runs.
fn all_stored(scenarios: &[&str], out: &Path) -> Vec<PathBuf> {
    let server = std::env::var("LOCKPROOF_SERVER").unwrap_or_else(|_| "local".to_owned());
    let mut arguments = vec!["run", "--server", &server, "--format", "json", "--out"];
    arguments.push(out.to_str().unwrap());
    arguments.extend(scenarios);
    let done = lockproof(&arguments);
    assert!(done.status.success(), "{done:?}");
    let document: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    let place = |scenario: &&str| {
        let results = document["scenarios"].as_array().unwrap();
        let result = results.iter().find(|one| one["file"] == *scenario).unwrap();
        PathBuf::from(result["artifacts"].as_str().unwrap())
    };
    scenarios.iter().map(place).collect()
}

fn function(word: &str) -> Function {
    match word.trim_start_matches(':') {
        "acquire" => Function::Acquire,
        "release" => Function::Release,
        "acquire-share" => Function::AcquireShare,
        "release-share" => Function::ReleaseShare,
        other => panic!("no function: {other}"),
    }
}

/// What an operation is before it returns.
fn called(owner: &str, lock: String, word: &str, at: usize) -> Operation {
    Operation {
        owner: owner.trim_matches('"').to_owned(),
        lock,
        function: function(word),
        called: at,
        returned: None,
        came_of: Type::Info,
    }
}

/// Jepsen's text, by the rules of Jepsen's histories: each of them is checked.
fn from_edn(text: &str) -> Vec<Operation> {
    let mut operations: Vec<Operation> = Vec::new();
    let mut busy: BTreeMap<usize, usize> = BTreeMap::new();
    let mut crashed: BTreeSet<usize> = BTreeSet::new();
    let mut time = 0;
    for (place, line) in text.lines().enumerate() {
        let map = Edn::from_str(line).unwrap();
        let word = |key: &str| map[key].to_string();
        let number = |key: &str| -> usize { word(key).parse().unwrap() };
        assert_eq!(number(":index"), place, "{line}");
        assert!(number(":time") >= time, "{line}");
        time = number(":time");
        let process = number(":process");
        assert!(!crashed.contains(&process), "it had crashed: {line}");
        let value = &map[":value"];
        let kind = word(":type");
        if kind == ":invoke" {
            let known = busy.insert(process, operations.len());
            assert_eq!(known, None, "it does one thing at a time: {line}");
            operations.push(called(
                &value[":owner"].to_string(),
                value[":lock"].to_string(),
                &word(":f"),
                place,
            ));
            continue;
        }
        let one = &mut operations[busy.remove(&process).unwrap()];
        assert_eq!(one.function, function(&word(":f")), "{line}");
        match kind.as_str() {
            ":ok" => (one.returned, one.came_of) = (Some(place), Type::Ok),
            ":fail" => (one.returned, one.came_of) = (Some(place), Type::Fail),
            // Jepsen knows no end of what may have been done.
            ":info" => _ = crashed.insert(process),
            other => panic!("no type: {other}"),
        }
    }
    assert!(busy.is_empty(), "all operations are completed");
    operations
}

fn from_porcupine(text: &str) -> Vec<Operation> {
    let mut operations: BTreeMap<u64, Operation> = BTreeMap::new();
    for (place, line) in text.lines().enumerate() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        let id = event["id"].as_u64().unwrap();
        let value = &event["value"];
        let word = |key: &str| value[key].as_str().unwrap().to_owned();
        if event["kind"] == "call" {
            let one = called(&word("owner"), word("lock"), &word("f"), place);
            assert!(operations.insert(id, one).is_none(), "{line}");
            continue;
        }
        assert_eq!(event["kind"], "return", "{line}");
        let one = operations.get_mut(&id).unwrap();
        one.returned = Some(place);
        one.came_of = match word("outcome").as_str() {
            "ok" => Type::Ok,
            "fail" => Type::Fail,
            "unknown" => Type::Info,
            other => panic!("no outcome: {other}"),
        };
    }
    assert!(operations.values().all(|one| one.returned.is_some()));
    operations.into_values().collect()
}

const EXCLUDED: &str = "no lock was held by two at once";

/// What lockproof says in one pass, and what the search says of both texts: all the same.
fn verdict(from: &Path) -> (bool, usize) {
    let (edn, said) = exported(from, "edn");
    let (porcupine, _) = exported(from, "porcupine");
    let ours = said.contains(EXCLUDED);
    let of_edn = from_edn(&edn);
    assert_eq!(linearizable(&of_edn), ours, "{said}\n{edn}");
    let of_porcupine = from_porcupine(&porcupine);
    assert_eq!(linearizable(&of_porcupine), ours, "{said}\n{porcupine}");
    assert_eq!(of_edn.len(), of_porcupine.len());
    (ours, of_edn.len())
}

fn what_a_server_did_is_linearizable_whatever_the_pods_did_wrong() {
    let all = [
        ("scenarios/lock/two-overlap.toml", 4),
        ("scenarios/lock/overlap-free.toml", 4),
        ("scenarios/planted/wrong-key.toml", 4),
        ("scenarios/planted/xact.toml", 4),
        ("scenarios/planted/shared.toml", 4),
        ("scenarios/planted/double.toml", 8),
        ("scenarios/planted/pooled.toml", 6),
        ("scenarios/faults/waiter-killed.toml", 6),
        ("scenarios/faults/waiter-cancelled.toml", 5),
        ("scenarios/faults/node-lost.toml", 4),
    ];
    let folder = support::folder();
    let runs = all_stored(&all.map(|(scenario, _)| scenario), folder.path());
    for ((scenario, least), run) in all.into_iter().zip(runs) {
        let (excluded, operations) = verdict(&run);
        assert!(excluded, "{scenario}");
        assert!(operations >= least, "{scenario}: {operations} operations");
    }
}

fn two_servers_after_a_failover_that_both_grant_the_lock_are_refused_by_all() {
    let folder = support::folder();
    let run = stored("scenarios/faults/failover-split-brain.toml", folder.path());
    let (excluded, _) = verdict(&run);
    assert!(!excluded);
}

fn a_history_in_which_two_hold_the_lock_is_refused_by_all() {
    let folder = support::folder();
    let run = stored("scenarios/planted/wrong-key.toml", folder.path());
    // Two keys, so two locks. Were both the job's own, the server would have granted it twice.
    let (text, _) = exported(&run, "edn");
    let locks: BTreeSet<String> = from_edn(&text).into_iter().map(|one| one.lock).collect();
    let locks: Vec<&String> = locks.iter().collect();
    assert_eq!(locks.len(), 2, "{text}");
    let own = "1196576591";
    for name in ["history.jsonl", "confirmation.jsonl"] {
        let history = std::fs::read_to_string(run.join(name)).unwrap();
        let history = history.replace(locks[0], own).replace(locks[1], own);
        std::fs::write(run.join(name), history).unwrap();
    }
    let (excluded, _) = verdict(&run);
    assert!(!excluded);
    let checked = lockproof(&["check", run.to_str().unwrap(), "--format", "json"]);
    let checked: serde_json::Value = serde_json::from_slice(&checked.stdout).unwrap();
    let exclusion = checked["invariants"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["name"] == "mutual-exclusion")
        .unwrap();
    assert_eq!(exclusion["judgement"], "violated", "{exclusion}");
    assert!(
        exclusion["findings"]
            .to_string()
            .contains("at the same time"),
        "{exclusion}"
    );
}

fn export_says_what_is_wrong_and_writes_over_nothing() {
    let folder = support::folder();
    let place = |name: &str| folder.path().join(name).display().to_string();
    let refused = |arguments: &[&str], code: i32, words: &str| {
        let done = lockproof(arguments);
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert_eq!(done.status.code(), Some(code), "{said}");
        assert!(said.contains(words), "{said}");
        assert!(done.stdout.is_empty());
    };
    refused(
        &["export", &place("none"), "--as", "edn"],
        2,
        "there is no such directory",
    );
    refused(&["export", &place("."), "--as", "xml"], 2, "edn, porcupine");
    refused(&["export", &place(".")], 2, "--as");
    std::fs::write(place("empty.jsonl"), "").unwrap();
    refused(
        &["export", &place("empty.jsonl"), "--as", "edn"],
        2,
        "is empty",
    );
    let line = r#"{"seq":1,"at_us":0,"event":"pod-ended","pod":"a"}"#;
    std::fs::write(place("no-run.jsonl"), format!("{line}\n")).unwrap();
    refused(
        &["export", &place("no-run.jsonl"), "--as", "edn"],
        2,
        "does not tell what was run",
    );
    std::fs::write(place("broken.jsonl"), format!("{line}\nnonsense\n")).unwrap();
    refused(
        &["export", &place("broken.jsonl"), "--as", "edn"],
        2,
        "broken.jsonl:2:",
    );

    let run = stored("scenarios/lock/two-overlap.toml", folder.path());
    let run = run.to_str().unwrap();
    let to = place("there.edn");
    let done = lockproof(&["export", run, "--as", "edn", "--to", &to]);
    assert!(done.status.success());
    let before = std::fs::read_to_string(&to).unwrap();
    assert_eq!(before, exported(Path::new(run), "edn").0);
    refused(
        &["export", run, "--as", "edn", "--to", &to],
        2,
        "exists already",
    );
    assert_eq!(std::fs::read_to_string(&to).unwrap(), before);
    let nowhere = place("no/such/folder.edn");
    refused(
        &["export", run, "--as", "edn", "--to", &nowhere],
        4,
        "cannot write",
    );
    // One of the run's histories can be named, too; a cut one is refused.
    let history = std::fs::read_to_string(Path::new(run).join("history.jsonl")).unwrap();
    std::fs::write(place("cut.jsonl"), &history[..history.len() - 9]).unwrap();
    let cut = place("cut.jsonl");
    refused(
        &["export", &cut, "--as", "porcupine"],
        2,
        "the last line is cut",
    );
}

crate::harness::tests![
    a_history_in_which_two_hold_the_lock_is_refused_by_all,
    export_says_what_is_wrong_and_writes_over_nothing,
    two_servers_after_a_failover_that_both_grant_the_lock_are_refused_by_all,
    what_a_server_did_is_linearizable_whatever_the_pods_did_wrong,
];

fn main() -> std::process::ExitCode {
    harness::run([tests()])
}
