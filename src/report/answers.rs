//! Errors that were answers, in sentences.
//!
//! Owns the sentence for each. `invariant` decides which errors are answers.

use crate::invariant::{AnswerReason, Answered};

/// An answer in a sentence.
#[must_use]
pub fn answer_sentence(answered: &Answered) -> String {
    let name = answered.constraint.as_ref().or(answered.table.as_ref());
    let on = name.map(|name| format!(" on {name}")).unwrap_or_default();
    let why = match answered.reason {
        AnswerReason::Declared => "the scenario says that this is the lock's answer",
        AnswerReason::CameAgain => "it sent the same again, and that committed",
        AnswerReason::Left => "it wrote no protected table after it",
        AnswerReason::Exists => "what it was to create is there at the end",
        AnswerReason::CutShort => "a fault took it before it did anything after it",
    };
    let first = answered.seqs.first().copied().unwrap_or_default();
    format!(
        "pod {} met {}{on} (line {first}), which counts as no failure: {why}",
        answered.pod, answered.sqlstate
    )
}
