//! Pods that wait for a held one where no lock of the server shows it.

use std::time::Duration;

use super::*;
use crate::conductor::simulated::Op::{Add, Await, Read, Set};
use crate::conductor::{LetGo, Orders, Silence, Waits};

fn waiting(silence: Option<Silence>, let_go: Option<(&str, u32)>) -> Orders {
    Orders {
        time_limit: Duration::from_secs(5),
        waits: Waits {
            silence,
            let_go: let_go.map(|(pod, steps)| LetGo {
                pod: PodName::new(pod),
                steps,
            }),
        },
        ..orders()
    }
}

fn told(programs: &[Vec<Act>], moves: &[Move], orders: Orders) -> String {
    let schedule = Schedule::Controlled(moves.to_vec());
    story(&run_with(Model::new(programs), &schedule, orders).lines)
}

/// a sets what b waits for in its second step.
fn gate_and_waiter() -> [Vec<Act>; 2] {
    [
        p([Add(0), Set(1, 1), Add(0)]),
        p([Add(2), Await(1), Add(3)]),
    ]
}

#[test]
fn a_pod_that_rests_while_another_is_held_makes_way_at_once() {
    let story = told(
        &gate_and_waiter(),
        &[steps("a", 1), end("b")],
        waiting(Some(Silence::default()), None),
    );
    assert_eq!(
        story,
        "a>add0 a=add0 [reached] b>add2 b=add2 b.waits [waits] +a a>set1-1 a=set1-1 a>add0 a=add0 a.exit a.end \
         [reached] +b b>add3 b=add3 b.exit b.end [reached]"
    );
}

#[test]
fn a_clean_run_looks_for_no_such_wait_and_comes_to_its_limit() {
    let story = told(
        &gate_and_waiter(),
        &[steps("a", 1), end("b")],
        waiting(None, None),
    );
    assert_eq!(story, "a>add0 a=add0 [reached] b>add2 b=add2 limit [limit]");
}

#[test]
fn where_nobody_is_held_there_is_nobody_to_wait_for() {
    let story = told(
        &[p([Add(0)]), p([Await(1), Add(3)])],
        &[end("a"), end("b")],
        waiting(Some(Silence::default()), None),
    );
    assert_eq!(story, "a>add0 a=add0 a.exit a.end [reached] limit [limit]");
}

#[test]
fn where_a_wait_is_what_the_run_is_made_for_all_others_run_to_their_ends_first() {
    let story = told(
        &gate_and_waiter(),
        &[steps("a", 1), end("b"), steps("a", 1)],
        waiting(Some(Silence::default()), Some(("b", 1))),
    );
    assert_eq!(
        story,
        "a>add0 a=add0 [reached] b>add2 b=add2 b.waits [waits] +a a>set1-1 a=set1-1 a>add0 a=add0 a.exit a.end \
         [reached] +b b>add3 b=add3 b.exit b.end [reached]"
    );
}

#[test]
fn a_wait_at_another_step_lets_nobody_go() {
    let story = told(
        &gate_and_waiter(),
        &[steps("a", 1), end("b"), steps("a", 1)],
        waiting(Some(Silence::default()), Some(("b", 7))),
    );
    assert_eq!(
        story,
        "a>add0 a=add0 [reached] b>add2 b=add2 b.waits [waits] a>set1-1 a=set1-1 [reached] +a a>add0 a=add0 a.exit \
         a.end [reached] +b b>add3 b=add3 b.exit b.end [reached]"
    );
}

#[test]
fn a_request_that_is_repeated_with_another_answer_is_a_wait_while_another_is_held() {
    let story = told(
        &[p([Add(0), Add(0)]), p([Read(1), Read(1), Add(2)])],
        &[steps("a", 1), end("b")],
        waiting(Some(Silence::default()), None),
    );
    assert_eq!(
        story,
        "a>add0 a=add0 [reached] b>read1 b=read1 b>read1 b=read1 b.waits b>add2 b=add2 b.exit b.end [reached] +a \
         a>add0 a=add0 a.exit a.end [reached]"
    );
}

#[test]
fn what_the_clean_run_repeats_as_well_is_no_wait() {
    let known = Silence {
        repeats: [vec!["read v1".to_owned()]].into(),
        ..Silence::default()
    };
    let story = told(
        &[p([Add(0), Add(0)]), p([Read(1), Read(1), Add(2)])],
        &[steps("a", 1), end("b")],
        waiting(Some(known), None),
    );
    assert!(!story.contains("waits"), "{story}");
}

#[test]
fn a_wait_ends_when_the_pod_that_was_held_goes_on() {
    let schedule = Schedule::Controlled(vec![steps("a", 1), steps("b", 2), steps("a", 1)]);
    let programs = [
        p([Add(0), Add(0), Add(0)]),
        p([Read(1), Read(1), Read(1), Read(1)]),
    ];
    let orders = waiting(Some(Silence::default()), None);
    let lines = run_with(Model::new(&programs), &schedule, orders).lines;
    let waits = lines
        .iter()
        .filter(|line| matches!(line.event, Event::PodWaits { .. }));
    // Once before a's step; after the schedule a runs to its end before b goes on.
    assert_eq!(waits.count(), 1);
}

#[test]
fn a_wait_of_one_kind_is_told_once() {
    let story = told(
        &[p([Add(0), Add(0)]), p([Read(1), Read(1), Read(1), Read(1)])],
        &[steps("a", 1), end("b")],
        waiting(Some(Silence::default()), None),
    );
    assert_eq!(story.matches("b.waits").count(), 1, "{story}");
}
