//! Which errors an injected fault explains.
//!
//! Owns that rule alone. Knows nothing of what clean runs show.

use super::errors::PodError;
use super::faults::FaultFacts;
use super::sessions::Sessions;
use super::steps::StepFacts;
use crate::history::{ClosedBy, StepId};
use std::collections::BTreeMap;

/// SQLSTATEs with which the server tells of a client or a session that was lost.
const LOST: [&str; 3] = ["08006", "08P01", "57P01"];

/// Whether the server tells with this SQLSTATE of a client or a session that was lost.
pub(crate) fn is_loss(sqlstate: &str) -> bool {
    LOST.contains(&sqlstate)
}

/// The log has milliseconds, snapshots have microseconds.
const LOG_TICK_US: i64 = 1000;

/// For each error whether a fault that fired explains it.
pub(crate) fn explained(
    errors: &[PodError<'_>],
    faults: &[FaultFacts<'_>],
    sessions: &Sessions<'_>,
    steps: &BTreeMap<StepId, StepFacts<'_>>,
) -> Vec<bool> {
    let mut explained: Vec<bool> = errors
        .iter()
        .map(|error| {
            faults
                .iter()
                .any(|fault| explains(fault, error, sessions, steps))
        })
        .collect();
    // An aborted transaction refuses everything until its end.
    for i in 0..errors.len() {
        let error = &errors[i];
        if explained[i] || error.sqlstate != "25P02" {
            continue;
        }
        let cause = (0..errors.len())
            .filter(|j| explained[*j] && errors[*j].connection == error.connection)
            .filter_map(|j| position(&errors[j], steps))
            .filter(|cause| position(error, steps).is_some_and(|seq| *cause < seq))
            .max();
        let Some(cause) = cause else { continue };
        let here = position(error, steps).unwrap_or(u64::MAX);
        let ended = steps.values().any(|step| {
            step.connection == error.connection
                && step.last().is_some_and(|end| {
                    end.at.seq > cause && end.at.seq < here && end.answer.transaction == Some('I')
                })
        });
        explained[i] = !ended;
    }
    explained
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
) -> bool {
    if !fault.reaches(error.connection, error.session) {
        return false;
    }
    let reset = sessions
        .closed(error.connection)
        .is_some_and(|(_, by)| by == ClosedBy::Fault);
    let lost = is_loss(error.sqlstate) && (fault.event.takes_pod || reset);
    let named = fault
        .event
        .sqlstates
        .iter()
        .any(|one| one == error.sqlstate);
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
