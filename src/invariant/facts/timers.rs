//! Timers: failures that may only come from the harness holding steps back.
//!
//! A pod's own timers run while the gate holds it (DESIGN.md, "Held time is not free time"). Owns
//! the rule by which a failure is time-dependent. Knows nothing of what it does to a verdict.

use std::collections::BTreeMap;

use super::errors::PodError;
use super::faults::FaultFacts;
use super::pods::PodFacts;
use super::sessions::Sessions;
use super::steps::StepFacts;
use super::words::millis;
use crate::history::{ClosedBy, Event, Line, Pacing, PodName, RunFacts, StepId};

/// SQLSTATEs that timers of the server raise.
const TIMERS: [&str; 5] = ["25P03", "25P04", "57P05", "57014", "55P03"];

/// Too many clients. The server is one that other runs share: it is a circumstance as a timer is.
const NO_CONNECTION_LEFT: &str = "53300";

/// A timer that may have run out because of the harness.
#[derive(Debug)]
pub(crate) struct Timer<'a> {
    pub pod: &'a PodName,
    /// The first line that shows it.
    pub seq: u64,
    /// Its place among the errors, if it was one.
    pub error: Option<usize>,
    /// One sentence.
    pub why: String,
}

/// All timers that may have run out because of the harness.
pub(crate) fn timers<'a>(
    lines: &'a [Line],
    run: &'a RunFacts,
    pods: &BTreeMap<&'a PodName, PodFacts<'a>>,
    steps: &BTreeMap<StepId, StepFacts<'a>>,
    sessions: &Sessions<'a>,
    faults: &[FaultFacts<'a>],
    errors: &[PodError<'a>],
) -> Vec<Timer<'a>> {
    // In real time nothing is held back.
    if run.pacing == Pacing::Free {
        return Vec::new();
    }
    let longest_gap = run.baseline.as_ref().map_or(0, |base| base.max_gap_us);
    let end = lines.last().map_or(0, |line| line.at_us);
    let at_of = |seq: u64| {
        let found = lines.binary_search_by_key(&seq, |line| line.seq);
        found.map_or(end, |i| lines[i].at_us)
    };
    let mut timers = Vec::new();
    let asked_for = |sqlstate: &str| {
        let only = run.rules.only_sqlstates.as_ref();
        only.is_some_and(|only| only.iter().any(|one| one == sqlstate))
    };
    for (index, error) in errors.iter().enumerate() {
        if error.sqlstate == NO_CONNECTION_LEFT && !asked_for(error.sqlstate) {
            timers.push(Timer {
                pod: &error.connection.pod,
                seq: error.wire.unwrap_or(error.seqs[0]),
                error: Some(index),
                why: format!(
                    "other runs share this server and its connections, so {} on {} may be their doing",
                    error.sqlstate, error.connection
                ),
            });
            continue;
        }
        let excused = faults.iter().any(|fault| {
            fault
                .event
                .sqlstates
                .iter()
                .any(|one| one == error.sqlstate)
                && fault.reaches(error.connection, error.session)
        });
        if !TIMERS.contains(&error.sqlstate) || excused {
            continue;
        }
        // A line of the log is written after the run; the session's end tells when it was.
        let seq = error.wire.or_else(|| {
            sessions
                .closed(error.connection)
                .map(|(seq, _)| seq)
                .filter(|_| error.severity != "ERROR")
        });
        // A statement's own timers run while it waits; a session's while its pod is held anywhere.
        let own = error
            .step
            .filter(|_| matches!(error.sqlstate, "57014" | "55P03"));
        let held = longest_hold(
            steps.values().filter(|step| match own {
                Some(own) => step.id == own,
                None => step.pod() == error.pod(),
            }),
            seq.map_or(end, at_of),
            seq,
        );
        if held > longest_gap {
            timers.push(Timer {
                pod: &error.connection.pod,
                seq: seq.unwrap_or(error.seqs[0]),
                error: Some(index),
                why: format!(
                    "{} on {} is a timer's error, and the run held or kept waiting a step of pod \
                     {} for {} (the clean run's longest gap is {}): the failure is time-dependent",
                    error.sqlstate,
                    error.connection,
                    error.pod(),
                    millis(held),
                    millis(longest_gap)
                ),
            });
        }
    }
    for line in lines {
        let Event::ConnectionClosed {
            connection,
            by: ClosedBy::Client,
        } = &line.event
        else {
            continue;
        };
        let lived = pods
            .get(&connection.pod)
            .is_some_and(|pod| pod.lived_at(line.seq));
        let taken = faults.iter().any(|fault| {
            (fault.event.takes_pod || fault.event.ends_session)
                && fault.from <= line.seq
                && fault.pod == Some(&connection.pod)
        });
        if !lived || taken {
            continue;
        }
        let given_up = steps.values().find(|step| {
            step.connection == connection
                && !step.request.terminate
                && step.held.seq < line.seq
                && step.dropped.is_none_or(|at| at.seq > line.seq)
                && step.last().is_none_or(|end| {
                    // What it still did after the client had left is of no use to the client.
                    end.at.seq > line.seq
                })
        });
        let Some(step) = given_up else { continue };
        let waited = line.at_us.saturating_sub(step.held.at_us);
        if waited > longest_gap {
            timers.push(Timer {
                pod: &connection.pod,
                seq: line.seq,
                error: None,
                why: format!(
                    "pod {} closed {connection} while its {} had been held or waiting for {} (the \
                     clean run's longest gap is {}): what follows is time-dependent",
                    connection.pod,
                    step.words(),
                    millis(waited),
                    millis(longest_gap)
                ),
            });
        }
    }
    timers
}

/// The longest time for which one of these steps was held by the gate, or waited for another pod,
/// up to this line.
fn longest_hold<'s, 'a: 's>(
    steps: impl Iterator<Item = &'s StepFacts<'a>>,
    now: u64,
    seq: Option<u64>,
) -> u64 {
    let before = |at: u64| seq.is_none_or(|seq| at <= seq);
    steps
        .filter(|step| before(step.held.seq))
        .map(|step| {
            let until = step
                .released
                .or(step.dropped)
                .filter(|at| before(at.seq))
                .map_or(now, |at| at.at_us);
            let held = until.saturating_sub(step.held.at_us);
            let waited = step.blocked().filter(|at| before(at.seq)).map_or(0, |at| {
                let until = step.last().map_or(now, |end| end.at.at_us);
                until.saturating_sub(at.at_us)
            });
            held.max(step.held_us).max(waited)
        })
        .max()
        .unwrap_or(0)
}
