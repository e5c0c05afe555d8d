//! `--survey` and `--strategy every`: every schedule is counted, what is violated comes again, and a job that
//! is not sound is told of.

use serde_json::Value;

use crate::yard::{Yard, locked, psql};

/// A scenario of a job in the yard.
fn scenario(yard: &Yard, name: &str, more: &str) {
    yard.write(
        &format!("{name}.toml"),
        &format!(
            "title = \"{name}\"\n[subject]\ncommand = [\"bash\", \"{name}.sh\"]\nschema = \"schema.sql\"\n\
             {more}\n"
        ),
    );
}

/// The lock on one session, the work on another: the lock is lost, and the work goes on.
fn split() -> String {
    format!(
        "source {}/scenarios/lib/sessions.bash
open lock
open work
ask lock 'select pg_advisory_lock(4711)' || exit 1
ask work 'insert into t values (1)' || exit 1
ask work 'insert into t values (2)' || exit 1
ask lock 'select pg_advisory_unlock(4711)' || exit 1
close work
close lock
",
        env!("CARGO_MANIFEST_DIR")
    )
}

fn count(value: &Value, name: &str) -> u64 {
    value[name].as_u64().unwrap()
}

fn a_sweep_counts_every_schedule_and_what_it_finds_comes_again() {
    let yard = Yard::new();
    yard.write("split.sh", &split());
    scenario(&yard, "split", "release = \"any\"");
    let done = yard.run(&[
        "explore",
        "--strategy",
        "sweep",
        "--survey",
        "--no-shrink",
        "--format",
        "json",
        "--scenario",
        "split.toml",
        "--faults",
        "terminate-backend",
        "--save",
        "found",
    ]);
    let document = done.json();
    assert_eq!(done.code, Some(1), "{document:#}");
    let swept = &document["subjects"][0];
    let of = |name| count(swept, name);
    // The lock, two writes, the unlock: 4 steps, 3 points, 2 ways on.
    assert_eq!((of("steps"), of("schedules"), of("run")), (4, 24, 24));
    assert_eq!(of("held") + of("violated") + of("inconclusive"), 24);
    let not_fired: u64 = swept["not_fired"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| count(one, "times"))
        .sum();
    assert_eq!(of("fired") + not_fired, 24, "{swept:#}");
    // Before the first step no session holds the lock.
    assert!(not_fired >= 2, "{swept:#}");
    assert!(of("violated") > 0, "{swept:#}");
    let by_invariant = &swept["by_invariant"];
    assert_eq!(
        count(by_invariant, "work-under-lock"),
        of("violated"),
        "{swept:#}"
    );
    let replayed = &swept["replayed"];
    assert_eq!(count(replayed, "of"), of("violated"));
    assert_eq!(count(replayed, "same"), of("violated"), "{swept:#}");
    let groups = swept["groups"].as_array().unwrap();
    let in_groups: u64 = groups.iter().map(|group| count(group, "times")).sum();
    assert_eq!(in_groups, of("violated"));
    // What was kept is a scenario that expects what was found.
    let run = yard.run(&["run", "found"]);
    assert_eq!(run.code, Some(0), "{run}");
}

fn a_lost_update_that_a_function_writes_is_confirmed_by_a_sweep_without_the_witness() {
    let yard = Yard::new();
    yard.write(
        "hidden.sql",
        "create table counter (n int);\ninsert into counter values (0);\n\
         create function put(i int) returns void language sql as 'update counter set n = i';\n",
    );
    let root = env!("CARGO_MANIFEST_DIR");
    // The session that is ended rests for good after its one step: where the end comes after that step, the pod
    // does not hear of it and ends well, so the lost update is all that is wrong.
    yard.write(
        "hidden.sh",
        &format!(
            "source {root}/scenarios/lib/sessions.bash\nopen s\nopen spare\nask s 'select n from counter'\n\
             n=$answer\nask spare 'select 1'\nask s \"select put($((n + 1)))\"\nclose s\n"
        ),
    );
    yard.write(
        "hidden.toml",
        "title = \"hidden\"\n[subject]\ncommand = [\"bash\", \"hidden.sh\"]\nschema = \"hidden.sql\"\n",
    );
    let done = yard.run(&[
        "sweep",
        "--format",
        "json",
        "--scenario",
        "hidden.toml",
        "--faults",
        "terminate-backend",
    ]);
    let document = done.json();
    let swept = &document["subjects"][0];
    assert_eq!(done.code, Some(1), "{document:#}");
    // No text tells that both wrote, and a counter of 1 is that of a serial run of one pod. The run with the
    // witness tells that there were two.
    assert!(
        count(&swept["by_invariant"], "clean-state") > 0,
        "{swept:#}"
    );
    assert_eq!(
        count(swept, "confirmed"),
        count(swept, "violated"),
        "{swept:#}"
    );
}

fn a_sweep_of_a_job_that_stops_with_its_lock_finds_nothing() {
    let yard = Yard::new();
    yard.write("job.sh", &locked());
    scenario(&yard, "job", "release = \"any\"");
    let done = yard.run(&[
        "explore",
        "--strategy",
        "sweep",
        "--survey",
        "--format",
        "json",
        "--scenario",
        "job.toml",
        "--faults",
        "error,kill",
    ]);
    let document = done.json();
    let swept = &document["subjects"][0];
    assert_eq!(count(swept, "violated"), 0, "{document:#}");
    assert_eq!(count(swept, "run"), 6 * 3 * 2 * 2, "{document:#}");
    assert!(swept["groups"].as_array().unwrap().is_empty());
}

fn the_figure_of_false_alarms_is_that_of_as_many_schedules_as_were_asked_for() {
    let yard = Yard::new();
    std::fs::create_dir(yard.path("sound")).unwrap();
    yard.write("sound/schema.sql", crate::yard::SHOP);
    for name in ["sound/locked", "sound/alone"] {
        let stem = name.strip_prefix("sound/").unwrap();
        let script = match stem {
            "locked" => locked(),
            _ => psql(&["insert into setting values ('x') on conflict do nothing"]),
        };
        yard.write(&format!("{name}.sh"), &script);
        yard.write(
            &format!("{name}.toml"),
            &format!(
                "title = \"{stem}\"\n[subject]\ncommand = [\"sh\", \"{name}.sh\"]\n\
                 schema = \"schema.sql\"\nrelease = \"any\"\n[search]\nfaults = [\"kill\"]\n"
            ),
        );
    }
    // By its old name: the line that says so goes to standard error.
    let done = yard.run(&[
        "false-alarms",
        "--format",
        "json",
        "--schedules",
        "61",
        "sound",
    ]);
    assert!(
        done.stderr.contains("--strategy every --format json"),
        "{done}"
    );
    let document = done.json();
    assert_eq!(count(&document, "violations"), 0, "{document:#}");
    assert_eq!(count(&document, "schedules"), 61, "{document:#}");
    assert_eq!(document["subjects"].as_array().unwrap().len(), 2);
    assert_eq!(document["strategies"].as_array().unwrap().len(), 8);
}

fn a_subject_that_is_not_sound_is_told_with_its_schedule() {
    let yard = Yard::new();
    yard.write("refill.sh", &psql(&crate::yard::REFILL));
    scenario(&yard, "refill", "");
    let done = yard.run(&[
        "explore",
        "--strategy",
        "every",
        "--schedules",
        "8",
        "--scenario",
        "refill.toml",
    ]);
    assert_eq!(done.code, Some(1), "{done}");
    let text = done.text();
    assert!(text.contains("FAILED"), "{done}");
    assert!(text.contains("lockproof run "), "{done}");
    assert!(
        text.contains("8 schedules of 1 subject with 8 strategies: "),
        "{done}"
    );
    assert!(!text.contains(": 0 violated"), "{done}");
}

crate::harness::tests![
    a_sweep_counts_every_schedule_and_what_it_finds_comes_again,
    a_lost_update_that_a_function_writes_is_confirmed_by_a_sweep_without_the_witness,
    the_figure_of_false_alarms_is_that_of_as_many_schedules_as_were_asked_for;
    long: a_sweep_of_a_job_that_stops_with_its_lock_finds_nothing, a_subject_that_is_not_sound_is_told_with_its_schedule
];
