//! The objects that a statement's text makes.
//!
//! Owns the grammar around the name behind CREATE, no more: what of it can be looked for in the catalog when
//! the run is over. Knows nothing of errors.

use super::lexer::lex;
use super::split::views;
use super::view::View;
use crate::history::{Object, ObjectKind};

/// What each CREATE of this text makes, as far as the text names it and the catalog has it: a temporary
/// object is gone with its session.
#[must_use]
pub fn created(sql: &str) -> Vec<Object> {
    let tokens = lex(sql);
    let statements = views(sql, &tokens.all);
    statements.into_iter().filter_map(one).collect()
}

fn one(view: View<'_>) -> Option<Object> {
    if !view.is(0, "create") {
        return None;
    }
    let at = view.skip(1, &["or", "replace"]);
    if view.is_any(at, &["temporary", "temp", "local", "global"]) {
        return None;
    }
    let at = view.skip_any(at, &["unlogged", "unique", "recursive", "constraint"]);
    let two = |one: &str, other: &str| view.are(at, &[one, other]);
    let (kind, behind) = match view.text(at).to_ascii_lowercase().as_str() {
        "table" => (ObjectKind::Table, 1),
        "view" => (ObjectKind::View, 1),
        "materialized" if two("materialized", "view") => (ObjectKind::MaterializedView, 2),
        "foreign" if two("foreign", "table") => (ObjectKind::ForeignTable, 2),
        "index" => (ObjectKind::Index, 1),
        "sequence" => (ObjectKind::Sequence, 1),
        "schema" => (ObjectKind::Schema, 1),
        "type" | "domain" => (ObjectKind::Type, 1),
        "extension" => (ObjectKind::Extension, 1),
        "role" | "user" | "group" => (ObjectKind::Role, 1),
        "trigger" => (ObjectKind::Trigger, 1),
        "policy" => (ObjectKind::Policy, 1),
        _ => return None,
    };
    let at = view.skip(at + behind, &["concurrently"]);
    let at = view.skip(at, &["if", "not", "exists"]);
    // An index without a name gets one that is free; a schema may be named after its owner.
    let unnamed = match kind {
        ObjectKind::Index => view.is(at, "on"),
        ObjectKind::Schema => view.is(at, "authorization"),
        // CREATE USER MAPPING makes no role.
        ObjectKind::Role => view.are(at, &["mapping", "for"]) || view.are(at, &["mapping", "if"]),
        _ => false,
    };
    if unnamed {
        return None;
    }
    let (name, _) = view.name(at)?;
    Some(Object {
        kind,
        name: name.spelled(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(sql: &str) -> Vec<(ObjectKind, String)> {
        let objects = created(sql).into_iter();
        objects.map(|one| (one.kind, one.name)).collect()
    }

    #[test]
    fn a_create_tells_kind_and_name() {
        for (sql, kind, name) in [
            (
                "create table if not exists Town (id int)",
                ObjectKind::Table,
                "town",
            ),
            (
                "CREATE UNLOGGED TABLE app.\"Town\" (id int)",
                ObjectKind::Table,
                "app.town",
            ),
            (
                "create unique index concurrently if not exists i on t (x)",
                ObjectKind::Index,
                "i",
            ),
            (
                "create or replace view v as select 1",
                ObjectKind::View,
                "v",
            ),
            (
                "create materialized view m as select 1",
                ObjectKind::MaterializedView,
                "m",
            ),
            ("create schema if not exists s", ObjectKind::Schema, "s"),
            ("create domain d as text", ObjectKind::Type, "d"),
            (
                "create extension if not exists \"uuid-ossp\"",
                ObjectKind::Extension,
                "uuid-ossp",
            ),
            ("create user app login", ObjectKind::Role, "app"),
            (
                "create constraint trigger g after insert on t",
                ObjectKind::Trigger,
                "g",
            ),
            ("/* x */ create sequence q", ObjectKind::Sequence, "q"),
        ] {
            assert_eq!(names(sql), [(kind, name.to_owned())], "{sql}");
        }
    }

    #[test]
    fn what_has_no_name_of_its_own_or_goes_with_its_session_is_not_told() {
        for sql in [
            "create temp table t (id int)",
            "create index on t (x)",
            "create schema authorization app",
            "create user mapping for app server s",
            "create function f() returns int language sql as 'select 1'",
            "alter table t add constraint c unique (x)",
            "select 'create table t'",
        ] {
            assert_eq!(names(sql), [], "{sql}");
        }
        assert_eq!(
            names("create table a (x int); create table b (x int)").len(),
            2
        );
    }
}
