//! A search that was broken off is gone on with, and ends as one that was not.

use std::path::Path;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::sandbox::{becomes, finish};
use crate::yard::{Yard, psql};

const CHECKPOINT: &str = "lockproof-out/explore/checkpoint.jsonl";

/// A job under a lock, whose command does not name all that it loads.
fn locked() -> Yard {
    let yard = Yard::new();
    yard.write("job.sh", ". ./inner.sh\n");
    yard.write("inner.sh", &psql(&LOCKED));
    yard
}

const LOCKED: [&str; 4] = [
    "select pg_advisory_lock(4711)",
    "delete from t",
    "insert into t values (1)",
    "select pg_advisory_unlock(4711)",
];

/// How many schedules a checkpoint has.
fn kept(file: &Path) -> usize {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.matches('\n').count().saturating_sub(1)
}

/// Begins a search and kills it when it has kept so many schedules.
fn killed(yard: &Yard, options: &[&str], when: usize) -> usize {
    let mut command = yard.command(&["explore", "--server", "local", "--schema", "schema.sql"]);
    let child = command
        .args(options)
        .args(["--jobs", "1", "--", "sh", "job.sh"])
        .spawn()
        .unwrap();
    let file = yard.path(CHECKPOINT);
    let limit = Duration::from_secs(120);
    becomes(
        "the checkpoint",
        limit,
        || kept(&file),
        |kept| *kept >= when,
    );
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
    kill(pid, Signal::SIGKILL).unwrap();
    let done = finish(child);
    assert_eq!(done.code, None, "{done}");
    kept(&file)
}

fn a_search_that_was_killed_is_gone_on_with_and_counts_as_one_that_was_not() {
    for strategy in [
        &["--strategy", "preemptions"][..],
        &["--strategy", "pct", "--schedules", "8"],
        &["--no-faults"],
    ] {
        let yard = locked();
        let (whole, code) = yard.explore(strategy, &["sh", "job.sh"]);
        assert_eq!(code, 0, "{whole:#}");
        assert!(!yard.path(CHECKPOINT).exists(), "kept after its end");
        let kept = killed(&yard, strategy, 2);
        let mut options = strategy.to_vec();
        options.extend(["--resume", "lockproof-out/explore"]);
        let (resumed, code) = yard.explore(&options, &["sh", "job.sh"]);
        assert_eq!(code, 0, "{resumed:#}");
        for count in ["violations", "inconclusive", "missed"] {
            assert_eq!(resumed[count], whole[count], "{strategy:?} {count}");
        }
        // How many are left out as equivalent, and which, depends on what was seen of them.
        let all = |one: &serde_json::Value| {
            let space = |key: &str| one["space"][key].as_u64().unwrap_or(0);
            space("explored") + space("pruned")
        };
        assert_eq!(all(&resumed), all(&whole), "{strategy:?}");
        assert!(whole["resumed"].is_null(), "{whole:#}");
        assert_eq!(resumed["resumed"], kept, "{strategy:?}");
        assert!(!yard.path(CHECKPOINT).exists(), "kept after its end");
        // Nothing to go on with: it begins anew.
        let done = yard.explored(&options, &["sh", "job.sh"], "human");
        assert_eq!(done.code, Some(0), "{done}");
        assert!(done.text().contains("the search begins anew"), "{done}");
    }
}

fn what_is_kept_of_another_search_is_refused() {
    let yard = locked();
    let search = ["--strategy", "pct", "--schedules", "8"];
    killed(&yard, &search, 1);
    let keep = yard.path("kept");
    std::fs::create_dir(&keep).unwrap();
    let keep = keep.join("checkpoint.jsonl");
    std::fs::copy(yard.path(CHECKPOINT), &keep).unwrap();
    let refused = |options: &[&str], words: &str| {
        let mut all = options.to_vec();
        all.extend(["--resume", "kept"]);
        let done = yard.explored(&all, &["sh", "job.sh"], "human");
        done.fails(2, &[words]);
    };
    refused(
        &["--strategy", "pct", "--schedules", "9"],
        "its strategy was",
    );
    refused(&["--strategy", "preemptions"], "its strategy was");
    let mut part = search.to_vec();
    part.extend(["--shard", "0/2"]);
    refused(&part, "its part was 0/1 and is 0/2");
    let text = std::fs::read_to_string(&keep).unwrap();
    let version = format!("\"lockproof\":\"{}\"", env!("CARGO_PKG_VERSION"));
    std::fs::write(&keep, text.replace(&version, "\"lockproof\":\"0.0.1\"")).unwrap();
    refused(&search, "lockproof was 0.0.1 and is");
    std::fs::write(&keep, "no checkpoint").unwrap();
    refused(&search, "is no checkpoint of a search");
    std::fs::write(&keep, text).unwrap();
    yard.write("job.sh", ". ./inner.sh # changed\n");
    refused(&search, "a file that it names");
}

fn a_job_that_does_something_else_now_is_searched_anew() {
    let yard = locked();
    let search = ["--strategy", "pct", "--schedules", "4"];
    killed(&yard, &search, 1);
    yard.write("inner.sh", &psql(&LOCKED[..3]));
    let mut options = search.to_vec();
    options.extend(["--resume", "lockproof-out"]);
    let done = yard.explored(&options, &["sh", "job.sh"], "human");
    let words = "the job did something else when";
    assert!(done.text().contains(words), "{done}");
    assert!(done.text().contains("4 schedules in"), "{done}");
}

crate::harness::tests![
    a_search_that_was_killed_is_gone_on_with_and_counts_as_one_that_was_not,
    what_is_kept_of_another_search_is_refused,
    a_job_that_does_something_else_now_is_searched_anew,
];
