//! Why a hazard's schedule showed nothing.
//!
//! Owns that sentence, from the run's history alone.

use super::finding::{Hazard, Role};
use crate::history::{Ending, Event, Line, TurnEnd};
use crate::ledger::{Holder, Ledger};
use crate::name::PodName;
use crate::schedule::{Move, Stop, Turn};
use crate::timeline::Timeline;

/// Why the run of a hazard's schedule showed no violation, in a sentence. To be asked only of a run
/// whose verdict is not `violated`.
#[must_use]
pub fn refuted(hazard: &Hazard, lines: &[Line]) -> String {
    let timeline = Timeline::of(lines);
    for (index, one) in hazard.schedule().iter().enumerate() {
        match one {
            Move::Turn(turn) => {
                if let Some(why) = turn_missed(hazard, &timeline, index, turn) {
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
fn turn_missed(
    hazard: &Hazard,
    timeline: &Timeline<'_>,
    index: usize,
    turn: &Turn,
) -> Option<String> {
    let (at, why) = timeline.lines.iter().find_map(|line| match line.event {
        Event::TurnEnded { index: ended, why } if ended == index => Some((line.seq, why)),
        _ => None,
    })?;
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
