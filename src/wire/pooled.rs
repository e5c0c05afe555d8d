//! What a pooler opens to the server: a plain way through, on which is seen which backend serves whom.
//!
//! Owns the listener that the pooler takes for the server, and the reading of the few messages that
//! tell: BackendKeyData (which backend), the pooler's own `SET application_name` and the server's
//! reports of that name (for whom), the first message of a request, ReadyForQuery. What it sees it
//! tells before it passes it on, so that it is known before the client can hear of it. It holds
//! nothing, changes nothing, and does not know which client a name stands for.

mod watched;

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};

use super::connection::forward_cancel;
use super::frame::{Startup, take_message, take_startup};
use super::gate::{ConnectionEvent, ConnectionId, ServerSide, WireEvent};
use super::proxy::WireError;
use super::route::{Route, Upstream};
use crate::name::{ConnectionName, PodName};
use watched::Watched;

/// The name under which a pooler's connections are told of: `pooler.0`, `pooler.1`, …
pub const POOLER: &str = "pooler";
/// The way from a pooler to the server.
#[derive(Debug)]
pub struct Tap {
    port: u16,
    listener: JoinHandle<()>,
    route: watch::Sender<Route>,
}

impl Tap {
    /// Listens on a free port of 127.0.0.1 for a pooler, which sends `own_check` by itself.
    ///
    /// # Errors
    /// When there is no port to listen on.
    pub async fn start(
        upstream: Upstream,
        own_check: &'static str,
        events: mpsc::UnboundedSender<WireEvent>,
    ) -> Result<Self, WireError> {
        let failed = |source| WireError::Listen {
            pod: PodName::new(POOLER),
            source,
        };
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        let (route, way) = watch::channel(Route {
            current: Some(upstream.clone()),
            known: vec![upstream],
        });
        let accepting = tokio::spawn(async move {
            let mut index = 0;
            // Dropping the set with the listener ends every connection.
            let mut tasks = JoinSet::new();
            loop {
                let Ok((pooler, _)) = listener.accept().await else {
                    // Out of file descriptors or an aborted handshake: neither is for ever.
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    continue;
                };
                let teller = Teller {
                    id: ConnectionName {
                        pod: PodName::new(POOLER),
                        index,
                    },
                    events: events.clone(),
                };
                index += 1;
                tasks.spawn(pass(pooler, way.clone(), own_check, teller));
            }
        });
        Ok(Self {
            port,
            listener: accepting,
            route,
        })
    }

    /// The port of 127.0.0.1 that is the server for the pooler.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Sends what the pooler opens to this server from now on or, without, lets it wait.
    pub fn route(&self, upstream: Option<Upstream>) {
        self.route.send_modify(|route| route.lead_to(upstream));
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

/// Says what happens on one connection.
struct Teller {
    id: ConnectionId,
    events: mpsc::UnboundedSender<WireEvent>,
}

impl Teller {
    fn tell(&self, what: ServerSide) {
        let _ = self.events.send(WireEvent {
            connection: self.id.clone(),
            at: Instant::now(),
            event: ConnectionEvent::ServerSide(what),
        });
    }
}

/// Passes everything on until both sides are closed.
async fn pass(
    pooler: TcpStream,
    mut route: watch::Receiver<Route>,
    own_check: &'static str,
    teller: Teller,
) {
    let _ = pooler.set_nodelay(true);
    let (mut from_pooler, mut to_pooler) = pooler.into_split();
    let mut input = BytesMut::with_capacity(16 * 1024);
    let start = match start_up(&mut from_pooler, &mut to_pooler, &mut input, &route).await {
        Ok(Some(start)) => start,
        _ => return,
    };
    let upstream = match route.wait_for(|route| route.current.is_some()).await {
        Ok(route) => route.current.clone(),
        Err(_) => return,
    };
    let Some(upstream) = upstream else { return };
    let Ok(server) = TcpStream::connect((upstream.host.as_str(), upstream.port)).await else {
        // The pooler sees the end, as it would of a server that refuses.
        return;
    };
    let _ = server.set_nodelay(true);
    let (from_server, mut to_server) = server.into_split();
    if to_server.write_all(&start).await.is_err() {
        return;
    }
    let state = Mutex::new(Watched::new(own_check, upstream.server));
    let inward = inward(from_pooler, to_server, input, &state, &teller);
    let outward = outward(from_server, to_pooler, &state, &teller);
    tokio::join!(inward, outward);
    teller.tell(ServerSide::Finished);
}

/// Answers the start-up phase; the start-up message, or `None` when it came to nothing.
async fn start_up(
    from: &mut OwnedReadHalf,
    to: &mut OwnedWriteHalf,
    input: &mut BytesMut,
    route: &watch::Receiver<Route>,
) -> io::Result<Option<Bytes>> {
    loop {
        match take_startup(input).map_err(io::Error::other)? {
            Some(Startup::SslRequest | Startup::GssRequest) => to.write_all(b"N").await?,
            Some(Startup::Cancel(_, raw)) => {
                let known = route.borrow().known.clone();
                for upstream in &known {
                    forward_cancel(upstream, &raw).await;
                }
                return Ok(None);
            }
            Some(Startup::Start(raw)) => return Ok(Some(raw)),
            None => {
                if from.read_buf(input).await? == 0 {
                    return Ok(None);
                }
            }
        }
    }
}

fn locked(state: &Mutex<Watched>) -> MutexGuard<'_, Watched> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From the pooler to the server, and then its end.
async fn inward(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut input: BytesMut,
    state: &Mutex<Watched>,
    teller: &Teller,
) {
    let mut out = Vec::new();
    'open: loop {
        loop {
            match take_message(&mut input) {
                Ok(Some(message)) => {
                    if let Some(what) = locked(state).asked(&message) {
                        teller.tell(what);
                    }
                    out.extend_from_slice(&message.raw);
                }
                Ok(None) => break,
                Err(_) => break 'open,
            }
        }
        if to.write_all(&out).await.is_err() {
            break;
        }
        out.clear();
        if !matches!(from.read_buf(&mut input).await, Ok(1..)) {
            break;
        }
    }
    let _ = to.shutdown().await;
    // A server that has closed is heard of by the pooler's end; a pooler that goes on is drained.
    let mut rest = [0_u8; 4096];
    while matches!(from.read(&mut rest).await, Ok(1..)) {}
}

/// From the server to the pooler, and then its end.
async fn outward(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    state: &Mutex<Watched>,
    teller: &Teller,
) {
    let mut input = BytesMut::with_capacity(16 * 1024);
    let mut out = Vec::new();
    let mut listens = true;
    'open: loop {
        if !matches!(from.read_buf(&mut input).await, Ok(1..)) {
            break;
        }
        loop {
            match take_message(&mut input) {
                Ok(Some(message)) => {
                    for what in locked(state).answered(&message) {
                        teller.tell(what);
                    }
                    out.extend_from_slice(&message.raw);
                }
                Ok(None) => break,
                Err(_) => break 'open,
            }
        }
        // A pooler that has left hears nothing; the server goes on all the same.
        listens = listens && to.write_all(&out).await.is_ok();
        out.clear();
    }
    teller.tell(ServerSide::ServerClosed);
    let _ = to.shutdown().await;
}
