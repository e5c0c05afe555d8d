//! Which errors an injected fault explains.
//!
//! Owns that rule alone. Knows nothing of what clean runs show.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::by_connection::ByConnection;
use super::errors::PodError;
use super::faults::FaultFacts;
use super::reach::Reach;
use crate::history::{ClosedBy, Event, INJECTED, Line};
use crate::name::{ConnectionName, StepId};
use crate::timeline::{Sessions, StepFacts};

/// SQLSTATEs with which the server tells of a client or a session that was lost.
const LOST: [&str; 3] = ["08006", "08P01", "57P01"];

/// Whether the server tells with this SQLSTATE of a client or a session that was lost.
pub(crate) fn is_loss(sqlstate: &str) -> bool {
    LOST.contains(&sqlstate)
}

/// The log has milliseconds, snapshots have microseconds.
const LOG_TICK_US: i64 = 1000;

/// For each error whether a fault that fired explains it; and of those that a pod which a fault had hit called
/// off itself, for how long it had been patient by then, in microseconds.
pub(crate) fn explained(
    lines: &[Line],
    errors: &[PodError<'_>],
    (faults, reach): (&[FaultFacts<'_>], &Reach<'_>),
    sessions: &Sessions<'_>,
    steps: &BTreeMap<StepId, StepFacts<'_>>,
    by_connection: &ByConnection<'_>,
    pooled: bool,
) -> (Vec<bool>, HashMap<usize, u64>) {
    let mut explained = vec![false; errors.len()];
    // Which error was the one that a fault raised, where that is one only.
    let mut raised: BTreeMap<usize, (bool, u64, usize)> = BTreeMap::new();
    for (i, error) in errors.iter().enumerate() {
        let mut by = |place: usize| {
            let fault = &faults[place];
            if !explains(fault, error, sessions, steps, pooled) {
                return;
            }
            if !fault.raises_one_error() {
                explained[i] = true;
                return;
            }
            let own = fault.event.step.is_some() && fault.event.step == error.step;
            let one = (!own, position(error, steps).unwrap_or(u64::MAX), i);
            let first = raised.entry(place).or_insert(one);
            *first = one.min(*first);
        };
        if pooled {
            // A backend is not one connection's.
            (0..faults.len()).for_each(&mut by);
        } else {
            reach
                .near(error.connection, error.session)
                .for_each(&mut by);
        }
    }
    for (_, _, i) in raised.into_values() {
        explained[i] = true;
    }
    let mut patience = HashMap::new();
    for (i, error) in errors.iter().enumerate() {
        if explained[i] || error.sqlstate != "57014" {
            continue;
        }
        if let Some(waited) = called_off(lines, error, faults, steps) {
            explained[i] = true;
            patience.insert(i, waited);
        }
    }
    // An aborted transaction refuses everything until its end.
    let mut causes: HashMap<&ConnectionName, BTreeSet<u64>> = HashMap::new();
    for (error, _) in errors.iter().zip(&explained).filter(|(_, known)| **known) {
        if let Some(seq) = position(error, steps) {
            causes.entry(error.connection).or_default().insert(seq);
        }
    }
    for i in 0..errors.len() {
        let error = &errors[i];
        if explained[i] || error.sqlstate != "25P02" {
            continue;
        }
        let Some(here) = position(error, steps) else {
            continue;
        };
        let Some(causes) = causes.get_mut(error.connection) else {
            continue;
        };
        let Some(cause) = causes.range(..here).next_back().copied() else {
            continue;
        };
        if !by_connection.idle_between(error.connection, cause, here) {
            explained[i] = true;
            causes.insert(here);
        }
    }
    (explained, patience)
}

/// Whether its own pod called this statement off, after a fault had hit the pod: a job that stops
/// at once when its lock is lost does so. For how long it had waited for the answer, or since the fault,
/// in microseconds.
fn called_off(
    lines: &[Line],
    error: &PodError<'_>,
    faults: &[FaultFacts<'_>],
    steps: &BTreeMap<StepId, StepFacts<'_>>,
) -> Option<u64> {
    let step = steps.get(&error.step?)?;
    let session = error.session?;
    // It may ask as soon as it has sent the statement, which the gate may still hold.
    let until = step.last().map_or(u64::MAX, |end| end.at.seq);
    let begun = lines.partition_point(|line| line.seq <= step.held.seq);
    lines[begun..]
        .iter()
        .take_while(|line| line.seq < until)
        .find_map(|line| {
            let asked = match &line.event {
                Event::CancelRequested { pod, target_pid } => {
                    pod == error.pod() && *target_pid == session.pid
                }
                _ => false,
            };
            if !asked {
                return None;
            }
            let hit =
                |fault: &&FaultFacts<'_>| fault.may_fail(error.pod()) && fault.from < line.seq;
            let last = faults.iter().filter(hit).map(|fault| fault.from).max()?;
            let place = lines.binary_search_by_key(&last, |line| line.seq);
            let since = place.map_or(0, |place| lines[place].at_us);
            Some(line.at_us.saturating_sub(since.max(step.held.at_us)))
        })
}

/// The line at which an error happened, as far as is known.
fn position(error: &PodError<'_>, steps: &BTreeMap<StepId, StepFacts<'_>>) -> Option<u64> {
    error
        .wire
        .or_else(|| Some(steps.get(&error.step?)?.released?.seq))
}

fn explains(
    fault: &FaultFacts<'_>,
    error: &PodError<'_>,
    sessions: &Sessions<'_>,
    steps: &BTreeMap<StepId, StepFacts<'_>>,
    pooled: bool,
) -> bool {
    if !fault.reaches(error.connection, error.session) {
        return false;
    }
    let reset = sessions
        .closed(error.connection)
        .is_some_and(|(_, by)| by == ClosedBy::Fault);
    // A pooler tells its client in its own words that the server has gone.
    let told = pooled && fault.event.ends_session;
    let lost = is_loss(error.sqlstate) && (fault.event.takes_pod || reset || told);
    // An error that was injected tells so itself.
    let injected = !fault.injects_error() || error.message == INJECTED;
    let mut named = fault.event.sqlstates.iter();
    let named = injected && named.any(|one| one == error.sqlstate);
    if !lost && !named {
        return false;
    }
    if fault.event.step.is_some() && fault.event.step == error.step {
        return true;
    }
    let step_end = error
        .step
        .and_then(|step| steps.get(&step))
        .and_then(|step| step.last())
        .map(|end| end.at.seq);
    match (error.wire, step_end) {
        (Some(seq), _) => fault.from <= seq,
        (None, Some(seq)) if error.severity == "ERROR" => fault.from <= seq,
        _ => match (fault.server_us, error.server_us) {
            (Some(fault), Some(error)) => fault - LOG_TICK_US <= error,
            _ => true,
        },
    }
}
