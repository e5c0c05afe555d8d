//! Which of the operations that may have been done were done, for a lock to have excluded.
//!
//! Owns that choice, for one owner, one lock and one mode at a time; `exclusion` says why it
//! does not depend on other owners. Knows nothing of sections.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::terms::{Action, Outcome};

/// One operation, as far as the choice needs it. Positions count from 1.
#[derive(Debug, Clone, Copy)]
pub(super) struct Doubtful {
    /// Its number.
    pub call: u32,
    pub called: u32,
    /// `u32::MAX`: never.
    pub returned: u32,
    pub action: Action,
    pub outcome: Outcome,
}

/// Operations that overlap each other: a step with several calls, as a rule one with one.
#[derive(Debug, Default)]
struct Group {
    /// How many acquires and releases were done.
    acquires: i64,
    releases: i64,
    /// Those that may have been done: acquires with their returns, the last first; releases.
    maybe_acquires: Vec<(Reverse<u32>, u32)>,
    maybe_releases: Vec<u32>,
    /// Whether none of them returns: the last step of an owner.
    endless: bool,
}

/// For all operations with doubt in the slots given: whether they were done.
pub(super) fn resolve(slots: HashMap<u32, Vec<Doubtful>>) -> Vec<(u32, Outcome)> {
    let mut resolved = Vec::new();
    for operations in slots.into_values() {
        let groups = groups(&operations);
        // How often the lock must be held at least after each group, for what is released later to
        // be there.
        let mut needs = vec![0; groups.len()];
        for (i, group) in groups.iter().enumerate().skip(1).rev() {
            let maybe = group.maybe_acquires.len() as i64;
            let before: i64 = needs[i] + group.releases - group.acquires - maybe;
            needs[i - 1] = before.max(0);
        }
        let mut held: i64 = 0;
        for (group, need) in groups.into_iter().zip(needs) {
            let (mut acquires, releases) = (group.maybe_acquires, group.maybe_releases);
            acquires.sort_unstable();
            held += group.acquires - group.releases;
            // As many releases as can be and have something to give back, with as few acquires as
            // must be.
            let spare = held.min(held + acquires.len() as i64 - need);
            let released = spare.clamp(0, releases.len() as i64);
            let acquired = (need - (held - released)).clamp(0, acquires.len() as i64);
            held = (held + acquired - released).max(0);
            let done = |many: i64, i: usize| {
                if (i as i64) < many {
                    Outcome::Ok
                } else {
                    Outcome::Fail
                }
            };
            let all = acquires.into_iter().enumerate();
            resolved.extend(all.map(|(i, (_, call))| (call, done(acquired, i))));
            let all = releases.into_iter().enumerate();
            resolved.extend(all.map(|(i, call)| (call, done(released, i))));
        }
    }
    resolved
}

/// The operations of a slot, in the order of their calls, by overlap. What never returns is one step with
/// what never returns either, and comes before what the system releases at the end.
fn groups(operations: &[Doubtful]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut until = 0;
    for one in operations {
        let endless = one.returned == u32::MAX;
        let joins = |group: &Group| one.called <= until || (endless && group.endless);
        if !groups.last().is_some_and(joins) {
            groups.push(Group {
                endless,
                ..Group::default()
            });
            until = one.called;
        }
        if !endless {
            until = until.max(one.returned);
        }
        let Some(group) = groups.last_mut() else {
            continue;
        };
        match (one.action, one.outcome) {
            (_, Outcome::Fail) => {}
            (Action::Acquire, Outcome::Ok) => group.acquires += 1,
            (Action::Release, Outcome::Ok) => group.releases += 1,
            (Action::Acquire, Outcome::Info) => {
                group.maybe_acquires.push((Reverse(one.returned), one.call));
            }
            (Action::Release, Outcome::Info) => group.maybe_releases.push(one.call),
        }
    }
    groups
}
