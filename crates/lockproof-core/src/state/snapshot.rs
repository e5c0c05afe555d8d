//! The state of a database as values.
//!
//! Owns their shape, which is part of the format of a history.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// A row: each column's value as text; `None` is NULL.
pub type Row = Vec<Option<String>>;

/// What is in the tables of a database.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Snapshot {
    /// Each table, as `schema.table`.
    pub tables: BTreeMap<String, Table>,
    /// The foreign keys between them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<Reference>,
}

/// What is in a table.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Table {
    /// Its columns, in their order.
    pub columns: Vec<Column>,
    /// How many rows it has.
    pub count: u64,
    /// Its rows, in no order; `None` where it is too large to be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<Vec<Row>>,
    /// A digest of each column over all rows, of a table that is too large to be read.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub digests: BTreeMap<String, String>,
    /// Its indexes that the server does not use (`not indisvalid`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub invalid_indexes: Vec<String>,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Whether a sequence gives its values: an identity, or a default that calls `nextval`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub numbered: bool,
    /// Whether it is part of a primary or unique key.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub key: bool,
}

/// A foreign key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// The table that refers.
    pub child: String,
    /// Its columns.
    pub child_columns: Vec<String>,
    /// The table that is referred to.
    pub parent: String,
    /// The columns there, in the same order.
    pub parent_columns: Vec<String>,
}

impl Snapshot {
    /// The rows of a table that has been read.
    pub(super) fn rows(&self, table: &str) -> Option<(&Table, &[Row])> {
        let table = self.tables.get(table)?;
        Some((table, table.rows.as_deref()?))
    }
}

impl Table {
    /// The place of a column in its rows.
    pub(super) fn place(&self, column: &str) -> Option<usize> {
        self.columns.iter().position(|one| one.name == column)
    }
}

/// The names of all tables.
pub(super) fn names<'s>(runs: &[&'s Snapshot]) -> BTreeSet<&'s str> {
    let tables = runs.iter().flat_map(|one| one.tables.keys());
    tables.map(String::as_str).collect()
}

/// Whether a column has the same values in both, each as often.
pub(super) fn same_values(one: &Snapshot, other: &Snapshot, table: &str, column: &str) -> bool {
    let values = |snapshot: &Snapshot| -> Option<Vec<Option<String>>> {
        let (of, rows) = snapshot.rows(table)?;
        let place = of.place(column)?;
        let mut values: Vec<_> = rows
            .iter()
            .map(|row| row.get(place).cloned().flatten())
            .collect();
        values.sort_unstable();
        Some(values)
    };
    let digest = |snapshot: &Snapshot| snapshot.tables.get(table)?.digests.get(column).cloned();
    let has = |one: &Snapshot| {
        one.tables
            .get(table)
            .and_then(|table| table.place(column))
            .is_some()
    };
    match (values(one), values(other)) {
        (Some(one), Some(other)) => one == other,
        // What was read and what was too large to be read are not the same.
        (None, None) => has(one) == has(other) && digest(one) == digest(other),
        _ => false,
    }
}
