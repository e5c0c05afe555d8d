//! Runs that took another course, in hand-written histories.

use super::tests::{gone_hazard, locked, mined, of, turn_ended};
use super::*;
use crate::history::{Answer, Ending, Event, TurnEnd};
use crate::name::PodName;
use crate::search::tale::{Tale, catalog};

/// A pod that is refused the lock by its own try, and exits.
fn refused_pod(tale: &mut Tale, answer: bool) {
    tale.lock("a.0", 7);
    let step = tale.released("b.0", Tale::request("select pg_try_advisory_lock(7)"));
    let answer = Answer {
        lock_results: vec![Some(answer)],
        transaction: Some('I'),
        ..Answer::default()
    };
    tale.ended(step, Ending::Done, answer);
}

fn exits(tale: &mut Tale, pod: &str) {
    let pod = PodName::new(pod);
    tale.event(Event::PodExited {
        pod: pod.clone(),
        code: Some(0),
        signal: None,
    });
    tale.event(Event::PodEnded { pod });
}

#[test]
fn what_a_pod_does_that_finds_the_lock_taken_is_seen() {
    let mut leaves = Tale::of(&["a", "b"]);
    refused_pod(&mut leaves, false);
    exits(&mut leaves, "b");
    assert_eq!(when_taken(&leaves.lines()), Some(WhenTaken::Leaves));
    // One that works all the same has not left.
    let mut works = Tale::of(&["a", "b"]);
    refused_pod(&mut works, false);
    works.step("b.0", "insert into t (a) values (1)");
    exits(&mut works, "b");
    assert_eq!(when_taken(&works.lines()), None);
    let mut waits = Tale::of(&["a", "b"]);
    waits
        .lock("a.0", 7)
        .waits("b.0", "select pg_advisory_lock(7)");
    assert_eq!(when_taken(&waits.lines()), Some(WhenTaken::Waits));
    let mut polls = Tale::of(&["a", "b"]);
    refused_pod(&mut polls, false);
    turn_ended(&mut polls, 0, TurnEnd::Yielded);
    assert_eq!(when_taken(&polls.lines()), Some(WhenTaken::Waits));
    let mut alone = Tale::of(&["a"]);
    alone.step("a.0", "insert into t (a) values (1)");
    assert_eq!(when_taken(&alone.lines()), None);
}

#[test]
fn a_pod_that_left_answers_what_it_was_to_reach_and_does_not_wait() {
    let hazards = mined(&[locked().lines()], &catalog());
    let lost = of(&hazards, HazardKind::LockLost);
    assert!(lost.needs_waiter());
    let run = |refused: bool, ends: TurnEnd| {
        let mut tale = Tale::of(&["a", "b"]);
        refused_pod(&mut tale, !refused);
        turn_ended(&mut tale, 0, TurnEnd::Reached);
        exits(&mut tale, "b");
        turn_ended(&mut tale, 1, ends);
        turn_ended(&mut tale, 3, TurnEnd::Reached);
        turn_ended(&mut tale, 4, TurnEnd::Reached);
        tale.lines()
    };
    let left = other_course(lost, &run(true, TurnEnd::PodEnded));
    assert_eq!(
        left,
        Some(OtherCourse::NotApplicable(DOES_NOT_WAIT.to_owned()))
    );
    assert_eq!(other_course(lost, &run(false, TurnEnd::PodEnded)), None);
    // One that asks again and again waits, too.
    let polls = other_course(lost, &run(true, TurnEnd::Yielded));
    assert!(matches!(polls, Some(OtherCourse::Answered(_))), "{polls:?}");

    let gone = gone_hazard();
    let ended = |first: TurnEnd, second: TurnEnd| {
        let mut tale = Tale::of(&["a", "b"]);
        turn_ended(&mut tale, 0, first);
        exits(&mut tale, "b");
        turn_ended(&mut tale, 1, second);
        turn_ended(&mut tale, 2, TurnEnd::Reached);
        other_course(&gone, &tale.lines())
    };
    let came_second = ended(TurnEnd::Reached, TurnEnd::PodEnded);
    assert_eq!(
        came_second,
        Some(OtherCourse::Answered(
            "b never came to `delete from parent …`: it ended before".to_owned()
        ))
    );
    // What the first pod does by itself is no answer.
    assert_eq!(ended(TurnEnd::PodEnded, TurnEnd::Reached), None);
    assert_eq!(ended(TurnEnd::Reached, TurnEnd::Reached), None);
}
