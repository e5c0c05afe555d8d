//! A small history, and what the timeline says of it.

use super::*;
use crate::history::*;
use crate::name::{ConnectionName, PodName, Session, StepId};
use crate::schedule::{Move, Stop, Turn};

/// a.0 is let go and waits for b; b.0 looks up the catalog, then ends its step; a.0 goes through.
fn lines() -> Vec<Line> {
    let mut writer = Writer::in_memory();
    let mut now = 0;
    let mut event = |event| {
        now += 10;
        writer.record(now, event);
    };
    let name = |text: &str| -> ConnectionName { text.parse().unwrap() };
    for (connection, pid) in [("a.0", 100), ("b.0", 200)] {
        event(Event::SessionStarted {
            connection: name(connection),
            session: Session { pid, started_us: 1 },
            server: 0,
        });
    }
    let held = |step, connection: &str, look_up| Event::StepHeld {
        step: StepId(step),
        connection: name(connection),
        request: Request {
            sql: vec![format!("select {step}")],
            look_up,
            prepares: false,
            ..Request::default()
        },
    };
    let released = |step, connection: &str, number| Event::StepReleased {
        step: StepId(step),
        number,
        connection: name(connection),
        session: None,
        delivery: Delivery::Forwarded,
        held_us: 1,
    };
    let ended = |step, ending, blocked_by| Event::StepEnded {
        step: StepId(step),
        ending,
        answer: Answer::default(),
        blocked_by,
    };
    let turn = |index, pod: &str| Event::MoveStarted {
        index,
        begun: Begun::Move(Move::Turn(Turn {
            pod: PodName::new(pod),
            until: Stop::End,
        })),
        scheduled: true,
    };
    event(held(1, "a.0", false));
    event(turn(0, "a"));
    event(released(1, "a.0", Some(1)));
    event(ended(1, Ending::Blocked, vec![200]));
    event(Event::TurnEnded {
        index: 0,
        why: TurnEnd::Blocked,
    });
    event(held(2, "b.0", true));
    event(held(3, "b.0", false));
    event(turn(1, "b"));
    event(released(2, "b.0", None));
    event(ended(2, Ending::Done, Vec::new()));
    event(released(3, "b.0", Some(1)));
    event(ended(3, Ending::Done, Vec::new()));
    event(ended(1, Ending::Done, Vec::new()));
    event(held(4, "a.0", false));
    event(Event::StepDropped {
        step: StepId(4),
        why: DropReason::RunEnded,
    });
    writer.lines().to_vec()
}

fn ids<'a>(steps: impl Iterator<Item = &'a StepFacts<'a>>) -> Vec<u64> {
    steps.map(|step| step.id.0).collect()
}

#[test]
fn a_step_has_its_whole_life() {
    let lines = lines();
    let timeline = Timeline::of(&lines);
    let step = &timeline.steps[&StepId(1)];
    let seq = |moment: Option<Moment>| moment.map(|at| at.seq);
    assert_eq!(step.held.seq, 3);
    assert_eq!(seq(step.released), Some(5));
    assert_eq!(seq(step.blocked()), Some(6));
    assert_eq!(step.endings[0].blocked_by, [200]);
    assert_eq!(step.last().map(|end| end.at.seq), Some(15));
    assert_eq!(step.session.map(|session| session.pid), Some(100));
    let dropped = &timeline.steps[&StepId(4)];
    assert!(dropped.released.is_none() && dropped.dropped.is_some());
    assert_eq!(ids(timeline.numbered()), [1, 3]);
}

#[test]
fn a_turn_has_the_steps_that_were_let_go_in_it() {
    let lines = lines();
    let timeline = Timeline::of(&lines);
    let turns: Vec<_> = timeline
        .turns
        .iter()
        .map(|turn| {
            let steps = timeline.released[turn.released.clone()].to_vec();
            (turn.begun.pod().map(PodName::as_str), steps, turn.why)
        })
        .collect();
    let (a, b) = (vec![StepId(1)], vec![StepId(2), StepId(3)]);
    assert_eq!(
        turns,
        [(Some("a"), a, Some(TurnEnd::Blocked)), (Some("b"), b, None)]
    );
}

#[test]
fn every_line_of_a_step_leads_to_it() {
    let lines = lines();
    let timeline = Timeline::of(&lines);
    for (line, happening) in timeline.happenings() {
        match (&line.event, happening) {
            (Event::StepHeld { step, .. }, Happening::Held(found))
            | (Event::StepReleased { step, .. }, Happening::Released(found))
            | (Event::StepDropped { step, .. }, Happening::Dropped(found)) => {
                assert_eq!(*step, found.id);
            }
            (Event::StepEnded { step, ending, .. }, Happening::Ended(found, end)) => {
                assert_eq!((*step, *ending), (found.id, end.ending));
                assert_eq!(end.at.seq, line.seq);
            }
            (_, Happening::Other(event)) => assert_eq!(*event, line.event),
            (event, found) => panic!("{event:?} was read as {found:?}"),
        }
    }
}

#[test]
fn a_pod_waits_while_a_step_of_it_waits_and_none_is_at_the_gate() {
    let lines = lines();
    let timeline = Timeline::of(&lines);
    let mut waiting = Waiting::default();
    let mut seen = Vec::new();
    for (line, happening) in timeline.happenings() {
        waiting.take(happening);
        seen.extend((!waiting.pods().is_empty()).then_some(line.seq));
    }
    assert_eq!(seen, (6..15).collect::<Vec<_>>());
    assert_eq!(waiting.held().count(), 0);
}

#[test]
fn what_is_said_of_a_step_that_never_arrived_is_unknown() {
    let lines = lines();
    let timeline = Timeline::of(&lines[3..]);
    let unknown = |(_, one): &(&Line, Happening<'_, '_>)| matches!(one, Happening::Unknown);
    assert_eq!(timeline.happenings().filter(unknown).count(), 3);
    assert!(timeline.run.is_none() && !timeline.complete);
}
