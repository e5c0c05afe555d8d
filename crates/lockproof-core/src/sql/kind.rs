//! What kind of statement a text is, told by its leading words.
//!
//! Owns the list of kinds. Knows nothing of tables and functions.

use super::call::query_of;
use super::token::TokenKind;
use super::view::View;

/// What kind of statement it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// SELECT, VALUES, TABLE (its `WITH` queries may write all the same).
    Read,
    /// INSERT.
    Insert,
    /// UPDATE.
    Update,
    /// DELETE.
    Delete,
    /// MERGE.
    Merge,
    /// TRUNCATE.
    Truncate,
    /// COPY … FROM.
    CopyIn,
    /// COPY … TO.
    CopyOut,
    /// CREATE, ALTER, DROP and the like.
    Ddl,
    /// BEGIN, COMMIT, ROLLBACK, SAVEPOINT and the like.
    Transaction,
    /// SET, SHOW, RESET, DISCARD.
    Setting,
    /// LISTEN, NOTIFY, UNLISTEN.
    Notify,
    /// LOCK TABLE.
    LockTable,
    /// DECLARE, FETCH, MOVE, CLOSE.
    Cursor,
    /// EXPLAIN.
    Explain,
    /// VACUUM, ANALYZE, CHECKPOINT and the like: no row changes its value.
    Maintenance,
    /// DO, CALL.
    Code,
    /// PREPARE, EXECUTE, DEALLOCATE as statements.
    Prepared,
    /// Anything else.
    Unknown,
}

/// The kind of this statement.
pub(super) fn kind(view: View<'_>) -> Kind {
    let mut at = 0;
    while view.is_kind(at, TokenKind::Open) {
        at += 1;
    }
    if view.is(at, "with") {
        at = main_verb(view, at + 1);
    }
    let word = view.text(at).to_ascii_lowercase();
    match word.as_str() {
        "select" | "values" | "table" => Kind::Read,
        "insert" => Kind::Insert,
        "update" => Kind::Update,
        "delete" => Kind::Delete,
        "merge" => Kind::Merge,
        "truncate" => Kind::Truncate,
        "copy" => copy(view),
        "create" | "alter" | "drop" | "comment" | "grant" | "revoke" | "security" | "reassign"
        | "import" | "refresh" => Kind::Ddl,
        "begin" | "start" | "commit" | "end" | "rollback" | "abort" | "savepoint" | "release" => {
            Kind::Transaction
        }
        "prepare" if view.is(at + 1, "transaction") => Kind::Transaction,
        "set" | "reset" | "show" | "discard" => Kind::Setting,
        "listen" | "notify" | "unlisten" => Kind::Notify,
        "lock" => Kind::LockTable,
        "declare" | "fetch" | "move" | "close" => Kind::Cursor,
        "explain" => Kind::Explain,
        "vacuum" | "analyze" | "analyse" | "checkpoint" | "cluster" | "reindex" | "load" => {
            Kind::Maintenance
        }
        "do" | "call" => Kind::Code,
        "prepare" | "execute" | "deallocate" => Kind::Prepared,
        _ => Kind::Unknown,
    }
}

/// The place of the verb that follows the `WITH` queries.
fn main_verb(view: View<'_>, from: usize) -> usize {
    let mut at = from;
    while at < view.len() {
        if let Some(open) = query_of(view, at) {
            at = view.closing(open) + 1;
            continue;
        }
        match view.kind(at) {
            Some(TokenKind::Open) => {
                // Columns of a query, unless nothing but the main query can follow.
                let closed = view.closing(at) + 1;
                if !view.is(closed, "as") {
                    return at + 1;
                }
                at = closed;
            }
            Some(TokenKind::Word)
                if view.is_any(
                    at,
                    &[
                        "select", "insert", "update", "delete", "merge", "values", "table",
                    ],
                ) && !view.is(at + 1, "as") =>
            {
                return at;
            }
            _ => at += 1,
        }
    }
    at
}

fn copy(view: View<'_>) -> Kind {
    let mut at = 1;
    if view.is_kind(at, TokenKind::Open) {
        return Kind::CopyOut;
    }
    at = view.skip(at, &["binary"]);
    let Some((_, mut next)) = view.name(at) else {
        return Kind::Unknown;
    };
    if view.is_kind(next, TokenKind::Open) {
        next = view.closing(next) + 1;
    }
    if view.is(next, "from") {
        Kind::CopyIn
    } else if view.is(next, "to") {
        Kind::CopyOut
    } else {
        Kind::Unknown
    }
}

/// For EXPLAIN: where the statement begins that it explains, and whether it is executed.
pub(super) fn explained(view: View<'_>) -> (usize, bool) {
    if view.is_kind(1, TokenKind::Open) {
        let close = view.closing(1);
        let analyze = (2..close).find(|&at| view.is_any(at, &["analyze", "analyse"]));
        let executed = analyze.is_some_and(|at| {
            let off = view.is_any(at + 1, &["off", "false"]) || view.text(at + 1) == "0";
            !off
        });
        return (close + 1, executed);
    }
    let at = view.skip_any(1, &["analyze", "analyse", "verbose"]);
    (
        at,
        (1..at).any(|at| view.is_any(at, &["analyze", "analyse"])),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::lexer::lex;

    fn kind_of(sql: &str) -> Kind {
        let tokens = lex(sql);
        kind(View {
            sql,
            tokens: &tokens.all,
        })
    }

    #[test]
    fn the_leading_words_tell_the_kind() {
        for (sql, expected) in [
            ("SELECT 1", Kind::Read),
            ("(select 1) union (select 2)", Kind::Read),
            (
                "with a as (insert into t values (1) returning x) select * from a",
                Kind::Read,
            ),
            (
                "with recursive a(x) as not materialized (select 1), b as (table t) insert into u select 1",
                Kind::Insert,
            ),
            ("with a as (select 1) (select * from a)", Kind::Read),
            (
                "with \"delete\" as (select 1) update t set x = 1",
                Kind::Update,
            ),
            ("copy t from stdin", Kind::CopyIn),
            (
                "COPY public.t (a, b) FROM STDIN WITH (FORMAT binary)",
                Kind::CopyIn,
            ),
            ("copy (select * from t) to stdout", Kind::CopyOut),
            ("copy t to stdout", Kind::CopyOut),
            ("copy binary t from stdin", Kind::CopyIn),
            ("prepare transaction 'x'", Kind::Transaction),
            ("prepare p as select 1", Kind::Prepared),
            ("frobnicate t", Kind::Unknown),
            ("'select'", Kind::Unknown),
        ] {
            assert_eq!(kind_of(sql), expected, "{sql}");
        }
    }
}
