//! One statement, as both see it.
//!
//! Owns what must agree. lockproof may say less than PostgreSQL's parser where it says that it does
//! not know (`opaque`, `Unknown`), never something else.

use std::collections::BTreeSet;

use lockproof_core::sql::{Kind, Meaning, TablesRead, meaning, statements, tables_read};
use pg_query::ParseResult;

/// Where both differ.
#[derive(Debug)]
pub struct Difference {
    /// The sort of difference, as in the list of decisions.
    pub what: &'static str,
    /// What each says.
    pub why: String,
    /// The statement, cut.
    pub sql: String,
}

/// The functions that this statement makes.
pub fn functions_made(sql: &str) -> Vec<String> {
    let Ok(theirs) = pg_query::parse(sql) else {
        return Vec::new();
    };
    theirs.ddl_functions()
}

/// How both differ over this statement; none where PostgreSQL's parser refuses it. `made`: functions that
/// the scripts make, of which lockproof cannot know what they do.
pub fn differences(sql: &str, made: &BTreeSet<String>) -> Option<Vec<Difference>> {
    let theirs = pg_query::parse(sql).ok()?;
    let ours = meaning(sql, &[]);
    let mut found = Vec::new();
    let mut differ = |what: &'static str, why: String| {
        let sql: String = sql.split_whitespace().collect::<Vec<_>>().join(" ");
        let sql = sql.chars().take(300).collect();
        found.push(Difference { what, why, sql });
    };
    let types = theirs.protobuf.stmts.len();
    if ours.normal.len() != types {
        differ(
            "split",
            format!("{types} statements, lockproof sees {}", ours.normal.len()),
        );
        return Some(found);
    }
    if let Some(why) = of_another_kind(&theirs, &ours) {
        differ("kind", why);
    }
    let calls_locks = theirs.functions().iter().any(|name| takes_lock(name));
    if calls_locks && ours.lock_calls.is_empty() && !ours.opaque {
        differ("lock", "it calls a lock function".to_owned());
    }
    for name in theirs.call_functions() {
        if made.contains(&name) && !ours.opaque {
            differ(
                "function",
                format!("it calls {name}, and lockproof does not mind"),
            );
        }
    }
    let with = names(theirs.cte_names.iter().cloned());
    let written: BTreeSet<String> = &names(theirs.dml_tables()) - &with;
    let said = names(ours.writes.iter().cloned());
    if !ours.opaque {
        for table in &written - &said {
            differ(
                "unwritten",
                format!("it writes {table}, lockproof says {said:?}"),
            );
        }
    }
    // What DDL names besides tables (views, sequences, indexes) the parser's crate does not tell.
    let ddl = ours.kinds.contains(&Kind::Ddl);
    let all = names(theirs.tables());
    for table in (&said - &all).into_iter().filter(|_| !ddl) {
        differ("written", format!("lockproof says that it writes {table}"));
    }
    if let TablesRead::Known(looks) = tables_read(&statements(sql), &ours.normal) {
        let known: BTreeSet<String> = names(
            looks
                .tables
                .iter()
                .chain(&looks.with_queries)
                .chain(&looks.references)
                .cloned(),
        );
        for table in &(&names(theirs.select_tables()) - &with) - &known {
            if !said.contains(&table) {
                differ(
                    "unread",
                    format!("it reads {table}, lockproof says {known:?}"),
                );
            }
        }
    }
    Some(found)
}

/// Names as both spell them: the last two parts, without quotes, in small letters.
fn names(all: impl IntoIterator<Item = String>) -> BTreeSet<String> {
    all.into_iter()
        .map(|name| name.replace('"', "").to_lowercase())
        .collect()
}

fn takes_lock(name: &str) -> bool {
    let name = name.rsplit('.').next().unwrap_or(name);
    name.contains("advisory") && name.starts_with("pg_")
}

/// How the kinds differ.
fn of_another_kind(theirs: &ParseResult, ours: &Meaning) -> Option<String> {
    let types = theirs.statement_types();
    let [theirs] = types.as_slice() else {
        return None;
    };
    let [kind] = ours.kinds.as_slice() else {
        return None;
    };
    let expected: &[Kind] = match *theirs {
        "SelectStmt" => &[Kind::Read],
        "InsertStmt" => &[Kind::Insert],
        "UpdateStmt" => &[Kind::Update],
        "DeleteStmt" => &[Kind::Delete],
        "MergeStmt" => &[Kind::Merge],
        "TruncateStmt" => &[Kind::Truncate],
        "CopyStmt" => &[Kind::CopyIn, Kind::CopyOut],
        "TransactionStmt" => &[Kind::Transaction],
        "VariableSetStmt" | "VariableShowStmt" | "DiscardStmt" | "ConstraintsSetStmt" => {
            &[Kind::Setting]
        }
        "ListenStmt" | "NotifyStmt" | "UnlistenStmt" => &[Kind::Notify],
        "LockStmt" => &[Kind::LockTable],
        "DeclareCursorStmt" | "FetchStmt" | "ClosePortalStmt" => &[Kind::Cursor],
        "ExplainStmt" => &[Kind::Explain],
        "VacuumStmt" | "CheckPointStmt" | "ReindexStmt" | "ClusterStmt" => &[Kind::Maintenance],
        "DoStmt" | "CallStmt" => &[Kind::Code],
        "PrepareStmt" | "ExecuteStmt" | "DeallocateStmt" => &[Kind::Prepared],
        "LoadStmt" => &[Kind::Unknown, Kind::Code],
        // All others change the catalog.
        _ => &[Kind::Ddl],
    };
    (!expected.contains(kind)).then(|| format!("a {theirs}, lockproof says {kind:?}"))
}
