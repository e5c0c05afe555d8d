//! A lock that is a row: each invariant on a good history and on a bad one that differs in one event.

use super::lease_tale::*;
use super::*;
use crate::history::*;
use crate::name::InvariantName::*;

/// Without an expiry: a flag with an owner.
fn flag() -> LockRow {
    LockRow {
        expiry: None,
        ..rule()
    }
}

fn fenced() -> LockRow {
    LockRow {
        token: Some("generation".to_owned()),
        ..rule()
    }
}

#[test]
fn pods_that_take_the_row_by_turns_hold() {
    let mut tale = Tale::of(rule());
    tale.takes("a.0", 1).works("a.1").gives_back("a.0");
    tale.takes("b.0", 2).works("b.1").gives_back("b.0");
    let lines = tale.over();
    assert_violated(&lines, &[]);
    assert!(verdict(&lines).of(Fencing).is_none());
}

/// a's lease runs out and b takes over; a writes before that, or after it.
fn late(rule: LockRow, is_late: bool) -> Vec<Line> {
    let mut tale = Tale::of(rule);
    tale.takes("a.0", 1);
    if !is_late {
        tale.works("a.1");
    }
    tale.expires().takes("b.0", 2);
    if is_late {
        tale.works("a.1");
    }
    tale.works("b.1").gives_back("b.0");
    tale.touches_nothing("a.0").over()
}

#[test]
fn a_write_after_anothers_take_over_violates_work_under_lock_and_tells_the_story() {
    assert_violated(&late(rule(), false), &[]);
    let bad = late(rule(), true);
    assert_violated(&bad, &[WorkUnderLock]);
    let said = said(&bad, WorkUnderLock);
    for words in [
        "pod a wrote public.invoices",
        "its lease had run out (`expire`",
        "pod b took it over in step 1",
        "without knowing",
        "fencing token",
    ] {
        assert!(said.why.contains(words), "{}", said.why);
    }
    assert_eq!(said.findings[0].pod, Some(pod("a")));
}

#[test]
fn where_the_row_has_a_token_a_late_write_is_fencings() {
    assert_violated(&late(fenced(), false), &[]);
    let bad = late(fenced(), true);
    assert_violated(&bad, &[Fencing]);
    let said = said(&bad, Fencing);
    assert!(said.why.contains("with token 1"), "{}", said.why);
}

#[test]
fn a_token_that_does_not_rise_fences_nobody_off() {
    let tokens = |second| {
        let mut tale = Tale::of(fenced());
        tale.takes("a.0", 5).works("a.1").gives_back("a.0");
        tale.takes("b.0", second).works("b.1").gives_back("b.0");
        tale.over()
    };
    assert_violated(&tokens(6), &[]);
    assert_violated(&tokens(5), &[Fencing]);
}

#[test]
fn a_take_over_before_the_time_has_passed_violates_mutual_exclusion() {
    let over = |expires| {
        let mut tale = Tale::of(rule());
        tale.takes("a.0", 1).works("a.1");
        if expires {
            tale.expires();
        }
        tale.takes("b.0", 2).works("b.1").gives_back("b.0");
        tale.touches_nothing("a.0").over()
    };
    assert_violated(&over(true), &[]);
    let bad = over(false);
    assert_violated(&bad, &[MutualExclusion]);
    let said = said(&bad, MutualExclusion);
    assert!(
        said.why.contains("two pods had the lock row of lease"),
        "{}",
        said.why
    );
}

#[test]
fn whoever_renews_its_lock_after_its_time_had_passed_has_it() {
    let told = |renews: bool| {
        let mut tale = Tale::of(rule());
        tale.takes("a.0", 1).expires();
        if renews {
            tale.takes("a.0", 1);
        }
        tale.touches_nothing("a.0")
            .works("a.1")
            .gives_back("a.0")
            .over()
    };
    assert_violated(&told(true), &[]);
    assert_violated(&told(false), &[SameSession]);
}

#[test]
fn two_pods_that_write_the_same_owner_are_two_owners() {
    let mut tale = Tale::of(rule());
    let row = tale.held_by("worker", 1);
    tale.sets("a.0", row).works("a.1");
    let row = tale.held_by("worker", 1);
    tale.sets("b.0", row).works("b.1").gives_back("b.0");
    assert_violated(&tale.touches_nothing("a.0").over(), &[MutualExclusion]);
}

#[test]
fn a_release_of_anothers_lock_violates_same_owner() {
    let release = |compares: bool| {
        let mut tale = Tale::of(rule());
        tale.takes("a.0", 1).works("a.1").expires();
        tale.takes("b.0", 2).works("b.1");
        match compares {
            true => tale.touches_nothing("a.0").gives_back("b.0"),
            false => tale.sets("a.0", None).touches_nothing("b.0"),
        };
        tale.over()
    };
    assert_violated(&release(true), &[]);
    let bad = release(false);
    assert_violated(&bad, &[SameSession]);
    let said = said(&bad, SameSession);
    for words in [
        "pod a deleted it",
        "pod b took it over",
        "and locked_by = $1",
    ] {
        assert!(said.why.contains(words), "{}", said.why);
    }
    assert_eq!(said.findings[0].pod, Some(pod("a")));
}

#[test]
fn a_late_renewal_of_anothers_lock_violates_same_owner() {
    let mut tale = Tale::of(rule());
    tale.takes("a.0", 1).works("a.1").expires();
    tale.takes("b.0", 2).works("b.1");
    let row = tale.held_by("b", 2);
    tale.sets("a.0", row).gives_back("b.0");
    assert_violated(&tale.over(), &[SameSession]);
}

#[test]
fn a_pod_that_is_told_that_it_has_lost_the_lock_writes_nothing_until_it_has_it_again() {
    let renewal = |goes_on: bool, anew: bool| {
        let mut tale = Tale::of(rule());
        tale.takes("a.0", 1).works("a.1").expires();
        tale.takes("b.0", 2).works("b.1").gives_back("b.0");
        tale.touches_nothing("a.0");
        if anew {
            tale.takes("a.0", 3);
        }
        if goes_on {
            tale.works("a.1");
        }
        if anew {
            tale.gives_back("a.0");
        }
        tale.over()
    };
    assert_violated(&renewal(false, false), &[]);
    assert_violated(&renewal(true, true), &[]);
    // b had had it: what a writes is late, too.
    let bad = renewal(true, false);
    assert_violated(&bad, &[SameSession, WorkUnderLock]);
    let said = said(&bad, SameSession);
    assert!(said.why.contains("touched no row"), "{}", said.why);
}

#[test]
fn a_write_without_a_grant_or_after_the_release_violates_work_under_lock() {
    let order = |takes: bool, late: bool| {
        let mut tale = Tale::of(rule());
        if takes {
            tale.takes("a.0", 1);
        }
        if !late {
            tale.works("a.1");
        }
        if takes {
            tale.gives_back("a.0");
        }
        if late {
            tale.works("a.1");
        }
        tale.over()
    };
    assert_violated(&order(true, false), &[]);
    assert_violated(&order(false, false), &[WorkUnderLock]);
    assert_violated(&order(true, true), &[WorkUnderLock]);
}

/// a is killed while it has the lock.
fn killed(rule: LockRow) -> Vec<Line> {
    let mut tale = Tale::of(rule);
    tale.takes("a.0", 1).works("a.1");
    tale.story.killed("a", 2);
    tale.touches_nothing("b.0").ends("b").story.end()
}

#[test]
fn a_flag_that_a_killed_holder_leaves_is_a_leak_and_a_lease_is_none() {
    assert_violated(&killed(rule()), &[]);
    let bad = killed(flag());
    assert_violated(&bad, &[NoLeak]);
    let said = said(&bad, NoLeak);
    assert!(
        said.why.contains("until someone changes the row by hand"),
        "{}",
        said.why
    );
}

#[test]
fn a_pod_that_ends_well_gives_the_lock_back_or_keeps_it_for_less_long() {
    let last = |left: Option<i64>| {
        let mut tale = Tale::of(rule());
        tale.takes("a.0", 1).works("a.1");
        if let Some(left) = left {
            let row = tale.row.clone().map(|row| RowVersion {
                until_us: row.until_us.map(|until| until + left),
                ..row
            });
            tale.sets("a.0", row);
        }
        tale.over()
    };
    // As ShedLock's lockAtLeastFor: for a while, and no longer than it had said.
    assert_violated(&last(Some(-1_000)), &[]);
    assert_violated(&last(None), &[NoLeak]);
    assert_violated(&last(Some(1_000)), &[NoLeak]);
}

#[test]
fn a_transaction_that_takes_the_row_and_gives_it_back_around_its_work_holds() {
    let mut tale = Tale::of(flag());
    for who in ["a.0", "b.0"] {
        tale.begins(who).takes(who, 1).works(who);
        tale.gives_back(who).commits(who);
    }
    assert_violated(&tale.over(), &[]);
}

/// b's take-over waits for the lock row until a has committed; or it does not wait, and is merely on its way when
/// a's COMMIT is.
fn in_flight(rule: LockRow, waits: bool) -> Vec<Line> {
    let mut tale = Tale::of(rule);
    tale.takes("a.0", 1).expires();
    tale.begins("a.1").works("a.1");
    let row = tale.held_by("b", 2);
    let takes = Request {
        sql: vec!["update lease set …".to_owned()],
        writes: vec!["lease".to_owned()],
        ..Request::default()
    };
    let takes = tale.story.held("b.0", takes);
    tale.story.release("b.0", takes);
    if waits {
        tale.story.event(Event::StepEnded {
            step: takes,
            ending: Ending::Blocked,
            answer: Answer::default(),
            blocked_by: vec![session("a.1").pid],
        });
    }
    tale.commits("a.1");
    tale.logs("b.0", takes, row, 900);
    let answer = Answer {
        tags: vec!["UPDATE 1".to_owned()],
        transaction: Some('I'),
        ..Answer::default()
    };
    tale.story.ended(takes, Ending::Done, answer);
    tale.works("b.1").gives_back("b.0");
    tale.over()
}

#[test]
fn a_commit_on_its_way_at_the_take_over_is_reported_and_judged_where_fencing_is_required() {
    let required = || LockRow {
        fencing: true,
        ..rule()
    };
    let reported = |lines: &[Line]| {
        let reports = verdict(lines).reports;
        reports.iter().any(|one| one.contains("it could not know"))
    };
    let lines = in_flight(rule(), false);
    assert_violated(&lines, &[]);
    assert!(reported(&lines));
    assert_violated(&in_flight(required(), false), &[Fencing]);
    // One that waited for the work's transaction came after it.
    assert_violated(&in_flight(required(), true), &[]);
    assert!(!reported(&in_flight(rule(), true)));
}

#[test]
fn a_write_after_the_time_has_passed_is_reported_while_nobody_has_taken_over() {
    let mut tale = Tale::of(rule());
    tale.takes("a.0", 1)
        .expires()
        .works("a.1")
        .gives_back("a.0");
    let lines = tale.over();
    assert_violated(&lines, &[]);
    let reports = verdict(&lines).reports;
    assert!(
        reports
            .iter()
            .any(|one| one.contains("nobody had taken it over yet")),
        "{reports:?}"
    );
}

#[test]
fn a_second_row_of_the_name_is_a_second_holder() {
    let mut tale = Tale::of(flag());
    tale.takes("a.0", 1).works("a.1");
    let first = tale.row.take();
    tale.takes("b.0", 2).works("b.1");
    tale.row = first;
    assert_violated(&tale.over(), &[MutualExclusion, NoLeak]);
}

#[test]
fn a_pod_that_asks_while_another_has_the_row_contends() {
    let asks = |while_had: bool| {
        let mut tale = Tale::of(rule());
        if !while_had {
            tale.touches_nothing("b.0");
        }
        tale.takes("a.0", 1).works("a.1");
        if while_had {
            tale.touches_nothing("b.0");
        }
        change(tale.gives_back("a.0").over(), 0, |event| match event {
            Event::Run(run) => {
                run.rules.guards = vec![GuardName::Contention];
                true
            }
            _ => false,
        })
    };
    assert!(guard(&asks(true), GuardName::Contention).0);
    assert!(!guard(&asks(false), GuardName::Contention).0);
}

#[test]
fn a_pod_that_has_the_lock_asks_for_another_row_of_the_table_and_writes_on() {
    let mut tale = Tale::of(rule());
    tale.takes("a.0", 1).touches_nothing("a.0").works("a.1");
    assert_violated(&tale.gives_back("a.0").over(), &[]);
}
