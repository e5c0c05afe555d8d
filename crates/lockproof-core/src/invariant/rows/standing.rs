//! Writes of protected tables, each with the rows of the lock's table that were locked when it was done.
//!
//! Owns that answer, and what makes it unknown; which invariant a write violates is theirs to say.

use super::super::facts::{Facts, PodWrite, write_words};
use super::super::ruling::Found;
use crate::history::{Isolation, RowMode};
use crate::ledger::{Asked, RowHold, RowLocks, RowLook, asked_by};
use crate::name::TableName;

/// Why nothing is known of the rows.
pub(super) const UNSEEN: &str = "the lock is rows of a table, and this run had no witness that sees which transaction has them locked";

/// Why nothing is known of the rows at a write, where the witness would have looked.
const NOT_LOOKED: &str =
    "the witness did not look at the rows: somebody has changed what is in the schema lockproof";

/// How a write stands to the rows that are the lock.
pub(super) enum Standing<'a> {
    /// Its own transaction had a row locked, so that nobody else could.
    Under,
    /// Its own transaction had a row locked, and it refers to this one, which that had not locked.
    OfAnother(RowHold<'a>),
    /// It changed the lock's own rows, and had locked none of them before: its statement locked what it changed.
    ByItself,
    /// Its own transaction had rows locked, but so that others could have them, too.
    Shared(RowHold<'a>),
    /// Another session of its pod had this row locked.
    Elsewhere(RowHold<'a>),
    /// Its pod had no row locked.
    Without,
    /// That cannot be told; why not.
    Unknown(String),
}

/// All writes of protected tables with how they stand.
pub(super) fn standings<'f, 'a>(
    facts: &'f Facts<'a>,
    book: &'f RowLocks<'a>,
) -> Vec<(&'f PodWrite<'a>, Standing<'a>)> {
    let writes = facts.writes.iter();
    writes
        .map(|write| (write, standing(facts, book, write)))
        .collect()
}

fn standing<'a>(facts: &Facts<'a>, book: &RowLocks<'a>, write: &PodWrite<'a>) -> Standing<'a> {
    let step = write.step.and_then(|step| facts.steps.get(&step));
    let released = step.and_then(|step| step.released).map(|at| at.seq);
    // Of the transaction that was under way then the texts tell how it locked rows.
    let at = released.unwrap_or(write.seq);
    let Some(look) = book.at_write(write.extent, at) else {
        let why = match write.extent.isolation {
            Some(Isolation::Serializable) => {
                "the witness does not look in a serializable transaction, whose checks it would disturb"
            }
            _ => NOT_LOOKED,
        };
        return Standing::Unknown(why.to_owned());
    };
    let own_table = TableName::new(write.table).may_mean(book.rule.table);
    if own_table {
        let before = released.and_then(|at| book.before(at));
        let held =
            |look: &RowLook<'_>| look.of(write.session).any(|hold| hold.guards == Some(true));
        return match before.is_some_and(held) {
            true => Standing::Under,
            false => Standing::ByItself,
        };
    }
    if look.of(write.session).any(|hold| hold.guards == Some(true)) {
        let refers = book
            .rule
            .children
            .iter()
            .any(|child| TableName::new(write.table).may_mean(*child));
        let asks =
            step.is_none_or(|step| asked_by(step.request, book.rule.table) != Asked::Nothing);
        let other = released
            .filter(|_| refers && !asks)
            .and_then(|at| referred(&look, write, at));
        return other.map_or(Standing::Under, Standing::OfAnother);
    }
    if let Some(hold) = look.of(write.session).find(|hold| hold.guards.is_none()) {
        return Standing::Unknown(format!(
            "its transaction had {} locked, and no text tells whether so that others could have it, too",
            hold.words()
        ));
    }
    if !look.unknown.is_empty() {
        return Standing::Unknown(format!(
            "row {} of {} was locked by a transaction that nobody can be told to own: its savepoint was released",
            look.unknown[0].row, look.unknown[0].table
        ));
    }
    if book.took_away(write.session, write.step, write.server_us, write.extent) {
        return Standing::Under;
    }
    let elsewhere = look.held.iter().find(|hold| {
        hold.pod() == write.pod() && hold.session != write.session && hold.guards != Some(false)
    });
    if let Some(hold) = elsewhere {
        return Standing::Elsewhere(hold.clone());
    }
    // What it inserted there itself is no lock; what a foreign key locks for it is none, either.
    let shared = look
        .of(write.session)
        .find(|hold| hold.shared.is_some() && hold.row.mode != RowMode::Made);
    shared.map_or(Standing::Without, |hold| Standing::Shared(hold.clone()))
}

/// The row of the lock's table that a foreign key has locked for a write, given the release of its step. (A row that
/// its transaction had locked already is not locked once more.)
fn referred<'a>(look: &RowLook<'a>, write: &PodWrite<'_>, released: u64) -> Option<RowHold<'a>> {
    let made = |row: &str| {
        look.of(write.session)
            .any(|hold| hold.row.row == row && hold.guards == Some(true))
    };
    let mine = |hold: &&RowHold<'_>| {
        hold.guards == Some(false)
            && hold.since >= released
            && hold.row.mode != RowMode::Made
            && !look
                .of(write.session)
                .any(|one| one.row.row == hold.row.row && one.row.mode == RowMode::Made)
            && !made(&hold.row.row)
    };
    look.of(write.session).find(mine).cloned()
}

/// What of the rows is not known.
pub(super) fn missing(facts: &Facts<'_>, found: &mut Found) {
    found.strangers(facts);
    found.blinded(facts);
    let unseen = |write: &&PodWrite<'_>| {
        write.extent.rows.is_none() && write.extent.isolation != Some(Isolation::Serializable)
    };
    if let Some(write) = facts.writes.iter().find(unseen) {
        let words = write_words(write, facts.steps);
        let why = format!("it cannot be told which rows were locked when {words}: {NOT_LOOKED}");
        found.unclear(why, vec![write.seq]);
    }
}
