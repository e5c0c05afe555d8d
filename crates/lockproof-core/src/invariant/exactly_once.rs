//! exactly-once: a transaction that a pod begins again because the server asked for that (40001, 40P01) has left its
//! effects once. What it wrote in the failed transaction is undone; what it wrote on its other sessions meanwhile is
//! not, and must not be written again.
//!
//! And of a queue: each row is done once, which is `lease/exactly_once`'s affair; and of claims: no work is lost with the pod
//! that claimed it, which is `lease/lost_work`'s.
//!
//! Only where such a transaction came again, or the lock is a queue or a claim. Two attempts are one transaction if their first statements have the same
//! text; two writes are one effect if their statements have the same normal form and change rows of the same
//! protected table, both for good. An effect that changes no row the second time (ON CONFLICT DO NOTHING) is left once.

use std::collections::BTreeSet;

use super::again::attempted;
use super::facts::{Facts, PodWrite, count, write_words};
use super::lease;
use super::ruling::{Found, inconclusive, not_judged};
use super::verdict::{Finding, InvariantVerdict};
use crate::name::{InvariantName, StepId};
use crate::timeline::StepFacts;

const NAME: InvariantName = InvariantName::ExactlyOnce;
/// serialization_failure and deadlock_detected: the server asks for the whole transaction again.
const AGAIN: [&str; 2] = ["40001", "40P01"];

/// An attempt at a transaction: its connection's steps from its first to its end.
struct Attempt<'f, 'a> {
    first: &'f StepFacts<'a>,
    from: u64,
    to: u64,
}

/// `None`: no transaction came again, and the lock is neither a queue nor a claim. `clean`: what is said of the final
/// rows.
pub(super) fn judge(facts: &Facts<'_>, clean: &InvariantVerdict) -> Option<InvariantVerdict> {
    let mut found = Found::default();
    let mut told: BTreeSet<(StepId, StepId)> = BTreeSet::new();
    let mut transactions = 0;
    for error in facts
        .errors
        .iter()
        .filter(|error| AGAIN.contains(&error.sqlstate))
    {
        let Some(step) = error.step.and_then(|step| facts.steps.get(&step)) else {
            continue;
        };
        let Some(failed) = failed(facts, step) else {
            continue;
        };
        let Some(again) = next(facts, &failed) else {
            continue;
        };
        transactions += 1;
        for (once, twice) in both(facts, &failed, &again) {
            let (Some(one), Some(other)) = (once.step, twice.step) else {
                continue;
            };
            if !told.insert((one, other)) {
                continue;
            }
            let end = |write: &PodWrite<'_>| {
                let step = write.step.and_then(|step| facts.steps.get(&step));
                step.and_then(|step| step.last())
                    .map_or(write.seq, |end| end.at.seq)
            };
            found.violation(Finding {
                why: format!(
                    "{} on {} while the transaction on {} was under way that failed with {}, and the same again when \
                     that transaction was begun anew ({}): the failure undid nothing on another connection. Write it in \
                     the transaction, or so that a second time changes nothing",
                    write_words(once, facts.steps),
                    once.connection,
                    failed.first.connection,
                    error.sqlstate,
                    write_words(twice, facts.steps),
                ),
                seqs: vec![end(once), failed.to, end(twice)],
                pod: Some(once.pod().clone()),
                table: Some(once.table.to_owned()),
                witness_only: true,
                ..Finding::default()
            });
        }
    }
    let queues = facts.leases.iter();
    let queues: Vec<_> = queues.filter(|books| books.rule.is_many()).collect();
    if transactions == 0 && queues.is_empty() {
        return None;
    }
    if !facts.run.witness {
        let why = match queues.is_empty() {
            false => {
                "who has the lock its rows say, and this run had no witness that sees who changes them"
            }
            true => {
                "a transaction came again, and this run had no witness that sees what it left on other sessions"
            }
        };
        return Some(inconclusive(NAME, why));
    }
    let mut holds = Vec::new();
    let mut all_done = 0;
    for books in &queues {
        if books.rule.claim.is_some() {
            let claims = lease::lost_with_claimers(facts, books, clean, &mut found);
            all_done += claims;
            let row = books.rule.words();
            holds.push(format!(
                "of {} ({row}) no work was lost",
                count(claims, "claim")
            ));
            continue;
        }
        let done = lease::done_once(facts, books, &mut found);
        all_done += done;
        holds.push(format!(
            "{} of {} came to be done, each once",
            count(done, "row"),
            books.rule.words()
        ));
    }
    if queues.is_empty() {
        found.blinded(facts);
    } else if all_done == 0 && transactions == 0 && found.is_empty() {
        let of_claims = queues.iter().all(|books| books.rule.claim.is_some());
        let why = match of_claims {
            true => "no pod claimed anything",
            false => "no row of the queue came to be done",
        };
        return Some(not_judged(NAME, why));
    }
    if transactions > 0 {
        holds.push(format!(
            "{} that the server asked for again left nothing twice",
            count(transactions, "transaction")
        ));
    }
    Some(found.ruling(NAME, facts, holds.join("; ")))
}

/// The attempt that this step's error ended.
fn failed<'f, 'a>(facts: &'f Facts<'a>, step: &StepFacts<'_>) -> Option<Attempt<'f, 'a>> {
    let (begin, first) = attempted(facts, step)?;
    Some(Attempt {
        first,
        from: begin.released?.seq,
        to: step.last()?.at.seq,
    })
}

/// The next attempt at the same transaction: up to the end of its connection's transaction.
fn next<'f, 'a>(facts: &'f Facts<'a>, failed: &Attempt<'f, 'a>) -> Option<Attempt<'f, 'a>> {
    let first = facts.steps.values().find(|step| {
        step.pod() == failed.first.pod()
            && step.ran()
            && step.released.is_some_and(|at| at.seq > failed.to)
            && step.request.sql == failed.first.request.sql
    })?;
    let from = first.released?.seq;
    let own = facts.steps_of(first.connection);
    let mut later = own.filter(|step| step.released.is_some_and(|at| at.seq >= from));
    let end = later.find_map(|step| {
        let end = step.last()?;
        (end.answer.transaction == Some('I') || end.answer.error.is_some()).then_some(end.at.seq)
    });
    Some(Attempt {
        first,
        from,
        to: end.unwrap_or(u64::MAX),
    })
}

/// What was written on other connections in the one attempt and once more in the other.
fn both<'f, 'a>(
    facts: &'f Facts<'a>,
    failed: &Attempt<'_, 'a>,
    again: &Attempt<'_, 'a>,
) -> Vec<(&'f PodWrite<'a>, &'f PodWrite<'a>)> {
    let beside = |attempt: &Attempt<'_, 'a>| -> Vec<(&'f PodWrite<'a>, &'f StepFacts<'a>)> {
        let writes = facts.writes.iter().filter_map(|write| {
            let step = facts.steps.get(&write.step?)?;
            let at = step.released?.seq;
            let beside = write.pod() == attempt.first.pod()
                && write.connection != attempt.first.connection
                && (attempt.from..attempt.to).contains(&at);
            beside.then_some((write, step))
        });
        writes.collect()
    };
    let second = beside(again);
    let mut used: BTreeSet<u64> = BTreeSet::new();
    let mut pairs = Vec::new();
    for (once, step) in beside(failed) {
        let same = second.iter().find(|(twice, other)| {
            twice.table == once.table
                && other.request.normal == step.request.normal
                && !used.contains(&twice.seq)
        });
        if let Some((twice, _)) = same {
            used.insert(twice.seq);
            pairs.push((once, *twice));
        }
    }
    pairs
}
