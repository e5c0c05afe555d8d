//! Operations in their order: calls and returns, one after the other.
//!
//! Owns the order, and the numbering that others want: a process does one thing at a time, and one
//! whose operation ended as `info` never asks for anything again (Jepsen's rule). Knows no format.

use std::collections::HashMap;

use super::events::{Call, LockEvent};
use super::terms::{LockOperation, Outcome, Place};
use crate::name::{ConnectionName, LockKey};

/// A call or a return.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The operation, by its place in the timeline's operations.
    pub operation: usize,
    /// Whether it returns (else: it is called).
    pub returns: bool,
    /// When.
    pub place: Place,
    /// The process that does it, from 0.
    pub process: usize,
}

/// Operations in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeline<'a> {
    /// The operations, by their calls.
    pub operations: Vec<LockOperation<'a>>,
    /// Calls and returns, in their order. Some calls never return.
    pub moments: Vec<Moment>,
}

/// Puts operations into their order and gives each a process: one process for a connection, another
/// one while that is busy (a step with several calls, a transaction that ends), and a new one after
/// an `info`.
#[must_use]
pub fn timeline(mut operations: Vec<LockOperation<'_>>) -> Timeline<'_> {
    operations.sort_by_key(|one| one.called);
    let mut moments: Vec<Moment> = Vec::with_capacity(operations.len() * 2);
    for (operation, one) in operations.iter().enumerate() {
        let called = Moment {
            operation,
            returns: false,
            place: one.called,
            process: 0,
        };
        moments.push(called);
        moments.extend(one.returned.map(|returned| Moment {
            returns: true,
            place: returned.max(one.called),
            ..called
        }));
    }
    moments.sort_by_key(|moment| {
        let early = moment.returns && operations[moment.operation].called < moment.place;
        // At one line what was under way returns before something else is called.
        (moment.place, !early)
    });
    let mut idle: HashMap<&ConnectionName, Vec<usize>> = HashMap::new();
    let mut processes = vec![0; operations.len()];
    let mut next = 0;
    for moment in &mut moments {
        let one = &operations[moment.operation];
        let idle = idle.entry(one.connection).or_default();
        if moment.returns {
            moment.process = processes[moment.operation];
            if one.outcome != Outcome::Info {
                idle.push(moment.process);
                idle.sort_unstable_by(|one, other| other.cmp(one));
            }
        } else {
            moment.process = idle.pop().unwrap_or_else(|| {
                next += 1;
                next - 1
            });
            processes[moment.operation] = moment.process;
        }
    }
    Timeline {
        operations,
        moments,
    }
}

impl<'a> Timeline<'a> {
    /// Returns at the end for all that never returned: others want to be told that nothing is known.
    pub(super) fn left_open(&self) -> Vec<Moment> {
        let open = |moment: &&Moment| {
            let one = &self.operations[moment.operation];
            !moment.returns && one.returned.is_none()
        };
        let end = self
            .moments
            .last()
            .map_or_else(Place::default, |one| one.place);
        let at_end = |moment: &Moment| Moment {
            returns: true,
            place: end,
            ..*moment
        };
        self.moments.iter().filter(open).map(at_end).collect()
    }

    /// The same as compact events, and what the numbers of owners and locks in them stand for. A call's
    /// number is its operation's place: both are in the order of calls.
    #[must_use]
    pub fn events(&self) -> (Vec<LockEvent>, Vec<&'a ConnectionName>, Vec<LockKey>) {
        let mut owners: HashMap<&ConnectionName, u32> = HashMap::new();
        let mut locks: HashMap<LockKey, u32> = HashMap::new();
        let (mut names, mut keys) = (Vec::new(), Vec::new());
        let mut events = Vec::with_capacity(self.moments.len());
        for moment in &self.moments {
            let one = &self.operations[moment.operation];
            if moment.returns {
                events.push(LockEvent::Return {
                    call: number(moment.operation),
                    outcome: one.outcome,
                });
                continue;
            }
            let owner = *owners.entry(one.connection).or_insert_with(|| {
                names.push(one.connection);
                number(names.len() - 1)
            });
            let lock = *locks.entry(one.key).or_insert_with(|| {
                keys.push(one.key);
                number(keys.len() - 1)
            });
            events.push(LockEvent::Call(Call {
                owner,
                lock,
                action: one.action,
                mode: one.mode,
            }));
        }
        (events, names, keys)
    }
}

/// There are never so many as to be cut.
fn number(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}
