//! One proxied connection: a task that moves bytes and asks the cycle what may pass.
//!
//! Owns the two sockets, the start-up phase and how one side's end is passed on to the other.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;

use super::cycle::{Cycle, Output};
use super::decode;
use super::frame::{FrameError, Message, Startup, take_message, take_startup};
use super::gate::{CloseCause, Command, ConnectionEvent, ConnectionId, WireEvent};
use super::need::{Need, NeedCell};
use super::proxy::Upstream;
use super::startups::Place;

/// Reading stops while more than this waits to be written or released, as a socket's own buffer
/// would stop it.
const HIGH_WATER: usize = 4 << 20;
/// The longest wait for the server to accept a connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// What a connection task is given.
pub struct Setup {
    pub id: ConnectionId,
    pub place: Option<Place>,
    pub client: TcpStream,
    pub upstream: Upstream,
    pub open: bool,
    pub events: mpsc::UnboundedSender<WireEvent>,
    pub commands: mpsc::UnboundedReceiver<Command>,
    pub activity: Arc<AtomicU64>,
    pub need: NeedCell,
}

/// Which phase of its life a connection is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Before the start-up message.
    Startup,
    /// Until the first ReadyForQuery.
    Authenticating,
    /// Requests and answers.
    Ready,
}

struct Side<R> {
    read: R,
    write: OwnedWriteHalf,
    input: BytesMut,
    reading: bool,
    writing: bool,
}

struct Task {
    id: ConnectionId,
    /// Its place among the pod's connections that are being opened, until it is open.
    place: Option<Place>,
    events: mpsc::UnboundedSender<WireEvent>,
    activity: Arc<AtomicU64>,
    phase: Phase,
    asked_for_tls: bool,
    pid: Option<i32>,
    goodbye_told: bool,
    /// Requests that the client sent before the server was ready for any.
    early: Vec<Message>,
    cycle: Cycle,
    out: Output,
    /// Bytes that have gone to the server.
    sent: u64,
    /// Bytes that have gone to the client.
    taken: u64,
}

/// Runs a connection to its end.
pub async fn run(setup: Setup) {
    let Setup {
        id,
        place,
        client,
        upstream,
        open,
        events,
        mut commands,
        activity,
        need,
    } = setup;
    let mut task = Task {
        id,
        place,
        events,
        activity,
        phase: Phase::Startup,
        asked_for_tls: false,
        pid: None,
        goodbye_told: false,
        early: Vec::new(),
        cycle: Cycle::new(open),
        out: Output::default(),
        sent: 0,
        taken: 0,
    };
    task.tell(ConnectionEvent::Opened);
    let _ = client.set_nodelay(true);
    task.serve(client, &upstream, &mut commands, &need).await;
    need.set(Need::Nothing);
    task.tell(ConnectionEvent::Finished);
}

fn split(stream: TcpStream) -> Side<OwnedReadHalf> {
    let (read, write) = stream.into_split();
    Side {
        read,
        write,
        input: BytesMut::with_capacity(16 * 1024),
        reading: true,
        writing: true,
    }
}

fn cause(result: &io::Result<usize>) -> CloseCause {
    match result {
        Ok(_) => CloseCause::EndOfStream,
        Err(error) => CloseCause::Error(error.to_string()),
    }
}

fn reset(side: Side<OwnedReadHalf>) {
    if let Ok(stream) = side.read.reunite(side.write) {
        let _ = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
    }
}

impl Task {
    fn tell(&self, event: ConnectionEvent) {
        self.activity.fetch_add(1, Ordering::Relaxed);
        let _ = self.events.send(WireEvent {
            connection: self.id.clone(),
            at: Instant::now(),
            event,
        });
    }

    fn tell_all(&mut self) {
        for event in std::mem::take(&mut self.out.events) {
            self.tell(event);
        }
        // Told when it is passed on: the server may close its side before the pod does, and that
        // is no loss of the session.
        if self.cycle.terminated() && !self.goodbye_told {
            self.goodbye_told = true;
            self.tell(ConnectionEvent::ClientClosed(CloseCause::Terminate));
        }
    }

    async fn serve(
        &mut self,
        client: TcpStream,
        upstream: &Upstream,
        commands: &mut mpsc::UnboundedReceiver<Command>,
        need: &NeedCell,
    ) {
        let mut client = split(client);
        let Some(start) = self.start_up(&mut client, upstream).await else {
            return;
        };
        if let Some(place) = &self.place {
            place.turn().await;
        }
        let connected = tokio::time::timeout(
            CONNECT_LIMIT,
            TcpStream::connect((upstream.host.as_str(), upstream.port)),
        )
        .await;
        let server = match connected {
            Ok(Ok(server)) => server,
            failed => {
                let why = match failed {
                    Ok(Err(error)) => error.to_string(),
                    _ => format!("no answer within {} s", CONNECT_LIMIT.as_secs()),
                };
                let message = format!("lockproof cannot reach the server: {why}");
                let _ = client
                    .write
                    .write_all(&decode::error_response("FATAL", "08001", &message))
                    .await;
                self.tell(ConnectionEvent::ServerClosed(CloseCause::Error(why)));
                return;
            }
        };
        let _ = server.set_nodelay(true);
        let mut server = split(server);
        self.out.to_server.extend_from_slice(&start);
        self.phase = Phase::Authenticating;
        self.pump_client(&mut client);
        self.shuttle(client, &mut server, commands, need).await;
    }

    /// Answers the start-up phase; the start-up message, or `None` when it came to nothing.
    async fn start_up(
        &mut self,
        client: &mut Side<OwnedReadHalf>,
        upstream: &Upstream,
    ) -> Option<Bytes> {
        loop {
            match take_startup(&mut client.input) {
                Ok(Some(Startup::SslRequest)) => {
                    self.asked_for_tls = true;
                    client.write.write_all(b"N").await.ok()?;
                }
                Ok(Some(Startup::GssRequest)) => client.write.write_all(b"N").await.ok()?,
                Ok(Some(Startup::Cancel(pid, raw))) => {
                    self.tell(ConnectionEvent::CancelRequested { pid });
                    forward_cancel(upstream, &raw).await;
                    return None;
                }
                Ok(Some(Startup::Start(raw))) => return Some(raw),
                Ok(None) => {
                    let result = client.read.read_buf(&mut client.input).await;
                    self.activity.fetch_add(1, Ordering::Relaxed);
                    if !matches!(result, Ok(1..)) {
                        if self.asked_for_tls {
                            self.tell(ConnectionEvent::TlsDemanded);
                        }
                        self.tell(ConnectionEvent::ClientClosed(cause(&result)));
                        return None;
                    }
                }
                Err(FrameError::DirectTls) => {
                    self.tell(ConnectionEvent::TlsDemanded);
                    return None;
                }
                Err(error) => {
                    let text = error.to_string();
                    let _ = client
                        .write
                        .write_all(&decode::error_response("FATAL", "08P01", &text))
                        .await;
                    self.tell(ConnectionEvent::ClientClosed(CloseCause::Protocol(text)));
                    return None;
                }
            }
        }
    }

    /// Moves bytes until both sides are closed.
    async fn shuttle(
        &mut self,
        mut client: Side<OwnedReadHalf>,
        server: &mut Side<OwnedReadHalf>,
        commands: &mut mpsc::UnboundedReceiver<Command>,
        need: &NeedCell,
    ) {
        loop {
            self.tell_all();
            need.set(self.need(client.reading));
            let client_may_read = client.reading
                && self.out.to_server.len() < HIGH_WATER
                && (self.cycle.pending_bytes() < HIGH_WATER || self.cycle.lacks_an_end());
            let server_may_read = server.reading && self.out.to_client.len() < HIGH_WATER;
            if !client.reading
                && self.out.to_server.is_empty()
                && self.cycle.pending_bytes() == 0
                && server.writing
            {
                // The pod is gone and all it said has been passed on: pass on the end as well.
                server.writing = false;
                let _ = server.write.shutdown().await;
            }
            if !server.reading && self.out.to_client.is_empty() {
                let _ = client.write.shutdown().await;
                if client.reading {
                    self.tell(ConnectionEvent::ClientClosed(CloseCause::Commanded));
                }
                return;
            }
            tokio::select! {
                biased;
                command = commands.recv() => match command {
                    Some(Command::Release(handover)) => {
                        self.cycle.release(handover, &mut self.out);
                    }
                    Some(Command::DropHeld) => self.cycle.drop_held(),
                    Some(Command::Reset) => {
                        self.tell(ConnectionEvent::ClientClosed(CloseCause::Commanded));
                        reset(client);
                        let _ = socket2::SockRef::from(server.read.as_ref())
                            .set_linger(Some(Duration::ZERO));
                        return;
                    }
                    Some(Command::CloseAfter(message)) => {
                        self.tell(ConnectionEvent::ClientClosed(CloseCause::Commanded));
                        let _ = client.write.write_all(&message).await;
                        let _ = client.write.shutdown().await;
                        return;
                    }
                    None => return,
                },
                result = client.read.read_buf(&mut client.input), if client_may_read => {
                    self.activity.fetch_add(1, Ordering::Relaxed);
                    if matches!(result, Ok(1..)) {
                        self.pump_client(&mut client);
                    } else {
                        client.reading = false;
                        self.client_ended(&result, server);
                    }
                }
                result = server.read.read_buf(&mut server.input), if server_may_read => {
                    // What is on its way to the pod will wake it.
                    self.activity.fetch_add(1, Ordering::Relaxed);
                    if matches!(result, Ok(1..)) {
                        if let Err(error) = self.pump_server(&mut server.input) {
                            self.tell(ConnectionEvent::ServerClosed(
                                CloseCause::Protocol(error.to_string())));
                            return;
                        }
                    } else {
                        server.reading = false;
                        self.cycle.server_ended(&mut self.out);
                        self.tell(ConnectionEvent::ServerClosed(cause(&result)));
                    }
                }
                result = server.write.write_buf(&mut self.out.to_server),
                    if server.writing && !self.out.to_server.is_empty() =>
                {
                    match result {
                        Ok(bytes) => self.sent += bytes as u64,
                        Err(_) => {
                            server.writing = false;
                            self.out.to_server.clear();
                        }
                    }
                }
                result = client.write.write_buf(&mut self.out.to_client),
                    if client.writing && !self.out.to_client.is_empty() =>
                {
                    // It wakes the pod, now that there was room for it.
                    self.activity.fetch_add(1, Ordering::Relaxed);
                    match result {
                        Ok(bytes) => self.taken += bytes as u64,
                        Err(_) => {
                            client.writing = false;
                            self.out.to_client.clear();
                        }
                    }
                }
            }
            if !client.writing {
                self.out.to_client.clear();
            }
            if !server.writing {
                self.out.to_server.clear();
            }
        }
    }

    /// What the step needs of the client. A client that says no more will not give it; its end is
    /// passed on.
    fn need(&self, client_reads: bool) -> Need {
        if self.out.to_client.len() >= HIGH_WATER {
            Need::Reading { taken: self.taken }
        } else if !client_reads || !self.out.to_server.is_empty() {
            Need::Nothing
        } else {
            self.cycle.need(self.sent)
        }
    }

    fn client_ended(&mut self, result: &io::Result<usize>, server: &Side<OwnedReadHalf>) {
        if self.goodbye_told {
            return;
        }
        let why = cause(result);
        if matches!(why, CloseCause::Error(_)) {
            // The pod's side was reset: the server would have seen the reset too.
            let _ = socket2::SockRef::from(server.read.as_ref()).set_linger(Some(Duration::ZERO));
        }
        self.tell(ConnectionEvent::ClientClosed(why));
    }

    fn pump_client(&mut self, client: &mut Side<OwnedReadHalf>) {
        loop {
            match take_message(&mut client.input) {
                Ok(Some(message)) if self.phase == Phase::Ready => {
                    self.cycle.client_message(message, &mut self.out);
                }
                // The server reads them only when it has started the session; so does the gate.
                Ok(Some(message))
                    if !matches!(message.tag, b'p' | b'X') || !self.early.is_empty() =>
                {
                    self.early.push(message);
                }
                Ok(Some(message)) => self.out.to_server.extend_from_slice(&message.raw),
                Ok(None) => return,
                Err(error) => {
                    let text = error.to_string();
                    self.out
                        .to_client
                        .extend_from_slice(&decode::error_response("FATAL", "08P01", &text));
                    client.reading = false;
                    self.tell(ConnectionEvent::ClientClosed(CloseCause::Protocol(text)));
                    return;
                }
            }
        }
    }

    fn pump_server(&mut self, input: &mut BytesMut) -> Result<(), FrameError> {
        while let Some(message) = take_message(input)? {
            if self.phase == Phase::Ready {
                self.cycle.server_message(&message, &mut self.out);
                continue;
            }
            self.out.to_client.extend_from_slice(&message.raw);
            match message.tag {
                b'K' => {
                    let body = message.body();
                    self.pid = body
                        .get(..4)
                        .and_then(|bytes| bytes.try_into().ok())
                        .map(i32::from_be_bytes);
                }
                b'E' => self
                    .out
                    .events
                    .push(ConnectionEvent::ErrorOutsideStep(decode::error(
                        message.body(),
                    ))),
                b'Z' => {
                    self.phase = Phase::Ready;
                    self.place = None;
                    self.out
                        .events
                        .push(ConnectionEvent::Started { pid: self.pid });
                    for message in std::mem::take(&mut self.early) {
                        self.cycle.client_message(message, &mut self.out);
                    }
                }
                _ => {}
            }
        }
        // Events before bytes: the driver knows of an ending before the pod can react to it.
        self.tell_all();
        Ok(())
    }
}

async fn forward_cancel(upstream: &Upstream, raw: &[u8]) {
    let forward = async {
        let mut stream = TcpStream::connect((upstream.host.as_str(), upstream.port)).await?;
        stream.write_all(raw).await?;
        // The server closes when it has sent the signal.
        let mut rest = [0_u8; 16];
        while stream.read(&mut rest).await? > 0 {}
        io::Result::Ok(())
    };
    let _ = tokio::time::timeout(CONNECT_LIMIT, forward).await;
}
