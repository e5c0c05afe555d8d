//! Whether a statement is a driver's look-up in the catalog.
//!
//! Owns what counts as catalog. Activity (`pg_locks`, `pg_stat_…`) does not: a job may poll it as
//! part of its logic.

use std::collections::HashSet;

use super::call::query_of;
use super::token::TokenKind;
use super::view::{Name, View};

/// Relations of `pg_catalog` that describe the database, without their prefix `pg_`, sorted.
#[rustfmt::skip]
const CATALOG: &[&str] = &[
    "aggregate", "am", "amop", "amproc", "attrdef", "attribute", "auth_members", "authid",
    "available_extension_versions", "available_extensions", "cast", "class", "collation", "constraint",
    "conversion", "database", "db_role_setting", "default_acl", "depend", "description", "enum",
    "event_trigger", "extension", "foreign_data_wrapper", "foreign_server", "foreign_table", "group",
    "index", "indexes", "inherits", "init_privs", "language", "matviews", "namespace", "opclass",
    "operator", "opfamily", "parameter_acl", "partitioned_table", "policies", "policy", "proc",
    "publication", "publication_namespace", "publication_rel", "publication_tables", "range", "rewrite",
    "roles", "rules", "seclabel", "seclabels", "sequence", "sequences", "settings", "shadow",
    "shdepend", "shdescription", "shseclabel", "statistic_ext", "subscription", "subscription_rel",
    "tables", "tablespace", "timezone_abbrevs", "timezone_names", "transform", "trigger", "ts_config",
    "ts_config_map", "ts_dict", "ts_parser", "ts_template", "type", "user", "user_mapping",
    "user_mappings", "views",
];

/// What a reading statement reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Reads {
    /// Relations of the catalog, and no others.
    Catalog,
    /// No relation at all.
    Nothing,
    /// Anything else.
    #[default]
    Other,
}

/// What this reading statement reads.
pub(super) fn reads(view: View<'_>) -> Reads {
    let found = relations(view);
    if found.is_empty() {
        Reads::Nothing
    } else if found.iter().all(is_catalog) {
        Reads::Catalog
    } else {
        Reads::Other
    }
}

/// Whether a relation, as a text spells it, describes the database: a table of the catalog, not what
/// the sessions do right now.
#[must_use]
pub fn describes_database(spelled: &str) -> bool {
    let (schema, name) = match spelled.split_once('.') {
        Some((schema, name)) => (Some(schema.to_owned()), name.to_owned()),
        None => (None, spelled.to_owned()),
    };
    is_catalog(&Name { schema, name })
}

fn is_catalog(name: &Name) -> bool {
    let known = |name: &str| {
        name.strip_prefix("pg_")
            .is_some_and(|rest| CATALOG.binary_search(&rest).is_ok())
    };
    match name.schema.as_deref() {
        Some("information_schema") => true,
        Some("pg_catalog") | None => known(&name.name),
        Some(_) => false,
    }
}

/// What a pair of parentheses, or the statement itself, is to its content.
#[derive(Clone, Copy, Default)]
struct Level {
    /// A `FROM` list: a comma is followed by another relation.
    list: bool,
    /// An argument list, in which `FROM` is only a separator: `extract(year from x)`.
    arguments: bool,
}

/// The relations that a reading statement names, `WITH` queries aside.
pub(super) fn relations(view: View<'_>) -> Vec<Name> {
    let queries = with_queries(view);
    let mut found = Vec::new();
    let mut levels = vec![Level::default()];
    // Whether a relation is to come.
    let mut expected = false;
    let mut at = 0;
    while at < view.len() {
        let level = levels.last().copied().unwrap_or_default();
        let mut next = at + 1;
        match view.kind(at) {
            Some(TokenKind::Open) => {
                // A parenthesis in a FROM list holds a query or further relations.
                levels.push(Level {
                    list: expected,
                    arguments: at > 0 && is_argument_list(view, at - 1),
                });
            }
            Some(TokenKind::Close) => {
                levels.pop();
                expected = false;
            }
            Some(TokenKind::Comma) => expected = level.list,
            Some(TokenKind::Word) if is_list_start(view, at, level) => {
                set_list(&mut levels, true);
                expected = true;
            }
            Some(TokenKind::Word) if view.is_any(at, ENDS) => {
                set_list(&mut levels, false);
                expected = false;
            }
            Some(TokenKind::Word) if expected && view.is_any(at, &["only", "lateral"]) => {}
            Some(TokenKind::Word) if expected && view.are(at, &["rows", "from"]) => {
                next = at + 2;
                expected = false;
            }
            Some(TokenKind::Word | TokenKind::Quoted) if expected => {
                if let Some((name, after)) = view.name(at) {
                    let is_query = name.schema.is_none() && queries.contains(&name.name);
                    if !view.is_kind(after, TokenKind::Open) && !is_query {
                        found.push(name);
                    }
                    next = after;
                }
                expected = false;
            }
            _ => expected = false,
        }
        at = next;
    }
    found
}

/// Words that end a `FROM` list.
const ENDS: &[&str] = &[
    "select",
    "where",
    "group",
    "having",
    "window",
    "union",
    "intersect",
    "except",
    "order",
    "limit",
    "offset",
    "fetch",
    "for",
    "values",
    "returning",
];

fn set_list(levels: &mut [Level], list: bool) {
    if let Some(level) = levels.last_mut() {
        level.list = list;
    }
}

/// Whether a relation follows this word: FROM, JOIN, and TABLE as a command.
fn is_list_start(view: View<'_>, at: usize, level: Level) -> bool {
    let before = at.checked_sub(1);
    if view.is(at, "from") {
        let distinct = before.is_some_and(|before| view.is(before, "distinct"));
        return !level.arguments && !distinct;
    }
    if view.is(at, "table") {
        return before.is_none_or(|before| {
            view.is_kind(before, TokenKind::Open)
                || view.is_any(before, &["union", "all", "except", "intersect"])
        });
    }
    view.is(at, "join")
}

/// Whether the parenthesis after this place takes arguments with words between them.
fn is_argument_list(view: View<'_>, at: usize) -> bool {
    view.is_any(at, &["extract", "substring", "trim", "overlay", "position"])
}

fn with_queries(view: View<'_>) -> HashSet<String> {
    let mut names = HashSet::new();
    if !(0..view.len()).any(|at| view.is(at, "with")) {
        return names;
    }
    for at in 0..view.len() {
        let after_name = if view.is_kind(at + 1, TokenKind::Open) {
            view.closing(at + 1) + 1
        } else {
            at + 1
        };
        if view.is(after_name, "as")
            && query_of(view, after_name).is_some()
            && let Some(name) = view.identifier(at)
        {
            names.insert(name.into_owned());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::lexer::lex;

    fn names(sql: &str) -> Vec<String> {
        let tokens = lex(sql);
        relations(View {
            sql,
            tokens: &tokens.all,
        })
        .iter()
        .map(Name::spelled)
        .collect()
    }

    #[test]
    fn the_catalog_list_is_sorted() {
        assert!(CATALOG.is_sorted());
    }

    #[test]
    fn relations_are_found_wherever_a_query_names_one() {
        for (sql, expected) in [
            (
                "select a, b from t, only u x, (v join w on true), lateral f(1) g where c in (select 1 from y)",
                "t u v w y",
            ),
            (
                "with q(a) as (select 1 from t), r as (select 2) select * from q, r join s.u using (a)",
                "t s.u",
            ),
            (
                "select extract(year from d), trim(both from e), substring(f from 2) from t",
                "t",
            ),
            (
                "select a is not distinct from b, c from t order by x, y",
                "t",
            ),
            ("select (select 1 from t), u.v from w group by a, b", "t w"),
            ("table t", "t"),
            ("select 1 union table t", "t"),
            ("select * from t as x(a, b), u y (c, d) limit 1", "t u"),
            ("select * from rows from (f(1), g(2)) as x, t", "t"),
            (
                "select * from t left outer join lateral (select * from u) v on a = b, w",
                "t u w",
            ),
            ("select 1, 2", ""),
            ("select * from generate_series(1, 2), t", "t"),
        ] {
            assert_eq!(names(sql).join(" "), expected, "{sql}");
        }
    }
}
