//! Bytes between a scripted client and a scripted server, cut anyhow.

use std::time::Instant;

use bytes::{BufMut, BytesMut};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::raw::{self, LIMIT};
use super::{V3_0, proxy};

pub fn message(tag: u8, body: &[u8]) -> BytesMut {
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

crate::harness::tests![
    whatever_is_said_arrives_byte_for_byte_on_both_sides,
    messages_and_bursts_longer_than_any_buffer_arrive_byte_for_byte,
];
