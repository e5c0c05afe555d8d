//! What is read and kept at most of a client, and of a server, that has no end.

use bytes::BytesMut;
use lockproof::internals::wire::{CloseCause, ConnectionEvent};
use postgres_protocol::IsNull;
use postgres_protocol::message::frontend;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::passing::message;
use super::raw::{self, LIMIT, Raw};
use super::{Place, V3_0, proxy};

const MIB: usize = 1 << 20;

/// A Bind with a parameter of this length.
fn bind(length: usize) -> BytesMut {
    let mut bytes = BytesMut::new();
    let write = |byte: u8, out: &mut BytesMut| {
        out.resize(out.len() + length, byte);
        Ok(IsNull::No)
    };
    assert!(frontend::bind("", "", [], [b'x'], write, [], &mut bytes).is_ok());
    bytes
}

/// A client at a proxy whose server is played by the test, and that server's end of it.
async fn scripted(
    sent: &[u8],
) -> (
    Place,
    lockproof::internals::wire::Proxy,
    TcpStream,
    TcpStream,
) {
    let mut place = Place::new(true).await;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (scripted, heard) = proxy("127.0.0.1", port, true).await;
    place.heard = heard;
    let mut client = TcpStream::connect(("127.0.0.1", scripted.port()))
        .await
        .unwrap();
    let mut all = raw::startup(V3_0, "u", "d");
    all.extend_from_slice(sent);
    client.write_all(&all).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    (place, scripted, client, server)
}

async fn all_of(client: &mut TcpStream) -> String {
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(LIMIT, client.read_to_end(&mut rest))
        .await
        .expect("the end in time");
    String::from_utf8_lossy(&rest).into_owned()
}

async fn a_password_longer_than_postgres_takes_is_refused_at_its_length() {
    let (place, _proxy, mut client, server) = scripted(b"p\0\x0a\0\0").await;
    // The server goes when it hears of the client's end.
    let reading = tokio::spawn(async move {
        let mut server = server;
        let mut rest = Vec::new();
        server.read_to_end(&mut rest).await
    });
    let text = all_of(&mut client).await;
    assert!(text.contains("FATAL") && text.contains("08P01"), "{text}");
    tokio::time::timeout(LIMIT, reading)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    place.close().await;
}

async fn a_server_that_is_none_is_left_at_its_first_message() {
    let (mut place, _proxy, mut client, mut server) = scripted(b"").await;
    server.write_all(b"R\x20\0\0\0").await.unwrap();
    let cause = place
        .event(|event| match event {
            ConnectionEvent::ServerClosed(cause) => Some(cause.clone()),
            _ => None,
        })
        .await;
    assert!(matches!(cause, CloseCause::Protocol(_)), "{cause:?}");
    all_of(&mut client).await;
    place.close().await;
}

async fn a_server_that_sends_errors_for_ever_is_told_of_a_hundred_times() {
    let (mut place, _proxy, mut client, mut server) = scripted(b"").await;
    let mut errors = BytesMut::new();
    errors.extend_from_slice(&message(b'R', &0_i32.to_be_bytes()));
    errors.extend_from_slice(&message(b'Z', b"I"));
    for _ in 0..500 {
        errors.extend_from_slice(&message(b'E', b"SERROR\0C22012\0Mno\0\0"));
    }
    server.write_all(&errors).await.unwrap();
    server.shutdown().await.unwrap();
    all_of(&mut client).await;
    let mut told = 0;
    place
        .event(|event| {
            told += usize::from(matches!(event, ConnectionEvent::ErrorOutsideStep(_)));
            matches!(event, ConnectionEvent::ServerClosed(_)).then_some(())
        })
        .await;
    assert_eq!(told, 100);
    place.close().await;
}

async fn a_client_that_sends_on_and_on_without_a_sync_is_refused() {
    let mut place = Place::new(false).await;
    let mut client = place.login(V3_0).await;
    let pid = client.pid();
    let one = bind(MIB);
    for _ in 0..66 {
        client.send(&one).await;
    }
    let answer = client.until_ready().await;
    assert_eq!(
        Raw::sqlstate(&answer).as_deref(),
        Some("54000"),
        "{answer:?}"
    );
    let cause = place
        .event(|event| match event {
            ConnectionEvent::ClientClosed(cause) => Some(cause.clone()),
            _ => None,
        })
        .await;
    assert!(matches!(cause, CloseCause::Protocol(_)), "{cause:?}");
    place.gone(pid).await;
    place.close().await;
}

async fn a_single_message_may_be_longer_than_all_that_is_kept_without_an_end() {
    let place = Place::new(true).await;
    let mut client = place.login(V3_0).await;
    let mut sent = BytesMut::new();
    frontend::parse("", "select length($1::text)", [], &mut sent).unwrap();
    sent.extend_from_slice(&bind(70 * MIB));
    frontend::execute("", 0, &mut sent).unwrap();
    frontend::sync(&mut sent);
    client.send(&sent).await;
    let answer = client.until_ready().await;
    let row = answer.iter().find(|message| message.tag == b'D').unwrap();
    assert_eq!(row.body[6..], *(70 * MIB).to_string().as_bytes());
    place.close().await;
}

crate::harness::tests![
    a_password_longer_than_postgres_takes_is_refused_at_its_length,
    a_server_that_is_none_is_left_at_its_first_message,
    a_server_that_sends_errors_for_ever_is_told_of_a_hundred_times,
    a_client_that_sends_on_and_on_without_a_sync_is_refused,
    a_single_message_may_be_longer_than_all_that_is_kept_without_an_end,
];
