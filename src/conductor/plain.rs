//! Which steps can change no advisory lock by themselves.
//!
//! Owns that rule. Knows nothing of who asks.

use crate::history::{Answer, Request};

/// Whether a step is a plain statement that came to its end: no call of a lock function, nothing
/// that the text hides, no end of a transaction, no error; or it only prepared one. It can change advisory locks only by what
/// the database itself does unasked (a trigger).
#[must_use]
pub fn is_plain(request: &Request, answer: &Answer) -> bool {
    const PLAIN: [&str; 6] = [
        "insert ",
        "update ",
        "delete ",
        "truncate ",
        "select ",
        "copy ",
    ];
    request.lock_calls.is_empty()
        && !request.opaque
        && answer.error.is_none()
        && (request.prepares
            || request
                .normal
                .iter()
                .all(|normal| PLAIN.iter().any(|word| normal.starts_with(word))))
}
