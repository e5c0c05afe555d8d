//! Whether a pod asked for rows of the lock's table while another had some locked.
//!
//! Owns that answer, by the text of its steps and by what looks showed.

use super::super::facts::Facts;
use crate::ledger::{Asked, RowLocks, asked_by};

/// A pod that asked while another had rows locked, in words.
pub(in super::super) fn asked_while_locked(
    facts: &Facts<'_>,
    book: &RowLocks<'_>,
) -> Option<String> {
    let table = book.rule.table;
    let steps = facts.steps.values().filter(|step| step.ran());
    let mut asking = steps.filter(|step| asked_by(step.request, table) >= Asked::Unknown);
    asking.find_map(|step| {
        let look = book.before(step.released?.seq)?;
        let other = look
            .held
            .iter()
            .find(|hold| hold.pod() != step.pod() && hold.guards == Some(true))?;
        Some(format!(
            "{} asked for {} while {} had {} locked",
            step.connection,
            book.rule.words(),
            other.connection,
            other.words()
        ))
    })
}
