//! Whether a state is that of some serial run as a whole, and if not, where it differs.
//!
//! Owns what counts as the same state, and which rows stand for a difference.

use std::collections::{BTreeMap, BTreeSet};

use super::difference::{Cell, Difference, Differs, pairs, values};
use super::left_out::{LeftOut, Reason};
use super::refine::{Colours, Refined, refine};
use super::scheme::{Ids, Scheme};
use super::snapshot::{Snapshot, names, same_values};

/// How many differing rows of a table are told.
const TOLD: usize = 20;

/// A state beside those of serial runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Comparison {
    /// The place of the serial run that it equals.
    pub equal: Option<usize>,
    /// The place of the serial run that it differs least from.
    pub nearest: Option<usize>,
    /// Where it differs from that.
    pub differences: Vec<Difference>,
    /// Columns that were not compared, as `table.column`, and why.
    pub left_out: BTreeMap<String, Reason>,
    /// Columns that were compared by themselves.
    pub alone: BTreeSet<String>,
    /// Columns with ids that were compared up to renaming.
    pub renamed: BTreeSet<String>,
    /// Tables with rows of which only the number was compared.
    pub counted: BTreeSet<String>,
    /// Tables with rows that are too large: their columns were compared one by one.
    pub by_column: BTreeSet<String>,
    /// How many tables were compared by their rows, or their columns.
    pub compared: usize,
}

impl Comparison {
    /// Compares a state with those of serial runs, each as a whole.
    #[must_use]
    pub fn of(serial: &[&Snapshot], found: &Snapshot, left: &LeftOut, ids: Ids) -> Self {
        let mut all: Vec<&Snapshot> = serial.to_vec();
        all.push(found);
        let scheme = Scheme::of(&all, left, ids);
        let sides = Sides {
            refined: refine(&all, &scheme),
            scheme: &scheme,
            all: &all,
            left,
        };
        let mut told = sides.told();
        let mut nearest: Option<(Vec<usize>, usize)> = None;
        for place in 0..serial.len() {
            let distance = sides.distance(place);
            if distance.iter().all(|rows| *rows == 0) {
                told.equal = Some(place);
                told.nearest = Some(place);
                told.renamed = sides.renamed(place);
                return told;
            }
            if nearest.as_ref().is_none_or(|(least, _)| distance < *least) {
                nearest = Some((distance, place));
            }
        }
        if let Some((_, place)) = nearest {
            told.nearest = Some(place);
            told.renamed = sides.renamed(place);
            told.differences = sides.differences(place);
        }
        told
    }
}

/// What is compared: all snapshots, the last of them the one that was found.
struct Sides<'c, 's> {
    all: &'c [&'s Snapshot],
    scheme: &'c Scheme<'s>,
    refined: Refined<'s>,
    left: &'c LeftOut,
}

impl<'s> Sides<'_, 's> {
    fn found(&self) -> usize {
        self.all.len() - 1
    }

    /// The tables that are compared at all.
    fn tables(&self) -> impl Iterator<Item = &'s str> {
        names(self.all)
            .into_iter()
            .filter(|name| !self.left.skips_rows(name))
    }

    fn told(&self) -> Comparison {
        let mut told = Comparison::default();
        for name in self.tables() {
            let mut here = self.all.iter().filter_map(|one| one.tables.get(name));
            if here.all(|table| table.count == 0) {
                continue;
            }
            match self.scheme.tables.get(name) {
                Some(columns) => {
                    let full = |column: &&str| format!("{name}.{column}");
                    told.alone.extend(columns.alone.iter().map(full));
                    let out = columns.out.iter();
                    let out = out.filter_map(|one| Some((full(one), self.left.reason(name, one)?)));
                    told.left_out.extend(out);
                    if self.scheme.compares(name) {
                        told.compared += 1;
                    } else {
                        told.counted.insert(name.to_owned());
                    }
                }
                None => {
                    let left = self.left.columns.get(name).into_iter().flatten();
                    let left = left.map(|(column, why)| (format!("{name}.{column}"), *why));
                    told.left_out.extend(left);
                    if self.columns_of(name).is_empty() {
                        told.counted.insert(name.to_owned());
                    } else {
                        told.compared += 1;
                        told.by_column.insert(name.to_owned());
                    }
                }
            }
        }
        told
    }

    /// The ids of tables whose rows are not those of this serial run with their ids.
    fn renamed(&self, place: usize) -> BTreeSet<String> {
        let (serial, found) = (self.all[place], self.all[self.found()]);
        let rows = |snapshot: &Snapshot, table: &str| {
            let count = snapshot.rows(table).map_or(0, |(_, rows)| rows.len());
            let rows = (0..count).map(|row| self.cells(snapshot, table, row));
            let mut rows: Vec<_> = rows.map(|cells| values(&cells)).collect();
            rows.sort_unstable();
            rows
        };
        let tables = self.scheme.tables.iter();
        tables
            .filter(|(table, columns)| {
                !columns.ids.is_empty() && rows(serial, table) != rows(found, table)
            })
            .flat_map(|(table, columns)| {
                let ids = columns.ids.iter();
                ids.map(move |column| format!("{table}.{column}"))
            })
            .collect()
    }

    /// Of a table that is too large: the columns that are compared one by one.
    fn columns_of(&self, table: &str) -> BTreeSet<&'s str> {
        let of = |one: &&'s Snapshot| one.tables.get(table);
        let columns = self
            .all
            .iter()
            .filter_map(of)
            .flat_map(|table| &table.columns);
        columns
            .map(|column| column.name.as_str())
            .filter(|column| self.left.reason(table, column).is_none())
            .collect()
    }

    /// How many rows differ from those of this serial run: by their own columns, then also by what they refer
    /// to, round by round; before all, whatever differs of tables as such.
    fn distance(&self, place: usize) -> Vec<usize> {
        let shape = self
            .tables()
            .filter(|table| self.shape(place, table).is_some())
            .count();
        let mut distance = vec![shape];
        for round in &self.refined.rounds {
            let (missing, extra) = (&round[place], &round[self.found()]);
            let rows = self.scheme.tables.keys().map(|table| {
                let (missing, extra) = apart(missing, extra, table);
                missing.len().max(extra.len())
            });
            distance.push(rows.sum());
        }
        distance
    }

    /// What differs of a table that is not a matter of its rows.
    fn shape(&self, place: usize, name: &str) -> Option<Differs> {
        let (serial, found) = (self.all[place], self.all[self.found()]);
        let (one, other) = match (serial.tables.get(name), found.tables.get(name)) {
            (Some(one), Some(other)) => (one, other),
            (Some(_), None) => return Some(Differs::Gone),
            (None, _) => {
                return Some(Differs::NotExpected).filter(|_| found.tables.contains_key(name));
            }
        };
        if one.invalid_indexes != other.invalid_indexes {
            return Some(Differs::InvalidIndexes {
                expected: one.invalid_indexes.clone(),
                found: other.invalid_indexes.clone(),
            });
        }
        let differs = |column: &&str| !same_values(serial, found, name, column);
        let columns: Vec<String> = match self.scheme.tables.get(name) {
            Some(columns) => {
                let alone = columns.alone.iter().copied();
                alone.filter(differs).map(str::to_owned).collect()
            }
            None if one.count != other.count => Vec::new(),
            None => {
                let all = self.columns_of(name).into_iter();
                all.filter(differs).map(str::to_owned).collect()
            }
        };
        let too_large = !self.scheme.tables.contains_key(name) && one.count != other.count;
        if too_large {
            return Some(Differs::Rows {
                expected: one.count,
                found: other.count,
                first: Vec::new(),
                more: 0,
            });
        }
        (!columns.is_empty()).then_some(Differs::Columns { columns })
    }

    /// Where the found state differs from this serial run.
    fn differences(&self, place: usize) -> Vec<Difference> {
        let first = self.refined.rounds.iter().position(|round| {
            let (one, other) = (&round[place], &round[self.found()]);
            self.scheme.tables.keys().any(|table| {
                let (missing, extra) = apart(one, other, table);
                !missing.is_empty() || !extra.is_empty()
            })
        });
        let round = first.map(|first| &self.refined.rounds[first]);
        let mut differences = Vec::new();
        for table in self.tables() {
            let rows = round.and_then(|round| self.rows(place, round, table));
            if let Some(what) = rows.or_else(|| self.shape(place, table)) {
                let table = table.to_owned();
                differences.push(Difference { table, what });
            }
        }
        // Of two rows of which one refers to the other, the one that refers is told.
        let refers = |one: &Difference| {
            let mut references = self.scheme.references.iter();
            references.any(|by| by.child == one.table)
        };
        if first.is_some_and(|first| first > 0) && differences.iter().any(refers) {
            let whole = |one: &Difference| !matches!(one.what, Differs::Rows { .. });
            differences.retain(|one| refers(one) || whole(one));
        }
        differences
    }

    fn rows(&self, place: usize, round: &[Colours<'s>], table: &str) -> Option<Differs> {
        let (serial, found) = (self.all[place], self.all[self.found()]);
        let ((one, _), (other, _)) = (serial.rows(table)?, found.rows(table)?);
        let (missing, extra) = apart(&round[place], &round[self.found()], table);
        if missing.is_empty() && extra.is_empty() {
            return None;
        }
        let cells = |snapshot: &Snapshot, row: usize| self.cells(snapshot, table, row);
        let mut wanted: Vec<Vec<Cell>> = missing.iter().map(|row| cells(serial, *row)).collect();
        let mut seen: Vec<Vec<Cell>> = extra.iter().map(|row| cells(found, *row)).collect();
        wanted.sort_by_key(|cells| values(cells));
        seen.sort_by_key(|cells| values(cells));
        let columns = self.scheme.tables.get(table);
        let ids = columns.map_or(&[][..], |columns| &columns.ids);
        let by_row = self
            .scheme
            .references
            .iter()
            .filter(|one| one.child == table);
        let by_row: Vec<&str> = by_row
            .flat_map(|one| &one.child_columns)
            .map(String::as_str)
            .collect();
        let mut first = pairs(wanted, seen, ids, &by_row);
        let more = first.len().saturating_sub(TOLD);
        first.truncate(TOLD);
        Some(Differs::Rows {
            expected: one.count,
            found: other.count,
            first,
            more,
        })
    }

    /// A row as it is told: what is compared of it, and of what refers elsewhere the id.
    fn cells(&self, snapshot: &Snapshot, table: &str, row: usize) -> Vec<Cell> {
        let Some((of, rows)) = snapshot.rows(table) else {
            return Vec::new();
        };
        let Some(columns) = self.scheme.tables.get(table) else {
            return Vec::new();
        };
        let told = |name: &str| !columns.out.contains(&name) && !columns.alone.contains(&name);
        let named = of.columns.iter().zip(&rows[row]);
        named
            .filter(|(column, _)| told(&column.name))
            .map(|(column, value)| Cell {
                column: column.name.clone(),
                value: value.clone(),
            })
            .collect()
    }
}

/// The rows of a table that only the one side has, and those that only the other has.
fn apart(one: &Colours<'_>, other: &Colours<'_>, table: &str) -> (Vec<usize>, Vec<usize>) {
    let rows = |side: &Colours<'_>| side.get(table).cloned().unwrap_or_default();
    let (one, other) = (rows(one), rows(other));
    let mut counts: BTreeMap<u32, (usize, usize)> = BTreeMap::new();
    for colour in &one {
        counts.entry(*colour).or_default().0 += 1;
    }
    for colour in &other {
        counts.entry(*colour).or_default().1 += 1;
    }
    let over = |rows: &[u32], over: fn((usize, usize)) -> usize| {
        let mut left: BTreeMap<u32, usize> = counts.iter().map(|(c, n)| (*c, over(*n))).collect();
        let mut apart = Vec::new();
        for (row, colour) in rows.iter().enumerate() {
            if let Some(left) = left.get_mut(colour)
                && *left > 0
            {
                *left -= 1;
                apart.push(row);
            }
        }
        apart
    };
    (
        over(&one, |(one, other)| one.saturating_sub(other)),
        over(&other, |(one, other)| other.saturating_sub(one)),
    )
}
