//! Locking reads: `FOR UPDATE` and its like.
//!
//! Owns their grammar: how strong the lock is, of which tables the rows are, what is done about rows that others
//! have locked. By tokens: a clause locks rows of what its own query, between the same parentheses, reads from.

use super::kind::{Kind, kind};
use super::lexer::lex;
use super::split::views;
use super::token::TokenKind;
use super::view::View;

/// A locking clause of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowLock {
    /// The tables of which rows are locked, as the text spells them, in lower case.
    pub tables: Vec<String>,
    /// Whether two cannot have a row so at once (FOR UPDATE, FOR NO KEY UPDATE).
    pub keeps_its_like_out: bool,
    /// `FOR UPDATE SKIP LOCKED`.
    pub how: String,
}

const STRENGTHS: [(&[&str], bool); 4] = [
    (&["update"], true),
    (&["no", "key", "update"], true),
    (&["share"], false),
    (&["key", "share"], false),
];

/// Words that can come behind a table in FROM and are no name for it.
#[rustfmt::skip]
const NO_ALIAS: [&str; 22] = [
    "where", "join", "left", "right", "inner", "outer", "full", "cross", "natural", "on", "using", "group", "order",
    "having", "limit", "offset", "fetch", "for", "union", "returning", "window", "tablesample",
];

/// The locking clauses of a text, in its order.
#[must_use]
pub fn row_locks(sql: &str) -> Vec<RowLock> {
    let tokens = lex(sql);
    let statements = views(sql, &tokens.all);
    statements.into_iter().flat_map(of_statement).collect()
}

fn of_statement(view: View<'_>) -> Vec<RowLock> {
    // `FOR UPDATE` is also a word of CREATE POLICY.
    let reads = |kind| {
        matches!(
            kind,
            Kind::Read
                | Kind::Insert
                | Kind::Update
                | Kind::Delete
                | Kind::Merge
                | Kind::Cursor
                | Kind::CopyOut
        )
    };
    if !reads(kind(view)) {
        return Vec::new();
    }
    let places = (0..view.len()).filter(|at| view.is(*at, "for"));
    places.filter_map(|at| clause(view, at)).collect()
}

fn clause(view: View<'_>, at: usize) -> Option<RowLock> {
    let (words, keeps_its_like_out) = STRENGTHS
        .iter()
        .find(|(words, _)| view.are(at + 1, words))?;
    let mut next = at + 1 + words.len();
    let mut how = format!("FOR {}", words.join(" ").to_uppercase());
    let from = sources(view, at);
    let mut tables: Vec<String> = Vec::new();
    if view.is(next, "of") {
        loop {
            let (name, after) = view.name(next + 1)?;
            let spelled = name.spelled();
            let source = from.iter().find(|(table, alias)| {
                alias.as_ref() == Some(&spelled) || last(table) == last(&spelled)
            });
            tables.push(source.map_or(spelled, |(table, _)| table.clone()));
            next = after;
            if !view.is_kind(next, TokenKind::Comma) {
                break;
            }
        }
    } else {
        tables.extend(from.into_iter().map(|(table, _)| table));
    }
    if view.are(next, &["skip", "locked"]) {
        how.push_str(" SKIP LOCKED");
    } else if view.is(next, "nowait") {
        how.push_str(" NOWAIT");
    }
    Some(RowLock {
        tables,
        keeps_its_like_out: *keeps_its_like_out,
        how,
    })
}

fn last(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// What the query of the clause at this place reads from, each with its other name.
fn sources(view: View<'_>, clause: usize) -> Vec<(String, Option<String>)> {
    // Back to the parenthesis that the clause stands in.
    let mut depth = 0_usize;
    let mut begin = clause;
    while begin > 0 {
        match view.kind(begin - 1) {
            Some(TokenKind::Close) => depth += 1,
            Some(TokenKind::Open) if depth == 0 => break,
            Some(TokenKind::Open) => depth -= 1,
            _ => {}
        }
        begin -= 1;
    }
    let mut found = Vec::new();
    let mut at = begin;
    while at < clause {
        if view.is_kind(at, TokenKind::Open) {
            at = view.closing(at) + 1;
            continue;
        }
        if !view.is_any(at, &["from", "join"]) {
            at += 1;
            continue;
        }
        let mut next = at + 1;
        loop {
            next = view.skip_any(next, &["only", "lateral"]);
            let Some((name, after)) = view.name(next) else {
                break;
            };
            let of = view.skip(after, &["as"]);
            let named = !view.is_any(of, &NO_ALIAS);
            let alias = view.identifier(of).filter(|_| named);
            next = of + usize::from(alias.is_some());
            found.push((name.spelled(), alias.map(|alias| alias.to_lowercase())));
            if !view.is_kind(next, TokenKind::Comma) {
                break;
            }
            next += 1;
        }
        at = next.max(at + 1);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(sql: &str) -> Vec<String> {
        let all = row_locks(sql);
        let words = |one: RowLock| format!("{} of {}", one.how, one.tables.join(", "));
        all.into_iter().map(words).collect()
    }

    #[test]
    fn a_locking_read_locks_rows_of_what_its_own_query_reads_from() {
        for (sql, wanted) in [
            (
                "select id from job where not done order by id limit 1 for update skip locked",
                "FOR UPDATE SKIP LOCKED of job",
            ),
            (
                "SELECT * FROM app.\"Job\" j FOR NO KEY UPDATE NOWAIT",
                "FOR NO KEY UPDATE NOWAIT of app.job",
            ),
            ("select 1 from only flag for share", "FOR SHARE of flag"),
            (
                "select 1 from a, b as c where a.id = c.id for key share of c",
                "FOR KEY SHARE of b",
            ),
            (
                "select 1 from a join b on a.id = b.id left join c using (id) for update of a, c",
                "FOR UPDATE of a, c",
            ),
            (
                "update job set state = 1 where id = (select id from job x where state = 0 for update skip locked limit 1)",
                "FOR UPDATE SKIP LOCKED of job",
            ),
            (
                "with s as (select id from job for update) update job set a = 1 from s where s.id = job.id",
                "FOR UPDATE of job",
            ),
            (
                "select id from a where exists (select 1 from b where b.id = a.id) for update",
                "FOR UPDATE of a",
            ),
            (
                "declare c cursor for select id from job for update",
                "FOR UPDATE of job",
            ),
        ] {
            assert_eq!(told(sql), [wanted], "{sql}");
        }
    }

    #[test]
    fn other_words_for_are_no_lock() {
        for sql in [
            "select substring(name for 3) from job",
            "create policy p on job for update using (true)",
            "create table p partition of q for values in (1)",
            "insert into t values ('for update')",
            "select 1 from job",
        ] {
            assert!(row_locks(sql).is_empty(), "{sql}");
        }
        assert!(!row_locks("select 1 from t for share")[0].keeps_its_like_out);
        assert!(row_locks("select 1 from t for update")[0].keeps_its_like_out);
    }
}
