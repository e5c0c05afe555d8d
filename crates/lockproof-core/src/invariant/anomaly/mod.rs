//! ANOMALIES: what went wrong, by the name that the literature has for it.
//!
//! Owns the direct serialization graph of a run (Adya, Liskov and O'Neil, "Generalized Isolation Level
//! Definitions", ICDE 2000: edges ww, wr and rw) and the names of its cycles of two units; where Berenson et al., "A
//! Critique of ANSI SQL Isolation Levels" (SIGMOD 1995) define a phenomenon by the order of its accesses (P0, P2, P3,
//! P4, A5B), by that. The unit is what the lock should keep together: all that a pod does; where rows are the lock, or
//! SERIALIZABLE transactions, each transaction. A name is a word for a violation that was found without it: it makes
//! no verdict.
//!
//! Our deviations. Items are told by texts (`rows`): two statements touch the same rows and columns, different ones,
//! or nobody knows. A cycle has its name if all of it is sure, and no cycle that is possible would have a stronger
//! one. Else there is no name: no name is better than a wrong one. So there is none for cycles of three units and
//! more, nor where bound parameters, functions or an isolation level hide which rows were meant or when they were
//! read, nor for a pod that takes its lock more than once (what is one unit there is not known).
//!
//! Two names are no cycles: a zombie write (Kleppmann, "How to do distributed locking", 2016) is told by the
//! ledger, a ghost write by what the server's log says of a statement whose client had gone.

mod access;
mod cycle;
mod graph;
mod reading;
mod rows;
mod said;
mod snapshot;
mod undead;
mod units;

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use super::facts::Facts;
use super::verdict::{Finding, InvariantVerdict, Judgement, NamedAnomaly};
use crate::name::{InvariantName, StepId};
use cycle::{Cycles, story};
use graph::Graph;
use reading::accesses;
use undead::Undead;

/// Puts names to the findings of what is violated.
pub(super) fn name_anomalies(facts: &Facts<'_>, invariants: &mut [InvariantVerdict]) {
    if !invariants.iter().any(is_asked) {
        return;
    }
    let graph = Graph::of(accesses(facts));
    let names = Names {
        undead: Undead::of(facts),
        cycles: Cycles::of(&graph),
        failed: errors(facts),
    };
    for one in invariants.iter_mut().filter(|one| is_asked(one)) {
        let mut told = HashMap::new();
        let name = one.name;
        for finding in &mut one.findings {
            let undead = names.undead.of_finding(facts, name, finding);
            finding.anomaly = undead.or_else(|| names.of_cycle(name, finding, &mut told));
        }
    }
}

/// Whether a violation of it can be an anomaly of two units. (What a pod does twice by itself is none.)
fn is_asked(one: &InvariantVerdict) -> bool {
    use InvariantName::{CleanState, MutualExclusion, NoErrors, WorkUnderLock};
    one.judgement == Judgement::Violated
        && matches!(
            one.name,
            NoErrors | WorkUnderLock | MutualExclusion | CleanState
        )
}

/// The steps of errors, by the first line that shows each.
fn errors(facts: &Facts<'_>) -> HashMap<u64, StepId> {
    let errors = facts.errors.iter();
    errors
        .filter_map(|error| Some((*error.seqs.first()?, error.step?)))
        .collect()
}

struct Names<'g, 'f, 'a> {
    undead: Undead<'f, 'a>,
    cycles: Cycles<'g, 'a>,
    failed: HashMap<u64, StepId>,
}

/// What findings of one invariant were called, by their tables and pods.
type Told = HashMap<(String, Option<String>), Option<NamedAnomaly>>;

impl Names<'_, '_, '_> {
    fn of_cycle(
        &self,
        name: InvariantName,
        finding: &Finding,
        told: &mut Told,
    ) -> Option<NamedAnomaly> {
        let graph = self.cycles.graph;
        let named = |cycle: &cycle::Cycle| NamedAnomaly::of(cycle.name, story(graph, cycle));
        if name == InvariantName::NoErrors {
            let step = self.failed.get(finding.seqs.first()?)?;
            return self.cycles.of_failed(graph.failed(*step)?).map(named);
        }
        let table = finding.table.as_deref()?.replace('"', "").to_lowercase();
        let pod = finding.pod.as_ref();
        let key = (table.clone(), pod.map(ToString::to_string));
        let look = || self.cycles.of_table(&table, pod).map(named);
        told.entry(key).or_insert_with(look).clone()
    }
}
