//! Which locks pods used, and whether they guard themselves with them.
//!
//! Owns that list: what the clean run guards itself with, where a scenario names no lock. Knows nothing of
//! which tables are protected.

use std::collections::BTreeSet;

use super::book::Ledger;
use crate::history::{Event, LockAction, LockCall};
use crate::name::{LockKey, StepId};
use crate::timeline::Timeline;

/// Every lock that a pod's session held or waited for, or asked for by a key that the text tells; each
/// once, the database left aside (0).
pub fn used_keys(timeline: &Timeline<'_>) -> Vec<LockKey> {
    let sessions = &timeline.sessions;
    let shown = timeline.snapshots.iter().flat_map(|snapshot| {
        let locks = snapshot.locks.iter();
        locks.filter(|lock| sessions.shown(lock, snapshot).is_some())
    });
    let mut keys: BTreeSet<LockKey> = shown.map(|lock| lock.key).collect();
    for line in timeline.lines {
        if let Event::Write(write) = &line.event {
            let own = |pid| sessions.at(pid, write.server_us, line.seq).is_some();
            let locks = timeline.locks_at(write, line.seq);
            keys.extend(locks.filter(|lock| own(lock.pid)).map(|lock| lock.key));
        }
    }
    // A key that is only given back is no lock of the job's: the key of its unlock is wrong. Which table a
    // name means only the server tells.
    let takes = |call: &&LockCall| matches!(call.action, LockAction::Lock | LockAction::TryLock);
    for step in timeline.steps.values() {
        let calls = step.request.lock_calls.iter().filter(takes);
        let keyed = calls.filter_map(|call| call.key);
        keys.extend(keyed.filter(|key| key.table().is_none()));
    }
    // The same key with the database known and unknown is one lock.
    let mut distinct: Vec<LockKey> = Vec::new();
    for key in keys {
        if !distinct.iter().any(|known| known.same_key(&key)) {
            distinct.push(LockKey { database: 0, ..key });
        }
    }
    distinct
}

/// Whether every step that wrote was made while its session had this lock, in whatever mode. A job locks a
/// table for many reasons: only where it does so around all that it writes does it guard itself with that.
pub fn is_kept(timeline: &Timeline<'_>, key: &LockKey) -> bool {
    let ledger = Ledger::of(timeline);
    let mut wrote: BTreeSet<StepId> = BTreeSet::new();
    for line in timeline.lines {
        if let Event::Write(write) = &line.event {
            wrote.extend(write.step.filter(|_| write.connection.is_some()));
        }
    }
    let own = |table: &String| table.starts_with(crate::sql::TEMPORARY);
    for step in timeline.steps.values().filter(|step| step.ran()) {
        if !step.request.writes.iter().all(own) {
            wrote.insert(step.id);
        }
    }
    let mut steps = wrote.iter().filter_map(|id| timeline.steps.get(id));
    steps.all(|step| {
        let since = step.released.map_or(0, |at| at.seq);
        let until = step.last().map_or(u64::MAX, |end| end.at.seq);
        ledger.grants.iter().any(|grant| {
            grant.key.same_key(key)
                && Some(grant.session) == step.session
                && grant.from <= until
                && grant.end.is_none_or(|(end, _)| since <= end)
        })
    })
}
