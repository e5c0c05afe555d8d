//! Whose lock it is that the server shows of a backend.
//!
//! Owns the way from a line of `pg_locks` to connections. Without a pooler that is the connection of the
//! session. Behind a pooler a backend keeps a session's locks while it serves others: then it is whoever
//! was granted the lock there, perhaps several at once, for a session is granted again what it holds.

use std::collections::BTreeMap;

use super::grants::Grant;
use crate::history::{ConnectionName, HeldLock, LockKey, PodName, RunFacts, Session};
use crate::timeline::{PodFacts, Sessions};

/// A connection and the session by which it holds a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Holder<'a> {
    pub connection: &'a ConnectionName,
    pub session: Session,
}

/// What is needed to tell.
pub(crate) struct Holders<'f, 'a> {
    pub run: &'a RunFacts,
    pub sessions: &'f Sessions<'a>,
    pub grants: &'f [Grant<'a>],
    pub pods: &'f BTreeMap<&'a PodName, PodFacts<'a>>,
}

impl<'a> Holders<'_, 'a> {
    /// Who holds this lock, or waits for it, at this time of the server and between these lines. What a
    /// pod was granted that has ended is nobody's section any more.
    pub fn of(&self, lock: &HeldLock, server_us: i64, since: u64, until: u64) -> Vec<Holder<'a>> {
        let mut holders = self.takers(lock, server_us, since, until);
        holders.retain(|holder| {
            let pod = self.pods.get(&holder.connection.pod);
            self.run.pooler.is_none()
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
        let Some(serving) = self.sessions.at(lock.pid, server_us, until) else {
            return Vec::new();
        };
        let session = serving.session;
        let serving = Holder {
            connection: serving.connection,
            session,
        };
        if self.run.pooler.is_none() || !lock.granted {
            return vec![serving];
        }
        let granted: Vec<Holder<'a>> = self
            .grants
            .iter()
            .filter(|grant| {
                // The session says which server it is; calls on the wire do not.
                let key = LockKey {
                    server: 0,
                    ..lock.key
                };
                (grant.session, grant.key, grant.mode) == (session, key, lock.mode)
                    && grant.from <= until
                    && grant.end.is_none_or(|(end, _)| end > since)
            })
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
}
