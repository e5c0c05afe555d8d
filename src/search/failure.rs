//! What failed, so that two runs can be said to fail alike.
//!
//! Owns what counts as one and the same failure. Knows nothing of how it is looked for.

use serde::{Deserialize, Serialize};

use crate::invariant::{Finding, Judgement, Verdict};
use crate::name::InvariantName;

/// What failures have in common that count as one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Failure {
    /// The first of the invariants that are violated; an error counts before anything else.
    pub invariant: InvariantName,
    /// The SQLSTATE, where it is an error.
    pub sqlstate: Option<String>,
    /// The table, where one is named.
    pub table: Option<String>,
    /// The constraint, where one is named.
    pub constraint: Option<String>,
}

impl Failure {
    /// What a verdict's first finding says; `None` where nothing is violated.
    #[must_use]
    pub fn of(verdict: &Verdict) -> Option<Self> {
        let violated = verdict
            .invariants
            .iter()
            .find(|one| one.judgement == Judgement::Violated)?;
        let finding = violated.findings.first().cloned().unwrap_or_default();
        Some(Self::from_finding(violated.name, &finding))
    }

    fn from_finding(invariant: InvariantName, finding: &Finding) -> Self {
        Self {
            invariant,
            sqlstate: finding.sqlstate.clone(),
            table: finding.table.clone(),
            constraint: finding.constraint.clone(),
        }
    }

    /// Whether a finding of its invariant is this failure.
    #[must_use]
    pub fn is(&self, finding: &Finding) -> bool {
        Self::from_finding(self.invariant, finding) == *self
    }

    /// Whether this verdict has the failure among its findings.
    #[must_use]
    pub fn is_in(&self, verdict: &Verdict) -> bool {
        verdict
            .invariants
            .iter()
            .filter(|one| one.name == self.invariant && one.judgement == Judgement::Violated)
            .any(|one| {
                one.findings.is_empty() || one.findings.iter().any(|finding| self.is(finding))
            })
    }

    /// What a verdict says of it, in a sentence.
    #[must_use]
    pub fn words(&self, verdict: &Verdict) -> String {
        let why = verdict
            .of(self.invariant)
            .filter(|one| one.judgement == Judgement::Violated)
            .and_then(|one| one.findings.iter().find(|finding| self.is(finding)))
            .map_or("", |finding| &finding.why);
        format!("{}: {why}", self.invariant)
    }
}
