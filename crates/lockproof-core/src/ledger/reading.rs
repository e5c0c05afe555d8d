//! How grants are found: a book that is kept while lock events go by.
//!
//! In controlled pacing a snapshot of `pg_locks` is the truth until the next one. In free pacing
//! snapshots are samples that may be older than the line before them: there the answers on the
//! wire come first, and a sample only speaks for keys of which the wire knows nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::event::{LedgerEvent, Said, ledger_events};
use super::grant::{Grant, How, Slot};
use super::kind::{LetGo, LockKind};
use super::work::{Work, by_session};
use crate::history::{Ending, LockAction, LockCall};
use crate::name::{ConnectionName, LockKey, LockMode, PodName, Session};
use crate::timeline::{Snapshot, StepFacts, Timeline};

/// A lock and a mode, of a session that is told elsewhere.
type Held = (LockKey, LockMode);

struct Reading<'t, 'a> {
    timeline: &'t Timeline<'a>,
    free: bool,
    pooled: bool,
    work: BTreeMap<Session, Work<'t, 'a>>,
    grants: Vec<Grant<'a>>,
    /// The places of each session's grants that have not ended: one for each lock; behind a pooler one
    /// for each pod that was granted it there.
    open: BTreeMap<Session, BTreeMap<Held, Vec<usize>>>,
    /// What the wire told of.
    known: BTreeSet<Slot>,
    /// Sessions with a lock call that was not understood, or not answered.
    vague: BTreeSet<Session>,
    in_transaction: BTreeSet<Session>,
}

/// All grants of pods' sessions in the run's database, in the order in which they began.
pub(super) fn grants<'a>(timeline: &Timeline<'a>) -> Vec<Grant<'a>> {
    let mut reading = Reading {
        timeline,
        free: timeline.is_free(),
        pooled: timeline.is_pooled(),
        work: by_session(timeline),
        grants: Vec::new(),
        open: BTreeMap::new(),
        known: BTreeSet::new(),
        vague: BTreeSet::new(),
        in_transaction: BTreeSet::new(),
    };
    ledger_events(timeline, |at, event| reading.take(at.seq, event));
    for grant in &mut reading.grants {
        grant.exact &= !reading.vague.contains(&grant.session);
    }
    reading.grants
}

impl<'a> Reading<'_, 'a> {
    fn take(&mut self, seq: u64, event: LedgerEvent<'_, 'a>) {
        let ran = |step: &StepFacts<'a>| step.session.filter(|_| step.ran());
        match event {
            LedgerEvent::Called(step, _, call, said) => {
                if let Some(session) = ran(step) {
                    self.call(step, session, seq, call, said);
                }
            }
            LedgerEvent::LetGo(step, cause, true) => {
                if let Some(session) = ran(step) {
                    self.let_go(session, seq, cause);
                }
            }
            LedgerEvent::Transaction(step, status) => {
                if let Some(session) = ran(step) {
                    self.transaction(session, seq, status);
                }
            }
            LedgerEvent::Over(step, _) if step.request.opaque => {
                self.vague.extend(ran(step));
            }
            LedgerEvent::Shown(snapshot) => self.snapshot(snapshot),
            LedgerEvent::SessionGone(_, session) => {
                for place in self.all_open_of(session) {
                    self.vanished(session, place, seq);
                }
            }
            LedgerEvent::Asked(_)
            | LedgerEvent::LetGo(..)
            | LedgerEvent::Over(..)
            | LedgerEvent::SessionStarted(..)
            | LedgerEvent::Closed(_) => {}
        }
    }

    /// The places of the grants of this lock that have not ended.
    fn places(&self, slot: Slot) -> &[usize] {
        let own = self.open.get(&slot.session);
        let places = own.and_then(|own| own.get(&(slot.key, slot.mode)));
        places.map_or(&[], |places| places)
    }

    /// The place of this pod's open grant. Behind a pooler a session may be granted the same lock for
    /// several pods, each of which has a grant of its own.
    fn open_of(&self, slot: Slot, pod: &PodName) -> Option<usize> {
        let mut own = self.places(slot).iter().rev();
        let pods = |place: &&usize| !self.pooled || self.grants[**place].connection.pod == *pod;
        own.find(pods).copied()
    }

    fn end(&mut self, place: usize, seq: u64, how: How) {
        let grant = &mut self.grants[place];
        grant.end.get_or_insert((seq, how));
        let (session, held) = (grant.session, (grant.key, grant.mode));
        if let Some(own) = self.open.get_mut(&session) {
            if let Some(places) = own.get_mut(&held) {
                places.retain(|one| *one != place);
                if places.is_empty() {
                    own.remove(&held);
                }
            }
            if own.is_empty() {
                self.open.remove(&session);
            }
        }
    }

    /// The places of a session's grants that have not ended.
    fn all_open_of(&self, session: Session) -> Vec<usize> {
        let own = self.open.get(&session).into_iter().flatten();
        own.flat_map(|(_, places)| places).copied().collect()
    }

    fn begin(&mut self, slot: Slot, connection: &'a ConnectionName, seq: u64, xact: Option<bool>) {
        let Slot { session, key, mode } = slot;
        let own = self.open.entry(session).or_default();
        own.entry((key, mode)).or_default().push(self.grants.len());
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

    fn transaction(&mut self, session: Session, seq: u64, status: char) {
        if status == 'I' {
            self.in_transaction.remove(&session);
            self.let_go(session, seq, LetGo::Transaction);
        } else {
            self.in_transaction.insert(session);
        }
    }

    fn let_go(&mut self, session: Session, seq: u64, cause: LetGo) {
        for place in self.all_open_of(session) {
            if self.grants[place].ends_by(cause) {
                self.end(place, seq, cause.into());
            }
        }
    }

    fn call(
        &mut self,
        step: &StepFacts<'a>,
        session: Session,
        seq: u64,
        call: &LockCall,
        said: Said<'_>,
    ) {
        let Some(key) = call.key else {
            self.vague.insert(session);
            return;
        };
        if !LockKind::of(&key).told_by_answers() {
            return;
        }
        let key = LockKey {
            database: self.timeline.database(),
            ..key
        };
        let mode = call.mode;
        let slot = Slot { session, key, mode };
        self.known.insert(slot);
        match (call.action, said.was_done()) {
            (LockAction::Unlock, Some(true)) => {
                let own = self.open_of(slot, step.pod());
                if let Some(place) = own.or_else(|| self.places(slot).last().copied()) {
                    let grant = &mut self.grants[place];
                    grant.returned += 1;
                    if own.is_none() {
                        grant.given_back_by = Some(step.connection);
                    }
                    if grant.returned >= grant.taken {
                        self.end(place, seq, How::Unlocked);
                    }
                }
            }
            (_, Some(false)) => {}
            (LockAction::Unlock, None) => {
                // Never answered: info, neither ok nor fail.
                self.vague.insert(session);
                if let Some(place) = self.open_of(slot, step.pod())
                    && self.grants[place].returned + 1 >= self.grants[place].taken
                    && self.free
                {
                    self.end(place, seq, How::Unanswered);
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

    fn snapshot(&mut self, snapshot: &Snapshot<'a>) {
        let mut shown: BTreeSet<Slot> = BTreeSet::new();
        let sessions = &self.timeline.sessions;
        for lock in snapshot.locks.iter().filter(|lock| lock.granted) {
            let Some(owner) = sessions.shown(lock, snapshot) else {
                continue;
            };
            let (session, connection) = (owner.session, owner.connection);
            // A prepared transaction holds on without its session.
            if lock.pid > 0 && owner.gone.is_some_and(|gone| gone < snapshot.seq) {
                continue;
            }
            let slot = Slot::shown(session, lock.key, lock.mode);
            shown.insert(slot);
            if self.places(slot).is_empty() {
                if self.free && self.known.contains(&slot) {
                    continue;
                }
                let work = self.work.get(&session);
                let asked = || work.and_then(|work| work.asked_as(lock, snapshot.seq));
                let xact = LockKind::of(&lock.key).always_xact().or_else(asked);
                self.begin(slot, connection, snapshot.seq, xact);
            }
            for place in self.places(slot).to_vec() {
                self.grants[place].seen = Some(snapshot.seq);
            }
        }
        let mut missing = Vec::new();
        for (session, own) in &self.open {
            for (held, places) in own {
                let slot = Slot {
                    session: *session,
                    key: held.0,
                    mode: held.1,
                };
                let speaks = |place: &&usize| {
                    let seen = self.grants[**place].seen.is_some();
                    !self.free || (seen && !self.known.contains(&slot))
                };
                if !shown.contains(&slot) {
                    let gone = places.iter().filter(speaks);
                    missing.extend(gone.map(|place| (*session, *place)));
                }
            }
        }
        for (session, place) in missing {
            self.vanished(session, place, snapshot.seq);
        }
    }

    /// A grant is no more: finds out how it ended.
    fn vanished(&mut self, session: Session, place: usize, seq: u64) {
        let grant = &self.grants[place];
        let since = grant.seen.map_or(grant.from, |seen| seen.max(grant.from));
        let work = self.work.get(&session);
        let between = || work.into_iter().flat_map(|work| work.between(since, seq));
        let gone = self.timeline.sessions.of(session);
        let gone = gone.and_then(|facts| facts.gone);
        let answer = |step: &StepFacts<'a>| {
            let end = step.last();
            let end = end.filter(|end| end.ending == Ending::Done && end.at.seq <= seq);
            end.map(|end| end.answer)
        };
        // Alive is what still answers something later.
        let alive = gone.is_none_or(|gone| gone > seq)
            && (gone.is_none() || work.is_some_and(|work| work.last_answer > seq));
        let released = between().any(|step| answer(step).is_some() && step.could_release());
        let ended = |step: &StepFacts<'a>| {
            answer(step).is_some_and(|answer| answer.transaction == Some('I'))
        };
        let how = if grant.xact == Some(true) {
            How::Transaction
        } else if self.timeline.sessions.returned_between(session, since, seq) && !released {
            How::Returned
        } else if released || alive {
            How::Unlocked
        } else if grant.xact.is_none() && between().any(ended) {
            How::Transaction
        } else if between().any(StepFacts::could_release) {
            How::Unanswered
        } else {
            How::Session
        };
        self.grants[place].in_transaction = self.in_transaction.contains(&session);
        self.end(place, seq, how);
    }
}
