//! What is not known of a lock row: each a good history that lacks something.

use super::lease_tale::*;
use super::*;
use crate::history::*;
use crate::name::InvariantName::*;

fn good() -> Vec<Line> {
    let mut tale = Tale::of(rule());
    tale.takes("a.0", 1).works("a.1").gives_back("a.0");
    tale.takes("b.0", 2).works("b.1").gives_back("b.0");
    tale.over()
}

/// Asserts that these invariants cannot be told, in these words.
#[track_caller]
fn assert_unclear(lines: &[Line], words: &str) {
    assert_eq!(verdict(lines).judgement, Judgement::Inconclusive);
    for name in [SameSession, WorkUnderLock, MutualExclusion, NoLeak] {
        let said = said(lines, name);
        assert_eq!(
            said.judgement,
            Judgement::Inconclusive,
            "{name}: {}",
            said.why
        );
        assert!(said.why.contains(words), "{name}: {}", said.why);
    }
}

fn is_change(event: &Event) -> bool {
    matches!(event, Event::LockRow(_))
}

#[test]
fn a_change_that_nobody_logged_is_missed_at_the_next_one() {
    assert_violated(&good(), &[]);
    assert_unclear(&without(good(), 1, is_change), "no line tells that change");
}

#[test]
fn a_stranger_who_changes_the_row_is_told() {
    let bad = change(good(), 1, |event| match event {
        Event::LockRow(change) => {
            change.connection = None;
            change.session.pid = 77;
            true
        }
        _ => false,
    });
    assert_unclear(
        &bad,
        "session 77, which did not come through lockproof, changed the lock row",
    );
}

#[test]
fn a_trigger_that_the_job_dropped_saw_nothing() {
    let bad = change(good(), 0, |event| match event {
        Event::Witness { lost, .. } => {
            lost.push("public.lease".to_owned());
            true
        }
        _ => false,
    });
    assert_unclear(&bad, "public.lease");
}

#[test]
fn without_a_witness_nothing_is_known_of_the_row() {
    let bad = change(good(), 0, |event| match event {
        Event::Run(run) => {
            run.witness = false;
            true
        }
        _ => false,
    });
    assert_unclear(&bad, "no witness");
}

#[test]
fn what_was_rolled_back_falls_out_of_the_chain() {
    let mut tale = Tale::of(rule());
    tale.takes("a.0", 1);
    let row = tale.row.clone();
    // b's take-over, and a release of a's: each in a savepoint that is rolled back.
    tale.takes("b.0", 2);
    tale.row.clone_from(&row);
    tale.gives_back("a.0");
    tale.row = row;
    tale.works("a.1").gives_back("a.0");
    let mut lines = tale.over();
    for _ in 0..2 {
        lines = change(lines, 1, |event| match event {
            Event::LockRow(change) if change.fate == Some(Fate::Committed) => {
                change.fate = Some(Fate::RolledBack);
                true
            }
            _ => false,
        });
    }
    assert_violated(&lines, &[]);
}

#[test]
fn a_lease_that_runs_out_by_the_clock_while_the_gate_holds_its_pod_says_nothing() {
    let mut tale = Tale::of(rule());
    tale.takes("a.0", 1);
    tale.story.pass(u64::try_from(LEASE).unwrap() + 1);
    tale.takes("b.0", 2)
        .works("a.1")
        .works("b.1")
        .gives_back("b.0");
    let lines = tale.touches_nothing("a.0").over();
    let said = said(&lines, WorkUnderLock);
    assert_eq!(said.judgement, Judgement::Inconclusive, "{}", said.why);
    assert!(said.why.contains("shorter than the run"), "{}", said.why);
    assert!(said.why.contains("expire"), "{}", said.why);
}

#[test]
fn a_dead_pods_lease_may_run_out_by_the_clock() {
    let mut tale = Tale::of(rule());
    tale.takes("a.0", 1).works("a.1");
    tale.story.killed("a", 2);
    tale.story.pass(u64::try_from(LEASE).unwrap() + 1);
    tale.takes("b.0", 2).works("b.1").gives_back("b.0");
    assert_violated(&tale.ends("b").story.end(), &[]);
}

#[test]
fn a_table_that_is_emptied_gives_the_lock_away() {
    let mut tale = Tale::of(rule());
    tale.takes("a.0", 1).works("a.1");
    tale.story
        .witness("b.0", "public.lease", None, Operation::Truncate);
    tale.row = None;
    assert_violated(&tale.over(), &[SameSession]);
}
