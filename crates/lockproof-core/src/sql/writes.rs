//! The tables that a statement's text names as written.
//!
//! Owns the grammar around the written table's name, no more. Triggers, cascades, rules and
//! functions write without being seen here; the witness sees them.

use super::kind::Kind;
use super::token::TokenKind;
use super::view::View;

/// Begins the name of a table that its own session alone sees.
pub const TEMPORARY: &str = "pg_temp.";

/// What a text writes.
#[derive(Debug, Default)]
pub(super) struct Writes {
    /// The tables, as spelled, in lower case, in order, each once.
    pub(super) tables: Vec<String>,
    /// Whether it changes what the text does not name.
    pub(super) opaque: bool,
    /// Whether what is added now is made for the session alone.
    temporary: bool,
}

impl Writes {
    fn add(&mut self, view: View<'_>, at: usize) -> Option<usize> {
        let (name, next) = view.name(at)?;
        let mut spelled = name.spelled();
        if self.temporary && !spelled.contains('.') {
            spelled = format!("{TEMPORARY}{spelled}");
        }
        if !self.tables.contains(&spelled) {
            self.tables.push(spelled);
        }
        Some(next)
    }

    /// Adds the names of a list, separated by commas.
    fn add_list(&mut self, view: View<'_>, from: usize) {
        let mut at = from;
        loop {
            at = view.skip(at, &["only"]);
            let Some(next) = self.add(view, at) else {
                return;
            };
            at = next + usize::from(view.text(next) == "*");
            if !view.is_kind(at, TokenKind::Comma) {
                return;
            }
            at += 1;
        }
    }
}

/// What this statement writes.
pub(super) fn writes(view: View<'_>, kind: Kind) -> Writes {
    let mut writes = Writes::default();
    match kind {
        Kind::Truncate => {
            let at = view.skip(1, &["table"]);
            writes.add_list(view, at);
        }
        Kind::CopyIn => {
            let at = view.skip(1, &["binary"]);
            writes.add(view, at);
        }
        Kind::Ddl => ddl(view, &mut writes),
        Kind::Read
        | Kind::Insert
        | Kind::Update
        | Kind::Delete
        | Kind::Merge
        | Kind::CopyOut
        | Kind::Cursor => rows(view, kind, &mut writes),
        _ => {}
    }
    writes
}

/// INSERT, UPDATE, DELETE, MERGE and SELECT INTO, wherever in the statement they stand.
fn rows(view: View<'_>, kind: Kind, writes: &mut Writes) {
    let mut depth = 0_usize;
    for at in 0..view.len() {
        match view.kind(at) {
            Some(TokenKind::Open) => depth += 1,
            Some(TokenKind::Close) => depth = depth.saturating_sub(1),
            Some(TokenKind::Word) => {
                // A verb begins the statement, a query in parentheses or what follows the WITH queries;
                // elsewhere the same word belongs to FOR UPDATE, ON CONFLICT DO UPDATE, THEN DELETE.
                let begins = at == 0
                    || matches!(view.kind(at - 1), Some(TokenKind::Open | TokenKind::Close));
                let into = [["insert", "into"], ["merge", "into"], ["delete", "from"]];
                if begins && into.iter().any(|words| view.are(at, words)) {
                    writes.add(view, view.skip(at + 2, &["only"]));
                } else if begins && view.is(at, "update") {
                    let name = view.skip(at + 1, &["only"]);
                    // A column may be called update.
                    if !view.is_kind(name, TokenKind::Comma) {
                        writes.add(view, name);
                    }
                } else if kind == Kind::Read && depth == 0 && view.is(at, "into") {
                    let previous = at.saturating_sub(1);
                    if !view.is_any(previous, &["insert", "merge"]) {
                        let name = view.skip_any(
                            at + 1,
                            &["temporary", "temp", "local", "global", "unlogged", "table"],
                        );
                        writes.temporary = is_temporary(view, at + 1, name);
                        writes.add(view, name);
                    }
                }
            }
            _ => {}
        }
    }
}

fn ddl(view: View<'_>, writes: &mut Writes) {
    let cascade = (0..view.len()).any(|at| view.is(at, "cascade"));
    if view.is(0, "refresh") {
        let at = view.skip(1, &["materialized", "view"]);
        writes.add(view, view.skip(at, &["concurrently"]));
        return;
    }
    if view.is(0, "import") || view.is(0, "reassign") {
        writes.opaque = true;
        return;
    }
    if !view.is_any(0, &["create", "alter", "drop"]) {
        // COMMENT, GRANT, REVOKE: the catalog alone.
        return;
    }
    let mut at = view.skip(1, &["or", "replace"]);
    at = view.skip_any(
        at,
        &[
            "temporary",
            "temp",
            "local",
            "global",
            "unlogged",
            "foreign",
            "materialized",
            "recursive",
            "unique",
            "constraint",
            "event",
        ],
    );
    let object = view.text(at).to_ascii_lowercase();
    let name = after_conditions(view, at + 1);
    match (view.text(0).to_ascii_lowercase().as_str(), object.as_str()) {
        ("drop", "table" | "view" | "sequence" | "index") => writes.add_list(view, name),
        (_, "table" | "view" | "sequence") => {
            if view.are(name, &["all", "in", "tablespace"]) {
                writes.opaque = true;
            } else {
                writes.temporary = is_temporary(view, 1, at);
                writes.add(view, name);
            }
        }
        ("alter", "index") => {
            writes.add(view, name);
        }
        ("create", "index") | (_, "trigger" | "policy" | "rule") => {
            let creates_rule = object == "rule" && view.is(0, "create");
            let word = if creates_rule { "to" } else { "on" };
            if let Some(on) = (at..view.len()).find(|&at| view.is(at, word)) {
                writes.add(view, view.skip(on + 1, &["only"]));
            }
        }
        // What these take along, or run, the text does not name.
        ("drop", "owned") | ("create", "extension") | ("alter", "extension") => {
            writes.opaque = true
        }
        ("drop", _) if cascade => writes.opaque = true,
        _ => {}
    }
    if (0..view.len()).any(|at| view.are(at, &["as", "execute"])) {
        writes.opaque = true;
    }
}

/// Whether TEMP or TEMPORARY is among these words.
fn is_temporary(view: View<'_>, from: usize, to: usize) -> bool {
    (from..to).any(|at| view.is_any(at, &["temp", "temporary"]))
}

fn after_conditions(view: View<'_>, at: usize) -> usize {
    let at = view.skip(at, &["concurrently"]);
    let at = view.skip(at, &["if", "not", "exists"]);
    let at = view.skip(at, &["if", "exists"]);
    view.skip(at, &["only"])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::kind::kind;
    use crate::sql::lexer::lex;

    fn tables(sql: &str) -> (Vec<String>, bool) {
        let tokens = lex(sql);
        let view = View {
            sql,
            tokens: &tokens.all,
        };
        let writes = writes(view, kind(view));
        (writes.tables, writes.opaque)
    }

    #[test]
    fn every_written_table_is_named_once() {
        for (sql, expected) in [
            ("INSERT INTO Invoices (a) VALUES (1)", "invoices"),
            (
                "insert into \"public\".\"Invoices\"(a) select * from t",
                "public.invoices",
            ),
            ("update only t * set a = 1 from u", "t"),
            ("delete from t using u where t.a = u.a", "t"),
            (
                "merge into t using u on true when matched then delete when not matched then insert values (1)",
                "t",
            ),
            ("truncate a", "a"),
            (
                "TRUNCATE TABLE ONLY a, b *, \"c\" RESTART IDENTITY CASCADE",
                "a b c",
            ),
            ("copy t (a) from stdin", "t"),
            ("copy t to stdout", ""),
            (
                "with x as (delete from a returning *), y as (update b set c = 1) insert into d select * from x",
                "a b d",
            ),
            ("with x as (select 1) update t set a = 1", "t"),
            (
                "insert into t values (1) on conflict (a) do update set b = 2",
                "t",
            ),
            ("select * from t for update", ""),
            ("select * from t for no key update of t", ""),
            ("select a into temp x from t", "pg_temp.x"),
            (
                "select 'insert into t', \"update\" from u /* delete from v */",
                "",
            ),
            ("explain insert into t values (1)", ""),
            (
                "create table if not exists s.t (a int references u on delete cascade)",
                "s.t",
            ),
            ("create temp table t as select 1", "pg_temp.t"),
            ("create view temp as select 1", "temp"),
            ("create index temp on t (a)", "t"),
            ("select station, temp into daily from raw", "daily"),
            ("create unlogged table t ()", "t"),
            ("drop table if exists a, b cascade", "a b"),
            ("alter table if exists only t add column x int", "t"),
            (
                "create unique index concurrently if not exists i on only t (lower(a))",
                "t",
            ),
            ("create index on t using gin (a)", "t"),
            ("drop index i", "i"),
            (
                "create trigger g before insert or update of a on t for each row execute function f()",
                "t",
            ),
            ("create rule r as on insert to t do nothing", "t"),
            ("drop trigger g on t", "t"),
            ("create or replace view v as select 1", "v"),
            ("refresh materialized view concurrently m", "m"),
            ("grant select on t to u", ""),
            ("comment on table t is 'update x'", ""),
            ("create type e as enum ('a')", ""),
        ] {
            let (found, opaque) = tables(sql);
            assert_eq!(found.join(" "), expected, "{sql}");
            assert!(!opaque, "{sql}");
        }
    }

    #[test]
    fn what_takes_more_along_than_it_names_is_opaque() {
        for sql in [
            "drop schema public cascade",
            "drop owned by me",
            "drop type e cascade",
            "create extension pgcrypto",
            "create table t as execute p",
            "import foreign schema s from server x into y",
        ] {
            assert!(tables(sql).1, "{sql}");
        }
        assert!(!tables("drop type if exists e").1);
    }
}
