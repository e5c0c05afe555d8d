//! same-session, where rows of a table are the lock: a pod that has a row locked does its protected writes in the
//! transaction that locked it. One that works on another connection meanwhile loses the lock when that transaction
//! ends, whatever becomes of the work.

use std::collections::BTreeSet;

use super::super::facts::{Facts, count, was_each, write_words};
use super::super::ruling::{Found, inconclusive};
use super::super::verdict::InvariantVerdict;
use super::standing::{Standing, UNSEEN, missing, standings};
use super::work_under_lock::finding;
use crate::ledger::RowLocks;
use crate::name::InvariantName;

const NAME: InvariantName = InvariantName::SameSession;

pub(in super::super) fn judge(facts: &Facts<'_>, book: &RowLocks<'_>) -> InvariantVerdict {
    if !facts.run.witness {
        return inconclusive(NAME, UNSEEN);
    }
    let mut found = Found::default();
    let mut told: BTreeSet<(&str, &str)> = BTreeSet::new();
    let mut writes = 0;
    for (write, standing) in standings(facts, book) {
        let hold = match standing {
            Standing::Elsewhere(hold) => hold,
            Standing::Unknown(why) => {
                let words = write_words(write, facts.steps);
                let why = format!("it cannot be told in whose transaction {words}: {why}");
                found.unclear(why, vec![write.seq]);
                continue;
            }
            Standing::Under | Standing::OfAnother(_) => {
                writes += 1;
                continue;
            }
            Standing::ByItself | Standing::Shared(_) | Standing::Without => continue,
        };
        if told.insert((write.table, write.pod().as_str())) {
            let why = format!(
                "{} on {} ({}), and its lock, {}, is another transaction's, on {} ({}): nothing keeps that from ending \
                 before the work is committed. Lock and work belong into one transaction",
                write_words(write, facts.steps),
                write.connection,
                write.session,
                hold.words(),
                hold.connection,
                hold.session
            );
            found.violation(finding(facts, write, why));
        }
    }
    missing(facts, &mut found);
    let holds = match writes {
        0 => "no pod did protected work while another session of it had the lock".to_owned(),
        _ => format!(
            "{} {} made on the session, and in the transaction, that had locked {}",
            count(writes, "write"),
            was_each(writes),
            book.rule.words()
        ),
    };
    found.ruling(NAME, facts, holds)
}
