//! What the conductor does, told by small cases in a simulated world.
//!
//! A case is programs, moves and the story that comes of them. A story has a word for each line that matters:
//! `a>add0` a step was released, `a=add0` it is done, `a~` blocked, `a^` needs its pod, `ax` gone, `a-` never
//! reached the server; `+a` a turn was added; `[reached]` is why a turn ended; `a.exit`, `a.end` are the ends of a
//! pod's process and of all that it had; `a!` a fault fired, `a?` it found nothing, `a/` it did not fire.

mod chains;
mod controller;
mod endings;
mod faults;
mod inside;
mod polling;
mod priorities;
mod properties;
mod turns;
mod waits;
mod writing;

use std::collections::BTreeMap;

use super::simulated::{Act, Model, Ran, orders, run_with};
use crate::history::{Begun, Ending, Event, Line};
use crate::name::PodName;
use crate::schedule::{
    Fault, FaultKind, InnerPoint, Move, Point, Schedule, SessionChoice, SqlPattern, Stop, Turn,
};

/// Each case is a test, named by the sentence that it proves.
macro_rules! proves {
    ($($name:ident: $programs:expr, $moves:expr => $story:expr;)*) => {
        $(#[test]
        fn $name() {
            let ran = super::play(&$programs, &$moves);
            assert_eq!(super::story(&ran.lines), $story);
        })*
    };
}
pub(crate) use proves;

/// A program.
pub fn p<A: Into<Act>, const N: usize>(acts: [A; N]) -> Vec<Act> {
    acts.into_iter().map(Into::into).collect()
}

pub fn play(programs: &[Vec<Act>], moves: &[Move]) -> Ran {
    let schedule = Schedule::Controlled(moves.to_vec());
    run_with(Model::new(programs), &schedule, orders())
}

pub fn turn(pod: &str, until: Stop) -> Move {
    Move::Turn(Turn {
        pod: PodName::new(pod),
        until,
    })
}

pub fn end(pod: &str) -> Move {
    turn(pod, Stop::End)
}

pub fn blocked(pod: &str) -> Move {
    turn(pod, Stop::Blocked)
}

pub fn steps(pod: &str, steps: u32) -> Move {
    turn(pod, Stop::Steps(steps))
}

pub fn before(pod: &str, sql: &str, nth: u32) -> Move {
    let sql = SqlPattern::new(sql).unwrap();
    turn(pod, Stop::Before { sql, nth })
}

pub fn after(pod: &str, sql: &str, nth: u32) -> Move {
    let sql = SqlPattern::new(sql).unwrap();
    turn(pod, Stop::After { sql, nth })
}

pub fn inside(pod: &str, sql: &str, nth: u32) -> Move {
    let sql = SqlPattern::new(sql).unwrap();
    let at = InnerPoint {
        table: "t".to_owned(),
        row: None,
    };
    turn(pod, Stop::Inside { sql, nth, at })
}

pub fn together<const N: usize>(pods: [&str; N]) -> Move {
    Move::Together(pods.map(PodName::new).to_vec())
}

pub fn fault(kind: FaultKind, pod: &str, point: Point) -> Move {
    of_session(kind, pod, SessionChoice::Next, point)
}

pub fn of_session(kind: FaultKind, pod: &str, session: SessionChoice, point: Point) -> Move {
    Move::Fault(Fault::of_pod(kind, PodName::new(pod), session, point))
}

/// The lines that matter, a word for each.
pub fn story(lines: &[Line]) -> String {
    let mut steps = BTreeMap::new();
    let words: Vec<String> = lines
        .iter()
        .filter_map(|line| word(&line.event, &mut steps))
        .collect();
    words.join(" ")
}

fn word(
    event: &Event,
    steps: &mut BTreeMap<crate::name::StepId, (String, String)>,
) -> Option<String> {
    let of = |step, sign: &str, steps: &BTreeMap<_, (String, String)>| {
        let (who, what) = &steps[step];
        Some(format!("{who}{sign}{what}"))
    };
    match event {
        Event::StepHeld {
            step,
            connection,
            request,
        } => {
            let who = match connection.index {
                0 => connection.pod.to_string(),
                index => format!("{}{index}", connection.pod),
            };
            let what = request.sql[0].replace("/* prepare */", "prepare");
            let what = what.replace(" v", "").replace(" l", "");
            steps.insert(*step, (who, what.replace(' ', "-")));
            None
        }
        Event::StepReleased { step, .. } => of(step, ">", steps),
        Event::StepDropped { step, .. } => of(step, "-", steps),
        Event::StepEnded { step, ending, .. } => match ending {
            Ending::Done => of(step, "=", steps),
            Ending::Blocked => of(step, "~", steps),
            Ending::NeedsPod => of(step, "^", steps),
            Ending::Inside => of(step, "|", steps),
            Ending::Gone => of(step, "x", steps),
        },
        Event::MoveStarted {
            begun: Begun::Move(Move::Turn(turn)),
            scheduled: false,
            ..
        } => Some(format!("+{}", turn.pod)),
        Event::MoveStarted {
            begun: Begun::First(pod),
            ..
        } => Some(format!("*{pod}")),
        Event::TurnEnded { why, .. } => Some(format!("[{}]", format!("{why:?}").to_lowercase())),
        Event::StopMetLater { index } => Some(format!("[{index}-met]")),
        Event::PodExited { pod, .. } => Some(format!("{pod}.exit")),
        Event::PodEnded { pod } => Some(format!("{pod}.end")),
        Event::PodWaits { pod, .. } => Some(format!("{pod}.waits")),
        Event::Fault(fault) => {
            let pod = fault.fault.pod.as_ref().map_or("server", PodName::as_str);
            let sign = match (fault.fired, fault.absent) {
                (true, _) => "!",
                (false, true) => "?",
                (false, false) => "/",
            };
            Some(format!("{pod}{sign}{}", fault.fault.kind.name()))
        }
        Event::Ghost { step, .. } => of(step, "…", steps),
        Event::StoppedEarly { .. } => Some("stopped".to_owned()),
        Event::LimitHit { .. } => Some("limit".to_owned()),
        _ => None,
    }
}
