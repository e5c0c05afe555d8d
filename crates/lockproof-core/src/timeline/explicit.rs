//! Locks on tables that a LOCK TABLE took.
//!
//! Owns which rows of `pg_locks` those are. Every statement locks the tables that it uses, and does so
//! whatever the job thinks of it: only what a session asked for by name, in the transaction that it is still
//! in, is a lock of the job's. Knows nothing of what the lock is for.

use std::collections::{BTreeMap, HashMap};

use super::sessions::Sessions;
use super::snapshots::Snapshot;
use super::steps::{StepFacts, by_session};
use crate::history::{Ending, HeldLock, LockAction};
use crate::name::{LockMode, Session, StepId, TableName};

/// A LOCK TABLE, and until when its lock can be held.
#[derive(Debug)]
struct Asked {
    /// As the text spells it.
    table: TableName,
    mode: LockMode,
    /// The line at which its step was given to the server.
    from: u64,
    /// The line at which its transaction had ended.
    until: u64,
}

/// All LOCK TABLE of a run.
#[derive(Debug, Default)]
pub struct ExplicitLocks(HashMap<Session, Vec<Asked>>);

impl ExplicitLocks {
    /// Those of these steps.
    pub(super) fn of(steps: &BTreeMap<StepId, StepFacts<'_>>, sessions: &Sessions<'_>) -> Self {
        let mut all = Self::default();
        for (session, steps) in by_session(steps) {
            if !steps.iter().any(|step| tables(step).next().is_some()) {
                continue;
            }
            let gone = sessions.of(session).and_then(|facts| facts.gone);
            // From the last step to the first, so that the next end of a transaction is known.
            let mut until = gone.unwrap_or(u64::MAX);
            for step in steps.into_iter().rev() {
                let end = step.last().filter(|end| end.ending == Ending::Done);
                if let Some(end) = end.filter(|end| end.answer.transaction == Some('I')) {
                    until = end.at.seq;
                }
                let Some(from) = step.released.map(|at| at.seq) else {
                    continue;
                };
                let asked = tables(step).map(|(table, mode)| Asked {
                    table,
                    mode,
                    from,
                    until,
                });
                all.0.entry(session).or_default().extend(asked);
            }
        }
        all
    }

    /// Leaves out of a snapshot the locks on tables that nobody asked for by name.
    pub(super) fn keep_in<'a>(&self, snapshot: &mut Snapshot<'a>, sessions: &Sessions<'a>) {
        let mut locks = std::mem::take(&mut snapshot.locks);
        locks.retain(|lock| {
            let owner = || sessions.shown(lock, snapshot).map(|owner| owner.session);
            lock.key.table().is_none() || self.has(lock, owner(), snapshot.seq, snapshot.seq)
        });
        snapshot.locks = locks;
    }

    /// Whether this lock is one of the job's at some moment between these lines: an advisory lock always
    /// is.
    pub fn has(&self, lock: &HeldLock, session: Option<Session>, since: u64, until: u64) -> bool {
        let Some(table) = lock.key.table() else {
            return true;
        };
        let asked = session.and_then(|session| self.0.get(&session));
        asked.into_iter().flatten().any(|asked| {
            asked.mode == lock.mode
                && asked.table.may_mean(table)
                && asked.from <= until
                && since <= asked.until
        })
    }
}

/// The tables that a step locks by name, and how.
fn tables(step: &StepFacts<'_>) -> impl Iterator<Item = (TableName, LockMode)> {
    let calls = step.request.lock_calls.iter();
    let asks = calls.filter(|call| call.action == LockAction::Lock);
    asks.filter_map(|call| Some((call.key?.table()?, call.mode)))
}
