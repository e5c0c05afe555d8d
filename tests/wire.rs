//! The proxy itself, between real sockets: every byte as it came, every end as it was meant.

// Test code: a failed unwrap is a failed test, in helper functions too.
#![allow(clippy::unwrap_used)]

#[path = "clients/raw.rs"]
mod raw;
#[path = "support/mod.rs"]
mod support;

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::{BufMut, BytesMut};
use lockproof::history::PodName;
use lockproof::server::{Database, Server};
use lockproof::wire::{CloseCause, ConnectionEvent, Handover, Proxy, Upstream, WireEvent};
use proptest::prelude::*;
use raw::{LIMIT, Raw};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

async fn proxy(host: &str, port: u16, open: bool) -> (Proxy, UnboundedReceiver<WireEvent>) {
    let (events, heard) = unbounded_channel();
    let upstream = Upstream {
        host: host.to_owned(),
        port,
    };
    let activity = Arc::new(AtomicU64::new(0));
    let proxy = Proxy::start(&PodName::of_index(0), upstream, open, events, activity).await;
    (proxy.unwrap(), heard)
}

/// A database of a real server with a proxy before it.
struct Place {
    server: Server,
    database: Database,
    proxy: Proxy,
    heard: UnboundedReceiver<WireEvent>,
}

impl Place {
    async fn new(open: bool) -> Self {
        let server = support::server().await;
        let database = server.create_database("wire", None).await.unwrap();
        let address = server.address().clone();
        let (proxy, heard) = proxy(&address.host, address.port, open).await;
        Self {
            server,
            database,
            proxy,
            heard,
        }
    }

    async fn login(&self, version: i32) -> Raw {
        let address = self.server.address();
        Raw::login(address, self.proxy.port(), &self.database.name, version).await
    }

    async fn login_directly(&self, version: i32) -> Raw {
        let address = self.server.address();
        Raw::login(address, address.port, &self.database.name, version).await
    }

    /// The next event that this picks.
    async fn event<T>(&mut self, mut pick: impl FnMut(&ConnectionEvent) -> Option<T>) -> T {
        let mut seen = Vec::new();
        loop {
            match tokio::time::timeout(LIMIT, self.heard.recv()).await {
                Ok(Some(event)) => match pick(&event.event) {
                    Some(found) => return found,
                    None => seen.push(event),
                },
                _ => panic!("waited for an event, got {seen:#?}"),
            }
        }
    }

    /// Waits until a backend is gone.
    async fn gone(&self, pid: i32) {
        let client = self.server.connect(&self.database.name).await.unwrap();
        let begun = Instant::now();
        loop {
            let rows = client
                .query(
                    "select state, query from pg_stat_activity where pid = $1",
                    &[&pid],
                )
                .await
                .unwrap();
            if rows.is_empty() {
                return;
            }
            assert!(begun.elapsed() < LIMIT, "backend {pid} stays: {rows:?}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    async fn close(self) {
        drop(self.proxy);
        self.server.drop_database(self.database).await.unwrap();
        self.server.release().await.unwrap();
    }
}

const V3_0: i32 = 0x0003_0000;
const V3_2: i32 = 0x0003_0002;

fn message(tag: u8, body: &[u8]) -> BytesMut {
    let mut bytes = BytesMut::new();
    bytes.put_u8(tag);
    bytes.put_u32(u32::try_from(body.len() + 4).unwrap());
    bytes.extend_from_slice(body);
    bytes
}

/// What a scripted client sends and a scripted server answers, cut into pieces of these sizes.
async fn exchange(requests: &[(u8, Vec<u8>)], answers: &[(u8, Vec<u8>)], cut: usize) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (proxy, _heard) = proxy("127.0.0.1", port, true).await;
    let start = raw::startup(V3_0, "u", "d");
    let mut sent = start.clone();
    for (tag, body) in requests {
        sent.extend_from_slice(&message(*tag, body));
    }
    sent.extend_from_slice(&message(b'X', b""));
    let length = sent.len();
    let answers: Vec<BytesMut> = answers
        .iter()
        .map(|(tag, body)| message(*tag, body))
        .collect();
    let mut answered = message(b'R', &0_i32.to_be_bytes());
    answered.extend_from_slice(&message(b'Z', b"I"));
    let first = answered.clone();
    let complete = message(b'C', b"SELECT 1\0");
    let mut one = BytesMut::new();
    for answer in &answers {
        one.extend_from_slice(answer);
    }
    one.extend_from_slice(&message(b'Z', b"T"));
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let mut got = BytesMut::new();
        let mut at = start.len();
        let mut greeted = false;
        let mut executions = 0;
        while got.len() < length {
            if stream.read_buf(&mut got).await.unwrap() == 0 {
                break;
            }
            if !greeted && got.len() >= at {
                greeted = true;
                stream.write_all(&first).await.unwrap();
            }
            while got.len() >= at + 5 {
                let size = u32::from_be_bytes(got[at + 1..at + 5].try_into().unwrap());
                let next = at + 1 + usize::try_from(size).unwrap();
                if got.len() < next {
                    break;
                }
                // As a server does: it answers executions at Flush, and all at Sync.
                executions += usize::from(got[at] == b'E');
                let answer = match got[at] {
                    b'Q' | b'S' | b'F' => one.to_vec(),
                    b'H' => complete.repeat(executions),
                    _ => Vec::new(),
                };
                if !answer.is_empty() {
                    executions = 0;
                }
                for piece in answer.chunks(cut) {
                    stream.write_all(piece).await.unwrap();
                }
                answered.extend_from_slice(&answer);
                at = next;
            }
        }
        (got, answered)
    });
    let client = TcpStream::connect(("127.0.0.1", proxy.port()))
        .await
        .unwrap();
    client.set_nodelay(true).unwrap();
    let (mut read, mut write) = client.into_split();
    let sending = sent.clone();
    let writing = tokio::spawn(async move {
        for piece in sending.chunks(cut) {
            write.write_all(piece).await.unwrap();
        }
        write
    });
    let mut heard = BytesMut::new();
    while read.read_buf(&mut heard).await.unwrap() > 0 {}
    writing.await.unwrap();
    let (got, answered) = serving.await.unwrap();
    assert_eq!(got.len(), sent.len());
    assert!(got == sent, "the server got other bytes than were sent");
    assert_eq!(heard.len(), answered.len());
    assert!(
        heard == answered,
        "the client got other bytes than were sent"
    );
}

fn any_request() -> impl Strategy<Value = (u8, Vec<u8>)> {
    let tag = prop::sample::select(vec![
        b'Q', b'P', b'B', b'D', b'E', b'S', b'C', b'F', b'H', b'd', b'c', b'f',
    ]);
    (tag, prop::collection::vec(any::<u8>(), 0..200))
}

fn any_answer() -> impl Strategy<Value = (u8, Vec<u8>)> {
    let tag = prop::sample::select(vec![
        b'C', b'D', b'T', b'1', b'2', b'3', b'n', b's', b'I', b'N', b'E', b'A', b'S', b't', b'd',
        b'c', b'H', b'V', b'?',
    ]);
    (tag, prop::collection::vec(any::<u8>(), 0..200))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, max_shrink_iters: 0, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_said_arrives_byte_for_byte_on_both_sides(
        mut requests in prop::collection::vec(any_request(), 0..40),
        answers in prop::collection::vec(any_answer(), 0..8),
        cut in 1_usize..300,
    ) {
        // The last word asks for an answer, so that nothing is left that nobody waits for.
        requests.push((b'S', Vec::new()));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let result = runtime.block_on(async {
            tokio::time::timeout(LIMIT, exchange(&requests, &answers, cut)).await
        });
        prop_assert!(result.is_ok(), "it stood still");
    }
}

#[tokio::test]
async fn messages_and_bursts_longer_than_any_buffer_arrive_byte_for_byte() {
    let long = (b'Q', vec![b'x'; 20 << 20]);
    let burst: Vec<(u8, Vec<u8>)> = (0..100_000)
        .map(|number: u32| (b'B', number.to_be_bytes().repeat(40)))
        .chain([(b'S', Vec::new())])
        .collect();
    let rows = vec![(b'D', vec![b'y'; 9 << 20]), (b'C', b"SELECT 1\0".to_vec())];
    let begun = Instant::now();
    exchange(&[long], &rows, 1 << 20).await;
    exchange(&burst, &rows, 64 << 10).await;
    assert!(begun.elapsed() < LIMIT, "it took {:?}", begun.elapsed());
}

type Recorded = Arc<Mutex<Vec<[Arc<Mutex<Vec<u8>>>; 2]>>>;

/// A listener that passes everything on and keeps both directions of each connection.
async fn tap(host: String, port: u16) -> (u16, Recorded) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let own = listener.local_addr().unwrap().port();
    let recorded: Recorded = Arc::default();
    let keeping = Arc::clone(&recorded);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let kept: [Arc<Mutex<Vec<u8>>>; 2] = [Arc::default(), Arc::default()];
            keeping.lock().unwrap().push(kept.clone());
            let Ok(server) = TcpStream::connect((host.as_str(), port)).await else {
                return;
            };
            let (client_read, client_write) = client.into_split();
            let (server_read, server_write) = server.into_split();
            let [up, down] = kept;
            for (mut from, mut to, kept) in [
                (client_read, server_write, up),
                (server_read, client_write, down),
            ] {
                tokio::spawn(async move {
                    let mut bytes = vec![0; 64 << 10];
                    while let Ok(size @ 1..) = from.read(&mut bytes).await {
                        kept.lock().unwrap().extend_from_slice(&bytes[..size]);
                        if to.write_all(&bytes[..size]).await.is_err() {
                            break;
                        }
                    }
                    let _ = to.shutdown().await;
                });
            }
        }
    });
    (own, recorded)
}

fn sorted(recorded: &Recorded) -> Vec<[Vec<u8>; 2]> {
    let mut all: Vec<[Vec<u8>; 2]> = recorded
        .lock()
        .unwrap()
        .iter()
        .map(|[up, down]| [up.lock().unwrap().clone(), down.lock().unwrap().clone()])
        .collect();
    all.sort();
    all
}

async fn byte_exact(argv: &[&str], env: &[(&str, &str)]) {
    let server = support::server().await;
    let database = server.create_database("wire", None).await.unwrap();
    let address = server.address().clone();
    let (behind, at_server) = tap(address.host.clone(), address.port).await;
    let (proxy, mut heard) = proxy("127.0.0.1", behind, true).await;
    let draining = tokio::spawn(async move { while heard.recv().await.is_some() {} });
    let (before, at_client) = tap("127.0.0.1".to_owned(), proxy.port()).await;
    let output = tokio::process::Command::new(argv[0])
        .args(&argv[1..])
        .envs(env.iter().copied())
        .env(
            "DATABASE_URL",
            address.url(&database.name, "127.0.0.1", before),
        )
        .env("PGHOST", "127.0.0.1")
        .env("PGPORT", before.to_string())
        .env("PGDATABASE", &database.name)
        .env("PGUSER", &address.user)
        .env("PGPASSWORD", address.password.expose())
        .env("PGSSLMODE", "disable")
        .env("PGGSSENCMODE", "disable")
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(Duration::from_secs(60), output)
        .await
        .expect("the program ends")
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    // The last bytes are on their way when the program is gone.
    let begun = Instant::now();
    loop {
        let (client, server) = (sorted(&at_client), sorted(&at_server));
        if client == server {
            let sizes: Vec<[usize; 2]> = client
                .iter()
                .map(|[up, down]| [up.len(), down.len()])
                .collect();
            assert!(!sizes.is_empty());
            eprintln!("bytes up and down, a connection each: {sizes:?}");
            break;
        }
        if begun.elapsed() > Duration::from_secs(5) {
            let sizes = |all: &[[Vec<u8>; 2]]| -> Vec<[usize; 2]> {
                all.iter()
                    .map(|[up, down]| [up.len(), down.len()])
                    .collect()
            };
            panic!("sent {:?}, arrived {:?}", sizes(&client), sizes(&server));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(proxy);
    draining.await.unwrap();
    server.drop_database(database).await.unwrap();
    server.release().await.unwrap();
}

#[tokio::test]
async fn every_byte_of_psql_arrives_as_it_was_sent() {
    if support::Client::Psql.wanted() {
        byte_exact(&["sh", &support::file("clients/psql.sh")], &[]).await;
    }
}

#[tokio::test]
async fn every_byte_of_psycopg_arrives_as_it_was_sent() {
    if support::Client::Psycopg.wanted() {
        byte_exact(
            &[support::PYTHON, &support::file("clients/with_psycopg.py")],
            &[],
        )
        .await;
    }
}

#[tokio::test]
async fn every_byte_of_node_postgres_arrives_as_it_was_sent() {
    if support::Client::NodePg.wanted() {
        let env = [("NODE_PATH", support::NODE_PATH)];
        byte_exact(&["node", &support::file("clients/node-pg.cjs")], &env).await;
    }
}

#[tokio::test]
async fn protocol_3_2_is_negotiated_with_the_server_and_cancels_with_its_key() {
    let mut place = Place::new(true).await;
    eprintln!("server {}", place.server.facts().version);
    let direct = place.login_directly(V3_2).await;
    let mut client = place.login(V3_2).await;
    let tags = |raw: &Raw| -> Vec<u8> { raw.start.iter().map(|message| message.tag).collect() };
    assert_eq!(tags(&client), tags(&direct), "the same start-up messages");
    let negotiated = client.start.iter().find(|message| message.tag == b'v');
    let expected = direct.start.iter().find(|message| message.tag == b'v');
    assert_eq!(negotiated, expected);
    let key = client.key();
    if place.server.major() >= 18 {
        assert_eq!(negotiated, None, "18 speaks 3.2");
        assert_eq!(key.len(), 4 + 32);
    } else {
        assert!(negotiated.is_some(), "an older server negotiates 3.0");
        assert_eq!(key.len(), 4 + 4);
    }
    client.send(&raw::query("select pg_sleep(30)")).await;
    place
        .event(|event| matches!(event, ConnectionEvent::Released { .. }).then_some(()))
        .await;
    let mut cancel = BytesMut::new();
    cancel.put_u32(u32::try_from(key.len() + 8).unwrap());
    cancel.put_i32(80_877_102);
    cancel.extend_from_slice(&key);
    let begun = Instant::now();
    // A cancel that comes before the statement has begun is without effect, so again.
    let answer = loop {
        let mut stream = TcpStream::connect(("127.0.0.1", place.proxy.port()))
            .await
            .unwrap();
        stream.write_all(&cancel).await.unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        assert!(rest.is_empty(), "a cancel has no answer");
        let answer = tokio::time::timeout(Duration::from_millis(200), client.until_ready()).await;
        if let Ok(answer) = answer {
            break answer;
        }
        assert!(begun.elapsed() < LIMIT, "never cancelled");
    };
    assert_eq!(Raw::sqlstate(&answer).as_deref(), Some("57014"));
    let pid = client.pid();
    let target = place
        .event(|event| match event {
            ConnectionEvent::CancelRequested { pid } => Some(*pid),
            _ => None,
        })
        .await;
    assert_eq!(target, pid);
    place.close().await;
}

async fn closed_by(place: &mut Place) -> CloseCause {
    place
        .event(|event| match event {
            ConnectionEvent::ClientClosed(cause) => Some(cause.clone()),
            _ => None,
        })
        .await
}

#[tokio::test]
async fn each_way_of_a_client_to_close_ends_its_session_and_is_told_apart() {
    let mut place = Place::new(true).await;
    let mut client = place.login(V3_0).await;
    let pid = client.pid();
    client.send(b"X\0\0\0\x04").await;
    drop(client);
    assert_eq!(closed_by(&mut place).await, CloseCause::Terminate);
    place.gone(pid).await;

    let mut client = place.login(V3_0).await;
    let pid = client.pid();
    client.stream.shutdown().await.unwrap();
    assert_eq!(closed_by(&mut place).await, CloseCause::EndOfStream);
    place.gone(pid).await;
    assert_eq!(client.next().await, None, "the client sees the end as well");

    let client = place.login(V3_0).await;
    let pid = client.pid();
    socket2::SockRef::from(&client.stream)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(client);
    assert!(matches!(closed_by(&mut place).await, CloseCause::Error(_)));
    place.gone(pid).await;
    place.close().await;
}

#[tokio::test]
async fn a_half_closed_client_still_gets_its_answer() {
    let place = Place::new(true).await;
    let mut client = place.login(V3_0).await;
    client.send(&raw::query("select pg_sleep(0.05)")).await;
    client.stream.shutdown().await.unwrap();
    let through = client.until_ready().await;
    assert_eq!(through.last().map(|message| message.tag), Some(b'Z'));
    place.gone(client.pid()).await;
    place.close().await;
}

#[tokio::test]
async fn the_end_of_a_session_by_the_server_reaches_the_client_with_its_reason() {
    let mut place = Place::new(true).await;
    let admin = place.server.connect(&place.database.name).await.unwrap();
    // Idle, and in the middle of a statement.
    for busy in [false, true] {
        let mut client = place.login(V3_0).await;
        if busy {
            client.send(&raw::query("select pg_sleep(30)")).await;
            place
                .event(|event| matches!(event, ConnectionEvent::Released { .. }).then_some(()))
                .await;
        }
        admin
            .execute("select pg_terminate_backend($1)", &[&client.pid()])
            .await
            .unwrap();
        let rest = client.until_ready().await;
        assert_eq!(Raw::sqlstate(&rest).as_deref(), Some("57P01"), "{rest:?}");
        assert_eq!(client.next().await, None);
        let cause = place
            .event(|event| match event {
                ConnectionEvent::ServerClosed(cause) => Some(cause.clone()),
                _ => None,
            })
            .await;
        // Linux makes a reset of it if the server leaves something unread.
        assert!(matches!(
            cause,
            CloseCause::EndOfStream | CloseCause::Error(_)
        ));
    }
    place.close().await;
}

#[tokio::test]
async fn a_request_sent_before_the_session_is_ready_is_held_like_any_other() {
    let mut place = Place::new(false).await;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (scripted, mut heard) = proxy("127.0.0.1", port, false).await;
    let mut sent = raw::startup(V3_0, "u", "d");
    let start = sent.len();
    sent.extend_from_slice(&raw::query("truncate t"));
    let mut client = TcpStream::connect(("127.0.0.1", scripted.port()))
        .await
        .unwrap();
    client.write_all(&sent).await.unwrap();
    let (mut server, _) = listener.accept().await.unwrap();
    let mut got = vec![0; start];
    server.read_exact(&mut got).await.unwrap();
    assert_eq!(got, sent[..start]);
    server
        .write_all(&message(b'R', &0_i32.to_be_bytes()))
        .await
        .unwrap();
    server.write_all(&message(b'Z', b"I")).await.unwrap();
    std::mem::swap(&mut place.heard, &mut heard);
    let sql = place
        .event(|event| match event {
            ConnectionEvent::Held { text, .. } => Some(text.statements[0].sql.clone()),
            _ => None,
        })
        .await;
    assert_eq!(sql, "truncate t");
    let id = lockproof::history::ConnectionName {
        pod: PodName::of_index(0),
        index: 0,
    };
    scripted.release(&id, Handover::Forward).unwrap();
    let mut got = vec![0; sent.len() - start];
    server.read_exact(&mut got).await.unwrap();
    assert_eq!(got, sent[start..]);
    place.close().await;
}

#[tokio::test]
async fn what_breaks_the_protocol_is_refused_with_a_sentence() {
    let place = Place::new(true).await;
    // TLS without asking first: closed without an answer that it could not read.
    let mut stream = TcpStream::connect(("127.0.0.1", place.proxy.port()))
        .await
        .unwrap();
    stream.write_all(&[0x16, 3, 1, 0, 200, 1, 0]).await.unwrap();
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(LIMIT, stream.read_to_end(&mut rest))
        .await
        .unwrap();
    // A length that no start-up message has.
    let mut stream = TcpStream::connect(("127.0.0.1", place.proxy.port()))
        .await
        .unwrap();
    stream.write_all(&[0x7f; 8]).await.unwrap();
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(LIMIT, stream.read_to_end(&mut rest))
        .await
        .unwrap();
    let text = String::from_utf8_lossy(&rest).into_owned();
    assert!(
        text.contains("08P01") && text.contains("no Postgres message"),
        "{text}"
    );
    // A length that no message has, in the middle of a session: the session ends.
    let mut client = place.login(V3_0).await;
    client.send(b"Q\xff\xff\xff\xff").await;
    let rest = client.until_ready().await;
    assert_eq!(Raw::sqlstate(&rest).as_deref(), Some("08P01"));
    place.gone(client.pid()).await;
    assert_eq!(client.next().await, None);
    place.close().await;
}
