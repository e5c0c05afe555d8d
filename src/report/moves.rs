//! Schedules, moves and faults in words.
//!
//! Owns the sentence for each. No other code makes or reads such a sentence: decisions are made on the values.

use crate::history::Begun;
use crate::name::PodName;
use crate::schedule::{Fault, FaultTarget, InnerPoint, Move, Point, Schedule, SessionChoice, Stop};
use crate::search::strategy::Why;

/// When a turn ends.
#[must_use]
pub fn stop_words(stop: &Stop) -> String {
    let nth = |nth: &u32| match nth {
        1 => String::new(),
        nth => format!(" (match {nth})"),
    };
    match stop {
        Stop::Before { sql, nth: n } => format!("until before {sql}{}", nth(n)),
        Stop::After { sql, nth: n } => format!("until after {sql}{}", nth(n)),
        Stop::Inside { sql, nth: n, at } => {
            format!("until inside {sql}{}, {}", nth(n), inner_point_words(at))
        }
        Stop::Steps(1) => "for 1 step".to_owned(),
        Stop::Steps(steps) => format!("for {steps} steps"),
        Stop::Blocked => "until blocked".to_owned(),
        Stop::End => "to its end".to_owned(),
    }
}

/// Where a step stands in its middle.
#[must_use]
pub fn inner_point_words(at: &InnerPoint) -> String {
    match at.row {
        Some(row) => format!("behind row {row} that it writes to {}", at.table),
        None => format!("before it writes to {}", at.table),
    }
}

/// A schedule, in one line.
#[must_use]
pub fn schedule_words(schedule: &Schedule) -> String {
    match schedule {
        Schedule::Controlled(moves) if moves.is_empty() => "one after the other".to_owned(),
        Schedule::Controlled(moves) => {
            let moves: Vec<String> = moves.iter().map(move_words).collect();
            moves.join("; ")
        }
        Schedule::Priorities { order, changes } => {
            let mut text = format!("priorities {}", names(order, " > "));
            for (index, change) in changes.iter().enumerate() {
                let before = if index == 0 { ", changed at step" } else { "," };
                text.push_str(&format!("{before} {change}"));
            }
            text
        }
        Schedule::Free(free) => format!(
            "free, stagger {} to {} ms, seed {}",
            free.stagger.0.as_millis(),
            free.stagger.1.as_millis(),
            free.seed
        ),
    }
}

/// A move, in one line.
#[must_use]
pub fn move_words(one: &Move) -> String {
    match one {
        Move::Turn(turn) => format!("run {} {}", turn.pod, stop_words(&turn.until)),
        Move::Together(pods) => {
            let pods = names(pods, " and ");
            format!("release the next steps of {pods} together")
        }
        Move::Fault(fault) => fault_words(fault),
        Move::Tick => "tick: the clock goes on to the CronJob's next time".to_owned(),
        Move::Advance(time) if time.subsec_nanos() == 0 => {
            format!("time passes: {} s", time.as_secs())
        }
        Move::Advance(time) => format!("time passes: {time:?}"),
        Move::Manual => "kubectl create job --from the CronJob".to_owned(),
    }
}

/// What a run began with.
#[must_use]
pub fn begun_words(begun: &Begun) -> String {
    match begun {
        Begun::Move(one) => move_words(one),
        Begun::First(pod) => format!("run {pod} as long as it comes first"),
    }
}

/// A fault with its point.
#[must_use]
pub fn fault_words(fault: &Fault) -> String {
    let mut text = fault_without_point(fault);
    if fault.pod.is_some() || matches!(fault.point, Point::At(_)) {
        text.push_str(&format!(" ({})", fault.point));
    }
    text
}

/// A fault, its point left out.
#[must_use]
pub fn fault_without_point(fault: &Fault) -> String {
    let mut text = fault.kind.name().to_owned();
    if let Some(pod) = &fault.pod {
        text.push_str(&format!(" {pod}"));
    }
    match (&fault.session, fault.kind.target()) {
        (_, FaultTarget::Pod | FaultTarget::Server | FaultTarget::Lock)
        | (SessionChoice::Every, FaultTarget::Link) => {}
        (SessionChoice::Next, _) => text.push_str(", the session of its next step"),
        (SessionChoice::HoldingLock, _) => text.push_str(", the session that holds the lock"),
        (SessionChoice::Connection(name), _) => text.push_str(&format!(", connection {name}")),
        (SessionChoice::Every, _) => text.push_str(", every session"),
    }
    let parameters = fault.kind.entry().parameters.iter();
    for (parameter, value) in parameters.zip(fault.kind.parameters()) {
        if let Some(told) = parameter.describe(&value) {
            text.push_str(&format!(", {told}"));
        }
    }
    text
}

/// Why a search runs this schedule.
#[must_use]
pub fn why_words(why: &Why, schedule: &Schedule) -> String {
    match why {
        Why::Words(words) => words.clone(),
        Why::Draw(number) => format!("draw {number}: {}", schedule_words(schedule)),
        Why::Repetition(number) => format!("repetition {number}: {}", schedule_words(schedule)),
        Why::FaultAt {
            step,
            fault,
            second_first,
        } => {
            let onward = if *second_first { ", then b first" } else { "" };
            format!("step {step}: {}{onward}", fault_words(fault))
        }
    }
}

fn names(pods: &[PodName], between: &str) -> String {
    let names: Vec<&str> = pods.iter().map(PodName::as_str).collect();
    names.join(between)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::schedule::{FaultKind, OldPrimary, Point};

    #[test]
    fn a_description_tells_target_parameters_and_point() {
        let of = |kind, session, point| {
            fault_words(&Fault::of_pod(kind, PodName::of_index(0), session, point))
        };
        let terminate = FaultKind::Terminate {
            grace: Duration::from_millis(500),
            pid1: true,
        };
        assert_eq!(
            of(terminate, SessionChoice::Next, Point::InDoubt),
            "terminate a, grace 500 ms, as PID 1 (in-doubt)"
        );
        let error = FaultKind::Error {
            sqlstate: "53100".to_owned(),
        };
        assert_eq!(
            of(error, SessionChoice::HoldingLock, Point::After),
            "error a, the session that holds the lock, SQLSTATE 53100 (after)"
        );
        let throttle = FaultKind::Throttle {
            bytes_per_second: 9,
        };
        assert_eq!(
            of(throttle, SessionChoice::Every, Point::Before),
            "throttle a, 9 bytes a second (before)"
        );
        let promote = Fault {
            kind: FaultKind::Promote {
                old: OldPrimary::Alive,
            },
            pod: None,
            session: SessionChoice::Next,
            point: Point::Before,
        };
        assert_eq!(fault_words(&promote), "promote, the old primary alive");
    }
}
