//! Guards, and the limits that a verdict tells.

use super::*;
use crate::history::*;
use crate::name::GuardName;
use crate::schedule::{Move, Stop};
use InvariantName::*;

/// The good history, with guards demanded.
fn demanding(guards: &[GuardName]) -> Vec<Line> {
    change(good(), 0, |event| match event {
        Event::Run(run) => {
            run.rules.guards = guards.to_vec();
            true
        }
        _ => false,
    })
}

#[test]
fn a_history_without_its_last_line_is_inconclusive() {
    let lines = without(good(), 0, |event| matches!(event, Event::RunEnded { .. }));
    assert_eq!(verdict(&lines).judgement, Judgement::Inconclusive);
    assert!(!guard(&lines, GuardName::RunComplete).0);
}

#[test]
fn a_log_without_its_sentinel_is_inconclusive_unless_there_is_no_log() {
    let lines = without(good(), 0, |event| {
        matches!(event, Event::LogComplete { .. })
    });
    assert_eq!(verdict(&lines).judgement, Judgement::Inconclusive);
    assert!(!guard(&lines, GuardName::LogComplete).0);
    let lines = change(lines, 0, |event| match event {
        Event::Run(run) => {
            run.log = false;
            true
        }
        _ => false,
    });
    let verdict = verdict(&lines);
    assert_eq!(verdict.judgement, Judgement::Holds);
    assert!(verdict.not_tested.contains(&Limit::NoLog));
}

#[test]
fn an_unmet_guard_does_not_hide_a_violation() {
    let lines = without(good(), 0, |event| {
        matches!(event, Event::LogComplete { .. })
    });
    let lines = change(lines, 0, |event| match event {
        Event::Write(write) => {
            write.locks.clear();
            true
        }
        _ => false,
    });
    assert_violated(&lines, &[WorkUnderLock]);
}

#[test]
fn demanded_guards_are_met_by_a_real_overlap() {
    let lines = demanding(&[
        GuardName::Contention,
        GuardName::Overlap,
        GuardName::Blocked,
    ]);
    assert_eq!(verdict(&lines).judgement, Judgement::Holds);
    let (_, why) = guard(&lines, GuardName::Contention);
    assert!(
        why.contains("b.0 waited for lock 1196576591 while a.0 held it"),
        "{why}"
    );
}

#[test]
fn demanded_guards_are_unmet_where_pods_run_one_after_the_other() {
    let mut story = Story::of(&["a", "b"]);
    story.run.rules.guards = vec![
        GuardName::Contention,
        GuardName::Overlap,
        GuardName::Blocked,
        GuardName::RecoveryCompleted,
    ];
    let lines = story.works("a").works("b").end();
    assert_eq!(verdict(&lines).judgement, Judgement::Inconclusive);
    for name in [
        GuardName::Contention,
        GuardName::Overlap,
        GuardName::Blocked,
        GuardName::RecoveryCompleted,
    ] {
        assert!(!guard(&lines, name).0, "{name}");
    }
}

#[test]
fn a_lock_that_nobody_contended_is_told_though_not_demanded() {
    let mut story = Story::of(&["a", "b"]);
    let lines = story.works("a").works("b").end();
    let verdict = verdict(&lines);
    assert_eq!(verdict.judgement, Judgement::Holds);
    assert!(verdict.not_tested.contains(&Limit::NoContention));
    assert!(
        !super::verdict(&good())
            .not_tested
            .contains(&Limit::NoContention)
    );
}

#[test]
fn a_try_lock_that_found_the_lock_taken_is_contention() {
    let mut story = Story::of(&["a", "b"]);
    story.run.rules.guards = vec![GuardName::Contention];
    story.run.rules.on_contention = OnContention::Skip;
    story
        .start("a", 2)
        .lock("a.0")
        .start("b", 1)
        .lock_with("b.0", call(LockAction::TryLock), Some(false))
        .leaves("b.0")
        .exits("b", 0)
        .write("a.1", INVOICES)
        .unlock("a.0")
        .leaves("a.0")
        .succeeds("a");
    assert_violated(&story.end(), &[]);
}

#[test]
fn a_fault_that_did_not_fire_or_was_never_applied_is_named() {
    let mut story = Story::of(&["a"]);
    story.event(Event::Fault(FaultEvent {
        fired: false,
        absent: false,
        evidence: "pod a had ended".to_owned(),
        ..fault("kill", "a")
    }));
    let lines = story.works("a").end();
    assert_eq!(verdict(&lines).judgement, Judgement::Inconclusive);
    assert!(
        guard(&lines, GuardName::FaultsFired)
            .1
            .contains("pod a had ended")
    );

    let mut story = Story::of(&["a"]);
    story.event(begins(
        0,
        Move::Fault(fault("terminate-backend", "a").fault),
    ));
    let lines = story.works("a").end();
    assert!(
        guard(&lines, GuardName::FaultsFired)
            .1
            .contains("never applied")
    );
}

fn turn(turn: &Move, end: Option<TurnEnd>, later: bool) -> (bool, String) {
    let mut story = Story::of(&["a"]);
    story.event(begins(0, turn.clone()));
    if let Some(why) = end {
        story.event(Event::TurnEnded { index: 0, why });
    }
    if later {
        story.event(Event::StopMetLater { index: 0 });
    }
    guard(&story.works("a").end(), GuardName::StopsReached)
}

#[test]
fn stops_are_reached_at_once_later_or_not_at_all() {
    let before = &run("a", before("truncate"));
    assert!(turn(before, Some(TurnEnd::Reached), false).0);
    assert!(turn(before, Some(TurnEnd::Blocked), true).0);
    assert!(!turn(before, Some(TurnEnd::Blocked), false).0);
    assert!(!turn(before, Some(TurnEnd::Yielded), false).0);
    assert!(!turn(before, Some(TurnEnd::Limit), false).0);
    assert!(!turn(before, None, false).0);
    let (met, why) = turn(before, Some(TurnEnd::PodEnded), false);
    assert!(!met);
    assert!(
        why.contains("move 1, a turn of a") && why.contains("the pod ended"),
        "{why}"
    );
}

#[test]
fn a_turn_to_the_end_is_reached_when_its_pod_ended_however_late() {
    let to_end = &run("a", Stop::End);
    assert!(turn(to_end, Some(TurnEnd::PodEnded), false).0);
    assert!(turn(to_end, Some(TurnEnd::Blocked), false).0);
    assert!(!turn(to_end, Some(TurnEnd::Limit), false).0);
    let of_another = &run("x", Stop::End);
    assert!(!turn(of_another, Some(TurnEnd::Blocked), false).0);
    let until_blocked = &run("a", Stop::Blocked);
    assert!(turn(until_blocked, Some(TurnEnd::Reached), false).0);
}

#[test]
fn a_guard_that_is_not_met_carries_the_moves_that_it_speaks_of() {
    let missed = run("a", before("truncate"));
    let mut story = Story::of(&["a"]);
    story.event(begins(0, missed.clone()));
    let verdict = verdict(&story.works("a").end());
    let mut guards = verdict.guards.iter();
    let guard = guards.find(|one| one.name == GuardName::StopsReached);
    let placed = crate::invariant::PlacedMove {
        index: 0,
        begun: Begun::Move(missed),
    };
    assert_eq!(guard.map(|one| one.moves.as_slice()), Some(&[placed][..]));
}

#[test]
fn a_step_without_an_ending_lasts_no_longer_than_its_pod() {
    let story = |overlapping: bool| {
        let mut story = Story::of(&["a", "b"]);
        story.run.rules.guards = vec![GuardName::Overlap];
        story.start("a", 1);
        let step = story.write_held("a.0", INVOICES);
        story.release("a.0", step);
        if overlapping {
            story.works("b").killed("a", 1);
        } else {
            story.killed("a", 1).works("b");
        }
        guard(&story.end(), GuardName::Overlap).0
    };
    assert!(story(true));
    assert!(!story(false));
}

#[test]
fn a_pod_that_never_ended_or_never_started_is_named() {
    let lines = without(good(), 1, |event| matches!(event, Event::PodEnded { .. }));
    assert!(
        guard(&lines, GuardName::PodsEnded)
            .1
            .contains("pod b was not seen to end")
    );
    let mut story = Story::of(&["a", "b"]);
    let lines = story.works("a").end();
    assert!(
        guard(&lines, GuardName::PodsEnded)
            .1
            .contains("pod b was never started")
    );
    let mut story = Story::of(&["a"]);
    story.run.recovery = true;
    let lines = story.works("a").end();
    assert!(
        guard(&lines, GuardName::PodsEnded)
            .1
            .contains("recovery pod")
    );
}

#[test]
fn every_holds_says_its_limits() {
    let verdict = verdict(&good());
    assert_eq!(
        verdict.not_tested,
        [Limit::OneCycle, Limit::OneOrder],
        "the harmless story has no other limit"
    );
    let lines = change(good(), 0, |event| match event {
        Event::RunEnded { .. } => {
            *event = Event::Settling(SettleCounts {
                assumed: 3,
                restless: 1,
                leaves: vec!["tcp 10.0.0.1:443".to_owned()],
                ..SettleCounts::default()
            });
            true
        }
        _ => false,
    });
    let limits = super::verdict(&lines).not_tested;
    assert!(
        limits.contains(&Limit::SettlingAssumed {
            times: 3,
            leaves: vec!["tcp 10.0.0.1:443".to_owned()],
        }),
        "{limits:?}"
    );
    assert!(limits.contains(&Limit::Restless { times: 1 }), "{limits:?}");
}

#[test]
fn a_subject_that_writes_nothing_protected_is_inconclusive() {
    let mut story = Story::of(&["a"]);
    story.start("a", 1).lock("a.0").unlock("a.0").succeeds("a");
    let verdict = verdict(&story.end());
    assert_eq!(verdict.judgement, Judgement::Inconclusive);
    assert!(
        verdict
            .guards
            .iter()
            .any(|guard| guard.name == GuardName::Wrote && !guard.met)
    );
}
