//! Why a hazard's schedule showed nothing.
//!
//! Owns that sentence, from the run's history alone.

use super::finding::{Hazard, Role};
use crate::history::{Ending, Event, HeldLock, Line, TurnEnd};
use crate::name::{ConnectionName, LockKey, PodName, StepId};
use crate::schedule::{Move, Stop, Turn};

/// Why the run of a hazard's schedule showed no violation, in a sentence. To be asked only of a run
/// whose verdict is not `violated`.
#[must_use]
pub fn refuted(hazard: &Hazard, lines: &[Line]) -> String {
    for (index, one) in hazard.schedule().iter().enumerate() {
        match one {
            Move::Turn(turn) => {
                if let Some(why) = turn_missed(hazard, lines, index, turn) {
                    return why;
                }
            }
            // No hazard's schedule has one.
            Move::Together(_) | Move::Tick | Move::Advance(_) | Move::Manual => {}
            Move::Fault(fault) => {
                let missed = lines.iter().find_map(|line| match &line.event {
                    Event::Fault(event) if event.fault.kind == fault.kind && !event.fired => {
                        Some(event.evidence.clone())
                    }
                    _ => None,
                });
                if let Some(why) = missed {
                    return format!("the fault {} did not fire: {why}", fault.kind.name());
                }
            }
        }
    }
    let faulty = hazard
        .schedule()
        .iter()
        .any(|one| matches!(one, Move::Fault(_)));
    if faulty {
        "the fault came, and every invariant held".to_owned()
    } else {
        "the steps ran in that order and every invariant held".to_owned()
    }
}

/// Why this turn did not do what the hazard needs; `None` if it did.
fn turn_missed(hazard: &Hazard, lines: &[Line], index: usize, turn: &Turn) -> Option<String> {
    let place = lines.iter().position(
        |line| matches!(&line.event, Event::TurnEnded { index: ended, .. } if *ended == index),
    )?;
    let Event::TurnEnded { why, .. } = &lines[place].event else {
        return None;
    };
    let pod = &turn.pod;
    let wanted = wanted(hazard, turn);
    match (why, &turn.until) {
        (_, Stop::Blocked) => {
            (*why == TurnEnd::PodEnded).then(|| format!("{pod} never waited: it came to its end"))
        }
        (TurnEnd::Reached, _) | (TurnEnd::PodEnded, Stop::End) => None,
        // The rest of the first pod, once the other has come in, is no part of the hazard.
        (_, Stop::End) if index + 1 == hazard.schedule().len() => None,
        (TurnEnd::Blocked, _) => {
            let reason = what_it_waited_for(&lines[..=place], pod);
            Some(format!("{pod} could not reach {wanted}: {reason}"))
        }
        (TurnEnd::PodEnded, _) => Some(format!("{pod} never came to {wanted}: it ended before")),
        (TurnEnd::Yielded, _) => Some(format!(
            "{pod} could not reach {wanted}: it asked the same again and again, and made way"
        )),
        (TurnEnd::NotThere, _) => Some(format!("{pod} could not reach {wanted}: it was not there")),
        (TurnEnd::Limit, _) => Some(format!(
            "{pod} did not reach {wanted} before a limit of the run was hit"
        )),
    }
}

/// What a turn was to reach.
fn wanted(hazard: &Hazard, turn: &Turn) -> String {
    match &turn.until {
        Stop::Before { sql, .. } | Stop::After { sql, .. } => format!("`{} …`", sql.text()),
        _ => hazard
            .steps
            .iter()
            .find(|step| step.pod == turn.pod && step.role == Role::Intrudes)
            .map_or_else(
                || "its end".to_owned(),
                |step| {
                    let head: String = step.normal.chars().take(48).collect();
                    let more = if head.len() < step.normal.len() {
                        " …"
                    } else {
                        ""
                    };
                    format!("the end of its work (`{head}{more}` and what follows)")
                },
            ),
    }
}

/// What a pod waits for at the end of these lines.
fn what_it_waited_for(lines: &[Line], pod: &PodName) -> String {
    let owner = |pid: i32| -> Option<&ConnectionName> {
        lines.iter().rev().find_map(|line| match &line.event {
            Event::SessionStarted {
                connection,
                session,
                ..
            } if session.pid == pid => Some(connection),
            _ => None,
        })
    };
    let locks: &[HeldLock] = lines
        .iter()
        .rev()
        .find_map(|line| match &line.event {
            Event::Locks { locks, .. } => Some(locks.as_slice()),
            _ => None,
        })
        .unwrap_or_default();
    let awaited = locks
        .iter()
        .find(|lock| !lock.granted && owner(lock.pid).is_some_and(|one| one.pod == *pod));
    if let Some(awaited) = awaited {
        return match holder(locks, &awaited.key).and_then(|held| owner(held.pid)) {
            Some(holder) => format!(
                "it waited for advisory lock {}, held by {}",
                awaited.key, holder.pod
            ),
            None => format!("it waited for advisory lock {}", awaited.key),
        };
    }
    let blocked = lines.iter().rev().find_map(|line| match &line.event {
        Event::StepEnded {
            step,
            ending: Ending::Blocked,
            blocked_by,
            ..
        } if connection_of(lines, *step).is_some_and(|one| one.pod == *pod) => {
            Some(blocked_by.clone())
        }
        _ => None,
    });
    let other = blocked
        .unwrap_or_default()
        .into_iter()
        .find_map(owner)
        .map(|connection| connection.pod.clone());
    match other {
        Some(other) => format!("it waited for a row or a table that {other} had locked"),
        None => "it waited for a lock".to_owned(),
    }
}

fn holder<'a>(locks: &'a [HeldLock], key: &LockKey) -> Option<&'a HeldLock> {
    locks
        .iter()
        .find(|lock| lock.granted && lock.key.same_key(key))
}

fn connection_of(lines: &[Line], step: StepId) -> Option<&ConnectionName> {
    lines.iter().find_map(|line| match &line.event {
        Event::StepHeld {
            step: held,
            connection,
            ..
        } if *held == step => Some(connection),
        _ => None,
    })
}
