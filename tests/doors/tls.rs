//! TLS at the proxy itself, with clients of every kind.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use bytes::BytesMut;
use lockproof::internals::wire::{
    Admission, Authority, CloseCause, ConnectionEvent, Doors, Proxy, Upstream, WireEvent,
};
use lockproof_core::name::{ConnectionName, PodName};
use postgres_protocol::message::{backend, frontend};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// How long a test waits for anything.
const LIMIT: Duration = Duration::from_secs(60);

/// A proxy before a server that lets everybody in, says what it is told to say, and tells what it hears.
struct Place {
    proxy: Proxy,
    authority: Authority,
    events: UnboundedReceiver<WireEvent>,
    server: TcpListener,
}

impl Place {
    async fn new() -> Self {
        let server = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let upstream = Upstream {
            host: "127.0.0.1".to_owned(),
            port: server.local_addr().unwrap().port(),
            server: 0,
        };
        let authority = Authority::new().unwrap();
        let doors = Doors {
            tls: Some(authority.clone()),
            socket: None,
        };
        let anywhere = Admission {
            database: String::new(),
            others: true,
        };
        let (sender, events) = unbounded_channel();
        let activity = Arc::new(AtomicU64::new(0));
        let pod = PodName::of_index(0);
        let proxy = Proxy::start(&pod, doors, upstream, anywhere, true, sender, activity).await;
        Self {
            proxy: proxy.unwrap(),
            authority,
            events,
            server,
        }
    }

    fn config(&self, trusts: bool, alpn: &[&str]) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        if trusts {
            let pem = self.authority.certificate();
            let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
            roots.add(certificate).unwrap();
        }
        let mut config = ClientConfig::builder_with_provider(ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        TlsConnector::from(Arc::new(config))
    }

    async fn plain(&self) -> TcpStream {
        TcpStream::connect(("127.0.0.1", self.proxy.port()))
            .await
            .unwrap()
    }

    /// A connection on which TLS has been asked for and let.
    async fn asked(&self) -> TcpStream {
        let mut stream = self.plain().await;
        let mut request = BytesMut::new();
        frontend::ssl_request(&mut request);
        stream.write_all(&request).await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), b'S');
        stream
    }

    /// A connection on TLS that has asked for it, for this name.
    async fn secured(&self, name: &str) -> TlsStream<TcpStream> {
        let stream = self.asked().await;
        let name = ServerName::try_from(name.to_owned()).unwrap();
        self.config(true, &[]).connect(name, stream).await.unwrap()
    }

    /// The next event that this picks.
    async fn event<T>(&mut self, mut pick: impl FnMut(ConnectionEvent) -> Option<T>) -> T {
        loop {
            let event = tokio::time::timeout(LIMIT, self.events.recv()).await;
            let event = event.expect("an event in time").expect("the proxy lives");
            if let Some(found) = pick(event.event) {
                return found;
            }
        }
    }

    async fn failure(&mut self) -> String {
        self.event(|event| match event {
            ConnectionEvent::TlsFailed(why) => Some(why),
            _ => None,
        })
        .await
    }

    /// Begins a session on this connection; the server's end of it, after ReadyForQuery.
    async fn session<S>(&self, client: &mut S) -> TcpStream
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    {
        let mut start = BytesMut::new();
        frontend::startup_message([("user", "u"), ("database", "d")], &mut start).unwrap();
        client.write_all(&start).await.unwrap();
        client.flush().await.unwrap();
        let (mut server, _) = self.server.accept().await.unwrap();
        let mut seen = vec![0; start.len()];
        server.read_exact(&mut seen).await.unwrap();
        assert_eq!(seen, start, "the start-up message arrives as it was sent");
        server.write_all(WELCOME).await.unwrap();
        let mut welcome = vec![0; WELCOME.len()];
        client.read_exact(&mut welcome).await.unwrap();
        assert_eq!(welcome, WELCOME);
        server
    }
}

/// AuthenticationOk, BackendKeyData, ReadyForQuery.
const WELCOME: &[u8] = b"R\0\0\0\x08\0\0\0\0K\0\0\0\x0c\0\0\0\x07\0\0\0\x09Z\0\0\0\x05I";

async fn a_client_that_asks_gets_tls_by_whatever_name_it_knows_the_server() {
    let place = Place::new().await;
    for name in [
        "localhost",
        "127.0.0.1",
        "::1",
        "db.internal",
        "pg-0.shop.svc",
    ] {
        let mut client = place.secured(name).await;
        let version = client.get_ref().1.protocol_version().unwrap();
        assert_eq!(format!("{version:?}"), "TLSv1_3");
        place.session(&mut client).await;
    }
}

async fn a_client_that_does_not_ask_stays_plain() {
    let place = Place::new().await;
    let mut client = place.plain().await;
    place.session(&mut client).await;
}

async fn a_client_may_begin_with_tls_at_once_if_it_names_the_protocol() {
    let mut place = Place::new().await;
    let localhost = || ServerName::try_from("localhost").unwrap();
    let direct = place.config(true, &["postgresql"]);
    let mut client = direct
        .connect(localhost(), place.plain().await)
        .await
        .unwrap();
    assert_eq!(client.get_ref().1.alpn_protocol(), Some(&b"postgresql"[..]));
    place.session(&mut client).await;

    let nameless = place.config(true, &[]);
    let client = nameless.connect(localhost(), place.plain().await).await;
    let mut rest = Vec::new();
    // It is closed after the handshake.
    let _ = client.unwrap().read_to_end(&mut rest).await;
    let why = place.failure().await;
    assert!(why.contains("ALPN `postgresql`"), "{why}");

    let other = place.config(true, &["http/1.1"]);
    let refused = other.connect(localhost(), place.plain().await).await;
    assert!(refused.is_err(), "another protocol is refused");
}

async fn a_client_without_trust_is_told_of_as_such() {
    let mut place = Place::new().await;
    let stream = place.asked().await;
    let name = ServerName::try_from("localhost").unwrap();
    let refused = place.config(false, &[]).connect(name, stream).await;
    assert!(refused.is_err());
    let why = place.failure().await;
    assert!(why.contains("does not trust the certificate"), "{why}");

    // Node looks at the certificate only when the handshake is over.
    drop(place.secured("localhost").await);
    let why = place.failure().await;
    assert!(why.contains("right after the TLS handshake"), "{why}");
}

async fn a_client_that_speaks_only_tls_1_0_is_told_of_as_such() {
    let mut place = Place::new().await;
    let mut stream = place.asked().await;
    let mut hello = vec![3, 1];
    hello.extend_from_slice(&[7; 32]);
    // No session, two ciphers of its time, no compression.
    hello.extend_from_slice(&[0, 0, 4, 0, 0x2f, 0, 0x35, 1, 0]);
    let length = u8::try_from(hello.len()).unwrap();
    let mut record = vec![0x16, 3, 1, 0, length + 4, 1, 0, 0, length];
    record.extend_from_slice(&hello);
    stream.write_all(&record).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert_eq!(answer.first(), Some(&0x15), "an alert: {answer:?}");
    let why = place.failure().await;
    assert!(why.contains("1.2 or 1.3"), "{why}");
}

async fn a_client_that_leaves_when_asked_to_log_in_is_told_of_with_channel_binding() {
    let mut place = Place::new().await;
    let mut client = place.secured("localhost").await;
    let mut start = BytesMut::new();
    frontend::startup_message([("user", "u")], &mut start).unwrap();
    client.write_all(&start).await.unwrap();
    let (mut server, _) = place.server.accept().await.unwrap();
    let sasl = b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0";
    server.write_all(sasl).await.unwrap();
    let mut seen = vec![0; sasl.len()];
    client.read_exact(&mut seen).await.unwrap();
    assert_eq!(seen, sasl, "no -PLUS is offered, and nothing is added");
    drop(client);
    let why = place.failure().await;
    assert!(why.contains("channel_binding=prefer"), "{why}");
}

async fn a_cancel_request_goes_over_tls() {
    let mut place = Place::new().await;
    let mut client = place.secured("localhost").await;
    let mut cancel = BytesMut::new();
    frontend::cancel_request(77, 99, &mut cancel);
    client.write_all(&cancel).await.unwrap();
    client.flush().await.unwrap();
    let (mut server, _) = place.server.accept().await.unwrap();
    let mut seen = vec![0; cancel.len()];
    server.read_exact(&mut seen).await.unwrap();
    assert_eq!(seen, cancel);
    let pid = place
        .event(|event| match event {
            ConnectionEvent::CancelRequested { pid } => Some(pid),
            _ => None,
        })
        .await;
    assert_eq!(pid, 77);
}

async fn an_end_without_a_farewell_is_an_end_of_stream_as_without_tls() {
    let mut place = Place::new().await;
    let mut client = place.secured("localhost").await;
    let _server = place.session(&mut client).await;
    // As the kernel closes the connection of a process that was killed.
    let (stream, _) = client.into_inner();
    drop(stream);
    let cause = place
        .event(|event| match event {
            ConnectionEvent::ClientClosed(cause) => Some(cause),
            _ => None,
        })
        .await;
    assert_eq!(cause, CloseCause::EndOfStream);
}

fn first() -> ConnectionName {
    ConnectionName {
        pod: PodName::of_index(0),
        index: 0,
    }
}

async fn a_reset_reaches_a_client_on_tls_as_a_reset() {
    let place = Place::new().await;
    let mut client = place.secured("localhost").await;
    let mut server = place.session(&mut client).await;
    place.proxy.reset(&first()).unwrap();
    let mut byte = [0];
    let error = client.read(&mut byte).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    assert!(!matches!(server.read(&mut byte).await, Ok(1..)));
}

async fn a_close_reaches_a_client_on_tls_with_a_farewell() {
    let place = Place::new().await;
    let mut client = place.secured("localhost").await;
    let _server = place.session(&mut client).await;
    place.proxy.close(&first()).unwrap();
    let mut rest = Vec::new();
    // Without the farewell this would be an error (UnexpectedEof).
    assert_eq!(client.read_to_end(&mut rest).await.unwrap(), 0);
}

async fn a_link_on_tls_that_is_cut_passes_nothing_until_it_is_healed() {
    let place = Place::new().await;
    let mut client = place.secured("localhost").await;
    let mut server = place.session(&mut client).await;
    place.proxy.shape(Some(&first()), |shape| shape.cut = true);
    let mut query = BytesMut::new();
    frontend::query("select 1", &mut query).unwrap();
    client.write_all(&query).await.unwrap();
    client.flush().await.unwrap();
    server.write_all(ANSWER).await.unwrap();
    let (mut one, mut other) = ([0], [0]);
    tokio::select! {
        read = server.read(&mut one) => panic!("something passed: {read:?}"),
        read = client.read(&mut other) => panic!("something passed: {read:?}"),
        () = tokio::time::sleep(Duration::from_millis(150)) => {}
    }
    place.proxy.shape(Some(&first()), |shape| shape.cut = false);
    let mut seen = vec![0; query.len()];
    server.read_exact(&mut seen).await.unwrap();
    assert_eq!(seen, query);
    let mut seen = vec![0; ANSWER.len()];
    client.read_exact(&mut seen).await.unwrap();
    assert_eq!(seen, ANSWER);
}

/// CommandComplete and ReadyForQuery.
const ANSWER: &[u8] = b"C\0\0\0\x0dSELECT 1\0Z\0\0\0\x05I";

async fn a_long_answer_arrives_whole_at_a_client_on_tls_that_reads_late() {
    let place = Place::new().await;
    let mut client = place.secured("localhost").await;
    let mut server = place.session(&mut client).await;
    let mut query = BytesMut::new();
    frontend::query("select 1", &mut query).unwrap();
    client.write_all(&query).await.unwrap();
    client.flush().await.unwrap();
    let mut seen = vec![0; query.len()];
    server.read_exact(&mut seen).await.unwrap();
    // More than all buffers on the way hold: some of it waits inside TLS.
    const ROWS: usize = 6_000;
    let mut row = b"D\0\0\x10\x0a\0\x01\0\0\x10\0".to_vec();
    row.resize(row.len() + 4096, b'x');
    let sends = tokio::spawn(async move {
        for _ in 0..ROWS {
            server.write_all(&row).await.unwrap();
        }
        server.write_all(ANSWER).await.unwrap();
        server.shutdown().await.unwrap();
        server
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut all = Vec::new();
    let read = tokio::time::timeout(LIMIT, client.read_to_end(&mut all)).await;
    read.expect("in time").expect("with a farewell");
    sends.await.unwrap();
    let mut buffer = BytesMut::from(&all[..]);
    let mut rows = 0;
    while let Some(message) = backend::Message::parse(&mut buffer).unwrap() {
        rows += usize::from(matches!(message, backend::Message::DataRow(_)));
    }
    assert_eq!((rows, buffer.len()), (ROWS, 0));
}

crate::harness::tests![
    a_client_that_asks_gets_tls_by_whatever_name_it_knows_the_server,
    a_client_that_does_not_ask_stays_plain,
    a_client_may_begin_with_tls_at_once_if_it_names_the_protocol,
    a_client_without_trust_is_told_of_as_such,
    a_client_that_speaks_only_tls_1_0_is_told_of_as_such,
    a_client_that_leaves_when_asked_to_log_in_is_told_of_with_channel_binding,
    a_cancel_request_goes_over_tls,
    an_end_without_a_farewell_is_an_end_of_stream_as_without_tls,
    a_reset_reaches_a_client_on_tls_as_a_reset,
    a_close_reaches_a_client_on_tls_with_a_farewell,
    a_link_on_tls_that_is_cut_passes_nothing_until_it_is_healed,
    a_long_answer_arrives_whole_at_a_client_on_tls_that_reads_late,
];
