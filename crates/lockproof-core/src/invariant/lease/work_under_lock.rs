//! work-under-lock, where the lock is a row: every write of a protected table was committed while its pod had
//! the lock, by the row's own changes: after a grant of its own, before it gave the lock back, and before
//! another pod had it.
//!
//! That a lease's time has passed ends nothing by itself: it allows another to take over, and is reported. A
//! write that was on its way when another took over could not know; it is reported, too. Where the row has a
//! fencing token, the rule about locks that were taken over is fencing's.

use std::collections::BTreeSet;

use super::super::facts::{Facts, PodWrite, count, step_words, was_each, write_words};
use super::super::ruling::{Found, inconclusive, not_judged};
use super::super::verdict::{Finding, InvariantVerdict};
use super::evidence::{UNSEEN, missing, ran_out};
use super::late::standings;
use super::standing::{Standing, Stands};
use super::story::{change_words, section_lines, section_words};
use crate::history::{Event, Fate};
use crate::ledger::{Leases, RowBooks, told_lost};
use crate::name::InvariantName;

const NAME: InvariantName = InvariantName::WorkUnderLock;

/// Why nothing is said where pods write the queue alone.
const ONLY_THE_QUEUE: &str = "no protected table but the queue was written, and the changes of its rows are for the other \
                              invariants";

/// The same of claims.
const ONLY_THE_CLAIMS: &str = "no protected table but that of the claims was written, and the changes of its rows are for the \
                               other invariants";

pub(in super::super) fn judge(facts: &Facts<'_>, books: &RowBooks<'_>) -> InvariantVerdict {
    if !facts.run.witness {
        return inconclusive(NAME, UNSEEN);
    }
    let by_token = books.rule.token.is_some();
    let mut found = Found::default();
    let by_clock = ran_out(facts, books);
    let mut told: BTreeSet<(&str, &str)> = BTreeSet::new();
    let mut tables: BTreeSet<&str> = BTreeSet::new();
    let mut covered = 0;
    let (stands, without) = standings(facts, books);
    for write in without {
        tables.insert(write.table);
        if told.insert((write.table, write.pod().as_str())) {
            let words = write_words(write, facts.steps);
            let row = books.rule.one_of();
            let (refused, line) = refused_words(facts, books, write);
            let why = format!("{words} and had never got {row}{refused}");
            found.violation(finding(facts, write, line.into_iter().collect(), why));
        }
    }
    for Stands {
        write,
        row: leases,
        how: standing,
    } in stands
    {
        tables.insert(write.table);
        let words = || write_words(write, facts.steps);
        let row = &leases.name;
        let why = match standing {
            Standing::Under(_) | Standing::InFlight(..) => {
                covered += 1;
                continue;
            }
            Standing::Late(..) if by_token => {
                covered += 1;
                continue;
            }
            // It is told what the clock did.
            Standing::Late(..) if !by_clock.is_empty() => continue,
            Standing::GivenBack(by) => format!(
                "{}, which was committed after {}: {row} was free then",
                words(),
                change_words(facts, by)
            ),
            Standing::Late(section, by) => format!(
                "{} after another pod had got {row}, without knowing: {}. {}",
                words(),
                section_words(facts, leases, section, by),
                match &leases.rule.claim {
                    Some(_) =>
                        "Of a claim in the work's own transaction nobody takes anything away",
                    None => {
                        "The lock row, locked in the write's own transaction, or a fencing token in the write would \
                         have refused it"
                    }
                }
            ),
            Standing::Early(by) => format!(
                "{}, which was committed before the claim was ({}): what undoes one of them leaves the other. Claim in the \
                 work's transaction, or commit the claim first",
                words(),
                change_words(facts, by)
            ),
            Standing::Unclear(by) => {
                let why = format!(
                    "it cannot be told whether {} before {} was committed",
                    words(),
                    change_words(facts, by)
                );
                found.unclear(why, vec![write.seq, by.seq]);
                continue;
            }
        };
        if told.insert((write.table, write.pod().as_str())) {
            let lines = lines_of(leases, &standing);
            found.violation(finding(facts, write, lines, why));
        }
    }
    for one in by_clock {
        found.unclear.push(one);
    }
    found.strangers(facts);
    missing(facts, books, &mut found);
    if covered == 0 && tables.is_empty() && books.rule.is_many() && found.is_empty() {
        let why = match books.rule.queue {
            Some(_) => ONLY_THE_QUEUE,
            None => ONLY_THE_CLAIMS,
        };
        return not_judged(NAME, why);
    }
    let holds = match covered {
        0 => "no pod wrote a protected table".to_owned(),
        _ => format!(
            "{} {} committed while the pod that made it had {}",
            count(covered, "write"),
            was_each(covered),
            books.rule.one_of()
        ),
    };
    InvariantVerdict {
        tables: tables.into_iter().map(str::to_owned).collect(),
        ..found.ruling(NAME, facts, holds)
    }
}

/// That the pod of this write was told that the key is taken, or that its claim was rolled back; and the line that tells
/// it.
fn refused_words(
    facts: &Facts<'_>,
    books: &RowBooks<'_>,
    write: &PodWrite<'_>,
) -> (String, Option<u64>) {
    let steps = facts.steps.values();
    let mut own = steps.filter(|step| step.pod() == write.pod());
    let told = own.find_map(|step| {
        let end = told_lost(step, books.rule).filter(|_| books.rule.claim.is_some())?;
        Some((step, end.at.seq))
    });
    match told {
        Some((step, seq)) => {
            let told = format!("; {} told it that the key is taken", step.words());
            (told, Some(seq))
        }
        None => match undone(facts, books, write) {
            Some((step, seq)) => (format!("; its claim in {step} was rolled back"), Some(seq)),
            None => (String::new(), None),
        },
    }
}

/// A claim of this write's pod that was rolled back: by which step it was made, and the line that tells it.
fn undone(facts: &Facts<'_>, books: &RowBooks<'_>, write: &PodWrite<'_>) -> Option<(String, u64)> {
    facts.lines.iter().find_map(|line| {
        let Event::LockRow(change) = &line.event else {
            return None;
        };
        let own = change
            .connection
            .as_ref()
            .filter(|one| one.pod == *write.pod())?;
        let undone = change.fate == Some(Fate::RolledBack) && change.lock == books.rule.place;
        let claims = books.rule.claim.is_some() && change.after.is_some();
        (undone && claims).then(|| (step_words(change.step, facts.steps, own, None), line.seq))
    })
}

/// The lines of the row's changes that show how a write stands.
fn lines_of(leases: &Leases<'_>, standing: &Standing<'_, '_>) -> Vec<u64> {
    match standing {
        Standing::GivenBack(by) | Standing::Unclear(by) | Standing::Early(by) => vec![by.seq],
        Standing::Late(section, by) | Standing::InFlight(section, by) => {
            section_lines(leases, section, by)
        }
        Standing::Under(_) => Vec::new(),
    }
}

/// A finding about a write, with the lines of the row's changes, and those of the write, that show it.
pub(super) fn finding(
    facts: &Facts<'_>,
    write: &PodWrite<'_>,
    changes: Vec<u64>,
    why: String,
) -> Finding {
    let step = write.step.and_then(|step| facts.steps.get(&step));
    let end = step.and_then(|step| step.last()).map(|end| end.at.seq);
    Finding {
        why,
        seqs: changes.into_iter().chain(end).chain([write.seq]).collect(),
        pod: Some(write.pod().clone()),
        table: Some(write.table.to_owned()),
        // Without the witness nobody sees who has the row.
        witness_only: true,
        ..Finding::default()
    }
}
