//! Function calls in a statement's text.
//!
//! Owns what looks like a call and is none: keywords before a parenthesis, types with a length,
//! column lists, aliases and the names of `WITH` queries.

use super::token::TokenKind;
use super::view::{Name, View};

/// A call: what is called, and the place of its opening parenthesis. (Where it closes is looked for
/// only where it matters: in deeply nested calls the search for each would take its square.)
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) name: Name,
    pub(super) open: usize,
}

/// Words that stand before a parenthesis and call nothing, sorted.
#[rustfmt::skip]
const NO_FUNCTIONS: &[&str] = &[
    "all", "and", "any", "array", "as", "asc", "between", "by", "case", "check", "conflict", "cube",
    "cycle", "default", "delete", "desc", "distinct", "else", "end", "escape", "except", "exclude",
    "exists", "explain", "filter", "first", "for", "from", "group", "having", "if", "ilike", "in",
    "inner", "insert", "intersect", "into", "is", "isnull", "join", "key", "last", "lateral", "like",
    "limit", "matched", "materialized", "natural", "not", "notnull", "null", "offset", "on", "only",
    "operator", "or", "order", "over", "partition", "precision", "primary", "recursive", "references",
    "returning", "rollup", "row", "rows", "select", "set", "sets", "similar", "some", "symmetric",
    "table", "then", "to", "union", "unique", "update", "using", "values", "varying", "verbose", "when",
    "where", "window", "with", "within", "without", "zone",
];

/// Those of them that PostgreSQL does not reserve: a function may be called so.
#[rustfmt::skip]
const MAY_BE_FUNCTIONS: &[&str] = &[
    "cycle", "delete", "escape", "exclude", "explain", "filter", "first", "if", "insert", "key", "last",
    "matched", "materialized", "over", "partition", "recursive", "rows", "set", "update", "within",
    "without", "zone",
];

/// Words after which an expression begins, and nothing else can stand, sorted.
#[rustfmt::skip]
const ONLY_BEFORE_EXPRESSION: &[&str] = &[
    "and", "case", "distinct", "else", "having", "not", "or", "returning", "select", "then", "when",
    "where",
];

/// Words after which an expression, a function among them, may begin, sorted. A name after any other
/// word is an alias.
#[rustfmt::skip]
const BEFORE_EXPRESSION: &[&str] = &[
    "all", "and", "any", "asymmetric", "between", "by", "call", "case", "default", "distinct", "else",
    "escape", "except", "first", "following", "for", "from", "group", "having", "ilike", "in",
    "intersect", "is", "join", "lateral", "like", "limit", "next", "not", "offset", "on", "only", "or",
    "preceding", "returning", "row", "select", "set", "similar", "some", "symmetric", "then", "to",
    "union", "using", "values", "when", "where", "zone",
];

/// Whether this word (lower case) is a keyword that takes a parenthesis without being a function.
pub(super) fn takes_parenthesis(word: &str) -> bool {
    NO_FUNCTIONS.binary_search(&word).is_ok()
}

/// All calls, in the order of the text.
pub(super) fn calls(view: View<'_>) -> Vec<Call> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < view.len() {
        let begins = matches!(view.kind(at), Some(TokenKind::Word | TokenKind::Quoted))
            && !(at > 0 && view.is_kind(at - 1, TokenKind::Dot));
        let Some((name, open)) = begins.then(|| view.name(at)).flatten() else {
            at += 1;
            continue;
        };
        if view.is_kind(open, TokenKind::Open) && is_call(view, at, &name, open) {
            found.push(Call { name, open });
        }
        at = open;
    }
    found
}

fn is_call(view: View<'_>, at: usize, name: &Name, open: usize) -> bool {
    let plain_word = view.kind(at) == Some(TokenKind::Word) && name.schema.is_none();
    if plain_word && takes_parenthesis(&name.name) {
        return MAY_BE_FUNCTIONS.binary_search(&name.name.as_str()).is_ok()
            && begins_expression(view, at);
    }
    let Some(before) = at.checked_sub(1) else {
        return true;
    };
    match view.kind(before) {
        Some(TokenKind::Word) => {
            let word = view.text(before).to_ascii_lowercase();
            BEFORE_EXPRESSION.binary_search(&word.as_str()).is_ok()
        }
        Some(TokenKind::Comma) => !is_with_query(view, open),
        Some(
            TokenKind::Cast
            | TokenKind::Quoted
            | TokenKind::Close
            | TokenKind::Text
            | TokenKind::Number
            | TokenKind::Parameter,
        ) => false,
        Some(TokenKind::Mark) => view.text(before) != "]",
        _ => true,
    }
}

/// Whether nothing but an expression can begin here.
fn begins_expression(view: View<'_>, at: usize) -> bool {
    at.checked_sub(1).is_some_and(|before| {
        let word = view.text(before).to_ascii_lowercase();
        view.is_kind(before, TokenKind::Word)
            && ONLY_BEFORE_EXPRESSION.binary_search(&word.as_str()).is_ok()
    })
}

/// Whether the parenthesis here lists the columns of a `WITH` query: `name (a, b) as (select …)`.
fn is_with_query(view: View<'_>, open: usize) -> bool {
    query_of(view, view.closing(open) + 1).is_some()
}

/// The place of the opening parenthesis of a query if `as (select …` stands here.
pub(super) fn query_of(view: View<'_>, at: usize) -> Option<usize> {
    if !view.is(at, "as") {
        return None;
    }
    let open = view.skip_any(at + 1, &["not", "materialized"]);
    let verb = open + 1;
    let is_query = view.is_any(
        verb,
        &[
            "select", "with", "values", "table", "insert", "update", "delete", "merge",
        ],
    ) || view.is_kind(verb, TokenKind::Open);
    (view.is_kind(open, TokenKind::Open) && is_query).then_some(open)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::lexer::lex;

    fn names(sql: &str) -> Vec<String> {
        let tokens = lex(sql);
        let view = View {
            sql,
            tokens: &tokens.all,
        };
        calls(view)
            .into_iter()
            .map(|call| call.name.spelled())
            .collect()
    }

    #[test]
    fn the_word_lists_are_sorted() {
        assert!(NO_FUNCTIONS.is_sorted());
        assert!(BEFORE_EXPRESSION.is_sorted());
        assert!(ONLY_BEFORE_EXPRESSION.is_sorted());
        assert!(MAY_BE_FUNCTIONS.is_sorted());
        assert!(MAY_BE_FUNCTIONS.iter().all(|word| takes_parenthesis(word)));
    }

    #[test]
    fn a_function_may_have_the_name_of_a_word_that_is_not_reserved() {
        assert_eq!(
            names("select set('t'), last(a) from t where not first(a)"),
            ["set", "first"]
        );
        for sql in [
            "update t set (a, b) = (1, 2)",
            "select count(*) filter (where a), sum(b) over (partition by c) from t group by a",
            "insert into t values (1) on conflict (key) do update set (a) = row(1)",
        ] {
            let found = names(sql);
            assert!(
                found.iter().all(|name| name == "count" || name == "sum"),
                "{sql}: {found:?}"
            );
        }
    }

    #[test]
    fn calls_are_found_wherever_they_stand() {
        assert_eq!(
            names(
                "select f(1), a.G(h(2)), \"I\"() from j(3) k join lateral l(4) on m(5) where n(6) = -o(7)"
            ),
            ["f", "a.g", "h", "i", "j", "l", "m", "n", "o"]
        );
        assert_eq!(
            names("insert into t (a) values (now(), f($1)) returning g(a)"),
            ["now", "f", "g"]
        );
        assert_eq!(
            names("select case when f(1) then g(2) else h(3) end limit i(4)"),
            ["f", "g", "h", "i"]
        );
    }

    #[test]
    fn what_only_looks_like_a_call_is_none() {
        for sql in [
            "insert into t(a, b) values ($1, $2) on conflict (a) do update set b = excluded.b",
            "insert into s.t as u (a) select 1",
            "with x(a) as (select 1), y (b) as materialized (select 2) select * from x, y",
            "select $1::numeric(5,2), cast(1 as varchar (3)) from t u(a, b) where a in (1) and b = any ($1)",
            "select 1 from (values (1)) v(a) join t using (a) where exists (select 1) order by (a)",
            "select 'f(1)', \"f(1)\" /* f(1) */ -- f(1)",
            "select x from t as u (a), unnest_me v (b)",
            "select x over (partition by y) from t window w as (order by z)",
            "update t set (a, b) = (1, 2)",
            "select 1 operator(pg_catalog.+) 2",
        ] {
            let found: Vec<String> = names(sql)
                .into_iter()
                .filter(|name| name != "cast")
                .collect();
            assert_eq!(found, Vec::<String>::new(), "{sql}");
        }
    }
}
