//! Errors that are answers: each condition once with it, and once without.

use super::*;
use crate::history::*;
use crate::invariant::AnswerReason;
use crate::name::StepId;
use InvariantName::{HonestExit, NoErrors};

/// A step of this connection with this text, answered with these tags and this error.
fn asks(
    story: &mut Story,
    connection: &str,
    (sql, normal): (&str, &str),
    answer: Answer,
) -> StepId {
    let writes = normal.split(' ').collect::<Vec<_>>();
    let writes = match writes.as_slice() {
        ["insert", "into", table, ..] | ["delete", "from", table, ..] | ["update", table, ..] => {
            vec![(*table).to_owned()]
        }
        _ => Vec::new(),
    };
    let request = Request {
        sql: vec![sql.to_owned()],
        normal: vec![normal.to_owned()],
        writes: writes.clone(),
        ..Request::default()
    };
    let step = story.held(connection, request);
    let failed = answer.error.is_some();
    story.release(connection, step);
    if let Some(table) = writes.first().filter(|_| !failed) {
        story.witness(connection, table, Some(step), Operation::Insert);
    }
    story.ended(step, Ending::Done, answer);
    step
}

/// The answer of a statement after which the session is in this state.
fn ok(tag: &str, state: char) -> Answer {
    Answer {
        tags: vec![tag.to_owned()],
        transaction: Some(state),
        ..Answer::default()
    }
}

fn no(sqlstate: &str, state: char) -> Answer {
    Answer {
        error: Some(error(sqlstate, "no")),
        transaction: Some(state),
        ..Answer::default()
    }
}

const BEGIN: (&str, &str) = ("begin", "begin");
const COMMIT: (&str, &str) = ("commit", "commit");
const ROLLBACK: (&str, &str) = ("rollback", "rollback");
const READ: (&str, &str) = (
    "select n from slot where id = 1",
    "select n from slot where id = ?",
);
const WRITE: (&str, &str) = ("update invoices set n = 2", "update invoices set n = ?");

/// Pod a does this on one connection, and ends well.
fn told(skip: bool, what: impl FnOnce(&mut Story)) -> Verdict {
    let mut story = Story::of(&["a"]);
    story.run.rules.lock = LockRule::None;
    if skip {
        story.run.rules.on_contention = OnContention::Skip;
    }
    story.start("a", 2);
    what(&mut story);
    story.leaves("a.0").leaves("a.1").succeeds("a");
    verdict(&story.end())
}

/// Whether errors are judged, by both invariants alike; and why not.
#[track_caller]
fn reason(verdict: &Verdict) -> Option<AnswerReason> {
    let judged = |name| verdict.of(name).unwrap().judgement == Judgement::Violated;
    assert_eq!(judged(NoErrors), judged(HonestExit), "{}", words(verdict));
    assert_eq!(
        judged(NoErrors),
        verdict.answers.is_empty(),
        "{}",
        words(verdict)
    );
    verdict.answers.first().map(|one| one.reason)
}

/// A transaction that fails at its write with this, and then this.
fn fails_and(sqlstate: &str, then: impl FnOnce(&mut Story)) -> Option<AnswerReason> {
    reason(&told(false, |story| {
        asks(story, "a.0", BEGIN, ok("BEGIN", 'T'));
        asks(story, "a.0", READ, ok("SELECT 1", 'T'));
        asks(story, "a.0", WRITE, no(sqlstate, 'E'));
        asks(story, "a.0", ROLLBACK, ok("ROLLBACK", 'I'));
        then(story);
    }))
}

/// The transaction once more, with this end.
fn again(story: &mut Story, end: (&str, &str), tag: &str) {
    asks(story, "a.0", BEGIN, ok("BEGIN", 'T'));
    asks(story, "a.0", READ, ok("SELECT 1", 'T'));
    asks(
        story,
        "a.0",
        ("update invoices set n = 3", WRITE.1),
        ok("UPDATE 1", 'T'),
    );
    asks(story, "a.0", end, ok(tag, 'I'));
}

#[test]
fn a_transaction_that_is_sent_again_and_commits_answers_its_serialization_failure() {
    for sqlstate in ["40001", "40P01", "55P03"] {
        let committed = |story: &mut Story| again(story, COMMIT, "COMMIT");
        assert_eq!(
            fails_and(sqlstate, committed),
            Some(AnswerReason::CameAgain)
        );
    }
}

#[test]
fn one_that_is_not_sent_again_or_does_not_commit_is_judged() {
    assert_eq!(fails_and("40001", |_| ()), None);
    let rolled_back = |story: &mut Story| again(story, ROLLBACK, "ROLLBACK");
    assert_eq!(fails_and("40001", rolled_back), None);
    let half = |story: &mut Story| {
        asks(story, "a.0", WRITE, ok("UPDATE 1", 'I'));
    };
    assert_eq!(fails_and("40001", half), None);
    // Only these may be tried again.
    for sqlstate in ["23503", "23505", "22012"] {
        let committed = |story: &mut Story| again(story, COMMIT, "COMMIT");
        assert_eq!(fails_and(sqlstate, committed), None);
    }
}

#[test]
fn one_that_was_injected_is_an_answer_where_the_same_was_sent_again() {
    let verdict = |place: usize, delivery: Delivery, again: bool| {
        let mut story = Story::of(&["a"]);
        story.run.rules.lock = LockRule::None;
        story.start("a", 1);
        let course = [(BEGIN, "BEGIN"), (READ, "SELECT 1"), (WRITE, "UPDATE 1")];
        for (statement, tag) in &course[..place] {
            asks(&mut story, "a.0", *statement, ok(tag, 'T'));
        }
        let state = if place == 0 { 'I' } else { 'E' };
        let injected = Answer {
            error: Some(error("40001", INJECTED)),
            transaction: Some(state),
            ..Answer::default()
        };
        let replaced = Some(asks(&mut story, "a.0", course[place].0, injected));
        let sqlstates = vec!["40001".to_owned()];
        let fault = FaultEvent {
            sqlstates,
            step: replaced,
            ..fault("error", "a.0")
        };
        story.event(Event::Fault(fault));
        asks(&mut story, "a.0", ROLLBACK, ok("ROLLBACK", 'I'));
        if again {
            self::again(&mut story, COMMIT, "COMMIT");
        }
        story.leaves("a.0").succeeds("a");
        let mut lines = story.end();
        for line in &mut lines {
            if let Event::StepReleased {
                step,
                delivery: how,
                ..
            } = &mut line.event
                && Some(*step) == replaced
            {
                *how = delivery;
            }
        }
        self::verdict(&lines)
    };
    for delivery in [Delivery::Replaced, Delivery::AnswerReplaced] {
        for place in 0..3 {
            let of = |again: bool| verdict(place, delivery, again);
            let judged = |again: bool| of(again).of(HonestExit).unwrap().judgement;
            assert_eq!(judged(true), Judgement::Holds, "{place} {delivery:?}");
            assert_eq!(judged(false), Judgement::Violated, "{place} {delivery:?}");
            // What a fault explains is not told as an answer.
            assert!(of(true).answers.is_empty());
        }
    }
}

#[test]
fn one_that_comes_after_other_work_is_no_second_try() {
    let other = |story: &mut Story| {
        asks(
            story,
            "a.0",
            ("update slot set n = 1", "update slot set n = ?"),
            ok("UPDATE 1", 'I'),
        );
        again(story, COMMIT, "COMMIT");
    };
    assert_eq!(fails_and("40001", other), None);
    let another_row = |story: &mut Story| {
        asks(story, "a.0", BEGIN, ok("BEGIN", 'T'));
        asks(
            story,
            "a.0",
            ("select n from slot where id = 2", READ.1),
            ok("SELECT 1", 'T'),
        );
        asks(story, "a.0", WRITE, ok("UPDATE 1", 'T'));
        asks(story, "a.0", COMMIT, ok("COMMIT", 'I'));
    };
    assert_eq!(fails_and("40001", another_row), None);
}

#[test]
fn a_second_try_may_find_that_nothing_is_left_to_do() {
    let read = |tag: &'static str, write: bool| {
        move |story: &mut Story| {
            asks(story, "a.0", BEGIN, ok("BEGIN", 'T'));
            asks(story, "a.0", READ, ok(tag, 'T'));
            if write {
                let other = ("insert into splits", "insert into splits values (?)");
                asks(story, "a.0", other, ok("INSERT 0 1", 'T'));
            }
            asks(story, "a.0", COMMIT, ok("COMMIT", 'I'));
        }
    };
    assert_eq!(
        fails_and("40001", read("SELECT 0", false)),
        Some(AnswerReason::CameAgain)
    );
    assert_eq!(
        fails_and("40001", read("SELECT 1", false)),
        Some(AnswerReason::CameAgain)
    );
    assert_eq!(
        fails_and("40001", read("SELECT 0", true)),
        Some(AnswerReason::CameAgain)
    );
    // The same answer, and other work: that is another transaction.
    assert_eq!(fails_and("40001", read("SELECT 1", true)), None);
}

#[test]
fn a_failed_commit_is_no_answer_because_another_transaction_commits() {
    let with = |first: (&'static str, &'static str)| {
        reason(&told(false, |story| {
            asks(story, "a.0", BEGIN, ok("BEGIN", 'T'));
            asks(story, "a.0", WRITE, ok("UPDATE 1", 'T'));
            asks(story, "a.0", COMMIT, no("40001", 'I'));
            asks(story, "a.0", BEGIN, ok("BEGIN", 'T'));
            asks(story, "a.0", first, ok("UPDATE 1", 'T'));
            asks(story, "a.0", COMMIT, ok("COMMIT", 'I'));
        }))
    };
    assert_eq!(with(WRITE), Some(AnswerReason::CameAgain));
    assert_eq!(
        with(("insert into slot", "insert into slot values (?)")),
        None
    );
}

#[test]
fn a_statement_may_be_tried_again_behind_a_savepoint() {
    let lock = ("lock table t nowait", "lock table t nowait");
    let with = |back: bool| {
        reason(&told(false, |story| {
            asks(story, "a.0", BEGIN, ok("BEGIN", 'T'));
            asks(story, "a.0", WRITE, ok("UPDATE 1", 'T'));
            asks(
                story,
                "a.0",
                ("savepoint s", "savepoint s"),
                ok("SAVEPOINT", 'T'),
            );
            asks(story, "a.0", lock, no("55P03", 'E'));
            if back {
                let back = ("rollback to s", "rollback to s");
                asks(story, "a.0", back, ok("ROLLBACK", 'T'));
            } else {
                asks(story, "a.0", ROLLBACK, ok("ROLLBACK", 'I'));
                asks(story, "a.0", BEGIN, ok("BEGIN", 'T'));
            }
            asks(story, "a.0", lock, ok("LOCK TABLE", 'T'));
            asks(story, "a.0", COMMIT, ok("COMMIT", 'I'));
        }))
    };
    assert_eq!(with(true), Some(AnswerReason::CameAgain));
    // What came before it in its transaction is lost.
    assert_eq!(with(false), None);
}

#[test]
fn a_pod_may_try_again_on_another_connection_when_it_has_left_the_first() {
    let with = |left: bool| {
        reason(&told(false, |story| {
            asks(story, "a.0", WRITE, no("40001", 'I'));
            if !left {
                let other = ("insert into slot", "insert into slot values (?)");
                asks(story, "a.0", other, ok("INSERT 0 1", 'I'));
            }
            asks(story, "a.1", WRITE, ok("UPDATE 1", 'I'));
        }))
    };
    assert_eq!(with(true), Some(AnswerReason::CameAgain));
    assert_eq!(with(false), None);
}

#[test]
fn what_an_aborted_transaction_refuses_stands_like_the_error_before_it() {
    let with = |sqlstate: &'static str| {
        told(false, |story| {
            asks(story, "a.0", BEGIN, ok("BEGIN", 'T'));
            asks(story, "a.0", READ, ok("SELECT 1", 'T'));
            asks(story, "a.0", WRITE, no(sqlstate, 'E'));
            asks(story, "a.0", WRITE, no("25P02", 'E'));
            asks(story, "a.0", ROLLBACK, ok("ROLLBACK", 'I'));
            again(story, COMMIT, "COMMIT");
        })
    };
    assert_eq!(reason(&with("40001")), Some(AnswerReason::CameAgain));
    let judged = with("23503");
    assert_eq!(reason(&judged), None);
    // One error is one finding, with the lines of both.
    let findings = &judged.of(NoErrors).unwrap().findings;
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(findings[0].seqs.len(), 2);
}

/// A row that can be there once, in a table that is not protected, or in one that is.
fn unique(table: &str) -> (String, String) {
    (
        format!("insert into {table} values (1, 'a')"),
        format!("insert into {table} values (?, ?)"),
    )
}

#[test]
fn a_unique_row_that_is_the_lock_is_an_answer_where_it_comes_again_or_the_pod_leaves() {
    let with = |skip: bool, table: &str, then: fn(&mut Story, (&str, &str))| {
        let (sql, normal) = unique(table);
        let row = (sql.as_str(), normal.as_str());
        reason(&told(skip, |story| {
            asks(story, "a.0", row, no("23505", 'I'));
            then(story, row);
        }))
    };
    let comes = |story: &mut Story, row: (&str, &str)| {
        asks(
            story,
            "a.0",
            ("insert into job_lock values (1, 'b')", row.1),
            ok("INSERT 0 1", 'I'),
        );
    };
    let leaves = |_: &mut Story, _: (&str, &str)| ();
    let works = |story: &mut Story, _: (&str, &str)| {
        story.write("a.1", INVOICES);
    };
    assert_eq!(
        with(false, "job_lock", comes),
        Some(AnswerReason::CameAgain)
    );
    assert_eq!(with(true, "job_lock", leaves), Some(AnswerReason::Left));
    assert_eq!(with(false, "job_lock", leaves), None);
    assert_eq!(with(true, "job_lock", works), None);
    // A protected table is no lock.
    assert_eq!(with(true, "invoices", leaves), None);
}

#[test]
fn a_row_that_stays_only_while_a_pod_works_is_the_locks_unless_the_pod_took_it_away_itself() {
    let with = |lock_rows: &[&str], between: &'static str, fault: bool| {
        let (sql, normal) = unique("job_lock");
        let mut story = Story::of(&["a", "b"]);
        story.run.rules.lock = LockRule::None;
        story.run.rules.protect.push("public.job_lock".to_owned());
        story.run.rules.lock_rows = lock_rows.iter().map(|one| (*one).to_owned()).collect();
        if fault {
            story.start("b", 1).killed("b", 1);
        }
        story.start("a", 2);
        let refused = ServerError {
            table: Some("job_lock".to_owned()),
            ..error("23505", "there")
        };
        let refused = Answer {
            error: Some(refused),
            transaction: Some('I'),
            ..Answer::default()
        };
        asks(&mut story, "a.0", (&sql, &normal), refused);
        let away = ("delete from job_lock", "delete from job_lock");
        asks(&mut story, "a.0", away, ok(between, 'I'));
        asks(&mut story, "a.0", (&sql, &normal), ok("INSERT 0 1", 'I'));
        story.leaves("a.0").leaves("a.1").succeeds("a");
        reason(&verdict(&story.end()))
    };
    let rows = ["public.job_lock"];
    assert_eq!(
        with(&rows, "DELETE 0", false),
        Some(AnswerReason::CameAgain)
    );
    assert_eq!(with(&[], "DELETE 0", false), None);
    assert_eq!(with(&rows, "DELETE 1", false), None);
    assert_eq!(with(&rows, "DELETE 1", true), Some(AnswerReason::CameAgain));
}

#[test]
fn a_lock_that_is_not_available_is_an_answer_under_skip_where_nothing_is_written_after_it() {
    let with = |skip: bool, works: bool| {
        reason(&told(skip, |story| {
            asks(
                story,
                "a.0",
                ("select 1 from t for update nowait", "select"),
                no("55P03", 'I'),
            );
            if works {
                story.write("a.1", INVOICES);
            }
        }))
    };
    assert_eq!(with(true, false), Some(AnswerReason::Left));
    assert_eq!(with(true, true), None);
    assert_eq!(with(false, false), None);
}

/// A CREATE that fails like this; what of it is there at the end.
fn creates(sql: &str, with: ServerError, there: &[&str], code: i32) -> Option<AnswerReason> {
    let mut story = Story::of(&["a"]);
    story.run.rules.lock = LockRule::None;
    story.start("a", 1);
    let answer = Answer {
        error: Some(with),
        transaction: Some('I'),
        ..Answer::default()
    };
    asks(&mut story, "a.0", (sql, sql), answer);
    let there = there.iter().map(|name| Object {
        kind: ObjectKind::Table,
        name: (*name).to_owned(),
    });
    let there = there.collect();
    story.late(Event::Created { there }).leaves("a.0");
    match code {
        0 => story.succeeds("a"),
        code => story.exits("a", code),
    };
    let verdict = verdict(&story.end());
    let judged = verdict.of(NoErrors).unwrap().judgement == Judgement::Violated;
    assert_eq!(judged, verdict.answers.is_empty(), "{}", words(&verdict));
    verdict.answers.first().map(|one| one.reason)
}

#[test]
fn a_create_whose_object_is_there_at_the_end_is_passed_over() {
    let exists = || error("42P07", "relation \"town\" already exists");
    let on = |table: &str, constraint: &str| ServerError {
        table: Some(table.to_owned()),
        constraint: Some(constraint.to_owned()),
        ..error("23505", "duplicate key value violates unique constraint")
    };
    let create = "create table if not exists town (id int)";
    let there: &[&str] = &["town"];
    let exist = Some(AnswerReason::Exists);
    assert_eq!(creates(create, exists(), there, 0), exist);
    assert_eq!(
        creates(create, on("pg_type", "pg_type_typname_nsp_index"), there, 0),
        exist
    );
    // Another object is there, or none; the pod died of it; it says another name.
    assert_eq!(creates(create, exists(), &["city"], 0), None);
    assert_eq!(creates(create, exists(), &[], 0), None);
    assert_eq!(creates(create, exists(), there, 1), None);
    let pkey = error("42P07", "relation \"town_pkey\" already exists");
    assert_eq!(creates(create, pkey, there, 0), None);
    // No CREATE, no such SQLSTATE, no index of the catalog.
    assert_eq!(
        creates("alter table a rename to town", exists(), there, 0),
        None
    );
    assert_eq!(creates(create, error("42601", "no"), there, 0), None);
    assert_eq!(creates(create, on("town", "town_pkey"), there, 0), None);
}

#[test]
fn a_create_that_takes_other_work_with_it_is_judged() {
    let verdict = told(false, |story| {
        asks(story, "a.0", BEGIN, ok("BEGIN", 'T'));
        asks(story, "a.0", WRITE, ok("UPDATE 1", 'T'));
        let create = "create table town (id int)";
        asks(story, "a.0", (create, create), no("42P07", 'E'));
        asks(story, "a.0", ROLLBACK, ok("ROLLBACK", 'I'));
        let object = Object {
            kind: ObjectKind::Table,
            name: "town".to_owned(),
        };
        story.late(Event::Created {
            there: vec![object],
        });
    });
    assert_eq!(reason(&verdict), None);
}

#[test]
fn an_error_that_the_scenario_declares_is_an_answer_by_all_that_it_names() {
    let with = |constraint: &str| {
        let mut story = Story::of(&["a"]);
        story.run.rules.lock = LockRule::None;
        story.run.rules.answers = vec![NamedError {
            sqlstate: "23505".to_owned(),
            constraint: Some(constraint.to_owned()),
            table: None,
        }];
        story.start("a", 1);
        let with = ServerError {
            constraint: Some("job_lock_pkey".to_owned()),
            ..error("23505", "no")
        };
        story
            .fails("a.0", INVOICES, with)
            .leaves("a.0")
            .succeeds("a");
        reason(&verdict(&story.end()))
    };
    assert_eq!(with("job_lock_pkey"), Some(AnswerReason::Declared));
    assert_eq!(with("invoices_pkey"), None);
}

#[test]
fn a_pod_that_a_fault_took_could_not_try_again() {
    let with = |works: bool| {
        let mut story = Story::of(&["a"]);
        story.run.rules.lock = LockRule::None;
        story.start("a", 1);
        asks(&mut story, "a.0", WRITE, no("40001", 'I'));
        if works {
            let other = ("insert into slot", "insert into slot values (?)");
            asks(&mut story, "a.0", other, ok("INSERT 0 1", 'I'));
        }
        story.killed("a", 1);
        let verdict = verdict(&story.end());
        verdict.answers.first().map(|one| one.reason)
    };
    assert_eq!(with(false), Some(AnswerReason::CutShort));
    assert_eq!(with(true), None);
}

#[test]
fn a_pod_whose_session_a_fault_ended_could_not_try_again_either() {
    let with = |hit: &str, works: bool| {
        let mut story = Story::of(&["a", "b"]);
        story.run.rules.lock = LockRule::None;
        story.start("a", 1).start("b", 1);
        asks(&mut story, "a.0", WRITE, no("40001", 'I'));
        if works {
            let other = ("insert into slot", "insert into slot values (?)");
            asks(&mut story, "a.0", other, ok("INSERT 0 1", 'I'));
        }
        story.event(Event::Fault(fault("terminate-backend", hit)));
        story
            .lost(hit, ClosedBy::Server)
            .leaves(if hit == "a.0" { "b.0" } else { "a.0" });
        story.exits("a", 1).exits("b", 0);
        let verdict = verdict(&story.end());
        verdict.answers.first().map(|one| one.reason)
    };
    assert_eq!(with("a.0", false), Some(AnswerReason::CutShort));
    assert_eq!(with("a.0", true), None);
    assert_eq!(with("b.0", false), None);
}

#[test]
fn a_pod_that_never_heard_that_it_should_try_again_is_excused_by_a_fault_of_its_own_connection_only()
 {
    let with = |hit: Option<&str>| {
        let mut story = Story::of(&["a", "b"]);
        story.run.rules.lock = LockRule::None;
        story.start("a", 1).start("b", 1);
        asks(&mut story, "a.0", WRITE, no("40001", 'I'));
        if let Some(hit) = hit {
            let sqlstates = vec!["53100".to_owned()];
            let fault = fault("error", hit);
            story.event(Event::Fault(FaultEvent { sqlstates, ..fault }));
        }
        story
            .leaves("a.0")
            .leaves("b.0")
            .exits("a", 1)
            .exits("b", 0);
        let mut lines = story.end();
        for line in &mut lines {
            if let Event::StepReleased { delivery, .. } = &mut line.event {
                *delivery = Delivery::AnswerReplaced;
            }
        }
        let verdict = verdict(&lines);
        verdict.answers.first().map(|one| one.reason)
    };
    assert_eq!(with(Some("a.0")), Some(AnswerReason::CutShort));
    assert_eq!(with(Some("b.0")), None);
    assert_eq!(with(None), None);
}

#[test]
fn a_run_that_was_stopped_before_the_pod_went_on_does_not_tell() {
    let mut story = Story::of(&["a"]);
    story.run.rules.lock = LockRule::None;
    story.start("a", 1);
    let step = asks(&mut story, "a.0", WRITE, no("40001", 'I'));
    story.event(Event::StoppedEarly { step });
    let said = said(&story.end(), NoErrors);
    assert_eq!(said.judgement, Judgement::Inconclusive, "{}", said.why);
}
