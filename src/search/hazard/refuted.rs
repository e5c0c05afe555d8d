//! Why a hazard's schedule showed nothing, and whether one that took another course has its answer all the
//! same.
//!
//! Owns that sentence, from the run's history alone.

use super::finding::{Hazard, Role};
use crate::history::{Ending, Event, Line, LockAction, LockCall, TurnEnd};
use crate::invariant::was_refused;
use crate::ledger::{Holder, Ledger};
use crate::name::PodName;
use crate::schedule::{Move, Schedule, Stop, Turn};
use crate::timeline::Timeline;

/// Why what needs a pod that waits for the lock does not apply.
pub const DOES_NOT_WAIT: &str =
    "a pod does not wait for the lock: where it was told that it is taken, it left";

/// Why what stops inside a step does not apply.
const NEVER_INSIDE: &str =
    "the step went by without coming to the point inside it that was seen elsewhere";

/// How a schedule that did not go as it was made to go counts all the same, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OtherCourse {
    /// What the other pod had done kept the pod from its stop: that is the answer.
    Answered(String),
    /// It asks for something that this subject never does.
    NotApplicable(String),
}

/// Whether the pod that was to stop inside a step never came to that point, though it went to its end.
#[must_use]
pub fn never_inside(schedule: &Schedule, lines: &[Line]) -> Option<OtherCourse> {
    let timeline = Timeline::of(lines);
    let missed = timeline.turns.iter().any(|turn| {
        let inside = schedule.moves().get(turn.index).is_some_and(
            |one| matches!(one, Move::Turn(turn) if matches!(turn.until, Stop::Inside { .. })),
        );
        turn.scheduled && inside && turn.why == Some(TurnEnd::PodEnded)
    });
    missed.then(|| OtherCourse::NotApplicable(NEVER_INSIDE.to_owned()))
}

/// Whether a run of a hazard's schedule in which a stop was not reached tells all the same what it was made to
/// tell. A pod that asks again and again waits, too. One that came second and ended well, or was refused
/// the lock and left, has answered; and where it was to wait, it does not wait. `None`: the run says nothing.
#[must_use]
pub fn other_course(hazard: &Hazard, lines: &[Line]) -> Option<OtherCourse> {
    let timeline = Timeline::of(lines);
    let moves = hazard.schedule();
    let first = moves.iter().find_map(|one| match one {
        Move::Turn(turn) => Some(turn.pod.clone()),
        _ => None,
    })?;
    // In its first turn the first pod is alone; in a later one others have been there, too.
    let second = |index: usize, pod: &PodName| *pod != first || index > 0;
    let mut polled = None;
    for (index, one) in moves.iter().enumerate() {
        let Move::Turn(turn) = one else { continue };
        let (_, why) = turn_end(&timeline, index)?;
        let pod = &turn.pod;
        let ended_well = || {
            let facts = timeline.pods.get(pod);
            facts.is_some_and(|pod| pod.succeeded()) || was_refused(lines, pod)
        };
        let answer = || turn_missed(hazard, &timeline, index, turn).map(OtherCourse::Answered);
        match (why, &turn.until) {
            (TurnEnd::Reached, _) | (_, Stop::End) => {}
            (TurnEnd::Yielded, Stop::Blocked) => {
                polled = Some(OtherCourse::Answered(refuted(hazard, lines)));
            }
            (TurnEnd::PodEnded, Stop::Blocked) => {
                return was_refused(lines, pod)
                    .then(|| OtherCourse::NotApplicable(DOES_NOT_WAIT.to_owned()));
            }
            (TurnEnd::Blocked | TurnEnd::Yielded, _) if second(index, pod) => return answer(),
            (TurnEnd::PodEnded, _) if second(index, pod) && ended_well() => return answer(),
            _ => return None,
        }
    }
    polled
}

/// What a pod does that finds the lock taken, as a run shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum WhenTaken {
    /// It waits, or asks again and again.
    Waits,
    /// It was refused it and ended without having written anything.
    Leaves,
}

/// What this run shows of pods that found the lock taken. `None`: none did.
#[must_use]
pub fn when_taken(lines: &[Line]) -> Option<WhenTaken> {
    let timeline = Timeline::of(lines);
    let asks = |call: &LockCall| call.action == LockAction::Lock;
    let waited = timeline.steps.values().any(|step| {
        step.blocked().is_some()
            && (step.request.opaque || step.request.lock_calls.iter().any(asks))
    });
    let polled =
        |line: &Line| matches!(line.event, Event::TurnEnded { why, .. } if why == TurnEnd::Yielded);
    if waited || lines.iter().any(polled) {
        return Some(WhenTaken::Waits);
    }
    let wrote = |pod: &PodName| {
        lines.iter().any(|line| match &line.event {
            Event::Write(write) => write.connection.as_ref().is_some_and(|one| one.pod == *pod),
            _ => false,
        })
    };
    let left = |pod: &PodName| !wrote(pod) && was_refused(lines, pod);
    let mut ended = timeline
        .pods
        .iter()
        .filter(|(_, facts)| facts.ended.is_some());
    ended.any(|(pod, _)| left(pod)).then_some(WhenTaken::Leaves)
}

/// The line at which a turn ended, and why.
fn turn_end(timeline: &Timeline<'_>, index: usize) -> Option<(u64, TurnEnd)> {
    timeline.lines.iter().find_map(|line| match line.event {
        Event::TurnEnded { index: ended, why } if ended == index => Some((line.seq, why)),
        _ => None,
    })
}

/// Why the run of a hazard's schedule showed no violation, in a sentence. To be asked only of a run
/// whose verdict is not `violated`.
#[must_use]
pub fn refuted(hazard: &Hazard, lines: &[Line]) -> String {
    off_course(hazard, lines).unwrap_or_else(|| {
        let came = as_it_was_made(hazard);
        format!("{came} and every invariant held")
    })
}

/// What became of the run of a hazard's schedule that could not be judged, in a sentence.
#[must_use]
pub fn undecided(hazard: &Hazard, lines: &[Line]) -> String {
    off_course(hazard, lines).unwrap_or_else(|| {
        let came = as_it_was_made(hazard);
        format!("{came}, but whether every invariant held could not be judged")
    })
}

fn as_it_was_made(hazard: &Hazard) -> &'static str {
    let moves = hazard.schedule();
    match moves.iter().any(|one| matches!(one, Move::Fault(_))) {
        true => "the fault came",
        false => "the steps ran in that order",
    }
}

/// Where a run left the schedule that was made for a hazard, if it did.
fn off_course(hazard: &Hazard, lines: &[Line]) -> Option<String> {
    let timeline = Timeline::of(lines);
    for (index, one) in hazard.schedule().iter().enumerate() {
        match one {
            Move::Turn(turn) => {
                if let Some(why) = turn_missed(hazard, &timeline, index, turn) {
                    return Some(why);
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
                    return Some(format!(
                        "the fault {} did not fire: {why}",
                        fault.kind.name()
                    ));
                }
            }
        }
    }
    None
}

/// Why this turn did not do what the hazard needs; `None` if it did.
fn turn_missed(
    hazard: &Hazard,
    timeline: &Timeline<'_>,
    index: usize,
    turn: &Turn,
) -> Option<String> {
    let (at, why) = turn_end(timeline, index)?;
    let pod = &turn.pod;
    let wanted = wanted(hazard, turn);
    match (why, &turn.until) {
        (_, Stop::Blocked) => {
            (why == TurnEnd::PodEnded).then(|| format!("{pod} never waited: it came to its end"))
        }
        (TurnEnd::Reached, _) | (TurnEnd::PodEnded, Stop::End) => None,
        // The rest of the first pod, once the other has come in, is no part of the hazard.
        (_, Stop::End) if index + 1 == hazard.schedule().len() => None,
        (TurnEnd::Blocked, _) => {
            let reason = what_it_waited_for(timeline, at, pod);
            Some(format!("{pod} could not reach {wanted}: {reason}"))
        }
        (TurnEnd::PodEnded, _) => Some(format!("{pod} never came to {wanted}: it ended before")),
        (TurnEnd::Yielded, _) => Some(format!(
            "{pod} could not reach {wanted}: it asked the same again and again, and made way"
        )),
        (TurnEnd::Waits, _) => Some(format!(
            "{pod} could not reach {wanted}: it waited outside the server"
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

/// What a pod waits for at this line.
fn what_it_waited_for(timeline: &Timeline<'_>, seq: u64, pod: &PodName) -> String {
    let snapshot = timeline.snapshot_before(seq);
    let ledger = Ledger::of(timeline);
    let holders = ledger.holders(timeline);
    let shown = || snapshot.into_iter().flat_map(|one| holders.shown(one));
    let of_pod = |holder: &Holder<'_>| holder.connection.pod == *pod;
    let awaited = shown().find(|(lock, who)| !lock.granted && of_pod(who));
    if let Some((awaited, _)) = awaited {
        let mut held = shown().filter(|(lock, _)| lock.granted);
        return match held.find(|(lock, _)| lock.key.same_key(&awaited.key)) {
            Some((_, holder)) => format!(
                "it waited for {}, held by {}",
                awaited.key.in_full(),
                holder.connection.pod
            ),
            None => format!("it waited for {}", awaited.key.in_full()),
        };
    }
    let owner = |pid: i32| {
        let server_us = snapshot.map_or(i64::MAX, |snapshot| snapshot.server_us);
        let session = timeline.sessions.at(pid, server_us, seq)?;
        Some(&session.connection.pod)
    };
    let own = timeline.steps.values().filter(|step| step.pod() == pod);
    let endings = own.flat_map(|step| &step.endings);
    let blocked = endings
        .filter(|end| end.ending == Ending::Blocked && end.at.seq < seq)
        .max_by_key(|end| end.at.seq);
    let by = blocked.map_or(&[][..], |end| end.blocked_by);
    match by.iter().find_map(|pid| owner(*pid)) {
        Some(other) => format!("it waited for a row or a table that {other} had locked"),
        None => "it waited for a lock".to_owned(),
    }
}
