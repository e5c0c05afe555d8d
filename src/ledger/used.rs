//! Which locks pods used at all.
//!
//! Owns that list: what the clean run guards itself with, where a scenario names no lock. Knows nothing of
//! whether it did so at every write.

use std::collections::BTreeSet;

use crate::history::{Event, LockAction, LockCall};
use crate::name::LockKey;
use crate::timeline::Timeline;

/// Every lock that a pod's session held or waited for, or asked for by a key that the text tells; each
/// once, the database left aside (0).
pub(crate) fn used_keys(timeline: &Timeline<'_>) -> Vec<LockKey> {
    let sessions = &timeline.sessions;
    let shown = timeline.snapshots.iter().flat_map(|snapshot| {
        let locks = snapshot.locks.iter();
        locks.filter(|lock| sessions.shown(lock, snapshot).is_some())
    });
    let mut keys: BTreeSet<LockKey> = shown.map(|lock| lock.key).collect();
    for line in timeline.lines {
        if let Event::Write(write) = &line.event {
            let own = |pid| sessions.at(pid, write.server_us, line.seq).is_some();
            let locks = write.locks.iter().filter(|lock| own(lock.pid));
            keys.extend(locks.map(|lock| lock.key));
        }
    }
    // A key that is only given back is no lock of the job's: the key of its unlock is wrong.
    let takes = |call: &&LockCall| matches!(call.action, LockAction::Lock | LockAction::TryLock);
    for step in timeline.steps.values() {
        let calls = step.request.lock_calls.iter().filter(takes);
        keys.extend(calls.filter_map(|call| call.key));
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
