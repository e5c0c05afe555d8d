//! Histories of format 1, judged by the code of today.
//!
//! Owns the converter from format 1 to format 2. It is for one comparison only and goes with issue 9:
//!
//! ```sh
//! LOCKPROOF_FORMAT_1=/work/old/out/run cargo test --test format_one -- --nocapture
//! ```
//!
//! The directory holds run directories that the code before format 2 has written, each with its history,
//! its scenario and its verdict. What today's code says of the converted history must be that verdict,
//! byte for byte, but for what `meant` names.

use std::path::{Path, PathBuf};

use lockproof::history::{self, Begun, Line};
use lockproof::invariant::{Verdict, judge};
use lockproof::name::PodName;
use lockproof::report::{VerdictJson, fault_words, move_words};
use lockproof::scenario;
use lockproof::schedule::{Fault, FaultKind, Move, Point, Schedule, SessionChoice, Stop, Turn};
use lockproof::search::weigh;
use serde_json::{Value, json};

#[test]
fn every_stored_history_has_the_verdict_that_it_had() {
    let Some(from) = std::env::var_os("LOCKPROOF_FORMAT_1") else {
        eprintln!("LOCKPROOF_FORMAT_1 names no directory: nothing is compared");
        return;
    };
    let mut runs: Vec<PathBuf> = std::fs::read_dir(&from)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("history.jsonl").exists())
        .collect();
    runs.sort();
    let mut differ = Vec::new();
    for run in &runs {
        let name = run.file_name().unwrap().to_string_lossy().into_owned();
        if let Err(why) = compare(run) {
            differ.push(format!("{name}: {why}"));
        }
    }
    println!(
        "{} of {} are the same",
        runs.len() - differ.len(),
        runs.len()
    );
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

fn compare(run: &Path) -> Result<(), String> {
    let schedule = scenario::load(&run.join("scenario.toml")).unwrap().schedule;
    let mut verdict = judged(&run.join("history.jsonl"), &schedule)?;
    let bare = run.join("confirmation.jsonl");
    if bare.exists() {
        weigh(&mut verdict, &judged(&bare, &schedule)?);
    }
    let before = std::fs::read_to_string(run.join("verdict.json")).unwrap();
    let before: Value = serde_json::from_str(&before).unwrap();
    let after = serde_json::to_value(VerdictJson::of(&verdict)).unwrap();
    match difference("", &before, &meant(after)) {
        Some(difference) => Err(difference),
        None => Ok(()),
    }
}

/// What is meant to be different: a guard speaks of moves by their places, and carries them as values.
fn meant(mut verdict: Value) -> Value {
    for guard in verdict["guards"].as_array_mut().unwrap() {
        let moves = guard.as_object_mut().unwrap().remove("moves");
        let Some(moves) = moves else { continue };
        let mut why = guard["why"].as_str().unwrap().to_owned();
        for one in moves.as_array().unwrap() {
            let index = one["index"].as_u64().unwrap() + 1;
            let begun: Begun = serde_json::from_value(one["begun"].clone()).unwrap();
            let Begun::Move(one) = begun else {
                panic!("a scheduled move")
            };
            let before = match &one {
                Move::Fault(fault) => format!("move {index}, {}, was", fault.kind.name()),
                Move::Turn(turn) => {
                    format!("the stop of move {index}, a turn of {}, was", turn.pod)
                }
                other => panic!("{other:?}"),
            };
            let after = match &one {
                Move::Fault(fault) => format!("\"{}\" was", fault_words(fault)),
                other => format!("the stop of \"{}\" was", move_words(other)),
            };
            why = why.replace(&before, &after);
        }
        guard["why"] = json!(why);
    }
    verdict
}

/// The first place at which two documents differ.
fn difference(at: &str, one: &Value, other: &Value) -> Option<String> {
    match (one, other) {
        (Value::Object(a), Value::Object(b)) => {
            let mut keys: Vec<&String> = a.keys().chain(b.keys()).collect();
            keys.sort();
            keys.dedup();
            let null = Value::Null;
            keys.into_iter().find_map(|key| {
                let side =
                    |map: &serde_json::Map<String, Value>| map.get(key).unwrap_or(&null).clone();
                difference(&format!("{at}.{key}"), &side(a), &side(b))
            })
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            (0..a.len()).find_map(|i| difference(&format!("{at}[{i}]"), &a[i], &b[i]))
        }
        _ if one == other => None,
        _ => Some(format!("{at} was {one}, is {other}")),
    }
}

fn judged(path: &Path, schedule: &Schedule) -> Result<Verdict, String> {
    let text = std::fs::read_to_string(path).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let converted = folder.path().join("history.jsonl");
    let lines: Vec<String> = text
        .lines()
        .map(|line| convert(serde_json::from_str(line).unwrap(), schedule).to_string())
        .collect();
    std::fs::write(&converted, lines.join("\n") + "\n").unwrap();
    let lines: Vec<Line> = history::read(&converted).map_err(|error| error.to_string())?;
    judge(&lines).map_err(|error| error.to_string())
}

/// A line of format 1 as a line of format 2.
fn convert(mut line: Value, schedule: &Schedule) -> Value {
    match line["event"].as_str().unwrap() {
        "run" => line["format"] = json!(2),
        "turn-started" => {
            let text = line["turn"].as_str().unwrap().to_owned();
            let index = usize::try_from(line["index"].as_u64().unwrap()).unwrap();
            let begun = begun(&text, index, line["scheduled"] == json!(true), schedule);
            line["event"] = json!("move-started");
            line.as_object_mut().unwrap().remove("turn");
            line["begun"] = serde_json::to_value(begun).unwrap();
        }
        "step-dropped" => {
            let why = line["why"].as_str().unwrap().to_owned();
            line["why"] = match why.as_str() {
                "run ended" => json!("run-ended"),
                "its session had ended" => json!("session-ended"),
                fault => json!({ "fault": kind(fault, schedule) }),
            };
        }
        "limit-hit" => {
            let text = line["waited_for"].as_str().unwrap();
            line["waited_for"] = match text {
                "a pod to go on" => json!("pod-to-go-on"),
                "the end of every pod" => json!("every-pod"),
                "the ending of a step" => json!("step-ending"),
                other => match other.strip_prefix("the next request or the end of pod ") {
                    Some(pod) => json!({ "next-request": pod }),
                    None => panic!("{other}"),
                },
            };
        }
        "fault" => {
            let taken = |line: &mut Value, key: &str| line.as_object_mut().unwrap().remove(key);
            let name = taken(&mut line, "name").unwrap();
            let point = taken(&mut line, "point").unwrap();
            let point = point.as_str().unwrap();
            let pod = line["pod"].as_str().map(PodName::new);
            if let Some(clock) = point
                .strip_prefix("at ")
                .filter(|_| line["by"] == "controller")
            {
                line["by"] = json!({ "controller": { "clock": clock } });
            }
            let point = match point {
                "in-doubt" => Point::InDoubt,
                "waiting" => Point::Waiting,
                "after" => Point::After,
                _ => Point::Before,
            };
            let kind = kind(name.as_str().unwrap(), schedule);
            let fault = Fault {
                kind,
                pod,
                session: SessionChoice::Next,
                point,
            };
            line["fault"] = serde_json::to_value(fault).unwrap();
        }
        _ => {}
    }
    line
}

fn begun(text: &str, index: usize, scheduled: bool, schedule: &Schedule) -> Begun {
    if scheduled {
        let one = schedule.moves()[index].clone();
        assert_eq!(move_words(&one), text);
        return Begun::Move(one);
    }
    if let Some(pod) = text
        .strip_prefix("run ")
        .and_then(|rest| rest.strip_suffix(" to its end"))
    {
        let pod = PodName::new(pod);
        return Begun::Move(Move::Turn(Turn {
            pod,
            until: Stop::End,
        }));
    }
    if let Some(time) = text
        .strip_prefix("time passes: ")
        .and_then(|rest| rest.strip_suffix(" s"))
    {
        return Begun::Move(Move::Advance(std::time::Duration::from_secs(
            time.parse().unwrap(),
        )));
    }
    panic!("{text}")
}

/// The fault of this name, with the parameters that the schedule has.
fn kind(name: &str, schedule: &Schedule) -> FaultKind {
    if let Some(fault) = schedule.faults().find(|fault| fault.kind.name() == name) {
        return fault.kind.clone();
    }
    match name {
        "kill" => FaultKind::Kill,
        "resume" => FaultKind::Resume,
        "heal" => FaultKind::Heal,
        "resume-backend" => FaultKind::ResumeBackend,
        "unpause-server" => FaultKind::UnpauseServer,
        "terminate" => FaultKind::Terminate {
            grace: std::time::Duration::from_secs(30),
            pid1: true,
        },
        other => panic!("{other}"),
    }
}
