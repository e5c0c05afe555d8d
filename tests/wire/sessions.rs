//! Sessions: their protocol, their ends, and what breaks the rules.

use std::time::{Duration, Instant};

use bytes::{BufMut, BytesMut};
use lockproof::internals::wire::{CloseCause, ConnectionEvent, Handover};
use lockproof_core::name::PodName;
use postgres_protocol::message::frontend;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::passing::message;
use super::raw::{self, LIMIT, Raw};
use super::{Place, V3_0, V3_2, proxy};

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

/// Parse, Bind and Execute, without the Sync behind them.
fn unfinished(sql: &str) -> BytesMut {
    let mut bytes = BytesMut::new();
    frontend::parse("", sql, [], &mut bytes).unwrap();
    let bound = frontend::bind(
        "",
        "",
        [],
        [0_u8; 0],
        |_, _| Ok(postgres_protocol::IsNull::Yes),
        [],
        &mut bytes,
    );
    assert!(bound.is_ok());
    frontend::execute("", 0, &mut bytes).unwrap();
    bytes
}

async fn a_client_that_leaves_without_its_sync_ends_its_session() {
    for open in [true, false] {
        let mut place = Place::new(open).await;
        // Half closed, closed with FIN, reset.
        for way in 0..3 {
            let mut client = place.login(V3_0).await;
            let pid = client.pid();
            client.send(&unfinished("select 1")).await;
            if way == 2 {
                socket2::SockRef::from(&client.stream)
                    .set_linger(Some(Duration::ZERO))
                    .unwrap();
            }
            let mut half_closed = None;
            if way == 0 {
                client.stream.shutdown().await.unwrap();
                half_closed = Some(client);
            } else {
                drop(client);
            }
            let cause = closed_by(&mut place).await;
            assert_eq!(matches!(cause, CloseCause::Error(_)), way == 2, "{cause:?}");
            place
                .event(|event| matches!(event, ConnectionEvent::Finished).then_some(()))
                .await;
            place.gone(pid).await;
            if let Some(mut client) = half_closed {
                assert_eq!(client.next().await, None, "the client sees the end as well");
            }
        }
        place.close().await;
    }
}

async fn what_a_client_left_unfinished_behind_a_step_does_not_keep_the_session() {
    let mut place = Place::new(false).await;
    let mut client = place.login(V3_0).await;
    let pid = client.pid();
    let mut bytes = unfinished("select 1");
    frontend::sync(&mut bytes);
    bytes.extend_from_slice(&unfinished("select 2"));
    client.send(&bytes).await;
    place
        .event(|event| matches!(event, ConnectionEvent::Held { .. }).then_some(()))
        .await;
    drop(client);
    closed_by(&mut place).await;
    let id = lockproof_core::name::ConnectionName {
        pod: PodName::of_index(0),
        index: 0,
    };
    place.proxy.release(&id, Handover::DropAnswer).unwrap();
    place
        .event(|event| matches!(event, ConnectionEvent::Ended { .. }).then_some(()))
        .await;
    place
        .event(|event| matches!(event, ConnectionEvent::Finished).then_some(()))
        .await;
    place.gone(pid).await;
    place.close().await;
}

async fn a_client_that_leaves_inside_its_pipeline_ends_its_session() {
    let mut place = Place::new(false).await;
    let mut client = place.login(V3_0).await;
    let pid = client.pid();
    let mut bytes = unfinished("select 1");
    bytes.extend_from_slice(&unfinished("select 2"));
    frontend::flush(&mut bytes);
    bytes.extend_from_slice(&unfinished("select 3"));
    client.send(&bytes).await;
    let id = lockproof_core::name::ConnectionName {
        pod: PodName::of_index(0),
        index: 0,
    };
    for (sql, leaves) in [("select 1", false), ("select 2", true)] {
        let held = place
            .event(|event| match event {
                ConnectionEvent::Held { text, .. } => Some(text.statements[0].sql.clone()),
                _ => None,
            })
            .await;
        assert_eq!(held, sql);
        place.proxy.release(&id, Handover::Forward).unwrap();
        // Its transaction stays open: only a Sync would end it.
        let status = place
            .event(|event| match event {
                ConnectionEvent::Ended { answer, .. } => Some(answer.status),
                _ => None,
            })
            .await;
        assert_eq!(status, b'T');
        if leaves {
            break;
        }
    }
    drop(client);
    closed_by(&mut place).await;
    place
        .event(|event| matches!(event, ConnectionEvent::Finished).then_some(()))
        .await;
    place.gone(pid).await;
    place.close().await;
}

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
    let id = lockproof_core::name::ConnectionName {
        pod: PodName::of_index(0),
        index: 0,
    };
    scripted.release(&id, Handover::Forward).unwrap();
    let mut got = vec![0; sent.len() - start];
    server.read_exact(&mut got).await.unwrap();
    assert_eq!(got, sent[start..]);
    place.close().await;
}

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

crate::harness::tests![
    protocol_3_2_is_negotiated_with_the_server_and_cancels_with_its_key,
    each_way_of_a_client_to_close_ends_its_session_and_is_told_apart,
    a_client_that_leaves_without_its_sync_ends_its_session,
    what_a_client_left_unfinished_behind_a_step_does_not_keep_the_session,
    a_client_that_leaves_inside_its_pipeline_ends_its_session,
    a_half_closed_client_still_gets_its_answer,
    the_end_of_a_session_by_the_server_reaches_the_client_with_its_reason,
    a_request_sent_before_the_session_is_ready_is_held_like_any_other,
    what_breaks_the_protocol_is_refused_with_a_sentence,
];
