//! Who is excused for giving up: histories that differ in one event, and what their verdicts become.

use super::*;
use crate::history::{Answer, Delivery};
use crate::invariant::Finding;
use crate::name::ConnectionName;

fn pod(name: &str) -> PodName {
    PodName::new(name)
}

fn waits() -> Event {
    Event::PodWaits {
        pod: pod("b"),
        waits_for: WaitsFor::RepeatedRequest,
        held: vec![pod("a")],
        steps: 2,
    }
}

fn exits() -> Event {
    Event::PodExited {
        pod: pod("b"),
        code: Some(1),
        signal: None,
    }
}

fn connection(name: &str) -> ConnectionName {
    ConnectionName {
        pod: pod(name),
        index: 0,
    }
}

fn released(name: &str) -> Event {
    Event::StepReleased {
        step: StepId(9),
        number: Some(1),
        connection: connection(name),
        session: None,
        delivery: Delivery::Forwarded,
        held_us: 0,
    }
}

/// A step of b that writes by its text.
fn writes(tag: &str) -> [Event; 2] {
    let request = Request {
        writes: vec!["t".to_owned()],
        ..Request::default()
    };
    let answer = Answer {
        tags: vec![tag.to_owned()],
        ..Answer::default()
    };
    [
        Event::StepHeld {
            step: StepId(7),
            connection: connection("b"),
            request,
        },
        Event::StepEnded {
            step: StepId(7),
            ending: Ending::Done,
            answer,
            blocked_by: Vec::new(),
        },
    ]
}

fn lines(events: impl IntoIterator<Item = Event>) -> Vec<Line> {
    let line = |(seq, event)| Line {
        seq,
        at_us: seq,
        event,
    };
    (1..).zip(events).map(line).collect()
}

fn gives_up(events: impl IntoIterator<Item = Event>) -> bool {
    given_up(&lines(events)).contains_key(&pod("b"))
}

#[test]
fn who_ends_in_a_wait_for_a_held_pod_has_given_up() {
    assert!(gives_up([waits(), exits()]));
    assert!(gives_up([waits(), released("b"), exits()]));
    assert!(!gives_up([exits()]));
    assert!(!gives_up([waits(), released("a"), exits()]));
    assert!(!gives_up([
        waits(),
        Event::PodEnded { pod: pod("a") },
        exits()
    ]));
}

#[test]
fn who_writes_in_the_wait_has_not_given_up() {
    let with = |tag: &str| {
        let [held, ended] = writes(tag);
        gives_up([waits(), held, ended, exits()])
    };
    assert!(with("UPDATE 0"));
    assert!(!with("UPDATE 1"));
}

fn verdict(of: &[(&str, Judgement)]) -> Verdict {
    let violated = of
        .iter()
        .any(|(_, judgement)| *judgement == Judgement::Violated);
    let finding = |name: &str| Finding {
        why: format!("pod {name} exited with code 1"),
        pod: Some(pod(name)),
        ..Finding::default()
    };
    let progress = InvariantVerdict {
        name: InvariantName::Progress,
        judgement: match violated {
            true => Judgement::Violated,
            false => Judgement::Holds,
        },
        why: String::new(),
        findings: of
            .iter()
            .filter(|(_, judgement)| *judgement == Judgement::Violated)
            .map(|(name, _)| finding(name))
            .collect(),
        tables: Vec::new(),
    };
    Verdict::saying(progress.judgement, vec![progress])
}

#[test]
fn what_fails_only_where_the_others_are_held_is_inconclusive() {
    let (fails, holds) = (Judgement::Violated, Judgement::Holds);
    let lines = lines([waits(), exits()]);
    let weighed = |first: &[(&str, Judgement)], second: &[(&str, Judgement)]| {
        let mut first = verdict(first);
        weigh_giving_up(&mut first, &lines, &verdict(second));
        first
    };
    let refuted = weighed(&[("b", fails)], &[("b", holds)]);
    assert_eq!(refuted.judgement, Judgement::Inconclusive);
    assert_eq!(refuted.gave_up.len(), 1);
    assert!(
        refuted.invariants[0]
            .why
            .contains("waited for another answer")
    );
    assert_eq!(weighed(&[("b", fails)], &[("b", fails)]).judgement, fails);
    // a waited for nobody.
    let both = weighed(&[("a", fails), ("b", fails)], &[("b", holds)]);
    assert_eq!(both.judgement, fails);
    assert_eq!(both.invariants[0].findings.len(), 1);
}
