//! The CronJob of each overlay under lockproof's own controller.
//!
//! Policy, schedule, deadlines, grace and limits are those of the rendered YAML; the job is what the
//! Dockerfile's ENTRYPOINT says, on the smallest profile. Only the lock is taken away, and only where a test
//! says so.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod support;

use std::fmt::Write;
use std::process::Command;

use deploy_check::{Entrypoint, Settings};
use support::{OVERLAYS, finished, lockproof, project, settings};

/// Where the first pod is held: after its first statement under the lock, in the middle, at the end.
const HOLDS: [&str; 3] = [
    "{ after = \"truncate\" }",
    "{ before = \"insert into invoice_tip_splits\" }",
    "{ before = \"select pg_advisory_unlock\" }",
];

/// What happens while the first pod is held, by name: turns in which H stands for the hold, D for the
/// starting deadline, E for half of it, and G for the grace.
const CASES: [(&str, &[&str]); 5] = [
    (
        "the tick beside it is skipped and made up in time",
        &[
            "tick = true",
            "run a H",
            "tick = true",
            "advance E",
            "run a",
            "run b",
        ],
    ),
    (
        "the tick beside it is skipped and its deadline passes",
        &[
            "tick = true",
            "run a H",
            "tick = true",
            "advance D",
            "run a",
            "tick = true",
            "run b",
        ],
    ),
    (
        "a Job is made by hand beside the tick",
        &[
            "tick = true",
            "run a H",
            "manual = true",
            "run b BLOCKED",
            "run a",
            "run b",
        ],
    ),
    (
        "a tick comes beside a Job made by hand",
        &[
            "manual = true",
            "run a H",
            "tick = true",
            "run b BLOCKED",
            "run a",
            "run b",
        ],
    ),
    (
        "its Job's deadline ends it while another waits",
        &[
            "tick = true",
            "run a H",
            "manual = true",
            "run b BLOCKED",
            "terminate a",
            "run b",
        ],
    ),
];

fn turn(short: &str, settings: &Settings, hold: &str) -> String {
    let deadline = settings.starting_deadline;
    let line = match short {
        "advance D" => format!("advance = \"{deadline}s\""),
        "advance E" => format!("advance = \"{}s\"", deadline / 2),
        "run a H" => format!("run = \"a\", until = {hold}"),
        "run b BLOCKED" => "run = \"b\", until = { blocked = true }".to_owned(),
        "run b TRUNCATES" => "run = \"b\", until = { after = \"truncate\" }".to_owned(),
        "terminate a" => format!(
            "fault = {{ terminate = {{ pod = \"a\", grace = \"{}s\", pid1 = true }} }}",
            settings.grace
        ),
        other => match other.strip_prefix("run ") {
            Some(pod) => format!("run = \"{pod}\""),
            None => other.to_owned(),
        },
    };
    format!("  {{ {line} }},\n")
}

/// A scenario file of this overlay; `lock` is what the Dockerfile's command is told besides.
fn scenario(
    title: &str,
    settings: &Settings,
    lock: &str,
    (turns, hold): (&[&str], &str),
    expect: &str,
) -> String {
    let dockerfile = std::fs::read_to_string(project("deploy/reset-image/Dockerfile")).unwrap();
    let mut command = Entrypoint::of(&dockerfile).unwrap().0;
    command[0] = lockproof().display().to_string();
    command.extend(settings.arguments.iter().cloned());
    command.extend(["--lock".to_owned(), lock.to_owned()]);
    let schema = project("crates/groombook/src/schema.sql");
    let mut text = format!(
        "title = {title:?}\n[subject]\ncommand = {command:?}\nschema = {schema:?}\n\
         env = {{ SEED_PROFILE = \"tiny\" }}\n"
    );
    text += match lock {
        "none" => {
            "protect = [\"appointments\", \"invoices\", \"invoice_line_items\", \
             \"invoice_tip_splits\", \"grooming_visit_logs\"]\n"
        }
        _ => "lock = { key = 0x47524f4f }\n",
    };
    write!(
        text,
        "[cronjob]\nschedule = {:?}\npolicy = {:?}\ngrace = \"{}s\"\nstarting_deadline = \"{}s\"\n\
         backoff_limit = {}\npid1 = true\n[pods]\ncount = 6\n[schedule]\nturns = [\n",
        settings.schedule,
        settings.policy,
        settings.grace,
        settings.starting_deadline,
        settings.backoff_limit,
    )
    .unwrap();
    for short in turns {
        text += &turn(short, settings, hold);
    }
    text + "]\n" + expect
}

/// Runs the scenarios in one command; the histories of their runs, one after the other.
fn run(scenarios: &[(String, String)]) -> String {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in scenarios {
        std::fs::write(dir.path().join(format!("{name}.toml")), text).unwrap();
    }
    let mut command = Command::new(lockproof());
    command.args(["run", "--quiet", "--server"]);
    command.arg(std::env::var("LOCKPROOF_SERVER").unwrap_or("local".to_owned()));
    for (name, _) in scenarios {
        command.arg(format!("{name}.toml"));
    }
    let (code, said) = finished(command.args(["--out", "out"]).current_dir(dir.path()));
    assert_eq!(code, 0, "{said}");
    let all = scenarios.len();
    let sum = format!("{all} of {all} scenarios as expected");
    assert!(said.contains(&sum), "{said}");
    let mut histories = String::new();
    for (name, _) in scenarios {
        let history = dir.path().join("out/run").join(name).join("history.jsonl");
        histories += &std::fs::read_to_string(history).unwrap();
    }
    histories
}

/// Every case at each of these holds.
fn all_cases(overlay: &str, holds: &[&str]) -> Vec<(String, String)> {
    let settings = settings(overlay);
    let mut scenarios = Vec::new();
    for (case, (words, turns)) in CASES.iter().enumerate() {
        for (at, hold) in holds.iter().enumerate() {
            let waits = turns.contains(&"run b BLOCKED");
            let expect = match waits {
                true => "[expect]\nguards = [\"contention\", \"blocked\"]\n",
                false => "",
            };
            let title = format!("{overlay}: {words}");
            let text = scenario(&title, &settings, "session", (turns, hold), expect);
            scenarios.push((format!("{overlay}-{case}-{at}"), text));
        }
    }
    scenarios
}

/// Runs all cases of these overlays with the lock; every one must hold, and must have come to pass.
fn no_schedule_fails(overlays: &[&str], holds: &[&str]) {
    let cases = overlays
        .iter()
        .flat_map(|overlay| all_cases(overlay, holds));
    let scenarios: Vec<_> = cases.collect();
    let each = overlays.len() * holds.len();
    assert_eq!(scenarios.len(), 5 * each);
    let histories = run(&scenarios);
    // A pod that has only its unlock left when SIGTERM comes is complete, and ends with 0.
    let complete = holds.iter().filter(|hold| hold.contains("unlock")).count() * overlays.len();
    for (words, times) in [
        ("Forbid, and job-1 (pod a) has not finished", 2 * each),
        ("made up 150 s late", each),
        ("its starting deadline of 300 s is over", each),
        ("made by hand (kubectl create job --from)", 3 * each),
        ("\"code\":143", each - complete),
    ] {
        assert_eq!(histories.matches(words).count(), times, "{words}");
    }
}

#[test]
fn with_forbid_and_the_lock_no_schedule_of_any_overlay_fails() {
    no_schedule_fails(&OVERLAYS, &HOLDS[1..2]);
}

#[test]
#[ignore = "long: .ci/long runs it"]
fn it_does_not_matter_where_in_its_run_the_first_pod_is() {
    no_schedule_fails(&OVERLAYS, &HOLDS);
}

#[test]
fn forbid_alone_keeps_the_cronjobs_own_jobs_apart() {
    let settings = settings("uat");
    let scenarios: Vec<_> = CASES[..2]
        .iter()
        .enumerate()
        .map(|(number, (words, turns))| {
            let title = format!("no lock: {words}");
            let text = scenario(&title, &settings, "none", (turns, HOLDS[1]), "");
            (format!("none-{number}"), text)
        })
        .collect();
    run(&scenarios);
}

#[test]
fn without_the_lock_a_job_made_by_hand_beside_the_tick_fails_in_every_overlay() {
    const BUG: &str = "[expect]\nviolates = [\"no-errors\"]\nsqlstate = \"23503\"\n\
                       table = \"invoice_tip_splits\"\n\
                       constraint = \"invoice_tip_splits_invoice_id_invoices_id_fk\"\n";
    let mut scenarios = Vec::new();
    for overlay in OVERLAYS {
        let settings = settings(overlay);
        for (name, first, second) in [
            ("beside", "tick = true", "manual = true"),
            ("first", "manual = true", "tick = true"),
        ] {
            let turns = [first, "run a H", second, "run b TRUNCATES", "run a"];
            let title = format!("{overlay}, no lock, {name}");
            let text = scenario(&title, &settings, "none", (&turns, HOLDS[1]), BUG);
            scenarios.push((format!("{overlay}-none-{name}"), text));
        }
    }
    run(&scenarios);
}
