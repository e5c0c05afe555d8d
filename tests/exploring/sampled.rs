//! `--sample`: fewer switch points in long jobs, as many as were foretold, and what is left out is told.

use crate::yard::{Yard, psql};

/// A job under a lock with 30 equal statements.
fn long() -> Yard {
    let yard = Yard::new();
    let mut statements = vec!["select pg_advisory_lock(4711)", "delete from t"];
    statements.extend(["insert into t values (1)"; 30]);
    statements.push("select pg_advisory_unlock(4711)");
    yard.write("job.sh", &psql(&statements));
    yard
}

/// The number behind `about` on the line of what a search will take.
fn foretold(text: &str) -> u64 {
    let told = text
        .split("about ")
        .nth(1)
        .unwrap_or_else(|| panic!("{text}"));
    told.split(' ').next().unwrap().parse().unwrap()
}

fn a_sample_runs_as_many_schedules_as_were_foretold_and_tells_what_it_left_out() {
    let yard = long();
    for (strategy, expected) in [
        // Six of 33 steps stay, and before the first of them nothing is preempted.
        (&["--strategy", "preemptions", "--unreduced"][..], 2 + 2 * 5),
        (&["--strategy", "sweep", "--faults", "kill", "--all"], 6 * 3),
    ] {
        let mut options = strategy.to_vec();
        options.extend(["--no-shrink", "--sample"]);
        let done = yard.explored(&options, &["sh", "job.sh"], "json");
        let found = done.json();
        assert_eq!(found["violations"], 0, "{found:#}");
        assert_eq!(found["schedules"], expected, "{found:#}");
        assert_eq!(foretold(&done.stderr), expected, "{done}");
        let left_out = &found["sampled_out"];
        assert_eq!(left_out.as_array().unwrap().len(), 1, "{found:#}");
        assert_eq!(left_out[0]["statement"], "insert into t values (?)");
        assert_eq!(
            (&left_out[0]["steps"], &left_out[0]["left_out"]),
            (&30.into(), &27.into())
        );
        let claim = found["claim"].as_str().unwrap();
        assert!(claim.starts_with("the sampled schedules held"), "{claim}");
        assert!(found["strategy"].as_str().unwrap().ends_with(", sampled"));
    }
    let done = yard.explored(
        &["--strategy", "sweep", "--faults", "kill", "--sample"],
        &["sh", "job.sh"],
        "human",
    );
    let not_tested = done.text().split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        not_tested.contains(
            "not tested --sample: a switch or fault at 27 of 30 steps \"insert into t values (?)\""
        ),
        "{done}"
    );
}

fn without_a_lock_the_built_in_job_fails_in_a_sample_too() {
    let yard = Yard::new();
    let (found, code) = yard.explore(
        &["--strategy", "preemptions", "--sample", "--no-shrink"],
        &[],
    );
    assert_eq!(code, 1, "{found:#}");
    // With one preemption it is equal keys; the original error takes two.
    assert_eq!(found["sqlstate"], "23505", "{found:#}");
    assert!(
        !found["sampled_out"].as_array().unwrap().is_empty(),
        "{found:#}"
    );
}

fn parts_of_a_sample_are_the_sample_and_do_not_fit_a_whole_search() {
    let yard = long();
    let part = |index: &str, sample: bool| {
        let out = format!("part-{index}");
        let shard = format!("{index}/2");
        let mut options = vec!["--strategy", "preemptions", "--no-shrink"];
        options.extend(["--out", &out, "--shard", &shard]);
        options.extend(sample.then_some("--sample"));
        yard.explore(&options, &["sh", "job.sh"]).0
    };
    let (one, other) = (part("0", true), part("1", true));
    let merged = yard.run(&["merge", "part-0", "part-1", "--format", "json"]);
    let merged = merged.json();
    assert_eq!(merged["space"]["total"], 12, "{one:#}\n{other:#}");
    assert_eq!(merged["sampled_out"], one["sampled_out"]);
    part("1", false);
    let refused = yard.run(&["merge", "part-0", "part-1"]);
    refused.fails(2, &["not parts of one search", "sampled"]);
}

fn a_search_that_is_told_what_to_find_ends_with_0_where_that_is_what_it_finds() {
    let yard = Yard::new();
    yard.write("job.sh", &psql(&crate::yard::REFILL));
    let search = |more: &[&str]| {
        let mut options = vec!["--no-shrink"];
        options.extend(more);
        yard.explored(&options, &["sh", "job.sh"], "json")
    };
    let first = search(&[]).json();
    let (rule, state) = (
        first["invariant"].as_str().unwrap(),
        first["sqlstate"].as_str().unwrap(),
    );
    let expected = [
        "--violates",
        rule,
        "--sqlstate",
        state,
        "--may-violate",
        "progress,clean-state",
    ];
    let done = search(&expected);
    assert_eq!(done.code, Some(0), "{done}");
    assert_eq!(done.json()["unexpected"], serde_json::json!([]));
    let other = search(&[
        "--violates",
        rule,
        "--sqlstate",
        "40P01",
        "--may-violate",
        "progress,clean-state",
    ]);
    assert_eq!(other.code, Some(1), "{other}");
    assert!(
        other.json()["unexpected"].to_string().contains("40P01"),
        "{other}"
    );
    let none = search(&["--verdict", "holds"]);
    assert_eq!(none.code, Some(1), "{none}");
    search(&["--violates", rule, "--shard", "0/2"]).fails(2, &["asked of a whole search"]);
    search(&["--guards", "contention"]).fails(2, &["--guards"]);
}

crate::harness::tests![
    a_sample_runs_as_many_schedules_as_were_foretold_and_tells_what_it_left_out,
    a_search_that_is_told_what_to_find_ends_with_0_where_that_is_what_it_finds,
    parts_of_a_sample_are_the_sample_and_do_not_fit_a_whole_search,
    without_a_lock_the_built_in_job_fails_in_a_sample_too
];
