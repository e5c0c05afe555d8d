//! How each column of a comparison is compared.
//!
//! Owns that choice: literally, by itself, as an id that may be renamed, by the row that it refers to, or
//! not at all.

use std::collections::{BTreeMap, BTreeSet};

use super::left_out::LeftOut;
use super::snapshot::{Reference, Snapshot};

/// What becomes of the ids that sequences give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ids {
    /// They are compared as they are, unless serial runs leave them open.
    Literal,
    /// They may be others, as long as the same rows refer to the same rows.
    Renamed,
}

/// How the tables of some snapshots are compared.
#[derive(Debug, Default)]
pub(super) struct Scheme<'s> {
    pub tables: BTreeMap<&'s str, Columns<'s>>,
    /// References that are compared by what the other row says, and the tables that refer so.
    pub references: Vec<&'s Reference>,
}

/// The columns of a table by how they are compared.
#[derive(Debug, Default)]
pub(super) struct Columns<'s> {
    /// With their rows.
    pub literal: Vec<&'s str>,
    /// Each by itself.
    pub alone: Vec<&'s str>,
    /// As ids that may be renamed.
    pub ids: Vec<&'s str>,
    /// Not at all.
    pub out: Vec<&'s str>,
}

impl<'s> Scheme<'s> {
    /// For tables whose rows have been read in all of these.
    pub fn of(snapshots: &[&'s Snapshot], left: &LeftOut, ids: Ids) -> Self {
        let mut scheme = Self::default();
        let mut columns: BTreeMap<&str, Vec<(&str, bool)>> = BTreeMap::new();
        for snapshot in snapshots {
            for (name, table) in &snapshot.tables {
                let known = columns.entry(name).or_default();
                for column in &table.columns {
                    if !known.iter().any(|(known, _)| *known == column.name) {
                        known.push((&column.name, column.numbered));
                    }
                }
            }
        }
        let read = |name: &str| {
            snapshots
                .iter()
                .all(|one| one.rows(name).is_some() || !one.tables.contains_key(name))
        };
        columns.retain(|name, _| read(name) && !left.skips_rows(name));
        let mut references: Vec<&Reference> = Vec::new();
        for reference in snapshots.iter().flat_map(|one| &one.references) {
            let known = columns.contains_key(reference.child.as_str())
                && columns.contains_key(reference.parent.as_str());
            if known && !references.contains(&reference) {
                references.push(reference);
            }
        }
        let is_id = |table: &str, column: &str, numbered: bool| {
            let open = left.leaves_open(table, column);
            let referred = || {
                references.iter().any(|one| {
                    one.parent == table && one.parent_columns.iter().any(|own| own == column)
                })
            };
            (numbered && (open || ids == Ids::Renamed)) || (open && referred())
        };
        let renamed: BTreeSet<(&str, &str)> = columns
            .iter()
            .flat_map(|(table, own)| own.iter().map(move |(name, by)| (*table, *name, *by)))
            .filter(|(table, column, numbered)| {
                !left.ignores(table, column) && is_id(table, column, *numbered)
            })
            .map(|(table, column, _)| (table, column))
            .collect();
        let mut by_row: BTreeSet<(&str, &str)> = BTreeSet::new();
        for reference in references {
            let parent = reference.parent.as_str();
            let mut pairs = reference
                .parent_columns
                .iter()
                .zip(&reference.child_columns);
            if !pairs.any(|(column, _)| renamed.contains(&(parent, column.as_str()))) {
                continue;
            }
            let child = reference.child.as_str();
            let pairs = reference
                .parent_columns
                .iter()
                .zip(&reference.child_columns);
            for (column, own) in pairs {
                if renamed.contains(&(parent, column.as_str())) {
                    by_row.insert((child, own));
                }
            }
            let ignored = |column: &String| left.ignores(child, column);
            if !left.loosens(reference) && !reference.child_columns.iter().any(ignored) {
                scheme.references.push(reference);
            }
        }
        for (table, own) in columns {
            let mut sorted = Columns::default();
            for (column, _) in own {
                if renamed.contains(&(table, column)) {
                    sorted.ids.push(column);
                } else if by_row.contains(&(table, column)) {
                    // Its reference says it.
                } else if left.reason(table, column).is_some() {
                    sorted.out.push(column);
                } else if left.is_alone(table, column) {
                    sorted.alone.push(column);
                } else {
                    sorted.literal.push(column);
                }
            }
            scheme.tables.insert(table, sorted);
        }
        scheme
    }

    /// Whether anything but the number of its rows is compared of this table.
    pub fn compares(&self, table: &str) -> bool {
        let refers = |one: &&Reference| one.child == table || one.parent == table;
        self.tables
            .get(table)
            .is_some_and(|own| !own.literal.is_empty() || !own.alone.is_empty())
            || self.references.iter().any(refers)
    }
}
