//! What the wire tells a pod of a lock row: that it has asked for it, and that it has it no longer.
//!
//! Owns the reading of those answers. Knows nothing of who has the lock.

use crate::history::{Ending, LockRow, wrote_nothing};
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
/// longer.
#[must_use]
pub fn told_lost<'s, 'a>(step: &'s StepFacts<'a>, rule: &LockRow) -> Option<&'s EndingFacts<'a>> {
    let end = step.last().filter(|end| end.ending == Ending::Done)?;
    let touches = |tag: &&String| {
        let mut verbs = ["INSERT ", "UPDATE ", "DELETE ", "MERGE "].iter();
        verbs.any(|verb| tag.starts_with(verb))
    };
    let mut touched = end.answer.tags.iter().filter(touches).peekable();
    let none = touched.peek().is_some() && touched.all(|tag| wrote_nothing(tag));
    (end.answer.error.is_none() && none && asks_for_row(step, rule)).then_some(end)
}
