//! What serial runs leave open, and what is therefore not compared.
//!
//! Owns the values, and what a scenario ignores. How what serial runs leave open is found is the business of
//! `find`.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::snapshot::{Reference, Snapshot};

/// Why a column is not compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The scenario says so.
    Ignored,
    /// Serial runs of the same pods in the same order differ in it.
    Volatile,
    /// A serial run of pod a alone and one of pod b alone differ in it: it says who did the work, or when.
    Doer,
    /// The lock is a row of it.
    Lock,
}

/// What is not compared, or not with the rest of its row. Tables are `schema.table`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LeftOut {
    /// Columns that are not compared.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub columns: BTreeMap<String, BTreeMap<String, Reason>>,
    /// Columns that are compared by themselves, not with the rest of their row.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub alone: BTreeMap<String, BTreeSet<String>>,
    /// Tables of which not even the number of rows is compared.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tables: BTreeMap<String, Reason>,
    /// References that are not followed: serial runs lead to other rows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<Reference>,
}

impl LeftOut {
    /// What a scenario's `ignore` leaves out: `table` or `table.column`, with the schema or without where it
    /// is public.
    ///
    /// # Errors
    /// With a name that is that of no table or column of these.
    pub fn ignoring(names: &[String], snapshots: &[&Snapshot]) -> Result<Self, String> {
        let mut left = Self::default();
        for name in names {
            let mut met = false;
            let tables = snapshots.iter().flat_map(|one| &one.tables);
            for (table, of) in tables {
                let short = table.strip_prefix("public.").unwrap_or(table);
                for table_name in [table.as_str(), short] {
                    let Some(rest) = name.strip_prefix(table_name) else {
                        continue;
                    };
                    let column = rest
                        .strip_prefix('.')
                        .and_then(|rest| of.place(rest).map(|_| rest));
                    if rest.is_empty() {
                        left.tables.insert(table.clone(), Reason::Ignored);
                        met = true;
                    } else if let Some(column) = column {
                        left.leave(table, column, Reason::Ignored);
                        met = true;
                    }
                }
            }
            if !met {
                return Err(name.clone());
            }
        }
        Ok(left)
    }

    /// The tables that have rows in some of these, and of which digests tell only how many.
    #[must_use]
    pub fn only_counted(&self, snapshots: &[&Snapshot]) -> BTreeSet<String> {
        let tables = snapshots.iter().flat_map(|one| &one.tables);
        let counted = tables.filter(|(name, table)| {
            let mut columns = table.columns.iter();
            table.count > 0
                && !self.tables.contains_key(*name)
                && columns.all(|column| self.reason(name, &column.name).is_some())
        });
        counted.map(|(name, _)| name.clone()).collect()
    }

    pub(super) fn table(&mut self, table: &str, reason: Reason) {
        self.tables.entry(table.to_owned()).or_insert(reason);
    }

    pub(super) fn leave(&mut self, table: &str, column: &str, reason: Reason) {
        let of_table = self.columns.entry(table.to_owned()).or_default();
        let known = of_table.entry(column.to_owned()).or_insert(reason);
        *known = reason.min(*known);
        if let Some(alone) = self.alone.get_mut(table) {
            alone.remove(column);
        }
    }

    /// Whether the rows of this table are not looked at.
    pub(super) fn skips_rows(&self, table: &str) -> bool {
        self.tables.contains_key(table)
    }

    /// Why this column is not compared.
    #[must_use]
    pub fn reason(&self, table: &str, column: &str) -> Option<Reason> {
        self.columns.get(table)?.get(column).copied()
    }

    pub(super) fn ignores(&self, table: &str, column: &str) -> bool {
        self.reason(table, column) == Some(Reason::Ignored)
    }

    pub(super) fn leaves_open(&self, table: &str, column: &str) -> bool {
        self.reason(table, column)
            .is_some_and(|one| one != Reason::Ignored)
    }

    /// Whether this column is compared by itself.
    #[must_use]
    pub fn is_alone(&self, table: &str, column: &str) -> bool {
        self.alone
            .get(table)
            .is_some_and(|alone| alone.contains(column))
    }

    pub(super) fn loosens(&self, reference: &Reference) -> bool {
        self.references.contains(reference)
    }
}
