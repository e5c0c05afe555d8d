//! Finding what serial runs leave open.
//!
//! Owns how: columns in which runs of one kind differ; where the columns agree one by one and the rows do not,
//! the fewest columns without which the rows agree (those are still compared by themselves); references that
//! lead to other rows.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::left_out::{LeftOut, Reason};
use super::refine::refine;
use super::scheme::{Ids, Scheme};
use super::snapshot::{Reference, Snapshot, names, same_values};

/// The most columns of a table that are tried together, and the most rows looked at while trying.
const TOGETHER: usize = 3;
const EFFORT: usize = 4_000_000;
/// How often what is left out is looked through again, at most.
const PASSES: usize = 100;

impl LeftOut {
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
