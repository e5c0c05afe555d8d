//! Cycles of two units in the serialization graph, and their names.
//!
//! Owns the edges and what each pair of them is called. Knows nothing of SQL.

use super::super::verdict::{Finding, NamedAnomaly};
use super::access::{Access, Accesses, Does};
use super::rows::Same;
use crate::name::Anomaly;

/// What an edge is: who must come first, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The second overwrote what the first wrote.
    Ww,
    /// The second read what the first wrote.
    Wr,
    /// The second overwrote what the first read.
    Rw,
}

#[derive(Debug, Clone, Copy)]
struct Edge<'g, 'a> {
    from: &'g Access<'a>,
    to: &'g Access<'a>,
    kind: Kind,
    sure: Same,
}

/// A cycle that has a name.
struct Candidate<'g, 'a> {
    name: Anomaly,
    sure: Same,
    edges: [Edge<'g, 'a>; 2],
}

/// The name of what a finding shows; `failed`: the access that failed, where it is an error.
pub(super) fn name(
    accesses: &Accesses<'_>,
    failed: Option<&Access<'_>>,
    finding: &Finding,
) -> Option<NamedAnomaly> {
    let mut all = candidates(&edges(accesses));
    let touches = |candidate: &Candidate<'_, '_>, meets: &dyn Fn(&Access<'_>) -> bool| {
        candidate
            .edges
            .iter()
            .any(|edge| meets(edge.from) || meets(edge.to))
    };
    if let Some(failed) = failed {
        all.retain(|one| touches(one, &|access| std::ptr::eq(access, failed)));
    } else if let Some(table) = finding.table.as_deref() {
        let table = table.replace('"', "").to_lowercase();
        let meets = |access: &Access<'_>| access.table == table;
        if all.iter().any(|one| touches(one, &meets)) {
            all.retain(|one| touches(one, &meets));
        }
    }
    // The strongest first, of one name what is sure, and of that what was last: what came before may have been
    // wiped meanwhile.
    all.sort_by_key(|one| {
        let begun = |edge: &Edge<'_, '_>| edge.from.step.released.map_or(0, |at| at.seq);
        let last: u64 = one.edges.iter().map(begun).sum();
        (one.name, std::cmp::Reverse((one.sure, last)))
    });
    let first = all.first()?;
    let alone = all.iter().all(|one| one.name == first.name);
    let known = first.sure == Same::Surely || alone && !accesses.opaque;
    known.then(|| NamedAnomaly::of(first.name, story(first)))
}

fn edges<'g, 'a>(accesses: &'g Accesses<'a>) -> Vec<Edge<'g, 'a>> {
    let mut edges = Vec::new();
    for from in &accesses.all {
        for to in &accesses.all {
            let kind = match (from.writes(), to.writes()) {
                (true, true) => Kind::Ww,
                (true, false) => Kind::Wr,
                (false, true) => Kind::Rw,
                (false, false) => continue,
            };
            if from.table != to.table || from.unit == to.unit || from.unit.0 == to.unit.0 {
                continue;
            }
            let sure = from.same(to);
            if sure > Same::No && from.before(to) {
                edges.push(Edge {
                    from,
                    to,
                    kind,
                    sure,
                });
            }
        }
    }
    edges
}

fn candidates<'g, 'a>(edges: &[Edge<'g, 'a>]) -> Vec<Candidate<'g, 'a>> {
    let mut all = Vec::new();
    for one in edges {
        for other in edges {
            if one.from.unit != other.to.unit || one.to.unit != other.from.unit {
                continue;
            }
            if let Some((name, within)) = named(one, other) {
                all.push(Candidate {
                    name,
                    sure: one.sure.min(other.sure).min(within),
                    edges: [*one, *other],
                });
            }
        }
    }
    all
}

/// What a cycle of these two edges is called, and how sure it is that its own accesses of a unit are of the same
/// rows, where the name says so.
fn named(one: &Edge<'_, '_>, other: &Edge<'_, '_>) -> Option<(Anomaly, Same)> {
    let one_table = one.from.table == other.to.table;
    let within = one.from.same(other.to);
    let at_all = |name| (one_table && within > Same::No).then_some((name, within));
    match (one.kind, other.kind) {
        (Kind::Ww, Kind::Ww) => Some((Anomaly::DirtyWrite, Same::Surely)),
        (Kind::Ww, Kind::Wr) => match one_table {
            true if other.to.fails.is_some() => Some((Anomaly::LostWrite, Same::Surely)),
            true => at_all(Anomaly::LostWrite),
            false => None,
        },
        // It read what the other wrote, and then the other wrote once more.
        (Kind::Wr, Kind::Rw) if one.from.before_in_unit(other.to) => at_all(Anomaly::DirtyRead),
        (Kind::Rw, Kind::Ww) => match within {
            Same::No => None,
            _ => at_all(Anomaly::LostUpdate),
        },
        // It read, the other wrote, it read again.
        (Kind::Rw, Kind::Wr) if one.to.step.id == other.from.step.id && one_table => {
            let name = match one.to.does {
                Does::Update => Anomaly::NonRepeatableRead,
                _ => Anomaly::Phantom,
            };
            match other.to.fails.is_some() {
                true => Some((name, Same::Surely)),
                false => at_all(name),
            }
        }
        (Kind::Rw, Kind::Rw) => {
            let updates = one.to.does == Does::Update && other.to.does == Does::Update;
            let name = match updates {
                true => Anomaly::WriteSkew,
                false => Anomaly::Phantom,
            };
            Some((name, Same::Surely))
        }
        _ => None,
    }
}

impl Access<'_> {
    fn before_in_unit(&self, later: &Self) -> bool {
        self.step.released < later.step.released
    }
}

/// `a read public.t in step 2; b wrote it in step 1; a wrote it in step 3`, in the order in which it was.
fn story(candidate: &Candidate<'_, '_>) -> String {
    let mut all: Vec<&Access<'_>> = Vec::new();
    for edge in &candidate.edges {
        for access in [edge.from, edge.to] {
            if !all.iter().any(|one| std::ptr::eq(*one, access)) {
                all.push(access);
            }
        }
    }
    all.sort_by_key(|access| access.step.released);
    let parts: Vec<String> = all.iter().map(|access| words(access)).collect();
    parts.join("; ")
}

fn words(access: &Access<'_>) -> String {
    let what = match access.does {
        Does::Read if access.fails.is_some() => "failed on what it found in",
        Does::Read => "read",
        Does::Update => "updated",
        Does::Insert => "inserted into",
        Does::Delete => "took rows out of",
    };
    let step = match access.step.number {
        Some(number) => format!("step {number}"),
        None => format!("step {}", access.step.id.0),
    };
    format!(
        "{} {what} {} in its {step}",
        access.step.pod(),
        access.table
    )
}
