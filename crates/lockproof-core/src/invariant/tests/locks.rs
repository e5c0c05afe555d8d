//! The lock invariants in detail: from start to end, without a witness, in free pacing.

use super::pacing::blind;
use super::*;
use crate::history::*;
use crate::name::{KeyForm, LockKey, LockMode, Session, StepId};
use InvariantName::*;

#[test]
fn a_write_that_began_before_its_lock_was_taken_is_not_covered() {
    let mut story = Story::of(&["a"]);
    story.start("a", 2).snapshot();
    let write = story.write_held("a.1", INVOICES);
    story
        .release("a.1", write)
        .ended(write, Ending::Blocked, Answer::default())
        .lock("a.0")
        .witness("a.1", INVOICES, Some(write), Operation::Insert)
        .ended(write, Ending::Done, Answer::default())
        .unlock("a.0")
        .leaves("a.0")
        .succeeds("a");
    let lines = story.end();
    assert_violated(&lines, &[WorkUnderLock]);
    let why = said(&lines, WorkUnderLock).why;
    assert!(why.contains("only after the write had begun"), "{why}");
}

#[test]
fn a_write_that_spans_two_grants_is_not_covered() {
    for again in ["a.0", "a.2"] {
        let mut story = Story::of(&["a"]);
        story.start("a", 3).lock("a.0");
        let write = story.write_held("a.1", INVOICES);
        story
            .release("a.1", write)
            .ended(write, Ending::Blocked, Answer::default())
            .unlock("a.0")
            .lock(again)
            .witness("a.1", INVOICES, Some(write), Operation::Insert)
            .ended(write, Ending::Done, Answer::default())
            .unlock(again)
            .succeeds("a");
        assert_violated(&story.end(), &[WorkUnderLock]);
    }
}

#[test]
fn a_lock_taken_and_given_back_inside_one_step_covers_its_write() {
    let mut story = Story::of(&["a"]);
    story.start("a", 1).snapshot();
    let step = story.held(
        "a.0",
        Request {
            sql: vec!["select pg_advisory_lock(1); insert …; select pg_advisory_unlock(1)".into()],
            lock_calls: vec![call(LockAction::Lock), call(LockAction::Unlock)],
            writes: vec![INVOICES.to_owned()],
            ..Request::default()
        },
    );
    story.release("a.0", step);
    story.locks.push(HeldLock {
        pid: session("a.0").pid,
        key: key(),
        mode: LockMode::Exclusive,
        granted: true,
    });
    story.witness("a.0", INVOICES, Some(step), Operation::Insert);
    story.locks.clear();
    let answer = Answer {
        lock_results: vec![None, Some(true)],
        transaction: Some('I'),
        ..Answer::default()
    };
    story
        .ended(step, Ending::Done, answer)
        .snapshot()
        .leaves("a.0")
        .succeeds("a");
    assert_violated(&story.end(), &[]);
    // Without a witness nothing tells.
    let lines = blind(story.end());
    assert_eq!(
        said(&lines, WorkUnderLock).judgement,
        Judgement::Inconclusive
    );
}

#[test]
fn with_several_locks_one_must_cover_each_table_and_exclusion_is_not_judged() {
    let two = |story: &mut Story| {
        story.run.rules.lock =
            LockRule::FromCleanRun(vec![LockKey::bigint(5, KEY), LockKey::bigint(5, 42)]);
    };
    let other = |action| LockCall {
        key: Some(LockKey::bigint(0, 42)),
        ..call(action)
    };
    let mut story = Story::of(&["a"]);
    two(&mut story);
    story
        .start("a", 2)
        .lock("a.0")
        .write("a.1", INVOICES)
        .unlock("a.0")
        .lock_with("a.0", other(LockAction::Lock), None)
        .write("a.1", SPLITS)
        .lock_with("a.0", other(LockAction::Unlock), Some(true))
        .leaves("a.0")
        .succeeds("a");
    let lines = story.end();
    assert_violated(&lines, &[]);
    let said = said(&lines, MutualExclusion);
    assert_eq!(said.judgement, Judgement::NotJudged);
    assert!(
        said.why.contains("2 different advisory locks"),
        "{}",
        said.why
    );

    // The same table under one lock and then under the other: which guards it only the scenario can
    // say, and if it does, the other does not.
    let by_turns = |named: bool, bare: bool| {
        let mut story = Story::of(&["a"]);
        two(&mut story);
        if named {
            story.run.rules.lock = LockRule::Named(LockKey::bigint(5, KEY));
        }
        story
            .start("a", 2)
            .lock("a.0")
            .write("a.1", INVOICES)
            .unlock("a.0")
            .lock_with("a.0", other(LockAction::Lock), None)
            .write("a.1", INVOICES)
            .lock_with("a.0", other(LockAction::Unlock), Some(true));
        if bare {
            story.write("a.1", INVOICES);
        }
        story.leaves("a.0").succeeds("a");
        story.end()
    };
    assert_violated(&by_turns(false, false), &[]);
    let said = crate::invariant::tests::said(&by_turns(false, false), WorkUnderLock);
    assert_eq!(said.judgement, Judgement::NotJudged);
    assert!(said.why.contains("by the same pod"), "{}", said.why);
    assert_violated(&by_turns(false, true), &[WorkUnderLock]);
    assert_violated(&by_turns(true, false), &[WorkUnderLock]);

    // Workers of a pod, each under a lock of its own: that another worker has its own meanwhile makes it none of
    // theirs.
    let mut story = Story::of(&["a", "b"]);
    two(&mut story);
    story
        .start("a", 2)
        .lock("a.0")
        .lock_with("a.1", other(LockAction::Lock), None)
        .write("a.1", INVOICES)
        .lock_with("a.1", other(LockAction::Unlock), Some(true))
        .write("a.0", INVOICES)
        .unlock("a.0")
        .leaves("a.0")
        .leaves("a.1")
        .succeeds("a")
        .start("b", 2)
        .lock("b.0")
        .lock_with("b.1", other(LockAction::Lock), None)
        .write("b.0", INVOICES)
        .unlock("b.0")
        .write("b.1", INVOICES)
        .lock_with("b.1", other(LockAction::Unlock), Some(true))
        .leaves("b.0")
        .leaves("b.1")
        .succeeds("b");
    let lines = story.end();
    let said = crate::invariant::tests::said(&lines, WorkUnderLock);
    assert_eq!(said.judgement, Judgement::NotJudged, "{}", said.why);

    // Two pods, each under its own: no one lock guards the table.
    let mut story = Story::of(&["a", "b"]);
    two(&mut story);
    story.start("a", 2).lock("a.0").write("a.1", INVOICES);
    story
        .start("b", 2)
        .lock_with("b.0", other(LockAction::Lock), None)
        .write("b.1", INVOICES)
        .lock_with("b.0", other(LockAction::Unlock), Some(true))
        .leaves("b.0")
        .succeeds("b")
        .unlock("a.0")
        .leaves("a.0")
        .succeeds("a");
    let lines = story.end();
    assert_violated(&lines, &[WorkUnderLock]);
    let said = crate::invariant::tests::said(&lines, WorkUnderLock);
    let why = &said.why;
    assert!(
        why.contains("one lock for each part of a table guards no table"),
        "{why}"
    );
}

#[test]
fn a_lock_of_another_database_or_form_is_another_lock() {
    let bad = |change_key: fn(&mut LockKey)| {
        let mut lines = good();
        for line in &mut lines {
            if let Event::Write(write) = &mut line.event {
                for lock in &mut write.locks {
                    change_key(&mut lock.key);
                }
            }
        }
        lines
    };
    assert_violated(&bad(|key| key.form = KeyForm::TwoInts), &[WorkUnderLock]);
    assert_violated(&bad(|key| key.database += 1), &[WorkUnderLock]);
}

#[test]
fn a_process_id_used_again_is_another_session() {
    // a.0 is gone; later b.0 gets its process id. What b holds is not a's.
    let mut story = Story::of(&["a", "b"]);
    story
        .start("a", 2)
        .lock("a.0")
        .write("a.1", INVOICES)
        .unlock("a.0")
        .leaves("a.0");
    story.event(Event::SessionStarted {
        server: 0,
        connection: name("b.0"),
        session: Session {
            pid: session("a.0").pid,
            started_us: 1_005_000,
        },
    });
    story.pass(10_000);
    story.locks.push(HeldLock {
        pid: session("a.0").pid,
        key: key(),
        mode: LockMode::Exclusive,
        granted: true,
    });
    story.snapshot().write("a.1", SPLITS);
    story.locks.clear();
    story.snapshot().succeeds("a");
    let lines = story.end();
    let violated: Vec<_> = verdict(&lines).violated().collect();
    assert!(violated.contains(&WorkUnderLock) && violated.contains(&MutualExclusion));
    // What a held itself, with that process id before, is still its own.
    let findings = said(&lines, WorkUnderLock).findings;
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(findings[0].table.as_deref(), Some(SPLITS));
}

#[test]
fn a_transaction_lock_ends_with_its_transaction_even_if_the_session_ends_it() {
    let mut story = Story::of(&["a"]);
    let xact = LockCall {
        xact: true,
        ..call(LockAction::Lock)
    };
    story.start("a", 1).lock_with("a.0", xact, None);
    story.locks.push(HeldLock {
        pid: session("a.0").pid,
        key: key(),
        mode: LockMode::Exclusive,
        granted: true,
    });
    story
        .snapshot()
        .write("a.0", INVOICES)
        .leaves("a.0")
        .succeeds("a");
    let mut lines = story.end();
    for line in &mut lines {
        if let Event::StepEnded { answer, .. } = &mut line.event {
            answer.transaction = Some('T');
        }
    }
    assert_violated(&lines, &[]);
}

#[test]
fn the_same_key_in_another_database_is_no_grant_of_the_lock() {
    let mut story = Story::of(&["a"]);
    story.start("a", 2);
    story.locks.push(HeldLock {
        pid: session("a.1").pid,
        key: LockKey::bigint(DATABASE + 1, KEY),
        mode: LockMode::Exclusive,
        granted: true,
    });
    story
        .lock("a.0")
        .write("a.0", INVOICES)
        .unlock("a.0")
        .leaves("a.0")
        .leaves("a.1")
        .succeeds("a");
    assert_violated(&story.end(), &[]);
}

#[test]
fn a_lock_that_an_error_hid_is_found_by_the_next_snapshot() {
    // A cancel that races the grant: 57014, and the session owns the lock all the same.
    let mut story = Story::of(&["a"]);
    story.start("a", 1);
    story.event(Event::Fault(fault("cancel-backend", "a.0")));
    let step = story.held(
        "a.0",
        Request {
            lock_calls: vec![call(LockAction::Lock)],
            ..Request::default()
        },
    );
    story.release("a.0", step);
    story.locks.push(HeldLock {
        pid: session("a.0").pid,
        key: key(),
        mode: LockMode::Exclusive,
        granted: true,
    });
    let answer = Answer {
        error: Some(error("57014", "canceling statement due to user request")),
        lock_results: vec![None],
        ..Answer::default()
    };
    story
        .ended(step, Ending::Done, answer)
        .snapshot()
        .leaves("a.0")
        .exits("a", 1);
    assert_violated(&story.end(), &[SameSession]);
}

#[test]
fn an_unlock_that_was_never_answered_is_neither_ok_nor_fail() {
    let mut story = Story::of(&["a"]);
    story.start("a", 1).lock("a.0");
    let step = story.held(
        "a.0",
        Request {
            lock_calls: vec![call(LockAction::Unlock)],
            ..Request::default()
        },
    );
    story
        .release("a.0", step)
        .ended(step, Ending::Gone, Answer::default())
        .lost("a.0", ClosedBy::Client)
        .succeeds("a");
    assert_eq!(said(&story.end(), SameSession).judgement, Judgement::Holds);
}

#[test]
fn a_step_that_was_replaced_took_no_lock_and_gave_none_back() {
    let mut story = Story::of(&["a"]);
    story.start("a", 1).lock("a.0");
    let kept = story.locks.clone();
    story.unlock("a.0");
    story.locks = kept;
    story.snapshot().leaves("a.0").exits("a", 1);
    let lines = change(story.end(), 1, |event| match event {
        Event::StepReleased { delivery, .. } => {
            *delivery = Delivery::Replaced;
            true
        }
        _ => false,
    });
    let lines = without(lines, 1, |event| matches!(event, Event::Locks { .. }));
    assert_eq!(said(&lines, SameSession).judgement, Judgement::Violated);
}

#[test]
fn a_warning_that_only_the_log_knows_violates_same_session_once() {
    let warning = |step| {
        Event::ServerLog(LogLine {
            server_us: 2_000_000,
            pid: session("a.0").pid,
            connection: Some(name("a.0")),
            step,
            severity: "WARNING".to_owned(),
            sqlstate: "01000".to_owned(),
            message: "you don't own a lock of type ExclusiveLock".to_owned(),
            detail: None,
            statement: None,
        })
    };
    let mut story = Story::of(&["a"]);
    let lines = story.works("a").late(warning(None)).end();
    assert_violated(&lines, &[SameSession]);
    for step in [None, Some(StepId(2))] {
        let mut story = Story::of(&["a"]);
        story.start("a", 1).lock("a.0").unlock("a.0");
        story.lock_with("a.0", call(LockAction::Unlock), Some(false));
        let step = step.map(|_| StepId(3));
        let lines = story.succeeds("a").late(warning(step)).end();
        assert_eq!(said(&lines, SameSession).findings.len(), 1);
    }
}
