//! Runs in which the controller of a CronJob decided which pods there were.

use super::*;
use crate::history::*;
use crate::name::GuardName;
use crate::name::InvariantName::*;
use crate::schedule::{Move, Stop};

fn decision(decided: Decided, of: Option<&str>, why: &str) -> Event {
    Event::Controller(Decision {
        clock: "00:20".to_owned(),
        decided,
        job: None,
        pod: of.map(pod),
        attempt: None,
        why: why.to_owned(),
    })
}

fn by_controller(name: &str, hit: &str, takes_pod: bool) -> Event {
    let none = FaultEvent {
        by: FaultBy::Controller {
            clock: "00:20".to_owned(),
        },
        ..fault(name, hit)
    };
    Event::Fault(if takes_pod {
        none
    } else {
        FaultEvent {
            takes_pod,
            ends_session: false,
            sqlstates: Vec::new(),
            ..none
        }
    })
}

/// Pod a is created and works; then whatever the test adds.
fn story() -> Story {
    let mut story = Story::of(&[]);
    story.event(decision(Decided::Watch, None, "every ten minutes"));
    story.event(begins(0, Move::Tick));
    story.event(decision(Decided::CreatePod, Some("a"), "attempt 1"));
    story.event(begins(1, run("a", Stop::End))).works("a");
    story.event(Event::TurnEnded {
        index: 1,
        why: TurnEnd::Reached,
    });
    story
}

#[test]
fn a_pod_that_no_turn_names_and_the_controller_never_created_is_not_missed() {
    let lines = story().end();
    assert_eq!(
        verdict(&lines).judgement,
        Judgement::Holds,
        "{}",
        words(&verdict(&lines))
    );
    assert_eq!(
        guard(&lines, GuardName::PodsEnded),
        (true, "1 pod ended".to_owned())
    );
    assert_eq!(
        guard(&lines, GuardName::FaultsFired).1,
        "the schedule has no fault"
    );
}

#[test]
fn a_turn_of_a_pod_that_is_not_there_is_an_unmet_guard_with_the_reason() {
    let not_there = |index| Event::TurnEnded {
        index,
        why: TurnEnd::NotThere,
    };
    let told = |refusal: Option<Event>, one: Move| {
        let mut story = story();
        if let Some(refusal) = refusal {
            story.event(refusal);
        }
        story.event(begins(2, one)).event(not_there(2));
        let lines = story.end();
        assert_eq!(verdict(&lines).judgement, Judgement::Inconclusive);
        let (met, why) = guard(&lines, GuardName::StopsReached);
        assert!(!met);
        why
    };
    let skip = decision(
        Decided::Skip,
        None,
        "Forbid, and job-1 (pod a) has not finished",
    );
    let why = told(Some(skip.clone()), run("b", Stop::Blocked));
    assert!(
        why.contains(
            "pod b was never created (at 00:20: Forbid, and job-1 (pod a) has not finished)"
        ),
        "{why}"
    );
    let why = told(Some(skip), Move::Together(vec![pod("a"), pod("b")]));
    assert!(
        why.contains("pod b was never created (at") && !why.contains("pod a was"),
        "{why}"
    );
    let why = told(None, run("b", Stop::End));
    assert!(
        why.contains("neither a tick nor a manual Job made it"),
        "{why}"
    );
    let removed = decision(Decided::Remove, Some("b"), "deleted");
    let why = told(Some(removed), run("b", Stop::End));
    assert!(
        why.contains("pod b was deleted at 00:20 before it had started"),
        "{why}"
    );
}

#[test]
fn a_pod_that_was_created_must_run_and_end_unless_it_was_deleted_before() {
    let with = |more: &[Event]| {
        let mut story = story();
        story.event(decision(Decided::CreatePod, Some("b"), "attempt 1"));
        more.iter().for_each(|event| {
            story.event(event.clone());
        });
        story.end()
    };
    let (met, why) = guard(&with(&[]), GuardName::PodsEnded);
    assert!(!met && why.contains("pod b was never started"), "{why}");
    let removed = decision(Decided::Remove, Some("b"), "deleted");
    assert!(guard(&with(&[removed]), GuardName::PodsEnded).0);
}

#[test]
fn what_the_controller_kills_is_not_progress_business_and_its_lock_may_end_with_it() {
    let killed = |by: Option<Event>| {
        let mut story = story();
        story.event(decision(Decided::CreatePod, Some("b"), "attempt 1"));
        story.start("b", 2).lock("b.0").write("b.1", INVOICES);
        if let Some(by) = by {
            story.event(by);
        }
        story.event(Event::PodExited {
            pod: pod("b"),
            code: None,
            signal: Some(9),
        });
        for connection in ["b.0", "b.1"] {
            story.lost(connection, ClosedBy::Client);
        }
        story.event(Event::PodEnded { pod: pod("b") });
        story.end()
    };
    let excused = verdict(&killed(Some(by_controller("kill", "b", true))));
    assert_eq!(excused.judgement, Judgement::Holds, "{}", words(&excused));
    assert_violated(&killed(None), &[SameSession, Progress]);
    // A SIGTERM that had no effect explains nothing.
    let without_effect = by_controller("terminate", "b", false);
    assert_violated(&killed(Some(without_effect)), &[SameSession, Progress]);
}

#[test]
fn a_fault_of_the_controller_stands_for_none_of_the_schedule() {
    let mut story = story();
    story.event(begins(2, Move::Fault(fault("kill", "a").fault)));
    story.event(by_controller("kill", "a", true));
    let (met, why) = guard(&story.end(), GuardName::FaultsFired);
    assert!(
        !met && why.contains("move 3, kill, was never applied"),
        "{why}"
    );
}

#[test]
fn that_the_clock_was_the_schedules_is_told() {
    let verdict = verdict(&story().end());
    assert!(verdict.not_tested.contains(&Limit::SchedulesClock));
}
