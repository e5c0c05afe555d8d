//! The tables that a statement reads, by a real parser (the crate `sqlparser`).
//!
//! Owns the answer to "which relations does this text look at", and when it cannot be given. What a
//! view, a trigger, a rule or a foreign key reads besides is the catalog's affair; what a text
//! writes is in `writes`. A wrong "reads nothing" would prune an order that matters, so whatever is
//! not understood is [`TablesRead::Unknown`].

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use sqlparser::ast::{
    ObjectName, OnConflictAction, OnInsert, Query, SetExpr, Statement, TableObject, Visit, Visitor,
};

use super::builtins::{Builtin, builtin};
use super::call::calls;
use super::kind::{Kind, explained, kind};
use super::lexer::lex;
use super::lock::lock_call;
use super::look_up::relations;
use super::parsed::with_tree;
use super::split::views;
use super::token::TokenKind;
use super::view::View;
use super::writes::writes;

/// Functions whose answers differ from call to call and that still touch nothing that two sessions
/// share. All other volatile ones (locks shown, backends ended, notifications) may.
#[rustfmt::skip]
const PRIVATE: &[&str] = &[
    "array_sample", "array_shuffle", "clock_timestamp", "current_query", "gen_random_uuid",
    "pg_is_in_recovery", "pg_jit_available", "pg_sleep", "pg_sleep_for", "pg_sleep_until", "random",
    "random_normal", "setseed", "timeofday", "uuidv4", "uuidv7",
];

/// Functions that use a sequence: no rollback takes that back, and no row lock guards it.
const SEQUENCES: &[&str] = &["currval", "lastval", "nextval", "setval"];

/// How functions begin that look things up in the catalog: what they answer changes with the definition of
/// tables. More than do are taken for such, which costs a reduction some runs and hides nothing.
#[rustfmt::skip]
const CATALOG: &[&str] = &[
    "pg_", "to_reg", "has_", "reg", "format_type", "col_description", "obj_description",
    "shobj_description", "current_schema", "row_security_active",
];

/// Types whose values are looked up by name.
#[rustfmt::skip]
const CATALOG_TYPES: &[&str] = &[
    "regclass", "regcollation", "regconfig", "regdictionary", "regnamespace", "regoper", "regoperator",
    "regproc", "regprocedure", "regrole", "regtype",
];

/// What a text reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TablesRead {
    /// These, and no others.
    Known(Looks),
    /// The text does not tell; why not, for people.
    Unknown(String),
}

/// What a text looks at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Looks {
    /// Relations, as `writes` spells them: lower case, qualified where the text is.
    pub tables: BTreeSet<String>,
    /// Names of `WITH` queries, that a relation of the same name may hide behind. (Which of the two
    /// is meant depends on scopes; a reader who knows the catalog takes both.)
    pub with_queries: BTreeSet<String>,
    /// Whether it asks the catalog by a function or a cast (`to_regclass('t')`, `'t'::regclass`).
    pub catalog: bool,
    /// Whether it uses a sequence by name.
    pub sequences: bool,
    /// Whether it takes row locks without writing (`FOR UPDATE` and its like).
    pub locks_rows: bool,
    /// Tables that DDL names besides the one it changes (`REFERENCES`).
    pub references: BTreeSet<String>,
}

impl Looks {
    fn add(&mut self, other: Self) {
        self.tables.extend(other.tables);
        self.with_queries.extend(other.with_queries);
        self.sequences |= other.sequences;
        self.catalog |= other.catalog;
        self.locks_rows |= other.locks_rows;
        self.references.extend(other.references);
    }
}

/// What the statements of a step look at: as they were written (they may be cut), and in their normal
/// forms (which are whole, and have `?` for constants).
#[must_use]
pub fn tables_read(sql: &[String], normal: &[String]) -> TablesRead {
    let mut looks = Looks::default();
    for (index, form) in normal.iter().enumerate() {
        let raw = sql
            .get(index)
            .filter(|raw| sql.len() == normal.len() && raw.chars().count() < 2_000);
        match one(raw.map_or(form.as_str(), String::as_str), form) {
            TablesRead::Known(found) => looks.add(found),
            unknown => return unknown,
        }
    }
    TablesRead::Known(looks)
}

fn unknown(why: impl Into<String>) -> TablesRead {
    TablesRead::Unknown(why.into())
}

fn one(raw: &str, normal: &str) -> TablesRead {
    // A prepared statement is locked, if at all, like one that reads.
    let raw = raw.strip_prefix("/* prepare */").unwrap_or(raw);
    let normal = normal.strip_prefix("/* prepare */").unwrap_or(normal);
    let tokens = lex(raw);
    let statements = views(raw, &tokens.all);
    match statements.as_slice() {
        [] => TablesRead::Known(Looks::default()),
        [view] if tokens.complete => statement(*view, normal),
        _ => unknown("its text is not one whole statement"),
    }
}

fn statement(view: View<'_>, normal: &str) -> TablesRead {
    match kind(view) {
        Kind::Transaction | Kind::Setting => TablesRead::Known(Looks::default()),
        Kind::Prepared if view.is(0, "deallocate") => TablesRead::Known(Looks::default()),
        Kind::Code => unknown("it runs code of the database"),
        Kind::Prepared => unknown("it prepares or executes another statement"),
        Kind::Cursor => unknown("it reads through a cursor"),
        Kind::Notify => unknown("it notifies, or listens"),
        Kind::LockTable => unknown("it locks whole tables"),
        Kind::Maintenance => unknown("it maintains tables"),
        Kind::Unknown => unknown("it is no statement that is known"),
        Kind::CopyIn => functions(view.part(0, 0)),
        Kind::CopyOut => copy_out(view),
        Kind::Ddl => ddl(view, normal),
        Kind::Explain => {
            let (at, _) = explained(view);
            let inner = view.from(at);
            parsed(inner, inner.whole(), "")
        }
        // The parser knows it as a part of a query only.
        Kind::Read if view.is(0, "table") => match view.name(1) {
            Some((name, next)) if next == view.len() => TablesRead::Known(Looks {
                tables: [name.spelled()].into(),
                ..Looks::default()
            }),
            _ => unknown("the parser does not understand it"),
        },
        Kind::Read | Kind::Insert | Kind::Update | Kind::Delete | Kind::Merge | Kind::Truncate => {
            parsed(view, view.whole(), normal)
        }
    }
}

/// `COPY t TO` and `COPY (query) TO`, which the parser does not take without their data.
fn copy_out(view: View<'_>) -> TablesRead {
    if view.is_kind(1, TokenKind::Open) {
        let inner = view.part(2, view.closing(1));
        return parsed(inner, inner.whole(), "");
    }
    let at = view.skip(1, &["binary"]);
    match view.name(at) {
        Some((name, _)) => TablesRead::Known(Looks {
            tables: [name.spelled()].into(),
            ..Looks::default()
        }),
        None => unknown("it copies from what has no name"),
    }
}

/// DDL reads only where it fills a table; else the catalog alone.
fn ddl(view: View<'_>, normal: &str) -> TablesRead {
    let fills = view.is(0, "create")
        && (1..view.len()).any(|at| {
            view.is(at, "as")
                && (view.is_any(at + 1, &["select", "with", "values", "table"])
                    || view.is_kind(at + 1, TokenKind::Open))
        });
    if fills || view.is(0, "refresh") {
        return match parsed(view, view.whole(), normal) {
            // What a materialized view reads is not in the text that refreshes it.
            TablesRead::Known(_) if view.is(0, "refresh") => unknown("it refreshes a view"),
            other => other,
        };
    }
    let mut looks = Looks::default();
    for at in (0..view.len()).filter(|at| view.is(*at, "references")) {
        if let Some((name, _)) = view.name(at + 1) {
            looks.references.insert(name.spelled());
        }
    }
    // CREATE TABLE … (LIKE t …)
    let likes = |at: &usize| view.is(*at, "like") && view.is(0, "create");
    for at in (1..view.len()).filter(likes) {
        if let Some((name, _)) = view.name(at + 1) {
            looks.tables.insert(name.spelled());
        }
    }
    TablesRead::Known(looks)
}

/// By the parser: the text as written, else its normal form with constants put in.
fn parsed(view: View<'_>, text: &str, normal: &str) -> TablesRead {
    let mut looks = match functions(view) {
        TablesRead::Known(looks) => looks,
        unknown => return unknown,
    };
    looks.locks_rows = (0..view.len())
        .any(|at| view.is(at, "for") && view.is_any(at + 1, &["update", "share", "no", "key"]));
    let bare = normal.replace(", …", "");
    let candidates = [
        text.to_owned(),
        bare.replace('?', "1"),
        bare.replace('?', "'x'"),
    ];
    let reader = candidates
        .iter()
        .filter(|text| !text.contains('…'))
        .find_map(|text| {
            with_tree(text, |tree| {
                let mut reader = Reader::default();
                let _ = tree.iter().try_for_each(|one| one.visit(&mut reader));
                reader
            })
        });
    let Some(mut reader) = reader else {
        return unknown("the parser does not understand it");
    };
    // Two readers see more than one: the parser takes ONLY for a name, say.
    let missed = relations(view)
        .into_iter()
        .map(|name| name.spelled())
        .find(|name| !reader.tables.contains_key(name) && !reader.with_queries.contains(name));
    if let Some(name) = missed {
        return unknown(format!("the parser does not see that it reads {name}"));
    }
    // What is written is looked at only where it is named once more.
    for target in writes(view, kind(view)).tables {
        if let Some(times) = reader.tables.get_mut(&target) {
            *times = times.saturating_sub(1);
        }
    }
    let named = reader.tables.into_iter().filter(|(_, times)| *times > 0);
    looks.tables.extend(named.map(|(table, _)| table));
    looks.with_queries.extend(reader.with_queries);
    looks
        .tables
        .retain(|table| !looks.with_queries.contains(table));
    TablesRead::Known(looks)
}

/// Whether all functions that are called are known to read no table.
fn functions(view: View<'_>) -> TablesRead {
    let casts = |at: usize| CATALOG_TYPES.iter().any(|name| view.is(at, name));
    let mut looks = Looks {
        catalog: (0..view.len()).any(casts),
        ..Looks::default()
    };
    for call in calls(view) {
        if lock_call(view, &call, &[]).is_some() {
            continue;
        }
        let name = call.name.name.as_str();
        let own = match call.name.schema.as_deref() {
            None | Some("pg_catalog") => builtin(name),
            _ => None,
        };
        match own {
            // These read tables that are named by a value.
            Some(Builtin::Steady) if name.contains("_to_xml") => {
                return unknown(format!("it calls {name}, which reads what it is told to"));
            }
            Some(Builtin::Steady) => {
                looks.catalog |= CATALOG.iter().any(|begin| name.starts_with(begin));
            }
            Some(Builtin::Volatile) if PRIVATE.contains(&name) => {}
            Some(Builtin::Volatile) if SEQUENCES.contains(&name) => looks.sequences = true,
            Some(Builtin::Volatile) => {
                return unknown(format!("it calls {name}, which looks at other sessions"));
            }
            None => return unknown(format!("it calls {name}, which may do anything")),
        }
    }
    TablesRead::Known(looks)
}

#[derive(Default)]
struct Reader {
    /// How often each is named.
    tables: BTreeMap<String, usize>,
    with_queries: BTreeSet<String>,
}

impl Visitor for Reader {
    type Break = ();

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        *self.tables.entry(spelled(relation)).or_default() += 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        for one in query.with.iter().flat_map(|with| &with.cte_tables) {
            self.with_queries
                .insert(one.alias.name.value.to_lowercase());
        }
        // TABLE t is no relation to the parser's visitor.
        let mut open = vec![query.body.as_ref()];
        while let Some(body) = open.pop() {
            match body {
                SetExpr::Table(table) => {
                    let parts = [table.schema_name.as_deref(), table.table_name.as_deref()];
                    let name: Vec<&str> = parts.into_iter().flatten().collect();
                    *self
                        .tables
                        .entry(name.join(".").to_lowercase())
                        .or_default() += 1;
                }
                SetExpr::SetOperation { left, right, .. } => open.extend([&**left, &**right]),
                _ => {}
            }
        }
        ControlFlow::Continue(())
    }
}

/// A name's last two parts, in lower case.
fn spelled(name: &ObjectName) -> String {
    let parts: Vec<String> = name
        .0
        .iter()
        .map(|part| match part.as_ident() {
            Some(ident) => ident.value.to_lowercase(),
            None => part.to_string().to_lowercase(),
        })
        .collect();
    parts[parts.len().saturating_sub(2)..].join(".")
}

/// What an INSERT says of the rows it makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inserted {
    /// The table, as the text spells it, in lower case.
    pub table: String,
    /// The columns it names, in lower case; empty: all.
    pub columns: Vec<String>,
    /// Whether a row that is there already is no error (`ON CONFLICT`).
    pub tolerates_equal_keys: bool,
}

/// What this statement, in its normal form, inserts; `None` if it is no INSERT that is understood.
#[must_use]
pub fn inserted(normal: &str) -> Option<Inserted> {
    let bare = normal.replace(", …", "");
    [bare.replace('?', "1"), bare.replace('?', "'x'")]
        .iter()
        .find_map(|text| with_tree(text, insert_of))?
}

fn insert_of(tree: &[Statement]) -> Option<Inserted> {
    let [Statement::Insert(insert)] = tree else {
        return None;
    };
    let TableObject::TableName(table) = &insert.table else {
        return None;
    };
    let tolerates = match &insert.on {
        Some(OnInsert::OnConflict(on)) => matches!(
            on.action,
            OnConflictAction::DoNothing | OnConflictAction::DoUpdate(_)
        ),
        _ => false,
    };
    Some(Inserted {
        table: spelled(table),
        columns: insert.columns.iter().map(spelled).collect(),
        tolerates_equal_keys: tolerates,
    })
}

#[cfg(test)]
#[path = "reads_tests.rs"]
mod tests;
