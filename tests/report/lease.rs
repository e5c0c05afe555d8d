//! A lock that is a row: its lanes, who took it over, and what pods believed, against the lines of the history that the
//! row's trigger and the wire wrote.

use std::collections::BTreeMap;
use std::path::Path;

use lockproof_core::history::{Ending, Event, Line, read};
use lockproof_core::name::StepId;
use lockproof_core::schedule::FaultKind;

use crate::browser::Browser;
use crate::harness::{Need, need};
use crate::reading::spans;
use crate::{page, runs};

/// A pod, from which line, to which.
type Had = (String, u64, u64);

/// The line at which each step was answered. (In these scenarios each statement commits.)
fn answered(lines: &[Line]) -> BTreeMap<StepId, u64> {
    let ended = lines.iter().filter_map(|line| match &line.event {
        Event::StepEnded {
            step,
            ending: Ending::Done,
            ..
        } => Some((*step, line.seq)),
        _ => None,
    });
    ended.collect()
}

/// Who had the row from which answer to which, by what its trigger saw.
fn had(lines: &[Line]) -> Vec<Had> {
    let answered = answered(lines);
    let mut all: Vec<Had> = Vec::new();
    let mut open: Option<(String, Option<String>, u64)> = None;
    for line in lines {
        let Event::LockRow(change) = &line.event else {
            continue;
        };
        if change.by_lockproof {
            continue;
        }
        let at = answered[&change.step.unwrap()];
        let pod = change.connection.as_ref().unwrap().pod.to_string();
        let after = change.after.as_ref().filter(|row| row.keeps_out());
        let same = |open: &(String, Option<String>, u64)| {
            after.is_some_and(|row| row.owner == open.1) && open.0 == pod
        };
        if open.as_ref().is_some_and(same) {
            continue;
        }
        if let Some((pod, _, from)) = open.take() {
            all.push((pod, from, at));
        }
        open = after.map(|row| (pod, row.owner.clone(), at));
    }
    all.extend(open.map(|(pod, _, from)| (pod, from, u64::MAX)));
    all
}

/// What each pod was told: an answer that touched the row gave it, one that touched none or its release took it, and
/// its own end.
fn told(lines: &[Line], table: &str, release: &str) -> Vec<Had> {
    let mut texts: BTreeMap<StepId, (String, String)> = BTreeMap::new();
    let mut open: BTreeMap<String, u64> = BTreeMap::new();
    let mut all: Vec<Had> = Vec::new();
    for line in lines {
        match &line.event {
            Event::StepHeld {
                step,
                connection,
                request,
            } if request.writes == [table] => {
                let text = request.sql.join(";");
                texts.insert(*step, (connection.pod.to_string(), text));
            }
            Event::StepEnded {
                step,
                ending: Ending::Done,
                answer,
                ..
            } if texts.contains_key(step) => {
                let (pod, text) = &texts[step];
                let touched = !answer.tags[0].ends_with(" 0");
                if touched && !text.contains(release) {
                    open.entry(pod.clone()).or_insert(line.seq);
                } else if let Some(from) = open.remove(pod) {
                    all.push((pod.clone(), from, line.seq));
                }
            }
            Event::PodExited { pod, .. } => {
                if let Some(from) = open.remove(pod.as_str()) {
                    all.push((pod.to_string(), from, line.seq));
                }
            }
            _ => {}
        }
    }
    all.sort_by_key(|(_, from, _)| *from);
    all
}

fn of_row(text: &[String], verb: &str) -> Vec<Had> {
    let mut all = spans(text, verb);
    all.retain(|one| one.lock.starts_with("the lock row of "));
    all.iter()
        .map(|one| (one.pod.clone(), one.from, one.to))
        .collect()
}

/// The sentences on the lock row say what its trigger and the answers say; without such a lock there are none.
pub(crate) fn the_row_is_told_as_its_trigger_does(scenario: &str, text: &[String], lines: &[Line]) {
    assert_eq!(of_row(text, "held"), had(lines), "{scenario}: held");
    let (table, release) = match lines.iter().find_map(|line| match &line.event {
        Event::Run(facts) => facts.rules.lock.row(),
        _ => None,
    }) {
        Some(row) if row.table.ends_with("shedlock") => {
            ("shedlock", "set lock_until = now() where")
        }
        Some(_) => ("migrations_lock", "set is_locked = 0"),
        None => ("", ""),
    };
    assert_eq!(
        of_row(text, "was told that it has"),
        told(lines, table, release),
        "{scenario}: told"
    );
    for line in lines {
        let Event::Fault(fault) = &line.event else {
            continue;
        };
        if fault.fired && matches!(fault.fault.kind, FaultKind::Expire { .. }) {
            let passed = format!("had passed at line {};", line.seq);
            let told = text.iter().filter(|one| one.contains(&passed)).count();
            assert_eq!(told, 1, "{scenario}: {passed}");
        }
    }
}

/// The write that came too late is named as the statement that broke it, by the line of its answer.
pub(crate) fn the_late_write_is_named(scenario: &str, text: &[String], run: &Path, lines: &[Line]) {
    let answered = answered(lines);
    let verdict = std::fs::read_to_string(run.join("verdict.json")).unwrap();
    let verdict: serde_json::Value = serde_json::from_str(&verdict).unwrap();
    let rule = lines.iter().find_map(|line| match &line.event {
        Event::Run(facts) => facts.rules.lock.row(),
        _ => None,
    });
    if rule.is_none() {
        return;
    }
    let violated = verdict["invariants"].as_array().unwrap().iter();
    for one in violated.filter(|one| one["judgement"] == "violated") {
        for finding in one["findings"].as_array().unwrap() {
            let seqs = finding["seqs"].as_array().unwrap();
            let wrote = lines.iter().find_map(|line| match &line.event {
                Event::Write(write) if seqs.iter().any(|seq| *seq == line.seq) => write.step,
                _ => None,
            });
            let Some(step) = wrote else { continue };
            let named = format!(
                "(line {}) broke {}:",
                answered[&step],
                one["name"].as_str().unwrap()
            );
            assert!(
                text.iter().any(|one| one.contains(&named)),
                "{scenario}: {named}"
            );
        }
    }
}

fn the_lanes_of_a_lock_row_show_its_time_pass_who_takes_it_over_and_who_does_not_know() {
    need(Need::Chromium);
    let run = &runs()["scenarios/lease/late-holder.toml"];
    let lines = read(&run.join("history.jsonl")).unwrap();
    let (_folder, to) = page(run, &[]);
    let mut browser = Browser::start(1500, 1300);
    browser.open(&to, "");
    browser.key("Escape");
    // Of each band its left and right side, and the pod of its lane.
    let bands = |browser: &mut Browser, class: &str| -> Vec<(f64, f64)> {
        let found = browser.eval(&format!(
            "[...document.querySelectorAll('#plane .band.{class}')].map((band) => band.getBoundingClientRect()).map((box) => [box.left, box.right])"
        ));
        serde_json::from_value(found).unwrap()
    };
    let near = |one: f64, other: f64| (one - other).abs() < 1.5;
    let held = bands(&mut browser, "server");
    let passed = bands(&mut browser, "passed");
    let told = bands(&mut browser, "told");
    let zombie = bands(&mut browser, "parted.told");
    assert_eq!(
        (
            held.len(),
            passed.len(),
            told.len() - zombie.len(),
            zombie.len()
        ),
        (2, 1, 2, 1)
    );
    assert!(near(held[0].1, passed[0].0), "a's time ends its green part");
    assert!(near(passed[0].1, held[1].0), "b has it when a has not");
    assert!(near(zombie[0].0, held[1].0), "from then on a does not know");
    // The write of a comes inside the part in which it believes and has not.
    let late = browser.eval(
        "(() => { const box = [...document.querySelectorAll('#plane .box')].find((one) => one.textContent.includes('update report'));
         const place = box.getBoundingClientRect(); return [place.left, place.right]; })()",
    );
    let late: (f64, f64) = serde_json::from_value(late).unwrap();
    assert!(
        zombie[0].0 < late.0 && late.1 < zombie[0].1 + 1.5,
        "{late:?}"
    );
    // One arrow leads from a's lane to b's.
    assert_eq!(
        browser.eval("document.querySelectorAll('path.take-over').length"),
        1
    );
    // Every change that the trigger saw of a pod has its mark.
    let changed = lines
        .iter()
        .filter(|line| matches!(&line.event, Event::LockRow(change) if !change.by_lockproof));
    assert_eq!(
        browser.eval("document.querySelectorAll('#plane .change').length"),
        changed.count()
    );
    assert_eq!(browser.complaints(&to), Vec::<String>::new());
}

fn a_finding_on_a_lock_row_points_into_its_lanes() {
    need(Need::Chromium);
    let run = &runs()["scenarios/lease/late-holder.toml"];
    let lines = read(&run.join("history.jsonl")).unwrap();
    let (_folder, to) = page(run, &[]);
    let mut browser = Browser::start(1500, 1300);
    browser.open(&to, "");
    // It opens at the finding: all three changes are lit, and the write.
    let lit =
        "document.querySelectorAll('.change.lit, path.take-over.lit, .mark.fault.lit').length";
    assert_eq!(
        browser.eval(lit),
        4,
        "grant, take-over with its arrow, expire"
    );
    for line in &lines {
        let Event::LockRow(change) = &line.event else {
            continue;
        };
        let link = format!("#seq={}", line.seq);
        let there = format!("document.querySelectorAll('.cards a[href=\"{link}\"]').length");
        if browser.eval(&there) == 0 {
            continue;
        }
        browser.eval(&format!("location.hash = '{link}'; 0"));
        browser.eval("new Promise((done) => requestAnimationFrame(() => done(0)))");
        let selected =
            browser.eval("lockproof.selected.thing.step?.id ?? lockproof.selected.thing.mark.kind");
        match change.step {
            Some(step) => assert_eq!(selected, step.0, "line {}", line.seq),
            None => assert_eq!(selected, "fault", "line {}", line.seq),
        }
    }
    assert_eq!(browser.complaints(&to), Vec::<String>::new());
}

fn the_cursor_says_that_the_time_of_a_lock_row_has_passed() {
    need(Need::Chromium);
    let run = &runs()["scenarios/lease/late-holder.toml"];
    let lines = read(&run.join("history.jsonl")).unwrap();
    let (_folder, to) = page(run, &[]);
    let mut browser = Browser::start(1500, 1300);
    browser.open(&to, "");
    let expired = lines.iter().find_map(|line| match &line.event {
        Event::Fault(fault) if fault.fired => Some(line.seq),
        _ => None,
    });
    let expired = expired.unwrap();
    let state = |browser: &mut Browser, seq: u64| {
        let state = browser.eval(&format!("lockproof.stateAt(lockproof.runs[0], {seq})"));
        state["held"][0].as_str().unwrap().to_owned()
    };
    let before = state(&mut browser, expired - 1);
    assert!(
        before.starts_with("pod a holds the lock row of shedlock"),
        "{before}"
    );
    assert!(!before.contains("has passed"), "{before}");
    let after = state(&mut browser, expired);
    assert!(after.contains("its time has passed"), "{after}");
}

crate::harness::tests![
    the_lanes_of_a_lock_row_show_its_time_pass_who_takes_it_over_and_who_does_not_know,
    a_finding_on_a_lock_row_points_into_its_lanes,
    the_cursor_says_that_the_time_of_a_lock_row_has_passed,
];
