//! The harness's own eyes on the run's servers: one observer and one log reader for each.
//!
//! Owns which of them is asked: all that can be, with their answers joined. Process ids of the
//! servers of one run never coincide, so a session is known by its own. Nothing is asked of a server
//! that is down or paused: it could not answer.

use std::collections::{BTreeSet, HashMap};

use super::error::RunError;
use crate::evidence::{Activity, EvidenceError, LogReader, Observer, ServerLog, is_of_gate};
use crate::history::{HeldLock, LockCall};
use crate::name::{LockMode, TableName};
use crate::server::Server;
use tokio_postgres::Client;

/// One server of the run.
pub(super) struct Watcher {
    /// Its number: 0 is the first primary.
    pub server: usize,
    /// `None` while the server cannot be asked.
    pub observer: Option<Observer>,
    pub log: Option<LogReader>,
}

impl Watcher {
    /// One over this connection; its log is read from here on.
    pub async fn new(server: usize, client: Client, log: bool) -> Result<Self, RunError> {
        let log = if log {
            Some(LogReader::begin(&client).await?)
        } else {
            None
        };
        Ok(Self {
            server,
            observer: Some(Observer::new(client).await?),
            log,
        })
    }
}

/// All servers of the run; the current primary is the one that new connections go to.
pub(super) struct Watchers {
    all: Vec<Watcher>,
    current: usize,
    /// The backends that serve, or served, the harness itself.
    own: Vec<i32>,
    /// The one of them that keeps gates closed in the middle of steps.
    keeper: Option<i32>,
    /// Tables and modes that a LOCK TABLE has named.
    tables: BTreeSet<(TableName, LockMode)>,
}

impl Watchers {
    pub fn new(first: Watcher) -> Self {
        let own = first.observer.iter().map(Observer::pid).collect();
        Self {
            all: vec![first],
            current: 0,
            own,
            keeper: None,
            tables: BTreeSet::new(),
        }
    }

    /// A server joins; it is not the current one yet.
    pub fn join(&mut self, watcher: Watcher) {
        self.own.extend(watcher.observer.iter().map(Observer::pid));
        self.all.push(watcher);
    }

    /// Makes the server of this number the current one.
    pub fn follow(&mut self, server: usize) {
        if let Some(place) = self.all.iter().position(|one| one.server == server) {
            self.current = place;
        }
    }

    /// The number of the current server.
    pub fn current(&self) -> usize {
        self.all.get(self.current).map_or(0, |one| one.server)
    }

    /// From now on the server of this number cannot be asked.
    pub fn lose(&mut self, server: usize) {
        for one in self.all.iter_mut().filter(|one| one.server == server) {
            one.observer = None;
        }
    }

    /// The server of this number can be asked again, over this connection.
    pub async fn regain(&mut self, server: usize, client: Client) -> Result<(), RunError> {
        let observer = Observer::new(client).await?;
        self.own.push(observer.pid());
        if let Some(one) = self.all.iter_mut().find(|one| one.server == server) {
            one.observer = Some(observer);
        }
        Ok(())
    }

    /// From now on this backend of the harness's own keeps gates closed.
    pub fn keep_gates(&mut self, pid: i32) {
        self.own.push(pid);
        self.keeper = Some(pid);
    }

    /// Whether this lock only keeps a step in its middle.
    pub fn is_of_gate(&self, lock: &HeldLock) -> bool {
        self.keeper.is_some_and(|keeper| is_of_gate(lock, keeper))
    }

    /// Whether this backend serves, or served, the harness itself.
    pub fn is_own(&self, pid: i32) -> bool {
        self.own.contains(&pid)
    }

    fn live(&self) -> impl Iterator<Item = (usize, &Observer)> {
        self.all
            .iter()
            .filter_map(|one| Some((one.server, one.observer.as_ref()?)))
    }

    fn primary(&self) -> Result<&Observer, RunError> {
        self.all
            .get(self.current)
            .and_then(|one| one.observer.as_ref())
            .ok_or(RunError::ServerAway)
    }

    /// Whether the server's log is read.
    pub fn has_log(&self) -> bool {
        self.all.iter().any(|one| one.log.is_some())
    }

    /// The connection to the current primary, for questions of other kinds.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub fn client(&self) -> Result<&Client, RunError> {
        Ok(self.primary()?.client())
    }

    /// The current primary's `deadlock_timeout`, in microseconds.
    pub fn deadlock_timeout_us(&self) -> u64 {
        self.primary()
            .map_or(0, |observer| observer.deadlock_timeout_us())
    }

    /// What these backends do, on whichever server they are; those that are gone are missing, as
    /// are those of servers that cannot be asked.
    pub async fn activity(&self, pids: &[i32]) -> Result<HashMap<i32, Activity>, EvidenceError> {
        let mut found = HashMap::new();
        for (_, observer) in self.live() {
            found.extend(observer.activity(pids).await?);
        }
        Ok(found)
    }

    /// From now on locks that these calls ask for on tables are looked for, too.
    pub fn look_for(&mut self, calls: &[LockCall]) {
        let tables = calls
            .iter()
            .filter_map(|call| Some((call.key?.table()?, call.mode)));
        self.tables.extend(tables);
    }

    /// All advisory locks of the run's database on all servers, and those on tables that were asked for
    /// by LOCK TABLE, each with its server, and when the last was asked (microseconds since 1970).
    pub async fn locks(&self) -> Result<(i64, Vec<HeldLock>), EvidenceError> {
        let mut when = 0;
        let mut all = Vec::new();
        for (server, observer) in self.live() {
            let (server_us, locks) = observer.locks(&self.tables).await?;
            when = server_us.max(when);
            let locks = locks.into_iter().filter(|lock| !self.is_of_gate(lock));
            all.extend(locks.map(|lock| of_server(lock, server)));
        }
        Ok((when, all))
    }

    /// The transactions of the run's database that are prepared on the current primary: each one's number, as
    /// locks show it, and its name.
    pub async fn prepared(&self) -> Result<Vec<(u32, String)>, RunError> {
        Ok(self.primary()?.prepared().await?)
    }

    /// Rolls them back.
    pub async fn roll_back_prepared(&self) -> Result<(), RunError> {
        Ok(self.primary()?.roll_back_prepared().await?)
    }

    /// All client sessions of a database but the harness's own.
    pub async fn sessions_of(
        &self,
        database: &str,
    ) -> Result<HashMap<i32, Activity>, EvidenceError> {
        let mut found = HashMap::new();
        for (_, observer) in self.live() {
            found.extend(observer.sessions_of(database).await?);
        }
        Ok(found)
    }

    /// `pg_terminate_backend` where the backend is; whether the signal was sent.
    pub async fn terminate_backend(&self, pid: i32) -> Result<bool, EvidenceError> {
        for (_, observer) in self.live() {
            if observer.activity(&[pid]).await?.contains_key(&pid) {
                return observer.terminate_backend(pid).await;
            }
        }
        Ok(false)
    }

    /// `pg_cancel_backend` where the backend is; whether the signal was sent.
    pub async fn cancel_backend(&self, pid: i32) -> Result<bool, EvidenceError> {
        for (_, observer) in self.live() {
            if observer.activity(&[pid]).await?.contains_key(&pid) {
                return observer.cancel_backend(pid).await;
            }
        }
        Ok(false)
    }

    /// Whether a log tells that this backend has made its deadlock check (see
    /// [`LogReader::has_checked`]); `None` where no log is read.
    pub async fn has_checked(
        &mut self,
        pid: i32,
        from_us: i64,
    ) -> Result<Option<bool>, EvidenceError> {
        let mut any = None;
        for one in &mut self.all {
            if let (Some(observer), Some(log)) = (&one.observer, &mut one.log) {
                let checked = log.has_checked(observer.client(), pid, from_us).await?;
                any = Some(any.unwrap_or(false) || checked);
            }
        }
        Ok(any)
    }

    /// Reads every log to its sentinel: its server's number, and what it says of this database. The
    /// log of a server that is gone cannot be read any more; those are counted last.
    pub async fn finish_logs(
        &mut self,
        database: &str,
    ) -> Result<(Vec<(usize, ServerLog)>, usize), EvidenceError> {
        let mut logs = Vec::new();
        let mut lost = 0;
        for one in &mut self.all {
            match (one.log.take(), &one.observer) {
                (Some(log), Some(observer)) => {
                    let log = log.finish(observer.client(), database).await?;
                    logs.push((one.server, log));
                }
                (Some(_), None) => lost += 1,
                (None, _) => {}
            }
        }
        Ok((logs, lost))
    }
}

/// A lock with the number of its server.
pub(super) fn of_server(mut lock: HeldLock, server: usize) -> HeldLock {
    lock.key.server = u8::try_from(server).unwrap_or(u8::MAX);
    lock
}

/// A connection to a run's database on its first primary.
pub(super) async fn connect(server: &Server, database: &str) -> Result<Client, RunError> {
    Ok(server.connect(database).await?)
}
