//! A queue, each row of which is a lock: each invariant on a good history and on a bad one that differs in one event.

use std::time::Duration;

use super::lease_tale::*;
use super::*;
use crate::history::*;
use crate::ledger::likely_queue;
use crate::name::InvariantName::*;
use crate::timeline::Timeline;

/// Jobs that a worker claims for five minutes.
pub(super) fn jobs() -> LockRow {
    LockRow {
        row: Default::default(),
        expiry: Some(Expiry::Since {
            column: "locked_at".to_owned(),
            lease: Duration::from_secs(300),
        }),
        held: Some("state = 'running'".to_owned()),
        queue: Some(Done::When("state = 'done'".to_owned())),
        ..rule()
    }
}

/// Jobs that a worker claims until it ends them.
fn for_ever() -> LockRow {
    LockRow {
        expiry: None,
        ..jobs()
    }
}

/// A pod claims a row, does the work, and ends the row.
fn does(tale: &mut Tale, pod: &str, row: &str) {
    let (one, other) = (format!("{pod}.0"), format!("{pod}.1"));
    tale.row(row)
        .takes(&one, 1)
        .works(&other)
        .leaves_it(&one, true);
}

#[test]
fn pods_that_claim_each_a_row_of_its_own_hold() {
    let mut tale = Tale::of(jobs());
    tale.row("1").takes("a.0", 1).row("2").takes("b.0", 1);
    tale.works("a.1").works("b.1");
    tale.leaves_it("b.0", true).row("1").leaves_it("a.0", true);
    let lines = tale.over();
    assert_violated(&lines, &[]);
    let said = said(&lines, ExactlyOnce);
    assert!(
        said.why.contains("2 rows of the queue lease"),
        "{}",
        said.why
    );
}

#[test]
fn a_change_of_a_row_that_its_pod_never_claimed_is_reported() {
    let reports = |row: &str| {
        let mut tale = Tale::of(jobs());
        tale.row("2").takes("b.0", 1).leaves_it("b.0", false);
        tale.row("1").takes("a.0", 1).works("a.1");
        tale.row(row).leaves_it("a.0", true);
        verdict(&tale.over()).reports
    };
    let said = |row: &str| {
        let all = reports(row);
        all.into_iter().any(|one| {
            one.starts_with("pod a changed row 2 of lease, which it had never claimed, while it had row 1 of lease")
        })
    };
    assert!(said("2"), "{:?}", reports("2"));
    assert!(!said("1"));
}

#[test]
fn a_claim_of_a_row_that_another_has_violates_mutual_exclusion() {
    let over = |expires: bool| {
        let mut tale = Tale::of(jobs());
        tale.row("1").takes("a.0", 1);
        if expires {
            tale.expires();
        }
        does(&mut tale, "b", "1");
        tale.touches_nothing("a.0").over()
    };
    assert_violated(&over(true), &[]);
    let bad = over(false);
    assert_violated(&bad, &[MutualExclusion]);
    let said = said(&bad, MutualExclusion);
    assert!(
        said.why.contains("two pods had row 1 of lease at once"),
        "{}",
        said.why
    );
}

#[test]
fn a_write_after_another_has_claimed_the_row_is_late_and_two_pods_work_at_once() {
    let late = |late: bool| {
        let mut tale = Tale::of(jobs());
        tale.row("1").takes("a.0", 1);
        if !late {
            tale.works("a.1");
        }
        tale.expires().takes("b.0", 1).works("b.1");
        if late {
            tale.works("a.1");
        }
        tale.leaves_it("b.0", true).touches_nothing("a.0").over()
    };
    assert_violated(&late(false), &[]);
    let bad = late(true);
    assert_violated(&bad, &[WorkUnderLock, MutualExclusion]);
    for words in [
        "two pods worked on row 1 of lease",
        "its lease had run out (`expire`",
    ] {
        let said = said(&bad, MutualExclusion);
        assert!(said.why.contains(words), "{}", said.why);
    }
}

#[test]
fn whoever_has_another_row_still_works_under_that() {
    let works = |has_another: bool| {
        let mut tale = Tale::of(jobs());
        tale.row("1").takes("a.0", 1);
        if has_another {
            tale.row("2").takes("a.0", 1);
        }
        tale.row("1")
            .expires()
            .takes("b.0", 1)
            .works("b.1")
            .works("a.1");
        tale.leaves_it("b.0", true);
        if has_another {
            tale.row("2").leaves_it("a.0", true);
        }
        tale.over()
    };
    assert_violated(&works(true), &[]);
    assert_violated(&works(false), &[WorkUnderLock, MutualExclusion]);
}

#[test]
fn an_end_of_anothers_row_violates_same_owner() {
    let ends = |compares: bool| {
        let mut tale = Tale::of(jobs());
        tale.row("1").takes("a.0", 1).works("a.1").expires();
        tale.takes("b.0", 1).works("b.1");
        match compares {
            true => tale.touches_nothing("a.0").leaves_it("b.0", true),
            false => tale.leaves_it("a.0", true).touches_nothing("b.0"),
        };
        tale.over()
    };
    assert_violated(&ends(true), &[]);
    assert_violated(&ends(false), &[SameSession, MutualExclusion]);
}

#[test]
fn a_row_that_is_done_twice_violates_exactly_once() {
    let again = |row| {
        let mut tale = Tale::of(jobs());
        does(&mut tale, "a", "1");
        does(&mut tale, "b", row);
        tale.over()
    };
    assert_violated(&again("2"), &[]);
    let bad = again("1");
    assert_violated(&bad, &[ExactlyOnce]);
    let said = said(&bad, ExactlyOnce);
    assert!(
        said.why.contains("row 1 of lease was done twice: pod a"),
        "{}",
        said.why
    );
}

#[test]
fn a_row_that_is_made_free_again_is_another_job() {
    let again = |freed: bool| {
        let mut tale = Tale::of(jobs());
        does(&mut tale, "a", "1");
        if freed {
            tale.leaves_it("b.0", false);
        }
        does(&mut tale, "a", "1");
        tale.over()
    };
    assert_violated(&again(true), &[]);
    assert_violated(&again(false), &[ExactlyOnce]);
}

#[test]
fn a_job_that_is_put_in_the_queue_under_the_key_of_a_deleted_one_is_another() {
    let rule = LockRow {
        queue: Some(Done::Deleted),
        ..jobs()
    };
    let again = |is_new: bool| {
        let mut tale = Tale::of(rule.clone());
        for pod in ["a", "b"] {
            let (one, other) = (format!("{pod}.0"), format!("{pod}.1"));
            // No line tells that it was put in.
            tale.row("1").row = tale.held_by("", 1).map(|row| RowVersion {
                made_by: 5,
                held: !is_new && pod == "b",
                owner: None,
                ..row
            });
            tale.takes(&one, 1).works(&other).sets(&one, None);
        }
        tale.over()
    };
    let lines = again(true);
    assert_violated(&lines, &[]);
    assert!(
        said(&lines, ExactlyOnce)
            .why
            .contains("1 row of the queue lease came")
    );
    let bad = again(false);
    assert_eq!(said(&bad, ExactlyOnce).judgement, Judgement::Inconclusive);
}

#[test]
fn a_row_of_a_dead_pod_must_come_to_be_done_or_free() {
    let dies = |rule: LockRow, expires: bool, healed: bool, looks: bool| {
        let mut tale = Tale::with(rule, &["a", "b", "c"]);
        tale.row("1").takes("a.0", 1);
        tale.story.killed("a", 2);
        if expires {
            tale.expires();
        }
        tale.ends("b");
        tale.story.start("c", 2);
        if healed {
            does(&mut tale, "c", "1");
        } else {
            does(&mut tale, "c", "2");
        }
        if looks {
            tale.touches_nothing("c.0");
        }
        tale.ends("c").story.end()
    };
    assert_violated(&dies(for_ever(), false, true, true), &[]);
    let bad = dies(for_ever(), false, false, true);
    assert_violated(&bad, &[ExactlyOnce]);
    let said = said(&bad, ExactlyOnce);
    assert!(
        said.why
            .contains("row 1 of lease is neither done nor free: pod a"),
        "{}",
        said.why
    );
    // Time frees it, but then somebody must look.
    assert_violated(&dies(jobs(), false, false, true), &[]);
    assert_violated(&dies(jobs(), true, false, true), &[ExactlyOnce]);
    assert_violated(&dies(jobs(), true, true, true), &[]);
    // A worker that does one job and leaves has looked for no other.
    assert_violated(&dies(for_ever(), false, false, false), &[]);
}

#[test]
fn what_a_claim_of_a_dead_pod_left_undone_is_judged_when_its_time_has_passed() {
    let judged = |rule: LockRow, killed: bool, expires: bool| {
        let mut tale = Tale::of(rule);
        tale.row("1").takes("a.0", 1);
        match killed {
            true => drop(tale.story.killed("a", 2)),
            false => drop(tale.ends("a")),
        }
        if expires {
            tale.expires();
        }
        does(&mut tale, "b", "2");
        let lines = tale.ends("b").story.end();
        let fewer = change(lines, 0, |event| match event {
            Event::FinalState(state) => {
                *state = rows(23);
                true
            }
            _ => false,
        });
        said(&fewer, CleanState)
    };
    let waits = judged(jobs(), true, false);
    assert_eq!(waits.judgement, Judgement::NotJudged, "{}", waits.why);
    let words =
        "row 1 of lease is still had by pod a, which a fault hit, until its time has passed";
    assert!(waits.why.contains(words), "{}", waits.why);
    for (rule, killed, expires) in [
        (for_ever(), true, false),
        (jobs(), false, false),
        (jobs(), true, true),
    ] {
        let said = judged(rule, killed, expires);
        assert_eq!(said.judgement, Judgement::Violated, "{}", said.why);
    }
}

#[test]
fn a_row_that_a_pod_leaves_claimed_is_a_leak() {
    let leaves = |ends: bool| {
        let mut tale = Tale::of(jobs());
        tale.row("1").takes("a.0", 1).works("a.1");
        if ends {
            tale.leaves_it("a.0", false);
        }
        tale.over()
    };
    assert_violated(&leaves(true), &[]);
    assert_violated(&leaves(false), &[NoLeak]);
}

#[test]
fn two_workers_that_write_the_same_owner_are_two_owners() {
    let mut tale = Tale::of(jobs());
    let row = tale.row("1").held_by("worker", 1);
    tale.sets("a.0", row).works("a.1");
    let row = tale.held_by("worker", 1);
    tale.sets("b.0", row).works("b.1").leaves_it("b.0", true);
    assert_violated(&tale.touches_nothing("a.0").over(), &[MutualExclusion]);
}

#[test]
fn a_change_that_nobody_logged_and_a_row_that_is_claimed_and_done_leave_all_unclear() {
    let told = |how: &dyn Fn(&mut Tale)| {
        let mut tale = Tale::of(jobs());
        tale.row("1").takes("a.0", 1);
        how(&mut tale);
        tale.works("a.1").leaves_it("a.0", true).over()
    };
    assert_violated(&told(&|_| {}), &[]);
    let gap = told(&|tale| {
        if let Some(row) = &mut tale.row {
            row.made_by += 1_000;
        }
    });
    let both = told(&|tale| {
        let row = tale.row.clone().map(|row| RowVersion { done: true, ..row });
        tale.sets("a.0", row);
    });
    for (lines, words) in [
        (gap, "no line tells that change"),
        (both, "claimed and done at once"),
    ] {
        for name in [
            SameSession,
            WorkUnderLock,
            MutualExclusion,
            NoLeak,
            ExactlyOnce,
        ] {
            let said = said(&lines, name);
            assert_eq!(said.judgement, Judgement::Inconclusive, "{}", said.why);
            assert!(said.why.contains(words), "{}", said.why);
        }
    }
}

#[test]
fn a_pod_that_has_another_row_still_is_not_told_that_it_has_none() {
    let mut tale = Tale::of(jobs());
    tale.row("1").takes("a.0", 1).row("2").takes("a.0", 1);
    tale.works("a.1").leaves_it("a.0", true);
    tale.touches_nothing("a.0").works("a.1");
    assert_violated(&tale.row("1").leaves_it("a.0", true).over(), &[]);
    // b has taken over one of two; the other is renewed, or it is not.
    let renewed = |renews: bool| {
        let mut tale = Tale::of(jobs());
        tale.row("1").takes("a.0", 1).row("2").takes("a.0", 1);
        tale.row("1")
            .expires()
            .takes("b.0", 2)
            .touches_nothing("a.0");
        let row = tale.row("2").held_by("a", 1);
        match renews {
            true => tale.sets("a.0", row),
            false => tale.leaves_it("a.0", true),
        };
        tale.works("a.1");
        if renews {
            tale.leaves_it("a.0", true);
        }
        tale.row("1").works("b.1").leaves_it("b.0", true).over()
    };
    assert_violated(&renewed(true), &[]);
    let wrote_on = renewed(false);
    assert!(
        verdict(&wrote_on)
            .violated()
            .any(|name| name == SameSession)
    );
}

#[test]
fn a_claim_that_stores_no_owner_is_a_claim_where_time_has_passed() {
    let rule = || LockRow {
        owner: None,
        ..jobs()
    };
    let again = |expires: bool| {
        let mut tale = Tale::of(rule());
        let claim = |tale: &mut Tale, connection: &str| {
            let row = tale
                .held_by("", 1)
                .map(|row| RowVersion { owner: None, ..row });
            tale.sets(connection, row);
        };
        tale.row("1");
        claim(&mut tale, "a.0");
        tale.expires();
        claim(&mut tale, "b.0");
        tale.touches_nothing("a.0");
        if expires {
            tale.story.killed("b", 2);
            tale.expires();
        }
        claim(&mut tale, "a.0");
        tale.works("a.1").leaves_it("a.0", true);
        match expires {
            true => tale.ends("a").story.end(),
            false => tale.over(),
        }
    };
    assert_violated(&again(true), &[]);
    assert!(verdict(&again(false)).violated().next().is_some());
}

#[test]
fn who_was_told_that_it_lost_a_row_may_tidy_up_after_that() {
    // b has ended the row; a looks, and stamps what is done.
    let stamps = |told: bool| {
        let mut tale = Tale::of(jobs());
        tale.row("1").takes("a.0", 1).expires();
        does(&mut tale, "b", "1");
        if told {
            tale.touches_nothing("a.0");
        }
        let row = tale.row.clone();
        tale.sets("a.0", row).over()
    };
    assert_violated(&stamps(true), &[]);
    assert!(said(&stamps(false), ExactlyOnce).judgement == Judgement::Violated);
    // b has it and its time has passed: a, that was told, makes it free again.
    let mut tale = Tale::of(jobs());
    tale.row("1")
        .takes("a.0", 1)
        .expires()
        .takes("b.0", 2)
        .touches_nothing("a.0");
    tale.expires().leaves_it("a.0", false);
    assert_violated(&tale.over(), &[]);
}

#[test]
fn what_a_pod_does_to_the_queue_alone_is_for_the_other_invariants() {
    let mut tale = Tale::of(jobs());
    tale.row("1")
        .takes("a.0", 1)
        .expires()
        .leaves_it("b.0", false);
    let lines = tale.over();
    assert_violated(&lines, &[]);
    assert_eq!(said(&lines, WorkUnderLock).judgement, Judgement::NotJudged);
    assert_eq!(said(&lines, ExactlyOnce).judgement, Judgement::NotJudged);
}

/// Whether a queue is recognised by these statements, each with its answer: for sure, perhaps, or not.
fn recognised(statements: &[(&str, &str)]) -> Option<bool> {
    let mut tale = Tale::of(jobs());
    for (sql, tag) in statements {
        tale.says("a.0", sql, tag);
    }
    let lines = tale.over();
    let found = likely_queue(&Timeline::of(&lines), |table| format!("public.{table}"));
    found.map(|queue| queue.sure)
}

#[test]
fn a_queue_is_recognised_where_the_texts_tell_all_of_it() {
    let claim = "update job set state = 'running', locked_at = now() where id = (select id from job where state = 'new' \
                 limit 1 for update skip locked) returning id";
    let done = "update job set state = 'done' where id = $1 and state = 'running'";
    let all = |claim, done| recognised(&[(claim, "UPDATE 1"), (done, "UPDATE 1")]);
    assert_eq!(all(claim, done), Some(true));
    let deletes = [
        (claim, "UPDATE 1"),
        ("delete from job where id = $1", "DELETE 1"),
    ];
    assert_eq!(recognised(&deletes), Some(true));
    // A purge before any claim ends none.
    let purges = [
        ("delete from job where at < now()", "DELETE 1"),
        (claim, "UPDATE 1"),
    ];
    assert_eq!(recognised(&purges), Some(false));
    // Stages of a work, and a table of the job's own.
    let stage = "update job set state = 'running' where state = 'new'";
    assert_eq!(
        all(
            stage,
            "update job set state = 'done' where state = 'running'"
        ),
        Some(false)
    );
    let own = [
        ("create table job (id int, state text)", "CREATE TABLE"),
        (claim, "UPDATE 1"),
        (done, "UPDATE 1"),
    ];
    assert_eq!(recognised(&own), None);
    // A claim that runs out: by a time that is read, or by one that is not.
    let again = |time: &str| {
        let claim = format!(
            "update job set state = 'running', locked_at = now() where id = (select id from job where state = 'new' or \
             state = 'running' and locked_at < {time} limit 1 for update skip locked) returning id"
        );
        recognised(&[(&claim, "UPDATE 1"), (done, "UPDATE 1")])
    };
    assert_eq!(again("now() - interval '5 minutes'"), Some(true));
    assert_eq!(again("(now() - make_interval(mins => 5))"), Some(false));
}
