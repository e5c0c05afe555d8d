//! What a statement on one table says of the rows that it means: which they are, what it sets in them, and which
//! columns it looks at.
//!
//! Owns that reading, by tokens, for statements of one table that have constants alone. What it does not know for
//! sure is [`RowsMeant::Unknown`]: bound parameters, functions and queries in a condition, LIMIT, joins, WITH.

use std::collections::BTreeSet;

use super::condition::{Condition, condition, constant};
use super::kind::{Kind, kind};
use super::lexer::lex;
use super::split::views;
use super::token::TokenKind;
use super::view::View;

/// A statement on one table.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct OneTable {
    /// Its rows.
    pub rows: RowsMeant,
    /// The columns that an UPDATE sets; `None`: the text does not tell.
    pub sets: Option<Vec<SetColumn>>,
    /// The columns whose values a SELECT looks at.
    pub looks: BTreeSet<String>,
    /// Whether it looks at all of them.
    pub looks_at_all: bool,
}

/// The rows of a table that a statement means.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum RowsMeant {
    /// All of its table.
    All,
    /// Those for which a condition of constants holds.
    Where(Condition),
    /// Rows that it makes: of each the constants by their columns.
    Made {
        /// The rows whose constants the text tells.
        rows: Vec<Vec<(String, String)>>,
        /// Whether these are all.
        complete: bool,
    },
    /// The text does not tell.
    #[default]
    Unknown,
}

/// A column that an UPDATE sets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SetColumn {
    /// Its name.
    pub name: String,
    /// Whether its new value is made without any column: what was there before is written over.
    pub blind: bool,
}

/// Words that end a condition.
const ENDS: [&str; 5] = ["group", "having", "order", "for", "returning"];
/// Words that stand behind a table and are no alias.
const CLAUSES: [&str; 8] = [
    "where",
    "group",
    "having",
    "order",
    "for",
    "returning",
    "from",
    "set",
];
/// Words by which a SELECT no longer means all rows of one table for which its condition holds.
const UNREADABLE: [&str; 12] = [
    "limit",
    "offset",
    "fetch",
    "union",
    "intersect",
    "except",
    "window",
    "tablesample",
    "join",
    "using",
    "skip",
    "into",
];
/// Words behind which a column can stand.
const BEFORE_A_COLUMN: [&str; 22] = [
    "select", "distinct", "all", "where", "and", "or", "not", "by", "case", "when", "then", "else",
    "between", "like", "ilike", "in", "is", "having", "on", "of", "from", "over",
];

/// What this text says of the one table on which it works; `None` if it is not one statement.
#[must_use]
pub fn one_table(sql: &str) -> Option<OneTable> {
    let tokens = lex(sql);
    let statements = views(sql, &tokens.all);
    let [view] = statements.as_slice() else {
        return None;
    };
    if !tokens.complete {
        return None;
    }
    let found = match kind(*view) {
        Kind::Read if view.is(0, "select") => select(*view),
        Kind::Update if view.is(0, "update") => update(*view),
        Kind::Delete if view.is(0, "delete") => delete(*view),
        Kind::Insert if view.is(0, "insert") => insert(*view),
        Kind::Truncate => Some(OneTable {
            rows: RowsMeant::All,
            ..OneTable::default()
        }),
        Kind::CopyIn => Some(OneTable {
            rows: unread_rows(),
            ..OneTable::default()
        }),
        _ => None,
    };
    Some(found.unwrap_or_default())
}

fn unread_rows() -> RowsMeant {
    RowsMeant::Made {
        rows: Vec::new(),
        complete: false,
    }
}

/// The first of these words outside parentheses, from here on.
fn first_of(view: View<'_>, from: usize, words: &[&str]) -> usize {
    let mut at = from;
    while at < view.len() && !view.is_any(at, words) {
        at = match view.kind(at) {
            Some(TokenKind::Open) => view.closing(at) + 1,
            _ => at + 1,
        };
    }
    at.min(view.len())
}

/// The place behind the name and the alias of a table that stand here.
fn behind_table(view: View<'_>, at: usize) -> Option<usize> {
    let (_, next) = view.name(at)?;
    let next = view.skip(next, &["as"]);
    let is_alias = view.identifier(next).is_some()
        && !view.is_any(next, &CLAUSES)
        && !view.is_any(next, &UNREADABLE)
        && !view.is_any(
            next,
            &[
                "values",
                "default",
                "overriding",
                "select",
                "with",
                "table",
                "on",
                "cross",
                "left",
                "right",
                "full",
                "inner",
                "natural",
            ],
        );
    Some(if is_alias { next + 1 } else { next })
}

/// Whether a query stands inside, or a word by which the rows are others than the condition says.
fn is_unreadable(view: View<'_>) -> bool {
    let asks = (1..view.len()).any(|at| view.is_any(at, &["select", "with"]));
    let only = (0..view.len()).any(|at| view.is(at, "only"));
    asks || only || first_of(view, 0, &UNREADABLE) < view.len() || current_of(view)
}

fn current_of(view: View<'_>) -> bool {
    (0..view.len()).any(|at| view.are(at, &["current", "of"]))
}

/// The rows of the condition that stands here, or all, where what stands here ends the statement.
fn rows_from(view: View<'_>, at: usize) -> RowsMeant {
    if at == view.len() || view.is_any(at, &ENDS) {
        return RowsMeant::All;
    }
    if !view.is(at, "where") {
        return RowsMeant::Unknown;
    }
    let end = first_of(view, at + 1, &ENDS);
    match condition(view.part(at + 1, end)) {
        Some(found) => RowsMeant::Where(found),
        None => RowsMeant::Unknown,
    }
}

fn select(view: View<'_>) -> Option<OneTable> {
    if is_unreadable(view) {
        return None;
    }
    let from = first_of(view, 1, &["from"]);
    let behind = behind_table(view, from + 1)?;
    let mut looks = BTreeSet::new();
    let mut looks_at_all = false;
    for at in 1..view.len() {
        let behind_list = view.is_any(at - 1, &BEFORE_A_COLUMN)
            || matches!(
                view.kind(at - 1),
                Some(TokenKind::Comma | TokenKind::Open | TokenKind::Operator | TokenKind::Dot)
            );
        let star = view.text(at) == "*"
            && (view.is_any(at - 1, &["select", "distinct", "all"])
                || matches!(view.kind(at - 1), Some(TokenKind::Comma | TokenKind::Dot)));
        looks_at_all |= star && at < from;
        let called = matches!(view.kind(at + 1), Some(TokenKind::Open | TokenKind::Dot));
        let of_table = at > from && at < behind;
        if behind_list && !called && !of_table {
            looks.extend(view.identifier(at).map(|name| name.to_lowercase()));
        }
    }
    Some(OneTable {
        rows: rows_from(view, behind),
        sets: None,
        looks,
        looks_at_all,
    })
}

fn update(view: View<'_>) -> Option<OneTable> {
    if view.is(1, "only") {
        return None;
    }
    let set = behind_table(view, 1).filter(|at| view.is(*at, "set"))?;
    let end = first_of(view, set + 1, &["from", "where", "returning"]);
    let sets = set_list(view.part(set + 1, end));
    let unreadable = is_unreadable(view.from(end)) || is_unreadable(view.part(0, set));
    let mut rows = match unreadable {
        true => RowsMeant::Unknown,
        false => rows_from(view, end),
    };
    // Rows that are others afterwards.
    if let RowsMeant::Where(condition) = &rows {
        let stays = sets.as_ref().is_some_and(|sets| {
            sets.iter()
                .all(|one| !condition.columns.contains(&one.name))
        });
        if !stays {
            rows = RowsMeant::Unknown;
        }
    }
    Some(OneTable {
        rows,
        sets,
        ..OneTable::default()
    })
}

/// The columns of a SET list; `None` if one of its parts is more than a column and its value.
fn set_list(view: View<'_>) -> Option<Vec<SetColumn>> {
    let mut found = Vec::new();
    for part in commas(view) {
        let name = part.identifier(0)?.to_lowercase();
        if part.text(1) != "=" {
            return None;
        }
        found.push(SetColumn {
            name,
            blind: is_blind(part.from(2)),
        });
    }
    (!found.is_empty()).then_some(found)
}

/// Whether no column stands in this value.
fn is_blind(value: View<'_>) -> bool {
    const OTHERS: [&str; 9] = [
        "null",
        "true",
        "false",
        "default",
        "interval",
        "current_timestamp",
        "current_date",
        "localtimestamp",
        "current_user",
    ];
    (0..value.len()).all(|at| match value.kind(at) {
        Some(TokenKind::Word) => {
            value.is_any(at, &OTHERS)
                || value.is_kind(at + 1, TokenKind::Open) && !value.is(at, "select")
                || at > 0 && value.is_kind(at - 1, TokenKind::Cast)
        }
        Some(TokenKind::Quoted) => false,
        _ => true,
    })
}

fn delete(view: View<'_>) -> Option<OneTable> {
    if is_unreadable(view) {
        return None;
    }
    let behind = behind_table(view, 2)?;
    Some(OneTable {
        rows: rows_from(view, behind),
        ..OneTable::default()
    })
}

fn insert(view: View<'_>) -> Option<OneTable> {
    let behind = behind_table(view, 2)?;
    let conflict = (behind..view.len()).find(|at| view.are(*at, &["on", "conflict"]));
    let end = conflict.unwrap_or_else(|| first_of(view, behind, &["returning"]));
    if let Some(at) = conflict
        && (at..view.len()).any(|at| view.are(at, &["do", "update"]))
    {
        return None;
    }
    let rows = made(view, behind, end).unwrap_or_else(unread_rows);
    let rows = match &rows {
        // Which of several rows were there already the text does not tell.
        RowsMeant::Made {
            rows: all,
            complete,
        } if conflict.is_some() && (all.len() != 1 || !complete) => unread_rows(),
        _ => rows,
    };
    Some(OneTable {
        rows,
        ..OneTable::default()
    })
}

/// The rows of constants that stand here; without the columns' names nobody knows which constant is whose.
fn made(view: View<'_>, behind: usize, end: usize) -> Option<RowsMeant> {
    if !view.is_kind(behind, TokenKind::Open) {
        return None;
    }
    let closing = view.closing(behind);
    let columns: Option<Vec<String>> = commas(view.part(behind + 1, closing))
        .iter()
        .map(|part| {
            (part.len() == 1)
                .then(|| part.identifier(0))?
                .map(|name| name.to_lowercase())
        })
        .collect();
    let columns = columns?;
    if !view.is(closing + 1, "values") {
        return None;
    }
    let (mut rows, mut complete) = (Vec::new(), true);
    let mut at = closing + 2;
    while at < end {
        match view.kind(at)? {
            TokenKind::Open => {
                let closing = view.closing(at);
                let values = commas(view.part(at + 1, closing));
                let of_column = columns.iter().zip(&values);
                let known = of_column
                    .filter_map(|(column, value)| Some((column.clone(), constant(*value)?)));
                rows.push(known.collect());
                at = closing + 1;
            }
            // Rows of constants behind the first are left out.
            TokenKind::More => {
                complete = false;
                at += 1;
            }
            TokenKind::Comma => at += 1,
            _ => return None,
        }
    }
    Some(RowsMeant::Made { rows, complete })
}

/// The parts between commas outside parentheses.
fn commas(view: View<'_>) -> Vec<View<'_>> {
    let mut all = Vec::new();
    let (mut from, mut at) = (0, 0);
    while at < view.len() {
        match view.kind(at) {
            Some(TokenKind::Open) => at = view.closing(at),
            Some(TokenKind::Comma) => {
                all.push(view.part(from, at));
                from = at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    all.push(view.from(from));
    all
}

#[cfg(test)]
#[path = "one_table_tests.rs"]
mod tests;
