//! Steps as boxes: on which lane, from when to when, how each ended.
//!
//! Owns what a box says, and the places of pods and connections. Knows nothing of columns.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;

use super::at::At;
use super::shown::{Statements, label, shown};
use crate::history::{Answer, Delivery, Ending, Event, INJECTED, LockAction, LockRow, LockRule};
use crate::ledger::{Ledger, asks_for_row};
use crate::name::{ConnectionName, PodName, StepId};
use crate::timeline::{EndingFacts, StepFacts, Timeline};

/// A step.
#[derive(Debug, Clone, Serialize)]
pub(super) struct StepData {
    /// The place of its connection.
    pub lane: usize,
    /// Its number in the history.
    pub id: u64,
    /// Its number among its pod's steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n: Option<u32>,
    /// Its column.
    pub col: usize,
    /// What it does, in few words.
    pub label: String,
    /// The place of what it asks.
    pub sql: usize,
    /// When it came to the gate.
    pub held: At,
    /// When it was given to the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent: Option<At>,
    /// When it was first seen to wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocked: Option<At>,
    /// When nothing more came of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<At>,
    /// `done`, `error`, `gone`, `dropped`, or `open`.
    pub how: &'static str,
    /// What came back, in words.
    pub answer: String,
    /// For whom it waited: places of connections.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub by: Vec<usize>,
    /// The same in words, where it waited.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub waits: String,
    /// `I`, `T` or `E` behind it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tx: Option<char>,
    /// What else there is to it: `lock`, `look-up`, `preparation`, `ghost`, `injected`, `deadlock`, `commits`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub is: Vec<&'static str>,
}

impl StepData {
    /// Whether it failed.
    pub(super) fn failed(&self) -> bool {
        self.how == "error"
    }

    /// Whether it is this.
    pub(super) fn is(&self, what: &str) -> bool {
        self.is.contains(&what)
    }
}

/// A pod.
#[derive(Debug, Clone, Serialize)]
pub(super) struct PodData {
    pub name: String,
    pub recovery: bool,
    /// How it ended, in words.
    pub end: String,
}

/// A connection of a pod.
#[derive(Debug, Clone, Serialize)]
pub(super) struct LaneData {
    /// The place of its pod.
    pub pod: usize,
    pub name: String,
}

/// The places of pods and connections.
pub(super) struct Lanes<'a> {
    pods: Vec<&'a PodName>,
    connections: Vec<&'a ConnectionName>,
    places: HashMap<&'a ConnectionName, usize>,
}

impl<'a> Lanes<'a> {
    pub(super) fn of(timeline: &Timeline<'a>) -> Self {
        let pods: Vec<&PodName> = timeline.pods.keys().copied().collect();
        let used: HashSet<&ConnectionName> =
            timeline.steps.values().map(|one| one.connection).collect();
        let mut connections: Vec<&ConnectionName> = used.into_iter().collect();
        connections.sort();
        let places = connections.iter().enumerate();
        Self {
            places: places.map(|(place, name)| (*name, place)).collect(),
            pods,
            connections,
        }
    }

    /// The place of a connection that had a step.
    pub(super) fn place(&self, connection: &ConnectionName) -> Option<usize> {
        self.places.get(connection).copied()
    }

    /// The place of a pod.
    pub(super) fn pod(&self, pod: &PodName) -> Option<usize> {
        self.pods.iter().position(|one| *one == pod)
    }

    pub(super) fn lanes(&self) -> Vec<LaneData> {
        let of = |name: &&ConnectionName| LaneData {
            pod: self.pod(&name.pod).unwrap_or_default(),
            name: shown(&name.to_string()),
        };
        self.connections.iter().map(of).collect()
    }

    pub(super) fn pods(&self, timeline: &Timeline<'_>) -> Vec<PodData> {
        let of = |name: &&PodName| {
            let facts = timeline.pods.get(*name);
            let exit = facts.and_then(|facts| facts.exit);
            let end = match exit.map(|exit| (exit.code, exit.signal)) {
                Some((Some(code), _)) => format!("exits with code {code}"),
                Some((None, Some(signal))) => format!("is ended by signal {signal}"),
                Some((None, None)) => "ends".to_owned(),
                None if facts.is_some_and(|facts| facts.started.is_none()) => {
                    "was never started".to_owned()
                }
                None => "is not known to have ended".to_owned(),
            };
            PodData {
                name: shown(name.as_str()),
                recovery: facts.is_some_and(|facts| facts.recovery),
                end,
            }
        };
        self.pods.iter().map(of).collect()
    }
}

/// All steps in the order in which they were given to the server, and what they ask.
pub(super) fn steps<'a>(
    timeline: &Timeline<'a>,
    ledger: &Ledger<'a>,
    lanes: &Lanes<'a>,
) -> (Vec<StepData>, Vec<String>) {
    let mut ordered: Vec<&StepFacts<'a>> = timeline.steps.values().collect();
    ordered.sort_by_key(|step| {
        let first = step.released.or(step.dropped).unwrap_or(step.held);
        (first, step.id)
    });
    let requests = ordered.iter().map(|step| step.request);
    let mut statements = Statements::fitting(requests);
    let marked = Marked::of(timeline);
    let waits = Waits::of(timeline, ledger, &ordered);
    let steps = ordered.into_iter().filter_map(|step| {
        let blocked = step.blocked();
        let (by, waits) = waits.of.get(&step.id).cloned().unwrap_or_default();
        let last = step.last();
        Some(StepData {
            lane: lanes.place(step.connection)?,
            id: step.id.0,
            n: step.number,
            col: 0,
            label: label(step.request),
            sql: statements.place(step.request),
            held: step.held.into(),
            sent: step.released.map(At::from),
            blocked: blocked.map(At::from),
            end: last.map(|end| end.at).or(step.dropped).map(At::from),
            how: how(step),
            answer: shown(&answer(step)),
            by: by.iter().filter_map(|name| lanes.place(name)).collect(),
            waits: shown(&waits),
            tx: last.and_then(|end| end.answer.transaction),
            is: marked.kinds(step),
        })
    });
    let steps = steps.collect();
    (steps, statements.all)
}

fn how(step: &StepFacts<'_>) -> &'static str {
    match step.last() {
        _ if step.dropped.is_some() && step.released.is_none() => "dropped",
        Some(end) if end.answer.error.is_some() => "error",
        Some(end) if end.ending == Ending::Gone => "gone",
        Some(_) => "done",
        None if step.dropped.is_some() => "dropped",
        None => "open",
    }
}

/// What came back for a step, in words.
fn answer(step: &StepFacts<'_>) -> String {
    let Some(end) = step.last() else {
        return match (step.dropped, step.released) {
            (Some(_), None) => "never reached the server".to_owned(),
            (Some(_), Some(_)) => "its connection was gone before an answer came".to_owned(),
            (None, Some(_)) => "no answer came".to_owned(),
            (None, None) => "was still held when the run ended".to_owned(),
        };
    };
    let mut words = answered(end);
    words += match step.delivery {
        Delivery::Forwarded => "",
        Delivery::AnswerDropped => " (the answer was kept from the pod)",
        Delivery::AnswerReplaced => " (the pod was told an injected error instead)",
        Delivery::Replaced => " (the server got a statement that fails in its place)",
    };
    words
}

fn answered(end: &EndingFacts<'_>) -> String {
    let answer = end.answer;
    if let Some(error) = &answer.error {
        let on = match (&error.table, &error.constraint) {
            (Some(table), Some(constraint)) => format!(" on {table}, {constraint}"),
            (Some(table), None) => format!(" on {table}"),
            _ => String::new(),
        };
        return format!(
            "{} {}{on}: {}",
            error.severity, error.sqlstate, error.message
        );
    }
    if end.ending == Ending::Gone {
        return "its session ended before the answer".to_owned();
    }
    let mut words = answer.tags.join("; ");
    let results: Vec<&str> = lock_results(answer).collect();
    if !results.is_empty() {
        words += &format!(" ({})", results.join(", "));
    }
    let warned = answer.notices.iter().find(|one| one.severity == "WARNING");
    if let Some(notice) = warned {
        words += &format!("; WARNING {}: {}", notice.sqlstate, notice.message);
    }
    words
}

fn lock_results(answer: &Answer) -> impl Iterator<Item = &'static str> {
    let results = answer.lock_results.iter().flatten();
    results.map(|result| if *result { "true" } else { "false" })
}

/// What is special about steps.
struct Marked<'a> {
    ghosts: HashSet<StepId>,
    /// The locks that are rows: a step that writes the table of one is a lock operation.
    rows: Vec<&'a LockRow>,
}

impl<'a> Marked<'a> {
    fn of(timeline: &Timeline<'a>) -> Self {
        let rows = match timeline.lines.first().map(|line| &line.event) {
            Some(Event::Run(facts)) => facts.rules.lock.each().filter_map(LockRule::row).collect(),
            _ => Vec::new(),
        };
        let ghosts = timeline.lines.iter().filter_map(|line| match &line.event {
            Event::Ghost { step, .. } => Some(*step),
            _ => None,
        });
        Self {
            ghosts: ghosts.collect(),
            rows,
        }
    }

    fn kinds(&self, step: &StepFacts<'_>) -> Vec<&'static str> {
        let error = step.last().and_then(|end| end.answer.error.as_ref());
        let injected = error.is_some_and(|error| error.message.contains(INJECTED))
            || matches!(step.delivery, Delivery::AnswerReplaced | Delivery::Replaced);
        let lets_go = step.request.lock_calls.iter();
        let mut lets_go = lets_go.map(|call| call.action);
        let of = [
            (
                "lock",
                !step.request.lock_calls.is_empty()
                    || self.rows.iter().any(|row| asks_for_row(step, row)),
            ),
            (
                "unlock",
                lets_go.any(|action| matches!(action, LockAction::Unlock | LockAction::UnlockAll)),
            ),
            ("look-up", step.request.look_up),
            ("preparation", step.request.prepares),
            ("ghost", self.ghosts.contains(&step.id)),
            ("injected", injected),
            (
                "deadlock",
                error.is_some_and(|error| error.sqlstate == "40P01"),
            ),
        ];
        let there = of.into_iter().filter(|(_, there)| *there);
        there.map(|(name, _)| name).collect()
    }
}

/// For whom steps waited.
struct Waits<'a> {
    of: BTreeMap<StepId, (Vec<&'a ConnectionName>, String)>,
}

impl<'a> Waits<'a> {
    fn of(timeline: &Timeline<'a>, ledger: &Ledger<'a>, steps: &[&StepFacts<'a>]) -> Self {
        let queued: HashSet<StepId> = timeline
            .lines
            .iter()
            .filter_map(|line| match &line.event {
                Event::StepQueued { step } => Some(*step),
                _ => None,
            })
            .collect();
        let holders = ledger.holders(timeline);
        let mut of = BTreeMap::new();
        for step in steps {
            let Some(end) = step.endings.iter().find(|end| !end.blocked_by.is_empty()) else {
                continue;
            };
            // A look at the locks follows a step that is blocked.
            let after = timeline
                .snapshots
                .partition_point(|one| one.seq < end.at.seq);
            let snapshot = timeline.snapshots.get(after).or(timeline.snapshots.last());
            let mut by: Vec<&ConnectionName> = Vec::new();
            let mut words: Vec<String> = Vec::new();
            for pid in end.blocked_by {
                let holding = snapshot.into_iter().flat_map(|snapshot| {
                    let shown = holders.shown(snapshot);
                    let of_pid = shown.filter(|(lock, _)| lock.pid == *pid && lock.granted);
                    of_pid
                        .map(|(_, holder)| holder.connection)
                        .collect::<Vec<_>>()
                });
                let holding: Vec<&ConnectionName> = holding.collect();
                let at = snapshot.map_or(0, |one| one.server_us);
                let serving = timeline.sessions.at(*pid, at, end.at.seq);
                let found = match holding.first() {
                    Some(holder) if !queued.contains(&step.id) => Some(*holder),
                    _ => serving.map(|one| one.connection),
                };
                match found {
                    Some(connection) if by.contains(&connection) => {}
                    Some(connection) => {
                        words.push(connection.to_string());
                        by.push(connection);
                    }
                    None => words.push(format!("backend {pid}")),
                }
            }
            let words = match queued.contains(&step.id) {
                true => format!(
                    "a server connection of the pooler, which {} has",
                    words.join(", ")
                ),
                false => words.join(", "),
            };
            of.insert(step.id, (by, words));
        }
        Self { of }
    }
}
