//! Timers: failures that may only come from the harness holding steps back.
//!
//! A pod's own timers run while the gate holds it (docs/design/pacing.md, "Held time is not free time"). Owns
//! the rule by which a failure is time-dependent. Knows nothing of what it does to a verdict.

use std::collections::{BTreeMap, HashMap};

use super::by_connection::ByConnection;
use super::errors::PodError;
use super::faults::FaultFacts;
use super::words::millis;
use crate::history::{Awaited, ClosedBy, Event, Line, Pacing, RunFacts};
use crate::name::{PodName, StepId};
use crate::timeline::{PodFacts, Sessions, StepFacts};

/// SQLSTATEs that timers of the server raise.
const TIMERS: [&str; 5] = ["25P03", "25P04", "57P05", "57014", "55P03"];

/// What PgBouncer says to a client that has waited too long for a server connection.
const POOLER_TIMER: &str = "query_wait_timeout";

/// Too many clients. How many a server lets in, and who else uses it, is a circumstance as a timer is.
const NO_CONNECTION_LEFT: &str = "53300";
/// What it says where the job, or its schema, has set the limit itself.
const LIMIT_OF_ITS_OWN: [&str; 2] = ["connections for role", "connections for database"];

/// What a pod does within this time after a fault it does because of the fault, in microseconds.
const AT_ONCE_US: u64 = 250_000;

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

/// Whether nobody but this run uses the server: locally each run has one of its own.
fn own_server(run: &RunFacts) -> bool {
    run.server.kind == "local"
}

/// Whose connections the server was full of, as far as it is known.
fn no_connection_left(lines: &[Line], run: &RunFacts, error: &PodError<'_>, seq: u64) -> String {
    let mut open = 0_usize;
    for line in lines.iter().take_while(|line| line.seq < seq) {
        match &line.event {
            Event::ConnectionOpened { connection } if connection != error.connection => open += 1,
            Event::ConnectionClosed { connection, .. } if connection != error.connection => {
                open = open.saturating_sub(1);
            }
            _ => {}
        }
    }
    let whose = match own_server(run) {
        true => {
            "nobody else uses this server, and how many it lets in is lockproof's setting, not production's"
        }
        false => "others may use this server, too",
    };
    format!(
        "when {} got 53300, {open} other connections of this run's own pods were open; {whose}",
        error.connection
    )
}

/// All timers that may have run out because of the harness.
pub(crate) fn timers<'a>(
    lines: &'a [Line],
    run: &'a RunFacts,
    (pods, by_connection): (&BTreeMap<&'a PodName, PodFacts<'a>>, &ByConnection<'a>),
    steps: &BTreeMap<StepId, StepFacts<'a>>,
    sessions: &Sessions<'a>,
    faults: &[FaultFacts<'a>],
    (errors, explained, called_off): (&[PodError<'a>], &[bool], &HashMap<usize, u64>),
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
            if own_server(run)
                && LIMIT_OF_ITS_OWN
                    .iter()
                    .any(|own| error.message.contains(own))
            {
                continue;
            }
            let seq = error.wire.unwrap_or(error.seqs[0]);
            timers.push(Timer {
                pod: &error.connection.pod,
                seq,
                error: Some(index),
                why: no_connection_left(lines, run, error, seq),
            });
            continue;
        }
        // The pooler's own timer tells itself by its name only.
        let of_pooler = run.pooler.is_some() && error.message == POOLER_TIMER;
        if !(TIMERS.contains(&error.sqlstate) || of_pooler) || is_no_wait(error) {
            continue;
        }
        if explained[index] {
            // A pod that a fault has hit calls off at once what it has under way; who waits first does it
            // out of impatience, as without the fault.
            let patience = called_off.get(&index);
            if patience.is_none_or(|waited| *waited <= longest_gap.max(AT_ONCE_US)) {
                continue;
            }
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
        let now = seq.map_or(end, at_of);
        let held = match own {
            Some(own) => {
                // The server's own timers for a statement begin when it has the statement.
                let from = if is_called_off(error) {
                    From::Arrival
                } else {
                    From::Release
                };
                longest_hold(steps.get(&own).into_iter(), now, seq, from)
            }
            None => {
                let of_pod = |step: &&StepFacts<'_>| step.pod() == error.pod();
                longest_hold(steps.values().filter(of_pod), now, seq, From::Arrival)
            }
        };
        // What runs out while lockproof keeps the statement in its middle no free run shows so.
        let stood = own.and_then(|own| steps.get(&own)?.stood_inside());
        let stood = stood.is_some_and(|at| seq.is_none_or(|seq| at.seq <= seq));
        if held > longest_gap || stood {
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
    // The first fault that takes each pod, or ends a session of it.
    let mut taken: BTreeMap<&PodName, u64> = BTreeMap::new();
    for fault in faults {
        if let (true, Some(pod)) = (fault.event.takes_pod || fault.event.ends_session, fault.pod) {
            let from = taken.entry(pod).or_insert(fault.from);
            *from = fault.from.min(*from);
        }
    }
    // Where no pod could go on any more, nothing is a matter of time: from there on it is the harness
    // that closes what the pods have open.
    let stopped = lines
        .iter()
        .find(|line| matches!(&line.event, Event::LimitHit { waited_for, .. } if *waited_for == Awaited::PodToGoOn))
        .map_or(u64::MAX, |line| line.seq);
    for line in lines.iter().filter(|line| line.seq < stopped) {
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
        let taken = taken.get(&connection.pod);
        if !lived || taken.is_some_and(|from| *from <= line.seq) {
            continue;
        }
        let own = by_connection.steps.get(connection);
        let own = own.into_iter().flatten().filter_map(|id| steps.get(id));
        let given_up = own.into_iter().find(|step| {
            step.held.seq < line.seq
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

/// Whether the server did not wait at all: NOWAIT and `lock_timeout` have one SQLSTATE.
fn is_no_wait(error: &PodError<'_>) -> bool {
    error.sqlstate == "55P03" && error.message.starts_with("could not obtain lock")
}

/// Whether somebody asked the server to cancel the statement: perhaps its own pod, whose patience
/// began when it sent it.
fn is_called_off(error: &PodError<'_>) -> bool {
    error.sqlstate == "57014" && !error.message.ends_with(" timeout")
}

/// From when on a step's timer runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    /// Since it came to the gate.
    Arrival,
    /// Since the server has had it.
    Release,
}

/// The longest time for which one of these steps was held by the gate, or waited for another pod,
/// up to this line.
fn longest_hold<'s, 'a: 's>(
    steps: impl Iterator<Item = &'s StepFacts<'a>>,
    now: u64,
    seq: Option<u64>,
    from: From,
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
            let waited = step
                .kept_waiting()
                .filter(|at| before(at.seq))
                .map_or(0, |at| {
                    let until = step.last().map_or(now, |end| end.at.at_us);
                    until.saturating_sub(at.at_us)
                });
            match from {
                From::Arrival => held.max(step.held_us).max(waited),
                From::Release => waited,
            }
        })
        .max()
        .unwrap_or(0)
}
