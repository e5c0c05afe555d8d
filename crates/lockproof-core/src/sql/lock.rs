//! Calls of the advisory lock functions.
//!
//! Owns their names. A lock function of another schema is not Postgres's, and so unknown.

use super::call::Call;
use super::key::{Parameter, integer};
use super::token::TokenKind;
use super::view::View;
use crate::history::{LockAction, LockCall};
use crate::name::{LockKey, LockMode};

/// What a call does to advisory locks; `None` if it is no lock function of Postgres.
pub(super) fn lock_call(
    view: View<'_>,
    call: &Call,
    parameters: &[Parameter<'_>],
) -> Option<LockCall> {
    if !matches!(call.name.schema.as_deref(), None | Some("pg_catalog")) {
        return None;
    }
    let (action, rest) = if let Some(rest) = call.name.name.strip_prefix("pg_try_advisory_") {
        (LockAction::TryLock, rest)
    } else {
        (
            LockAction::Lock,
            call.name.name.strip_prefix("pg_advisory_")?,
        )
    };
    let (action, mode, xact) = match (action, rest) {
        (_, "lock") => (action, LockMode::Exclusive, false),
        (_, "lock_shared") => (action, LockMode::Share, false),
        (_, "xact_lock") => (action, LockMode::Exclusive, true),
        (_, "xact_lock_shared") => (action, LockMode::Share, true),
        (LockAction::Lock, "unlock") => (LockAction::Unlock, LockMode::Exclusive, false),
        (LockAction::Lock, "unlock_shared") => (LockAction::Unlock, LockMode::Share, false),
        (LockAction::Lock, "unlock_all") => return Some(unlock_all()),
        _ => return None,
    };
    Some(LockCall {
        action,
        mode,
        xact,
        key: key(
            view.part(call.open + 1, view.closing(call.open)),
            parameters,
        ),
        whole: is_whole(view, call, action),
    })
}

/// Whether the call is a whole item of the statement's select list, cast and named or not, or all
/// that it selects from (for one that answers: with `*`).
fn is_whole(view: View<'_>, call: &Call, action: LockAction) -> bool {
    let words = if call.name.schema.is_some() { 3 } else { 1 };
    let Some(before) = call.open.checked_sub(words + 1) else {
        return false;
    };
    let mut depth = 0_usize;
    let mut selects_from = false;
    for at in 0..before {
        match view.kind(at) {
            Some(TokenKind::Open) => depth += 1,
            Some(TokenKind::Close) => depth = depth.saturating_sub(1),
            _ => selects_from |= depth == 0 && view.is(at, "from"),
        }
    }
    if !view.is(0, "select") || depth > 0 || selects_from {
        return false;
    }
    let mut after = view.closing(call.open) + 1;
    let answers = matches!(action, LockAction::TryLock | LockAction::Unlock);
    while view.is_kind(after, TokenKind::Cast) {
        // Cast to anything else its answer is not to be told from another column's.
        if answers && !view.is_any(after + 1, &["bool", "boolean"]) {
            return false;
        }
        after += 2;
    }
    if view.is(after, "as") {
        after += 2;
    } else if matches!(view.kind(after), Some(TokenKind::Word | TokenKind::Quoted))
        && !view.is_any(after, &["from", "isnull", "notnull"])
    {
        after += 1;
    }
    let ends = after >= view.len();
    if before == 0 || view.is_kind(before, TokenKind::Comma) {
        return ends || view.is_kind(after, TokenKind::Comma) || view.is(after, "from");
    }
    let all = before == 2 && view.text(1) == "*";
    view.is(before, "from") && ends && (all || action == LockAction::Lock)
}

/// What gives back every session lock.
pub(super) fn unlock_all() -> LockCall {
    LockCall {
        action: LockAction::UnlockAll,
        mode: LockMode::Exclusive,
        xact: false,
        key: None,
        whole: true,
    }
}

/// The key that a list of arguments names.
fn key(arguments: View<'_>, parameters: &[Parameter<'_>]) -> Option<LockKey> {
    let mut depth = 0_usize;
    let mut comma = None;
    for (at, token) in arguments.tokens.iter().enumerate() {
        match token.kind {
            TokenKind::Open => depth += 1,
            TokenKind::Close => depth = depth.saturating_sub(1),
            TokenKind::Comma if depth == 0 => comma = comma.or(Some(at)),
            _ => {}
        }
    }
    let Some(comma) = comma else {
        let key = integer(arguments, parameters)?;
        return Some(LockKey::bigint(0, i64::try_from(key).ok()?));
    };
    let first = integer(arguments.part(0, comma), parameters)?;
    let second = integer(arguments.from(comma + 1), parameters)?;
    Some(LockKey::two_ints(
        0,
        i32::try_from(first).ok()?,
        i32::try_from(second).ok()?,
    ))
}
