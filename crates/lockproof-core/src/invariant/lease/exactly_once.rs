//! exactly-once, where the lock is a queue: the change that makes a row done is committed once for each, and none
//! stays claimed by a pod that is gone, once another has come after it and ended well.
//!
//! A row that is made free again is another job from then on. A deletion of what is not there any more changes no row,
//! and no trigger sees it: of a queue whose rows are deleted, that two pods did the work is for mutual-exclusion.

use std::collections::BTreeSet;

use super::super::facts::Facts;
use super::super::ruling::Found;
use super::super::verdict::Finding;
use super::evidence::missing;
use super::story::change_words;
use crate::history::{Done, RowVersion};
use crate::ledger::{LeaseChange, LeaseSection, Leases, RowBooks};
use crate::name::PodName;

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
    for row in &books.rows {
        all += usize::from(of_row(facts, row, done, found));
        stuck(facts, row, found);
    }
    missing(facts, books, found);
    all
}

/// Whether the row came to be done; a second time is a violation.
fn of_row(facts: &Facts<'_>, row: &Leases<'_>, done: &Done, found: &mut Found) -> bool {
    let mut came = false;
    let mut first: Option<&LeaseChange<'_>> = None;
    // Pods that have claimed it and not ended it.
    let mut at_work: BTreeSet<&PodName> = BTreeSet::new();
    let is_done = |version: &RowVersion| version.done;
    for change in &row.changes {
        let was = change.before.is_some_and(is_done);
        let is = change.after.is_some_and(is_done);
        if change.grants() {
            at_work.extend(change.pod());
        }
        let own = change.pod().is_some_and(|pod| at_work.contains(pod));
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
fn stuck(facts: &Facts<'_>, row: &Leases<'_>, found: &mut Found) {
    let Some(section) = row.sections.last().filter(|one| one.end.is_none()) else {
        return;
    };
    // What time frees is free in time.
    let waits = section.until_us.is_some() && !row.last_version().is_some_and(|last| last.expired);
    let Some(healer) = healer(facts, row, section).filter(|_| !waits) else {
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

/// A pod that began when the section's pod had ended, and its time had passed, and that ended well.
fn healer<'a>(
    facts: &Facts<'a>,
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
        (after && pod.succeeded() && pod.ended.is_some()).then_some(name)
    })
}
