//! Sessions and connections: which backend served whom, from when to when.
//!
//! Owns the way from a backend's process id to a pod. Knows nothing of what was done there.

use std::collections::BTreeMap;

use crate::history::{ClosedBy, ConnectionName, Event, Line, PodName, Session};

/// One session that served a pod's connection.
#[derive(Debug)]
pub(crate) struct SessionFacts<'a> {
    pub session: Session,
    pub connection: &'a ConnectionName,
    pub started: u64,
    pub gone: Option<u64>,
}

/// All sessions of pods, and how their connections were closed.
#[derive(Debug, Default)]
pub(crate) struct Sessions<'a> {
    all: Vec<SessionFacts<'a>>,
    closed: BTreeMap<&'a ConnectionName, (u64, ClosedBy)>,
}

impl<'a> Sessions<'a> {
    pub fn from(lines: &'a [Line]) -> Self {
        let mut sessions = Self::default();
        for line in lines {
            match &line.event {
                Event::SessionStarted {
                    connection,
                    session,
                } => sessions.all.push(SessionFacts {
                    session: *session,
                    connection,
                    started: line.seq,
                    gone: None,
                }),
                Event::SessionGone { session, .. } => {
                    for facts in &mut sessions.all {
                        if facts.session == *session {
                            facts.gone.get_or_insert(line.seq);
                        }
                    }
                }
                Event::ConnectionClosed { connection, by } => {
                    sessions.closed.entry(connection).or_insert((line.seq, *by));
                }
                _ => {}
            }
        }
        sessions
    }

    /// What is known of this session. Behind a pooler one serves several connections: the last.
    pub fn of(&self, session: Session) -> Option<&SessionFacts<'a>> {
        self.all.iter().rev().find(|one| one.session == session)
    }

    /// The session with this process id at this time of the server: process ids are reused, so it
    /// is the one that started last before it.
    pub fn at(&self, pid: i32, server_us: i64) -> Option<&SessionFacts<'a>> {
        let same = || self.all.iter().filter(|one| one.session.pid == pid);
        same()
            .filter(|one| one.session.started_us <= server_us)
            .max_by_key(|one| (one.session.started_us, one.started))
            .or_else(|| same().min_by_key(|one| one.session.started_us))
    }

    /// The last session that this connection got before this line.
    pub fn of_connection(&self, connection: &ConnectionName, seq: u64) -> Option<Session> {
        self.all
            .iter()
            .rev()
            .find(|one| one.connection == connection && one.started <= seq)
            .map(|one| one.session)
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
