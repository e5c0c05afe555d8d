//! The lock is the server's own check of SERIALIZABLE transactions: what must hold then.
//!
//! work-under-lock: every transaction that writes a protected table is serializable, and so is every read of one by
//! a pod that writes one later. (What is read at another level the server does not remember, and no check of it
//! fails.) Nobody holds anything, so that same-session and mutual-exclusion have nothing to judge.

use std::collections::BTreeSet;

use super::facts::{Facts, count, protects, step_words};
use super::ruling::{Found, inconclusive, not_judged};
use super::verdict::{Finding, InvariantVerdict};
use crate::ledger::{LooseHow, not_serializable};
use crate::name::InvariantName;

const NAME: InvariantName = InvariantName::WorkUnderLock;

/// Why nothing is known.
const UNSEEN: &str = "what guards is SERIALIZABLE, and this run had no witness that sees at which level writes were made";

/// The verdict of an invariant about who holds a lock.
pub(super) fn nobody_holds(name: InvariantName) -> InvariantVerdict {
    not_judged(
        name,
        "no lock is held: the server's check keeps serializable transactions apart",
    )
}

pub(super) fn work_under_lock(facts: &Facts<'_>) -> InvariantVerdict {
    if !facts.run.witness {
        return inconclusive(NAME, UNSEEN);
    }
    let protect = &facts.run.rules.protect;
    let loose = not_serializable(facts.timeline, |name| {
        protects(protect, name).map(str::to_owned)
    });
    let mut found = Found::default();
    let mut told = BTreeSet::new();
    for one in &loose {
        let what = step_words(one.step, facts.steps, one.connection, None);
        let pod = &one.connection.pod;
        let Some(table) = &one.table else {
            let why = format!(
                "it cannot be told what pod {pod} read in {what}, in a transaction that is not serializable"
            );
            found.unclear(why, vec![one.seq]);
            continue;
        };
        let why = match one.how {
            LooseHow::Wrote => format!(
                "pod {pod} wrote {table} in {what} in a transaction that is not serializable: the server checks no such one"
            ),
            LooseHow::Read => format!(
                "pod {pod} read {table} in {what} in a transaction that is not serializable, and wrote a protected table \
                 after that: the server does not check whether what was read still holds. Read it again in the \
                 transaction that writes"
            ),
            LooseHow::Unknown => {
                let why =
                    format!("it cannot be told at which level pod {pod} read {table} in {what}");
                found.unclear(why, vec![one.seq]);
                continue;
            }
        };
        if told.insert((table, pod, one.how == LooseHow::Read)) {
            found.violation(Finding {
                why,
                seqs: vec![one.seq],
                pod: Some(pod.clone()),
                table: Some(table.clone()),
                // Without the witness nobody sees at which level a write was made.
                witness_only: true,
                ..Finding::default()
            });
        }
    }
    found.strangers(facts);
    found.blinded(facts);
    let holds = match facts.writes.len() {
        0 => "no pod wrote a protected table".to_owned(),
        writes => format!(
            "{}, and all that their pods read before them, were in serializable transactions",
            count(writes, "write")
        ),
    };
    let tables: BTreeSet<&str> = facts.writes.iter().map(|write| write.table).collect();
    InvariantVerdict {
        tables: tables.into_iter().map(str::to_owned).collect(),
        ..found.ruling(NAME, facts, holds)
    }
}
