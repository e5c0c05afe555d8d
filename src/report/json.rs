//! The JSON documents of `run`, `check` and `reproduce`.
//!
//! Owns their shape. Times are in milliseconds.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::limits::limit_sentence;
use crate::history::ServerFacts;
use crate::invariant::{Answered, GaveUp, Guard, InvariantVerdict, Judgement, Limit, Verdict};
use crate::name::Anomaly;
use crate::search::Replays;

/// What `run --format json` prints.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunJson {
    /// The server.
    pub server: ServerFacts,
    /// How many scenarios came out as expected.
    pub as_expected: usize,
    /// How many did not.
    pub unexpected: usize,
    /// How many were not run: something else than a scenario failed, or there was an interrupt.
    #[serde(default)]
    pub not_run: usize,
    /// Why they were not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
    /// How long those that were run took, in milliseconds.
    #[serde(default)]
    pub elapsed_ms: u64,
    /// Each scenario.
    pub scenarios: Vec<ScenarioJson>,
}

/// One scenario.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScenarioJson {
    /// Its file.
    pub file: PathBuf,
    /// Its title.
    pub title: String,
    /// The verdict; absent if there is none.
    pub verdict: Option<Judgement>,
    /// Whether it is the expected one.
    pub as_expected: bool,
    /// Why it is not.
    pub reasons: Vec<String>,
    /// Each invariant.
    pub invariants: Vec<InvariantJson>,
    /// Each guard.
    pub guards: Vec<GuardJson>,
    /// What was not tested.
    pub not_tested: Vec<String>,
    /// What is reported, not judged.
    pub reports: Vec<String>,
    /// Errors that are no failures, because they are answers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<Answered>,
    /// The command that runs it again.
    pub replay: String,
    /// What replays came to (`--times`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replays: Option<ReplaysJson>,
    /// The run directory.
    pub artifacts: PathBuf,
    /// Hash over the trace.
    pub trace_hash: Option<String>,
    /// How long it took, clean and serial runs included.
    pub elapsed_ms: u64,
}

/// What running a scenario again came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplaysJson {
    /// How often it was run again.
    pub of: u32,
    /// How often with the same verdict.
    pub same_verdict: u32,
    /// How often with the same trace.
    pub same_trace: u32,
    /// The first difference of two traces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_difference: Option<String>,
}

impl ReplaysJson {
    /// Of these.
    #[must_use]
    pub fn of(replays: Replays) -> Self {
        Self {
            of: replays.of,
            same_verdict: replays.same_verdict,
            same_trace: replays.same_trace,
            first_difference: replays.first_difference,
        }
    }
}

/// An invariant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvariantJson {
    /// Its name.
    pub name: String,
    /// What is said of it.
    pub verdict: Judgement,
    /// Why.
    pub why: String,
    /// What the first of its findings is called that has a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anomaly: Option<Anomaly>,
}

/// A guard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardJson {
    /// Its name.
    pub name: String,
    /// Whether it came true.
    pub met: bool,
}

/// What `reproduce --format json` prints.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReproduceJson {
    /// Whether the error came in every attempt and the same schedule holds with the lock.
    pub reproduced: bool,
    /// How often the schedule was run.
    pub attempts: u32,
    /// In how many of them the exact error came.
    pub hits: u32,
    /// SQLSTATE of the error.
    pub sqlstate: Option<String>,
    /// The table that it names.
    pub table: Option<String>,
    /// The constraint that it names.
    pub constraint: Option<String>,
    /// The schedule, a line each.
    pub turns: Vec<String>,
    /// In how many attempts the trace's hash was that of the first.
    pub trace_hash_same: u32,
    /// The verdict on the same schedule with the lock; absent for a foreign subject.
    pub with_lock: Option<Judgement>,
    /// Time to the first error, in milliseconds from the start of the command.
    pub first_error_ms: Option<u64>,
    /// The whole command, in milliseconds.
    pub elapsed_ms: u64,
    /// The server.
    pub server: ServerFacts,
    /// The run directory.
    pub artifacts: PathBuf,
}

/// What `check --format json` prints, and what is kept of a run as `verdict.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VerdictJson<'v> {
    /// What is said of the run.
    pub judgement: Judgement,
    /// All invariants, in their order.
    pub invariants: &'v [InvariantVerdict],
    /// The guards that applied.
    pub guards: &'v [Guard],
    /// What was not tested, a sentence each.
    pub not_tested: Vec<String>,
    /// What is reported, not judged, a sentence each.
    pub reports: &'v [String],
    /// Errors that are no failures, because they are answers.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub answers: &'v [Answered],
    /// The pods that only gave up waiting for one that the gate held.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub gave_up: &'v [GaveUp],
}

impl<'v> VerdictJson<'v> {
    /// Of this verdict.
    #[must_use]
    pub fn of(verdict: &'v Verdict) -> Self {
        Self {
            judgement: verdict.judgement,
            invariants: &verdict.invariants,
            guards: &verdict.guards,
            not_tested: sentences(&verdict.not_tested),
            reports: &verdict.reports,
            answers: &verdict.answers,
            gave_up: &verdict.gave_up,
        }
    }
}

fn sentences(limits: &[Limit]) -> Vec<String> {
    limits.iter().map(limit_sentence).collect()
}

/// Where a scenario came from and went.
#[derive(Debug, Clone)]
pub struct ScenarioSource {
    /// Its file.
    pub file: PathBuf,
    /// Its title.
    pub title: String,
    /// The command that runs it again.
    pub replay: String,
    /// The run directory.
    pub artifacts: PathBuf,
    /// How long it took.
    pub elapsed_ms: u64,
}

/// A scenario's JSON from its verdict; `reasons`: why it is not as expected.
#[must_use]
pub fn scenario_json(
    source: ScenarioSource,
    verdict: Option<&Verdict>,
    trace_hash: Option<String>,
    reasons: Vec<String>,
) -> ScenarioJson {
    ScenarioJson {
        file: source.file,
        title: source.title,
        verdict: verdict.map(|verdict| verdict.judgement),
        as_expected: reasons.is_empty(),
        reasons,
        invariants: verdict
            .into_iter()
            .flat_map(|verdict| &verdict.invariants)
            .map(|one| InvariantJson {
                name: one.name.to_string(),
                verdict: one.judgement,
                why: one.why.clone(),
                anomaly: one.anomaly().map(|named| named.name),
            })
            .collect(),
        guards: verdict
            .into_iter()
            .flat_map(|verdict| &verdict.guards)
            .map(|guard| GuardJson {
                name: guard.name.to_string(),
                met: guard.met,
            })
            .collect(),
        not_tested: verdict
            .map(|verdict| sentences(&verdict.not_tested))
            .unwrap_or_default(),
        reports: verdict
            .map(|verdict| verdict.reports.clone())
            .unwrap_or_default(),
        answers: verdict
            .map(|verdict| verdict.answers.clone())
            .unwrap_or_default(),
        replay: source.replay,
        replays: None,
        artifacts: source.artifacts,
        trace_hash,
        elapsed_ms: source.elapsed_ms,
    }
}
