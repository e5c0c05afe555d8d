//! Hazards of what is looked at before it is written, in hand-written histories.

use super::tests::{hazards, mined, of, turns};
use super::*;
use crate::history::Line;
use crate::search::tale::{Tale, catalog};

#[test]
fn a_list_that_is_read_before_a_transaction_with_a_table_lock_is_stale_right_after_it() {
    let mut tale = Tale::of(&["a"]);
    tale.step("a.0", "select a from t")
        .in_transaction("a.0", "begin")
        .in_transaction("a.0", "update u set a = 1")
        .in_transaction("a.0", "insert into t (a) values (1)")
        .step("a.0", "commit");
    let hazards = mined(&[tale.lines()], &catalog());
    let stale = of(&hazards, HazardKind::StaleRead);
    assert_eq!(turns(stale)[0], "run a until after \"select a from t\"");
}

#[test]
fn every_form_of_a_check_is_parted_from_its_act_the_first_one_too() {
    let hazards = hazards(&[
        "select a from t",
        "select count(*) from t where a = 1",
        "insert into t (a) values (1)",
        "select max(a) from t",
    ]);
    let stops: Vec<String> = hazards
        .iter()
        .filter(|hazard| hazard.kind == HazardKind::StaleRead)
        .map(|hazard| turns(hazard)[0].clone())
        .collect();
    assert_eq!(stops.len(), 2, "{stops:?}");
    assert!(stops.contains(&"run a until after \"select a from t\"".to_owned()));
    assert!(stops.contains(&"run a until after \"select count\"".to_owned()));
}

#[test]
fn a_flag_that_is_looked_at_and_set_lets_both_past_the_look() {
    let hazards = hazards(&[
        "select a from t",
        "update t set a = 1",
        "delete from u",
        "insert into u (a) values (1)",
        "update t set a = 0",
    ]);
    let both: Vec<Vec<String>> = hazards
        .iter()
        .filter(|hazard| hazard.kind == HazardKind::CheckThenSet)
        .map(turns)
        .collect();
    assert_eq!(both.len(), 2, "{both:?}");
    for turns in &both {
        assert_eq!(turns[0], "run a until after \"select a from t\"");
        assert_eq!(turns[2..], ["run a to its end", "run b to its end"]);
    }
    assert!(
        both.iter()
            .any(|turns| turns[1] == "run b until after \"update t\"")
    );
    assert!(
        both.iter()
            .any(|turns| turns[1] == "run b until before \"insert into u\"")
    );
}

#[test]
fn two_that_share_a_lock_and_then_want_it_alone_are_stopped_in_their_transactions() {
    let tried = |first: &str| {
        let mut tale = Tale::of(&["a"]);
        tale.in_transaction("a.0", first)
            .in_transaction("a.0", "update t set a = 1")
            .step("a.0", "commit");
        mined(&[tale.lines()], &catalog())
    };
    let shared = tried("select a from t for share");
    assert_eq!(
        turns(of(&shared, HazardKind::Deadlock)),
        [
            "run a until after \"select a from t for share\"",
            "run b until after \"select a from t for share\"",
            "run a to its end",
            "run b to its end",
        ]
    );
    let plain = tried("select a from u");
    let deadlock = |hazard: &Hazard| hazard.kind == HazardKind::Deadlock;
    assert!(!plain.iter().any(deadlock), "{plain:#?}");
}

/// a reads, fails, and reads again; b writes twice.
fn begun_again() -> Vec<crate::history::Line> {
    let mut tale = Tale::of(&["a", "b"]);
    tale.step("a.0", "select a from t")
        .step("b.0", "select a from t")
        .step("b.0", "update t set a = 1")
        .step("b.0", "select a from t")
        .step("b.0", "update t set a = 2")
        .step("a.0", "update t set a = 1")
        .step("a.0", "select count(*) from t")
        .step("a.0", "select a from t")
        .step("a.0", "update t set a = 2")
        .step("a.0", "select a from t")
        .step("a.0", "update t set a = 3");
    tale.lines()
}

#[test]
fn what_a_pod_reads_only_when_it_begins_again_is_disturbed_once_more_and_not_sought_alone() {
    let mut alone = Tale::of(&["a"]);
    alone
        .step("a.0", "select a from t")
        .step("a.0", "update t set a = 1")
        .step("a.0", "select a from t")
        .step("a.0", "update t set a = 2");
    let hazards = mined(&[alone.lines(), begun_again()], &catalog());
    // No pod by itself comes to the count.
    let sought = |hazard: &Hazard| turns(hazard)[0].contains("count");
    assert!(!hazards.iter().any(sought), "{hazards:#?}");
    let again = |hazard: &&Hazard| hazard.about.as_deref() == Some("again");
    let again = hazards.iter().find(again).unwrap();
    let turns = turns(again);
    assert_eq!(turns[1], "run b until after \"update t\"");
    assert_eq!(turns[3..], ["run b to its end", "run a to its end"]);
}

#[test]
fn a_cursor_whose_name_each_run_makes_up_is_one_hazard_that_any_name_meets() {
    let run = |name: &str| {
        let mut tale = Tale::of(&["a"]);
        tale.in_transaction(
            "a.0",
            &format!("declare cur_{name} cursor for select a from t"),
        )
        .in_transaction("a.0", &format!("fetch forward 2 from cur_{name}"))
        .in_transaction("a.0", "update t set a = 1")
        .step("a.0", "commit");
        tale.lines()
    };
    let hazards = mined(&[run("11"), run("12")], &catalog());
    let stops: Vec<String> = hazards
        .iter()
        .filter(|hazard| hazard.kind == HazardKind::StaleRead)
        .map(|hazard| turns(hazard)[0].clone())
        .collect();
    assert_eq!(stops.len(), 2, "{stops:?}");
    assert!(stops.iter().all(|stop| stop.contains("\\S+")), "{stops:?}");
}

#[test]
fn what_a_function_hides_and_what_the_catalog_says_are_checks_too() {
    let hidden = hazards(&["select look()", "insert into t (a) values (1)"]);
    let stale = of(&hidden, HazardKind::StaleRead);
    assert!(
        stale.title.contains("which hides what it reads"),
        "{}",
        stale.title
    );
    let made = hazards(&[
        "select to_regclass('made') is null",
        "create table made (a int)",
    ]);
    let stale = of(&made, HazardKind::StaleRead);
    assert!(
        stale.title.contains("looks into the catalog"),
        "{}",
        stale.title
    );
    assert_eq!(turns(stale)[0], "run a until after \"select to_regclass\"");
}

#[test]
fn a_rollback_is_no_look_though_its_snapshot_outlives_a_statement() {
    let mut tale = Tale::of(&["a"]);
    tale.in_transaction("a.0", "begin isolation level serializable")
        .in_transaction("a.0", "select a from t")
        .step("a.0", "rollback")
        .step("a.0", "insert into u (a) values (1)");
    let found = mined(&[tale.lines()], &catalog());
    let titles: Vec<&str> = found.iter().map(|one| one.title.as_str()).collect();
    let of = |text: &str| titles.iter().any(|title| title.contains(text));
    assert!(
        of("a reads t and then writes u") || of("hides what it reads"),
        "{titles:?}"
    );
    assert!(!of("`rollback`") && !of("`begin"), "{titles:?}");
}

#[test]
fn a_first_turn_stops_only_where_a_pod_comes_that_runs_alone() {
    let mut alone = Tale::of(&["a"]);
    alone
        .step("a.0", "select a from t")
        .step("a.0", "insert into t (a) values (1)");
    let mut beside = Tale::of(&["a", "b"]);
    beside
        .step("a.0", "select a from t")
        .step("b.0", "select a from t")
        .step("b.0", "select count(*) from t")
        .step("b.0", "insert into t (a) values (1)")
        .step("a.0", "insert into t (a) values (1)");
    let firsts = |runs: &[Vec<Line>]| -> Vec<String> {
        let found = mined(runs, &catalog());
        found
            .iter()
            .map(|hazard| turns(hazard)[0].clone())
            .collect()
    };
    let (alone, beside) = (alone.lines(), beside.lines());
    let count = "run a until after \"select count\"".to_owned();
    let both = firsts(&[alone, beside]);
    assert!(!both.is_empty() && !both.contains(&count), "{both:?}");
}

#[test]
fn names_that_are_made_up_in_each_run_make_no_other_hazards_and_no_stops() {
    let run = |name: &str| {
        let mut tale = Tale::of(&["a"]);
        tale.step("a.0", "select to_regclass('made') is null")
            .step("a.0", &format!("create table \"tmp_{name}\" (id int)"))
            .step("a.0", "select count(*) from t")
            .step("a.0", &format!("drop table \"tmp_{name}\""))
            .step("a.0", "insert into t (a) values (1)");
        tale.lines()
    };
    let (one, two) = (run("aB3"), run("cD4"));
    let key = |found: &[Hazard]| found.iter().map(Hazard::key).collect::<Vec<_>>();
    let first = mined(&[one.clone(), two.clone()], &catalog());
    assert_eq!(
        key(&first),
        key(&mined(&[two.clone(), one.clone()], &catalog()))
    );
    let stops: Vec<String> = first.iter().flat_map(turns).collect();
    assert!(!stops.iter().any(|stop| stop.contains("tmp_")), "{stops:?}");
    assert!(!stops.is_empty());
}
