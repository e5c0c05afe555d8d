//! Guards: conditions without which `holds` would be empty.
//!
//! Owns what each guard asks for. Knows nothing of the invariants.

use std::collections::BTreeMap;

use super::absent::not_there;
use super::contention::contention;
use super::facts::{Facts, StepFacts, count, list};
use super::verdict::{Guard, PlacedMove};
use crate::history::{Begun, Event, FaultBy, TurnEnd};
use crate::name::{GuardName, PodName};
use crate::schedule::{Fault, Move, Stop};

/// What shows that a guard is met, or what is missing, and the moves that are spoken of.
type Outcome = Result<String, (String, Vec<PlacedMove>)>;

fn guard(name: GuardName, outcome: Outcome) -> Guard {
    let met = outcome.is_ok();
    let (why, moves) = match outcome {
        Ok(why) => (why, Vec::new()),
        Err(missing) => missing,
    };
    Guard {
        name,
        met,
        why,
        moves,
    }
}

/// The guards that always apply, then those that the scenario demands.
pub(super) fn guards(facts: &Facts<'_>) -> Vec<Guard> {
    let mut names = vec![GuardName::RunComplete];
    if facts.run.log {
        names.push(GuardName::LogComplete);
    }
    names.extend([
        GuardName::InTime,
        GuardName::PodsEnded,
        GuardName::Wrote,
        GuardName::FaultsFired,
        GuardName::StopsReached,
    ]);
    let mut demanded = facts.run.rules.guards.clone();
    demanded.retain(|name| !names.contains(name) && *name != GuardName::LogComplete);
    names.extend(demanded);
    let judged = |name: GuardName| guard(name, outcome(facts, name));
    names.into_iter().map(judged).collect()
}

fn outcome(facts: &Facts<'_>, name: GuardName) -> Outcome {
    let plain = |outcome: Result<String, String>| outcome.map_err(|why| (why, Vec::new()));
    match name {
        GuardName::RunComplete => plain(run_complete(facts)),
        GuardName::LogComplete => plain(log_complete(facts)),
        GuardName::InTime => plain(in_time(facts)),
        GuardName::PodsEnded => plain(pods_ended(facts)),
        GuardName::Wrote => plain(wrote(facts)),
        GuardName::FaultsFired => faults_fired(facts),
        GuardName::StopsReached => stops_reached(facts),
        GuardName::Contention => plain(contention(facts)),
        GuardName::Overlap => plain(overlap(facts)),
        GuardName::RecoveryCompleted => plain(recovery_completed(facts)),
        GuardName::Blocked => plain(blocked(facts)),
    }
}

fn run_complete(facts: &Facts<'_>) -> Result<String, String> {
    if facts.complete {
        Ok("the history has its last line".to_owned())
    } else {
        Err("the history ends before the run did".to_owned())
    }
}

fn log_complete(facts: &Facts<'_>) -> Result<String, String> {
    facts
        .lines
        .iter()
        .find_map(|line| match line.event {
            Event::LogComplete { lines } => Some(format!(
                "the sentinel was seen after {lines} lines of the server's log"
            )),
            _ => None,
        })
        .ok_or_else(|| {
            "the sentinel was never seen in the server's log: lines may be missing".to_owned()
        })
}

/// What a pod does after a limit was hit is no more what it would have done.
fn in_time(facts: &Facts<'_>) -> Result<String, String> {
    match facts.limits.first() {
        None => Ok("no limit was hit".to_owned()),
        Some(limit) => Err(limit.words()),
    }
}

/// Why the schedule was not begun as a whole, if so: a run that is stopped leaves no line for
/// the moves that it never came to.
fn never_begun(facts: &Facts<'_>) -> Option<String> {
    let planned = facts.run.moves;
    let count = |is: fn(&Event) -> bool| facts.lines.iter().filter(|one| is(&one.event)).count();
    let (begun, words) = if facts.controlled() {
        let scheduled = |event: &Event| {
            matches!(
                event,
                Event::MoveStarted {
                    scheduled: true,
                    ..
                }
            )
        };
        (count(scheduled), "turns and faults were begun")
    } else {
        let fault = |event: &Event| matches!(event, Event::Fault(_));
        (count(fault), "faults were begun")
    };
    (begun < planned).then(|| format!("only {begun} of {planned} {words}"))
}

fn pods_ended(facts: &Facts<'_>) -> Result<String, String> {
    let open: Vec<String> = facts
        .pods
        .iter()
        .filter(|(_, pod)| pod.ended.is_none())
        .map(|(name, pod)| match pod.started {
            Some(_) => format!("pod {name} was not seen to end"),
            None => format!("pod {name} was never started"),
        })
        .collect();
    if !open.is_empty() {
        return Err(list(&open));
    }
    if facts.run.recovery && !facts.pods.values().any(|pod| pod.recovery) {
        return Err("the recovery pod was never started".to_owned());
    }
    Ok(format!("{} ended", count(facts.pods.len(), "pod")))
}

/// A subject that writes nothing that is protected breaks no lock, with one or without.
fn wrote(facts: &Facts<'_>) -> Result<String, String> {
    let wrote: Vec<String> = facts
        .started()
        .filter(|(name, _)| facts.wrote(name))
        .map(|(name, _)| name.to_string())
        .collect();
    // Whoever dies with a claim in hand has written nothing yet, and whoever comes after it writes nothing any more.
    let claimed = |name: &&PodName| {
        let mut claims = facts.leases.iter();
        claims.any(|books| super::lease::claimed(facts, books, name))
    };
    let mut pods = facts
        .started()
        .map(|(name, _)| name)
        .filter(|_| wrote.is_empty());
    if let Some(pod) = pods.find(claimed) {
        return Ok(format!(
            "pod {pod} made a claim, and no pod wrote a protected table"
        ));
    }
    match wrote.len() {
        0 => Err("no pod wrote a protected table: there was nothing to guard".to_owned()),
        1 => Ok(format!("pod {} wrote protected tables", wrote[0])),
        _ => Ok(format!("pods {} wrote protected tables", list(&wrote))),
    }
}

fn faults_fired(facts: &Facts<'_>) -> Outcome {
    let mut fired = 0;
    let mut missing = Vec::new();
    let mut scheduled: Vec<(usize, &Fault)> = Vec::new();
    for line in facts.lines {
        match &line.event {
            Event::MoveStarted {
                index,
                begun: Begun::Move(Move::Fault(fault)),
                scheduled: true,
            } => scheduled.push((*index, fault)),
            Event::Fault(event) if event.by == FaultBy::Schedule => {
                let kind = &event.fault.kind;
                if event.fired {
                    fired += 1;
                } else {
                    missing.push(format!("{} did not fire: {}", kind.name(), event.evidence));
                }
                if let Some(i) = scheduled.iter().position(|(_, one)| one.kind == *kind) {
                    scheduled.remove(i);
                }
            }
            // Those of a CronJob's controller are no part of the schedule.
            _ => {}
        }
    }
    let never = |(index, fault): &(usize, &Fault)| {
        let name = fault.kind.name();
        format!("move {}, {name}, was never applied", index + 1)
    };
    missing.extend(scheduled.iter().map(never));
    missing.extend(never_begun(facts));
    if missing.is_empty() {
        return Ok(match fired {
            0 => "the schedule has no fault".to_owned(),
            _ => format!("{} fired", count(fired, "fault")),
        });
    }
    let placed = |(index, fault): (usize, &Fault)| PlacedMove {
        index,
        begun: Begun::Move(Move::Fault(fault.clone())),
    };
    Err((list(&missing), scheduled.into_iter().map(placed).collect()))
}

/// A turn of the schedule, and what became of it.
struct ScheduledTurn<'f> {
    begun: &'f Begun,
    end: Option<TurnEnd>,
    /// Its stop was met after it had ended as blocked.
    met_later: bool,
    /// Why its pod is not there.
    absent: String,
}

impl ScheduledTurn<'_> {
    /// Why its stop was not reached; `None` if it was.
    fn missed(&self, facts: &Facts<'_>) -> Option<&str> {
        let pod = self.begun.pod().and_then(|pod| facts.pods.get(pod));
        let ended = pod.is_some_and(|pod| pod.ended.is_some());
        let turn = self.begun.turn();
        let to_end = turn.is_none_or(|turn| turn.until == Stop::End);
        match self.end {
            Some(TurnEnd::Reached) => None,
            _ if self.met_later => None,
            Some(TurnEnd::PodEnded) if to_end => None,
            Some(TurnEnd::Blocked | TurnEnd::Yielded | TurnEnd::Waits) if to_end && ended => None,
            Some(TurnEnd::PodEnded) => Some("the pod ended before it"),
            Some(TurnEnd::Blocked) => Some("everything the pod could still do was blocked"),
            Some(TurnEnd::Yielded) => Some("the pod repeated itself without effect"),
            Some(TurnEnd::Waits) => Some("the pod waited outside the server"),
            Some(TurnEnd::Limit) => Some("a limit was hit"),
            Some(TurnEnd::NotThere) => Some(&self.absent),
            None => Some("the run ended before it"),
        }
    }

    /// Whose turn it is.
    fn whose(&self) -> String {
        let pods: Vec<String> = self.begun.pods().iter().map(ToString::to_string).collect();
        list(&pods)
    }
}

fn stops_reached(facts: &Facts<'_>) -> Outcome {
    let mut turns: BTreeMap<usize, ScheduledTurn<'_>> = BTreeMap::new();
    for (place, line) in facts.lines.iter().enumerate() {
        match &line.event {
            Event::MoveStarted {
                index,
                begun,
                scheduled: true,
            } if begun.is_turn() => {
                let turn = ScheduledTurn {
                    begun,
                    end: None,
                    met_later: false,
                    absent: String::new(),
                };
                turns.insert(*index, turn);
            }
            Event::TurnEnded { index, why } => {
                if let Some(turn) = turns.get_mut(index) {
                    turn.end.get_or_insert(*why);
                    if *why == TurnEnd::NotThere {
                        turn.absent = not_there(facts, place, turn.begun.pods());
                    }
                }
            }
            Event::StopMetLater { index } => {
                if let Some(turn) = turns.get_mut(index) {
                    turn.met_later = true;
                }
            }
            _ => {}
        }
    }
    let (mut missed, mut moves) = (Vec::new(), Vec::new());
    for (index, turn) in &turns {
        let Some(why) = turn.missed(facts) else {
            continue;
        };
        missed.push(format!(
            "the stop of move {}, a turn of {}, was never reached: {why}",
            index + 1,
            turn.whose()
        ));
        moves.push(PlacedMove {
            index: *index,
            begun: turn.begun.clone(),
        });
    }
    if facts.controlled() {
        missed.extend(never_begun(facts));
    }
    if missed.is_empty() {
        Ok(format!(
            "{} of the schedule ended as it says",
            count(turns.len(), "turn")
        ))
    } else {
        Err((list(&missed), moves))
    }
}

/// Two pods had steps on the server in turn: neither had its last before the other's first.
pub(super) fn overlap(facts: &Facts<'_>) -> Result<String, String> {
    let mut spans: BTreeMap<&PodName, (u64, u64)> = BTreeMap::new();
    for step in facts.steps.values().filter(|step| !step.request.look_up) {
        let Some(released) = step.released else {
            continue;
        };
        let end = step
            .last()
            .map_or_else(|| given_up(facts, step), |end| end.at.seq);
        let span = spans.entry(step.pod()).or_insert((released.seq, end));
        span.0 = span.0.min(released.seq);
        span.1 = span.1.max(end);
    }
    let spans: Vec<_> = spans.into_iter().collect();
    for (i, (one, (from, to))) in spans.iter().enumerate() {
        for (other, (other_from, other_to)) in &spans[i + 1..] {
            if from < other_to && other_from < to {
                return Ok(format!(
                    "pods {one} and {other} were at work at the same time"
                ));
            }
        }
    }
    Err("no two pods were at work at the same time".to_owned())
}

/// Until when a step without an ending can have gone on: its connection's close or its pod's end.
fn given_up(facts: &Facts<'_>, step: &StepFacts<'_>) -> u64 {
    let pod = facts.pods.get(step.pod());
    let closed = facts.sessions.closed(step.connection).map(|(seq, _)| seq);
    let exit = pod.and_then(|pod| pod.exit).map(|exit| exit.seq);
    let ended = pod.and_then(|pod| pod.ended);
    let ends = closed.into_iter().chain(exit).chain(ended);
    ends.min().unwrap_or(u64::MAX)
}

fn recovery_completed(facts: &Facts<'_>) -> Result<String, String> {
    let recovery = facts.pods.iter().find(|(_, pod)| pod.recovery);
    match recovery {
        None => Err("no recovery pod was started".to_owned()),
        Some((name, pod)) if pod.succeeded() && pod.ended.is_some() => {
            Ok(format!("the recovery pod {name} ended with success"))
        }
        Some((name, _)) => Err(format!("the recovery pod {name} did not end with success")),
    }
}

fn blocked(facts: &Facts<'_>) -> Result<String, String> {
    facts
        .steps
        .values()
        .find(|step| step.blocked().is_some())
        .map(|step| {
            let queued = facts.lines.iter().any(
                |line| matches!(line.event, Event::StepQueued { step: one } if one == step.id),
            );
            let what = if queued {
                " inside the pooler: no server connection was free"
            } else {
                ""
            };
            format!("{} was blocked{what}", step.words())
        })
        .ok_or_else(|| "no step was ever blocked".to_owned())
}
