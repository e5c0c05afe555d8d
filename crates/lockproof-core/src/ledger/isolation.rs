//! Where the lock is the server's own check of SERIALIZABLE transactions: what of a run it did not see.
//!
//! Owns that list: writes of transactions at another level, and what a pod read at another level before it wrote.
//! The level of a write the server tells; that of a read, which nobody witnesses, its transaction's texts and
//! writes do, and the level that its session has without asking. Knows nothing of what must hold.

use std::collections::{BTreeMap, HashMap};

use crate::history::{Ending, Event, Fate, Isolation};
use crate::name::{ConnectionName, PodName, Session, StepId};
use crate::sql::{TablesRead, tables_read};
use crate::timeline::{StepFacts, Timeline, by_session};

/// Something that the check of SERIALIZABLE did not see.
#[derive(Debug)]
pub struct Loose<'a> {
    /// The line that shows it.
    pub seq: u64,
    /// Whose it is.
    pub connection: &'a ConnectionName,
    /// In which step.
    pub step: Option<StepId>,
    /// The table, as it was asked for; `None`: the text does not tell what it read.
    pub table: Option<String>,
    /// What it is.
    pub how: LooseHow,
}

/// What the check did not see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LooseHow {
    /// A write at another level.
    Wrote,
    /// A read at another level, and a write of the same pod came after it.
    Read,
    /// A read of which the level is not known, or what it read.
    Unknown,
}

/// A write that the witness saw.
struct Seen<'a> {
    seq: u64,
    connection: &'a ConnectionName,
    session: Session,
    step: Option<&'a StepFacts<'a>>,
    isolation: Option<Isolation>,
    usual: Option<Isolation>,
    tables: Vec<String>,
}

/// All that the check did not see, writes first. `protects`: the protected table that a name means.
#[must_use]
pub fn not_serializable<'a>(
    timeline: &'a Timeline<'a>,
    protects: impl Fn(&str) -> Option<String>,
) -> Vec<Loose<'a>> {
    let writes = written(timeline, &protects);
    let mut found: Vec<Loose<'a>> = Vec::new();
    let of_protected = || writes.iter().filter(|write| !write.tables.is_empty());
    for write in of_protected().filter(|write| write.isolation != Some(Isolation::Serializable)) {
        found.extend(write.tables.iter().map(|table| Loose {
            seq: write.seq,
            connection: write.connection,
            step: write.step.map(|step| step.id),
            table: Some(table.clone()),
            how: LooseHow::Wrote,
        }));
    }
    // The last protected write of each pod.
    let mut last: BTreeMap<&PodName, u64> = BTreeMap::new();
    for write in of_protected() {
        let at = write
            .step
            .and_then(|step| step.released)
            .map_or(write.seq, |at| at.seq);
        let known = last.entry(&write.connection.pod).or_default();
        *known = at.max(*known);
    }
    for own in by_session(&timeline.steps).values() {
        let mut begin = 0;
        for (place, step) in own.iter().enumerate() {
            if place > 0 && own[place - 1].leaves_none_open() {
                begin = place;
            }
            let Some(end) = step.last().filter(|end| end.ending == Ending::Done) else {
                continue;
            };
            let before = step
                .released
                .is_some_and(|at| last.get(step.pod()).is_some_and(|last| at.seq < *last));
            if !before || end.answer.error.is_some() || step.request.look_up {
                continue;
            }
            let table = match tables_read(&step.request.sql, &step.request.normal) {
                TablesRead::Known(looks) => {
                    let table = looks.tables.iter().find_map(|table| protects(table));
                    let Some(table) = table else { continue };
                    Some(table)
                }
                // A function may have read what its call does not name.
                TablesRead::Unknown(_) if step.request.opaque => None,
                TablesRead::Unknown(_) => continue,
            };
            let until = own[place..]
                .iter()
                .position(|one| one.leaves_none_open())
                .map_or(own.len(), |at| place + at + 1);
            let how = match (level(&own[begin..until], place - begin, &writes), &table) {
                (Some(true), _) => continue,
                (Some(false), Some(_)) => LooseHow::Read,
                (None, _) | (_, None) => LooseHow::Unknown,
            };
            found.push(Loose {
                seq: end.at.seq,
                connection: step.connection,
                step: Some(step.id),
                table,
                how,
            });
        }
    }
    found
}

/// Whether a transaction of these steps is serializable, asked at one of them.
fn level(steps: &[&StepFacts<'_>], at: usize, writes: &[Seen<'_>]) -> Option<bool> {
    let is = |level: Option<Isolation>| level == Some(Isolation::Serializable);
    let within = |write: &&Seen<'_>| {
        write
            .step
            .is_some_and(|step| steps.iter().any(|one| one.id == step.id))
    };
    if let Some(write) = writes.iter().find(within) {
        return Some(is(write.isolation));
    }
    let texts = steps[..=at].iter().flat_map(|step| &step.request.normal);
    let mut texts = texts.map(|sql| sql.to_lowercase());
    if let Some(said) = texts.find(|sql| sql.contains("isolation level")) {
        return Some(said.contains("serializable"));
    }
    let step = steps[at];
    let own = |write: &&Seen<'_>| Some(write.session) == step.session;
    if let Some(write) = writes.iter().find(own) {
        return Some(is(write.usual));
    }
    let mut usual = writes
        .iter()
        .filter(|write| write.connection.pod == *step.pod())
        .map(|write| is(write.usual));
    let first = usual.next()?;
    usual.all(|one| one == first).then_some(first)
}

fn written<'a>(
    timeline: &'a Timeline<'a>,
    protects: &impl Fn(&str) -> Option<String>,
) -> Vec<Seen<'a>> {
    let mut known: HashMap<StepId, &StepFacts<'_>> = HashMap::new();
    known.extend(timeline.steps.iter().map(|(id, step)| (*id, step)));
    let lines = timeline.lines.iter();
    lines
        .filter_map(|line| {
            let Event::Write(write) = &line.event else {
                return None;
            };
            let extent = &write.extent;
            if extent.fate == Some(Fate::RolledBack) {
                return None;
            }
            let tables: Vec<String> = match &extent.changed {
                None => protects(&write.table).into_iter().collect(),
                Some(all) => all.iter().filter_map(|one| protects(&one.table)).collect(),
            };
            let step = write.step.and_then(|step| known.get(&step).copied());
            Some(Seen {
                seq: line.seq,
                connection: write.connection.as_ref()?,
                session: step.and_then(|step| step.session).unwrap_or(write.session),
                step,
                isolation: extent.isolation,
                usual: extent.usual,
                tables,
            })
        })
        .collect()
}
