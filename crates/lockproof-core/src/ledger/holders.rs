//! Whose lock it is that the server shows of a backend.
//!
//! Owns the way from a line of `pg_locks` to connections. Without a pooler that is the connection of the
//! session. Behind a pooler a backend keeps a session's locks while it serves others: then it is whoever
//! was granted the lock there, perhaps several at once, for a session is granted again what it holds.

use super::book::Ledger;
use super::grant::Slot;
use crate::history::HeldLock;
use crate::name::{ConnectionName, Session};
use crate::timeline::{Snapshot, Timeline};

/// A connection and the session by which it holds a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder<'a> {
    /// Whose lock it is.
    pub connection: &'a ConnectionName,
    /// The session that holds it on the server.
    pub session: Session,
}

/// The locks that a snapshot shows, granted or awaited, with the connection that each one's backend serves
/// at that moment. Without a pooler that is the holder.
pub fn served<'t, 'a>(
    timeline: &'t Timeline<'a>,
    snapshot: &'t Snapshot<'a>,
) -> impl Iterator<Item = (&'a HeldLock, &'a ConnectionName)> + use<'t, 'a> {
    let locks = snapshot.locks.iter().copied();
    locks.filter_map(move |lock| {
        let serving = timeline.sessions.shown(lock, snapshot)?;
        Some((lock, serving.connection))
    })
}

/// What is needed to tell.
pub struct Holders<'f, 'a> {
    /// What happened.
    pub timeline: &'f Timeline<'a>,
    /// Who held what.
    pub ledger: &'f Ledger<'a>,
}

impl<'a> Ledger<'a> {
    /// Whose the locks are that the server shows.
    pub fn holders<'f>(&'f self, timeline: &'f Timeline<'a>) -> Holders<'f, 'a> {
        Holders {
            timeline,
            ledger: self,
        }
    }
}

impl<'a> Holders<'_, 'a> {
    /// Who holds this lock, or waits for it, at this time of the server and between these lines. What a
    /// pod was granted that has ended is nobody's section any more.
    pub fn of(&self, lock: &HeldLock, server_us: i64, since: u64, until: u64) -> Vec<Holder<'a>> {
        let mut holders = self.takers(lock, server_us, since, until);
        holders.retain(|holder| {
            let pod = self.timeline.pods.get(&holder.connection.pod);
            !self.timeline.is_pooled()
                || pod.is_none_or(|pod| pod.ended.is_none_or(|ended| ended > since))
        });
        holders
    }

    /// The same with pods that have ended.
    pub fn takers(
        &self,
        lock: &HeldLock,
        server_us: i64,
        since: u64,
        until: u64,
    ) -> Vec<Holder<'a>> {
        let Some(serving) = self.timeline.sessions.at(lock.pid, server_us, until) else {
            return Vec::new();
        };
        let session = serving.session;
        let serving = Holder {
            connection: serving.connection,
            session,
        };
        if !self.timeline.is_pooled() || !lock.granted {
            return vec![serving];
        }
        let slot = Slot::shown(session, lock.key, lock.mode);
        let granted: Vec<Holder<'a>> = self
            .ledger
            .of_slot(slot)
            .filter(|grant| grant.from <= until && grant.end.is_none_or(|(end, _)| end > since))
            .map(|grant| Holder {
                connection: grant.connection,
                session,
            })
            .collect();
        if granted.is_empty() {
            vec![serving]
        } else {
            granted
        }
    }

    /// The locks that a snapshot shows, granted or awaited, and whose each is.
    pub fn shown<'s>(
        &self,
        snapshot: &'s Snapshot<'a>,
    ) -> impl Iterator<Item = (&'a HeldLock, Holder<'a>)> + use<'s, '_, 'a> {
        let (at, seq) = (snapshot.server_us, snapshot.seq);
        let of = move |lock: &'a HeldLock| {
            let holders = self.of(lock, at, seq, seq).into_iter();
            holders.map(move |holder| (lock, holder))
        };
        snapshot.locks.iter().copied().flat_map(of)
    }
}
