//! One proxied connection: a task that moves bytes and asks the cycle what may pass.
//!
//! Owns the two sockets, the start-up phase and how one side's end is passed on to the other.

mod pump;
mod start;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, watch};

use super::admission::Admission;
use super::cycle::{Cycle, Output};
use super::decode;
use super::frame::Message;
use super::gate::{CloseCause, Command, ConnectionEvent, ConnectionId, WireEvent};
use super::link::{ReadEnd, Socket, WriteEnd, reset};
use super::need::{Need, NeedCell};
use super::route::Route;
use super::shape::{Lane, Shape, Shaping};
use super::startups::Place;
use super::tls::Authority;
pub(super) use start::forward_cancel;

/// Reading stops while more than this waits to be written or released, as a socket's own buffer
/// would stop it.
const HIGH_WATER: usize = 4 << 20;
/// At most this many errors outside any step are told of one connection: the first ends most.
const ERRORS_OUTSIDE: usize = 100;
/// The longest wait for the server to accept a connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// What a connection task is given.
pub(super) struct Setup {
    pub id: ConnectionId,
    pub place: Option<Place>,
    pub client: Socket,
    pub tls: Option<Authority>,
    pub route: watch::Receiver<Route>,
    pub shaping: Shaping,
    pub open: bool,
    pub events: mpsc::UnboundedSender<WireEvent>,
    pub commands: mpsc::UnboundedReceiver<Command>,
    pub activity: Arc<AtomicU64>,
    pub need: NeedCell,
    pub admission: Admission,
}

/// What it means that a client leaves a TLS connection when it is asked to log in.
const LEFT_AT_LOGIN: &str = "it left its TLS connection when it was asked to log in. If it insists on channel binding \
                             (`channel_binding=require`): that ends at the proxy, so no server behind one can offer \
                             it; `channel_binding=prefer`, libpq's default, works";

/// How far a client has come with TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Secrecy {
    /// It does not speak it.
    Plain,
    /// It speaks it, and has said nothing else yet.
    Begun,
    /// It has sent its start-up message.
    Started,
    /// The server has asked it to log in, and it has not answered yet.
    AskedToLogIn,
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

struct Side<R, W> {
    read: R,
    write: W,
    input: BytesMut,
    reading: bool,
    writing: bool,
}

/// The pod's side, and the server's.
type Client = Side<ReadEnd, WriteEnd>;
type Server = Side<OwnedReadHalf, OwnedWriteHalf>;

struct Task {
    id: ConnectionId,
    /// Its place among the pod's connections that are being opened, until it is open.
    place: Option<Place>,
    events: mpsc::UnboundedSender<WireEvent>,
    activity: Arc<AtomicU64>,
    admission: Admission,
    phase: Phase,
    tls: Option<Authority>,
    /// How far the client has come with TLS.
    secrecy: Secrecy,
    pid: Option<i32>,
    goodbye_told: bool,
    /// Requests that the client sent before the server was ready for any.
    early: Vec<Message>,
    early_bytes: usize,
    /// How many errors the server has sent outside any step.
    errors_told: usize,
    cycle: Cycle,
    out: Output,
    /// Bytes that have gone to the server.
    sent: u64,
    /// Bytes that have gone to the client.
    taken: u64,
    shaping: Shaping,
    /// What is late from the client, and for it.
    from_client: Lane,
    for_client: Lane,
    /// What has just come from the client and is to go on its lane.
    arrived: BytesMut,
    /// What is for the client and no longer late.
    due: BytesMut,
    /// Which of the run's servers it leads to.
    server: usize,
}

/// Runs a connection to its end.
pub(super) async fn run(setup: Setup) {
    let Setup {
        id,
        place,
        client,
        tls,
        mut route,
        shaping,
        open,
        events,
        mut commands,
        activity,
        need,
        admission,
    } = setup;
    let mut task = Task {
        id,
        place,
        events,
        activity,
        admission,
        phase: Phase::Startup,
        tls,
        secrecy: Secrecy::Plain,
        pid: None,
        goodbye_told: false,
        early: Vec::new(),
        early_bytes: 0,
        errors_told: 0,
        cycle: Cycle::new(open),
        out: Output::default(),
        sent: 0,
        taken: 0,
        shaping,
        from_client: Lane::default(),
        for_client: Lane::default(),
        arrived: BytesMut::new(),
        due: BytesMut::new(),
        server: 0,
    };
    task.tell(ConnectionEvent::Opened);
    task.serve(client, &mut route, &mut commands, &need).await;
    need.set(Need::Nothing);
    task.tell(ConnectionEvent::Finished);
}

fn side<R, W>((read, write): (R, W)) -> Side<R, W> {
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
            if let ConnectionEvent::ErrorOutsideStep(_) = event {
                self.errors_told += 1;
                if self.errors_told > ERRORS_OUTSIDE {
                    continue;
                }
            }
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
        client: Socket,
        route: &mut watch::Receiver<Route>,
        commands: &mut mpsc::UnboundedReceiver<Command>,
        need: &NeedCell,
    ) {
        let client = side(client.split());
        let Some((mut client, start)) = self.start_up(client, route).await else {
            return;
        };
        if let Some(place) = &self.place {
            place.turn().await;
        }
        let Ok(upstream) = route
            .wait_for(|route| route.current.is_some())
            .await
            .map(|route| route.current.clone())
        else {
            return;
        };
        let Some(upstream) = upstream else { return };
        self.server = upstream.server;
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
                let message = decode::error_response("FATAL", "08001", &message);
                client.say(&message).await;
                self.tell(ConnectionEvent::ServerClosed(CloseCause::Error(why)));
                return;
            }
        };
        let _ = server.set_nodelay(true);
        if let Ok(own) = server.local_addr() {
            self.tell(ConnectionEvent::Connected { port: own.port() });
        }
        let mut server = side(server.into_split());
        self.out.to_server.extend_from_slice(&start);
        self.phase = Phase::Authenticating;
        self.pump_client(&mut client);
        self.shuttle(client, &mut server, commands, need).await;
    }

    /// Moves bytes until both sides are closed.
    async fn shuttle(
        &mut self,
        mut client: Client,
        server: &mut Server,
        commands: &mut mpsc::UnboundedReceiver<Command>,
        need: &NeedCell,
    ) {
        let mut shapes = self.shaping.watch();
        // How the client's side ended, if that is still on a slow link.
        let mut ended: Option<io::Result<usize>> = None;
        // Whether TLS may still have to pass on what was written.
        let mut unflushed = false;
        loop {
            let shape = shapes.borrow_and_update().of(self.id.index);
            self.move_lanes(&mut client, &shape);
            if self.from_client.is_empty()
                && !shape.cut
                && let Some(result) = ended.take()
            {
                client.reading = false;
                self.client_ended(&result, server);
            }
            self.tell_all();
            need.set(self.need(client.reading, &shape));
            let client_may_read = client.reading
                && ended.is_none()
                && !shape.cut
                && self.out.to_server.len() < HIGH_WATER
                && self.from_client.len() < HIGH_WATER
                && (self.cycle.pending_bytes() < HIGH_WATER || self.cycle.lacks_an_end())
                && (self.phase == Phase::Ready
                    || self.early_bytes + client.input.len() < HIGH_WATER);
            let server_may_read = server.reading && self.kept_for_client() < HIGH_WATER;
            if !client.reading && self.cycle.lacks_an_end() {
                self.cycle.drop_unfinished();
            }
            if !client.reading
                && self.out.to_server.is_empty()
                && self.cycle.pending_bytes() == 0
                && server.writing
            {
                // The pod is gone and all it said has been passed on: pass on the end as well.
                server.writing = false;
                let _ = server.write.shutdown().await;
            }
            if !server.reading && self.kept_for_client() == 0 && !unflushed && !shape.cut {
                client.write.end().await;
                if client.reading {
                    self.tell(ConnectionEvent::ClientClosed(CloseCause::Commanded));
                }
                return;
            }
            let late = self.next_due().filter(|_| !shape.cut);
            let at_once = shape.is_plain() && self.from_client.is_empty();
            let arriving = if at_once {
                &mut client.input
            } else {
                &mut self.arrived
            };
            tokio::select! {
                biased;
                command = commands.recv() => match command {
                    Some(Command::Release(handover)) => {
                        self.cycle.release(handover, &mut self.out);
                    }
                    Some(Command::PassAnswer) => self.cycle.pass_answer(),
                    Some(Command::DropHeld) => self.cycle.drop_held(),
                    Some(Command::Reset) => {
                        self.tell(ConnectionEvent::ClientClosed(CloseCause::Commanded));
                        reset(client.read, client.write);
                        let _ = socket2::SockRef::from(server.read.as_ref())
                            .set_linger(Some(Duration::ZERO));
                        return;
                    }
                    Some(Command::Close) => {
                        self.tell(ConnectionEvent::ClientClosed(CloseCause::Commanded));
                        client.write.end().await;
                        let _ = server.write.shutdown().await;
                        return;
                    }
                    Some(Command::CloseAfter(message)) => {
                        self.tell(ConnectionEvent::ClientClosed(CloseCause::Commanded));
                        client.say(&message).await;
                        client.write.end().await;
                        return;
                    }
                    None => return,
                },
                changed = shapes.changed() => if changed.is_err() { return },
                () = until(late), if late.is_some() => {}
                result = client.read.read_buf(arriving), if client_may_read => {
                    self.activity.fetch_add(1, Ordering::Relaxed);
                    if !matches!(result, Ok(1..)) {
                        ended = Some(result);
                    } else if at_once {
                        self.pump_client(&mut client);
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
                result = client.write.push(&mut self.due),
                    if client.writing && !shape.cut && (unflushed || !self.due.is_empty()) =>
                {
                    // It wakes the pod, now that there was room for it.
                    self.activity.fetch_add(1, Ordering::Relaxed);
                    unflushed = matches!(result, Ok(1..)) && client.write.keeps_back();
                    match result {
                        Ok(bytes) => self.taken += bytes as u64,
                        Err(_) => client.writing = false,
                    }
                }
            }
            if !client.writing {
                self.out.to_client.clear();
                self.for_client = Lane::default();
                self.due.clear();
            }
            if !server.writing {
                self.out.to_server.clear();
            }
        }
    }

    /// Puts what has come on its lane, and takes off it what is due. Without a shape, and with
    /// nothing late, bytes take no lane.
    fn move_lanes(&mut self, client: &mut Client, shape: &Shape) {
        let now = Instant::now();
        if shape.is_plain() && self.for_client.is_empty() {
            if self.due.is_empty() {
                std::mem::swap(&mut self.due, &mut self.out.to_client);
            } else {
                self.due.extend_from_slice(&self.out.to_client.split());
            }
        } else if !self.out.to_client.is_empty() {
            let bytes = self.out.to_client.split().freeze();
            self.for_client.push(bytes, shape, now);
        }
        if !self.arrived.is_empty() {
            let bytes = self.arrived.split().freeze();
            self.from_client.push(bytes, shape, now);
        }
        if shape.cut {
            return;
        }
        while let Some(bytes) = self.for_client.pop(now, shape.is_plain()) {
            self.due.extend_from_slice(&bytes);
        }
        while let Some(bytes) = self.from_client.pop(now, shape.is_plain()) {
            client.input.extend_from_slice(&bytes);
            self.pump_client(client);
        }
    }

    /// How many bytes wait for the client, wherever.
    fn kept_for_client(&self) -> usize {
        self.out.to_client.len() + self.for_client.len() + self.due.len()
    }

    /// When the next byte that is late will be due.
    fn next_due(&self) -> Option<Instant> {
        let dues = [self.from_client.due(), self.for_client.due()];
        dues.into_iter().flatten().min()
    }

    /// What the step needs of the client. A client that says no more will not give it; its end is
    /// passed on.
    fn need(&self, client_reads: bool, shape: &Shape) -> Need {
        if !shape.cut && self.next_due().is_some() {
            Need::Late
        } else if self.kept_for_client() >= HIGH_WATER {
            Need::Reading { taken: self.taken }
        } else if !client_reads || !self.out.to_server.is_empty() {
            Need::Nothing
        } else {
            self.cycle.need(self.sent)
        }
    }

    fn client_ended(&mut self, result: &io::Result<usize>, server: &Server) {
        if self.goodbye_told {
            return;
        }
        let why = cause(result);
        if matches!(why, CloseCause::Error(_)) {
            // The pod's side was reset: the server would have seen the reset too.
            let _ = socket2::SockRef::from(server.read.as_ref()).set_linger(Some(Duration::ZERO));
        }
        if self.secrecy == Secrecy::AskedToLogIn {
            self.tell(ConnectionEvent::TlsFailed(LEFT_AT_LOGIN.to_owned()));
        }
        self.tell(ConnectionEvent::ClientClosed(why));
    }
}

impl Client {
    /// Says something at once, ahead of nothing else.
    async fn say(&mut self, message: &[u8]) {
        let _ = self.write.write_all(message).await;
        let _ = self.write.flush().await;
    }
}

/// Until this time; for ever without one.
async fn until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}
