//! What serial runs leave open, and what is therefore not compared.
//!
//! Owns how it is found: columns in which runs of one kind differ; where the columns agree one by one and the
//! rows do not, the fewest columns without which the rows agree (those are still compared by themselves);
//! references that lead to other rows.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use super::refine::refine;
use super::scheme::{Ids, Scheme};
use super::snapshot::{Reference, Snapshot};

/// The most columns of a table that are tried together, and the most rows looked at while trying.
const TOGETHER: usize = 3;
const EFFORT: usize = 4_000_000;
/// How often what is left out is looked through again, at most.
const PASSES: usize = 100;

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

    /// Takes what these runs differ in to what is left out. They are of one kind: each could have ended as
    /// any other did.
    pub fn find(&mut self, runs: &[&Snapshot], reason: Reason) {
        let Some((first, others)) = runs.split_first() else {
            return;
        };
        if others.is_empty() {
            return;
        }
        for table in names(runs) {
            if runs.iter().any(|one| !one.tables.contains_key(table)) {
                self.table(table, reason);
            }
        }
        for table in names(runs) {
            let counts = |one: &Snapshot| one.tables.get(table).map(|table| table.count);
            if others.iter().any(|one| counts(one) != counts(first)) {
                // Pods that each do another part of the work leave other rows alone, and the same together.
                if reason == Reason::Volatile {
                    self.table(table, reason);
                }
                continue;
            }
            self.columns_of(table, runs, reason);
        }
        // Of tables of which the counts differ nothing more can be learnt.
        let mut looked_at = self.clone();
        for table in names(runs) {
            let counts = |one: &Snapshot| one.tables.get(table).map(|table| table.count);
            if others.iter().any(|one| counts(one) != counts(first)) {
                looked_at.tables.entry(table.to_owned()).or_insert(reason);
            }
        }
        for _ in 0..PASSES {
            if !looked_at.wider(runs) {
                break;
            }
        }
        self.alone = looked_at.alone;
        self.references = looked_at.references;
    }

    fn table(&mut self, table: &str, reason: Reason) {
        self.tables.entry(table.to_owned()).or_insert(reason);
    }

    fn leave(&mut self, table: &str, column: &str, reason: Reason) {
        let of_table = self.columns.entry(table.to_owned()).or_default();
        let known = of_table.entry(column.to_owned()).or_insert(reason);
        *known = reason.min(*known);
        if let Some(alone) = self.alone.get_mut(table) {
            alone.remove(column);
        }
    }

    /// The columns of a table that differ one by one.
    fn columns_of(&mut self, table: &str, runs: &[&Snapshot], reason: Reason) {
        let mut columns = BTreeSet::new();
        for run in runs {
            if let Some(table) = run.tables.get(table) {
                columns.extend(table.columns.iter().map(|column| column.name.as_str()));
            }
        }
        for column in columns {
            let Some((first, others)) = runs.split_first() else {
                return;
            };
            if others
                .iter()
                .any(|one| !same_values(first, one, table, column))
            {
                self.leave(table, column, reason);
            }
        }
    }

    /// Leaves out what makes rows differ whose columns agree; whether anything was.
    fn wider(&mut self, runs: &[&Snapshot]) -> bool {
        let scheme = Scheme::of(runs, self, Ids::Literal);
        let refined = refine(runs, &scheme);
        for (round, colours) in refined.rounds.iter().enumerate() {
            let differ = |table: &str| {
                let sorted = |colours: &BTreeMap<&str, Vec<u32>>| {
                    let mut rows = colours.get(table).cloned().unwrap_or_default();
                    rows.sort_unstable();
                    rows
                };
                let first = sorted(&colours[0]);
                colours.iter().skip(1).any(|one| sorted(one) != first)
            };
            for (table, columns) in &scheme.tables {
                if !differ(table) {
                    continue;
                }
                if round == 0 {
                    let apart = fewest(runs, table, &columns.literal);
                    let alone = self.alone.entry((*table).to_owned()).or_default();
                    alone.extend(apart.into_iter().map(str::to_owned));
                    return true;
                }
                let touches = |one: &&&Reference| one.child == *table || one.parent == *table;
                let loose = scheme.references.iter().find(touches);
                if let Some(loose) = loose {
                    self.references.push((**loose).clone());
                    return true;
                }
            }
        }
        false
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

/// The fewest of these columns without which the rows agree; of equally few the ones that are no part of a
/// key, and the later ones. All, where no few of them are enough.
fn fewest<'s>(runs: &[&Snapshot], table: &str, columns: &[&'s str]) -> Vec<&'s str> {
    let mut known: HashMap<Option<&str>, u32> = HashMap::new();
    let mut tables: Vec<Vec<Vec<u32>>> = Vec::new();
    let mut is_key = vec![false; columns.len()];
    for run in runs {
        let Some((of, rows)) = run.rows(table) else {
            continue;
        };
        let places: Vec<Option<usize>> = columns.iter().map(|name| of.place(name)).collect();
        for (key, place) in is_key.iter_mut().zip(&places) {
            *key |= place.is_some_and(|place| of.columns[place].key);
        }
        let cells = rows.iter().map(|row| {
            let cell = |place: &Option<usize>| place.and_then(|place| row.get(place)?.as_deref());
            let number = |value| {
                let next = u32::try_from(known.len()).unwrap_or(u32::MAX);
                *known.entry(value).or_insert(next)
            };
            places.iter().map(cell).map(number).collect()
        });
        tables.push(cells.collect());
    }
    let rows: usize = tables.iter().map(Vec::len).sum();
    let agree = |out: &[usize]| {
        let mut sides = tables.iter().map(|rows| {
            let kept = |row: &Vec<u32>| -> Vec<u32> {
                let cells = row.iter().enumerate();
                let kept = cells.filter(|(place, _)| !out.contains(place));
                kept.map(|(_, cell)| *cell).collect()
            };
            let mut rows: Vec<Vec<u32>> = rows.iter().map(kept).collect();
            rows.sort_unstable();
            rows
        });
        let first = sides.next();
        sides.all(|other| Some(other) == first)
    };
    // Columns of no key come first, and of those the last.
    let mut order: Vec<usize> = (0..columns.len()).collect();
    order.sort_by_key(|place| (is_key[*place], std::cmp::Reverse(*place)));
    let mut effort = 0;
    for size in 1..=TOGETHER.min(columns.len()) {
        for out in choices(&order, size) {
            effort += rows.max(1);
            if effort > EFFORT {
                return columns.to_vec();
            }
            if agree(&out) {
                return out.into_iter().map(|place| columns[place]).collect();
            }
        }
    }
    columns.to_vec()
}

/// Every choice of so many of these, those of the first ones first.
fn choices(of: &[usize], size: usize) -> Vec<Vec<usize>> {
    if size == 0 {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for (place, first) in of.iter().enumerate() {
        for mut rest in choices(&of[place + 1..], size - 1) {
            rest.insert(0, *first);
            all.push(rest);
        }
    }
    all
}
