//! Whether locks excluded: one pass over calls and returns, exact, never "unknown".
//!
//! **The question** is linearizability (Herlihy and Wing, TOPLAS 1990) of a lock that knows its owners:
//! is there for each operation one moment between its call and its return at which it was done, so
//! that in the order of those moments nobody acquires what another owner holds (a share lock only
//! excludes exclusive ones), and nobody releases what it does not hold? Acquires of one owner stack. An
//! operation that failed was not done; one that returned as `info` was done before it returned, or
//! never; one that never returns was done at any moment after its call, or never. In general this is
//! NP-complete (Gibbons and Korach, SIAM J. Comput. 1997), and Wing and Gong's search (J. Parallel
//! Distrib. Comput. 1993), which Lowe's (Concurrency Comput. 2017), Knossos and Porcupine refine, is
//! exponential in the worst case. For this object it is not needed:
//!
//! * **A lock is surely held from the return of an acquire to the call of its release.** Done as late and
//!   released as early as can be, an owner's section is contained in every other choice of its moments,
//!   and that whatever other owners do. So there is an order if and only if these sections of different
//!   owners exclude each other, and then it is this one.
//! * An acquire and a release of one owner that overlap (both in one step) need no section, only one
//!   moment common to both at which no other owner's section lies.
//! * Of what may have been done, as many releases were, and as few acquires, as leave each later release
//!   something to give back. How often the lock must be held for that after each step is known
//!   backwards: what must be held after it, more its releases, less its acquires, those in
//!   doubt included. No other choice leaves an owner with less at any moment, again whatever other owners
//!   do (`doubt`).
//!
//! The proof leans on how sessions are: operations of one owner on one lock in one mode that overlap
//! are called together and return together or never (one step), and after a step that never returns the owner
//! calls nothing more; what the system releases at its end aside. The tests compare with the search on
//! thousands of such histories.
//!
//! Linear: each event costs one look into a hash table and a constant number of steps.

use std::collections::HashMap;

use super::events::{Breach, LockEvent};
use super::sections::Sections;

/// Events that are no history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MalformedEvents {
    /// A return without its call before it.
    #[error("event {0} returns what was not called")]
    NotCalled(usize),
    /// A second return.
    #[error("event {0} returns what had returned")]
    ReturnedTwice(usize),
    /// More than 2³² − 2 events.
    #[error("{0} events are more than can be numbered")]
    TooMany(usize),
}

/// What contradicts a lock in these events, in their order; nothing: each lock was held by one owner
/// at a time (or by several in share mode), and released by who held it.
///
/// # Errors
/// When the events are no history.
pub fn exclusion(events: &[LockEvent]) -> Result<Vec<Breach>, MalformedEvents> {
    // The highest number stands for none.
    if u32::try_from(events.len() + 1).is_err() {
        return Err(MalformedEvents::TooMany(events.len()));
    }
    let mut sections = Sections::default();
    survey(events, &mut sections)?;
    sections.settle_doubts(events);
    for (position, event) in (1_u32..).zip(events) {
        match event {
            LockEvent::Call(_) => sections.called(position),
            LockEvent::Return { call, .. } => sections.returned(*call, position),
        }
    }
    Ok(sections.breaches)
}

/// The first look: which operations there are, and what came of each.
fn survey(events: &[LockEvent], sections: &mut Sections) -> Result<(), MalformedEvents> {
    let mut slots: HashMap<(u32, u32), u32> = HashMap::new();
    let mut returned: Vec<bool> = Vec::with_capacity(events.len() / 2 + 1);
    for (place, event) in events.iter().enumerate() {
        match event {
            LockEvent::Call(call) => {
                let holder = *slots
                    .entry((call.lock, call.owner))
                    .or_insert_with(|| sections.holder(call.lock));
                sections.operation(holder, call.action, !call.mode.keeps_its_like_out());
                returned.push(false);
            }
            LockEvent::Return { call, outcome } => {
                let known = returned.get_mut(*call as usize);
                match known {
                    None => return Err(MalformedEvents::NotCalled(place)),
                    Some(true) => return Err(MalformedEvents::ReturnedTwice(place)),
                    Some(known) => *known = true,
                }
                sections.came_of(*call, *outcome);
            }
        }
    }
    Ok(())
}
