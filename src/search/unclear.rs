//! Why a run says nothing.
//!
//! Owns which of a verdict's reasons count in a search, and how equal ones are counted together. Knows
//! nothing of strategies.

use std::fmt;

use crate::history::WaitsFor;
use crate::name::GuardName;
use serde::{Deserialize, Serialize};

use crate::invariant::another_course::ANOTHER_COURSE;
use crate::invariant::{InvariantVerdict, Judgement, Verdict};
use crate::name::{InvariantName, PodName};

/// Why a schedule could not be judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "because", content = "name", rename_all = "kebab-case")]
pub enum Reason {
    /// This guard was not met.
    Guard(GuardName),
    /// The evidence does not tell whether this invariant holds.
    Invariant(InvariantName),
    /// A pod only gave up waiting for one that the gate held.
    GaveUp(WaitsFor),
    /// It failed once, and not when it was run again.
    FailedOnce,
    /// It failed, and an interrupt came before it was run again. It counts as failed.
    NotConfirmed,
}

impl Reason {
    /// Whether the run only took another course than its schedule was made for.
    #[must_use]
    pub fn is_another_course(&self) -> bool {
        matches!(self, Self::Guard(name) if ANOTHER_COURSE.contains(name))
    }
}

impl Reason {
    /// Whether what failed is refuted: the schedule holds but for that.
    #[must_use]
    pub fn is_refutation(&self) -> bool {
        matches!(self, Self::GaveUp(_))
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Guard(name) => write!(f, "guard {name}"),
            Self::Invariant(name) => write!(f, "{name}"),
            Self::GaveUp(what) => write!(f, "gave up waiting for {what}"),
            Self::FailedOnce => f.write_str("failed once, not when run again"),
            Self::NotConfirmed => f.write_str("failed, not confirmed before the search ended"),
        }
    }
}

/// Schedules that could not be judged for the same reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unclear {
    /// The reason.
    #[serde(flatten)]
    pub reason: Reason,
    /// What it was, in a sentence, for the first of them.
    pub why: String,
    /// The number of the first of them, from 1.
    pub first: u64,
    /// How many there were.
    pub times: u64,
}

impl Unclear {
    /// Counts this one with those that have its reason.
    pub fn add_to(self, all: &mut Vec<Self>) {
        match all.iter_mut().find(|known| known.reason == self.reason) {
            Some(known) => known.times += self.times,
            None => all.push(self),
        }
    }
}

/// Why a run cannot be judged: the reason and a sentence. Where schedules are drawn and not aimed, one
/// that only took another course is a schedule like any other.
pub(super) fn unclear(verdict: &Verdict, aimed: bool) -> Option<(Reason, String)> {
    if let Some(gave_up) = only_gave_up(verdict) {
        return Some(gave_up);
    }
    let invariants = verdict
        .invariants
        .iter()
        .filter(|one| one.judgement == Judgement::Inconclusive)
        .map(|one| (Reason::Invariant(one.name), one.why.clone()));
    let guards = verdict
        .guards
        .iter()
        .filter(|guard| !guard.met)
        .map(|guard| (Reason::Guard(guard.name), guard.why.clone()))
        .filter(|(reason, _)| aimed || !reason.is_another_course());
    guards.chain(invariants).next()
}

/// Whether nothing else is amiss than that turns ended before their stops, and that faults did not fire. Of a
/// schedule that was drawn for nothing, this is no more than how the draw came out.
pub(super) fn only_other_turns(verdict: &Verdict) -> bool {
    let of_turns =
        |name: GuardName| matches!(name, GuardName::StopsReached | GuardName::FaultsFired);
    let mut unmet = verdict.guards.iter().filter(|guard| !guard.met);
    unmet.all(|guard| of_turns(guard.name))
        && verdict
            .invariants
            .iter()
            .all(|one| one.judgement != Judgement::Inconclusive)
}

/// That nothing else is unclear than what pods did that gave up waiting for one that the gate held.
fn only_gave_up(verdict: &Verdict) -> Option<(Reason, String)> {
    let first = verdict.gave_up.first()?;
    let gave_up = |pod: &PodName| verdict.gave_up.iter().any(|one| one.pod == *pod);
    let of_those = |one: &InvariantVerdict| match one.name {
        InvariantName::Progress | InvariantName::HonestExit => true,
        // It can be unclear for other reasons, too.
        InvariantName::NoErrors => {
            let mut pods = one.findings.iter().map(|found| found.pod.as_ref());
            pods.all(|pod| pod.is_some_and(gave_up))
        }
        _ => false,
    };
    let mut unclear = verdict
        .invariants
        .iter()
        .filter(|one| one.judgement == Judgement::Inconclusive);
    let why = unclear.clone().next()?.why.clone();
    let open = |name: GuardName| name != GuardName::InTime && !ANOTHER_COURSE.contains(&name);
    let all = verdict.judgement == Judgement::Inconclusive
        && unclear.all(of_those)
        && !verdict
            .guards
            .iter()
            .any(|guard| !guard.met && open(guard.name));
    all.then_some((Reason::GaveUp(first.waits_for), why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_a_value_in_json_and_comes_back() {
        for (reason, json) in [
            (
                Reason::Guard(GuardName::InTime),
                r#"{"because":"guard","name":"in-time","why":"so","first":3,"times":1}"#,
            ),
            (
                Reason::Invariant(InvariantName::NoErrors),
                r#"{"because":"invariant","name":"no-errors","why":"so","first":3,"times":1}"#,
            ),
            (
                Reason::FailedOnce,
                r#"{"because":"failed-once","why":"so","first":3,"times":1}"#,
            ),
        ] {
            let unclear = Unclear {
                reason,
                why: "so".to_owned(),
                first: 3,
                times: 1,
            };
            assert_eq!(serde_json::to_string(&unclear).unwrap(), json);
            assert_eq!(serde_json::from_str::<Unclear>(json).unwrap(), unclear);
        }
    }
}
