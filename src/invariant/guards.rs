//! Guards: conditions without which `holds` would be empty.
//!
//! Owns what each guard asks for. Knows nothing of the invariants.

use std::collections::{BTreeMap, HashMap};

use super::absent::not_there;
use super::facts::{Facts, Grant, PodFacts, Spans, StepFacts, count, list};
use super::verdict::Guard;
use crate::history::{Event, FaultBy, LockAction, LockKey, PodName, TurnEnd};
use crate::schedule::is_of_controller;

fn guard(name: &str, outcome: Result<String, String>) -> Guard {
    let met = outcome.is_ok();
    Guard {
        name: name.to_owned(),
        met,
        why: outcome.unwrap_or_else(|why| why),
    }
}

/// The guards that always apply, then those that the scenario demands.
pub(super) fn guards(facts: &Facts<'_>) -> Vec<Guard> {
    let mut guards = vec![guard("run-complete", run_complete(facts))];
    if facts.run.log {
        guards.push(guard("log-complete", log_complete(facts)));
    }
    guards.push(guard("in-time", in_time(facts)));
    guards.push(guard("pods-ended", pods_ended(facts)));
    guards.push(guard("wrote", wrote(facts)));
    guards.push(guard("faults-fired", faults_fired(facts)));
    guards.push(guard("stops-reached", stops_reached(facts)));
    for name in &facts.run.rules.guards {
        let outcome = match name.as_str() {
            "run-complete" | "log-complete" | "in-time" | "pods-ended" | "wrote"
            | "faults-fired" | "stops-reached" => continue,
            "contention" => contention(facts),
            "overlap" => overlap(facts),
            "recovery-completed" => recovery_completed(facts),
            "blocked" => blocked(facts),
            _ => Err(format!(
                "there is no guard {name:?}; they are contention, overlap, blocked and \
                 recovery-completed"
            )),
        };
        guards.push(guard(name, outcome));
    }
    guards
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
                Event::TurnStarted {
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
    match wrote.len() {
        0 => Err("no pod wrote a protected table: there was nothing to guard".to_owned()),
        1 => Ok(format!("pod {} wrote protected tables", wrote[0])),
        _ => Ok(format!("pods {} wrote protected tables", list(&wrote))),
    }
}

fn faults_fired(facts: &Facts<'_>) -> Result<String, String> {
    let mut fired = 0;
    let mut missing = Vec::new();
    let mut scheduled: Vec<(u64, &str)> = Vec::new();
    for line in facts.lines {
        match &line.event {
            Event::TurnStarted {
                turn,
                scheduled: true,
                ..
            } if !is_turn(turn) && !is_of_controller(turn) => scheduled.push((line.seq, turn)),
            // Those of a CronJob's controller are no part of the schedule.
            Event::Fault(fault) if fault.by == FaultBy::Controller => {}
            Event::Fault(fault) => {
                if fault.fired {
                    fired += 1;
                } else {
                    missing.push(format!("{} did not fire: {}", fault.name, fault.evidence));
                }
                if let Some(i) = scheduled
                    .iter()
                    .position(|(_, text)| names(text, &fault.name))
                {
                    scheduled.remove(i);
                }
            }
            _ => {}
        }
    }
    missing.extend(
        scheduled
            .iter()
            .map(|(_, text)| format!("\"{text}\" was never applied")),
    );
    missing.extend(never_begun(facts));
    if missing.is_empty() {
        Ok(match fired {
            0 => "the schedule has no fault".to_owned(),
            _ => format!("{} fired", count(fired, "fault")),
        })
    } else {
        Err(list(&missing))
    }
}

/// Whether the text of a line of the schedule names this fault as a word.
fn names(text: &str, fault: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric() && c != '-')
        .any(|word| word == fault)
}

/// Whether a line of the schedule is a turn, not a fault.
fn is_turn(text: &str) -> bool {
    text.trim_start().starts_with("run ") || text.contains("run =") || is_together(text)
}

/// Whether it lets steps of several pods go at the same moment.
pub(super) fn is_together(text: &str) -> bool {
    text.starts_with(TOGETHER)
}

/// How the text of a line begins that lets steps go together.
pub(super) const TOGETHER: &str = "release the next steps of ";

/// Whether a turn has no stop but the pod's end.
fn is_to_end(text: &str) -> bool {
    if text.trim_start().starts_with("run ") {
        text.trim_end().ends_with("to its end")
    } else {
        !text.contains("until")
    }
}

/// The pod whose turn it is.
fn pod_of<'f>(facts: &'f Facts<'_>, text: &str) -> Option<(&'f &'f PodName, &'f PodFacts<'f>)> {
    let name = match text.trim_start().strip_prefix("run ") {
        Some(rest) => rest.split_whitespace().next()?,
        None => text.split_once("run =")?.1.split('"').nth(1)?,
    };
    facts.pods.iter().find(|(pod, _)| pod.as_str() == name)
}

fn stops_reached(facts: &Facts<'_>) -> Result<String, String> {
    let mut turns: BTreeMap<usize, (&str, Option<TurnEnd>, bool)> = BTreeMap::new();
    let mut absent: BTreeMap<usize, String> = BTreeMap::new();
    for (place, line) in facts.lines.iter().enumerate() {
        match &line.event {
            Event::TurnStarted {
                index,
                turn,
                scheduled: true,
            } if is_turn(turn) => {
                turns.insert(*index, (turn, None, false));
            }
            Event::TurnEnded { index, why } => {
                if let Some(turn) = turns.get_mut(index) {
                    turn.1.get_or_insert(*why);
                    if *why == TurnEnd::NotThere {
                        absent.insert(*index, not_there(facts, place, turn.0));
                    }
                }
            }
            Event::StopMetLater { index } => {
                if let Some(turn) = turns.get_mut(index) {
                    turn.2 = true;
                }
            }
            _ => {}
        }
    }
    let mut missed = Vec::new();
    for (index, (text, end, later)) in &turns {
        let ended = pod_of(facts, text).is_some_and(|(_, pod)| pod.ended.is_some());
        let why = match end {
            Some(TurnEnd::Reached) => continue,
            _ if *later => continue,
            Some(TurnEnd::PodEnded) if is_to_end(text) => continue,
            Some(TurnEnd::Blocked | TurnEnd::Yielded) if is_to_end(text) && ended => {
                continue;
            }
            Some(TurnEnd::PodEnded) => "the pod ended before it",
            Some(TurnEnd::Blocked) => "everything the pod could still do was blocked",
            Some(TurnEnd::Yielded) => "the pod repeated itself without effect",
            Some(TurnEnd::Limit) => "a limit was hit",
            Some(TurnEnd::NotThere) => absent.get(index).map_or("its pod is not there", |why| why),
            None => "the run ended before it",
        };
        missed.push(format!("the stop of \"{text}\" was never reached: {why}"));
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
        Err(list(&missed))
    }
}

/// A second pod asked for the lock while another held it.
pub(super) fn contention(facts: &Facts<'_>) -> Result<String, String> {
    for snapshot in facts.snapshots {
        for waits in snapshot.locks.iter().filter(|lock| !lock.granted) {
            let holders = facts.holders();
            let owners = |lock| holders.of(lock, snapshot.server_us, snapshot.seq, snapshot.seq);
            let (Some(waiter), true) = (
                owners(waits).first().copied(),
                facts.is_rule_key(&waits.key),
            ) else {
                continue;
            };
            let holder = snapshot
                .locks
                .iter()
                .filter(|lock| lock.granted && lock.key == waits.key)
                .flat_map(|lock| owners(lock))
                .find(|holder| holder.connection.pod != waiter.connection.pod);
            if let Some(holder) = holder {
                return Ok(format!(
                    "{} waited for lock {} while {} held it",
                    waiter.connection, waits.key, holder.connection
                ));
            }
        }
    }
    let mut grants: HashMap<LockKey, (Spans, Vec<&Grant<'_>>)> = HashMap::new();
    for grant in facts
        .grants
        .iter()
        .filter(|one| facts.is_rule_key(&one.key))
    {
        let (spans, of_key) = grants.entry(grant.key.anywhere()).or_default();
        spans.push(grant.from, grant.end.map_or(u64::MAX, |(end, _)| end));
        of_key.push(grant);
    }
    for step in facts.steps.values().filter(|step| step.ran()) {
        let Some(released) = step.released else {
            continue;
        };
        for call in &step.request.lock_calls {
            let asks = matches!(call.action, LockAction::Lock | LockAction::TryLock);
            let Some(key) = call.key.filter(|key| asks && facts.is_rule_key(key)) else {
                continue;
            };
            let Some((spans, of_key)) = grants.get(&key.anywhere()) else {
                continue;
            };
            let near = &of_key[spans.around(released.seq, released.seq)];
            let holder = near
                .iter()
                .find(|grant| grant.pod() != step.pod() && grant.held_at(released.seq));
            if let Some(holder) = holder {
                return Ok(format!(
                    "{} asked for lock {key} while {} held it",
                    step.connection, holder.connection
                ));
            }
        }
    }
    for write in &facts.writes {
        let waits = write
            .locks
            .iter()
            .find(|lock| !lock.granted && facts.is_rule_key(&lock.key));
        if let Some(waits) = waits {
            return Ok(format!(
                "{} waited for lock {} while it was held",
                waits.connection, waits.key
            ));
        }
    }
    Err("no pod asked for the lock while another held it".to_owned())
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
