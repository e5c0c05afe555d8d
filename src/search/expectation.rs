//! Whether a verdict is the one that a scenario expects.
//!
//! Owns the rule: exactly the invariants that the scenario lists are violated, those under
//! `may_violate` aside, and the error it names is among the findings. One consequence is taken as
//! said: where errors are expected, a pod that fails because of such an error need not be listed
//! under `progress` as well.

use super::failure::names;
use crate::invariant::{Finding, Judgement, Verdict};
use crate::name::{GuardName, InvariantName};
use crate::scenario::{Expect, ExpectedVerdict};

/// Why the verdict is not as expected, a sentence each; empty if it is.
#[must_use]
pub fn unexpected(verdict: &Verdict, expect: &Expect) -> Vec<String> {
    let mut reasons = Vec::new();
    let wanted = match expect.verdict {
        ExpectedVerdict::Holds => Judgement::Holds,
        ExpectedVerdict::Violated => Judgement::Violated,
        ExpectedVerdict::Inconclusive => Judgement::Inconclusive,
    };
    if verdict.judgement != wanted && !(may_hold(expect) && verdict.judgement == Judgement::Holds) {
        reasons.push(format!(
            "the verdict is {}, expected was {wanted}",
            verdict.judgement
        ));
    }
    for one in &verdict.invariants {
        let expected = expect.violates.contains(&one.name);
        let violated = one.judgement == Judgement::Violated;
        if expected && !violated {
            reasons.push(format!("{} was to be violated and is not", one.name));
        }
        if violated
            && !expected
            && !expect.may_violate.contains(&one.name)
            && !follows(one.name, verdict, expect)
        {
            reasons.push(format!("{} is violated: {}", one.name, one.why));
        }
    }
    // A pod that is to hang hangs until the run's time is up.
    let hangs = expect.violates.contains(&InvariantName::Progress);
    for guard in verdict.guards.iter().filter(|guard| !guard.met) {
        if wanted != Judgement::Inconclusive && !(hangs && guard.name == GuardName::InTime) {
            reasons.push(format!("guard {} is not met: {}", guard.name, guard.why));
        }
    }
    missing(
        verdict,
        "SQLSTATE",
        expect.sqlstate.as_ref(),
        |found| &found.sqlstate,
        &mut reasons,
    );
    missing(
        verdict,
        "constraint",
        expect.constraint.as_ref(),
        |found| &found.constraint,
        &mut reasons,
    );
    missing(
        verdict,
        "table",
        expect.table.as_ref(),
        |found| &found.table,
        &mut reasons,
    );
    reasons
}

/// Why what a search has found is not what it was to find. What its schedule was to bring about (guards) was the
/// search's own choice.
#[must_use]
pub fn unexpected_find(verdict: &Verdict, expect: &Expect) -> Vec<String> {
    let mut verdict = verdict.clone();
    verdict.guards.clear();
    unexpected(&verdict, expect)
}

/// A scenario that lists only what may be violated is also as expected when nothing is.
fn may_hold(expect: &Expect) -> bool {
    expect.violates.is_empty() && !expect.may_violate.is_empty()
}

fn follows(name: InvariantName, verdict: &Verdict, expect: &Expect) -> bool {
    if name != InvariantName::Progress || !expect.violates.contains(&InvariantName::NoErrors) {
        return false;
    }
    let pods = |name| {
        verdict
            .of(name)
            .into_iter()
            .flat_map(|one| one.findings.iter().map(|finding| finding.pod.clone()))
    };
    let failed: Vec<_> = pods(InvariantName::NoErrors).collect();
    pods(InvariantName::Progress).all(|pod| failed.contains(&pod))
}

fn missing(
    verdict: &Verdict,
    what: &str,
    wanted: Option<&String>,
    field: impl Fn(&Finding) -> &Option<String>,
    reasons: &mut Vec<String>,
) {
    let Some(wanted) = wanted else { return };
    let found = verdict
        .invariants
        .iter()
        .flat_map(|one| &one.findings)
        .filter_map(|finding| field(finding).as_ref());
    if !found.clone().any(|found| names(found, wanted)) {
        let mut seen: Vec<&str> = found.map(String::as_str).collect();
        seen.sort_unstable();
        seen.dedup();
        let seen = if seen.is_empty() {
            "none".to_owned()
        } else {
            seen.join(", ")
        };
        reasons.push(format!("no finding names {what} {wanted}; named: {seen}"));
    }
}
