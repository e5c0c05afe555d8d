//! Footprints of hand-written histories.

use super::touched::Held;
use super::*;
use crate::history::{
    Answer, Catalog, Ending, LockRule, OnContention, Operation, Release, Rules, TableFacts,
};
use crate::name::{LockKey, LockMode};
use crate::search::tale::{Tale, catalog, key_of};

fn rules(lock: LockRule) -> Rules {
    Rules {
        lock_mode: None,
        ignore: Vec::new(),
        lock_rows: Vec::new(),
        unguarded: Vec::new(),
        protect: Vec::new(),
        lock,
        release: Release::Unlock,
        on_contention: OnContention::Wait,
        answers: Vec::new(),
        only_sqlstates: None,
        guards: Vec::new(),
    }
}

/// The footprints of one step each of pods a and b, neither of which is its pod's last.
fn pair(a: &str, b: &str, witness: bool) -> (Footprint, Footprint) {
    let mut tale = Tale::of(&["a", "b"]).witnessed(witness);
    for (pod, sql) in [
        ("a.0", a),
        ("b.0", b),
        ("a.0", "select 1"),
        ("b.0", "select 1"),
    ] {
        tale.step(pod, sql);
    }
    let found = Footprints::of(&tale.lines(), &catalog());
    (
        found.steps[0].footprint.clone(),
        found.steps[1].footprint.clone(),
    )
}

fn commute(a: &str, b: &str) -> bool {
    let (a, b) = pair(a, b, false);
    let none = rules(LockRule::None);
    assert_eq!(independent(&a, &b, &none), independent(&b, &a, &none));
    independent(&a, &b, &none)
}

#[test]
fn steps_on_unrelated_tables_commute() {
    assert!(commute("select * from t", "select * from t"));
    assert!(commute(
        "insert into t values (1)",
        "insert into u values (1)"
    ));
    assert!(commute("update t set a = 1", "select a from u"));
    assert!(commute("select 1", "truncate t"));
    assert!(commute("begin", "truncate t"));
}

#[test]
fn steps_on_one_table_do_not_commute_if_one_writes() {
    assert!(!commute(
        "insert into t values (1)",
        "insert into t values (2)"
    ));
    assert!(!commute("update t set a = 1", "select a from t"));
    assert!(!commute(
        "select a from t for update",
        "select a from t for update"
    ));
    assert!(!commute("select * from v", "truncate t"));
    assert!(!commute("insert into u select a from t", "delete from t"));
    assert!(!commute("copy t to stdout", "copy t from stdin"));
}

#[test]
fn foreign_keys_count_as_reads_of_both_sides() {
    assert!(!commute(
        "insert into child values (1)",
        "truncate parent, child"
    ));
    assert!(!commute(
        "insert into child values (1)",
        "delete from parent"
    ));
    assert!(!commute(
        "insert into child values (1)",
        "update parent set a = 1"
    ));
    assert!(commute(
        "insert into child values (1)",
        "insert into t values (1)"
    ));
    // The grandchild goes along with the child where no witness says otherwise.
    assert!(!commute("delete from parent", "select * from child"));
}

#[test]
fn ddl_conflicts_with_its_neighbours_and_with_looks_at_the_catalog() {
    assert!(!commute(
        "alter table t add column x int",
        "select * from t"
    ));
    assert!(!commute("drop table child", "select * from parent"));
    assert!(!commute("drop table t", "create table z (a int)"));
    assert!(!commute("drop table t", "select relname from pg_class"));
    assert!(commute("select relname from pg_class", "select * from u"));
    assert!(!commute("create type x as enum ('a')", "select * from u"));
}

#[test]
fn what_cannot_be_told_conflicts_with_all() {
    for sql in [
        "do $$ begin perform 1; end $$",
        "select seed_everything()",
        "call p()",
        "select * from unknown_table",
        "select * from opaque_view",
        "insert into triggered values (1)",
        "select pg_notify('a', 'b')",
        "select * from pg_locks",
        "begin isolation level repeatable read",
        "lock table t",
    ] {
        assert!(!commute(sql, "select 1"), "{sql}");
    }
}

#[test]
fn a_connection_of_another_isolation_level_touches_everything_from_there_on() {
    let mut tale = Tale::of(&["a"]);
    tale.in_transaction("a.0", "begin isolation level serializable")
        .in_transaction("a.0", "select * from t")
        .step("a.0", "commit")
        .step("a.1", "select * from t");
    let found = Footprints::of(&tale.lines(), &catalog());
    let everything: Vec<bool> = found
        .steps
        .iter()
        .map(|step| step.footprint.everything.is_some())
        .collect();
    assert_eq!(everything, [true, true, true, false]);
}

#[test]
fn sequences_and_partitions_are_shared() {
    assert!(!commute(
        "select nextval('s')",
        "insert into serial values (1)"
    ));
    assert!(commute(
        "insert into serial values (1)",
        "insert into t values (1)"
    ));
    assert!(!commute(
        "insert into part1 values (1)",
        "select * from whole"
    ));
}

#[test]
fn advisory_locks_of_one_key_conflict_and_an_unknown_key_is_every_key() {
    let (lock, other, unknown) = (
        "select pg_advisory_lock(1)",
        "select pg_advisory_lock(2)",
        "select pg_advisory_lock(a) from u",
    );
    assert!(!commute(lock, "select pg_advisory_unlock(1)"));
    assert!(!commute(lock, "select pg_advisory_unlock_all()"));
    assert!(commute(lock, other));
    assert!(!commute(lock, unknown));
}

#[test]
fn a_lock_operation_conflicts_with_every_protected_write() {
    let (lock, write) = pair(
        "select pg_advisory_lock(1)",
        "insert into t values (1)",
        true,
    );
    let mut rules = rules(LockRule::None);
    assert!(!independent(&lock, &write, &rules));
    rules.protect = vec!["public.u".to_owned()];
    assert!(independent(&lock, &write, &rules));
}

#[test]
fn a_lock_that_is_waited_for_is_taken_with_the_step_that_gives_it_back() {
    let mut tale = Tale::of(&["a", "b"]);
    tale.lock("a.0", 7);
    let waits = tale.released("b.0", Tale::request("select pg_advisory_lock(7)"));
    tale.ended(waits, Ending::Blocked, Answer::default())
        .step("a.0", "insert into t values (1)")
        .unlock("a.0", 7)
        .ended(waits, Ending::Done, Answer::default())
        .step("a.0", "select 1")
        .step("b.0", "insert into t values (2)")
        .step("b.0", "select 1");
    let found = Footprints::of(&tale.lines(), &catalog());
    let of = |place: usize| &found.steps[place].footprint;
    let (take, waits, write, give) = (of(0), of(1), of(2), of(3));
    let named = rules(LockRule::Named(LockKey::bigint(0, 7)));
    assert!(waits.waited && independent(waits, write, &named));
    assert!(!independent(waits, give, &named));
    // What was not waited for conflicts with work; giving back conflicts with the other's work.
    assert!(!take.waited && !independent(take, of(5), &named));
    assert!(!independent(give, of(5), &named));
}

#[test]
fn protected_writes_without_the_lock_conflict_and_under_it_do_not() {
    let named = rules(LockRule::Named(LockKey::bigint(0, 7)));
    let (a, b) = pair("insert into t values (1)", "insert into u values (1)", true);
    assert!(!independent(&a, &b, &named));
    let held = |mut one: Footprint, connection: &str| {
        one.held.push(Held {
            key: key_of(7),
            mode: LockMode::Exclusive,
            connection: connection.parse().unwrap(),
        });
        one
    };
    assert!(independent(
        &held(a.clone(), "a.0"),
        &held(b.clone(), "b.0"),
        &named
    ));
    assert!(!independent(&held(a, "a.0"), &b, &named));
}

#[test]
fn the_last_steps_of_two_pods_conflict() {
    let mut tale = Tale::of(&["a", "b"]);
    tale.step("a.0", "select 1").step("b.0", "select 1");
    let found = Footprints::of(&tale.lines(), &catalog());
    let [a, b] = [&found.steps[0].footprint, &found.steps[1].footprint];
    assert!(!independent(a, b, &rules(LockRule::None)));
}

#[test]
fn the_end_of_a_transaction_has_touched_all_that_the_transaction_did() {
    let mut tale = Tale::of(&["a"]);
    tale.in_transaction("a.0", "begin")
        .in_transaction("a.0", "insert into t values (1)")
        .in_transaction("a.0", "select pg_advisory_xact_lock(7)")
        .step("a.0", "commit")
        .step("a.0", "select 1");
    let found = Footprints::of(&tale.lines(), &catalog());
    let commit = &found.steps[3];
    assert!(commit.footprint.ends_transaction);
    assert!(
        commit
            .footprint
            .did("public.t", |one| *one == Operation::Insert)
    );
    assert_eq!(commit.footprint.locks[0].key, Some(LockKey::bigint(0, 7)));
    assert!(commit.own.writes.is_empty());
    assert_eq!(found.steps[1].effective, commit.id);
    assert_eq!(found.steps[4].effective, found.steps[4].id);
}

#[test]
fn a_session_that_ends_in_a_transaction_is_the_doing_of_the_step_before() {
    let mut tale = Tale::of(&["a"]);
    tale.in_transaction("a.0", "begin")
        .in_transaction("a.0", "insert into t values (1)")
        .step("a.1", "select 1")
        .gone("a.0");
    let found = Footprints::of(&tale.lines(), &catalog());
    assert!(found.steps[2].footprint.writes.contains_key("public.t"));
}

#[test]
fn a_lock_that_goes_with_its_session_is_the_doing_of_the_step_before() {
    let mut tale = Tale::of(&["a"]);
    tale.lock("a.0", 7)
        .step("a.1", "insert into t values (1)")
        .gone("a.0");
    let found = Footprints::of(&tale.lines(), &catalog());
    assert_eq!(found.steps[1].own.locks[0].action, LockUseKind::Seen);
    assert_eq!(found.steps[1].own.held.len(), 1);
    assert!(found.steps[0].own.held.is_empty());
}

#[test]
fn the_witness_sees_what_the_text_does_not_say() {
    let mut tale = Tale::of(&["a"]);
    tale.opaque(
        "a.0",
        "do $$ begin end $$",
        &[("public.t", Operation::Truncate)],
    )
    .wrote(
        "a.0",
        "insert into t values (1)",
        &[("public.u", Operation::Update)],
    );
    let found = Footprints::of(&tale.lines(), &catalog());
    assert!(found.steps[0].own.everything.is_some());
    assert!(found.steps[0].own.writes.contains_key("public.t"));
    let tables: Vec<&String> = found.steps[1].own.writes.keys().collect();
    assert_eq!(tables, ["public.t", "public.u"]);
}

#[test]
fn a_write_of_an_unknown_step_may_be_of_any_step_of_its_connection() {
    let mut tale = Tale::of(&["a"]);
    tale.step("a.0", "select 1")
        .step("a.1", "select 1")
        .stray("a.0", "public.t");
    let found = Footprints::of(&tale.lines(), &catalog());
    assert!(found.steps[0].footprint.everything.is_some());
    assert!(found.steps[1].footprint.everything.is_none());
}

#[test]
fn the_empty_catalog_knows_no_table() {
    let mut tale = Tale::of(&["a"]);
    tale.step("a.0", "select * from t");
    let found = Footprints::of(&tale.lines(), &Catalog::default());
    assert!(found.steps[0].footprint.everything.is_some());
    assert_eq!(TableFacts::default().sequences.len(), 0);
}
