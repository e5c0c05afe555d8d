//! Why a run says nothing.
//!
//! Owns which of a verdict's reasons count in a search. Knows nothing of strategies.

use crate::name::GuardName;
use serde::{Deserialize, Serialize};

use crate::invariant::{Judgement, Verdict};

/// Why schedules could not be judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unclear {
    /// The guard that was not met, or the invariant that could not be told.
    pub name: String,
    /// Why, in a sentence, of the first of them.
    pub why: String,
    /// The number of the first of them, from 1.
    pub first: u64,
    /// How many there were.
    pub times: u64,
}

/// Guards that say whether a schedule came to what it was made for.
const AIM: [GuardName; 3] = [
    GuardName::StopsReached,
    GuardName::FaultsFired,
    GuardName::Wrote,
];

/// Why a run cannot be judged: its name and a sentence. Where schedules are drawn and not aimed, one
/// whose stop was not reached or whose fault did not fire is a schedule like any other.
pub(super) fn unclear(verdict: &Verdict, aimed: bool) -> Option<(String, String)> {
    let invariants = verdict
        .invariants
        .iter()
        .filter(|one| one.judgement == Judgement::Inconclusive)
        .map(|one| (one.name.to_string(), one.why.clone()));
    let guards = verdict
        .guards
        .iter()
        .filter(|guard| !guard.met)
        .filter(|guard| aimed || !AIM.contains(&guard.name))
        .map(|guard| (format!("guard {}", guard.name), guard.why.clone()));
    guards.chain(invariants).next()
}
