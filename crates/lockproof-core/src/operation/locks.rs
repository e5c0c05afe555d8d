//! What `pg_locks` shows beside the wire.
//!
//! Owns the rule by which a snapshot tells of operations that the wire does not: a lock taken in a
//! function, a waiter that is granted after its client is gone, an unlock by a trigger.
//!
//! In controlled pacing a snapshot is the truth until the next one. In free pacing it was read some
//! time after the one before it was written down, and no more is taken from it than that.

use super::reading::Reading;
use super::terms::{Action, By, Outcome, Place};
use crate::history::HeldLock;
use crate::timeline::{Sessions, Snapshot};

impl<'a> Reading<'a> {
    /// All locks of the run's database, as the server showed them.
    pub fn snapshot(&mut self, snapshot: &Snapshot<'a>, sessions: &Sessions<'a>, here: Place) {
        self.snapshots += 1;
        // Until when at least what it shows was so.
        let reach = if self.free {
            self.last_snapshot.after()
        } else {
            here
        };
        for lock in snapshot.locks.iter().filter(|lock| lock.granted) {
            if let Some(connection) = self.owner(lock, snapshot, sessions) {
                self.shown(connection, lock, reach, here);
            }
        }
        self.vanished(reach, here);
        self.last_snapshot = here;
    }

    fn owner(
        &self,
        lock: &HeldLock,
        snapshot: &Snapshot<'a>,
        sessions: &Sessions<'a>,
    ) -> Option<usize> {
        let owner = sessions.shown(lock, snapshot)?;
        let connection = self.known(owner.connection)?;
        let facts = &self.connections[connection];
        (owner.session.started_us <= snapshot.server_us && !facts.shared && !facts.gone)
            .then_some(connection)
    }

    fn shown(&mut self, connection: usize, lock: &HeldLock, reach: Place, here: Place) {
        // Operations are those of advisory locks: the server itself keeps locks on tables apart.
        if lock.key.table().is_some() {
            return;
        }
        let alive = &mut self.connections[connection].alive;
        *alive = (*alive).max(reach);
        let slot = self.slot(connection, lock.key, lock.mode);
        self.slots[slot].in_snapshot = self.snapshots;
        self.slots[slot].shown = Some(reach);
        if !self.slots[slot].units.is_empty() {
            return;
        }
        // An acquire that may have been done was done; so was that of a dead client.
        let orphans = &self.connections[connection].orphans;
        let waiting = &self.slots[slot].waiting;
        let granted = waiting.iter().position(|one| orphans.contains(one));
        if !self.slots[slot].maybe.is_empty() {
            let operation = self.slots[slot].maybe.remove(0);
            self.was_done(slot, operation, here);
        } else if let Some(i) = granted {
            let operation = self.slots[slot].waiting.remove(i);
            let orphans = &mut self.connections[connection].orphans;
            orphans.retain(|one| *one != operation);
            self.was_done(slot, operation, here);
        } else if self.slots[slot].waiting.is_empty()
            && (!self.free || self.slots[slot].changed <= reach)
        {
            let since = self.slots[slot].changed.after();
            let operation = self.operation(
                slot,
                Action::Acquire,
                By::Unseen,
                since,
                Some(here),
                Outcome::Ok,
            );
            self.slots[slot].changed = here;
            self.taken(slot, operation);
        }
    }

    fn was_done(&mut self, slot: usize, operation: usize, here: Place) {
        let told = &mut self.operations[operation];
        told.outcome = Outcome::Ok;
        told.reason = None;
        told.returned = Some(here);
        self.slots[slot].changed = here;
        self.taken(slot, operation);
    }

    /// What was held and is not shown any more has been given back.
    fn vanished(&mut self, reach: Place, here: Place) {
        let missing: Vec<usize> = self
            .held
            .iter()
            .copied()
            .filter(|slot| self.slots[*slot].in_snapshot != self.snapshots)
            .collect();
        for slot in missing {
            let facts = &self.connections[self.slots[slot].connection];
            let late = self.free && self.slots[slot].changed > reach;
            if facts.shared || facts.gone || late || self.is_being_released(slot) {
                continue;
            }
            let of_slot = |operation: &usize| {
                let one = &self.operations[*operation];
                let slot = &self.slots[slot];
                one.action == Action::Release && one.key == slot.key && one.mode == slot.mode
            };
            // The unlock of a client that is gone.
            if let Some(i) = facts.orphans.iter().position(of_slot) {
                let connection = self.slots[slot].connection;
                let operation = self.connections[connection].orphans.remove(i);
                self.finish(operation, Outcome::Ok, None, Some(here));
            }
            let since = self.slots[slot].shown.unwrap_or_default();
            let since = since.max(self.slots[slot].changed).after();
            let ended = self.connections[self.slots[slot].connection].closed;
            let by = if ended { By::System } else { By::Unseen };
            self.release_all(slot, by, (since, Some(here)), true, |_| true);
        }
    }

    /// Whether a call that gives it back is under way: its answer tells.
    pub fn is_being_released(&self, slot: usize) -> bool {
        let slot = &self.slots[slot];
        self.steps
            .values()
            .filter(|step| step.connection == slot.connection)
            .any(|step| {
                step.releases(|operation| {
                    let one = &self.operations[operation];
                    one.action == Action::Release && one.key == slot.key && one.mode == slot.mode
                })
            })
    }
}
