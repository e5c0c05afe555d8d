//! A run through a pooler: which backend serves which connection, step by step.
//!
//! Owns the pooler's life in a run and the books of its server connections. Three things tell, and all
//! come over the wire before the client can hear of them (`wire::Tap`):
//!
//! * With `application_name_add_host` PgBouncer calls a client `NAME - 127.0.0.1:PORT`, PORT being that
//!   of our proxy's own socket, and sets this name on a server connection when it hands it to another
//!   client than before. So the name that a backend has says whose request it gets.
//! * A client that sets its own name (`SET application_name`) loses that mark: PgBouncer sets the name
//!   as it is from then on. Such a name leads to the one connection that has it and whose step has gone
//!   to no backend yet.
//! * A transaction, and in session pooling the whole stay of a client, has one backend.
//!
//! Where these leave a choice (two connections of one name, both with a step under way; in real time two of one
//! name at all, since a backend's request can be heard of first), nobody knows and the history says so. Tried with PgBouncer 1.18: the name is set at every change of client in all
//! modes, whatever the name in the start-up packet (the server cuts it at 63 bytes, so it is read as
//! PgBouncer sends it), and a backend's process id is in no message to the client.

mod serving;

use std::collections::{BTreeMap, HashMap};
use std::time::SystemTime;

use tokio::sync::mpsc;

use super::error::RunError;
use crate::evidence::{LogRecord, PoolerConsole};
use crate::history::{HeldLock, PoolerFacts, PoolerSettings, Request};
use crate::name::{ConnectionName, LockKey, LockMode, Session, StepId};
use crate::server::{Pooler, Server};
use crate::wire::{Tap, Upstream, WireEvent};

/// A pooler and what is known of its connections.
pub(super) struct Pooled {
    pooler: Pooler,
    tap: Tap,
    pub console: PoolerConsole,
    /// The connections that it opened to the server, by their names.
    backends: BTreeMap<ConnectionName, Backend>,
    /// Those that are gone.
    gone: Vec<Backend>,
    /// The pods' connections.
    clients: BTreeMap<ConnectionName, PoolClient>,
    /// Whose step it was after which a backend was seen to hold a lock.
    owners: HashMap<(i32, LockKey, LockMode), ConnectionName>,
    /// The session that the fault under way is done to.
    pub aimed: Option<Session>,
}

/// A server connection of the pooler.
#[derive(Debug)]
struct Backend {
    session: Session,
    /// Which of the run's servers it leads to.
    server: usize,
    /// Its `application_name`, as the pooler set it.
    name: String,
    /// What the server made of that, if another name: so the pooler knows it from its next request on, and
    /// sets no name for a client that it calls the same.
    reported: Option<String>,
    /// The connection that it serves, or served last.
    serving: Option<ConnectionName>,
    /// It serves it now.
    linked: bool,
    /// Whom it began to serve when.
    served: Vec<(SystemTime, ConnectionName)>,
    server_closed: bool,
    finished: bool,
}

/// A connection of a pod, as the pooler knows it.
#[derive(Debug)]
struct PoolClient {
    /// The port of our end.
    port: u16,
    /// The process id that the pooler has invented for it.
    invented: Option<i32>,
    name: Name,
    /// The session that was told last.
    told: Option<Session>,
    /// The step for which a backend is known.
    placed: Option<StepId>,
}

/// What the pooler calls a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Name {
    /// By a name with its port.
    Marked,
    /// As it calls itself.
    Own(String),
    /// By either; nobody knows.
    Unsure,
}

impl Name {
    /// Whether this may be it.
    fn may_be(&self, label: &str) -> bool {
        match self {
            Self::Marked => false,
            Self::Own(name) => name == label,
            Self::Unsure => true,
        }
    }
}

/// The port in a name that PgBouncer has given.
fn port_in(name: &str) -> Option<u16> {
    let (_, address) = name.rsplit_once(" - ")?;
    address.strip_prefix("127.0.0.1:")?.parse().ok()
}

impl Pooled {
    /// Starts a pooler before this server.
    pub async fn start(
        server: &Server,
        settings: PoolerSettings,
        events: mpsc::UnboundedSender<WireEvent>,
    ) -> Result<Self, RunError> {
        let address = server.address();
        let upstream = Upstream {
            host: address.host.clone(),
            port: address.port,
            server: 0,
        };
        let tap = Tap::start(upstream, Pooler::OWN_CHECK, events).await?;
        let pooler = Pooler::start(address, tap.port(), settings).await?;
        let console = PoolerConsole::new(pooler.console().await?);
        Ok(Self {
            pooler,
            tap,
            console,
            backends: BTreeMap::new(),
            gone: Vec::new(),
            clients: BTreeMap::new(),
            owners: HashMap::new(),
            aimed: None,
        })
    }

    pub fn facts(&self) -> PoolerFacts {
        self.pooler.facts().clone()
    }

    /// Where the pods' proxies lead to, instead of the server.
    pub fn upstream(&self) -> Upstream {
        Upstream {
            host: "127.0.0.1".to_owned(),
            port: self.pooler.port(),
            server: 0,
        }
    }

    /// Sends what the pooler opens to this server from now on or, without, lets it wait.
    pub fn route(&self, upstream: Option<Upstream>) {
        self.tap.route(upstream);
    }

    pub fn settings(&self) -> PoolerSettings {
        self.pooler.facts().settings
    }

    /// A connection of a pod has reached the pooler from this port.
    pub fn connected(&mut self, connection: ConnectionName, port: u16) {
        let client = PoolClient {
            port,
            invented: None,
            name: Name::Marked,
            told: None,
            placed: None,
        };
        self.clients.insert(connection, client);
    }

    /// The pooler has given a connection this process id, which is no backend's.
    pub fn keyed(&mut self, connection: &ConnectionName, pid: i32) {
        if let Some(client) = self.clients.get_mut(connection) {
            client.invented = Some(pid);
        }
    }

    /// The connection that the pooler has given this process id.
    pub fn keyed_by(&self, pid: i32) -> Option<&ConnectionName> {
        let mut clients = self.clients.iter();
        let found = clients.find(|(_, client)| client.invented == Some(pid));
        found.map(|(name, _)| name)
    }

    /// The port by which the pooler knows a connection.
    pub fn port_of(&self, connection: &ConnectionName) -> Option<u16> {
        self.clients.get(connection).map(|client| client.port)
    }

    /// A step comes on a connection that a backend serves already: in the middle of a pipeline the
    /// pooler's way to the server shows no new request.
    pub fn goes_on(&mut self, connection: &ConnectionName, step: StepId) {
        if let Some(client) = self.clients.get_mut(connection) {
            client.placed = Some(step);
        }
    }

    /// Whether a backend is known for this step of a connection.
    pub fn is_placed(&self, connection: &ConnectionName, step: StepId) -> bool {
        self.clients
            .get(connection)
            .is_some_and(|client| client.placed == Some(step))
    }

    /// The backend with this process id, of those that have ended the last.
    fn by_pid(&self, pid: i32) -> Option<&Backend> {
        self.backends
            .values()
            .chain(&self.gone)
            .filter(|backend| backend.session.pid == pid)
            .max_by_key(|backend| backend.session.started_us)
    }

    /// Whether this is a backend of the pooler that serves nobody at the moment.
    pub fn is_at_rest(&self, pid: i32) -> bool {
        self.by_pid(pid)
            .is_some_and(|backend| !backend.linked && !backend.server_closed)
    }

    /// The connection that this backend serves, or served last.
    pub fn served_by(&self, pid: i32) -> Option<&ConnectionName> {
        self.by_pid(pid)?.serving.as_ref()
    }

    /// The session of this backend.
    pub fn session(&self, pid: i32) -> Option<Session> {
        self.by_pid(pid).map(|backend| backend.session)
    }

    /// The backend that served this connection last, and nobody since.
    pub fn last_of(&self, connection: &ConnectionName) -> Option<Session> {
        let told = self.clients.get(connection)?.told?;
        let backend = self.by_pid(told.pid)?;
        let its_own = backend.serving.as_ref() == Some(connection) && !backend.linked;
        (its_own && backend.session == told && !backend.server_closed).then_some(told)
    }

    /// Keeps whose step it was after which a lock was first seen.
    pub fn note_owners(&mut self, locks: &[HeldLock]) {
        let slots: Vec<_> = locks
            .iter()
            .filter(|lock| lock.granted)
            .map(|lock| (lock.pid, lock.key, lock.mode))
            .collect();
        self.owners.retain(|slot, _| slots.contains(slot));
        for slot in slots {
            if !self.owners.contains_key(&slot)
                && let Some(owner) = self.served_by(slot.0).cloned()
            {
                self.owners.insert(slot, owner);
            }
        }
    }

    /// Whose step took this lock.
    pub fn owner_of(&self, lock: &HeldLock) -> Option<&ConnectionName> {
        self.owners.get(&(lock.pid, lock.key, lock.mode))
    }

    /// The connection that a line of the log is about: the one that its session's name leads to, else
    /// the one that its backend served at this time.
    pub fn connection_of_record(
        &self,
        record: &LogRecord,
        at: SystemTime,
    ) -> Option<ConnectionName> {
        let named = port_in(&record.application).and_then(|port| {
            // The system may have used a port again: the connection that came last before it.
            let mut users = self.clients.iter().filter(|(_, one)| one.port == port);
            let first = users.next()?;
            users.next().is_none().then(|| first.0.clone())
        });
        named.or_else(|| {
            let backend = self.by_pid(record.pid)?;
            let until = backend.served.partition_point(|(from, _)| *from <= at);
            let (_, connection) = backend.served.get(until.checked_sub(1)?)?;
            Some(connection.clone())
        })
    }

    /// The backends whose server side is closed and that are still in the books, with whom they
    /// served; with `finished`, those of which the pooler knows it.
    pub fn leaving(&self) -> Vec<(ConnectionName, Session, Option<ConnectionName>, bool)> {
        self.backends
            .iter()
            .filter(|(_, backend)| backend.server_closed)
            .map(|(name, one)| (name.clone(), one.session, one.serving.clone(), one.finished))
            .collect()
    }

    /// All backends in the books, and the server that each is on.
    pub fn sessions(&self) -> impl Iterator<Item = (Session, usize)> {
        self.backends
            .values()
            .map(|backend| (backend.session, backend.server))
    }

    /// Whether nobody knows which backend has served this step, which has its answer.
    pub fn forget_unplaced(
        &mut self,
        connection: &ConnectionName,
        step: StepId,
        request: &Request,
    ) -> bool {
        if self.is_placed(connection, step) {
            return false;
        }
        let words = ["application_name", "discard", "reset"];
        let mut sql = request.sql.iter().map(|sql| sql.to_lowercase());
        let names_itself = sql.any(|sql| words.iter().any(|word| sql.contains(word)));
        let Some(client) = self.clients.get_mut(connection) else {
            return false;
        };
        client.told = None;
        if names_itself {
            client.name = Name::Unsure;
        }
        true
    }

    /// Takes a backend that is gone off the books.
    pub fn forget(&mut self, name: &ConnectionName) {
        self.gone.extend(self.backends.remove(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_read_from_names_that_pgbouncer_gives_only() {
        for (name, port) in [
            ("psql - 127.0.0.1:4711", Some(4711)),
            ("a - b - 127.0.0.1:80", Some(80)),
            (" - 127.0.0.1:1", Some(1)),
            ("psql", None),
            ("psql - unix:7", None),
            ("psql - 127.0.0.1:70000", None),
            ("", None),
        ] {
            assert_eq!(port_in(name), port, "{name}");
        }
    }
}
