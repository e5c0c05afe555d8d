//! Sessions and connections: which backend served whom, from when to when.
//!
//! Owns the way from a backend's process id to a pod. Behind a pooler one backend serves several
//! connections, one after the other. Knows nothing of what was done there.

use std::collections::{BTreeMap, HashMap};

use super::snapshots::Snapshot;
use crate::history::{ClosedBy, Event, HeldLock, RunFacts};
use crate::name::{ConnectionName, PodName, Session};

/// One session that served a pod's connection.
#[derive(Debug)]
pub struct SessionFacts<'a> {
    /// Which of the run's servers has it.
    pub server: u8,
    pub session: Session,
    pub connection: &'a ConnectionName,
    pub started: u64,
    pub gone: Option<u64>,
}

/// All sessions of pods, and how their connections were closed.
#[derive(Debug, Default)]
pub struct Sessions<'a> {
    all: Vec<SessionFacts<'a>>,
    /// Places in `all` of what each session that is still there serves.
    alive: HashMap<Session, Vec<usize>>,
    /// The last place of each session in `all`.
    by_session: HashMap<Session, usize>,
    /// Places in `all` of each process id, by when the session started.
    by_pid: HashMap<i32, Vec<usize>>,
    /// Places in `all` of each connection.
    by_connection: HashMap<&'a ConnectionName, Vec<usize>>,
    closed: BTreeMap<&'a ConnectionName, (u64, ClosedBy)>,
    /// From when on nobody knows which backend a connection had, until another is known.
    unknown: Vec<(&'a ConnectionName, u64)>,
    /// Places in `all` of the sessions that prepared transactions, by the process id that locks have then.
    prepared: HashMap<i32, usize>,
    /// When a pooler took a backend back from a client that had left.
    returned: Vec<(Session, u64)>,
    pooled: bool,
}

impl<'a> Sessions<'a> {
    /// Of this run, before any line is read.
    pub(super) fn none_of(run: Option<&RunFacts>) -> Self {
        Self {
            pooled: run.is_some_and(|run| run.pooler.is_some()),
            ..Self::default()
        }
    }

    pub(super) fn read(&mut self, event: &'a Event, seq: u64) {
        match event {
            Event::SessionStarted {
                connection,
                session,
                server,
            } => {
                let place = self.all.len();
                self.all.push(SessionFacts {
                    server: *server,
                    session: *session,
                    connection,
                    started: seq,
                    gone: None,
                });
                self.alive.entry(*session).or_default().push(place);
                self.by_session.insert(*session, place);
                self.by_pid.entry(session.pid).or_default().push(place);
                let of_connection = self.by_connection.entry(connection);
                of_connection.or_default().push(place);
            }
            Event::SessionGone { session, .. } => {
                for place in self.alive.remove(session).into_iter().flatten() {
                    self.all[place].gone = Some(seq);
                }
            }
            Event::Prepared {
                transaction,
                session: Some(session),
                ..
            } => {
                if let (Some(place), Ok(id)) =
                    (self.by_session.get(session), i32::try_from(*transaction))
                {
                    self.prepared.insert(-id, *place);
                }
            }
            Event::SessionUnknown { connection } => {
                self.unknown.push((connection, seq));
            }
            Event::SessionReturned { session, .. } => {
                self.returned.push((*session, seq));
            }
            Event::ConnectionClosed { connection, by } => {
                self.closed.entry(connection).or_insert((seq, *by));
            }
            _ => {}
        }
    }

    /// To be called when all lines have been read.
    pub(super) fn sort(&mut self) {
        let all = &self.all;
        for places in self.by_pid.values_mut() {
            places.sort_by_key(|place| (all[*place].session.started_us, all[*place].started));
        }
    }

    /// Whether a backend serves several connections.
    pub fn are_pooled(&self) -> bool {
        self.pooled
    }

    /// What is known of this session. Behind a pooler one serves several connections: the last.
    pub fn of(&self, session: Session) -> Option<&SessionFacts<'a>> {
        self.by_session.get(&session).map(|place| &self.all[*place])
    }

    /// The session with this process id at this time of the server: process ids are reused, so it
    /// is the one that started last before it. Behind a pooler: with the connection that it served at
    /// this line.
    pub fn at(&self, pid: i32, server_us: i64, seq: u64) -> Option<&SessionFacts<'a>> {
        self.find(pid, server_us, seq, |_| true)
    }

    /// The session whose lock a snapshot shows. Each server has process ids of its own.
    pub fn shown(&self, lock: &HeldLock, snapshot: &Snapshot<'a>) -> Option<&SessionFacts<'a>> {
        let (at, seq) = (snapshot.server_us, snapshot.seq);
        let there = |facts: &SessionFacts<'a>| facts.server == lock.key.server;
        self.find(lock.pid, at, seq, there)
    }

    fn find(
        &self,
        pid: i32,
        server_us: i64,
        seq: u64,
        meant: impl Fn(&SessionFacts<'a>) -> bool,
    ) -> Option<&SessionFacts<'a>> {
        if pid < 0 {
            // A prepared transaction is the affair of the session that prepared it, wherever that is now.
            return Some(&self.all[*self.prepared.get(&pid)?]);
        }
        let same = self.by_pid.get(&pid)?;
        let started = |place: &usize| self.all[*place].session.started_us <= server_us;
        let after = same.partition_point(started);
        let there = |place: &&usize| {
            let facts = &self.all[**place];
            meant(facts) && (!self.pooled || facts.started <= seq)
        };
        let (before, later) = same.split_at(after);
        let place = before
            .iter()
            .rev()
            .find(there)
            .or_else(|| later.iter().find(there))?;
        Some(&self.all[*place])
    }

    /// The last session that this connection got before this line.
    pub fn of_connection(&self, connection: &ConnectionName, seq: u64) -> Option<Session> {
        let own = self.by_connection.get(connection)?;
        let after = own.partition_point(|place| self.all[*place].started <= seq);
        let found = &self.all[own[after.checked_sub(1)?]];
        let unknown = self
            .unknown
            .iter()
            .any(|(name, from)| *name == connection && (found.started..=seq).contains(from));
        (!unknown).then_some(found.session)
    }

    /// Whether a pooler took a backend back from a client that had left, between these lines.
    pub fn returned_between(&self, session: Session, since: u64, until: u64) -> bool {
        self.returned
            .iter()
            .any(|(one, seq)| *one == session && (since..=until).contains(seq))
    }

    /// When and by whom a connection was closed.
    pub fn closed(&self, connection: &ConnectionName) -> Option<(u64, ClosedBy)> {
        self.closed.get(connection).copied()
    }

    /// All closed connections of a pod.
    pub fn closed_of<'s>(
        &'s self,
        pod: &'s PodName,
    ) -> impl Iterator<Item = (&'a ConnectionName, u64, ClosedBy)> + 's {
        self.closed
            .iter()
            .filter(move |(connection, _)| connection.pod == *pod)
            .map(|(connection, (seq, by))| (*connection, *seq, *by))
    }
}
