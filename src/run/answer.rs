//! An answer as the history has it.
//!
//! Owns the reading of what lock functions answered out of a step's rows.

use crate::history::{self, ServerError};
use crate::wire::RawError;

pub(super) fn read_error(raw: &RawError) -> ServerError {
    ServerError {
        severity: raw.severity.clone(),
        sqlstate: raw.sqlstate.clone(),
        message: raw.message.clone(),
        table: raw.table.clone(),
        constraint: raw.constraint.clone(),
    }
}

/// The answer as the history has it, with what the lock functions answered.
pub(super) fn read_answer(
    answer: &crate::wire::Answer,
    calls: &[history::LockCall],
) -> history::Answer {
    let mut results = Vec::new();
    if answer.error.is_none() && !calls.is_empty() {
        results = lock_results(answer, calls);
    }
    history::Answer {
        tags: answer.tags.clone(),
        error: answer.error.as_ref().map(read_error),
        notices: answer.notices.iter().map(read_error).collect(),
        notices_left_out: answer.notices_left_out,
        lock_results: results,
        transaction: Some(char::from(answer.status)),
        digest: history::Beside(answer.digest),
    }
}

/// Boolean answers are matched to the calls that give one as a column of their own, in order, and only
/// if their numbers agree: a select list may hold other booleans.
fn lock_results(answer: &crate::wire::Answer, calls: &[history::LockCall]) -> Vec<Option<bool>> {
    const BOOL: u32 = 16;
    let answers: Vec<bool> = answer
        .rows
        .iter()
        .flat_map(|row| {
            row.values.iter().enumerate().filter_map(|(column, value)| {
                let is_bool = row
                    .types
                    .as_ref()
                    .is_none_or(|types| types.get(column) == Some(&BOOL));
                match value.as_deref() {
                    Some(b"t" | b"\x01") if is_bool => Some(true),
                    Some(b"f" | b"\x00") if is_bool => Some(false),
                    _ => None,
                }
            })
        })
        .collect();
    let gives = |call: &history::LockCall| {
        call.whole
            && matches!(
                call.action,
                history::LockAction::TryLock | history::LockAction::Unlock
            )
    };
    let expected = calls.iter().filter(|call| gives(call)).count();
    let told = answers.len() == expected;
    let mut answers = answers.into_iter().filter(|_| told);
    calls
        .iter()
        .map(|call| if gives(call) { answers.next() } else { None })
        .collect()
}
