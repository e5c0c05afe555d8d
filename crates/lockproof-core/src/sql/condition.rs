//! Conditions of columns and constants alone.
//!
//! Owns when two conditions are the same one, and which columns a condition pins to a constant. Whatever may have
//! another value the next time (functions, bound parameters, queries, `'now'`) is no such condition.

use std::collections::BTreeSet;

use super::token::TokenKind;
use super::view::View;

/// A condition.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Condition {
    /// One spelling for all that are the same but for white space, case and parentheses around it.
    pub key: String,
    /// The columns in it.
    pub columns: BTreeSet<String>,
    /// The columns that must equal a constant.
    pub pinned: Vec<(String, String)>,
    /// Whether that is all it asks.
    pub only_pins: bool,
}

impl Condition {
    /// That these columns have these values.
    #[must_use]
    pub fn pins(mut pinned: Vec<(String, String)>) -> Self {
        pinned.sort();
        pinned.dedup();
        Self {
            key: format!("{pinned:?}"),
            columns: pinned.iter().map(|(column, _)| column.clone()).collect(),
            pinned,
            only_pins: true,
        }
    }
}

/// Words that are no columns.
const WORDS: [&str; 18] = [
    "and", "or", "not", "in", "is", "null", "true", "false", "between", "like", "ilike", "similar",
    "to", "distinct", "from", "unknown", "isnull", "notnull",
];
/// Words whose value is another from time to time, or that begin what is not read here.
const UNREAD: [&str; 24] = [
    "select",
    "exists",
    "any",
    "all",
    "some",
    "array",
    "row",
    "case",
    "current",
    "collate",
    "escape",
    "default",
    "interval",
    "current_date",
    "current_time",
    "current_timestamp",
    "localtime",
    "localtimestamp",
    "current_user",
    "current_role",
    "session_user",
    "user",
    "current_schema",
    "current_catalog",
];
/// Texts that are a time when they are compared with one.
const TIMES: [&str; 4] = ["'now'", "'today'", "'tomorrow'", "'yesterday'"];

/// The condition that these tokens are.
pub(super) fn condition(view: View<'_>) -> Option<Condition> {
    let view = bare(view);
    let mut parts: Vec<String> = Vec::new();
    let mut columns = BTreeSet::new();
    let mut at = 0;
    while at < view.len() {
        let text = view.text(at);
        match view.kind(at)? {
            TokenKind::Word if view.is_any(at, &WORDS) => parts.push(text.to_lowercase()),
            TokenKind::Word | TokenKind::Quoted => {
                let (name, next) = view.name(at)?;
                let typed = matches!(
                    view.kind(next),
                    Some(TokenKind::Open | TokenKind::Text | TokenKind::Dot)
                );
                if view.is_any(at, &UNREAD) || typed {
                    return None;
                }
                let name = name.name.to_lowercase();
                parts.push(format!("\"{name}\""));
                columns.insert(name);
                at = next;
                continue;
            }
            TokenKind::Text if TIMES.contains(&text.trim().to_lowercase().as_str()) => return None,
            TokenKind::Operator if text.contains('?') => return None,
            TokenKind::Text
            | TokenKind::Number
            | TokenKind::Operator
            | TokenKind::Comma
            | TokenKind::Open
            | TokenKind::Close => parts.push(text.to_owned()),
            _ => return None,
        }
        at += 1;
    }
    if columns.is_empty() {
        return None;
    }
    let all = conjuncts(view);
    let mut pinned: Vec<(String, String)> = all.iter().filter_map(|part| pin(*part)).collect();
    let only_pins = !pinned.is_empty() && pinned.len() == all.len();
    pinned.sort();
    pinned.dedup();
    Some(Condition {
        key: parts.join(" "),
        columns,
        pinned,
        only_pins,
    })
}

/// Without parentheses around the whole.
fn bare(mut view: View<'_>) -> View<'_> {
    while view.is_kind(0, TokenKind::Open) && view.closing(0) + 1 == view.len() {
        view = view.part(1, view.len() - 1);
    }
    view
}

/// The parts all of which must hold; none where that cannot be told.
fn conjuncts(view: View<'_>) -> Vec<View<'_>> {
    let mut all = Vec::new();
    let (mut from, mut at) = (0, 0);
    while at < view.len() {
        if view.is_any(at, &["or", "not", "between"]) {
            return Vec::new();
        }
        if view.is(at, "and") {
            all.push(view.part(from, at));
            from = at + 1;
        }
        at = match view.kind(at) {
            Some(TokenKind::Open) => view.closing(at) + 1,
            _ => at + 1,
        };
    }
    all.push(view.from(from));
    all
}

/// The column and the constant that it must equal.
fn pin(part: View<'_>) -> Option<(String, String)> {
    let part = bare(part);
    if let Some((name, next)) = part.name(0) {
        let value = constant(part.from(next + 1)).filter(|_| part.text(next) == "=")?;
        return Some((name.name.to_lowercase(), value));
    }
    let equals = (0..part.len()).find(|at| part.text(*at) == "=")?;
    let (name, next) = part.name(equals + 1)?;
    let value = constant(part.part(0, equals)).filter(|_| next == part.len())?;
    Some((name.name.to_lowercase(), value))
}

/// The constant that these tokens are, without its quotes: `1` and `'1'` are the same to a column.
pub(super) fn constant(view: View<'_>) -> Option<String> {
    let text = view.text(0);
    match (view.kind(0)?, view.len()) {
        (TokenKind::Number, 1) => Some(text.to_owned()),
        (TokenKind::Operator, 2) if text == "-" && view.is_kind(1, TokenKind::Number) => {
            Some(format!("-{}", view.text(1)))
        }
        (TokenKind::Text, 1) => {
            let inner = text.strip_prefix('\'')?.strip_suffix('\'')?;
            let plain = !TIMES.contains(&text.to_lowercase().as_str());
            (plain && !inner.contains('\'')).then(|| inner.to_owned())
        }
        _ => None,
    }
}
