//! Whether two steps of different pods may change places.
//!
//! Owns that one rule; the argument for it is in [the room's description](super). A wrong `true` hides
//! a bug, a wrong `false` costs time: in doubt it is `false`.

use super::touched::{Footprint, LockUse, LockUseKind};
use crate::history::{LockRule, Rules};
use crate::name::LockKey;

/// Whether two steps of different pods commute: in what they do, in who waits for whom, and in all that
/// the invariants look at. `false` if that cannot be told.
#[must_use]
pub fn independent(a: &Footprint, b: &Footprint, rules: &Rules) -> bool {
    let opaque = a.everything.is_some() || b.everything.is_some();
    !(opaque
        || (a.ends_pod && b.ends_pod)
        || same_lock(a, b)
        || lock_and_work(a, b, rules)
        || lock_and_work(b, a, rules)
        || work_and_work(a, b, rules)
        || changes_what_the_other_touches(a, b)
        || changes_what_the_other_touches(b, a)
        || same_sequence(a, b)
        || definition(a, b)
        || definition(b, a))
}

fn same_lock(a: &Footprint, b: &Footprint) -> bool {
    a.locks.iter().any(|one| {
        b.locks.iter().any(|other| match (&one.key, &other.key) {
            (Some(one), Some(other)) => one.same_key(other),
            _ => true,
        })
    })
}

/// The lock invariants look at the order of lock operations and protected writes. A lock that was
/// waited for is taken later, with the step that gives it back, which conflicts by itself; its
/// release to the server only joins the queue.
fn lock_and_work(locker: &Footprint, worker: &Footprint, rules: &Rules) -> bool {
    let joins_queue = |one: &LockUse| locker.waited && one.action == LockUseKind::Take;
    !locker.locks.iter().all(joins_queue) && writes_protected(worker, rules)
}

/// The section of a pod that does not take the rule's lock is from its first to its last protected
/// write. A pod that holds it at a write has taken it; its section is told by lock operations.
fn work_and_work(a: &Footprint, b: &Footprint, rules: &Rules) -> bool {
    let apart = |keys: &[LockKey]| !(a.held_any(keys) && b.held_any(keys));
    writes_protected(a, rules)
        && writes_protected(b, rules)
        && rules.lock.each().any(|lock| match lock {
            LockRule::Row(_)
            | LockRule::Rows(_)
            | LockRule::Serializable
            | LockRule::Several(_)
            | LockRule::None => false,
            LockRule::Named(key) => apart(std::slice::from_ref(key)),
            LockRule::FromCleanRun(keys) => apart(keys),
        })
}

/// Whether it writes a protected table; where none is named, every table is one.
pub(in crate::search) fn writes_protected(step: &Footprint, rules: &Rules) -> bool {
    step.writes.keys().any(|table| is_protected(table, rules))
}

/// Whether this table is protected; where none is named, every table is.
pub(in crate::search) fn is_protected(table: &str, rules: &Rules) -> bool {
    let plain = |text: &str| text.replace('"', "").to_lowercase();
    rules.protect.is_empty()
        || rules
            .protect
            .iter()
            .any(|protected| plain(&crate::run::qualified(protected)) == plain(table))
}

fn changes_what_the_other_touches(a: &Footprint, b: &Footprint) -> bool {
    a.writes.keys().chain(&a.locked).any(|table| {
        b.reads.contains(table)
            || b.checks.contains(table)
            || b.writes.contains_key(table)
            || b.locked.contains(table)
    })
}

fn same_sequence(a: &Footprint, b: &Footprint) -> bool {
    let uses = |one: &Footprint| one.any_sequence || !one.sequences.is_empty();
    (a.any_sequence && uses(b))
        || (b.any_sequence && uses(a))
        || !a.sequences.is_disjoint(&b.sequences)
}

fn definition(a: &Footprint, b: &Footprint) -> bool {
    a.is_ddl() && (b.is_ddl() || b.reads_catalog)
}
