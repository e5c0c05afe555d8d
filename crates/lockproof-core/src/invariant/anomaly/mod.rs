//! ANOMALIES: what went wrong, by the name that the literature has for it.
//!
//! Owns the direct serialization graph of a run (Adya, Liskov and O'Neil, "Generalized Isolation Level
//! Definitions", ICDE 2000: edges ww, wr and rw) and the names of its cycles of two units. The unit is what the
//! lock should keep together: all that a pod does; where rows are the lock, or SERIALIZABLE transactions, each
//! transaction. A name is a word for a violation that was found without it: it makes no verdict.
//!
//! Our deviations. Items are told by texts (`rows`): two statements touch the same rows, different ones, or
//! nobody knows. An edge counts as sure only in the first case, and as possible in the last. A cycle has its name
//! if all of it is sure and no cycle that is possible would have a stronger one; or, because a violation that was
//! confirmed has some cause, if one name alone is possible and no step is opaque. Else there is no name: cycles
//! of three and more, functions, bound parameters that leave two names open, a pod that takes its lock more than
//! once (what is one unit there is not known).
//!
//! Two names are no cycles: a zombie write (Kleppmann, "How to do distributed locking", 2016) is told by the
//! ledger, a ghost write by what the server's log says of a statement whose client had gone.

mod access;
mod cycle;
mod rows;
mod undead;

#[cfg(test)]
mod tests;

use super::facts::Facts;
use super::verdict::{Finding, InvariantVerdict, Judgement, NamedAnomaly};
use crate::name::InvariantName;
use access::Accesses;
use undead::Undead;

/// Puts names to the findings of what is violated.
pub(super) fn name_anomalies(facts: &Facts<'_>, invariants: &mut [InvariantVerdict]) {
    if !invariants.iter().any(is_asked) {
        return;
    }
    let undead = Undead::of(facts);
    let accesses = Accesses::of(facts);
    for one in invariants.iter_mut().filter(|one| is_asked(one)) {
        let name = one.name;
        for finding in &mut one.findings {
            finding.anomaly = of_finding(facts, name, finding, &undead, &accesses);
        }
    }
}

/// Whether a violation of it can be an anomaly of two units.
fn is_asked(one: &InvariantVerdict) -> bool {
    use InvariantName::{CleanState, ExactlyOnce, MutualExclusion, NoErrors, WorkUnderLock};
    one.judgement == Judgement::Violated
        && matches!(
            one.name,
            NoErrors | WorkUnderLock | MutualExclusion | CleanState | ExactlyOnce
        )
}

fn of_finding(
    facts: &Facts<'_>,
    name: InvariantName,
    finding: &Finding,
    undead: &Undead<'_, '_>,
    accesses: &Accesses<'_>,
) -> Option<NamedAnomaly> {
    if let Some(undead) = undead.of_finding(facts, name, finding) {
        return Some(undead);
    }
    let failed = match name {
        InvariantName::NoErrors => Some(accesses.failed(facts, finding)?),
        _ => None,
    };
    cycle::name(accesses, failed, finding)
}
