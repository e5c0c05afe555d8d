//! What a screen reader gets of a page: it answers which pod held what when, what was believed, which statement broke
//! it, and how to run it again. The answers are compared with the history, not with what the page was made from.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use lockproof_core::history::{Ending, Event, Line, LockAction, read};
use lockproof_core::name::StepId;
use regex::Regex;

use crate::browser::Browser;
use crate::harness::{Need, need};
use crate::{SCENARIOS, lease, page, runs};

/// A span of lines in which a pod had a lock, as a sentence tells it.
#[derive(Debug)]
pub(crate) struct Span {
    pub pod: String,
    pub lock: String,
    pub connection: String,
    pub from: u64,
    pub to: u64,
}

pub(crate) fn spans(text: &[String], verb: &str) -> Vec<Span> {
    let sentence = Regex::new(&format!(
        r"^Pod (\S+) {verb} (.+) in .+ mode on (\S+) from line (\d+)(?: \(.*?\))? to (?:line (\d+)|the end)"
    ))
    .unwrap();
    let of = |line: &String| {
        let found = sentence.captures(line)?;
        Some(Span {
            pod: found[1].to_owned(),
            lock: found[2].to_owned(),
            connection: found[3].to_owned(),
            from: found[4].parse().unwrap(),
            to: found
                .get(5)
                .map_or(u64::MAX, |to| to.as_str().parse().unwrap()),
        })
    };
    text.iter().filter_map(of).collect()
}

/// Those that `pg_locks` shows: a lock that is a row is none (`lease` has those).
fn of_the_server(mut all: Vec<Span>) -> Vec<Span> {
    all.retain(|one| !one.lock.starts_with("the lock row"));
    all
}

/// The connection that each backend of the first server served last. (No scenario here reuses one.)
fn connections(lines: &[Line]) -> HashMap<(u8, i32), String> {
    let started = lines.iter().filter_map(|line| match &line.event {
        Event::SessionStarted {
            connection,
            session,
            server,
        } => Some(((*server, session.pid), connection.to_string())),
        _ => None,
    });
    started.collect()
}

/// Whatever `pg_locks` showed as granted is in a sentence, and no sentence says what it did not show.
fn held_is_what_the_server_showed(scenario: &str, text: &[String], lines: &[Line]) {
    let told = of_the_server(spans(text, "held"));
    let connections = connections(lines);
    let Event::Run(run) = &lines[0].event else {
        panic!("no run");
    };
    let mut shown = vec![false; told.len()];
    for line in lines {
        let Event::Locks { locks, .. } = &line.event else {
            continue;
        };
        // What any statement locks of its tables is nobody's lock.
        let advisory = locks
            .iter()
            .filter(|lock| lock.granted && lock.key.table().is_none());
        for lock in advisory.filter(|lock| lock.key.database == run.database) {
            let Some(connection) = connections.get(&(lock.key.server, lock.pid)) else {
                continue;
            };
            let name = lock.key.in_full();
            let found = told.iter().position(|one| {
                one.connection == *connection
                    && one.lock == name
                    && one.from <= line.seq
                    && line.seq <= one.to
            });
            let Some(place) = found else {
                panic!(
                    "{scenario}: line {}: {connection} has {name}, and no sentence says so: {told:?}",
                    line.seq
                );
            };
            shown[place] = true;
        }
    }
    for (span, shown) in told.iter().zip(shown) {
        let looked = lines.iter().any(|line| {
            matches!(line.event, Event::Locks { .. }) && span.from < line.seq && line.seq < span.to
        });
        let table = span.lock.contains("table");
        assert!(
            shown || table || !looked,
            "{scenario}: pg_locks never showed {span:?}"
        );
        assert!(span.connection.starts_with(&span.pod), "{span:?}");
    }
}

/// Each lock that an answer granted is believed in from that line on.
fn told_is_what_answers_said(scenario: &str, text: &[String], lines: &[Line]) {
    let told = of_the_server(spans(text, "was told that it has"));
    let mut asked: BTreeMap<StepId, (String, Vec<LockAction>)> = BTreeMap::new();
    let (mut granted, mut closed) = (0, BTreeSet::new());
    for line in lines {
        match &line.event {
            // Whoever is gone is told nothing.
            Event::ConnectionClosed { connection, .. } => {
                closed.insert(connection.to_string());
            }
            Event::StepHeld {
                step,
                connection,
                request,
            } => {
                let calls = request.lock_calls.iter().map(|call| call.action);
                asked.insert(*step, (connection.to_string(), calls.collect()));
            }
            Event::StepEnded {
                step,
                ending: Ending::Done,
                answer,
                ..
            } if answer.error.is_none() => {
                let (connection, calls) = &asked[step];
                if closed.contains(connection) {
                    continue;
                }
                for (nth, action) in calls.iter().enumerate() {
                    let got = match action {
                        LockAction::Lock => true,
                        LockAction::TryLock => answer.lock_results.get(nth) == Some(&Some(true)),
                        LockAction::Unlock | LockAction::UnlockAll => false,
                    };
                    if got {
                        granted += 1;
                        let found = told
                            .iter()
                            .any(|one| one.connection == *connection && one.from == line.seq);
                        assert!(
                            found,
                            "{scenario}: line {} granted {connection} a lock: {told:?}",
                            line.seq
                        );
                    }
                }
            }
            _ => {}
        }
    }
    assert!(told.len() <= granted, "{scenario}: {told:?}");
}

/// Where a statement failed that a finding speaks of, its line is named.
fn the_failing_statement_is_named(scenario: &str, text: &[String], run: &Path, lines: &[Line]) {
    let verdict = std::fs::read_to_string(run.join("verdict.json")).unwrap();
    let verdict: serde_json::Value = serde_json::from_str(&verdict).unwrap();
    let findings = verdict["invariants"].as_array().unwrap().iter();
    let violated = findings.filter(|one| one["judgement"] == "violated");
    let seqs: Vec<u64> = violated
        .flat_map(|one| one["findings"].as_array().unwrap())
        .flat_map(|one| one["seqs"].as_array().unwrap())
        .filter_map(serde_json::Value::as_u64)
        .collect();
    let failed = lines.iter().filter(|line| {
        let failed =
            matches!(&line.event, Event::StepEnded { answer, .. } if answer.error.is_some());
        failed && seqs.contains(&line.seq)
    });
    for line in failed {
        let named = format!("(line {}) broke no-errors:", line.seq);
        assert!(
            text.iter().any(|one| one.contains(&named)),
            "{scenario}: {named}"
        );
    }
}

fn what_a_screen_reader_gets_answers_as_the_history_does() {
    need(Need::Chromium);
    assert!(SCENARIOS.len() >= 10, "ten scenarios are answered for");
    let mut browser = Browser::start(1500, 1300);
    for scenario in SCENARIOS {
        let run = &runs()[scenario];
        let lines = read(&run.join("history.jsonl")).unwrap();
        let (_folder, to) = page(run, &[]);
        browser.open(&to, "");
        let text = browser.accessible_text();
        held_is_what_the_server_showed(scenario, &text, &lines);
        told_is_what_answers_said(scenario, &text, &lines);
        the_failing_statement_is_named(scenario, &text, run, &lines);
        lease::the_row_is_told_as_its_trigger_does(scenario, &text, &lines);
        lease::the_late_write_is_named(scenario, &text, run, &lines);
        let again = format!(
            "lockproof run --times 10 {}",
            run.join("scenario.toml").display()
        );
        assert!(text.contains(&again), "{scenario}: {again}");
    }
}

fn without_javascript_the_same_sentences_are_there() {
    need(Need::Chromium);
    let (_folder, to) = page(&runs()["scenarios/lock/two-overlap.toml"], &[]);
    let mut browser = Browser::start(1500, 1300);
    browser.open(&to, "");
    let with: Vec<String> = browser.accessible_text();
    browser.scripts(false);
    browser.open(&to, "");
    let without = browser.accessible_text();
    let sentences = |text: &[String]| -> Vec<String> {
        let said = text
            .iter()
            .filter(|line| line.starts_with("Pod ") && line.ends_with('.'));
        said.cloned().collect()
    };
    assert!(sentences(&without).len() >= 4, "{without:?}");
    assert_eq!(sentences(&with), sentences(&without));
    let schedule = |text: &[String]| text.iter().filter(|line| line.starts_with("run ")).count();
    assert!(schedule(&without) > 2);
}

fn axe_core_has_no_serious_finding() {
    need(Need::Chromium);
    need(Need::Axe);
    let axe = std::fs::read_to_string(crate::harness::axe()).unwrap();
    let mut browser = Browser::start(1500, 1300);
    let other = &runs()["scenarios/lock/two-overlap.toml"];
    for (scenario, more) in [
        (
            "scenarios/planted/original-bug.toml",
            vec!["--beside", other.to_str().unwrap()],
        ),
        ("scenarios/faults/lock-session-lost.toml", vec![]),
        ("scenarios/rows/queue-wrong.toml", vec![]),
        ("scenarios/lease/late-holder.toml", vec![]),
    ] {
        let (_folder, to) = page(&runs()[scenario], &more);
        for scheme in ["light", "dark"] {
            browser.prefer(scheme);
            browser.open(&to, "");
            browser.eval(
                "document.querySelectorAll('details').forEach((one) => { one.open = true; }); 0",
            );
            browser.eval(&format!("{axe}; 0"));
            let found = browser.eval(
                "axe.run(document, { resultTypes: ['violations'] }).then((result) => result.violations
                 .filter((one) => ['serious', 'critical'].includes(one.impact))
                 .map((one) => `${one.id}: ${one.nodes.slice(0, 4).map((node) => node.html.slice(0, 160) + ' ' + node.failureSummary).join(' | ')}`))",
            );
            assert_eq!(found, serde_json::json!([]), "{scenario} in {scheme}");
        }
    }
}

crate::harness::tests![
    what_a_screen_reader_gets_answers_as_the_history_does,
    without_javascript_the_same_sentences_are_there,
    axe_core_has_no_serious_finding,
];
