//! Rows that are the lock: each invariant on a good history and on a bad one that differs in one event, and what
//! makes it unknown.

use super::rows_tale::*;
use super::*;
use crate::history::*;
use crate::name::GuardName;
use crate::name::InvariantName::*;
use crate::name::TableName;

/// The same history with other rules.
fn with_rules(lines: Vec<Line>, other: impl Fn(&mut Rules)) -> Vec<Line> {
    change(lines, 0, |event| match event {
        Event::Run(run) => {
            other(&mut run.rules);
            true
        }
        _ => false,
    })
}

const FOR_UPDATE: &str = "for update";

/// a and b, one after the other, each a row, its work and the commit.
fn good() -> Tale {
    let mut tale = Tale::new();
    for pod in ["a.0", "b.0"] {
        tale.begins(pod)
            .locks(pod, "1", FOR_UPDATE)
            .works(pod)
            .commits(pod);
    }
    tale
}

#[test]
fn work_in_the_transaction_that_has_the_row_locked_holds() {
    let lines = good().over();
    assert_violated(&lines, &[]);
    let work = said(&lines, WorkUnderLock);
    assert!(work.why.contains("2 writes"), "{}", work.why);
    for clause in [
        "for no key update",
        "for update skip locked",
        "for update of job nowait",
    ] {
        let mut tale = Tale::new();
        tale.begins("a.0")
            .locks("a.0", "1", clause)
            .works("a.0")
            .commits("a.0");
        assert_violated(&tale.over(), &[]);
    }
}

#[test]
fn a_row_that_its_transaction_has_deleted_is_locked_though_no_look_from_there_shows_it() {
    let judged = |rows| {
        let mut tale = Tale::new();
        tale.begins("a.0").deletes("a.0", rows);
        let mut lines = tale.works("a.0").commits("a.0").over();
        for line in &mut lines {
            if let Event::Write(write) = &mut line.event {
                write.extent.transaction = Some(701);
            }
        }
        lines
    };
    assert_violated(&judged(1), &[]);
    // Another had it first: there was nothing left to delete.
    assert_violated(&judged(0), &[WorkUnderLock]);
}

#[test]
fn a_clause_that_two_can_have_at_once_guards_nothing() {
    for clause in ["for share", "for key share"] {
        let mut tale = Tale::new();
        tale.begins("a.0")
            .locks("a.0", "1", clause)
            .works("a.0")
            .commits("a.0");
        let bad = tale.over();
        assert_violated(&bad, &[WorkUnderLock]);
        let said = said(&bad, WorkUnderLock);
        let wanted = format!(
            "locked {}, which two pods can do at once",
            clause.to_uppercase()
        );
        assert!(said.why.contains(&wanted), "{}", said.why);
    }
}

#[test]
fn work_after_the_commit_or_without_any_lock_violates_work_under_lock() {
    let mut tale = Tale::new();
    tale.begins("a.0")
        .locks("a.0", "1", FOR_UPDATE)
        .commits("a.0")
        .works("a.0");
    assert_violated(&tale.over(), &[WorkUnderLock]);
    assert_violated(&Tale::new().works("a.0").over(), &[WorkUnderLock]);
}

#[test]
fn a_lock_that_went_with_a_savepoint_is_gone_and_one_that_stayed_is_not() {
    let back = |loses| {
        let mut tale = Tale::new();
        tale.begins("a.0")
            .says("a.0", "savepoint s", false)
            .locks("a.0", "1", FOR_UPDATE);
        tale.says("a.0", "rollback to savepoint s", loses)
            .works("a.0")
            .commits("a.0");
        tale.over()
    };
    assert_violated(&back(false), &[]);
    assert_violated(&back(true), &[WorkUnderLock]);
}

#[test]
fn what_a_foreign_key_locks_is_no_lock_of_the_jobs() {
    let locked = |clause| {
        let mut tale = Tale::new();
        // As if the insert had locked the row that it refers to.
        tale.begins("a.0").says("a.0", clause, false);
        let row = tale.row("a.0", "1");
        tale.held.push(row);
        tale.works("a.0").commits("a.0");
        tale.over()
    };
    assert_violated(&locked("select 1"), &[WorkUnderLock]);
    // A locking read that came before it, and gave nothing, is none either.
    assert_violated(
        &locked("select id from job where id = ? for update"),
        &[WorkUnderLock],
    );
}

#[test]
fn work_for_another_row_than_the_one_that_is_locked_violates_work_under_lock() {
    let refers = |row: &str, named: bool| {
        let mut tale = Tale::new();
        tale.begins("a.0").locks("a.0", "1", FOR_UPDATE);
        // The foreign key locks what is not locked already.
        if row != "1" {
            let shared = tale.row("a.0", row);
            tale.held.push(shared);
        }
        tale.works("a.0").commits("a.0");
        with_rules(tale.over(), |rules| {
            if let LockRule::Rows(rule) = &mut rules.lock {
                rule.children = Vec::from_iter(named.then(|| TableName::new(INVOICES)));
            }
        })
    };
    assert_violated(&refers("1", true), &[]);
    let bad = refers("2", true);
    assert_violated(&bad, &[WorkUnderLock]);
    let said = said(&bad, WorkUnderLock);
    assert!(
        said.why.contains("for row 2 of job, to which it refers"),
        "{}",
        said.why
    );
    // Another foreign key: nobody knows what it means.
    assert_violated(&refers("2", false), &[]);
}

#[test]
fn work_on_another_connection_than_the_lock_violates_same_session_too() {
    let on = |connection| {
        let mut tale = Tale::new();
        tale.begins("a.0")
            .locks("a.0", "1", FOR_UPDATE)
            .works(connection)
            .commits("a.0");
        tale.over()
    };
    assert_violated(&on("a.0"), &[]);
    let bad = on("a.1");
    assert_violated(&bad, &[SameSession, WorkUnderLock]);
    let said = said(&bad, SameSession);
    for words in ["on a.1", "row 1 of job, is another transaction's, on a.0"] {
        assert!(said.why.contains(words), "{}", said.why);
    }
    // Another pod's lock is nobody's but its own.
    let bad = on("b.0");
    assert_violated(&bad, &[WorkUnderLock]);
}

#[test]
fn two_pods_that_have_one_row_at_once_violate_mutual_exclusion() {
    let rows = |other| {
        let mut tale = Tale::new();
        tale.begins("a.0")
            .locks("a.0", "1", FOR_UPDATE)
            .works("a.0");
        tale.begins("b.0")
            .locks("b.0", other, FOR_UPDATE)
            .works("b.0");
        tale.commits("a.0").commits("b.0");
        tale.over()
    };
    assert_violated(&rows("2"), &[]);
    let bad = rows("1");
    assert_violated(&bad, &[MutualExclusion]);
    let said = said(&bad, MutualExclusion);
    assert!(
        said.why
            .contains("pods a and b had row 1 of job locked at once"),
        "{}",
        said.why
    );
}

#[test]
fn the_next_holders_answer_may_come_before_the_first_ones_commit_is_answered() {
    let mut tale = Tale::new();
    tale.begins("a.0")
        .begins("b.0")
        .locks("a.0", "1", FOR_UPDATE)
        .works("a.0");
    // The server has a's COMMIT, b has the row, and only then a is told.
    let commit = tale.story.held(
        "a.0",
        Request {
            sql: vec!["commit".to_owned()],
            normal: vec!["commit".to_owned()],
            ..Request::default()
        },
    );
    tale.story.release("a.0", commit);
    tale.held.clear();
    tale.locks("b.0", "1", FOR_UPDATE);
    let answer = Answer {
        tags: vec!["COMMIT".to_owned()],
        transaction: Some('I'),
        ..Answer::default()
    };
    tale.story.ended(commit, Ending::Done, answer);
    tale.works("b.0").commits("b.0");
    assert_violated(&tale.over(), &[]);
}

#[test]
fn a_lock_of_a_released_savepoint_is_known_by_the_look_before() {
    let released = |seen: bool| {
        let mut tale = Tale::new();
        tale.begins("a.0").locks("a.0", "1", FOR_UPDATE);
        let transaction = if seen {
            tale.held[0].transaction
        } else {
            9_999
        };
        tale.says("a.0", "release savepoint s", false);
        tale.held[0].pid = 0;
        tale.held[0].transaction = transaction;
        tale.look();
        tale.works("a.0");
        tale.held.clear();
        tale.commits("a.0").over()
    };
    assert_violated(&released(true), &[]);
    let unknown = released(false);
    for name in [SameSession, WorkUnderLock] {
        let said = said(&unknown, name);
        assert_eq!(said.judgement, Judgement::Inconclusive, "{}", said.why);
        assert!(
            said.why.contains("its savepoint was released"),
            "{}",
            said.why
        );
    }
}

#[test]
fn a_function_does_not_tell_how_it_locked() {
    let mut lines = good().over();
    lines = change(lines, 0, |event| match event {
        Event::StepHeld { request, .. } if request.sql[0].contains("for update") => {
            request.opaque = true;
            request.normal = vec!["select next_job()".to_owned()];
            true
        }
        _ => false,
    });
    let said = said(&lines, WorkUnderLock);
    assert_eq!(said.judgement, Judgement::Inconclusive, "{}", said.why);
    assert!(said.why.contains("no text tells whether"), "{}", said.why);
}

#[test]
fn a_write_of_the_locks_own_table_is_no_work_without_a_lock() {
    let updates = |locks: bool| {
        let mut tale = Tale::new();
        tale.begins("a.0");
        if locks {
            tale.locks("a.0", "1", FOR_UPDATE);
        }
        let request = Request {
            sql: vec!["update job set done = true".to_owned()],
            normal: vec!["update job set done = true".to_owned()],
            writes: vec!["job".to_owned()],
            ..Request::default()
        };
        let step = tale.story.held("a.0", request);
        tale.story.release("a.0", step);
        let row = HeldRow {
            mode: RowMode::Made,
            ..tale.row("a.0", "1")
        };
        tale.wrote("a.0", step, "public.job", Some(vec![row]));
        let answer = Answer {
            tags: vec!["UPDATE 1".to_owned()],
            transaction: Some('T'),
            ..Answer::default()
        };
        tale.story.ended(step, Ending::Done, answer);
        tale.commits("a.0");
        with_rules(tale.over(), |rules| {
            rules.protect = vec!["public.job".to_owned()]
        })
    };
    assert_eq!(
        said(&updates(true), WorkUnderLock).judgement,
        Judgement::Holds
    );
    let said = said(&updates(false), WorkUnderLock);
    assert_eq!(said.judgement, Judgement::NotJudged, "{}", said.why);
    assert!(
        said.why.contains("nothing else was written"),
        "{}",
        said.why
    );
}

#[test]
fn another_table_of_the_same_name_is_another_lock() {
    let other = change(good().over(), 0, |event| match event {
        Event::Write(write) => {
            for row in write.extent.rows.iter_mut().flatten() {
                row.table = TableName::new("app.job");
            }
            true
        }
        _ => false,
    });
    assert_violated(&other, &[WorkUnderLock]);
}

/// Asserts that these invariants cannot be told, in these words.
#[track_caller]
fn assert_unclear(lines: &[Line], names: &[InvariantName], words: &str) {
    for name in names {
        let said = said(lines, *name);
        assert_eq!(
            said.judgement,
            Judgement::Inconclusive,
            "{name}: {}",
            said.why
        );
        assert!(said.why.contains(words), "{name}: {}", said.why);
    }
}

#[test]
fn without_evidence_nothing_is_claimed() {
    let blind = change(good().over(), 0, |event| match event {
        Event::Run(run) => {
            run.witness = false;
            true
        }
        _ => false,
    });
    let all = [SameSession, WorkUnderLock, MutualExclusion];
    assert_unclear(&blind, &all, "no witness that sees which transaction");
    let unlooked = |isolation: Option<Isolation>| {
        change(good().over(), 0, move |event| match event {
            Event::Write(write) => {
                write.extent.rows = None;
                write.extent.isolation = isolation;
                true
            }
            _ => false,
        })
    };
    assert_unclear(
        &unlooked(Some(Isolation::Serializable)),
        &all[..2],
        "does not look in a serializable transaction",
    );
    // Somebody has taken away what it looks at.
    assert_unclear(&unlooked(None), &all, "did not look at the rows");
    let dropped = change(good().over(), 0, |event| match event {
        Event::Witness { lost, .. } => {
            lost.push("public.invoices".to_owned());
            true
        }
        _ => false,
    });
    assert_unclear(
        &dropped,
        &all,
        "public.invoices had been dropped or switched off",
    );
}

#[test]
fn a_pod_that_asks_while_another_has_a_row_contends() {
    let met = |row| {
        let mut tale = Tale::new();
        tale.begins("a.0").begins("b.0");
        if row {
            tale.locks("a.0", "1", FOR_UPDATE);
        }
        tale.locks("b.0", "2", FOR_UPDATE)
            .commits("b.0")
            .commits("a.0");
        guard(
            &with_rules(tale.over(), |rules| {
                rules.guards = vec![GuardName::Contention]
            }),
            GuardName::Contention,
        )
    };
    let (is, words) = met(true);
    assert!(is, "{words}");
    assert!(
        words.contains("b.0 asked for rows of job while a.0 had row 1 of job locked"),
        "{words}"
    );
    let (is, words) = met(false);
    assert!(
        !is && words.contains("no pod asked for rows of job"),
        "{words}"
    );
}
