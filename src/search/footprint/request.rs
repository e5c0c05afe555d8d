//! What a step's text and the catalog say together.
//!
//! Owns the way from names in a text to tables, and what follows from them: foreign keys that are
//! checked, rows that go along, views, partitions, sequences. What a witness saw is added elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use super::touched::{Footprint, LockUse, LockUseKind};
use crate::history::{Answer, Catalog, LockAction, Operation, ReferentialAction, Request};
use crate::name::LockKey;
use crate::run::qualified;
use crate::sql::{Kind, TablesRead, describes_database, meaning, tables_read};

/// What is known besides the template's catalog.
pub(super) struct Known<'a> {
    pub catalog: &'a Catalog,
    /// Tables that the runs themselves created.
    pub created: &'a BTreeSet<String>,
    /// Whether a witness saw the writes.
    pub witness: bool,
}

impl Known<'_> {
    fn resolve(&self, spelled: &str) -> BTreeSet<String> {
        let mut found = self.catalog.resolve(spelled);
        let plain = qualified(spelled).to_lowercase();
        found.extend(
            self.created
                .iter()
                .filter(|table| table.to_lowercase() == plain)
                .cloned(),
        );
        found
    }
}

/// What the request touches by its text and its answer.
pub(super) fn footprint(
    request: &Request,
    answer: Option<&Answer>,
    known: &Known<'_>,
) -> Footprint {
    let mut found = Footprint::default();
    if request.opaque {
        found.everything = Some("its text does not tell what it does".to_owned());
    }
    for (index, call) in request.lock_calls.iter().enumerate() {
        found.locks.push(LockUse {
            action: LockUseKind::of(call.action),
            mode: call.mode,
            xact: call.xact,
            key: call
                .key
                .filter(|_| call.action != LockAction::UnlockAll)
                .map(|key| LockKey { database: 0, ..key }),
            result: answer.and_then(|answer| answer.lock_results.get(index).copied().flatten()),
        });
    }
    reads(request, known, &mut found);
    writes(request, known, &mut found);
    found
}

fn opaque(found: &mut Footprint, why: String) {
    found.everything.get_or_insert(why);
}

fn reads(request: &Request, known: &Known<'_>, found: &mut Footprint) {
    let looks = match tables_read(&request.sql, &request.normal) {
        TablesRead::Known(looks) => looks,
        TablesRead::Unknown(why) => return opaque(found, why),
    };
    found.any_sequence |= looks.sequences;
    found.reads_catalog |= looks.catalog;
    for name in &looks.references {
        found.locked.extend(known.resolve(name));
    }
    for name in &looks.with_queries {
        add_read(name, known, found, looks.locks_rows);
    }
    for name in &looks.tables {
        if describes_database(name) {
            found.reads_catalog = true;
        } else if !add_read(name, known, found, looks.locks_rows) && !is_written(request, name) {
            opaque(
                found,
                format!("it reads {name}, which the catalog does not know"),
            );
        }
    }
}

/// What a text writes is looked for among the writes.
fn is_written(request: &Request, name: &str) -> bool {
    request.writes.iter().any(|written| written == name)
}

fn add_read(name: &str, known: &Known<'_>, found: &mut Footprint, locks_rows: bool) -> bool {
    let relations = known.resolve(name);
    for relation in &relations {
        let tables = match known.catalog.views.get(relation) {
            Some(Some(tables)) => tables.clone(),
            Some(None) => {
                opaque(
                    found,
                    format!("it reads the view {relation}, which calls a function"),
                );
                continue;
            }
            None => [relation.clone()].into(),
        };
        if locks_rows {
            found.locked.extend(tables.iter().cloned());
        }
        found.reads.extend(tables);
    }
    !relations.is_empty()
}

fn writes(request: &Request, known: &Known<'_>, found: &mut Footprint) {
    for form in &request.normal {
        if form.starts_with("/* prepare */") {
            continue;
        }
        let meaning = meaning(form, &[]);
        let kind = meaning.kinds.first().copied().unwrap_or(Kind::Unknown);
        let one = meaning.writes.len() == 1;
        if kind == Kind::Ddl && meaning.writes.is_empty() {
            opaque(found, "it changes the database's definition".to_owned());
        }
        for name in &meaning.writes {
            let mut tables = known.resolve(name);
            if tables.is_empty() {
                if kind != Kind::Ddl && !known.witness {
                    opaque(
                        found,
                        format!("it writes {name}, which the catalog does not know"),
                    );
                }
                tables.insert(qualified(name));
            }
            for table in tables {
                if known.catalog.views.contains_key(&table) {
                    opaque(found, format!("it writes through the view {table}"));
                }
                let operations = found.writes.entry(table).or_default();
                operations.extend(operations_of(kind, one, form));
            }
        }
        if kind == Kind::Truncate && form.contains("cascade") {
            truncate_children(known.catalog, found);
        }
    }
}

/// What a statement of this kind does to the tables it names.
fn operations_of(kind: Kind, only_one: bool, form: &str) -> Vec<Operation> {
    let upsert = form.contains(" do update");
    match kind {
        Kind::Insert if only_one && upsert => vec![Operation::Insert, Operation::Update],
        Kind::Insert | Kind::CopyIn if only_one => vec![Operation::Insert],
        Kind::Update if only_one => vec![Operation::Update],
        Kind::Delete if only_one => vec![Operation::Delete],
        Kind::Truncate => vec![Operation::Truncate],
        Kind::Ddl => {
            let words: Vec<&str> = form.split_whitespace().take(2).collect();
            vec![Operation::Ddl(words.join(" ").to_uppercase())]
        }
        _ => vec![Operation::Insert, Operation::Update, Operation::Delete],
    }
}

fn truncate_children(catalog: &Catalog, found: &mut Footprint) {
    let mut open: Vec<String> = found.writes.keys().cloned().collect();
    while let Some(table) = open.pop() {
        for key in catalog.references_to(&table) {
            let operations = found.writes.entry(key.child.clone()).or_default();
            if operations.insert(Operation::Truncate) {
                open.push(key.child.clone());
            }
        }
    }
}

/// Adds what follows from the tables touched. To be called once, when all writes are known.
pub(super) fn complete(found: &mut Footprint, known: &Known<'_>) {
    let catalog = known.catalog;
    if !known.witness {
        go_along(catalog, &mut found.writes);
    }
    let written = found.writes.clone();
    for (table, operations) in &written {
        let adds =
            |operation: &Operation| matches!(operation, Operation::Insert | Operation::Update);
        if operations.iter().any(adds) {
            let parents = catalog.references_of(table).map(|key| key.parent.clone());
            found.checks.extend(parents);
        }
        if operations.contains(&Operation::Insert)
            && let Some(facts) = catalog.tables.get(table)
        {
            found.sequences.extend(facts.sequences.iter().cloned());
        }
        if operations
            .iter()
            .any(|operation| *operation != Operation::Insert)
        {
            let children = catalog.references_to(table).map(|key| key.child.clone());
            found.checks.extend(children);
        }
        if operations
            .iter()
            .any(|operation| matches!(operation, Operation::Ddl(_)))
        {
            let parents = catalog.references_of(table).map(|key| key.parent.clone());
            let children = catalog.references_to(table).map(|key| key.child.clone());
            found.locked.extend(parents.chain(children));
        }
        found.locked.extend(catalog.family(table));
    }
    for table in found.reads.clone() {
        found.reads.extend(catalog.family(&table));
    }
    let touched = found.writes.keys().chain(&found.reads).chain(&found.checks);
    let runs_code = |table: &&String| {
        let facts = catalog.tables.get(*table);
        facts.is_some_and(|facts| facts.runs_code)
    };
    let code = touched.into_iter().find(runs_code).cloned();
    if let Some(table) = code {
        opaque(found, format!("triggers or rules of {table} run with it"));
    }
}

/// Rows of children that go or change along with their parents, where no witness saw it.
fn go_along(catalog: &Catalog, writes: &mut BTreeMap<String, BTreeSet<Operation>>) {
    let mut open: Vec<String> = writes.keys().cloned().collect();
    while let Some(table) = open.pop() {
        let operations = writes.get(&table).cloned().unwrap_or_default();
        for key in catalog.references_to(&table) {
            let mut add = Vec::new();
            for (done, action) in [
                (Operation::Delete, key.on_delete),
                (Operation::Update, key.on_update),
            ] {
                match action {
                    _ if !operations.contains(&done) => {}
                    ReferentialAction::Refuse => {}
                    ReferentialAction::Cascade => add.push(done),
                    ReferentialAction::Set => add.push(Operation::Update),
                }
            }
            let child = writes.entry(key.child.clone()).or_default();
            let before = child.len();
            child.extend(add);
            if child.len() > before {
                open.push(key.child.clone());
            }
        }
    }
    writes.retain(|_, operations| !operations.is_empty());
}

/// Whether the text asks, or may ask, for another isolation level than READ COMMITTED.
pub(super) fn is_isolation(request: &Request) -> bool {
    request.sql.iter().chain(&request.normal).any(|sql| {
        let text = sql.to_lowercase();
        text.contains("isolation")
            && !text.contains("read committed")
            && !text.contains("read uncommitted")
            || text.contains("repeatable read")
            || text.contains("serializable")
    })
}

/// Whether the request rolls back.
pub(super) fn is_rollback(request: &Request) -> bool {
    request.normal.iter().any(|form| {
        meaning(form, &[]).kinds.first() == Some(&Kind::Transaction)
            && (form.starts_with("rollback") || form.starts_with("abort"))
    })
}
