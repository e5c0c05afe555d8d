//! Several locks: each is judged, over the tables that it protects.

use super::rows_tale::Tale;
use super::*;
use crate::history::{LockAction, LockCall, LockRule, OneLock, RowsRule};
use crate::name::InvariantName::{MutualExclusion, SameSession, WorkUnderLock};
use crate::name::{LockKey, TableName};

fn advisory(key: i64, protect: &[&str]) -> OneLock {
    OneLock {
        lock: LockRule::Named(LockKey::bigint(5, key)),
        mode: None,
        protect: protect.iter().map(|&table| table.to_owned()).collect(),
    }
}

fn other(action: LockAction) -> LockCall {
    LockCall {
        key: Some(LockKey::bigint(0, 42)),
        ..call(action)
    }
}

/// A pod takes both locks, writes both tables and gives them back; `until` says how many steps of that it does under
/// the second one.
fn work(locks: Vec<OneLock>, second: &[bool; 2]) -> Vec<Line> {
    let mut story = Story::of(&["a"]);
    story.run.rules.lock = LockRule::Several(locks);
    story.start("a", 2).lock("a.0");
    for (under, table) in second.iter().zip([INVOICES, SPLITS]) {
        if *under {
            story.lock_with("a.0", other(LockAction::Lock), None);
        }
        story.write("a.1", table);
        if *under {
            story.lock_with("a.0", other(LockAction::Unlock), Some(true));
        }
    }
    story.unlock("a.0").leaves("a.0").succeeds("a");
    story.end()
}

#[test]
fn a_write_needs_each_lock_that_protects_its_table() {
    let both = || vec![advisory(KEY, &[]), advisory(42, &[])];
    let lines = work(both(), &[true, true]);
    assert_violated(&lines, &[]);
    for name in [SameSession, WorkUnderLock, MutualExclusion] {
        let said = said(&lines, name);
        assert_eq!(said.judgement, Judgement::Holds, "{name}: {}", said.why);
    }
    for second in [[true, false], [false, true]] {
        let lines = work(both(), &second);
        assert_violated(&lines, &[WorkUnderLock]);
        let said = said(&lines, WorkUnderLock);
        assert_eq!(said.findings.len(), 1, "{:?}", said.findings);
        assert!(said.why.contains("lock 42"), "{}", said.why);
    }
}

#[test]
fn a_lock_that_does_not_protect_a_table_is_not_needed_for_it() {
    let apart = || vec![advisory(KEY, &[INVOICES]), advisory(42, &[SPLITS])];
    assert_violated(&work(apart(), &[false, true]), &[]);
    let lines = work(apart(), &[true, false]);
    assert_violated(&lines, &[WorkUnderLock]);
    let said = said(&lines, WorkUnderLock);
    assert_eq!(said.findings[0].table.as_deref(), Some(SPLITS));
}

#[test]
fn an_unlock_that_fails_is_told_once() {
    let mut story = Story::of(&["a"]);
    story.run.rules.lock = LockRule::Several(vec![advisory(KEY, &[]), advisory(42, &[])]);
    story
        .start("a", 1)
        .lock_with("a.0", other(LockAction::Unlock), Some(false))
        .leaves("a.0")
        .succeeds("a");
    let lines = story.end();
    assert_violated(&lines, &[SameSession]);
    assert_eq!(said(&lines, SameSession).findings.len(), 1);
}

#[test]
fn locks_of_two_kinds_are_judged_and_a_finding_names_the_one_that_was_missing() {
    let rows = || OneLock {
        lock: LockRule::Rows(RowsRule {
            table: TableName::new("public.job"),
            how: None,
            named: true,
            children: Vec::new(),
        }),
        mode: None,
        protect: Vec::new(),
    };
    let told = |locks_row: bool, locks_key: bool| {
        let mut tale = Tale::of(LockRule::Several(vec![advisory(KEY, &[]), rows()]));
        if locks_key {
            tale.story.lock("a.1");
        }
        tale.begins("a.0");
        if locks_row {
            tale.locks("a.0", "1", "for update");
        }
        tale.works("a.0").commits("a.0");
        if locks_key {
            tale.story.unlock("a.1");
        }
        tale.over()
    };
    assert_violated(&told(true, true), &[]);
    for (row, key, missing) in [(false, true, "rows of job"), (true, false, "lock 4711")] {
        let lines = told(row, key);
        assert_violated(&lines, &[WorkUnderLock]);
        let said = said(&lines, WorkUnderLock);
        assert_eq!(said.findings.len(), 1, "{:?}", said.findings);
        let missing = missing.replace("4711", &KEY.to_string());
        assert!(said.why.contains(&missing), "{}", said.why);
    }
}

#[test]
fn what_is_not_judged_of_one_lock_is_not_judged_of_both_and_a_table_without_a_lock_is_told() {
    let none = || OneLock {
        lock: LockRule::None,
        mode: None,
        protect: vec![SPLITS.to_owned()],
    };
    let lines = work(vec![advisory(KEY, &[INVOICES]), none()], &[false, false]);
    assert_violated(&lines, &[]);
    let said = said(&lines, WorkUnderLock);
    assert_eq!(said.judgement, Judgement::NotJudged, "{}", said.why);
    let lines = work(
        vec![advisory(KEY, &[INVOICES]), advisory(42, &[INVOICES])],
        &[true, false],
    );
    let tables = vec![SPLITS.to_owned()];
    assert!(
        verdict(&lines)
            .not_tested
            .contains(&Limit::NoLockFor { tables })
    );
}
