//! exactly-once, where the lock is a queue: the change that makes a row done is committed once for each, and none
//! stays claimed by a pod that is gone, once another has come after it and ended well.
//!
//! A row that is made free again is another job from then on. A deletion of what is not there any more changes no row,
//! and no trigger sees it: of a queue whose rows are deleted, that two pods did the work is for mutual-exclusion.

use std::collections::BTreeMap;

use super::super::facts::Facts;
use super::super::ruling::Found;
use super::super::verdict::Finding;
use super::evidence::missing;
use super::story::change_words;
use crate::history::{Done, Ending, LockRow, RowVersion};
use crate::ledger::{LeaseChange, LeaseSection, Leases, RowBooks, told_lost};
use crate::name::{PodName, TableName};
use crate::sql::{TablesRead, tables_read};
use crate::timeline::{EndingFacts, StepFacts};

/// Adds what is wrong with the rows of the queue; how many came to be done.
pub(in super::super) fn done_once(
    facts: &Facts<'_>,
    books: &RowBooks<'_>,
    found: &mut Found,
) -> usize {
    let Some(done) = &books.rule.queue else {
        return 0;
    };
    let mut all = 0;
    let told = Told::of(facts, books);
    for row in &books.rows {
        all += usize::from(of_row(facts, &told, row, done, found));
        stuck(facts, &told, row, found);
    }
    missing(facts, books, found);
    all
}

/// At which lines pods were told that they touched, or saw, no row of the queue.
struct Told<'f>(BTreeMap<&'f PodName, Vec<u64>>);

impl<'f> Told<'f> {
    fn of<'a: 'f>(facts: &'f Facts<'a>, books: &RowBooks<'_>) -> Self {
        let mut told: BTreeMap<&PodName, Vec<u64>> = BTreeMap::new();
        for step in facts.steps.values() {
            if let Some(end) = told_lost(step, books.rule).or_else(|| saw_none(step, books.rule)) {
                told.entry(step.pod()).or_default().push(end.at.seq);
            }
        }
        told.values_mut().for_each(|lines| lines.sort_unstable());
        Self(told)
    }

    /// Whether this pod was told so between these lines.
    fn was(&self, pod: &PodName, from: u64, to: u64) -> bool {
        let lines = self.0.get(pod).map_or(&[][..], Vec::as_slice);
        let next = lines.partition_point(|line| *line <= from);
        lines.get(next).is_some_and(|line| *line < to)
    }
}

/// The answer of a look at the queue that showed no row.
fn saw_none<'s, 'a>(step: &'s StepFacts<'a>, rule: &LockRow) -> Option<&'s EndingFacts<'a>> {
    let end = step.last().filter(|end| end.ending == Ending::Done)?;
    let none = end.answer.error.is_none() && end.answer.tags == ["SELECT 0"];
    let TablesRead::Known(looks) = tables_read(&step.request.sql, &step.request.normal) else {
        return None;
    };
    let table = TableName::new(&rule.table);
    let of_queue = |one: &String| TableName::new(one).may_mean(table);
    (none && looks.tables.iter().any(of_queue)).then_some(end)
}

/// Whether the row came to be done; a second time is a violation.
fn of_row(
    facts: &Facts<'_>,
    told: &Told<'_>,
    row: &Leases<'_>,
    done: &Done,
    found: &mut Found,
) -> bool {
    let mut came = false;
    let mut first: Option<&LeaseChange<'_>> = None;
    // Pods that have claimed it and not ended it, and the lines of their claims.
    let mut at_work: BTreeMap<&PodName, u64> = BTreeMap::new();
    let line = |change: &LeaseChange<'_>| {
        let step = change.step.and_then(|step| facts.steps.get(&step));
        step.and_then(|step| step.released)
            .map_or(change.seq, |at| at.seq)
    };
    let is_done = |version: &RowVersion| version.done;
    for change in &row.changes {
        let was = change.before.is_some_and(is_done);
        let is = change.after.is_some_and(is_done);
        if change.grants() {
            at_work.extend(change.pod().map(|pod| (pod, line(change))));
        }
        // Who was told since that it has the row no longer is at work on it no longer.
        let own = change.pod().is_some_and(|pod| {
            at_work
                .get(pod)
                .is_some_and(|from| !told.was(pod, *from, line(change)))
        });
        let ends = match done {
            Done::When(_) => is && (!was || own),
            Done::Deleted => change.after.is_none() && own,
        };
        came |= ends;
        let free = |after: &RowVersion| !after.done && !after.held;
        if change.after.is_none_or(free) {
            // What has this key from now on is another job.
            first = None;
            at_work.clear();
        } else if ends {
            if let Some(pod) = change.pod() {
                at_work.remove(pod);
            }
            match first {
                Some(once) => found.violation(twice(facts, row, once, change)),
                None => first = Some(change),
            }
        }
    }
    came
}

fn twice(
    facts: &Facts<'_>,
    row: &Leases<'_>,
    once: &LeaseChange<'_>,
    change: &LeaseChange<'_>,
) -> Finding {
    Finding {
        why: format!(
            "{} was done twice: {}, and {}. A claim must change the row's state in the statement that finds it free, and \
             whoever ends it must look whether it is still its own",
            row.name,
            change_words(facts, once),
            change_words(facts, change)
        ),
        seqs: vec![once.seq, change.seq],
        pod: change.pod().cloned(),
        witness_only: true,
        ..Finding::default()
    }
}

/// A row that is claimed by a pod that is gone, though another pod came after that and ended well.
fn stuck(facts: &Facts<'_>, told: &Told<'_>, row: &Leases<'_>, found: &mut Found) {
    let Some(section) = row.sections.last().filter(|one| one.end.is_none()) else {
        return;
    };
    // What time frees is free in time.
    let waits = section.until_us.is_some() && !row.last_version().is_some_and(|last| last.expired);
    let Some(healer) = healer(facts, told, row, section).filter(|_| !waits) else {
        return;
    };
    let last = &row.changes[section.last];
    let late = match section.aged {
        Some(_) => "; its lease has run out",
        None => "",
    };
    found.violation(Finding {
        why: format!(
            "{} is neither done nor free: {}, and is gone{late}; pod {healer} came after that, ended well and left it. Do \
             claim, work and end in one transaction, or let a claim run out and look for those",
            row.name,
            change_words(facts, last)
        ),
        seqs: vec![last.seq],
        pod: Some(section.pod().clone()),
        witness_only: true,
        ..Finding::default()
    });
}

/// A pod that began when the section's pod had ended, and its time had passed, that found no row to take, and ended well.
fn healer<'a>(
    facts: &Facts<'a>,
    told: &Told<'_>,
    row: &Leases<'_>,
    section: &LeaseSection<'_>,
) -> Option<&'a PodName> {
    let gone = facts.pods.get(section.pod())?.exit?.seq;
    let aged = section.aged.map(|place| row.changes[place].server_us);
    // The line of the move is not the one in which the log tells it.
    let aged = facts
        .faults
        .iter()
        .filter(|fault| aged.is_some() && fault.is_expiry());
    let from = aged.map(|fault| fault.from).max().unwrap_or(0).max(gone);
    let mut pods = facts.started();
    pods.find_map(|(name, pod)| {
        let after = pod.started.is_some_and(|started| started > from);
        // One that took another row and left had no reason to look for this one.
        let looked = told.was(name, from, u64::MAX);
        (after && looked && pod.succeeded() && pod.ended.is_some()).then_some(name)
    })
}
