//! The words of a verdict.
//!
//! Owns its types and how they combine. Knows nothing of how anything is judged or shown.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::limit::Limit;
use crate::history::{Begun, WaitsFor};
use crate::name::{Anomaly, ConnectionName, GuardName, InvariantName, PodName};
use crate::state::Differs;

/// What is said of an invariant, or of a run as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Judgement {
    /// It held, within the limits that the verdict names.
    Holds,
    /// It did not hold; the findings say where.
    Violated,
    /// The evidence does not tell.
    Inconclusive,
    /// There is nothing to judge. Only of an invariant, never of a run.
    NotJudged,
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Holds => "holds",
            Self::Violated => "violated",
            Self::Inconclusive => "inconclusive",
            Self::NotJudged => "not judged",
        })
    }
}

/// One thing that was found, with its evidence.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Finding {
    /// One sentence that a tester understands.
    pub why: String,
    /// The lines of the history that show it.
    pub seqs: Vec<u64>,
    /// The pod that did it, where one did.
    pub pod: Option<PodName>,
    /// The SQLSTATE, of an error.
    pub sqlstate: Option<String>,
    /// The table that was written, or that an error names.
    pub table: Option<String>,
    /// The constraint that an error names.
    pub constraint: Option<String>,
    /// Whether only a witness shows it: a run without one refutes nothing of it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub witness_only: bool,
    /// What differs of the table's final rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub difference: Option<Differs>,
    /// What it is called, where the order of reads and writes tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anomaly: Option<NamedAnomaly>,
}

/// A name for what went wrong, and what shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedAnomaly {
    /// The name.
    pub name: Anomaly,
    /// The reads and writes that it is made of, in their order.
    pub how: String,
}

impl fmt::Display for NamedAnomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.how)
    }
}

impl NamedAnomaly {
    pub(super) fn of(name: Anomaly, how: String) -> Self {
        Self { name, how }
    }
}

fn is_false(flag: &bool) -> bool {
    !flag
}

/// What is said of one invariant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvariantVerdict {
    /// Which one.
    pub name: InvariantName,
    /// What is said of it.
    pub judgement: Judgement,
    /// Why, in a sentence.
    pub why: String,
    /// What was found. Empty when it holds or was not judged.
    pub findings: Vec<Finding>,
    /// The tables whose writes it looked at, if that is how it judges.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<String>,
}

impl Finding {
    /// What findings are called that are told as one: by the first that has a name.
    pub fn name_of<'f>(mut all: impl Iterator<Item = &'f Self>) -> Option<&'f NamedAnomaly> {
        all.find_map(|one| one.anomaly.as_ref())
    }
}

impl InvariantVerdict {
    /// What its violation is called, where one of its findings has a name.
    #[must_use]
    pub fn anomaly(&self) -> Option<&NamedAnomaly> {
        Finding::name_of(self.findings.iter())
    }
}

/// A move of a run, and its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacedMove {
    /// Its place in the schedule, from 0.
    pub index: usize,
    /// What it does.
    pub begun: Begun,
}

/// A condition without which `holds` would be empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guard {
    /// Its name.
    pub name: GuardName,
    /// Whether it came true.
    pub met: bool,
    /// What shows it, or what is missing. Speaks of moves by their places in the schedule, from 1.
    pub why: String,
    /// The moves of which it speaks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub moves: Vec<PlacedMove>,
}

/// Why an error counts as an answer of the server and not as a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AnswerReason {
    /// The scenario says so.
    Declared,
    /// The pod sent the same statement or transaction again, and that committed.
    CameAgain,
    /// Under `on_contention = "skip"`, the pod wrote no protected table after it.
    Left,
    /// A CREATE whose object is there at the end.
    Exists,
    /// A fault took the pod before it did anything after it.
    CutShort,
}

/// An error that is the answer to a pod that another one is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// The pod.
    pub pod: PodName,
    /// The SQLSTATE.
    pub sqlstate: String,
    /// The table that it names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// The constraint that it names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub constraint: Option<String>,
    /// Why it is no failure.
    pub reason: AnswerReason,
    /// The lines of the history that show it.
    pub seqs: Vec<u64>,
}

/// What is said of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// `Violated` if any invariant is; else `Inconclusive` if any is, or if a guard is not met;
    /// else `Holds`.
    pub judgement: Judgement,
    /// All eight invariants, in their order.
    pub invariants: Vec<InvariantVerdict>,
    /// The guards that applied.
    pub guards: Vec<Guard>,
    /// What was not tested.
    pub not_tested: Vec<Limit>,
    /// What is reported, not judged, a sentence each.
    pub reports: Vec<String>,
    /// Errors that are no failures, because they are answers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<Answered>,
    /// The pods that failed only because they gave up waiting for one that the gate held.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gave_up: Vec<GaveUp>,
    /// The pods whose protected work is known to have been committed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub worked: Vec<PodName>,
    /// The pods that ended well and wrote nothing, though they write in a serial run and were not refused the lock.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub idle: Vec<PodName>,
}

/// A pod that gave up waiting for others that the gate held, and does not where they go on as soon as it
/// waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GaveUp {
    /// The pod.
    pub pod: PodName,
    /// What it waited for.
    pub waits_for: WaitsFor,
    /// The pods that were held.
    pub held: Vec<PodName>,
}

impl Verdict {
    /// What is said of this invariant.
    #[must_use]
    pub fn of(&self, name: InvariantName) -> Option<&InvariantVerdict> {
        self.invariants.iter().find(|one| one.name == name)
    }

    /// The names of the violated invariants.
    pub fn violated(&self) -> impl Iterator<Item = InvariantName> + '_ {
        self.invariants
            .iter()
            .filter(|one| one.judgement == Judgement::Violated)
            .map(|one| one.name)
    }
}

/// A history that cannot be judged, because it is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MalformedHistory {
    /// There is no line in it.
    #[error("the history is empty")]
    Empty,
    /// It does not say what was run.
    #[error("the first line of a history must say what was run, this one is something else")]
    NoRun,
    /// It says twice what was run.
    #[error("line {0} begins a second run; a history is of one")]
    SecondRun(u64),
    /// It has another format.
    #[error("the history has format {0}, this lockproof judges format {1}")]
    Format(u32, u32),
    /// Its lines are out of order.
    #[error("line {0} is out of order: line numbers must rise")]
    OutOfOrder(u64),
    /// It is complete and lacks a kind of line that its run must have.
    #[error(
        "the history has its last line but no line `{0}`, which every such run has: lines were removed"
    )]
    Lacks(&'static str),
    /// It is complete and does not tell how a session ended.
    #[error(
        "the history has its last line but does not tell how the session of {0} ended (`connection-closed` or `session-gone`): lines were removed"
    )]
    NoEnd(ConnectionName),
    /// Snapshots are not in the order of the server's clock.
    #[error(
        "line {0} has locks that the server read before those of an earlier line: lines were changed"
    )]
    ClockBackwards(u64),
}

impl Verdict {
    /// One that says this of invariants, and nothing else: for tests, here and in the tool.
    #[doc(hidden)]
    #[must_use]
    pub fn saying(judgement: Judgement, invariants: Vec<InvariantVerdict>) -> Self {
        Self {
            judgement,
            invariants,
            guards: Vec::new(),
            not_tested: Vec::new(),
            reports: Vec::new(),
            answers: Vec::new(),
            gave_up: Vec::new(),
            worked: Vec::new(),
            idle: Vec::new(),
        }
    }
}
