//! What is not known of a lock row.
//!
//! Owns what makes each invariant of it inconclusive: nobody watched the row, somebody changed it who is no pod,
//! a change that nobody logged, a lease that ran out while the gate held its pod.

use std::collections::BTreeSet;

use super::super::facts::Facts;
use super::super::ruling::Found;
use super::super::verdict::Finding;
use crate::ledger::{LeaseChange, LeaseSection, Leases, RowBooks};

/// Why nothing is known of the row.
pub(super) const UNSEEN: &str =
    "the lock is a row, and this run had no witness that sees who changes it";

/// What of the row's changes is not known. Where anything is not, nobody knows who had the lock: what was found
/// so far says nothing, either.
pub(super) fn missing(facts: &Facts<'_>, books: &RowBooks<'_>, found: &mut Found) {
    let whole = |row: &Leases<'_>| row.strangers.is_empty() && row.gaps.is_empty();
    let known = books.rows.iter().all(whole) && facts.lost.is_empty();
    let doubtful = match known {
        true => Vec::new(),
        false => std::mem::take(&mut found.violations),
    };
    for leases in &books.rows {
        missing_of(leases, found);
    }
    found.blinded(facts);
    found.unclear.extend(doubtful);
}

/// What of the changes of one row is not known.
fn missing_of(leases: &Leases<'_>, found: &mut Found) {
    let row = &leases.name;
    let mut told = BTreeSet::new();
    for place in &leases.strangers {
        let change = &leases.changes[*place];
        if told.insert(change.session.pid) {
            let why = format!(
                "{}, which did not come through lockproof, changed {row}",
                change.session
            );
            found.unclear(why, vec![change.seq]);
        }
    }
    for gap in &leases.gaps {
        let why = format!(
            "{row} was changed before line {} of the log tells it, and no line tells that change",
            gap.seq
        );
        found.unclear(why, vec![gap.seq]);
    }
    let both = leases
        .changes
        .iter()
        .find(|change| change.after.is_some_and(|after| after.held && after.done));
    if let Some(change) = both {
        let why = format!("{row} was claimed and done at once: `claimed` and `done` overlap");
        found.unclear(why, vec![change.seq]);
    }
}

/// Whether the pod of this section lived when another changed its row. Of a queue, and
/// of claims, the row of a dead pod is anybody's.
pub(super) fn outlived(
    facts: &Facts<'_>,
    leases: &Leases<'_>,
    section: &LeaseSection<'_>,
    change: &LeaseChange<'_>,
) -> bool {
    let step = change.step.and_then(|step| facts.steps.get(&step));
    let at = step.and_then(|step| step.released);
    let at = at.map_or(change.seq, |at| at.seq);
    let pod = facts.pods.get(section.pod());
    !leases.rule.is_many() || pod.is_none_or(|pod| pod.lived_at(at))
}

/// Sections whose time passed on the real clock while their pod lived: each in words. The gate holds pods for
/// longer than a job takes, so that such a lease says nothing.
pub(super) fn ran_out(facts: &Facts<'_>, books: &RowBooks<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    let rows = books.rows.iter().filter(|_| facts.controlled());
    rows.for_each(|row| ran_out_of(facts, row, &mut found));
    found
}

fn ran_out_of(facts: &Facts<'_>, leases: &Leases<'_>, found: &mut Vec<Finding>) {
    for section in &leases.sections {
        let (Some(until), None) = (section.until_us, section.aged) else {
            continue;
        };
        let pod = facts.pods.get(section.pod());
        let taken = &leases.changes[section.taken];
        let end = section
            .end
            .map_or(leases.changes.len(), |(place, _)| place + 1);
        let seen = leases.changes[section.taken..end].iter().find(|change| {
            let step = change.step.and_then(|step| facts.steps.get(&step));
            let at = step.and_then(|step| step.released);
            let at = at.map_or(change.seq, |at| at.seq);
            change.pod() != Some(section.pod())
                && change.connection.is_some()
                && change.server_us > until
                && pod.is_some_and(|pod| pod.lived_at(at))
        });
        let ended = section
            .end
            .map_or(i64::MAX, |(place, _)| leases.changes[place].server_us);
        let after = until.max(taken.server_us);
        let late = facts
            .writes
            .partition_point(|write| write.server_us <= after);
        let mut late = facts.writes[late..]
            .iter()
            .take_while(|write| write.server_us <= ended);
        let wrote = late.find(|write| write.pod() == section.pod());
        let seq = match (seen, wrote) {
            (Some(change), _) => change.seq,
            (None, Some(write)) => write.seq,
            (None, None) => continue,
        };
        let lease = until.saturating_sub(taken.server_us) / 1_000;
        found.push(Finding {
            why: format!(
                "the lease of pod {} ran out by the clock after {lease} ms, while the gate held its steps: it is \
                 shorter than the run. Let the job take the lock for longer, and let time pass by `{{ expire = \
                 \"lock\" }}`",
                section.pod()
            ),
            seqs: vec![taken.seq, seq],
            pod: Some(section.pod().clone()),
            ..Finding::default()
        });
    }
}
