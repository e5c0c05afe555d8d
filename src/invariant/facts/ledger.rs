//! How grants are found: a ledger that is kept while reading the history once.
//!
//! In controlled pacing a snapshot of `pg_locks` is the truth until the next one. In free pacing
//! snapshots are samples that may be older than the line before them: there the answers on the
//! wire come first, and a sample only speaks for keys of which the wire knows nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::all::Snapshot;
use super::grants::{Grant, How};
use super::sessions::Sessions;
use super::steps::StepFacts;
use crate::history::{
    ConnectionName, Ending, Event, HeldLock, Line, LockAction, LockCall, LockKey, LockMode, Pacing,
    RunFacts, Session, StepId,
};

type Slot = (Session, LockKey, LockMode);

struct Ledger<'f, 'a> {
    run: &'a RunFacts,
    sessions: &'f Sessions<'a>,
    by_session: BTreeMap<Session, Vec<&'f StepFacts<'a>>>,
    grants: Vec<Grant<'a>>,
    /// What the wire told of.
    known: BTreeSet<Slot>,
    /// Sessions with a lock call that was not understood, or not answered.
    vague: BTreeSet<Session>,
    in_transaction: BTreeSet<Session>,
}

/// All grants of pods' sessions in the run's database, in the order in which they began.
pub(crate) fn grants<'a>(
    lines: &'a [Line],
    run: &'a RunFacts,
    sessions: &Sessions<'a>,
    steps: &BTreeMap<StepId, StepFacts<'a>>,
    snapshots: &[Snapshot<'a>],
) -> Vec<Grant<'a>> {
    let mut by_session: BTreeMap<Session, Vec<&StepFacts>> = BTreeMap::new();
    for step in steps.values().filter(|step| step.ran()) {
        if let Some(session) = step.session {
            by_session.entry(session).or_default().push(step);
        }
    }
    let mut ledger = Ledger {
        run,
        sessions,
        by_session,
        grants: Vec::new(),
        known: BTreeSet::new(),
        vague: BTreeSet::new(),
        in_transaction: BTreeSet::new(),
    };
    let mut snapshots = snapshots.iter().peekable();
    for line in lines {
        match &line.event {
            Event::StepEnded {
                step,
                ending: Ending::Done | Ending::Gone,
                ..
            } => {
                if let Some(facts) = steps.get(step)
                    && facts.last().is_some_and(|end| end.at.seq == line.seq)
                {
                    ledger.step_ended(facts, line.seq);
                }
            }
            Event::Locks { .. } => {
                if let Some(snapshot) = snapshots.next_if(|one| one.seq == line.seq) {
                    ledger.snapshot(snapshot);
                }
            }
            Event::SessionGone { session, .. } => ledger.session_gone(*session, line.seq),
            _ => {}
        }
    }
    for grant in &mut ledger.grants {
        grant.exact &= !ledger.vague.contains(&grant.session);
    }
    ledger.grants
}

impl<'a> Ledger<'_, 'a> {
    fn open(&mut self, slot: Slot) -> Option<&mut Grant<'a>> {
        let (session, key, mode) = slot;
        self.grants.iter_mut().rev().find(|grant| {
            grant.end.is_none()
                && grant.session == session
                && grant.key == key
                && grant.mode == mode
        })
    }

    fn begin(&mut self, slot: Slot, connection: &'a ConnectionName, seq: u64, xact: Option<bool>) {
        let (session, key, mode) = slot;
        self.grants.push(Grant {
            session,
            connection,
            key,
            mode,
            xact,
            from: seq,
            seen: None,
            end: None,
            taken: 0,
            returned: 0,
            exact: true,
            in_transaction: false,
        });
    }

    fn step_ended(&mut self, step: &StepFacts<'a>, seq: u64) {
        let (Some(session), Some(end), true) = (step.session, step.last(), step.ran()) else {
            return;
        };
        let clean = end.ending == Ending::Done && end.answer.error.is_none();
        if step.request.opaque {
            self.vague.insert(session);
        }
        for (i, call) in step.request.lock_calls.iter().enumerate() {
            let result = end.answer.lock_results.get(i).copied().flatten();
            self.call(step, session, seq, call, result, clean);
        }
        if step.discards() && clean {
            self.close_all(session, seq, How::Discarded);
        }
        match end.answer.transaction {
            Some('I') => {
                self.in_transaction.remove(&session);
                for grant in &mut self.grants {
                    if grant.session == session && grant.xact == Some(true) {
                        grant.end.get_or_insert((seq, How::Transaction));
                    }
                }
            }
            Some(_) => {
                self.in_transaction.insert(session);
            }
            None => {}
        }
    }

    fn call(
        &mut self,
        step: &StepFacts<'a>,
        session: Session,
        seq: u64,
        call: &LockCall,
        result: Option<bool>,
        clean: bool,
    ) {
        if call.action == LockAction::UnlockAll {
            if clean {
                self.close_all(session, seq, How::Unlocked);
            }
            return;
        }
        let Some(key) = call.key else {
            self.vague.insert(session);
            return;
        };
        let key = LockKey {
            database: self.run.database,
            ..key
        };
        let slot = (session, key, call.mode);
        self.known.insert(slot);
        let got = match call.action {
            LockAction::Lock => clean.then_some(true),
            LockAction::TryLock | LockAction::Unlock | LockAction::UnlockAll => result,
        };
        match (call.action, got) {
            (LockAction::Unlock, Some(true)) => {
                if let Some(grant) = self.open(slot) {
                    grant.returned += 1;
                    if grant.returned >= grant.taken {
                        grant.end = Some((seq, How::Unlocked));
                    }
                }
            }
            (_, Some(false)) => {}
            (LockAction::Unlock, None) => {
                // Never answered: info, neither ok nor fail.
                self.vague.insert(session);
                let free = self.run.pacing == Pacing::Free;
                if let Some(grant) = self.open(slot)
                    && grant.returned + 1 >= grant.taken
                    && free
                {
                    grant.end = Some((seq, How::Unanswered));
                }
            }
            (_, Some(true)) => {
                if self.open(slot).is_none() {
                    self.begin(slot, step.connection, seq, Some(call.xact));
                }
                if let Some(grant) = self.open(slot) {
                    grant.xact = Some(call.xact && grant.xact != Some(false));
                    grant.taken += u32::from(!call.xact);
                }
            }
            // An error can hide a grant (57014 that races it): the next snapshot tells.
            (_, None) => {
                self.vague.insert(session);
                self.known.remove(&slot);
            }
        }
    }

    fn close_all(&mut self, session: Session, seq: u64, how: How) {
        for grant in &mut self.grants {
            if grant.session == session && grant.xact != Some(true) {
                grant.end.get_or_insert((seq, how));
            }
        }
    }

    fn snapshot(&mut self, snapshot: &Snapshot<'a>) {
        let free = self.run.pacing == Pacing::Free;
        let mut shown: BTreeSet<Slot> = BTreeSet::new();
        for lock in snapshot.locks.iter().filter(|lock| lock.granted) {
            let Some(owner) = self.sessions.at(lock.pid, snapshot.server_us) else {
                continue;
            };
            let (session, connection) = (owner.session, owner.connection);
            if owner.gone.is_some_and(|gone| gone < snapshot.seq) {
                continue;
            }
            let slot = (session, lock.key, lock.mode);
            shown.insert(slot);
            if self.open(slot).is_none() {
                if free && self.known.contains(&slot) {
                    continue;
                }
                let xact = self.asked_as(session, lock, snapshot.seq);
                self.begin(slot, connection, snapshot.seq, xact);
            }
            if let Some(grant) = self.open(slot) {
                grant.seen = Some(snapshot.seq);
            }
        }
        for i in 0..self.grants.len() {
            let grant = &self.grants[i];
            let slot = (grant.session, grant.key, grant.mode);
            let speaks = !free || (grant.seen.is_some() && !self.known.contains(&slot));
            if grant.end.is_none() && speaks && !shown.contains(&slot) {
                self.vanished(i, snapshot.seq);
            }
        }
    }

    /// Whether the call that took a lock, if one was seen, was of the `xact` kind.
    fn asked_as(&self, session: Session, lock: &HeldLock, seq: u64) -> Option<bool> {
        self.by_session
            .get(&session)?
            .iter()
            .filter(|step| step.released.is_some_and(|at| at.seq < seq))
            .flat_map(|step| &step.request.lock_calls)
            .filter(|call| matches!(call.action, LockAction::Lock | LockAction::TryLock))
            .filter(|call| call.mode == lock.mode)
            .rfind(|call| call.key.is_some_and(|key| key.same_key(&lock.key)))
            .map(|call| call.xact)
    }

    fn session_gone(&mut self, session: Session, seq: u64) {
        for i in 0..self.grants.len() {
            if self.grants[i].session == session && self.grants[i].end.is_none() {
                self.vanished(i, seq);
            }
        }
    }

    /// A grant is no more: finds out how it ended.
    fn vanished(&mut self, index: usize, seq: u64) {
        let grant = &self.grants[index];
        let session = grant.session;
        let since = grant.seen.map_or(grant.from, |seen| seen.max(grant.from));
        let steps = || self.by_session.get(&session).into_iter().flatten();
        let between = || steps().filter(|step| step.was_under_way(since, seq));
        let gone = self.sessions.of(session).and_then(|facts| facts.gone);
        let answered = |step: &&&StepFacts| {
            let end = step.last();
            end.is_some_and(|end| end.ending == Ending::Done && end.at.seq <= seq)
        };
        // Alive is what still answers something later.
        let alive = gone.is_none_or(|gone| gone > seq)
            && (gone.is_none()
                || steps().any(|step| {
                    step.last()
                        .is_some_and(|end| end.ending == Ending::Done && end.at.seq > seq)
                }));
        let released = between()
            .filter(answered)
            .any(|step| step.could_release() && !step.request.terminate);
        let how = if grant.xact == Some(true) {
            How::Transaction
        } else if released || alive {
            How::Unlocked
        } else if grant.xact.is_none()
            && between().filter(answered).any(|step| {
                step.last()
                    .is_some_and(|end| end.answer.transaction == Some('I'))
            })
        {
            How::Transaction
        } else if between().any(|step| step.could_release()) {
            How::Unanswered
        } else {
            How::Session
        };
        let in_transaction = self.in_transaction.contains(&session);
        let grant = &mut self.grants[index];
        grant.in_transaction = in_transaction;
        grant.end = Some((seq, how));
    }
}
