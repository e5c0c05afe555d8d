//! What the wire tells a pod of a lock row: that it has asked for it, and that it has it no longer.
//!
//! Owns the reading of those answers. Knows nothing of who has the lock.

use crate::history::{Ending, LockRow, ServerError, wrote_nothing};
use crate::name::TableName;
use crate::timeline::{EndingFacts, StepFacts};

/// Whether the text of a step writes the table of the lock row: it takes, renews or gives back the lock.
#[must_use]
pub fn asks_for_row(step: &StepFacts<'_>, rule: &LockRow) -> bool {
    let table = TableName::new(&rule.table);
    let mut writes = step.request.writes.iter();
    step.ran() && writes.any(|name| TableName::new(name).may_mean(table))
}

/// The answer that told a pod that it touched no row of the lock's table: it did not get the lock, or has it no
/// longer. Of claims an error says so, too: the key is there.
#[must_use]
pub fn told_lost<'s, 'a>(step: &'s StepFacts<'a>, rule: &LockRow) -> Option<&'s EndingFacts<'a>> {
    let end = step.last().filter(|end| end.ending == Ending::Done)?;
    if let Some(error) = &end.answer.error {
        return tells_of_claim(rule, error).then_some(end);
    }
    let touches = |tag: &&String| {
        let mut verbs = ["INSERT ", "UPDATE ", "DELETE ", "MERGE "].iter();
        verbs.any(|verb| tag.starts_with(verb))
    };
    let mut touched = end.answer.tags.iter().filter(touches).peekable();
    let none = touched.peek().is_some() && touched.all(|tag| wrote_nothing(tag));
    (none && asks_for_row(step, rule)).then_some(end)
}

/// Whether an error says that the key of a claim is there already: a unique violation of the claims' own table.
#[must_use]
pub fn tells_of_claim(rule: &LockRow, error: &ServerError) -> bool {
    let table = error.table.as_deref().map(TableName::new);
    rule.claim.is_some()
        && error.sqlstate == "23505"
        && table.is_some_and(|table| table.may_mean(TableName::new(&rule.table)))
}
