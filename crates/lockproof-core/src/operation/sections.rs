//! The sections in which locks are surely held, kept while events go by.
//!
//! Owns the books of `exclusion`, where the reasons stand. A position is that of an event, from 1;
//! the gap after an event is where operations are done.

use std::collections::HashMap;

use super::doubt::{Doubtful, resolve};
use super::events::{Breach, LockEvent};
use super::terms::{Action, Outcome};

/// One operation.
#[derive(Debug, Clone, Copy)]
struct Operation {
    /// Its owner's books for its lock and mode.
    slot: u32,
    /// The position of its call.
    called: u32,
    action: Action,
    outcome: Outcome,
    /// Whether a release that returned before it proves that it had been done.
    settled: bool,
    /// The next one in its queue.
    next: u32,
}

/// No operation, or no place.
const NONE: u32 = u32::MAX;

/// Operations that wait for their counterpart, the first called first. As a rule there is one, or none;
/// so the links are kept with the operations, and the books stay small.
#[derive(Debug, Clone, Copy)]
struct Queue {
    first: u32,
    last: u32,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            first: NONE,
            last: NONE,
        }
    }
}

impl Queue {
    fn push(&mut self, call: u32, operations: &mut [Operation]) {
        if self.last == NONE {
            self.first = call;
        } else {
            operations[self.last as usize].next = call;
        }
        self.last = call;
    }

    fn pop(&mut self, operations: &mut [Operation]) -> Option<u32> {
        let first = self.first;
        self.remove(first, operations).then_some(first)
    }

    /// Takes one out; whether it was there.
    fn remove(&mut self, call: u32, operations: &mut [Operation]) -> bool {
        let (mut before, mut at) = (NONE, self.first);
        while at != NONE && at != call {
            before = at;
            at = operations[at as usize].next;
        }
        if at == NONE {
            return false;
        }
        let next = operations[at as usize].next;
        if before == NONE {
            self.first = next;
        } else {
            operations[before as usize].next = next;
        }
        if self.last == call {
            self.last = before;
        }
        true
    }
}

/// One owner's books for one lock and one mode.
#[derive(Debug, Default)]
struct Slot {
    /// How often it is surely held.
    count: u32,
    /// The acquire since which it is.
    since: u32,
    /// Acquires under way that will have been done.
    pending: Queue,
    /// Releases under way that had nothing to give back when they were called.
    owed: Queue,
}

/// One owner's books for one lock.
#[derive(Debug)]
struct Holder {
    lock: u32,
    exclusive: Slot,
    share: Slot,
    /// Its places among those that hold the lock, at all and exclusively.
    places: [u32; 2],
    /// Until which position it was last the only one that held the lock, at all and exclusively.
    alone: [u32; 2],
}

/// One lock.
#[derive(Debug, Default)]
struct Lock {
    /// Who holds it, at all and exclusively.
    holders: [Vec<u32>; 2],
    /// Until which position it was last free, of all and of exclusive holders.
    free: [u32; 2],
}

/// The books.
#[derive(Debug, Default)]
pub(super) struct Sections {
    operations: Vec<Operation>,
    holders: Vec<Holder>,
    locks: Vec<Lock>,
    lock_places: HashMap<u32, u32>,
    /// How many operations were called so far.
    calls: u32,
    pub breaches: Vec<Breach>,
}

const ANY: usize = 0;
const EXCLUSIVE: usize = 1;

impl Sections {
    /// A new owner of a lock.
    pub fn holder(&mut self, lock: u32) -> u32 {
        let next = self.locks.len() as u32;
        let lock = *self.lock_places.entry(lock).or_insert_with(|| {
            self.locks.push(Lock::default());
            next
        });
        self.holders.push(Holder {
            lock,
            exclusive: Slot::default(),
            share: Slot::default(),
            places: [NONE, NONE],
            alone: [0, 0],
        });
        (self.holders.len() - 1) as u32
    }

    /// A new operation, of which nothing more is known yet.
    pub fn operation(&mut self, holder: u32, action: Action, share: bool) {
        self.operations.push(Operation {
            slot: holder * 2 + u32::from(share),
            called: 0,
            action,
            outcome: Outcome::Info,
            settled: false,
            next: NONE,
        });
    }

    /// What came of an operation.
    pub fn came_of(&mut self, call: u32, outcome: Outcome) {
        self.operations[call as usize].outcome = outcome;
    }

    /// The second look: what may have been done is settled, where there is such a thing.
    pub fn settle_doubts(&mut self, events: &[LockEvent]) {
        let mut slots: HashMap<u32, Vec<Doubtful>> = HashMap::new();
        for one in &self.operations {
            if one.outcome == Outcome::Info {
                slots.entry(one.slot).or_default();
            }
        }
        if slots.is_empty() {
            return;
        }
        let mut calls = 0;
        let mut places: HashMap<u32, usize> = HashMap::new();
        for (position, event) in (1_u32..).zip(events) {
            match event {
                LockEvent::Call(_) => {
                    let one = self.operations[calls as usize];
                    if let Some(slot) = slots.get_mut(&one.slot) {
                        places.insert(calls, slot.len());
                        slot.push(Doubtful {
                            call: calls,
                            called: position,
                            returned: u32::MAX,
                            action: one.action,
                            outcome: one.outcome,
                        });
                    }
                    calls += 1;
                }
                LockEvent::Return { call, .. } => {
                    let slot = slots.get_mut(&self.operations[*call as usize].slot);
                    if let (Some(slot), Some(place)) = (slot, places.remove(call)) {
                        slot[place].returned = position;
                    }
                }
            }
        }
        for (call, outcome) in resolve(slots) {
            self.operations[call as usize].outcome = outcome;
        }
    }

    /// The next operation is called.
    pub fn called(&mut self, position: u32) {
        let call = self.calls;
        self.calls += 1;
        let one = &mut self.operations[call as usize];
        one.called = position;
        let one = *one;
        let slot = slot_of(&mut self.holders, one.slot);
        match (one.action, one.outcome) {
            (Action::Acquire, Outcome::Ok) => slot.pending.push(call, &mut self.operations),
            (Action::Release, Outcome::Ok) if slot.count > 0 => self.give(one.slot, position),
            (Action::Release, Outcome::Ok) => slot.owed.push(call, &mut self.operations),
            _ => {}
        }
    }

    /// An operation returns.
    pub fn returned(&mut self, call: u32, position: u32) {
        let one = self.operations[call as usize];
        match (one.action, one.outcome) {
            (Action::Acquire, Outcome::Ok) if !one.settled => {
                self.acquired(call, one, position);
            }
            (Action::Release, Outcome::Ok) => self.released(call, one, position),
            _ => {}
        }
    }

    /// An acquire has been done: from here on its owner surely holds the lock, unless a release
    /// that is under way can have given it back.
    fn acquired(&mut self, call: u32, one: Operation, position: u32) {
        let slot = slot_of(&mut self.holders, one.slot);
        slot.pending.remove(call, &mut self.operations);
        if let Some(release) = slot.owed.pop(&mut self.operations) {
            self.moment(call, release, position);
            return;
        }
        if slot.count > 0 {
            slot.count += 1;
            return;
        }
        if self.others(one.slot).is_some() {
            self.overlap(one.slot, call);
        }
        self.take(one.slot, call, position);
    }

    /// A release has been done: if it had nothing to give back when it was called, an acquire that
    /// is under way must have come before it.
    fn released(&mut self, call: u32, one: Operation, position: u32) {
        let slot = slot_of(&mut self.holders, one.slot);
        if !slot.owed.remove(call, &mut self.operations) {
            return;
        }
        match slot.pending.pop(&mut self.operations) {
            Some(acquire) => {
                self.operations[acquire as usize].settled = true;
                self.moment(acquire, call, position);
            }
            None => self.breaches.push(Breach::NotHeld { release: call }),
        }
    }

    /// An acquire and a release were done one right after the other, at a moment after both were
    /// called and before this position: there must be one at which no other owner held the lock.
    fn moment(&mut self, acquire: u32, release: u32, position: u32) {
        let operations = &self.operations;
        let called = |call: u32| operations[call as usize].called;
        let since = called(acquire).max(called(release));
        let slot = operations[acquire as usize].slot;
        if self.others(slot).is_none() {
            return;
        }
        let holder = &self.holders[(slot / 2) as usize];
        let kind = kind(slot);
        let last = holder.alone[kind].max(self.locks[holder.lock as usize].free[kind]);
        debug_assert!(last <= position);
        if last <= since {
            self.overlap(slot, acquire);
        }
    }

    fn overlap(&mut self, slot: u32, intruder: u32) {
        let Some(other) = self.others(slot) else {
            return;
        };
        let other = &self.holders[other as usize];
        let holder = if other.exclusive.count > 0 {
            other.exclusive.since
        } else {
            other.share.since
        };
        self.breaches.push(Breach::Overlap { holder, intruder });
    }

    /// Another owner that holds the lock so that this slot's mode is excluded.
    fn others(&self, slot: u32) -> Option<u32> {
        let holder = slot / 2;
        let lock = &self.locks[self.holders[holder as usize].lock as usize];
        let holders = lock.holders[kind(slot)].iter().take(2);
        holders.copied().find(|other| *other != holder)
    }

    fn take(&mut self, place: u32, call: u32, position: u32) {
        let slot = slot_of(&mut self.holders, place);
        slot.count = 1;
        slot.since = call;
        self.enter(place, position);
    }

    fn give(&mut self, place: u32, position: u32) {
        let slot = slot_of(&mut self.holders, place);
        slot.count -= 1;
        if slot.count == 0 {
            self.leave(place, position);
        }
    }

    /// The owner of this slot comes to hold the lock.
    fn enter(&mut self, place: u32, position: u32) {
        self.remember(place, position);
        let holder = place / 2;
        let facts = &mut self.holders[holder as usize];
        let lock = &mut self.locks[facts.lock as usize];
        let kinds: &[usize] = if place.is_multiple_of(2) {
            &[ANY, EXCLUSIVE]
        } else {
            &[ANY]
        };
        for kind in kinds {
            if facts.places[*kind] == NONE {
                facts.places[*kind] = lock.holders[*kind].len() as u32;
                lock.holders[*kind].push(holder);
            }
        }
    }

    /// The owner of this slot holds the lock no more in its mode.
    fn leave(&mut self, place: u32, position: u32) {
        self.remember(place, position);
        let holder = place / 2;
        let facts = &self.holders[holder as usize];
        let any = facts.exclusive.count > 0 || facts.share.count > 0;
        let exclusive = facts.exclusive.count > 0;
        for (kind, stays) in [(ANY, any), (EXCLUSIVE, exclusive)] {
            let facts = &mut self.holders[holder as usize];
            let at = facts.places[kind];
            if at == NONE || stays {
                continue;
            }
            facts.places[kind] = NONE;
            let holders = &mut self.locks[facts.lock as usize].holders[kind];
            holders.swap_remove(at as usize);
            if let Some(moved) = holders.get(at as usize) {
                self.holders[*moved as usize].places[kind] = at;
            }
        }
    }

    /// Who holds a lock is about to change: until here it was as it is.
    fn remember(&mut self, place: u32, position: u32) {
        let lock = &mut self.locks[self.holders[(place / 2) as usize].lock as usize];
        for kind in [ANY, EXCLUSIVE] {
            match lock.holders[kind].as_slice() {
                [] => lock.free[kind] = position,
                [one] => self.holders[*one as usize].alone[kind] = position,
                _ => {}
            }
        }
    }
}

fn slot_of(holders: &mut [Holder], slot: u32) -> &mut Slot {
    let holder = &mut holders[(slot / 2) as usize];
    if slot.is_multiple_of(2) {
        &mut holder.exclusive
    } else {
        &mut holder.share
    }
}

/// What excludes this slot's mode: an exclusive lock all holders, a share lock the exclusive ones.
fn kind(slot: u32) -> usize {
    if slot.is_multiple_of(2) {
        ANY
    } else {
        EXCLUSIVE
    }
}
