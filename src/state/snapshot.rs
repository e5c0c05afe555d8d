//! The state of a database as values.
//!
//! Owns their shape, which is part of the format of a history.

use std::collections::BTreeMap;

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
