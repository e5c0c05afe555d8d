//! The planted bugs of the built-in subject, as histories: each is caught by the invariant that
//! names it, and by no other than those that it breaks too.

use super::*;
use crate::history::*;
use crate::name::{LockKey, LockMode};
use InvariantName::*;

fn both_end(story: &mut Story) -> Vec<Line> {
    story.succeeds("a").succeeds("b").end()
}

fn named(story: &mut Story) {
    story.run.rules.lock = LockRule::Named(LockKey::bigint(0, KEY));
}

#[test]
fn no_lock_at_all_is_caught_where_the_scenario_names_the_lock() {
    let mut story = Story::of(&["a", "b"]);
    named(&mut story);
    story
        .start("a", 1)
        .write("a.0", INVOICES)
        .start("b", 1)
        .write("b.0", INVOICES)
        .write("a.0", SPLITS);
    let lines = both_end(&mut story);
    // b's write is between a's first and last; a's last is after b's only one.
    assert_violated(&lines, &[WorkUnderLock, MutualExclusion]);
    assert_eq!(said(&lines, MutualExclusion).findings.len(), 1);
    assert_eq!(said(&lines, WorkUnderLock).findings.len(), 3);
}

#[test]
fn no_lock_at_all_one_after_the_other_breaks_work_under_lock_only() {
    let mut story = Story::of(&["a", "b"]);
    named(&mut story);
    story
        .start("a", 1)
        .write("a.0", INVOICES)
        .write("a.0", SPLITS)
        .start("b", 1)
        .write("b.0", INVOICES)
        .write("b.0", SPLITS);
    assert_violated(&both_end(&mut story), &[WorkUnderLock]);
}

#[test]
fn no_lock_is_not_judged_where_nobody_names_one_and_errors_still_are() {
    let mut story = Story::of(&["a", "b"]);
    story.run.rules.lock = LockRule::None;
    story
        .start("a", 1)
        .write("a.0", INVOICES)
        .start("b", 1)
        .write("b.0", INVOICES)
        .fails("a.0", SPLITS, error("23503", "violates foreign key"))
        .exits("a", 1)
        .succeeds("b");
    let lines = story.end();
    assert_violated(&lines, &[NoErrors, Progress]);
    for name in [SameSession, WorkUnderLock, MutualExclusion] {
        let said = said(&lines, name);
        assert_eq!(said.judgement, Judgement::NotJudged);
        assert!(verdict(&lines).not_tested.iter().any(
            |limit| matches!(limit, Limit::NotJudged { invariant, .. } if *invariant == name)
        ),);
    }
}

#[test]
fn pooled_lock_and_unlock_on_different_connections_are_caught() {
    let mut story = Story::of(&["a"]);
    story
        .start("a", 2)
        .lock("a.0")
        .write("a.1", INVOICES)
        .lock_with("a.1", call(LockAction::Unlock), Some(false))
        .leaves("a.0")
        .leaves("a.1")
        .succeeds("a");
    let lines = story.end();
    assert_violated(&lines, &[SameSession]);
    // The unlock that failed, and the grant that only its session's end ended.
    assert_eq!(said(&lines, SameSession).findings.len(), 2);
}

#[test]
fn a_late_lock_is_caught() {
    let mut story = Story::of(&["a"]);
    story
        .start("a", 2)
        .write("a.1", INVOICES)
        .lock("a.0")
        .write("a.1", SPLITS)
        .unlock("a.0")
        .leaves("a.0")
        .succeeds("a");
    let lines = story.end();
    assert_violated(&lines, &[WorkUnderLock]);
    assert_eq!(said(&lines, WorkUnderLock).findings.len(), 1);
}

#[test]
fn a_late_lock_whose_first_write_lands_in_anothers_section_breaks_mutual_exclusion_too() {
    let mut story = Story::of(&["a", "b"]);
    story
        .start("a", 2)
        .write("a.1", INVOICES)
        .lock("a.0")
        .start("b", 2)
        .write("b.1", INVOICES)
        .waits("b.0")
        .write("a.1", SPLITS)
        .unlock("a.0")
        .granted("b.0")
        .write("b.1", SPLITS)
        .unlock("b.0");
    story.leaves("a.0").leaves("b.0");
    assert_violated(&both_end(&mut story), &[WorkUnderLock, MutualExclusion]);
}

#[test]
fn an_early_release_is_caught() {
    let mut story = Story::of(&["a"]);
    story
        .start("a", 2)
        .lock("a.0")
        .write("a.1", INVOICES)
        .unlock("a.0")
        .write("a.1", SPLITS)
        .leaves("a.0")
        .succeeds("a");
    assert_violated(&story.end(), &[WorkUnderLock]);
}

#[test]
fn a_try_lock_whose_answer_is_ignored_is_caught() {
    let mut story = Story::of(&["a", "b"]);
    story
        .start("a", 2)
        .lock_with("a.0", call(LockAction::TryLock), Some(true))
        .write("a.1", INVOICES)
        .start("b", 2)
        .lock_with("b.0", call(LockAction::TryLock), Some(false))
        .write("b.1", INVOICES)
        .write("a.1", SPLITS)
        .unlock("a.0")
        .write("b.1", SPLITS)
        .lock_with("b.0", call(LockAction::Unlock), Some(false));
    story.leaves("a.0").leaves("b.0");
    let lines = both_end(&mut story);
    assert_violated(&lines, &[SameSession, WorkUnderLock, MutualExclusion]);
    let why = said(&lines, MutualExclusion).why;
    assert!(why.contains("pod b wrote public.invoices"), "{why}");
    assert!(
        why.contains("a.0 (session 1000) held lock 1196576591"),
        "{why}"
    );
}

#[test]
fn a_transaction_lock_that_ends_before_the_work_is_caught() {
    let mut story = Story::of(&["a"]);
    let xact = LockCall {
        xact: true,
        ..call(LockAction::Lock)
    };
    story
        .start("a", 2)
        .lock_with("a.0", xact, None)
        .write("a.1", INVOICES)
        .leaves("a.0")
        .succeeds("a");
    // The grant itself ended as it should, with its transaction.
    assert_violated(&story.end(), &[WorkUnderLock]);
}

#[test]
fn a_shared_lock_is_caught() {
    let mut story = Story::of(&["a", "b"]);
    let shared = |action| LockCall {
        mode: LockMode::Share,
        ..call(action)
    };
    story
        .start("a", 2)
        .lock_with("a.0", shared(LockAction::Lock), None)
        .start("b", 2)
        .lock_with("b.0", shared(LockAction::Lock), None)
        .write("a.1", INVOICES)
        .write("b.1", INVOICES)
        .lock_with("a.0", shared(LockAction::Unlock), Some(true))
        .lock_with("b.0", shared(LockAction::Unlock), Some(true));
    story.leaves("a.0").leaves("b.0");
    let lines = both_end(&mut story);
    assert_violated(&lines, &[WorkUnderLock, MutualExclusion]);
    let why = said(&lines, WorkUnderLock).why;
    assert!(why.contains("in share mode only"), "{why}");
}

#[test]
fn a_key_that_differs_from_pod_to_pod_is_caught_and_said_so() {
    let mut story = Story::of(&["a", "b"]);
    let other = |action| LockCall {
        key: Some(LockKey::bigint(0, 42)),
        ..call(action)
    };
    story
        .start("a", 2)
        .lock("a.0")
        .write("a.1", INVOICES)
        .start("b", 2)
        .lock_with("b.0", other(LockAction::Lock), None)
        .write("b.1", INVOICES)
        .write("a.1", SPLITS)
        .unlock("a.0")
        .lock_with("b.0", other(LockAction::Unlock), Some(true));
    story.leaves("a.0").leaves("b.0");
    let lines = both_end(&mut story);
    assert_violated(&lines, &[WorkUnderLock, MutualExclusion]);
    let why = said(&lines, WorkUnderLock).why;
    assert!(why.contains("the key differs from pod to pod"), "{why}");
    assert!(why.contains("it held lock 42"), "{why}");
}

#[test]
fn a_lock_taken_twice_and_given_back_once_is_caught() {
    for release in [Release::Unlock, Release::Any] {
        let mut story = Story::of(&["a"]);
        story.run.rules.release = release;
        story.start("a", 2).lock("a.0");
        let held = story.locks.clone();
        story.lock("a.0");
        story.locks = held;
        story.write("a.1", INVOICES);
        // One unlock: `pg_locks` shows the lock as before.
        let kept = story.locks.clone();
        let step = story.held(
            "a.0",
            Request {
                lock_calls: vec![call(LockAction::Unlock)],
                ..Request::default()
            },
        );
        let answer = Answer {
            lock_results: vec![Some(true)],
            transaction: Some('I'),
            ..Answer::default()
        };
        story.release("a.0", step).ended(step, Ending::Done, answer);
        story.locks = kept;
        story.snapshot().leaves("a.0").leaves("a.1").succeeds("a");
        let lines = story.end();
        assert_violated(&lines, &[SameSession]);
        let why = said(&lines, SameSession).why;
        assert!(why.contains("taken 2 times and given back once"), "{why}");
    }
}

#[test]
fn a_lock_taken_twice_and_given_back_twice_is_fine() {
    let mut story = Story::of(&["a"]);
    story.start("a", 2).lock("a.0").lock("a.0");
    story.write("a.1", INVOICES).unlock("a.0").unlock("a.0");
    story.leaves("a.0").succeeds("a");
    let lines = story.end();
    assert_violated(&lines, &[]);
}

#[test]
fn an_error_that_skips_the_unlock_is_caught() {
    let mut story = Story::of(&["a"]);
    story
        .start("a", 2)
        .lock("a.0")
        .event(Event::Fault(FaultEvent {
            sqlstates: vec!["53100".to_owned()],
            ..fault("error", "a.1")
        }))
        .fails("a.1", INVOICES, error("53100", INJECTED))
        .leaves("a.0")
        .leaves("a.1")
        .exits("a", 1);
    // The error is the fault's; that the lock outlived the work is the pod's.
    assert_violated(&story.end(), &[SameSession]);
}

#[test]
fn an_injected_error_whose_pod_gives_the_lock_back_violates_nothing() {
    let mut story = Story::of(&["a"]);
    story
        .start("a", 2)
        .lock("a.0")
        .event(Event::Fault(FaultEvent {
            sqlstates: vec!["53100".to_owned()],
            ..fault("error", "a.1")
        }))
        .fails("a.1", INVOICES, error("53100", INJECTED))
        .unlock("a.0")
        .leaves("a.0")
        .leaves("a.1")
        .exits("a", 1);
    assert_violated(&story.end(), &[]);
}

#[test]
fn a_pool_that_ends_before_the_unlock_is_caught() {
    let mut story = Story::of(&["a"]);
    story
        .start("a", 2)
        .lock("a.0")
        .write("a.1", INVOICES)
        .leaves("a.0")
        .leaves("a.1")
        .connect("a.2")
        .lock_with("a.2", call(LockAction::Unlock), Some(false))
        .leaves("a.2")
        .succeeds("a");
    assert_violated(&story.end(), &[SameSession]);
}

#[test]
fn a_job_that_drops_before_it_locks_is_caught() {
    let mut story = Story::of(&["a", "b"]);
    story
        .start("a", 2)
        .lock("a.0")
        .write("a.1", INVOICES)
        .start("b", 2);
    let drop = story.held(
        "b.1",
        Request {
            sql: vec!["do $$ … $$".to_owned()],
            opaque: true,
            ..Request::default()
        },
    );
    let tag = Operation::Ddl("DROP TABLE".to_owned());
    story
        .release("b.1", drop)
        .witness("b.1", INVOICES, Some(drop), tag)
        .ended(drop, Ending::Done, Answer::default())
        .fails("a.1", SPLITS, error("42P01", "relation is gone"))
        .unlock("a.0")
        .leaves("a.0")
        .exits("a", 1)
        .lock("b.0")
        .write("b.1", INVOICES)
        .unlock("b.0")
        .leaves("b.0")
        .succeeds("b");
    let lines = story.end();
    assert_violated(
        &lines,
        &[NoErrors, WorkUnderLock, MutualExclusion, Progress],
    );
    let why = said(&lines, WorkUnderLock).why;
    assert!(why.contains("(DROP TABLE)"), "{why}");
}

#[test]
fn an_end_of_the_session_is_a_release_where_the_scenario_says_any() {
    let story = |release| {
        let mut story = Story::of(&["a"]);
        story.run.rules.release = release;
        story.start("a", 2).lock("a.0").write("a.1", INVOICES);
        story.leaves("a.0").succeeds("a").end()
    };
    assert_violated(&story(Release::Any), &[]);
    assert_violated(&story(Release::Unlock), &[SameSession]);
}

#[test]
fn discard_all_is_no_unlock() {
    let story = |release| {
        let mut story = Story::of(&["a"]);
        story.run.rules.release = release;
        story.start("a", 2).lock("a.0").write("a.1", INVOICES);
        let step = story.held(
            "a.0",
            Request {
                sql: vec!["DISCARD ALL".to_owned()],
                ..Request::default()
            },
        );
        story.release("a.0", step);
        story.locks.clear();
        story
            .ended(step, Ending::Done, Answer::default())
            .snapshot()
            .leaves("a.0")
            .succeeds("a")
            .end()
    };
    assert_violated(&story(Release::Any), &[]);
    assert_violated(&story(Release::Unlock), &[SameSession]);
}
