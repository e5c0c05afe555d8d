//! Whether a stored history is what its run must have written.
//!
//! Owns which kinds of line no complete history lacks, and which lines contradict each other. A history that
//! was taken apart is refused, not judged. Knows nothing of verdicts.

use std::collections::{BTreeMap, BTreeSet};

use super::judge::run_of;
use super::verdict::MalformedHistory;
use crate::history::{Delivery, Event, Line, Pacing, RunFacts};
use crate::name::ConnectionName;
use crate::schedule::FaultTarget;

/// Refuses a complete history that lacks a kind of line that its run must have, or whose snapshots of
/// `pg_locks` contradict each other. One that was cut is accepted: its verdict says so.
///
/// # Errors
/// With what is lacking, or the line that cannot be.
pub fn whole(history: &[Line]) -> Result<(), MalformedHistory> {
    let run = run_of(history)?;
    contradiction(history)?;
    let any = |is: fn(&Event) -> bool| history.iter().any(|line| is(&line.event));
    let ended = any(|event| matches!(event, Event::RunEnded { .. }));
    // A run that was stopped at its first error reads no last evidence.
    if !ended || any(|event| matches!(event, Event::StoppedEarly { .. })) {
        return Ok(());
    }
    let released = any(|event| match event {
        Event::StepReleased { delivery, .. } => *delivery != Delivery::Replaced,
        _ => false,
    });
    let of_server = any(is_of_server);
    let must = [
        (
            "locks",
            run.pacing == Pacing::Controlled && released,
            any(|event| matches!(event, Event::Locks { .. })),
        ),
        (
            "log-complete",
            // A server that is gone for good cannot be asked for its log.
            run.log && !of_server,
            any(|event| matches!(event, Event::LogComplete { .. })),
        ),
        (
            // Whether it saw all that was written.
            "witness",
            run.witness,
            any(|event| matches!(event, Event::Witness { .. })),
        ),
        (
            "remains",
            true,
            any(|event| matches!(event, Event::Remains { .. })),
        ),
        (
            "final-state",
            true,
            any(|event| matches!(event, Event::FinalState(_))),
        ),
    ];
    if let Some((kind, ..)) = must.iter().find(|(_, must, has)| *must && !*has) {
        return Err(MalformedHistory::Lacks(kind));
    }
    sessions_ended(run, history)
}

/// Whether something was done to the server.
fn is_of_server(event: &Event) -> bool {
    match event {
        Event::Fault(fault) => fault.fault.kind.target() == FaultTarget::Server,
        _ => false,
    }
}

/// Each session that started has come to an end, or is named among what remains. Behind a pooler sessions
/// outlive the run, and after a limit nobody waits for them.
fn sessions_ended(run: &RunFacts, history: &[Line]) -> Result<(), MalformedHistory> {
    let mut open: BTreeMap<&ConnectionName, u64> = BTreeMap::new();
    let mut ended: BTreeSet<&ConnectionName> = BTreeSet::new();
    for line in history {
        match &line.event {
            Event::LimitHit { .. } => return Ok(()),
            Event::SessionStarted { connection, .. } => {
                open.entry(connection).or_insert(line.seq);
            }
            Event::ConnectionClosed { connection, .. } | Event::SessionGone { connection, .. } => {
                ended.insert(connection);
            }
            Event::Remains { sessions, .. } => {
                ended.extend(sessions.iter().filter_map(|one| one.connection.as_ref()));
            }
            _ => {}
        }
    }
    let unended = open.iter().find(|(one, _)| !ended.contains(*one));
    match unended {
        Some((connection, _)) if run.pooler.is_none() => {
            Err(MalformedHistory::NoEnd((*connection).clone()))
        }
        _ => Ok(()),
    }
}

/// The first snapshot that cannot be: the server's clock went backwards. (That two hold one lock at once is for
/// mutual-exclusion to say.)
fn contradiction(history: &[Line]) -> Result<(), MalformedHistory> {
    // Two servers have two clocks.
    let two_clocks = history.iter().any(|line| match &line.event {
        Event::SessionStarted { server, .. } => *server > 0,
        Event::Fault(fault) => fault.fault.kind.needs_standby(),
        _ => false,
    });
    let mut last = i64::MIN;
    for line in history {
        let Event::Locks { server_us, .. } = &line.event else {
            continue;
        };
        // 0: the server could not be asked.
        if *server_us > 0 {
            if *server_us < last && !two_clocks {
                return Err(MalformedHistory::ClockBackwards(line.seq));
            }
            last = *server_us;
        }
    }
    Ok(())
}
