//! What happens on a pooler's connections to the server, taken in step by step: which connection a
//! backend serves from when on, and which backend a fault is done to.
//!
//! Owns the meaning of each report of the tap. The books are `pooled`'s.

use std::time::Duration;

use super::{Backend, Name, PoolClient, port_in};
use crate::conductor::Outcome;
use crate::conductor::{Aim, World};
use crate::history::{Event, PoolMode};
use crate::name::{ConnectionName, Session, StepId};
use crate::run::error::RunError;
use crate::run::real::Run;
use crate::schedule::SessionChoice;
use crate::wire::ServerSide;

impl Run<'_> {
    /// Something happened on a connection of the pooler's to the server.
    pub(in crate::run) async fn server_side(
        &mut self,
        name: ConnectionName,
        what: ServerSide,
        at: Duration,
    ) -> Result<(), RunError> {
        match what {
            ServerSide::Started { pid, server } => {
                self.backend_started(name, pid, server).await?;
            }
            ServerSide::Named {
                name: label,
                by_pooler,
            } => self.backend_named(&name, label, by_pooler, at),
            ServerSide::Reported { name: report } => self.name_reported(&name, report),
            ServerSide::Serves => {
                if let Some(connection) = self.whose_request(&name) {
                    self.place(&name, connection, at);
                }
                if let Some(backend) = self.backend(&name)
                    && let Some(reported) = backend.reported.take()
                {
                    backend.name = reported;
                }
            }
            ServerSide::Ready { status } => self.backend_ready(&name, status),
            ServerSide::ServerClosed | ServerSide::Finished => {
                if let Some(backend) = self.backend(&name) {
                    backend.server_closed = true;
                    backend.finished = what == ServerSide::Finished;
                    self.look_due = true;
                }
            }
        }
        Ok(())
    }

    fn backend(&mut self, name: &ConnectionName) -> Option<&mut Backend> {
        self.world.pooled.as_mut()?.backends.get_mut(name)
    }

    async fn backend_started(
        &mut self,
        name: ConnectionName,
        pid: i32,
        server: usize,
    ) -> Result<(), RunError> {
        if !self.world.can_look() {
            // The server was paused meanwhile and does not tell whose it is: no step is placed on it.
            return Ok(());
        }
        let seen = self.world.watchers.activity(&[pid]).await?;
        if let (Some(activity), Some(pooled)) = (seen.get(&pid), &mut self.world.pooled) {
            let backend = Backend {
                session: activity.session,
                server,
                name: String::new(),
                reported: None,
                serving: None,
                linked: false,
                served: Vec::new(),
                server_closed: false,
                finished: false,
            };
            pooled.backends.insert(name, backend);
        }
        Ok(())
    }

    /// A backend has another name: the pooler's mark for its next client, the name that its next client
    /// has given itself, or one that its client gives itself now.
    fn backend_named(
        &mut self,
        name: &ConnectionName,
        label: String,
        by_pooler: bool,
        at: Duration,
    ) {
        if port_in(&label).is_none() {
            // A client may use the very words that the pooler uses.
            let others = self.candidates(|client| client.name.may_be(&label));
            let client = self.whose_request(name);
            let own = match (&client, by_pooler) {
                (None, _) => None,
                (_, true) if !others.is_empty() => Some(Name::Unsure),
                _ => Some(Name::Own(label.clone())),
            };
            if let (Some(connection), Some(own)) = (client, own) {
                if own != Name::Unsure {
                    self.place(name, connection.clone(), at);
                }
                let clients = self.world.pooled.as_mut().map(|pooled| &mut pooled.clients);
                if let Some(client) = clients.and_then(|clients| clients.get_mut(&connection)) {
                    client.name = own;
                }
            }
        }
        if let Some(backend) = self.backend(name) {
            backend.name = label;
            backend.reported = None;
        }
    }

    /// The pooler calls a client from now on as the server has reported it: without its mark, if the
    /// name was too long.
    fn name_reported(&mut self, name: &ConnectionName, report: String) {
        let Some(pooled) = &mut self.world.pooled else {
            return;
        };
        let label = pooled.backends.get(name).map(|backend| &backend.name);
        let port = label.and_then(|label| port_in(label));
        if port_in(&report).is_none()
            && let Some(port) = port
        {
            let client = pooled.clients.values_mut().rfind(|one| one.port == port);
            if let Some(client) = client {
                client.name = Name::Own(report.clone());
            }
            if let Some(backend) = pooled.backends.get_mut(name) {
                backend.reported = Some(report);
            }
        }
    }

    /// The connections of this kind that have a step under way for which no backend is known yet.
    fn candidates(&self, is: impl Fn(&PoolClient) -> bool) -> Vec<ConnectionName> {
        let clients = self.world.pooled.iter().flat_map(|pooled| &pooled.clients);
        clients
            .filter(|(_, client)| is(client))
            .filter(|(name, client)| {
                let running = self.running_on(name);
                running.is_some() && running != client.placed
            })
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// Whether more than one connection may have this name.
    fn share_name(&self, label: &str) -> bool {
        let clients = self
            .world
            .pooled
            .iter()
            .flat_map(|pooled| pooled.clients.values());
        clients.filter(|client| client.name.may_be(label)).count() > 1
    }

    fn running_on(&self, connection: &ConnectionName) -> Option<StepId> {
        self.members
            .get(&connection.pod)?
            .links
            .get(&connection.index)?
            .running
    }

    /// The connection whose request a backend has just got, if that can be told. What the pooler asks
    /// by itself (a reset) is nobody's.
    fn whose_request(&self, name: &ConnectionName) -> Option<ConnectionName> {
        let backend = self.world.pooled.as_ref()?.backends.get(name)?;
        if backend.linked
            && let Some(serving) = &backend.serving
            && self.running_on(serving).is_some()
        {
            return Some(serving.clone());
        }
        let candidates = match port_in(&backend.name) {
            Some(port) => self.candidates(|client| client.port == port),
            // In real time a backend's request can be heard of before the step that it belongs to: of
            // several clients of this name it may be anybody's.
            None if !self.orders.controlled && self.share_name(&backend.name) => return None,
            None => self.candidates(|client| client.name.may_be(&backend.name)),
        };
        match candidates.as_slice() {
            [one] => Some(one.clone()),
            _ => None,
        }
    }

    /// Writes down that a backend serves a connection's step.
    fn place(&mut self, name: &ConnectionName, connection: ConnectionName, at: Duration) {
        let running = self.running_on(&connection);
        let before = self
            .backend(name)
            .and_then(|backend| backend.serving.clone());
        if before.as_ref() != Some(&connection) {
            self.unlink(name);
        }
        let wall = self.world.wall(at);
        let Some(backend) = self.backend(name) else {
            return;
        };
        let (session, server) = (backend.session, backend.server);
        if backend.serving.as_ref() != Some(&connection) || backend.served.is_empty() {
            backend.served.push((wall, connection.clone()));
        }
        backend.serving = Some(connection.clone());
        backend.linked = true;
        if let Some(link) = self.link(&connection) {
            link.session = Some(session);
            link.pid = Some(session.pid);
            link.server = server;
        }
        let clients = self.world.pooled.as_mut().map(|pooled| &mut pooled.clients);
        if let Some(client) = clients.and_then(|clients| clients.get_mut(&connection)) {
            client.placed = running;
            if client.told.replace(session) != Some(session) {
                self.note(Event::SessionStarted {
                    connection,
                    session,
                    server: u8::try_from(server).unwrap_or(u8::MAX),
                });
            }
        }
    }

    /// A backend is ready for its next request. Between transactions, or statements, it is nobody's;
    /// one whose client has left in between is kept in mind until the pooler has dealt with it.
    fn backend_ready(&mut self, name: &ConnectionName, status: u8) {
        let stays = self
            .world
            .pooled
            .as_ref()
            .is_none_or(|pooled| pooled.settings().mode == PoolMode::Session);
        let serving = match self.backend(name) {
            Some(backend) if backend.linked && status == b'I' && !stays => backend.serving.clone(),
            _ => None,
        };
        let Some(connection) = serving else { return };
        let lives = self
            .link(&connection)
            .is_some_and(|link| !link.client_closed && !link.server_closed && !link.severed);
        if lives {
            self.unlink(name);
        }
    }

    /// A backend serves its connection no more.
    fn unlink(&mut self, name: &ConnectionName) {
        let Some(backend) = self.backend(name) else {
            return;
        };
        backend.linked = false;
        let pid = backend.session.pid;
        if let Some(connection) = backend.serving.clone()
            && let Some(link) = self.link(&connection)
            && link.pid == Some(pid)
        {
            link.session = None;
            link.pid = None;
        }
    }

    /// The pooler has taken the backend of this connection back.
    pub(in crate::run) fn taken_back(&mut self, connection: &ConnectionName, session: Session) {
        let backends = self.world.pooled.iter().flat_map(|pooled| &pooled.backends);
        let name = backends
            .filter(|(_, backend)| backend.session == session)
            .filter(|(_, backend)| backend.serving.as_ref() == Some(connection))
            .map(|(name, _)| name.clone())
            .next();
        if let Some(name) = name {
            self.unlink(&name);
        }
    }

    /// The backend that a fault of a session is done to: the one that holds the lock, or serves the
    /// connection, or else served it last and nobody since.
    pub(in crate::run) fn pooled_target(&mut self, aim: &Aim<'_>) -> Option<(ConnectionName, i32)> {
        let name = aim.connection.clone()?;
        let link = self.members.get(&name.pod)?.links.get(&name.index)?;
        let pooled = self.world.pooled.as_ref()?;
        let holder = match aim.fault.session {
            SessionChoice::HoldingLock => self.holder(&name.pod).map(|(_, pid)| pid),
            _ => None,
        };
        let pid = match (holder, link.pid, link.running) {
            (Some(pid), ..) | (None, Some(pid), _) => pid,
            // It waits inside the pooler.
            (None, None, Some(_)) => return None,
            (None, None, None) => pooled.last_of(&name)?.pid,
        };
        let session = pooled.session(pid);
        if let Some(pooled) = &mut self.world.pooled {
            pooled.aimed = session;
        }
        Some((name, pid))
    }

    /// Notes a fault that ends all sessions of a server for those that serve nobody at the moment: the
    /// connections that they served last do not hear of it.
    pub(in crate::run) fn note_backends_hit(
        &mut self,
        aim: &Aim<'_>,
        server: usize,
        evidence: &str,
    ) {
        let pooled = self.world.pooled.iter();
        let resting: Vec<(Session, ConnectionName)> = pooled
            .flat_map(|pooled| pooled.backends.values())
            .filter(|backend| backend.server == server && !backend.linked)
            .filter_map(|backend| Some((backend.session, backend.serving.clone()?)))
            .collect();
        for (session, connection) in resting {
            if let Some(pooled) = &mut self.world.pooled {
                pooled.aimed = Some(session);
            }
            let outcome = Outcome::fired(format!(
                "{session}, which the pooler kept, ended with the server: {evidence}"
            ));
            self.note_fault(&aim.at(connection), outcome);
        }
    }
}
