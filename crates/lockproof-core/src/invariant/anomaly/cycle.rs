//! Cycles of two units in the serialization graph, and their names.
//!
//! Owns which cycles have a name. Each is looked for by its definition: three accesses of one table (the first and
//! the last of one unit, the one in the middle of another), or two edges that need not be of one table. Knows nothing
//! of SQL.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::access::{Access, Does, Found, Unit};
use super::graph::{Graph, within};
use super::rows::Same;
use crate::name::{Anomaly, PodName};

/// Of cycles with the same name so many are asked whether their rows stayed what they were.
const TRIES: usize = 24;

/// A cycle that has a name.
#[derive(Debug, Clone)]
pub(super) struct Cycle {
    pub name: Anomaly,
    pub sure: Same,
    /// Its accesses, in the order in which the story is told.
    pub places: Vec<usize>,
    /// Those of them by which its units learned what was wrong.
    reads: Vec<usize>,
}

/// The cycles of a run, each looked for once.
pub(super) struct Cycles<'g, 'a> {
    pub graph: &'g Graph<'a>,
    threes: BTreeMap<String, Vec<Cycle>>,
    pairs: Vec<Cycle>,
}

impl<'g, 'a> Cycles<'g, 'a> {
    /// Those of this graph.
    pub fn of(graph: &'g Graph<'a>) -> Self {
        let tables = graph.sample.keys();
        Self {
            graph,
            threes: tables
                .map(|table| (table.clone(), threes(graph, table)))
                .collect(),
            pairs: pairs(graph),
        }
    }

    /// The cycle that a finding about this table is called by, of this pod if it names one.
    pub fn of_table(&self, table: &str, pod: Option<&PodName>) -> Option<&Cycle> {
        let graph = self.graph;
        let meets = |cycle: &&Cycle| {
            pod.is_none_or(|pod| {
                cycle
                    .places
                    .iter()
                    .any(|place| graph.at(*place).pod() == pod)
            })
        };
        let touches = |cycle: &&Cycle| {
            cycle
                .places
                .iter()
                .any(|place| graph.at(*place).table == table)
        };
        let threes = self.threes.get(table).into_iter().flatten();
        let pairs = self.pairs.iter().filter(touches);
        let own: Vec<&Cycle> = threes.chain(pairs).filter(meets).collect();
        if !own.is_empty() {
            return strongest(graph, own);
        }
        // What went wrong in another table came into this one by somebody who had read there.
        let all = self.threes.values().flatten().chain(&self.pairs);
        let came = |cycle: &&Cycle| {
            let mut reads = cycle.reads.iter();
            reads.any(|read| graph.writes_later(*read, table))
        };
        strongest(graph, all.filter(meets).filter(came).collect())
    }

    /// The cycle in which this access failed.
    pub fn of_failed(&self, failed: usize) -> Option<&Cycle> {
        let all = self.threes.get(&self.graph.at(failed).table)?.iter();
        strongest(
            self.graph,
            all.filter(|one| one.places.last() == Some(&failed))
                .collect(),
        )
    }
}

/// The strongest, if it is sure; of one name what was last, for what came before may have been wiped meanwhile. One
/// that is possible and stronger leaves all without a name.
fn strongest<'c>(graph: &Graph<'_>, mut all: Vec<&'c Cycle>) -> Option<&'c Cycle> {
    let begun = |place: &usize| graph.at(*place).step.released.map_or(0, |at| at.seq);
    all.sort_by_cached_key(|one| {
        let last: u64 = one.places.iter().map(begun).sum();
        (one.name, Reverse(one.sure), Reverse(last))
    });
    let mut rest = all.as_slice();
    while let Some(first) = rest.first() {
        let end = rest.partition_point(|one| one.name == first.name);
        let (own, weaker) = rest.split_at(end);
        let mut refuted = 0;
        for one in own.iter().take(TRIES) {
            if has_looked_again(graph, one) {
                refuted += 1;
            } else if one.sure == Same::Surely && stays(graph, one) {
                return Some(one);
            }
        }
        if refuted < own.len() {
            return None;
        }
        rest = weaker;
    }
    None
}

/// Whether who wrote over another's write had looked at that before: then it is no lost update.
fn has_looked_again(graph: &Graph<'_>, cycle: &Cycle) -> bool {
    match *cycle.places.as_slice() {
        [_, middle, last] if cycle.name == Anomaly::LostUpdate => graph.looked_again(middle, last),
        _ => false,
    }
}

fn stays(graph: &Graph<'_>, cycle: &Cycle) -> bool {
    match *cycle.places.as_slice() {
        [first, middle, last] => graph.stays([first, middle, last]),
        // The first and the last of each edge.
        [a, b, c, d] => graph.stays([a, b, b]) && graph.stays([c, d, d]),
        _ => false,
    }
}

/// Cycles of three accesses of one table.
fn threes(graph: &Graph<'_>, table: &str) -> Vec<Cycle> {
    let all = graph.sample_of(table);
    let mut found = Vec::new();
    for middle in all.iter().filter(|place| graph.at(**place).fails.is_none()) {
        let leads = |from: usize, to: usize| {
            let (from, to) = (graph.at(from), graph.at(to));
            match from.pod() != to.pod() && from.before(to) {
                true => from.leads_to(to),
                false => Same::No,
            }
        };
        let mut firsts: BTreeMap<Unit<'_>, Vec<(usize, Same)>> = BTreeMap::new();
        for first in all.iter().filter(|place| graph.at(**place).fails.is_none()) {
            let edge = leads(*first, *middle);
            if edge > Same::No {
                firsts
                    .entry(graph.at(*first).unit)
                    .or_default()
                    .push((*first, edge));
            }
        }
        for last in all {
            let to_last = leads(*middle, *last);
            let own = firsts.get(&graph.at(*last).unit).into_iter().flatten();
            for (first, to_middle) in own.filter(|_| to_last > Same::No) {
                let three = [*first, *middle, *last];
                if let Some((name, sure)) = named(three.map(|place| graph.at(place))) {
                    let reads = three.into_iter().filter(|place| !graph.at(*place).writes());
                    found.push(Cycle {
                        name,
                        sure: sure.min(*to_middle).min(to_last),
                        reads: reads.collect(),
                        places: three.to_vec(),
                    });
                }
            }
        }
    }
    found
}

/// What three accesses of one table are called of which each leads to the next, and how sure it is that they are that.
fn named([one, two, three]: [&Access<'_>; 3]) -> Option<(Anomaly, Same)> {
    use Does::{Delete, Insert, Read, Update};
    let own = within(one, three);
    let (name, sure) = match (one.does, two.does, three.does) {
        // It wrote, the other wrote over that, it came back to it.
        (Insert | Update, Update | Delete, Read) => (Anomaly::LostWrite, overwrites(one, two)),
        // The other read what it wrote once more.
        (Insert | Update, Read, Update | Delete) => {
            (Anomaly::DirtyRead, common(&[one, two, three]))
        }
        // It read, the other wrote, it wrote over that.
        (Read, Update, Update) => (Anomaly::LostUpdate, lost(one, two, three)),
        // It read twice, and the other wrote in between.
        (Read, Update | Delete, Read) => (Anomaly::NonRepeatableRead, common(&[one, two, three])),
        (Read, Insert, Read) => (Anomaly::Phantom, Same::Surely),
        _ => return None,
    };
    let sure = sure.min(own);
    (sure > Same::No).then_some((name, sure))
}

/// Whether the second writes over what the first wrote, and does not only reckon with it.
fn overwrites(one: &Access<'_>, two: &Access<'_>) -> Same {
    if two.does == Does::Delete {
        return Same::Surely;
    }
    let (Some(over), sets) = (&two.text.sets, &one.text.sets) else {
        return Same::Perhaps;
    };
    let blind = over.iter().filter(|column| column.blind);
    match (one.does, sets) {
        (Does::Insert, _) => some(blind.count()),
        (_, Some(sets)) => some(
            blind
                .filter(|column| sets.iter().any(|one| one.name == column.name))
                .count(),
        ),
        _ => Same::Perhaps,
    }
}

/// Whether the third writes over what the second wrote, and the first had read that.
fn lost(one: &Access<'_>, two: &Access<'_>, three: &Access<'_>) -> Same {
    let (Some(wrote), Some(_)) = (&two.text.sets, &three.text.sets) else {
        return Same::Perhaps;
    };
    let over: Vec<_> = wrote
        .iter()
        .filter(|column| three.overwrites(&column.name))
        .collect();
    match over.is_empty() {
        true => Same::No,
        false => Same::surely_if(over.iter().any(|column| one.sees(&column.name))),
    }
}

/// Whether accesses are surely about one column; what makes, takes away or checks a row is about all of it.
fn common(all: &[&Access<'_>; 3]) -> Same {
    let sets: Vec<_> = all.iter().filter(|one| one.does == Does::Update).collect();
    let Some(first) = sets.first() else {
        return Same::Surely;
    };
    if all.iter().any(|one| one.fails.is_some()) {
        return Same::Perhaps;
    }
    let mut columns = first.text.sets.iter().flatten();
    let in_all = |name: &String| {
        all.iter().all(|one| match one.does {
            Does::Update => one.text.sets.iter().flatten().any(|set| set.name == *name),
            Does::Read => one.sees(name),
            _ => true,
        })
    };
    Same::surely_if(columns.any(|column| in_all(&column.name)))
}

fn some(count: usize) -> Same {
    match count {
        0 => Same::No,
        _ => Same::Surely,
    }
}

/// An edge between units, by its two accesses.
struct Edge<'a> {
    from: Unit<'a>,
    to: Unit<'a>,
    places: [usize; 2],
    sure: Same,
}

/// Cycles of two edges that need not be of one table: each wrote over what the other had written, or what the other
/// had read.
fn pairs(graph: &Graph<'_>) -> Vec<Cycle> {
    let mut found = Vec::new();
    let written = edges(graph, true);
    let read = edges(graph, false);
    for (edges, skew) in [(&written, false), (&read, true)] {
        let mut between: BTreeMap<(Unit<'_>, Unit<'_>), Vec<&Edge<'_>>> = BTreeMap::new();
        for edge in edges {
            between.entry((edge.from, edge.to)).or_default().push(edge);
        }
        for one in edges {
            let back = between.get(&(one.to, one.from)).into_iter().flatten();
            for other in back.filter(|other| one.places[1] < other.places[1]) {
                let sure = one.sure.min(other.sure);
                let name = match skew {
                    false => Some((Anomaly::DirtyWrite, Same::Surely)),
                    true => skewed(graph, one.places[1], other.places[1]),
                };
                let Some((name, own)) = name else { continue };
                let mut places = one.places.to_vec();
                places.extend(other.places);
                let reads = places
                    .iter()
                    .copied()
                    .filter(|place| !graph.at(*place).writes());
                found.push(Cycle {
                    name,
                    sure: sure.min(own),
                    reads: reads.collect(),
                    places,
                });
            }
        }
    }
    found
}

/// What two writes are called each of which is over what the other's unit had read.
fn skewed(graph: &Graph<'_>, one: usize, other: usize) -> Option<(Anomaly, Same)> {
    let (one, other) = (graph.at(one), graph.at(other));
    let apart = one.table != other.table || one.same(other) == Same::No;
    match (one.does, other.does) {
        (Does::Insert, _) | (_, Does::Insert) => Some((Anomaly::Phantom, Same::Surely)),
        (Does::Update, Does::Update) => Some((Anomaly::WriteSkew, Same::surely_if(apart))),
        // Items that were read and are gone, or rows that were looked for: it can be told as either.
        _ => None,
    }
}

/// The edges to writes, of all writes or of all reads: for each write, and each unit, the surest and of those the last.
fn edges<'a>(graph: &Graph<'a>, of_writes: bool) -> Vec<Edge<'a>> {
    let mut found = Vec::new();
    for all in graph.sample.values() {
        for to in all.iter().filter(|place| graph.at(**place).writes()) {
            let mut best: BTreeMap<Unit<'a>, (Same, usize)> = BTreeMap::new();
            for from in all {
                let (one, other) = (graph.at(*from), graph.at(*to));
                let is =
                    one.writes() == of_writes && one.pod() != other.pod() && one.fails.is_none();
                if !is || !one.before(other) {
                    continue;
                }
                let sure = one.leads_to(other);
                if sure > Same::No {
                    let known = best.entry(one.unit).or_insert((sure, *from));
                    *known = (*known).max((sure, *from));
                }
            }
            found.extend(best.into_iter().map(|(unit, (sure, from))| Edge {
                from: unit,
                to: graph.at(*to).unit,
                places: [from, *to],
                sure,
            }));
        }
    }
    found
}

/// `a read public.t in its step 2; b updated public.t in its step 1; a updated public.t in its step 3`, in the order
/// in which it was.
pub(super) fn story(graph: &Graph<'_>, cycle: &Cycle) -> String {
    let mut places = cycle.places.clone();
    places.sort_by_key(|place| graph.at(*place).step.released);
    places.dedup();
    let parts: Vec<String> = places.iter().map(|place| words(graph.at(*place))).collect();
    parts.join("; ")
}

fn words(access: &Access<'_>) -> String {
    let what = match (access.does, access.fails) {
        (Does::Read, Some(Found::Missing)) => {
            "failed because it did not find the row that it needs in"
        }
        (Does::Read, Some(Found::There)) => "failed because of a row that it found in",
        (Does::Read, None) => "read",
        (Does::Update, _) => "updated",
        (Does::Insert, _) => "inserted into",
        (Does::Delete, _) => "deleted rows of",
    };
    let step = match access.step.number {
        Some(number) => format!("step {number}"),
        None => format!("step {}", access.step.id.0),
    };
    format!("{} {what} {} in its {step}", access.pod(), access.table)
}
