//! Hazards in hand-written histories.

use super::*;
use crate::history::{
    Catalog, Event, HeldLock, Line, LockRule, OnContention, Release, Rules, TurnEnd,
};
use crate::name::{LockKey, LockMode, PodName};
use crate::search::tale::{Tale, catalog};

pub(super) fn rules() -> Rules {
    Rules {
        protect: Vec::new(),
        lock: LockRule::None,
        lock_mode: None,
        ignore: Vec::new(),
        lock_rows: Vec::new(),
        unguarded: Vec::new(),
        release: Release::Unlock,
        on_contention: OnContention::Wait,
        answers: Vec::new(),
        only_sqlstates: None,
        guards: Vec::new(),
    }
}

pub(super) fn pods() -> [PodName; 2] {
    ["a", "b"].map(PodName::new)
}

/// The hazards of a clean run of these statements, one connection, no transaction.
pub(super) fn hazards(statements: &[&str]) -> Vec<Hazard> {
    let mut tale = Tale::of(&["a"]);
    for sql in statements {
        tale.step("a.0", sql);
    }
    mined(&[tale.lines()], &catalog())
}

pub(super) fn mined(runs: &[Vec<Line>], catalog: &Catalog) -> Vec<Hazard> {
    let runs: Vec<&[Line]> = runs.iter().map(Vec::as_slice).collect();
    mine(runs.as_slice(), catalog, &rules(), &pods())
}

pub(super) fn kinds(hazards: &[Hazard]) -> Vec<HazardKind> {
    let mut kinds: Vec<HazardKind> = hazards.iter().map(|hazard| hazard.kind).collect();
    kinds.dedup();
    kinds
}

pub(super) fn turns(hazard: &Hazard) -> Vec<String> {
    hazard
        .schedule()
        .iter()
        .map(crate::report::move_words)
        .collect()
}

pub(super) fn of(hazards: &[Hazard], kind: HazardKind) -> &Hazard {
    hazards
        .iter()
        .find(|hazard| hazard.kind == kind)
        .unwrap_or_else(|| panic!("no {kind} in {hazards:#?}"))
}

#[test]
fn the_deepest_foreign_key_with_the_longest_window_comes_first() {
    let hazards = hazards(&[
        "truncate parent, child, grandchild",
        "insert into parent (id) values (1)",
        "insert into child (id, parent_id) values (1, 1)",
        "select 1",
        "insert into grandchild (id, child_id) values (1, 1)",
    ]);
    let gone: Vec<&str> = hazards
        .iter()
        .filter(|hazard| hazard.kind == HazardKind::ParentGone)
        .filter_map(|hazard| hazard.about.as_deref())
        .collect();
    assert_eq!(gone, ["grandchild_child_fk", "child_parent_fk"]);
    let first = &hazards[0];
    assert_eq!(first.expected.sqlstate.as_deref(), Some("23503"));
    assert_eq!((first.window, first.depth), (2, 2));
    assert_eq!(
        first.title,
        "a inserts into child, then into grandchild that references it; b does `truncate parent …` in \
         between"
    );
    assert_eq!(
        turns(first),
        [
            "run a until before \"insert into grandchild\"",
            "run b until after \"truncate parent\"",
            "run a to its end"
        ]
    );
}

#[test]
fn no_row_goes_where_nobody_takes_any() {
    let hazards = hazards(&[
        "insert into parent (id) values (1)",
        "insert into child (id, parent_id) values (1, 1)",
    ]);
    assert_eq!(
        kinds(&hazards),
        [HazardKind::EqualKeys, HazardKind::Interleaved]
    );
}

#[test]
fn equal_keys_need_a_key_that_the_statement_names_and_no_tolerance() {
    let has = |sql: &str| {
        hazards(&[sql, "insert into u (a) values (1)"])
            .iter()
            .any(|hazard| hazard.kind == HazardKind::EqualKeys)
    };
    assert!(has("insert into t (id, a) values (1, 2), (2, 3)"));
    assert!(has("insert into t values (1, 2)"));
    assert!(!has("insert into t (a) values (2)"));
    assert!(!has("insert into t (id) values (1) on conflict do nothing"));
    assert!(!has("update t set a = 1"));
}

#[test]
fn rows_that_each_pod_makes_anew_have_no_equal_keys() {
    let mut tale = Tale::of(&["a", "b"]);
    tale.step("a.0", "insert into t (id) values ('one')")
        .step("b.0", "insert into t (id) values ('two')");
    let found = mined(&[tale.lines()], &catalog());
    assert!(!kinds(&found).contains(&HazardKind::EqualKeys));
}

#[test]
fn a_check_and_the_act_that_rests_on_it_can_be_parted() {
    let hazards = hazards(&["select count(*) from t", "insert into t (a) values (1)"]);
    let stale = of(&hazards, HazardKind::StaleRead);
    assert_eq!(
        stale.title,
        "a reads t and then writes t; b writes t in between (`insert into t …`)"
    );
    assert_eq!(
        turns(stale),
        [
            "run a until after \"select count\"",
            "run b to its end",
            "run a to its end"
        ]
    );
}

#[test]
fn an_update_that_writes_back_what_was_read_is_a_stale_read() {
    let hazards = hazards(&[
        "select a from t where id = 1",
        "select 1",
        "update t set a = 17 where id = 1",
    ]);
    let stale = of(&hazards, HazardKind::StaleRead);
    assert_eq!(stale.window, 2);
}

#[test]
fn one_statement_that_reads_and_writes_is_no_stale_read() {
    let hazards = hazards(&[
        "update t set a = a + 1",
        "update u set a = (select max(a) from t)",
    ]);
    assert!(!kinds(&hazards).contains(&HazardKind::StaleRead));
}

#[test]
fn what_is_read_for_update_in_the_same_transaction_is_guarded() {
    let told = |read: &str| {
        let mut tale = Tale::of(&["a"]);
        tale.in_transaction("a.0", "begin")
            .in_transaction("a.0", read)
            .in_transaction("a.0", "update t set a = 1")
            .step("a.0", "commit");
        kinds(&mined(&[tale.lines()], &catalog())).contains(&HazardKind::StaleRead)
    };
    assert!(told("select a from t"));
    assert!(!told("select a from t for update"));
}

#[test]
fn the_other_pod_goes_on_until_its_transaction_has_ended() {
    let mut tale = Tale::of(&["a"]);
    tale.in_transaction("a.0", "begin")
        .in_transaction("a.0", "delete from parent")
        .step("a.0", "commit")
        .step("a.0", "insert into parent (id) values (1)")
        .step("a.0", "insert into child (id) values (1)");
    let hazards = mined(&[tale.lines()], &catalog());
    let gone = of(&hazards, HazardKind::ParentGone);
    assert_eq!(turns(gone)[1], "run b until after \"commit\"");
}

#[test]
fn parents_and_children_of_one_transaction_cannot_be_parted() {
    let mut tale = Tale::of(&["a"]);
    tale.step("a.0", "truncate parent, child")
        .in_transaction("a.0", "begin")
        .in_transaction("a.0", "insert into parent (id) values (1)")
        .in_transaction("a.0", "insert into child (id) values (1)")
        .step("a.0", "commit");
    let hazards = mined(&[tale.lines()], &catalog());
    assert!(!kinds(&hazards).contains(&HazardKind::ParentGone));
}

#[test]
fn rows_that_are_wiped_are_one_hazard_whatever_the_tables() {
    let hazards = hazards(&[
        "truncate t, u",
        "insert into t (a) values (1)",
        "insert into u (a) values (1)",
        "insert into t (a) values (2)",
        "insert into u (a) values (2)",
    ]);
    let wiped: Vec<&Hazard> = hazards
        .iter()
        .filter(|hazard| hazard.kind == HazardKind::WipedRows)
        .collect();
    assert_eq!(wiped.len(), 1);
    assert_eq!(
        turns(wiped[0])[0],
        "run a until before \"insert into u\" (match 2)"
    );
}

pub(super) fn locked() -> Tale {
    let mut tale = Tale::of(&["a"]);
    tale.step("a.1", "delete from t")
        .lock("a.0", 7)
        .step("a.1", "insert into t (a) values (1)")
        .step("a.1", "insert into u (a) values (1)")
        .step("a.1", "insert into u (a) values (2)")
        .unlock("a.0", 7)
        .step("a.1", "update u set a = 1");
    tale
}

#[test]
fn work_before_and_after_the_lock_falls_into_the_other_pods_section() {
    let hazards = mined(&[locked().lines()], &catalog());
    let outside: Vec<Vec<String>> = hazards
        .iter()
        .filter(|hazard| hazard.kind == HazardKind::OutsideLock)
        .map(turns)
        .collect();
    assert_eq!(outside.len(), 2);
    assert!(outside.iter().any(|turns| {
        turns[0] == "run a until before \"insert into u\""
            && turns[1] == "run b until after \"delete from t\""
    }));
    assert!(outside.iter().any(|turns| {
        turns[0] == "run a until before \"update u\""
            && turns[1] == "run b until before \"insert into u\""
    }));
}

#[test]
fn a_lock_is_contended_and_its_session_lost_and_a_step_under_it_fails() {
    let hazards = mined(&[locked().lines()], &catalog());
    assert_eq!(
        turns(of(&hazards, HazardKind::Contention))[0],
        "run a until after \"select pg_advisory_lock\""
    );
    let last: Vec<HazardKind> = hazards.iter().rev().take(2).map(|one| one.kind).collect();
    assert_eq!(last, [HazardKind::LockLost, HazardKind::ErrorInSection]);
    assert_eq!(
        turns(of(&hazards, HazardKind::LockLost))[1..3],
        [
            "run b until blocked",
            "terminate-backend a, the session that holds the lock (before)"
        ]
    );
}

#[test]
fn a_definition_that_changes_is_a_hazard_for_work_on_the_table() {
    let hazards = hazards(&[
        "alter table t add column x int",
        "insert into t (a) values (1)",
        "insert into t (a) values (2)",
    ]);
    let changed = of(&hazards, HazardKind::DefinitionChanged);
    assert_eq!(
        turns(changed)[..2],
        [
            "run a until before \"insert into t\" (match 2)",
            "run b until after \"alter table t add column x int\""
        ]
    );
}

#[test]
fn the_same_hazard_at_another_place_is_no_other() {
    let flush = [
        "insert into parent (id) values (1)",
        "insert into child (id) values (1)",
    ];
    let once = hazards(&[&["delete from parent"][..], &flush].concat());
    let often = hazards(&[&["delete from parent"][..], &flush, &flush, &flush].concat());
    let gone = |hazards: &[Hazard]| {
        hazards
            .iter()
            .filter(|hazard| hazard.kind == HazardKind::ParentGone)
            .count()
    };
    assert_eq!((gone(&once), gone(&often)), (1, 1));
}

#[test]
fn a_contended_run_adds_what_only_it_shows_and_the_same_input_gives_the_same_list() {
    let mut clean = Tale::of(&["a"]);
    clean
        .step("a.0", "insert into t (a) values (1)")
        .step("a.0", "insert into t (a) values (2)");
    let mut contended = Tale::of(&["a", "b"]);
    contended
        .fails("b.0", "insert into t (a) values (1)", "40001")
        .step("b.0", "delete from t")
        .step("b.0", "insert into t (a) values (2)");
    let one = mined(&[clean.lines()], &catalog());
    let runs = [clean.lines(), contended.lines()];
    let both = mined(&runs, &catalog());
    assert!(!kinds(&one).contains(&HazardKind::WipedRows));
    assert!(kinds(&both).contains(&HazardKind::WipedRows));
    assert_eq!(both, mined(&runs, &catalog()));
    assert!(one.iter().all(|hazard| both.contains(hazard)));
}

#[test]
fn there_is_no_hazard_without_a_second_pod_or_without_steps() {
    let mut tale = Tale::of(&["a"]);
    tale.step("a.0", "insert into t (id) values (1)");
    let lines = tale.lines();
    assert!(mine(&[lines.as_slice()][..], &catalog(), &rules(), &pods()[..1]).is_empty());
    let none: &[&[Line]] = &[];
    assert!(mine(none, &catalog(), &rules(), &pods()).is_empty());
    assert!(hazards(&["select 1", "begin", "commit"]).is_empty());
}

pub(super) fn turn_ended(tale: &mut Tale, index: usize, why: TurnEnd) {
    tale.event(Event::TurnEnded { index, why });
}

pub(super) fn gone_hazard() -> Hazard {
    let hazards = hazards(&[
        "delete from parent",
        "insert into parent (id) values (1)",
        "insert into child (id) values (1)",
    ]);
    of(&hazards, HazardKind::ParentGone).clone()
}

#[test]
fn a_refutation_names_the_lock_and_its_holder() {
    let mut tale = Tale::of(&["a", "b"]);
    tale.lock("a.0", 7);
    turn_ended(&mut tale, 0, TurnEnd::Reached);
    tale.waits("b.0", "select pg_advisory_lock(7)");
    let held = |pid, granted| HeldLock {
        pid,
        key: LockKey::bigint(16_384, 7),
        mode: LockMode::Exclusive,
        granted,
    };
    tale.event(Event::Locks {
        server_us: 0,
        locks: vec![held(1000, true), held(1100, false)],
    });
    turn_ended(&mut tale, 1, TurnEnd::Blocked);
    assert_eq!(
        refuted(&gone_hazard(), &tale.lines()),
        "b could not reach `delete from parent …`: it waited for advisory lock 7, held by a"
    );
}

#[test]
fn a_refutation_tells_a_row_lock_an_early_end_and_a_run_in_which_all_held() {
    let hazard = gone_hazard();
    let mut blocked = Tale::of(&["a", "b"]);
    blocked.step("a.0", "select 1");
    turn_ended(&mut blocked, 0, TurnEnd::Reached);
    blocked.waits_for("b.0", "delete from parent", &[1000]);
    turn_ended(&mut blocked, 1, TurnEnd::Blocked);
    assert_eq!(
        refuted(&hazard, &blocked.lines()),
        "b could not reach `delete from parent …`: it waited for a row or a table that a had locked"
    );
    let mut early = Tale::of(&["a", "b"]);
    turn_ended(&mut early, 0, TurnEnd::PodEnded);
    assert_eq!(
        refuted(&hazard, &early.lines()),
        "a never came to `insert into child …`: it ended before"
    );
    let mut whole = Tale::of(&["a", "b"]);
    for index in 0..3 {
        turn_ended(&mut whole, index, TurnEnd::Reached);
    }
    assert_eq!(
        refuted(&hazard, &whole.lines()),
        "the steps ran in that order and every invariant held"
    );
    assert_eq!(
        undecided(&hazard, &whole.lines()),
        "the steps ran in that order, but whether every invariant held could not be judged"
    );
}

#[test]
fn only_what_has_a_middle_races_inside() {
    let inner = |statements: &[&str]| {
        let mut tale = Tale::of(&["a"]);
        for sql in statements {
            tale.step("a.0", sql);
        }
        let lines = tale.lines();
        let runs: [&[Line]; 1] = [&lines];
        inner_pairs(&runs[..], &catalog(), &rules(), &pods()).len()
    };
    // One moment each: their order is a hazard of another kind, or none.
    for sql in [
        "insert into parent (id) values (1)",
        "update parent set id = 2 where id = 1",
        "delete from child",
        "insert into parent (id) values (1) on conflict do nothing",
        "select * from parent",
    ] {
        assert_eq!(inner(&[sql]), 0, "{sql}");
    }
    for sql in [
        "insert into parent (id) select 1 where not exists (select from parent where id = 1)",
        "merge into parent using child on parent.id = child.id when not matched then insert values (child.id)",
        "delete from child; delete from parent",
        "select refill()",
    ] {
        assert_eq!(inner(&[sql]), 1, "{sql}");
    }
    // What it reads nobody writes, and what it writes nobody reads.
    assert_eq!(inner(&["insert into parent (id) select id from child"]), 0);
    // The other step does.
    assert_eq!(
        inner(&[
            "insert into parent (id) select id from child where id > 3",
            "update child set parent_id = (select max(id) from parent)"
        ]),
        1
    );
}
