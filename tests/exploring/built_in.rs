//! The built-in job: the original bug with no hint, each unsound lock by its name.

use lockproof::internals::search::strategy::Pct;
use lockproof::internals::search::{SearchOptions, explore, never_independent};
use serde_json::Value;

use crate::support::Theatre;
use crate::yard::Yard;

fn the_original_bug_is_found_made_small_and_kept_as_a_file_that_stands_changes() {
    let yard = Yard::new();
    let (found, code) = yard.explore(&["--seeder", "none", "--save", "kept", "--times", "4"], &[]);
    assert_eq!(code, 1, "{found:#}");
    assert!(
        found["first_violation_at"].as_u64().unwrap() <= 3,
        "{found:#}"
    );
    assert_eq!(found["strategy"], "hazards");
    assert_eq!(found["invariant"], "no-errors");
    assert_eq!(found["sqlstate"], "23503");
    assert_eq!(found["table"], "invoice_tip_splits");
    assert_eq!(
        found["constraint"],
        "invoice_tip_splits_invoice_id_invoices_id_fk"
    );
    let shrunk = &found["shrunk"];
    assert_eq!(shrunk["pods"], 2, "{found:#}");
    assert_eq!(shrunk["faults"], 0, "{found:#}");
    assert!((3..=4).contains(&shrunk["turns"].as_u64().unwrap()));
    assert_eq!(found["replay"]["same"], 4, "{found:#}");
    assert_eq!(found["replay"]["of"], 4);
    let file = found["schedule_file"].as_str().unwrap();
    assert!(file.starts_with("kept/"), "{file}");

    // Other rows.
    let text = std::fs::read_to_string(yard.path(file)).unwrap();
    let seeder = "seeder = { lock = \"none\", profile = \"tiny\" }";
    assert!(text.contains(seeder), "{text}");
    let other = text.replace(
        seeder,
        "seeder = { lock = \"none\", profile = \"tiny\", seed = 7 }",
    );
    yard.write("kept/other.toml", &other);
    // The fix makes it not so.
    let fixed = text.replace("lock = \"none\"", "lock = \"session\"");
    yard.write("fixed.toml", &fixed);
    let done = yard.run(&["run", "kept"]);
    assert_eq!(done.code, Some(0), "{done}");
    assert!(
        done.stdout.contains("2 of 2 scenarios as expected"),
        "{done}"
    );
    let done = yard.run(&["run", "fixed.toml"]);
    assert_ne!(done.code, Some(0), "{done}");
}

fn the_schedule_of_the_original_bug_stands_other_numbers_of_steps() {
    let yard = Yard::new();
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/scenarios/planted/original-bug.toml"
    );
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.contains("profile = \"tiny\""), "{text}");
    yard.write(
        "more.toml",
        &text.replace("profile = \"tiny\"", "profile = \"dev\""),
    );
    let done = yard.run(&["run", "more.toml"]);
    assert_eq!(done.code, Some(0), "{done}");
}

/// With default settings; the invariant must be one of those that name the fault of the lock.
#[track_caller]
fn unsound(lock: &str, names: &[&str]) -> Value {
    let yard = Yard::new();
    let options = ["--seeder", lock, "--no-shrink", "--times", "1"];
    let (found, code) = yard.explore(&options, &[]);
    assert_eq!(code, 1, "{lock}: {found:#}");
    let name = found["invariant"].as_str().unwrap();
    assert!(names.contains(&name), "{lock}: {found:#}");
    assert!(found["schedule_file"].is_string(), "{lock}: {found:#}");
    found
}

fn a_lock_taken_too_late_or_given_back_too_early_is_found() {
    unsound("late", &["work-under-lock"]);
    unsound("early-release", &["work-under-lock"]);
}

fn a_lock_of_a_transaction_and_a_shared_one_are_found() {
    unsound("xact", &["work-under-lock"]);
    unsound("shared", &["work-under-lock"]);
}

fn a_key_of_its_own_and_a_try_that_nobody_looks_at_are_found() {
    unsound("wrong-key", &["work-under-lock"]);
    // Of its first contended run the rows are gone before the lock is asked after.
    unsound("try-ignored", &["no-errors", "work-under-lock"]);
}

fn a_lock_of_any_connection_and_one_taken_twice_are_found() {
    unsound("pooled", &["same-session"]);
    unsound("double", &["same-session"]);
}

fn a_lock_that_an_error_or_the_end_of_the_pool_leaves_behind_is_found() {
    let found = unsound("no-finally", &["same-session"]);
    // It takes an error that the harness makes.
    let why = found["found"][0]["why"].as_str().unwrap();
    assert!(why.contains(" fails under lock 1196576591"), "{why}");
    unsound("end-first", &["same-session"]);
}

fn one_preemption_of_the_fixed_job_is_gone_through_as_a_whole() {
    let yard = Yard::new();
    let options = ["--seeder", "session", "--strategy", "preemptions"];
    let mut command = yard.command(&["explore", "--format", "json"]);
    // A sandbox's limit is not meant for this.
    let output = command.args(options).output().unwrap();
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{found:#}");
    let space = &found["space"];
    let of = |name: &str| space[name].as_u64().unwrap();
    assert_eq!(of("diverged"), 0, "{found:#}");
    assert_eq!(of("total"), of("explored") + of("pruned"), "{found:#}");
    assert!(of("total") > 100, "{found:#}");
    let claim = found["claim"].as_str().unwrap();
    assert!(claim.starts_with("all schedules held: "), "{claim}");
    eprintln!("{claim}, {} ms", found["elapsed_ms"]);
}

/// Seeds that are tried.
const SEEDS: u64 = 20;

fn random_priorities_find_a_violation_within_twenty_draws() {
    // The search starts runtimes of its own; this one is only for what comes before and after.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let text = "[subject]\nseeder = { lock = \"none\", profile = \"tiny\" }\n";
    let theatre = runtime.block_on(Theatre::open("", text));
    let mut draws: Vec<u64> = Vec::new();
    {
        let trial = runtime.block_on(theatre.rehearse()).unwrap().lean();
        let steps = u64::from(trial.measured().baseline.steps) * 2;
        let dir = tempfile::tempdir().unwrap();
        let (_never, cancel) = tokio::sync::watch::channel(false);
        let options = |seed: u64| SearchOptions {
            jobs: 2,
            all: false,
            shard: lockproof::internals::search::strategy::Shard::WHOLE,
            dir: dir.path().join(seed.to_string()),
            cancel: cancel.clone(),
        };
        for seed in 0..SEEDS {
            let mut pct = Pct::new(2, steps, 3, 40, seed);
            let options = options(seed);
            let found =
                explore(&trial, &mut pct, &never_independent, &options, None, |_| {}).unwrap();
            draws.push(found.first_violation_at.unwrap_or(u64::MAX));
        }
    }
    runtime.block_on(theatre.close());
    draws.sort_unstable();
    eprintln!("draws until the first violation: {draws:?}");
    assert!(draws[draws.len() / 2] <= 20, "{draws:?}");
}

crate::harness::tests![
    the_original_bug_is_found_made_small_and_kept_as_a_file_that_stands_changes;
    long: the_schedule_of_the_original_bug_stands_other_numbers_of_steps, a_lock_taken_too_late_or_given_back_too_early_is_found, a_lock_of_a_transaction_and_a_shared_one_are_found, a_key_of_its_own_and_a_try_that_nobody_looks_at_are_found, a_lock_of_any_connection_and_one_taken_twice_are_found, a_lock_that_an_error_or_the_end_of_the_pool_leaves_behind_is_found, one_preemption_of_the_fixed_job_is_gone_through_as_a_whole, random_priorities_find_a_violation_within_twenty_draws
];
