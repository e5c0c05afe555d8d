//! Pods that leave because they were refused the lock, and pods that only say so.

use super::*;
use crate::history::{Answer, Ending, LockAction, LockCall, OnContention, Request};
use crate::name::InvariantName::{HonestExit, Progress};
use crate::name::LockKey;

/// Pod b does one thing while a holds the lock, writes nothing, and exits with this code.
fn b_leaves(code: i32, what: impl FnOnce(&mut Story)) -> Vec<Line> {
    let mut story = Story::of(&["a", "b"]);
    story.run.rules.on_contention = OnContention::Skip;
    story.start("a", 2).lock("a.0").start("b", 1);
    what(&mut story);
    story
        .leaves("b.0")
        .exits("b", code)
        .write("a.1", INVOICES)
        .unlock("a.0")
        .leaves("a.0")
        .succeeds("a")
        .end()
}

/// A step of b that is answered like this.
fn asks(story: &mut Story, request: Request, answer: Answer) {
    let step = story.held("b.0", request);
    story
        .release("b.0", step)
        .ended(step, Ending::Done, answer)
        .snapshot();
}

fn not_available() -> Answer {
    Answer {
        error: Some(error("55P03", "canceling statement due to lock timeout")),
        transaction: Some('I'),
        ..Answer::default()
    }
}

fn calls(call: LockCall) -> Request {
    Request {
        sql: vec!["select pg_lock".to_owned()],
        lock_calls: vec![call],
        ..Request::default()
    }
}

#[test]
fn a_pod_that_fails_before_it_asked_for_the_lock_has_no_reason_to_leave() {
    let reads = Request {
        sql: vec!["select count(*) from config".to_owned()],
        ..Request::default()
    };
    let lines = b_leaves(1, |story| asks(story, reads, Answer::default()));
    assert_violated(&lines, &[Progress]);
    assert_violated(&b_leaves(0, |_| ()), &[HonestExit]);
}

#[test]
fn a_try_for_another_lock_is_no_reason_to_leave() {
    let mut other = call(LockAction::TryLock);
    other.key = Some(LockKey::bigint(0, 99));
    let answer = Answer {
        lock_results: vec![Some(false)],
        transaction: Some('I'),
        ..Answer::default()
    };
    let lines = b_leaves(1, |story| asks(story, calls(other), answer));
    assert_violated(&lines, &[Progress]);
}

#[test]
fn a_try_whose_answer_the_text_turns_round_was_refused_where_another_pod_held_the_lock() {
    let mut turned = call(LockAction::TryLock);
    turned.whole = false;
    let answer = Answer {
        lock_results: vec![None],
        transaction: Some('I'),
        ..Answer::default()
    };
    let lines = b_leaves(1, |story| asks(story, calls(turned), answer));
    assert_violated(&lines, &[]);
}

#[test]
fn a_lock_that_was_not_to_be_had_in_time_is_a_refusal_only_where_the_lock_was_asked_for() {
    let said = |request: Request| {
        let lines = b_leaves(1, |story| asks(story, request, not_available()));
        said(&lines, Progress).judgement
    };
    assert_eq!(said(calls(call(LockAction::Lock))), Judgement::Holds);
    let updates = Request {
        sql: vec!["update config set v = 1".to_owned()],
        ..Request::default()
    };
    assert_eq!(said(updates), Judgement::Violated);
}

#[test]
fn no_row_of_skip_locked_is_a_refusal_while_another_pod_has_that_row_in_hand() {
    let take = || Request {
        sql: vec!["select id from job limit 1 for update skip locked".to_owned()],
        normal: vec!["select id from job limit ? for update skip locked".to_owned()],
        ..Request::default()
    };
    let answer = |tag: &str, transaction| Answer {
        tags: vec![tag.to_owned()],
        transaction: Some(transaction),
        ..Answer::default()
    };
    let lines = |in_hand| {
        b_leaves(1, |story| {
            let step = story.held("a.1", take());
            let taken = answer("SELECT 1", if in_hand { 'T' } else { 'I' });
            story.release("a.1", step).ended(step, Ending::Done, taken);
            asks(story, take(), answer("SELECT 0", 'I'));
        })
    };
    assert_violated(&lines(true), &[]);
    assert_violated(&lines(false), &[Progress]);
}

#[test]
fn a_pod_that_was_turned_away_and_came_in_later_met_no_error() {
    let said = |later: bool| {
        let mut story = Story::of(&["a"]);
        story.start("a", 2).event(Event::ConnectionOpened {
            connection: name("a.2"),
        });
        story.event(Event::SessionError {
            connection: name("a.2"),
            error: error("53200", "out of memory"),
        });
        if later {
            story.connect("a.3");
        }
        story
            .lock("a.0")
            .write("a.1", INVOICES)
            .write("a.1", SPLITS)
            .unlock("a.0")
            .leaves("a.0")
            .leaves("a.1");
        if later {
            story.leaves("a.3");
        }
        story.succeeds("a");
        said(&story.end(), HonestExit).judgement
    };
    assert_eq!(said(true), Judgement::Holds);
    assert_eq!(said(false), Judgement::Violated);
}

#[test]
fn a_row_that_can_be_there_once_is_a_refusal_where_its_table_is_not_protected() {
    let said = |table: &str| {
        let row = Request {
            sql: vec![format!("insert into {table} values (1)")],
            writes: vec![table.to_owned()],
            ..Request::default()
        };
        let answer = Answer {
            error: Some(error("23505", "duplicate key value")),
            transaction: Some('I'),
            ..Answer::default()
        };
        let lines = b_leaves(1, |story| asks(story, row, answer));
        said(&lines, Progress).judgement
    };
    assert_eq!(said("job_lock"), Judgement::Holds);
    assert_eq!(said("invoices"), Judgement::Violated);
}
