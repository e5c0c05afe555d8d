//! no-leak, where the lock is a row: after the last pod nothing stands in a fresh pod's way that time does not
//! remove, and nothing but time where its pod gave the lock back.
//!
//! What a fresh pod would find is told by the row's last version and by how its pod ended. A release may keep the
//! lock for a while (`lockAtLeastFor`); a pod that a fault took may leave it until its time has passed.

use super::super::facts::Facts;
use super::super::ruling::Found;
use super::super::verdict::Finding;
use super::evidence::{UNSEEN, missing};
use super::story::change_words;
use crate::ledger::{Deed, Leases, RowBooks};

/// Adds what is left of the lock row to what was found.
pub(in super::super) fn left(facts: &Facts<'_>, books: &RowBooks<'_>, found: &mut Found) {
    if !facts.run.witness {
        found.unclear(UNSEEN, Vec::new());
        return;
    }
    for row in &books.rows {
        left_behind(facts, row, found);
    }
    missing(facts, books, found);
}

/// What nobody could finish before the end of the run, if there is such: a row of a lock that a pod had when a fault
/// took it, and that is had until its time has passed.
pub(in super::super) fn left_to_time(facts: &Facts<'_>) -> Option<String> {
    let mut rows = facts.leases.iter().flat_map(|books| &books.rows);
    rows.find_map(|leases| {
        let section = leases.sections.last().filter(|one| one.end.is_none())?;
        let expires = leases.rule.expiry.is_some() && section.until_us.is_some();
        let expired = leases.last_version().is_some_and(|row| row.expired);
        let waits = expires && !expired && leases.rule.claim.is_none();
        (waits && facts.hit(section.pod()).is_some()).then(|| {
            format!(
                "{} is still had by pod {}, which a fault hit, until its time has passed: whether what that pod left \
                 is finished then was not tried (`{{ expire = \"lock\" }}` after the fault tries it)",
                leases.name,
                section.pod()
            )
        })
    })
}

fn left_behind(facts: &Facts<'_>, leases: &Leases<'_>, found: &mut Found) {
    // A claim is there to stay; whether its work was done is the affair of exactly-once.
    if leases.rule.claim.is_some() {
        return;
    }
    let Some(section) = leases.sections.last().filter(|one| one.end.is_none()) else {
        return;
    };
    let expires = leases.rule.expiry.is_some() && section.until_us.is_some();
    let last = &leases.changes[section.last];
    let taken_by_fault = facts.hit(section.pod()).is_some();
    let why = match (expires, taken_by_fault) {
        (true, true) => return,
        // Whether a row of a queue comes free again is the affair of exactly-once.
        (false, true) if leases.rule.queue.is_some() => return,
        // Its last word was for how long it is kept after it.
        (true, false) if matches!(last.deed, Deed::Renewal { shortened: true }) => return,
        (true, false) if leases.last_version().is_some_and(|row| row.expired) => return,
        (true, false) => {
            "and ended without giving it back: nobody gets it until its time has passed"
        }
        (false, true) => {
            "and was gone before it could give it back: the row says no time at which that ends, so it is had until \
             someone changes the row by hand"
        }
        (false, false) => {
            "and ended without giving it back: it is had until someone changes the row by hand"
        }
    };
    let finding = Finding {
        why: format!(
            "{} is left behind: {}, {why}",
            leases.name,
            change_words(facts, last)
        ),
        seqs: vec![last.seq],
        pod: Some(section.pod().clone()),
        witness_only: true,
        ..Finding::default()
    };
    match facts.stopped_at_limit(section.pod()) {
        true => found.stopped(finding),
        false => found.violation(finding),
    }
}
