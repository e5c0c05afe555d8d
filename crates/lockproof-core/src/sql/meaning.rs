//! What a request's SQL means, its statements taken together.
//!
//! Owns the answer's shape and the rule for each kind of statement; the parts are found elsewhere.

use super::builtins::{Builtin, builtin};
use super::call::calls;
use super::driver_queries::are_look_ups;
use super::key::Parameter;
use super::kind::{Kind, explained, kind};
use super::lexer::lex;
use super::lock::{lock_call, unlock_all};
use super::lock_table::lock_table;
use super::look_up::{Reads, reads};
use super::normal::normal;
use super::split::views;
use super::token::TokenKind;
use super::view::View;
use super::writes::writes;
use crate::history::LockCall;

/// What a request's SQL means.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Meaning {
    /// The normal form of each statement: white space folded, comments dropped, constants and
    /// parameters replaced, lower case.
    pub normal: Vec<String>,
    /// Calls of advisory lock functions and LOCK TABLE, in the order of the text; DISCARD ALL is one
    /// too.
    pub lock_calls: Vec<LockCall>,
    /// Tables that the text names as written, as spelled there, lower case, each once.
    pub writes: Vec<String>,
    /// Whether the text cannot tell what is written.
    pub opaque: bool,
    /// Whether it is what a driver asks the catalog by itself, known by its text.
    pub look_up: bool,
    /// The kind of each statement.
    pub kinds: Vec<Kind>,
}

/// What this text, which may hold several statements, means with these bound parameters.
#[must_use]
pub fn meaning(sql: &str, parameters: &[Parameter<'_>]) -> Meaning {
    let tokens = lex(sql);
    let statements = views(sql, &tokens.all);
    let mut meaning = Meaning {
        // A text without its end is refused by the server, or not the SQL that we know.
        opaque: !tokens.complete,
        ..Meaning::default()
    };
    let mut reads = Vec::with_capacity(statements.len());
    for view in statements {
        let kind = kind(view);
        meaning.normal.push(normal(view));
        meaning.kinds.push(kind);
        let found = one(view, kind, parameters);
        reads.push(found.reads);
        meaning.opaque |= found.opaque;
        meaning.lock_calls.extend(found.lock_calls);
        for table in found.writes {
            if !meaning.writes.contains(&table) {
                meaning.writes.push(table);
            }
        }
    }
    // npgsql asks for `version()` in the same request.
    meaning.look_up = tokens.complete
        && reads.contains(&Reads::Catalog)
        && !reads.contains(&Reads::Other)
        && are_look_ups(&meaning.normal);
    meaning
}

/// What one statement means.
#[derive(Default)]
struct Found {
    lock_calls: Vec<LockCall>,
    writes: Vec<String>,
    opaque: bool,
    reads: Reads,
}

/// What this statement, of this kind, means.
fn one(view: View<'_>, kind: Kind, parameters: &[Parameter<'_>]) -> Found {
    match kind {
        Kind::Code | Kind::Unknown => opaque(),
        Kind::Prepared if view.is(0, "deallocate") => Found::default(),
        Kind::Prepared => opaque(),
        Kind::Transaction | Kind::Notify | Kind::Maintenance => Found::default(),
        Kind::LockTable => lock_table(view).map_or_else(opaque, |lock_calls| Found {
            lock_calls,
            ..Found::default()
        }),
        Kind::Setting => Found {
            lock_calls: if view.are(0, &["discard", "all"]) {
                vec![unlock_all()]
            } else {
                Vec::new()
            },
            ..Found::default()
        },
        Kind::Explain => {
            let (at, executed) = explained(view);
            let inner = view.from(at);
            if executed {
                let found = one(inner, super::kind::kind(inner), parameters);
                Found {
                    reads: Reads::Other,
                    ..found
                }
            } else {
                Found::default()
            }
        }
        Kind::Cursor => {
            // Its query runs when rows are fetched, by a statement that does not name it.
            let found = executed(view, kind, parameters);
            Found {
                opaque: found.opaque || !found.lock_calls.is_empty(),
                ..Found::default()
            }
        }
        Kind::Ddl => {
            let written = writes(view, kind);
            let query = ddl_query(view);
            let found = query.map(|query| executed(query, Kind::Read, parameters));
            let found = found.unwrap_or_default();
            Found {
                writes: written.tables,
                opaque: written.opaque || found.opaque || computes(view),
                lock_calls: found.lock_calls,
                ..Found::default()
            }
        }
        Kind::Read
        | Kind::Insert
        | Kind::Update
        | Kind::Delete
        | Kind::Merge
        | Kind::Truncate
        | Kind::CopyIn
        | Kind::CopyOut => executed(view, kind, parameters),
    }
}

fn opaque() -> Found {
    Found {
        opaque: true,
        ..Found::default()
    }
}

/// Whether it computes rows by a function of the database's own: the expressions of an index, of a new
/// column's default, of a column's new type. (What a view, a policy or a function says is kept, not done.)
fn computes(view: View<'_>) -> bool {
    const METHODS: [&str; 6] = ["brin", "btree", "gin", "gist", "hash", "spgist"];
    let is_index = view.is(0, "create") && (1..4).any(|at| view.is(at, "index"));
    let is_table = view.is(0, "alter") && (1..4).any(|at| view.is(at, "table"));
    let expressions = if is_index {
        // ON name USING method (…): what stands in the parenthesis, and after it.
        let open = (1..view.len()).find(|at| view.is_kind(*at, TokenKind::Open));
        open.map(|open| view.from(open + 1))
    } else {
        is_table.then_some(view)
    };
    expressions.is_some_and(|expressions| {
        calls(expressions).iter().any(|call| {
            let is_of_server = matches!(call.name.schema.as_deref(), None | Some("pg_catalog"));
            let is_known = builtin(&call.name.name).is_some();
            let is_method = METHODS.contains(&call.name.name.as_str());
            !(is_method || is_of_server && is_known)
        })
    })
}

/// The query that CREATE TABLE … AS and CREATE MATERIALIZED VIEW … AS execute at once.
fn ddl_query(view: View<'_>) -> Option<View<'_>> {
    let fills = (1..view.len().min(6)).any(|at| view.is_any(at, &["table", "materialized"]));
    if !view.is(0, "create") || !fills {
        return None;
    }
    (1..view.len())
        .find(|&at| {
            view.is(at, "as") && view.is_any(at + 1, &["select", "with", "values", "table"])
        })
        .map(|at| view.from(at + 1))
}

/// What a statement means whose expressions are evaluated.
fn executed(view: View<'_>, kind: Kind, parameters: &[Parameter<'_>]) -> Found {
    let written = writes(view, kind);
    let mut found = Found {
        writes: written.tables,
        opaque: written.opaque,
        ..Found::default()
    };
    let mut steady = true;
    // COPY t (columns) has a list that looks like a call, and no expression but in WHERE.
    let scanned = if kind == Kind::CopyIn {
        view.part(0, 0)
    } else {
        view
    };
    for call in calls(scanned) {
        if let Some(lock) = lock_call(view, &call, parameters) {
            found.lock_calls.push(lock);
            continue;
        }
        let own = match call.name.schema.as_deref() {
            None | Some("pg_catalog") => builtin(&call.name.name),
            Some("information_schema") => Some(Builtin::Steady),
            Some(_) => None,
        };
        found.opaque |= own.is_none();
        steady &= own == Some(Builtin::Steady);
    }
    if kind == Kind::Read
        && steady
        && found.writes.is_empty()
        && found.lock_calls.is_empty()
        && !locks_rows(view)
    {
        found.reads = reads(view);
    }
    found
}

/// SELECT … FOR UPDATE and its like.
fn locks_rows(view: View<'_>) -> bool {
    (0..view.len())
        .any(|at| view.is(at, "for") && view.is_any(at + 1, &["update", "share", "no", "key"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ddl_that_computes_rows_by_a_function_of_the_database_cannot_be_told_by_its_text() {
        for sql in [
            "create index on t (f(a))",
            "create unique index concurrently i on t using btree (lower(a)) where s.f(b) > 0",
            "alter table t alter column a type int using f(a)",
            "alter table t add column b int default f()",
        ] {
            assert!(meaning(sql, &[]).opaque, "{sql}");
        }
        for sql in [
            "create index on t (a)",
            "create index on only s.t using gin (a gin_trgm_ops(siglen = 32), b) include (c) with (fillfactor = 70)",
            "create index i on t (lower(a), (b || c)) where b is not null",
            "alter table t add column c varchar(10) default now()",
            "alter table t add constraint x foreign key (a, b) references u (a, b), add check (a > 0)",
            "alter table t add constraint y exclude using gist (r with &&)",
            "alter table t attach partition p for values from (1) to (2)",
            "create view v as select f(a) from t",
        ] {
            assert!(!meaning(sql, &[]).opaque, "{sql}");
        }
    }
}
