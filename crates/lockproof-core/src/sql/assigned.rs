//! What an UPDATE sets, what a DELETE takes away, and with which constants a statement compares columns.
//!
//! Owns that reading, by tokens; what is no constant it does not follow. Knows nothing of what a column means.

use std::time::Duration;

use super::lexer::lex;
use super::split::views;
use super::token::TokenKind;
use super::view::View;

/// An UPDATE or a DELETE, wherever in a statement it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assigned {
    /// The table, as the text spells it, in lower case.
    pub table: String,
    /// The columns that it sets; of a DELETE none.
    pub set: Vec<(String, Value)>,
    /// Whether it is a DELETE.
    pub deletes: bool,
}

/// What a column is set to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A text or a number, as the statement spells it.
    Constant(String),
    /// Something else.
    Other,
}

/// A column that a statement compares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    /// The column.
    pub column: String,
    /// With what.
    pub with: With,
}

/// What a column is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum With {
    /// Whether it is this constant, or one of several.
    Constant(String),
    /// Whether it is a time so long ago; zero: whether it has passed.
    Ago(Duration),
}

const NOW: [&str; 4] = [
    "now",
    "clock_timestamp",
    "statement_timestamp",
    "transaction_timestamp",
];

/// The UPDATEs and DELETEs of a text, in its order.
#[must_use]
pub fn assigned(sql: &str) -> Vec<Assigned> {
    let tokens = lex(sql);
    let statements = views(sql, &tokens.all);
    statements.into_iter().flat_map(of_statement).collect()
}

fn begins(view: View<'_>, at: usize) -> bool {
    at == 0 || matches!(view.kind(at - 1), Some(TokenKind::Open | TokenKind::Close))
}

fn of_statement(view: View<'_>) -> Vec<Assigned> {
    let mut found = Vec::new();
    for at in (0..view.len()).filter(|at| begins(view, *at)) {
        if view.are(at, &["delete", "from"]) {
            if let Some((name, _)) = view.name(view.skip(at + 2, &["only"])) {
                found.push(Assigned {
                    table: name.spelled(),
                    set: Vec::new(),
                    deletes: true,
                });
            }
        } else if view.is(at, "update")
            && let Some((table, set)) = update(view, at)
        {
            let list = set_list(view, set);
            found.push(Assigned {
                table,
                set: list,
                deletes: false,
            });
        }
    }
    found
}

/// The table of the UPDATE here, and the place behind its SET.
fn update(view: View<'_>, at: usize) -> Option<(String, usize)> {
    let (name, after) = view.name(view.skip(at + 1, &["only"]))?;
    let set = (after..view.len().min(after + 3)).find(|at| view.is(*at, "set"))?;
    Some((name.spelled(), set + 1))
}

/// The end of a SET list that begins here.
fn set_end(view: View<'_>, from: usize) -> usize {
    let mut at = from;
    while at < view.len() && !view.is_any(at, &["where", "from", "returning"]) {
        match view.kind(at) {
            Some(TokenKind::Open) => at = view.closing(at) + 1,
            Some(TokenKind::Close) => break,
            _ => at += 1,
        }
    }
    at.min(view.len())
}

fn set_list(view: View<'_>, from: usize) -> Vec<(String, Value)> {
    let end = set_end(view, from);
    let mut found = Vec::new();
    let mut at = from;
    while at < end {
        // To the comma between two assignments.
        let mut next = at;
        while next < end && !view.is_kind(next, TokenKind::Comma) {
            next = match view.kind(next) {
                Some(TokenKind::Open) => view.closing(next) + 1,
                _ => next + 1,
            };
        }
        if let Some((name, equals)) = view.name(at)
            && view.text(equals) == "="
        {
            let value = value(view.part(equals + 1, next.min(end)));
            found.push((name.name.to_lowercase(), value));
        }
        at = next + 1;
    }
    found
}

fn value(view: View<'_>) -> Value {
    let constant = matches!(view.kind(0), Some(TokenKind::Text | TokenKind::Number));
    let alone = view.len() == 1 || view.is_kind(1, TokenKind::Cast);
    if constant && alone {
        return Value::Constant(view.text(0).to_owned());
    }
    Value::Other
}

/// The columns that a text compares with constants, and with times that have passed; what it sets is none.
#[must_use]
pub fn compared(sql: &str) -> Vec<Compared> {
    let tokens = lex(sql);
    let statements = views(sql, &tokens.all);
    statements.into_iter().flat_map(comparisons).collect()
}

fn comparisons(view: View<'_>) -> Vec<Compared> {
    let mut found = Vec::new();
    let mut sets = Vec::new();
    for at in (0..view.len()).filter(|at| begins(view, *at) && view.is(*at, "update")) {
        if let Some((_, from)) = update(view, at) {
            sets.push(from..set_end(view, from));
        }
    }
    for at in 0..view.len() {
        if sets.iter().any(|set| set.contains(&at)) {
            continue;
        }
        let Some(column) = view.identifier(at).map(|name| name.to_lowercase()) else {
            continue;
        };
        let mut add = |with| {
            found.push(Compared {
                column: column.clone(),
                with,
            });
        };
        let constant = |at| matches!(view.kind(at), Some(TokenKind::Text | TokenKind::Number));
        if view.text(at + 1) == "=" && constant(at + 2) {
            add(With::Constant(view.text(at + 2).to_owned()));
        } else if view.is(at + 1, "in") && view.is_kind(at + 2, TokenKind::Open) {
            let inside = (at + 3..view.closing(at + 2)).filter(|at| constant(*at));
            inside.for_each(|at| add(With::Constant(view.text(at).to_owned())));
        } else if matches!(view.text(at + 1), "<" | "<=")
            && let Some(ago) = ago(view.part(at + 2, at + 12))
        {
            add(With::Ago(ago));
        }
    }
    found
}

/// How long ago the time is that begins here: `now() - interval '5 minutes'`, `now()`.
fn ago(view: View<'_>) -> Option<Duration> {
    let next = match view.is(0, "current_timestamp") {
        true => 1,
        false if view.is_any(0, &NOW) && view.is_kind(1, TokenKind::Open) => 3,
        false => return None,
    };
    if view.text(next) != "-" {
        return Some(Duration::ZERO);
    }
    let text = match view.is(next + 1, "interval") {
        true => view.text(next + 2),
        false if view.is_kind(next + 2, TokenKind::Cast) && view.is(next + 3, "interval") => {
            view.text(next + 1)
        }
        false => return None,
    };
    interval(text.trim_matches('\''))
}

/// An interval of one unit: `5 minutes`, `30s`.
fn interval(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text
        .find(|one: char| !one.is_ascii_digit())
        .unwrap_or(text.len());
    let count: u64 = text[..digits].parse().ok()?;
    let seconds = match text[digits..].trim() {
        "s" | "sec" | "secs" | "second" | "seconds" => 1,
        "m" | "min" | "mins" | "minute" | "minutes" => 60,
        "h" | "hour" | "hours" => 3_600,
        "d" | "day" | "days" => 86_400,
        _ => return None,
    };
    Some(Duration::from_secs(count.checked_mul(seconds)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_tells_what_it_sets_to_constants() {
        let sql = "update only app.job j set state = 'running', locked_at = now(), tries = tries + 1, by = $1
                   where id = (select id from app.job where state = 'new' or state in ('failed', 'late')
                     and locked_at < now() - interval '5 minutes' for update skip locked) returning id";
        let all = assigned(sql);
        let constant = |text: &str| Value::Constant(text.to_owned());
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].table, "app.job");
        assert_eq!(
            all[0].set,
            [
                ("state".to_owned(), constant("'running'")),
                ("locked_at".to_owned(), Value::Other),
                ("tries".to_owned(), Value::Other),
                ("by".to_owned(), Value::Other),
            ]
        );
        let with = |text: &str| With::Constant(text.to_owned());
        let found: Vec<(String, With)> = compared(sql)
            .into_iter()
            .map(|one| (one.column, one.with))
            .collect();
        let state = |text: &str| ("state".to_owned(), with(text));
        assert_eq!(
            found,
            [
                state("'new'"),
                state("'failed'"),
                state("'late'"),
                ("locked_at".to_owned(), With::Ago(Duration::from_secs(300))),
            ]
        );
    }

    #[test]
    fn updates_and_deletes_inside_are_found_and_words_of_other_clauses_are_none() {
        for (sql, wanted) in [
            ("delete from job where id = 1", vec![("job", true)]),
            (
                "with c as (update job set state = 1 returning id) select * from c",
                vec![("job", false)],
            ),
            ("select id from job for update", vec![]),
            (
                "insert into job values (1) on conflict (id) do update set state = 2",
                vec![],
            ),
        ] {
            let all = assigned(sql);
            let told: Vec<(&str, bool)> = all
                .iter()
                .map(|one| (one.table.as_str(), one.deletes))
                .collect();
            assert_eq!(told, wanted, "{sql}");
        }
    }
}
