//! Findings with the lines that they rest on, each line in a sentence.
//!
//! Owns that sentence, and which finding comes first: violations before what cannot be told.

use serde::Serialize;

use super::lock_row::RowBook;
use super::run::StoredRun;
use super::shown::{shown, start};
use super::tables::{RowDiff, moment};
use crate::history::{ClosedBy, Ending, Event, HeldLock, Line, RowVersion};
use crate::invariant::Judgement;
use crate::name::StepId;
use crate::timeline::{StepFacts, Timeline};

/// A finding.
#[derive(Debug, Clone, Serialize)]
pub(super) struct FindingData {
    pub invariant: String,
    pub judgement: String,
    pub why: String,
    /// What it is called, and what shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anomaly: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    /// What it rests on.
    pub evidence: Vec<EvidenceData>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diff: Option<RowDiff>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
}

/// A line of the history that shows something.
#[derive(Debug, Clone, Serialize)]
pub(super) struct EvidenceData {
    pub seq: u64,
    pub at_us: u64,
    /// The line at which it was, where the server's log told it later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<u64>,
    /// The step that it speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<u64>,
    pub words: String,
}

/// All findings.
pub(super) fn findings(
    run: &StoredRun<'_>,
    timeline: &Timeline<'_>,
    row: Option<&RowBook<'_>>,
) -> Vec<FindingData> {
    let of = |judgement: Judgement| {
        let verdicts = run.verdict.invariants.iter();
        let verdicts = verdicts.filter(move |one| one.judgement == judgement);
        verdicts.flat_map(move |one| one.findings.iter().map(move |finding| (one, finding)))
    };
    let all = of(Judgement::Violated).chain(of(Judgement::Inconclusive));
    all.map(|(verdict, finding)| FindingData {
        invariant: verdict.name.to_string(),
        judgement: verdict.judgement.to_string(),
        why: shown(&finding.why),
        anomaly: finding
            .anomaly
            .as_ref()
            .map(|anomaly| shown(&anomaly.to_string())),
        pod: finding.pod.as_ref().map(|pod| shown(pod.as_str())),
        evidence: finding
            .seqs
            .iter()
            .filter_map(|seq| evidence(timeline, row, *seq))
            .collect(),
        diff: finding.difference.as_ref().and_then(RowDiff::of),
        table: finding.table.as_deref().map(shown),
    })
    .collect()
}

fn evidence(timeline: &Timeline<'_>, row: Option<&RowBook<'_>>, seq: u64) -> Option<EvidenceData> {
    let moment = moment(timeline, seq)?;
    let place = timeline
        .lines
        .binary_search_by_key(&seq, |line| line.seq)
        .ok()?;
    let line = &timeline.lines[place];
    let change = row.and_then(|row| row.told_at(seq));
    let step = step_of(&line.event);
    let ended = || {
        let step = timeline.steps.get(&StepId(step?))?;
        Some(step.last()?.at.seq)
    };
    let at = match &line.event {
        Event::LockRow(_) => change.map(|change| change.at.0),
        Event::Write(_) | Event::Committing(_) => ended(),
        _ => None,
    };
    let words = match change {
        Some(change) => format!(
            "{} (at line {}; the row's trigger tells it here)",
            change.what, change.at.0
        ),
        None => sentence(line, timeline),
    };
    Some(EvidenceData {
        seq,
        at_us: moment.at_us,
        at,
        step,
        words: shown(&words),
    })
}

/// The step that an event speaks of.
fn step_of(event: &Event) -> Option<u64> {
    let id = match event {
        Event::StepHeld { step, .. }
        | Event::StepReleased { step, .. }
        | Event::StepEnded { step, .. }
        | Event::StepDropped { step, .. }
        | Event::StepQueued { step }
        | Event::Ghost { step, .. }
        | Event::StoppedEarly { step } => Some(*step),
        Event::Write(write) => write.step,
        Event::LockRow(change) => change.step,
        Event::Committing(committing) => committing.step,
        Event::ServerLog(line) => line.step,
        Event::Fault(fault) => fault.step,
        Event::Prepared { step, .. } => *step,
        _ => None,
    };
    id.map(|id| id.0)
}

/// What a line says.
fn sentence(line: &Line, timeline: &Timeline<'_>) -> String {
    let step = |id| timeline.steps.get(id);
    let named = |step: Option<&StepFacts<'_>>| match step {
        Some(step) => step.words(),
        None => "a step".to_owned(),
    };
    match &line.event {
        Event::StepHeld { step: id, .. } => format!("{} came to the gate", named(step(id))),
        Event::StepReleased { step: id, .. } => {
            format!("{} was given to the server", named(step(id)))
        }
        Event::StepEnded {
            step: id,
            ending,
            answer,
            ..
        } => {
            let how = match (ending, &answer.error) {
                (Ending::Blocked, _) => "was seen to wait".to_owned(),
                (Ending::NeedsPod, _) => "waits for its own pod".to_owned(),
                (Ending::Inside, _) => "stands in its middle, at a gate of lockproof's".to_owned(),
                (_, Some(error)) => format!("failed with {}", error.sqlstate),
                (Ending::Gone, None) => "was gone with its session".to_owned(),
                (Ending::Done, None) => format!("was answered {}", answer.tags.join("; ")),
            };
            format!("{} {how}", named(step(id)))
        }
        Event::StepDropped { step: id, .. } => {
            format!("{} never reached the server", named(step(id)))
        }
        Event::Ghost { step: id, .. } => format!(
            "{} was still on the server when its client was gone",
            named(step(id))
        ),
        Event::Locks { .. } => {
            let place = timeline.snapshots.partition_point(|one| one.seq < line.seq);
            let shown = timeline.snapshots.get(place);
            let locks = shown.into_iter().flat_map(|one| one.locks.iter().copied());
            let at = (shown.map_or(i64::MAX, |one| one.server_us), line.seq);
            format!("pg_locks showed {}", locks_words(locks, timeline, at))
        }
        Event::Write(write) => format!(
            "the witness saw a write to {} by {}, under {}",
            write.table,
            write
                .connection
                .as_ref()
                .map_or_else(|| write.session.to_string(), ToString::to_string),
            locks_words(
                timeline.locks_at(write, line.seq),
                timeline,
                (write.server_us, line.seq)
            )
        ),
        Event::Committing(committing) => format!(
            "the witness saw {} about to commit, under {}",
            committing
                .connection
                .as_ref()
                .map_or_else(|| committing.session.to_string(), ToString::to_string),
            locks_words(
                advisory(&committing.locks),
                timeline,
                (committing.server_us, line.seq)
            )
        ),
        Event::RowLocks { rows, .. } => {
            let held: Vec<String> = rows
                .iter()
                .map(|row| format!("row {} of {} by session {}", row.row, row.table, row.pid))
                .collect();
            match held.is_empty() {
                true => "no row of the lock's table was locked".to_owned(),
                false => format!("locked: {}", held.join(", ")),
            }
        }
        Event::LockRow(change) => {
            let who = match (&change.connection, change.by_lockproof) {
                (_, true) => "lockproof, for whom time passes,".to_owned(),
                (Some(connection), false) => connection.to_string(),
                (None, false) => change.session.to_string(),
            };
            let is = |version: &Option<RowVersion>| match version {
                None => "not there",
                Some(version) if version.done => "done",
                Some(version) if !version.held => "free",
                Some(version) if version.expired => "had, its time passed",
                Some(_) => "had",
            };
            let (before, after) = (is(&change.before), is(&change.after));
            let row = match &change.row {
                Some(key) => format!("row {key} of the lock's table"),
                None => "the lock row".to_owned(),
            };
            format!("{who} changed {row}: before {before}, after {after}")
        }
        Event::ServerLog(log) => format!(
            "the server's log: {} {}: {}",
            log.severity,
            log.sqlstate,
            start(&log.message, 300)
        ),
        Event::SessionGone {
            connection,
            session,
        } => format!("the {session} of {connection} had left the server"),
        Event::ConnectionClosed { connection, by } => {
            let by = match by {
                ClosedBy::Client => "the pod",
                ClosedBy::Server => "the server",
                ClosedBy::Fault => "a fault",
                ClosedBy::Refused => "lockproof, which refused it",
            };
            format!("{connection} was closed by {by}")
        }
        Event::PodExited { pod, code, signal } => match (code, signal) {
            (Some(code), _) => format!("pod {pod} exited with code {code}"),
            (None, Some(signal)) => format!("pod {pod} was ended by signal {signal}"),
            (None, None) => format!("pod {pod} exited"),
        },
        Event::PodOutput { pod, line, .. } => {
            format!("pod {pod} printed: {}", start(line, 300))
        }
        Event::Fault(fault) => format!(
            "fault {}: {}",
            crate::report::fault_words(&fault.fault),
            fault.evidence
        ),
        Event::FinalState(_) | Event::FinalRows(_) => "the final rows were read".to_owned(),
        Event::Remains { .. } => "what the server still had after the last pod".to_owned(),
        Event::LimitHit { waited_for, .. } => format!("waited in vain for {waited_for}"),
        Event::SessionError { connection, error } => {
            format!(
                "{connection} was told {} {}",
                error.severity, error.sqlstate
            )
        }
        Event::RunEnded { .. } => "the run ended".to_owned(),
        other => serde_json::to_value(other)
            .ok()
            .and_then(|value| Some(value.get("event")?.as_str()?.to_owned()))
            .unwrap_or_else(|| "another event".to_owned()),
    }
}

/// Those that are no locks on tables: every statement takes those.
fn advisory(locks: &[HeldLock]) -> impl Iterator<Item = &HeldLock> {
    locks.iter().filter(|lock| lock.key.table().is_none())
}

/// Locks, and whose they were then: at this moment of the server's clock and this line.
fn locks_words<'a>(
    locks: impl Iterator<Item = &'a HeldLock>,
    timeline: &Timeline<'_>,
    (at, seq): (i64, u64),
) -> String {
    let own: Vec<&HeldLock> = locks
        .filter(|lock| lock.key.database == timeline.database())
        .collect();
    if own.is_empty() {
        return "no lock that pg_locks shows".to_owned();
    }
    let words = own.iter().take(6).map(|lock| {
        let waits = if lock.granted { "" } else { ", awaited" };
        let owner = timeline.sessions.at(lock.pid, at, seq);
        let owner = owner.map_or_else(
            || format!("backend {}", lock.pid),
            |owner| owner.connection.to_string(),
        );
        format!("{} {} of {owner}{waits}", lock.mode, lock.key)
    });
    let mut words = words.collect::<Vec<_>>().join("; ");
    if own.len() > 6 {
        words += &format!("; and {} more", own.len() - 6);
    }
    words
}
