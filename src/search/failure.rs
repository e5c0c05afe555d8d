//! What failed, so that two runs can be said to fail alike.
//!
//! Owns the one answer to "is this the same failure?", which every command asks here: `run` and
//! `reproduce` of what a scenario expects, `explore` of what it has found already, shrinking of what it
//! must keep, `merge` of what two parts have found. Knows nothing of how a failure is looked for.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::invariant::{Finding, Judgement, NamedAnomaly, Verdict};
use crate::name::InvariantName;
use crate::scenario::Expect;

/// What two findings have in common that count as one: not where they were seen, nor in which words.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FindingKey {
    /// The invariant that is violated.
    pub invariant: InvariantName,
    /// The SQLSTATE, where it is an error.
    pub sqlstate: Option<String>,
    /// The table, where one is named.
    pub table: Option<String>,
    /// The constraint, where one is named.
    pub constraint: Option<String>,
}

impl FindingKey {
    /// Of a finding of this invariant.
    #[must_use]
    pub fn of(invariant: InvariantName, finding: &Finding) -> Self {
        Self {
            invariant,
            sqlstate: finding.sqlstate.clone(),
            table: finding.table.clone(),
            constraint: finding.constraint.clone(),
        }
    }
}

impl fmt::Display for FindingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.invariant)?;
        if let Some(sqlstate) = &self.sqlstate {
            write!(f, " {sqlstate}")?;
        }
        match (&self.constraint, &self.table) {
            (Some(constraint), _) => write!(f, " on constraint {constraint}"),
            (None, Some(table)) => write!(f, " on {table}"),
            (None, None) => Ok(()),
        }
    }
}

/// A failure: the set of what a run's verdict found, and the one of them that it is known by. An error counts
/// before anything else, as the verdict has its invariants in that order. Which others come with it may depend on
/// what comes after it, so it is the one that another run must show to fail alike.
#[derive(Debug, Clone)]
pub struct Failure {
    first: FindingKey,
    all: BTreeSet<FindingKey>,
}

impl From<FindingKey> for Failure {
    fn from(first: FindingKey) -> Self {
        let all = BTreeSet::from([first.clone()]);
        Self { first, all }
    }
}

impl Failure {
    /// What a verdict's findings say; `None` where nothing is violated.
    #[must_use]
    pub fn of(verdict: &Verdict) -> Option<Self> {
        Self::new_in(verdict, &[])
    }

    /// What a verdict's findings say that none of these failures has: a failure that is known by the first
    /// finding that is new. `None` where nothing is.
    #[must_use]
    pub fn new_in(verdict: &Verdict, known: &[&Self]) -> Option<Self> {
        let all = keys(verdict);
        let is_new = |key: &&FindingKey| !known.iter().any(|one| one.all.contains(*key));
        let first = all.iter().find(is_new)?.clone();
        let all = all.into_iter().collect();
        Some(Self { first, all })
    }

    /// What a scenario expects, as this verdict has it: the first finding that names the SQLSTATE, the
    /// table and the constraint of the expectation, as far as it names any; `None` where there is none.
    #[must_use]
    pub fn expected(verdict: &Verdict, expect: &Expect) -> Option<Self> {
        let fits = |wanted: &Option<String>, found: &Option<String>| {
            let named = |wanted: &String| found.as_ref().is_some_and(|found| names(found, wanted));
            wanted.as_ref().is_none_or(named)
        };
        let mut findings = violations(verdict);
        let (name, finding) = findings.find(|(_, finding)| {
            fits(&expect.sqlstate, &finding.sqlstate)
                && fits(&expect.table, &finding.table)
                && fits(&expect.constraint, &finding.constraint)
        })?;
        Some(FindingKey::of(name, finding).into())
    }

    /// What is told of it: the finding that it is known by.
    #[must_use]
    pub fn key(&self) -> &FindingKey {
        &self.first
    }

    /// Whether both are known by one finding.
    #[must_use]
    pub fn is_same_as(&self, other: &Self) -> bool {
        self.first == other.first
    }

    /// The same failure with all that this verdict found, its own run's or that of one like it.
    #[must_use]
    pub fn with_all_of(mut self, verdict: &Verdict) -> Self {
        self.all.extend(keys(verdict));
        self
    }

    /// Whether this verdict has the failure among its findings.
    #[must_use]
    pub fn is_in(&self, verdict: &Verdict) -> bool {
        let of_its_invariant = || {
            let all = verdict.invariants.iter();
            all.filter(|one| one.name == self.first.invariant)
                .filter(|one| one.judgement == Judgement::Violated)
        };
        of_its_invariant().any(|one| one.findings.is_empty()) || self.findings(verdict).count() > 0
    }

    /// The findings of a verdict that are this failure.
    pub fn findings<'v>(&self, verdict: &'v Verdict) -> impl Iterator<Item = &'v Finding> {
        violations(verdict)
            .filter(|(name, finding)| FindingKey::of(*name, finding) == self.first)
            .map(|(_, finding)| finding)
    }

    /// What a verdict calls it, where the order of reads and writes tells.
    #[must_use]
    pub fn anomaly<'v>(&self, verdict: &'v Verdict) -> Option<&'v NamedAnomaly> {
        Finding::name_of(self.findings(verdict))
    }

    /// What a verdict says of it, in a sentence.
    #[must_use]
    pub fn words(&self, verdict: &Verdict) -> String {
        let why = self.findings(verdict).next().map_or("", |one| &one.why);
        format!("{}: {why}", self.first.invariant)
    }
}

/// What two findings have in common that count as one, of all that violates, in the verdict's order. An invariant
/// that is violated and names no finding counts as one.
fn keys(verdict: &Verdict) -> Vec<FindingKey> {
    let violated = verdict.invariants.iter();
    let violated = violated.filter(|one| one.judgement == Judgement::Violated);
    violated
        .flat_map(|one| {
            let bare = one.findings.is_empty().then(Finding::default);
            let of = |finding: &Finding| FindingKey::of(one.name, finding);
            let found = one.findings.iter().map(of);
            found.chain(bare.as_ref().map(of)).collect::<Vec<_>>()
        })
        .collect()
}

/// What violates, in the verdict's order.
fn violations(verdict: &Verdict) -> impl Iterator<Item = (InvariantName, &Finding)> {
    verdict
        .invariants
        .iter()
        .filter(|one| one.judgement == Judgement::Violated)
        .flat_map(|one| one.findings.iter().map(|finding| (one.name, finding)))
}

/// Whether a name that was found is the one that is wanted, with or without its schema.
pub(super) fn names(found: &str, wanted: &str) -> bool {
    let behind_a_schema = || found.strip_suffix(wanted)?.strip_suffix('.');
    found == wanted || behind_a_schema().is_some()
}

/// Whether two runs have the same verdict: the same judgement, and the same invariants violated.
pub(super) fn same_verdict(one: &Verdict, other: &Verdict) -> bool {
    one.judgement == other.judgement && one.violated().eq(other.violated())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariant::InvariantVerdict;

    fn finding(sqlstate: &str, table: &str) -> Finding {
        Finding {
            why: format!("{sqlstate} on {table}"),
            sqlstate: Some(sqlstate.to_owned()),
            table: Some(table.to_owned()),
            ..Finding::default()
        }
    }

    fn verdict(violated: &[(InvariantName, Vec<Finding>)]) -> Verdict {
        let of = |name: &InvariantName| {
            let found = violated.iter().find(|(one, _)| one == name);
            InvariantVerdict {
                name: *name,
                judgement: match found {
                    Some(_) => Judgement::Violated,
                    None => Judgement::Holds,
                },
                why: String::new(),
                findings: found.map(|(_, found)| found.clone()).unwrap_or_default(),
                tables: Vec::new(),
            }
        };
        Verdict::saying(
            Judgement::Violated,
            InvariantName::ALL.iter().map(of).collect(),
        )
    }

    #[test]
    fn what_was_found_first_is_the_failure_and_may_come_second_in_another_run() {
        let (fk, unique) = (finding("23503", "public.t"), finding("23505", "public.u"));
        let one = verdict(&[(InvariantName::NoErrors, vec![fk.clone()])]);
        let both = verdict(&[(InvariantName::NoErrors, vec![unique, fk])]);
        let (failure, other) = (Failure::of(&one).unwrap(), Failure::of(&both).unwrap());
        assert!(failure.is_in(&both));
        assert!(!failure.is_same_as(&other));
        assert!(!other.is_in(&one));
        assert_eq!(failure.words(&both), "no-errors: 23503 on public.t");
    }

    #[test]
    fn what_another_run_adds_to_known_failures_is_new() {
        let (fk, unique) = (finding("23503", "public.t"), finding("23505", "public.u"));
        let harmless = verdict(&[
            (InvariantName::NoErrors, vec![unique.clone()]),
            (InvariantName::Progress, vec![Finding::default()]),
        ]);
        let known = Failure::of(&harmless).unwrap();
        assert!(Failure::new_in(&harmless, &[&known]).is_none());
        // It comes second in its run, and is what the failure is known by.
        let both = verdict(&[(InvariantName::NoErrors, vec![unique, fk])]);
        let new = Failure::new_in(&both, &[&known]).unwrap();
        assert_eq!(new.key().sqlstate.as_deref(), Some("23503"));
        assert!(!new.is_in(&harmless));
        assert!(new.is_in(&both));
        assert!(Failure::new_in(&both, &[&known, &new]).is_none());
    }

    #[test]
    fn the_same_error_on_another_table_or_of_another_invariant_is_another_failure() {
        let found = finding("23503", "public.t");
        let one = verdict(&[(InvariantName::NoErrors, vec![found.clone()])]);
        let failure = Failure::of(&one).unwrap();
        let elsewhere = finding("23503", "public.other");
        assert!(!failure.is_in(&verdict(&[(InvariantName::NoErrors, vec![elsewhere])])));
        assert!(!failure.is_in(&verdict(&[(InvariantName::Progress, vec![found])])));
    }

    #[test]
    fn what_is_expected_is_looked_for_by_all_that_the_scenario_names() {
        let found = vec![
            finding("23503", "public.t"),
            finding("23503", "public.invoices"),
        ];
        let verdict = verdict(&[(InvariantName::NoErrors, found)]);
        let expect = |sqlstate: Option<&str>, table: Option<&str>| Expect {
            sqlstate: sqlstate.map(str::to_owned),
            table: table.map(str::to_owned),
            ..Expect::default()
        };
        let table = |expect: &Expect| {
            let failure = Failure::expected(&verdict, expect)?;
            failure.key().table.clone()
        };
        assert_eq!(table(&expect(None, None)).as_deref(), Some("public.t"));
        let both = expect(Some("23503"), Some("invoices"));
        assert_eq!(table(&both).as_deref(), Some("public.invoices"));
        assert_eq!(table(&expect(Some("23505"), None)), None);
        assert_eq!(table(&expect(None, Some("voices"))), None);
    }
}
