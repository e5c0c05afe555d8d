//! How grants are found: a ledger that is kept while reading the history once.
//!
//! In controlled pacing a snapshot of `pg_locks` is the truth until the next one. In free pacing
//! snapshots are samples that may be older than the line before them: there the answers on the
//! wire come first, and a sample only speaks for keys of which the wire knows nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::grants::{Grant, How};
use crate::history::{
    ConnectionName, Ending, Event, HeldLock, KeyForm, Line, LockAction, LockCall, LockKey,
    LockMode, Pacing, PodName, RunFacts, Session, StepId,
};
use crate::timeline::{Sessions, Snapshot, Spans, StepFacts};

type Slot = (Session, LockKey, LockMode);

/// What the steps of one session did.
#[derive(Default)]
struct Work<'f, 'a> {
    /// Its steps in the order in which they were given to the server.
    steps: Vec<&'f StepFacts<'a>>,
    /// From when to when each was with the server.
    spans: Spans,
    /// The line of the last answer.
    last_answer: u64,
    /// Calls that ask for a lock: when, and whether of the `xact` kind.
    asked: BTreeMap<(LockKey, LockMode), Vec<(u64, bool)>>,
}

struct Ledger<'f, 'a> {
    run: &'a RunFacts,
    sessions: &'f Sessions<'a>,
    by_session: BTreeMap<Session, Work<'f, 'a>>,
    grants: Vec<Grant<'a>>,
    /// The places of grants that have not ended: one for each lock of a session; behind a pooler one for
    /// each pod that was granted it there.
    open: BTreeMap<Slot, Vec<usize>>,
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
    let mut by_session: BTreeMap<Session, Work> = BTreeMap::new();
    for step in steps.values().filter(|step| step.ran()) {
        if let Some(session) = step.session {
            by_session.entry(session).or_default().steps.push(step);
        }
    }
    for work in by_session.values_mut() {
        work.measure();
    }
    let mut ledger = Ledger {
        run,
        sessions,
        by_session,
        grants: Vec::new(),
        open: BTreeMap::new(),
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
    /// The place of the grant of this lock that has not ended; of several the last.
    fn open(&self, slot: Slot) -> Option<usize> {
        self.open.get(&slot)?.last().copied()
    }

    /// The place of this pod's open grant. Behind a pooler a session may be granted the same lock for
    /// several pods, each of which has a grant of its own.
    fn open_of(&self, slot: Slot, pod: &PodName) -> Option<usize> {
        if self.run.pooler.is_none() {
            return self.open(slot);
        }
        let places = self.open.get(&slot)?.iter().rev();
        let mut own = places.filter(|place| self.grants[**place].connection.pod == *pod);
        own.next().copied()
    }

    fn end(&mut self, slot: Slot, place: usize, seq: u64, how: How) {
        if let Some(places) = self.open.get_mut(&slot) {
            places.retain(|one| *one != place);
            if places.is_empty() {
                self.open.remove(&slot);
            }
        }
        self.grants[place].end.get_or_insert((seq, how));
    }

    /// The places of a session's grants that have not ended.
    fn all_open_of(&self, session: Session) -> Vec<(Slot, usize)> {
        let (low, high) = (lowest_key(), highest_key());
        let first = (session, low, LockMode::Exclusive);
        let last = (session, high, LockMode::Share);
        let own = self.open.range(first..=last);
        own.flat_map(|(slot, places)| places.iter().map(|place| (*slot, *place)))
            .collect()
    }

    fn begin(&mut self, slot: Slot, connection: &'a ConnectionName, seq: u64, xact: Option<bool>) {
        let (session, key, mode) = slot;
        self.open.entry(slot).or_default().push(self.grants.len());
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
            given_back_by: None,
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
            let made = clean && call.whole && !end.answer.gave_nothing();
            self.call(step, session, seq, call, result, (clean, made));
        }
        if step.discards() && clean {
            self.close_all(session, seq, How::Discarded);
        }
        match end.answer.transaction {
            Some('I') => {
                self.in_transaction.remove(&session);
                for (slot, place) in self.all_open_of(session) {
                    if self.grants[place].xact == Some(true) {
                        self.end(slot, place, seq, How::Transaction);
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
        (clean, made): (bool, bool),
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
            LockAction::Lock => made.then_some(true),
            LockAction::TryLock | LockAction::Unlock | LockAction::UnlockAll => result,
        };
        match (call.action, got) {
            (LockAction::Unlock, Some(true)) => {
                let own = self.open_of(slot, step.pod());
                if let Some(place) = own.or_else(|| self.open(slot)) {
                    let grant = &mut self.grants[place];
                    grant.returned += 1;
                    if own.is_none() {
                        grant.given_back_by = Some(step.connection);
                    }
                    if grant.returned >= grant.taken {
                        self.end(slot, place, seq, How::Unlocked);
                    }
                }
            }
            (_, Some(false)) => {}
            (LockAction::Unlock, None) => {
                // Never answered: info, neither ok nor fail.
                self.vague.insert(session);
                let free = self.run.pacing == Pacing::Free;
                if let Some(place) = self.open_of(slot, step.pod())
                    && self.grants[place].returned + 1 >= self.grants[place].taken
                    && free
                {
                    self.end(slot, place, seq, How::Unanswered);
                }
            }
            (_, Some(true)) => {
                if self.open_of(slot, step.pod()).is_none() {
                    self.begin(slot, step.connection, seq, Some(call.xact));
                }
                if let Some(place) = self.open_of(slot, step.pod()) {
                    let grant = &mut self.grants[place];
                    grant.xact = Some(call.xact && grant.xact != Some(false));
                    grant.taken += u32::from(!call.xact);
                }
            }
            // An error can hide a grant (57014 that races it), and so can the text: the next snapshot
            // tells.
            (_, None) => {
                self.vague.insert(session);
                self.known.remove(&slot);
            }
        }
    }

    fn close_all(&mut self, session: Session, seq: u64, how: How) {
        for (slot, place) in self.all_open_of(session) {
            if self.grants[place].xact != Some(true) {
                self.end(slot, place, seq, how);
            }
        }
    }

    fn snapshot(&mut self, snapshot: &Snapshot<'a>) {
        let free = self.run.pacing == Pacing::Free;
        let mut shown: BTreeSet<Slot> = BTreeSet::new();
        for lock in snapshot.locks.iter().filter(|lock| lock.granted) {
            let at = snapshot.server_us;
            let Some(owner) = self.sessions.at(lock.pid, at, snapshot.seq) else {
                continue;
            };
            let (session, connection) = (owner.session, owner.connection);
            if owner.gone.is_some_and(|gone| gone < snapshot.seq) {
                continue;
            }
            // The session says which server it is; calls on the wire do not.
            let key = LockKey {
                server: 0,
                ..lock.key
            };
            let slot = (session, key, lock.mode);
            shown.insert(slot);
            if self.open(slot).is_none() {
                if free && self.known.contains(&slot) {
                    continue;
                }
                let xact = self.asked_as(session, lock, snapshot.seq);
                self.begin(slot, connection, snapshot.seq, xact);
            }
            for place in self.open.get(&slot).into_iter().flatten() {
                self.grants[*place].seen = Some(snapshot.seq);
            }
        }
        let speaks = |(slot, place): &(Slot, usize)| {
            let seen = self.grants[*place].seen.is_some();
            !shown.contains(slot) && (!free || (seen && !self.known.contains(slot)))
        };
        let places = |(slot, places): (&Slot, &'_ Vec<usize>)| {
            let slot = *slot;
            places.clone().into_iter().map(move |place| (slot, place))
        };
        let open = self.open.iter().flat_map(places);
        let missing: Vec<(Slot, usize)> = open.filter(speaks).collect();
        for (slot, place) in missing {
            self.vanished(slot, place, snapshot.seq);
        }
    }

    /// Whether the call that took a lock, if one was seen, was of the `xact` kind.
    fn asked_as(&self, session: Session, lock: &HeldLock, seq: u64) -> Option<bool> {
        let asked = &self.by_session.get(&session)?.asked;
        let calls = asked.get(&(lock.key.anywhere(), lock.mode))?;
        let before = calls.partition_point(|(released, _)| *released < seq);
        Some(calls[before.checked_sub(1)?].1)
    }

    fn session_gone(&mut self, session: Session, seq: u64) {
        for (slot, place) in self.all_open_of(session) {
            self.vanished(slot, place, seq);
        }
    }

    /// A grant is no more: finds out how it ended.
    fn vanished(&mut self, slot: Slot, index: usize, seq: u64) {
        let grant = &self.grants[index];
        let session = grant.session;
        let since = grant.seen.map_or(grant.from, |seen| seen.max(grant.from));
        let work = self.by_session.get(&session);
        let between = || {
            let near = work.map_or(&[][..], |work| {
                &work.steps[work.spans.around(since, seq.saturating_add(1))]
            });
            near.iter().filter(|step| step.was_under_way(since, seq))
        };
        let gone = self.sessions.of(session).and_then(|facts| facts.gone);
        let answered = |step: &&&StepFacts| {
            let end = step.last();
            end.is_some_and(|end| end.ending == Ending::Done && end.at.seq <= seq)
        };
        // Alive is what still answers something later.
        let alive = gone.is_none_or(|gone| gone > seq)
            && (gone.is_none() || work.is_some_and(|work| work.last_answer > seq));
        let released = between().filter(answered).any(|step| step.could_release());
        let how = if grant.xact == Some(true) {
            How::Transaction
        } else if self.sessions.returned_between(session, since, seq) && !released {
            How::Returned
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
        self.grants[index].in_transaction = in_transaction;
        self.end(slot, index, seq, how);
    }
}

fn lowest_key() -> LockKey {
    LockKey {
        server: 0,
        database: 0,
        form: KeyForm::OneBigint,
        high: 0,
        low: 0,
    }
}

fn highest_key() -> LockKey {
    LockKey {
        server: u8::MAX,
        database: u32::MAX,
        form: KeyForm::TwoInts,
        high: u32::MAX,
        low: u32::MAX,
    }
}

impl Work<'_, '_> {
    /// What is asked of the steps again and again.
    fn measure(&mut self) {
        let released = |step: &&StepFacts| step.released.map_or(0, |at| at.seq);
        self.steps.sort_by_key(released);
        for step in &self.steps {
            let end = step.last();
            let until = end.map_or(u64::MAX, |end| end.at.seq);
            self.spans.push(released(step), until);
            if let Some(end) = end.filter(|end| end.ending == Ending::Done) {
                self.last_answer = self.last_answer.max(end.at.seq);
            }
            for call in &step.request.lock_calls {
                let asks = matches!(call.action, LockAction::Lock | LockAction::TryLock);
                if let Some(key) = call.key.filter(|_| asks) {
                    let calls = self.asked.entry((key.anywhere(), call.mode)).or_default();
                    calls.push((released(step), call.xact));
                }
            }
        }
    }
}
