//! Parts of a search, side by side or on machines of their own, are the search.

use serde_json::Value;

use crate::yard::{REFILL, Yard, failures, locked, psql};

const COUNTS: [&str; 4] = [
    "schedules",
    "violations",
    "inconclusive",
    "first_violation_at",
];

/// What does not depend on who ran it.
fn counts(document: &Value) -> Vec<(&'static str, Value)> {
    COUNTS
        .iter()
        .map(|name| (*name, document[*name].clone()))
        .collect()
}

fn the_number_of_jobs_changes_nothing_but_the_time() {
    let yard = Yard::new();
    yard.write("job.sh", &psql(&REFILL));
    for strategy in ["hazards", "preemptions", "pct"] {
        for all in [true, false] {
            let with = |jobs| {
                let mut options = vec!["--strategy", strategy, "--schedules", "8"];
                options.extend(["--no-shrink", "--jobs", jobs]);
                options.extend(all.then_some("--all"));
                yard.explore(&options, &["sh", "job.sh"]).0
            };
            let (one, three) = (with("1"), with("3"));
            assert_eq!(counts(&one), counts(&three), "{strategy}");
            assert_eq!(failures(&one), failures(&three), "{strategy}");
            assert_eq!(one["space"], three["space"], "{strategy}");
        }
    }
}

/// The search as a whole, and as three parts that are merged.
#[track_caller]
fn whole_and_merged(yard: &Yard, options: &[&str], job: &str) -> (Value, Value) {
    let (whole, _) = yard.explore(options, &["sh", job]);
    let mut parts = Vec::new();
    for part in ["0/3", "1/3", "2/3"] {
        let out = format!("part-{}", &part[..1]);
        let mut with = options.to_vec();
        with.extend(["--shard", part, "--out", &out]);
        let (found, _) = yard.explore(&with, &["sh", job]);
        assert_eq!(found["shard"].as_array().unwrap()[1], 3);
        parts.push(out);
    }
    // In any order.
    let merged = yard.run(&["merge", "--format", "json", &parts[2], &parts[0], &parts[1]]);
    (whole, merged.json())
}

fn three_parts_are_the_whole_with_no_gap_and_nothing_twice() {
    let yard = Yard::new();
    yard.write("job.sh", &psql(&REFILL));
    yard.write("locked.sh", &locked());
    for (options, job) in [
        (
            &["--strategy", "random", "--schedules", "8", "--no-faults"][..],
            "job.sh",
        ),
        (&["--strategy", "preemptions"], "locked.sh"),
    ] {
        let mut all = vec!["--all", "--no-shrink"];
        all.extend(options);
        let (whole, merged) = whole_and_merged(&yard, &all, job);
        if options[1] == "preemptions" {
            // How many are left out depends on which part comes to what: all of them are accounted for.
            let of = |name: &str| merged["space"][name].as_u64().unwrap();
            assert_eq!(whole["space"]["total"], merged["space"]["total"]);
            assert_eq!(of("total"), of("explored") + of("pruned"), "{merged:#}");
            assert_eq!(failures(&whole), failures(&merged), "{options:?}");
            continue;
        }
        assert_eq!(whole["first_violation_at"], merged["first_violation_at"]);
        for name in ["schedules", "violations", "inconclusive", "space"] {
            assert_eq!(whole[name], merged[name], "{options:?} {name}");
        }
        assert_eq!(whole["claim"], merged["claim"], "{options:?}");
        assert_eq!(failures(&whole), failures(&merged), "{options:?}");
    }
}

fn an_indexed_job_says_which_part_and_parts_that_do_not_fit_are_refused() {
    let yard = Yard::new();
    yard.write("job.sh", &locked());
    let part = |shard: &str, index: &str, out: &str, strategy: &str| {
        let arguments = ["explore", "--format", "json", "--schema", "schema.sql"];
        let more = ["--strategy", strategy, "--schedules", "3", "--shard", shard];
        let mut command = yard.command(&arguments);
        command
            .args(more)
            .args(["--out", out, "--", "sh", "job.sh"]);
        let done =
            crate::sandbox::finish(command.env("JOB_COMPLETION_INDEX", index).spawn().unwrap());
        assert_eq!(done.code, Some(0), "{done}");
        done.json()
    };
    let second = part("2", "1", "second", "pct");
    assert_eq!(second["shard"], serde_json::json!([1, 2]));
    assert_eq!(second["schedules"], 1);
    part("0/2", "7", "first", "pct");
    part("0/2", "7", "other", "random");
    // There are fewer schedules than parts: this one has none, and that is no failure.
    let empty = part("3/4", "0", "empty", "pct");
    assert_eq!(empty["schedules"], 0);

    let done = yard.run(&["merge", "first", "second"]);
    assert_eq!(done.code, Some(0), "{done}");
    assert!(
        done.text().contains("2 parts, 3 schedules: 0 failed"),
        "{done}"
    );
    // A node that was lost and the one that took its place may both have left a part.
    let twice = yard.run(&["merge", "second", "first", "first"]);
    assert_eq!(twice.code, Some(0), "{twice}");
    for words in ["2 parts, 3 schedules: 0 failed", "part 0/2 is there twice"] {
        assert!(twice.text().contains(words), "{twice}");
    }
    let text = std::fs::read_to_string(yard.path("first/explore/explore.json")).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    yard.write("old.json", &text.replace(version, "0.0.1"));
    yard.write("torn.json", &text[..text.len() / 2]);
    yard.write("none.json", "{}");
    for (parts, words) in [
        (&["first"][..], "a part is missing: 1/2"),
        (
            &["other", "second"],
            "not parts of one search: the strategy of",
        ),
        (&["first", "empty"], "not parts of one search: "),
        (&["nowhere"], "nowhere: there is no explore.json"),
        (
            &["old.json", "second"],
            "made by lockproof 0.0.1; this is lockproof",
        ),
        (
            &["torn.json", "second"],
            "torn.json: not the result of a search",
        ),
        (
            &["none.json", "second"],
            "made by another version of lockproof",
        ),
    ] {
        let mut arguments = vec!["merge"];
        arguments.extend(parts);
        let done = yard.run(&arguments);
        done.fails(2, &[words]);
    }
}

crate::harness::tests![
    an_indexed_job_says_which_part_and_parts_that_do_not_fit_are_refused;
    long: the_number_of_jobs_changes_nothing_but_the_time, three_parts_are_the_whole_with_no_gap_and_nothing_twice
];
