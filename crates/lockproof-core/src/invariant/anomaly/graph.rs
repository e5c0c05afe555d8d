//! The accesses of a run as the nodes in which cycles are looked for: by their tables, and no more of them than can
//! be looked at.
//!
//! Owns what is left out: of many accesses of one kind the first and the last are enough to tell a cycle. What was in
//! between two of them is always asked of all.

use std::collections::BTreeMap;

use super::access::{Access, Does, Unit};
use super::reading::Accesses;
use super::rows::{Same, same_search};
use crate::name::{PodName, StepId};
use crate::sql::RowsMeant;

/// So many of the first, and of the last, accesses of one kind are looked at.
const EDGE: usize = 6;
/// Where there are more accesses than these (many transactions that are a unit each), no cycle is looked for.
pub(super) const MOST: usize = 600;

/// Accesses, and which of them are looked at.
#[derive(Debug)]
pub(super) struct Graph<'a> {
    all: Vec<Access<'a>>,
    /// Who may have read anything at all, and between which lines.
    unread: Vec<(&'a PodName, u64, u64)>,
    /// The places of all, by their tables.
    of_table: BTreeMap<String, Vec<usize>>,
    /// The places of those that are looked at, by their tables.
    pub sample: BTreeMap<String, Vec<usize>>,
}

impl<'a> Graph<'a> {
    /// Of these accesses.
    pub fn of(Accesses { all, unread }: Accesses<'a>) -> Self {
        let mut of_table: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        let mut kinds: BTreeMap<(&str, Unit<'a>, Does, bool), Vec<usize>> = BTreeMap::new();
        for (place, one) in all.iter().enumerate() {
            of_table.entry(one.table.clone()).or_default().push(place);
            let kind = (one.table.as_str(), one.unit, one.does, one.fails.is_some());
            kinds.entry(kind).or_default().push(place);
        }
        let mut sample: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        let mut count = 0;
        for ((table, ..), mut places) in kinds {
            if places.len() > 2 * EDGE {
                places.drain(EDGE..places.len() - EDGE);
            }
            count += places.len();
            sample.entry(table.to_owned()).or_default().extend(places);
        }
        if count > MOST {
            sample.clear();
        }
        Self {
            all,
            unread,
            of_table,
            sample,
        }
    }

    /// The access at this place.
    pub fn at(&self, place: usize) -> &Access<'a> {
        &self.all[place]
    }

    /// The places that are looked at in this table.
    pub fn sample_of(&self, table: &str) -> &[usize] {
        self.sample.get(table).map_or(&[], Vec::as_slice)
    }

    /// The access in which this step failed, if it is looked at.
    pub fn failed(&self, step: StepId) -> Option<usize> {
        let mut all = self.sample.values().flatten();
        all.find(|place| self.at(**place).fails.is_some() && self.at(**place).step.id == step)
            .copied()
    }

    /// How many accesses are looked at.
    #[cfg(test)]
    pub fn looked_at(&self) -> usize {
        self.sample.values().map(Vec::len).sum()
    }

    /// Whether a unit wrote this table after this access.
    pub fn writes_later(&self, place: usize, table: &str) -> bool {
        let one = self.at(place);
        let mut own = self.of_table.get(table).into_iter().flatten();
        own.any(|other| {
            let other = self.at(*other);
            other.unit == one.unit && other.writes() && one.step.released < other.step.released
        })
    }

    /// Whether the unit of the last of two accesses (of another unit and of its own) may have learned in between what
    /// the rows had become.
    pub fn looked_again(&self, after: usize, before: usize) -> bool {
        let (after, before) = (self.at(after), self.at(before));
        let mut unread = self.unread.iter();
        let unread = unread.any(|(pod, from, until)| {
            *pod == before.pod() && *until >= after.from && *from <= before.until
        });
        unread
            || self.between(after, before).any(|one| {
                one.unit == before.unit && one.does != Does::Insert && one.same(before) > Same::No
            })
    }

    /// The other accesses of a table that can have been between two of it.
    fn between<'g>(
        &'g self,
        first: &'g Access<'a>,
        last: &'g Access<'a>,
    ) -> impl Iterator<Item = &'g Access<'a>> {
        let all = self.of_table.get(&first.table).into_iter().flatten();
        let all = all.map(|place| self.at(*place));
        all.filter(move |one| {
            let is = |other: &Access<'_>| std::ptr::eq(*one, other);
            !is(first) && !is(last) && one.until >= first.from && one.from <= last.until
        })
    }

    /// Whether the rows that these three accesses (in their order) mean stayed what they were: nobody took such rows
    /// away in between or changed what tells which they are, and, where the first only looked, nobody made any.
    pub fn stays(&self, [first, middle, last]: [usize; 3]) -> bool {
        let three = [self.at(first), self.at(middle), self.at(last)];
        let looked = !three[0].writes() && three[1].does != Does::Insert;
        let others = self
            .between(three[0], three[2])
            .filter(|one| !std::ptr::eq(*one, three[1]));
        let mut writes = others.filter(|one| one.writes());
        !writes.any(|one| {
            let meets = three.iter().all(|other| may_meet(one, other));
            let wiped =
                three[1].does == Does::Delete && three[1].unit == one.unit && three[1].before(one);
            match one.does {
                // What the one in the middle had taken away it can take away no more.
                Does::Delete => meets && !wiped,
                Does::Insert => looked && meets && !three[1].before(one),
                _ => moves(one, &three),
            }
        })
    }
}

/// Whether a write may mean a row that another access means.
fn may_meet(write: &Access<'_>, other: &Access<'_>) -> bool {
    match other.does {
        // What is made anew has nothing to do with what was made before; what is taken away may be it.
        Does::Insert if write.does == Does::Insert => true,
        _ => write.same(other) > Same::No,
    }
}

/// Whether an UPDATE may set a column that tells which rows these accesses mean.
fn moves(update: &Access<'_>, three: &[&Access<'_>; 3]) -> bool {
    let mut conditions = three.iter().filter_map(|one| one.condition()).peekable();
    if conditions.peek().is_none() {
        return false;
    }
    let Some(sets) = &update.text.sets else {
        return true;
    };
    conditions.any(|columns| sets.iter().any(|one| columns.contains(&one.name)))
}

/// Whether two accesses of one unit are surely of the same rows.
pub(super) fn within(one: &Access<'_>, later: &Access<'_>) -> Same {
    use Does::{Delete, Insert, Read};
    if later.fails.is_some() {
        // What a constraint looked for is what the unit had made, or one of all the rows that it had looked at.
        let own = matches!(one.does, Insert) || one.text.rows == RowsMeant::All;
        return Same::surely_if(own || same_search(&one.text.rows, &later.text.rows));
    }
    match (one.does, later.does) {
        (Read, Read) => Same::surely_if(same_search(&one.text.rows, &later.text.rows)),
        (Delete, _) | (_, Insert) => Same::No,
        _ => one.same(later),
    }
}
