//! work-under-lock, where rows of a table are the lock: the transaction of every write of a protected table had
//! locked a row of the lock's table, so that nobody else could have it, and still had it locked when the write was
//! done. (What it locked before the write it keeps until its end: a rollback to a savepoint that is older than the
//! lock takes the write along.)
//!
//! Where the table that is written refers to the lock's by a foreign key, the row that it refers to must be locked. The
//! server tells which that is: the foreign key locks it for the write, unless the transaction has it locked already.
//!
//! A write of the lock's own table locks what it changes, and is no work without a lock.

use std::collections::BTreeSet;

use super::super::facts::{Facts, PodWrite, count, was_each, write_words};
use super::super::ruling::{Found, inconclusive, not_judged};
use super::super::verdict::{Finding, InvariantVerdict, Judgement};
use super::standing::{Standing, UNSEEN, missing, standings};
use crate::ledger::RowLocks;
use crate::name::InvariantName;

const NAME: InvariantName = InvariantName::WorkUnderLock;

pub(in super::super) fn judge(facts: &Facts<'_>, book: &RowLocks<'_>) -> InvariantVerdict {
    if !facts.run.witness {
        return inconclusive(NAME, UNSEEN);
    }
    let rows = book.rule.words();
    let mut found = Found::default();
    let mut told: BTreeSet<(&str, &str)> = BTreeSet::new();
    let mut tables: BTreeSet<&str> = BTreeSet::new();
    let (mut covered, mut by_itself) = (0, 0);
    for (write, standing) in standings(facts, book) {
        tables.insert(write.table);
        let words = || write_words(write, facts.steps);
        let why = match standing {
            Standing::Under => {
                covered += 1;
                continue;
            }
            Standing::OfAnother(hold) => format!(
                "{} for {}, to which it refers, and its transaction had locked another of the {rows}",
                words(),
                hold.words()
            ),
            Standing::ByItself => {
                by_itself += 1;
                continue;
            }
            Standing::Unknown(why) => {
                let why = format!(
                    "it cannot be told whether {} under the lock: {why}",
                    words()
                );
                found.unclear(why, vec![write.seq]);
                continue;
            }
            Standing::Shared(hold) => format!(
                "{} with {} locked {}, which two pods can do at once",
                words(),
                hold.words(),
                hold.shared.as_deref().unwrap_or("FOR KEY SHARE")
            ),
            Standing::Elsewhere(hold) => format!(
                "{} in a transaction that had none of the {rows} locked: {} was locked by another, on {}",
                words(),
                hold.words(),
                hold.connection
            ),
            Standing::Without => format!(
                "{} in a transaction that had none of the {rows} locked",
                words()
            ),
        };
        if told.insert((write.table, write.pod().as_str())) {
            found.violation(finding(facts, write, why));
        }
    }
    missing(facts, &mut found);
    let holds = match covered {
        0 => "no pod wrote a protected table".to_owned(),
        _ => format!(
            "{} {} made in a transaction that had locked {rows}",
            count(covered, "write"),
            was_each(covered)
        ),
    };
    let ruling = InvariantVerdict {
        tables: tables.into_iter().map(str::to_owned).collect(),
        ..found.ruling(NAME, facts, holds)
    };
    if ruling.judgement == Judgement::Holds && covered == 0 && by_itself > 0 {
        let why = format!(
            "the lock is {rows}, and nothing else was written: an UPDATE locks what it changes, and whether the job had \
             looked at it before without a lock only the final rows tell"
        );
        return not_judged(NAME, why);
    }
    ruling
}

/// A finding about a write, with the lines that show it.
pub(super) fn finding(facts: &Facts<'_>, write: &PodWrite<'_>, why: String) -> Finding {
    let step = write.step.and_then(|step| facts.steps.get(&step));
    let end = step.and_then(|step| step.last()).map(|end| end.at.seq);
    Finding {
        why,
        seqs: end.into_iter().chain([write.seq]).collect(),
        pod: Some(write.pod().clone()),
        table: Some(write.table.to_owned()),
        // Without the witness nobody sees who has which row.
        witness_only: true,
        ..Finding::default()
    }
}
