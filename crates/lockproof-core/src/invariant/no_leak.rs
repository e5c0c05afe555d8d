//! no-leak: after the last pod ended nothing holds or waits for a pod's lock, and no session is
//! left whose server side the proxy has closed (a blackholed one counts after heal).
//!
//! Owns that rule. Evidence: what the server still showed at the end.

use super::facts::{Facts, list, millis, sql_start};
use super::ruling::{Found, inconclusive};
use super::verdict::{Finding, InvariantVerdict};
use crate::history::Event;
use crate::name::InvariantName;
use crate::name::{ConnectionName, PodName};

const NAME: InvariantName = InvariantName::NoLeak;

pub(super) fn judge(facts: &Facts<'_>) -> InvariantVerdict {
    if let Some((pod, _)) = facts.started().find(|(_, pod)| pod.ended.is_none()) {
        return inconclusive(NAME, format!("pod {pod} was never seen to have ended"));
    }
    let remains = facts.lines.iter().rev().find_map(|line| match &line.event {
        Event::Remains {
            locks,
            sessions,
            waited_us,
        } => Some((line.seq, locks, sessions, *waited_us)),
        _ => None,
    });
    let Some((seq, locks, sessions, waited)) = remains else {
        return inconclusive(NAME, "the server was not asked what was left at the end");
    };
    let mut found = Found::default();
    for books in &facts.leases {
        super::lease::left(facts, books, &mut found);
    }
    let apart: Vec<i32> = sessions
        .iter()
        .filter(|one| {
            one.connection
                .as_ref()
                .is_some_and(|name| blackholed(facts, name))
        })
        .map(|one| one.session.pid)
        .collect();
    let last_us = facts.snapshots.last().map_or(i64::MAX, |one| one.server_us);
    for lock in locks.iter().filter(|lock| !apart.contains(&lock.pid)) {
        let owners = facts.holders().takers(lock, last_us, seq, seq);
        let owner = owners.first();
        let names: Vec<String> = owners
            .iter()
            .map(|one| one.connection.to_string())
            .collect();
        let whose = match owner {
            Some(_) => format!(" of {}", list(&names)),
            None => String::new(),
        };
        let what = if lock.granted { "held" } else { "waited for" };
        let finding = Finding {
            why: format!(
                "the {} lock {} was still {what} by {}{whose} {} after the last pod ended",
                lock.mode,
                lock.key,
                holder_words(lock.pid),
                millis(waited)
            ),
            seqs: vec![seq],
            pod: owner.map(|owner| owner.connection.pod.clone()),
            ..Finding::default()
        };
        leak(facts, finding, &mut found);
    }
    for left in sessions {
        let Some(name) = &left.connection else {
            continue;
        };
        let Some((closed, _)) = facts.sessions.closed(name) else {
            continue;
        };
        if blackholed(facts, name) {
            continue;
        }
        let finding = Finding {
            why: format!(
                "{} of {name} was still there ({}, {}) {} after the last pod ended",
                left.session,
                left.state,
                sql_start(&left.query),
                millis(waited)
            ),
            seqs: vec![closed, seq],
            pod: Some(name.pod.clone()),
            ..Finding::default()
        };
        leak(facts, finding, &mut found);
    }
    found.ruling(
        NAME,
        facts,
        "after the last pod ended no lock and no session of a pod was left",
    )
}

/// `session 812`; `prepared transaction 788`.
fn holder_words(pid: i32) -> String {
    match pid {
        ..0 => format!("prepared transaction {}", -i64::from(pid)),
        0 => "a prepared transaction".to_owned(),
        _ => format!("session {pid}"),
    }
}

/// What a pod left that the harness stopped at a limit, or that belongs to nobody known then, is
/// not charged to it.
fn leak(facts: &Facts<'_>, finding: Finding, found: &mut Found) {
    let stopped = match &finding.pod {
        Some(pod) => facts.stopped_at_limit(pod),
        None => !facts.limits.is_empty(),
    };
    if stopped {
        found.stopped(finding);
    } else {
        found.violation(finding);
    }
}

/// Whether a connection is cut off without the server knowing, and was not healed.
fn blackholed(facts: &Facts<'_>, name: &ConnectionName) -> bool {
    let reaches = |fault: &crate::history::FaultEvent, pod: &PodName| {
        fault.connection.as_ref().map_or_else(
            || fault.pod.as_ref().is_none_or(|one| one == pod),
            |one| one == name,
        )
    };
    facts
        .faults
        .iter()
        .filter(|fault| reaches(fault.event, &name.pod))
        .fold(false, |cut, fault| {
            fault.cuts_off() || (cut && !fault.heals())
        })
}
