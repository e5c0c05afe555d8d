//! The second model: a plain search for a linearization, over a mutex that knows its owners.
//!
//! Wing and Gong, "Testing and verifying concurrent objects" (J. Parallel Distrib. Comput. 1993),
//! with Lowe's memory of configurations ("Testing for linearizability", Concurrency Comput. 2017), as in
//! Knossos and Porcupine. Locks are searched one by one, which is allowed by the locality of
//! linearizability (Herlihy and Wing, TOPLAS 1990). Knows nothing of lockproof.

use std::collections::{BTreeMap, BTreeSet, HashSet};

/// What was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Function {
    Acquire,
    Release,
    AcquireShare,
    ReleaseShare,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Type {
    Ok,
    Fail,
    Info,
}

/// One operation; moments are any rising numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    pub owner: String,
    pub lock: String,
    pub function: Function,
    pub called: usize,
    /// `None`: it never did.
    pub returned: Option<usize>,
    pub came_of: Type,
}

/// How often each owner holds the lock, exclusively and in share mode.
type Mutex = BTreeMap<String, (u32, u32)>;

fn step(mutex: &Mutex, operation: &Operation) -> Option<Mutex> {
    let mut next = mutex.clone();
    let others = || mutex.iter().filter(|(owner, _)| **owner != operation.owner);
    let held = next.entry(operation.owner.clone()).or_default();
    match operation.function {
        Function::Acquire if others().next().is_none() => held.0 += 1,
        Function::AcquireShare if others().all(|(_, held)| held.0 == 0) => held.1 += 1,
        Function::Release if held.0 > 0 => held.0 -= 1,
        Function::ReleaseShare if held.1 > 0 => held.1 -= 1,
        _ => return None,
    }
    if *held == (0, 0) {
        next.remove(&operation.owner);
    }
    Some(next)
}

/// Whether there is an order in which a mutex that knows its owners can have done all this.
pub fn linearizable(operations: &[Operation]) -> bool {
    let locks: BTreeSet<&String> = operations.iter().map(|one| &one.lock).collect();
    locks.into_iter().all(|lock| {
        let of_lock = |one: &&Operation| one.lock == *lock && one.came_of != Type::Fail;
        let own: Vec<&Operation> = operations.iter().filter(of_lock).collect();
        search(&own)
    })
}

fn search(operations: &[&Operation]) -> bool {
    let mut known: HashSet<(Vec<bool>, Mutex)> = HashSet::new();
    let mut open = vec![(vec![false; operations.len()], Mutex::new())];
    while let Some((done, mutex)) = open.pop() {
        let left = || (0..operations.len()).filter(|i| !done[*i]);
        let surely = || left().filter(|i| operations[*i].came_of == Type::Ok);
        if surely().next().is_none() {
            return true;
        }
        // What was surely done comes before all that was called after its return.
        let first_return = surely().filter_map(|i| operations[i].returned).min();
        let in_time = |i: &usize| first_return.is_none_or(|first| operations[*i].called < first);
        for i in left().filter(in_time) {
            let Some(next) = step(&mutex, operations[i]) else {
                continue;
            };
            let mut done = done.clone();
            done[i] = true;
            // What may have been done and had returned before this was called was not done, if it was
            // not done by now.
            for j in left() {
                let over = operations[j]
                    .returned
                    .is_some_and(|at| at < operations[i].called);
                done[j] |= operations[j].came_of == Type::Info && over;
            }
            if known.insert((done.clone(), next.clone())) {
                open.push((done, next));
            }
        }
    }
    false
}
