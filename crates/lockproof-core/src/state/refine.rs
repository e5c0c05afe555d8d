//! Colour refinement: which rows say the same, whatever their ids.
//!
//! Owns the rounds. A row's first colour is what its own columns say; in each further round the colours of the
//! rows that it refers to, and of those that refer to it, are added. When no round tells more rows apart than
//! the one before, rows of one colour cannot be told apart. Colours are numbers given in one dictionary for all
//! snapshots, so that they compare exactly.

use std::collections::{BTreeMap, HashMap};

use super::scheme::Scheme;
use super::snapshot::{Reference, Snapshot};

/// How many rounds are kept one by one; a difference that shows later is told by the last.
const KEPT: usize = 16;
/// A chain of references longer than this is not followed to its end.
const ROUNDS: usize = 1_000;

/// For each table the colour of each row.
pub(super) type Colours<'s> = BTreeMap<&'s str, Vec<u32>>;

/// What is said of a row by its references: which one, whether it is the child, and the other row's colour.
type Said = Vec<(usize, bool, u32)>;

/// The colours of some snapshots.
#[derive(Debug)]
pub(super) struct Refined<'s> {
    /// Round by round, for each snapshot; the last is the fixpoint.
    pub rounds: Vec<Vec<Colours<'s>>>,
}

/// Where a reference leads to in a snapshot: for each row of the child the rows of the parent.
struct Links<'s> {
    reference: &'s Reference,
    parents: Vec<Option<usize>>,
}

/// Refines the rows of these snapshots together.
pub(super) fn refine<'s>(snapshots: &[&'s Snapshot], scheme: &Scheme<'s>) -> Refined<'s> {
    let links: Vec<Vec<Links<'s>>> = snapshots
        .iter()
        .map(|one| scheme.references.iter().map(|by| link(one, by)).collect())
        .collect();
    let (first, mut distinct) = own_colours(snapshots, scheme);
    let mut rounds = vec![first];
    if scheme.references.is_empty() {
        return Refined { rounds };
    }
    for _ in 0..ROUNDS {
        let Some(last) = rounds.last() else { break };
        let (next, seen) = one_round(last, &links);
        if seen == distinct {
            break;
        }
        distinct = seen;
        if rounds.len() >= KEPT {
            rounds.pop();
        }
        rounds.push(next);
    }
    Refined { rounds }
}

fn own_colours<'s>(snapshots: &[&'s Snapshot], scheme: &Scheme<'s>) -> (Vec<Colours<'s>>, usize) {
    type Own<'o> = (&'o str, Vec<Option<Option<&'o str>>>);
    let mut known: HashMap<Own<'_>, u32> = HashMap::new();
    let mut all = Vec::new();
    for snapshot in snapshots {
        let mut colours = Colours::new();
        for (table, columns) in &scheme.tables {
            let Some((of, rows)) = snapshot.rows(table) else {
                continue;
            };
            let places: Vec<Option<usize>> =
                columns.literal.iter().map(|name| of.place(name)).collect();
            let of_rows = rows.iter().map(|row| {
                let cells = places
                    .iter()
                    .map(|place| place.map(|place| row.get(place).and_then(|cell| cell.as_deref())))
                    .collect();
                number(&mut known, (*table, cells))
            });
            colours.insert(table, of_rows.collect());
        }
        all.push(colours);
    }
    (all, known.len())
}

fn one_round<'s>(last: &[Colours<'s>], links: &[Vec<Links<'s>>]) -> (Vec<Colours<'s>>, usize) {
    let mut known: HashMap<(u32, Said), u32> = HashMap::new();
    let mut all = Vec::new();
    for (colours, links) in last.iter().zip(links) {
        let mut said: BTreeMap<&str, Vec<Said>> = colours
            .iter()
            .map(|(table, rows)| (*table, vec![Vec::new(); rows.len()]))
            .collect();
        for (nth, link) in links.iter().enumerate() {
            let (child, parent) = (&*link.reference.child, &*link.reference.parent);
            let (Some(of_children), Some(of_parents)) = (colours.get(child), colours.get(parent))
            else {
                continue;
            };
            for (row, target) in link.parents.iter().enumerate() {
                let Some(target) = *target else { continue };
                if let Some(said) = said.get_mut(child) {
                    said[row].push((nth, true, of_parents[target]));
                }
                if let Some(said) = said.get_mut(parent) {
                    said[target].push((nth, false, of_children[row]));
                }
            }
        }
        let mut next = Colours::new();
        for (table, rows) in colours {
            let mut of_rows = said.remove(table).unwrap_or_default();
            let of_rows = rows.iter().zip(&mut of_rows).map(|(colour, said)| {
                said.sort_unstable();
                number(&mut known, (*colour, std::mem::take(said)))
            });
            next.insert(table, of_rows.collect());
        }
        all.push(next);
    }
    (all, known.len())
}

/// The rows that a reference leads to. A key with a NULL leads nowhere.
fn link<'s>(snapshot: &'s Snapshot, reference: &'s Reference) -> Links<'s> {
    let key = |table: &str, columns: &[String]| -> Vec<Option<Vec<&'s str>>> {
        let Some((of, rows)) = snapshot.rows(table) else {
            return Vec::new();
        };
        let places: Option<Vec<usize>> = columns.iter().map(|column| of.place(column)).collect();
        let Some(places) = places else {
            return vec![None; rows.len()];
        };
        rows.iter()
            .map(|row| {
                let cells = places.iter().map(|place| row.get(*place)?.as_deref());
                cells.collect()
            })
            .collect()
    };
    let parents = key(&reference.parent, &reference.parent_columns);
    let by_key: HashMap<Vec<&str>, usize> = parents
        .into_iter()
        .enumerate()
        .filter_map(|(row, key)| Some((key?, row)))
        .collect();
    let children = key(&reference.child, &reference.child_columns);
    Links {
        reference,
        parents: children
            .into_iter()
            .map(|key| by_key.get(&key?).copied())
            .collect(),
    }
}

fn number<K: std::hash::Hash + Eq>(known: &mut HashMap<K, u32>, key: K) -> u32 {
    let next = u32::try_from(known.len()).unwrap_or(u32::MAX);
    *known.entry(key).or_insert(next)
}
