//! exactly-once, where the lock is a claim: no work is lost with a pod that claimed it.
//!
//! A claim stays, so that whoever comes after its pod leaves the work alone. If that pod died before all of its work was
//! there, nobody does the rest. Whether all of it is there the final rows tell (clean-state); where they do not, that its
//! pod left nothing at all is enough.

use std::collections::BTreeMap;

use super::super::facts::Facts;
use super::super::ruling::Found;
use super::super::verdict::{Finding, InvariantVerdict, Judgement};
use super::evidence::missing;
use super::story::change_words;
use crate::ledger::{LeaseSection, Leases, RowBooks, told_lost};
use crate::name::PodName;
use crate::timeline::StepFacts;

/// Adds claims of which the work was lost to what was found; how many there are in all. `clean`: what is said of the
/// final rows.
pub(in super::super) fn lost_with_claimers(
    facts: &Facts<'_>,
    books: &RowBooks<'_>,
    clean: &InvariantVerdict,
    found: &mut Found,
) -> usize {
    let told = told(facts, books);
    let mut by_pod: BTreeMap<&PodName, (&Leases<'_>, &LeaseSection<'_>)> = BTreeMap::new();
    let mut claims = 0;
    for (row, section) in books.sections() {
        claims += 1;
        if section.end.is_none() && is_gone(facts, section.pod()) {
            by_pod.entry(section.pod()).or_insert((row, section));
        }
    }
    for (pod, (row, section)) in by_pod {
        let Some((healer, step)) = healer(facts, &told, pod) else {
            continue;
        };
        let taken = &row.changes[section.taken];
        let left = facts.writes.iter().any(|write| write.pod() == pod);
        let seen = match clean.judgement {
            Judgement::Holds => continue,
            Judgement::Violated => clean.why.clone(),
            _ if !left && !facts.wrote(healer) => {
                "neither of them wrote a protected table".to_owned()
            }
            _ => {
                let why = format!(
                    "{}, and is gone; pod {healer} came after that and was told that the key is taken. Whether all of \
                     the work is there the final rows do not tell: {}",
                    change_words(facts, taken),
                    clean.why
                );
                found.unclear(why, vec![taken.seq]);
                continue;
            }
        };
        let end = step.last().map(|end| end.at.seq);
        let finals = clean.findings.iter().flat_map(|one| one.seqs.first());
        found.violation(Finding {
            why: format!(
                "the work of the {} was lost: {}, and died before its work was there; pod {healer} came after that, was told \
                 that the key is taken ({}) and ended well. {seen}. Claim in the transaction of the work, so that both \
                 are there or neither",
                row.name,
                change_words(facts, taken),
                step.words()
            ),
            seqs: [taken.seq].into_iter().chain(end).chain(finals.copied().take(1)).collect(),
            pod: Some(pod.clone()),
            witness_only: true,
            ..Finding::default()
        });
    }
    missing(facts, books, found);
    claims
}

/// Whether a fault hit this pod, or it failed, and it is gone.
fn is_gone(facts: &Facts<'_>, pod: &PodName) -> bool {
    let course = facts.pods.get(pod);
    course.is_some_and(|course| {
        course.exit.is_some() && (!course.succeeded() || facts.hit(pod).is_some())
    })
}

/// The steps by which pods were told that a key is taken.
fn told<'f, 'a>(facts: &'f Facts<'a>, books: &RowBooks<'_>) -> Vec<&'f StepFacts<'a>> {
    let steps = facts.steps.values();
    steps
        .filter(|step| told_lost(step, books.rule).is_some())
        .collect()
}

/// A pod that began when this one had ended, was told that the key is taken, and ended well.
fn healer<'f, 'a>(
    facts: &'f Facts<'a>,
    told: &[&'f StepFacts<'a>],
    gone: &PodName,
) -> Option<(&'f PodName, &'f StepFacts<'a>)> {
    let from = facts.pods.get(gone)?.exit?.seq;
    told.iter().find_map(|step| {
        let pod = facts.pods.get(step.pod())?;
        let after = pod.started.is_some_and(|started| started > from);
        (after && pod.succeeded() && pod.ended.is_some()).then_some((step.pod(), *step))
    })
}
