//! The proxy of one pod: a listener of its own, so that identity is certain.
//!
//! Owns the port, the names of connections, and the way to tell a connection something.

use std::collections::HashMap;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::admission::Admission;
use super::connection::{self, Setup};
use super::gate::{Command, ConnectionId, Handover, WireEvent};
use super::link::Socket;
use super::need::{Need, NeedCell};
use super::route::{Route, Upstream};
use super::shape::{Shape, Shaping};
use super::startups::Startups;
use super::tls::Authority;
use crate::name::{ConnectionName, PodName};

/// The proxy could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// No port to listen on.
    #[error("no port to listen on for pod {pod}: {source}")]
    Listen {
        /// The pod.
        pod: PodName,
        /// What the system said.
        source: std::io::Error,
    },
    /// A command for a connection that has ended.
    #[error("connection {0} has ended")]
    Ended(ConnectionName),
}

/// The way to a connection's task and back.
#[derive(Debug)]
struct Wires {
    commands: mpsc::UnboundedSender<Command>,
    need: NeedCell,
}

type Connections = Arc<Mutex<HashMap<ConnectionId, Wires>>>;

/// How a pod may come in besides plainly by TCP.
#[derive(Debug, Clone, Default)]
pub struct Doors {
    /// Who vouches for the proxy where a client asks for TLS; `None`: it is declined.
    pub tls: Option<Authority>,
    /// The path of a Unix socket to listen on, too.
    pub socket: Option<PathBuf>,
}

/// The way in for one pod.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    connections: Connections,
    listener: JoinHandle<()>,
    route: watch::Sender<Route>,
    shaping: Shaping,
    doors: mpsc::UnboundedSender<TcpListener>,
}

impl Proxy {
    /// Listens on a free port of 127.0.0.1 and by the other doors. With `open`, steps pass as they come; else each is
    /// held until it is released. `activity` counts everything that comes from the pod or goes
    /// to it.
    ///
    /// # Errors
    /// When there is no port to listen on.
    pub async fn start(
        pod: &PodName,
        doors: Doors,
        upstream: Upstream,
        admission: Admission,
        open: bool,
        events: mpsc::UnboundedSender<WireEvent>,
        activity: Arc<AtomicU64>,
    ) -> Result<Self, WireError> {
        let failed = |source| WireError::Listen {
            pod: pod.clone(),
            source,
        };
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        let Doors { tls, socket } = doors;
        let beside = socket.as_deref().map(listen).transpose().map_err(failed)?;
        let connections: Connections = Arc::default();
        let known = Arc::clone(&connections);
        let pod = pod.clone();
        let (route, way) = watch::channel(Route {
            current: Some(upstream.clone()),
            known: vec![upstream],
        });
        let shaping = Shaping::default();
        let shapes = shaping.clone();
        let (doors, mut more) = mpsc::unbounded_channel();
        let accepting = tokio::spawn(async move {
            let mut index = 0;
            let startups = Startups::default();
            // Dropping the set with the listener ends every connection of the pod.
            let mut tasks = tokio::task::JoinSet::new();
            let mut listeners = vec![listener];
            loop {
                let arrived = tokio::select! {
                    Some(listener) = more.recv() => {
                        listeners.push(listener);
                        continue;
                    }
                    arrived = arrival(&listeners, beside.as_ref()) => arrived,
                };
                let Ok(client) = arrived else {
                    // Out of file descriptors or an aborted handshake: neither is for ever.
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    continue;
                };
                activity.fetch_add(1, Ordering::Relaxed);
                let id = ConnectionName {
                    pod: pod.clone(),
                    index,
                };
                index += 1;
                let (sender, receiver) = mpsc::unbounded_channel();
                let need = NeedCell::default();
                if let Ok(mut known) = known.lock() {
                    let wires = Wires {
                        commands: sender,
                        need: need.clone(),
                    };
                    known.insert(id.clone(), wires);
                }
                tasks.spawn(connection::run(Setup {
                    // In real time nothing waits for anything.
                    place: (!open).then(|| startups.enter(id.index)),
                    id,
                    client,
                    tls: tls.clone(),
                    route: way.clone(),
                    shaping: shapes.clone(),
                    open,
                    events: events.clone(),
                    commands: receiver,
                    activity: Arc::clone(&activity),
                    need,
                    admission: admission.clone(),
                }));
            }
        });
        Ok(Self {
            port,
            connections,
            listener: accepting,
            route,
            shaping,
            doors,
        })
    }

    /// Listens here, too: the other end may be in another network.
    ///
    /// # Errors
    /// When the system does not let it.
    pub fn listen_too(&self, listener: std::net::TcpListener) -> io::Result<()> {
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        // With the accepting task gone there is nobody to listen for.
        let _ = self.doors.send(listener);
        Ok(())
    }

    /// Sends new connections to this server from now on or, without, lets them wait. Those that
    /// are there stay where they are.
    pub fn route(&self, upstream: Option<Upstream>) {
        self.route.send_modify(|route| route.lead_to(upstream));
    }

    /// Changes how bytes pass between the pod and the proxy: on one connection or, without, on
    /// all, those to come included.
    pub fn shape(&self, id: Option<&ConnectionId>, change: impl Fn(&mut Shape)) {
        self.shaping.change(id.map(|id| id.index), change);
    }

    /// How bytes pass on this connection.
    #[must_use]
    pub fn shape_of(&self, id: &ConnectionId) -> Shape {
        self.shaping.of(id.index)
    }

    /// The port that the pod is told to connect to.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Lets the connection's held step go.
    ///
    /// # Errors
    /// When the connection has ended.
    pub fn release(&self, id: &ConnectionId, handover: Handover) -> Result<(), WireError> {
        self.tell(id, Command::Release(handover))
    }

    /// Lets the answer to the step under way pass to the pod as it comes, if it was to be dropped
    /// or replaced.
    ///
    /// # Errors
    /// When the connection has ended.
    pub fn pass_answer(&self, id: &ConnectionId) -> Result<(), WireError> {
        self.tell(id, Command::PassAnswer)
    }

    /// Resets the connection (RST) towards pod and server.
    ///
    /// # Errors
    /// When the connection has ended.
    pub fn reset(&self, id: &ConnectionId) -> Result<(), WireError> {
        self.tell(id, Command::Reset)
    }

    /// Closes the connection (FIN) towards pod and server.
    ///
    /// # Errors
    /// When the connection has ended.
    pub fn close(&self, id: &ConnectionId) -> Result<(), WireError> {
        self.tell(id, Command::Close)
    }

    /// Sends the pod this message and closes the connection on both sides.
    ///
    /// # Errors
    /// When the connection has ended.
    pub fn close_after(&self, id: &ConnectionId, message: Bytes) -> Result<(), WireError> {
        self.tell(id, Command::CloseAfter(message))
    }

    /// Forgets what the connection holds: the server never sees it.
    ///
    /// # Errors
    /// When the connection has ended.
    pub fn drop_held(&self, id: &ConnectionId) -> Result<(), WireError> {
        self.tell(id, Command::DropHeld)
    }

    /// What the connection's step needs of the pod at this moment, as far as the wire shows.
    #[must_use]
    pub fn need(&self, id: &ConnectionId) -> Need {
        let connections = self
            .connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        connections
            .get(id)
            .map(|wires| wires.need.get())
            .unwrap_or_default()
    }

    fn tell(&self, id: &ConnectionId, command: Command) -> Result<(), WireError> {
        let ended = || WireError::Ended(id.clone());
        let connections = self.connections.lock().map_err(|_| ended())?;
        let wires = connections.get(id).ok_or_else(ended)?;
        wires.commands.send(command).map_err(|_| ended())
    }
}

/// Listens on a Unix socket that everybody may connect to who may enter its directory, as the server's.
fn listen(path: &Path) -> io::Result<UnixListener> {
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777))?;
    Ok(listener)
}

/// The next that comes in by any door.
async fn arrival(listeners: &[TcpListener], beside: Option<&UnixListener>) -> io::Result<Socket> {
    let by_socket = async {
        match beside {
            Some(listener) => listener.accept().await,
            None => std::future::pending().await,
        }
    };
    let by_tcp = futures_util::future::select_all(
        listeners.iter().map(|listener| Box::pin(listener.accept())),
    );
    tokio::select! {
        (accepted, ..) = by_tcp => accepted.map(|(stream, _)| Socket::Tcp(stream)),
        accepted = by_socket => accepted.map(|(stream, _)| Socket::Unix(stream)),
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listener.abort();
    }
}
