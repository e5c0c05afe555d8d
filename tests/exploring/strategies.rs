//! Each strategy on small subjects: what it must find, and how much it says that it has seen.

use crate::yard::{REFILL, Yard, failures, locked, psql};

fn one_preemption_of_a_locked_job_is_gone_through_as_a_whole() {
    let yard = Yard::new();
    yard.write("job.sh", &locked());
    let done = yard.explored(&["--strategy", "preemptions"], &["sh", "job.sh"], "human");
    assert_eq!(done.code, Some(0), "{done}");
    assert!(
        done.text().contains("all schedules held: 12 of 12"),
        "{done}"
    );
}

fn the_reduction_leaves_schedules_out_and_loses_no_failure() {
    let yard = Yard::new();
    // Looking at what nobody writes may change places with anything of the other pod. (Three times
    // the same would be taken for polling.)
    let mut statements = vec![
        "select count(*) from setting",
        "select max(name) from setting",
        "select name from setting",
    ];
    statements.extend(REFILL);
    yard.write("job.sh", &psql(&statements));
    let explore = |more: &[&str]| {
        let mut options = vec!["--strategy", "preemptions", "--all", "--no-shrink"];
        options.extend(more);
        // On a machine without a processor for a pod that is about to leave, a run may take another
        // course; lockproof says so, claims nothing, and it has to be asked again.
        let (found, code) = (0..5)
            .map(|_| yard.explore(&options, &["sh", "job.sh"]))
            .find(|(found, _)| found["space"]["diverged"] == 0)
            .expect("five searches in a row, in each of which runs diverged");
        assert_eq!(code, 1, "{found:#}");
        let space = &found["space"];
        let of = |name: &str| space[name].as_u64().unwrap();
        assert_eq!(of("total"), of("explored") + of("pruned"), "{found:#}");
        found
    };
    let (reduced, whole) = (explore(&[]), explore(&["--unreduced"]));
    assert_eq!(failures(&reduced), failures(&whole));
    assert_eq!(reduced["space"]["total"], whole["space"]["total"]);
    assert_eq!(whole["space"]["pruned"], 0);
    assert!(
        reduced["schedules"].as_u64() < whole["schedules"].as_u64(),
        "{reduced:#}"
    );
}

fn a_sweep_does_each_fault_at_each_step_and_point() {
    let yard = Yard::new();
    // The transaction gives the lock back, whatever becomes of its session.
    let job = "select pg_advisory_xact_lock(4711);\ninsert into t values (1);\ncommit";
    yard.write("job.sh", &psql(&["begin", job]));
    let (found, code) = yard.explore(
        &["--strategy", "sweep", "--all", "--no-shrink"],
        &["sh", "job.sh"],
    );
    // Four steps; at the first two faults fewer than at the others.
    assert_eq!(found["space"]["total"], 15 + 3 * 17, "{found:#}");
    assert_eq!(found["schedules"], found["space"]["total"]);
    assert_eq!(found["violations"], 0, "{found:#}");
    assert!([0, 3].contains(&code), "{found:#}");
    for unclear in found["unclear"].as_array().unwrap() {
        assert_eq!(unclear["because"], "guard", "{found:#}");
        assert_eq!(unclear["name"], "faults-fired", "{found:#}");
    }
}

/// Between its look and its insert there is no step of another to be let in. It takes its time, so
/// that the two meet however busy the machine is.
const ONCE: &str = "insert into t select 1 where not exists (select from t where a = 1) \
                    and (select count(*) from generate_series(1, 300000)) > 0";

fn a_race_inside_a_step_is_found_by_letting_two_go_at_once_and_not_otherwise() {
    let yard = Yard::new();
    yard.write("job.sh", &psql(&[ONCE]));
    let (held, code) = yard.explore(&["--strategy", "preemptions"], &["sh", "job.sh"]);
    assert_eq!((code, &held["violations"]), (0, &0.into()), "{held:#}");
    let (found, code) = yard.explore(
        &["--strategy", "overlap", "--schedules", "50", "--times", "2"],
        &["sh", "job.sh"],
    );
    assert_eq!(code, 1, "{found:#}");
    assert_eq!(found["invariant"], "clean-state", "{found:#}");
    assert!(found["schedule_file"].is_string(), "{found:#}");
}

fn random_schedules_find_what_has_no_lock_and_claim_a_bound_where_nothing_failed() {
    let yard = Yard::new();
    yard.write("job.sh", &psql(&REFILL));
    yard.write("locked.sh", &locked());
    let (found, code) = yard.explore(
        &["--strategy", "random", "--times", "1", "--no-shrink"],
        &["sh", "job.sh"],
    );
    assert_eq!(code, 1, "{found:#}");
    assert_eq!(found["invariant"], "no-errors", "{found:#}");
    let (held, code) = yard.explore(
        &["--strategy", "random", "--no-faults", "--schedules", "10"],
        &["sh", "locked.sh"],
    );
    assert_eq!(code, 0, "{held:#}");
    let claim = held["claim"].as_str().unwrap();
    assert!(claim.contains("probability below 25.89 %"), "{claim}");
}

fn what_a_random_stagger_hits_by_chance_is_kept() {
    let yard = Yard::new();
    let (found, code) = yard.explore(
        &["--strategy", "stress", "--schedules", "100", "--times", "2"],
        &[],
    );
    assert_eq!(code, 1, "{found:#}");
    assert_eq!(found["invariant"], "no-errors", "{found:#}");
    // Whether the order in which its steps came leads there again, nobody can promise.
    assert!(found["schedule_file"].is_string(), "{found:#}");
    assert!(found["replay"]["of"].as_u64() >= Some(2), "{found:#}");
}

crate::harness::tests![
    one_preemption_of_a_locked_job_is_gone_through_as_a_whole,
    the_reduction_leaves_schedules_out_and_loses_no_failure,
    a_race_inside_a_step_is_found_by_letting_two_go_at_once_and_not_otherwise,
    random_schedules_find_what_has_no_lock_and_claim_a_bound_where_nothing_failed;
    long: a_sweep_does_each_fault_at_each_step_and_point, what_a_random_stagger_hits_by_chance_is_kept
];
