//! A client of the protocol without a driver, to send what no driver would.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use lockproof::internals::server::Address;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::frontend;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long a test waits for anything. It tells standing still from being slow: beside other work on two cores,
/// 70 MiB through a debug build take more than 20 s.
pub const LIMIT: Duration = Duration::from_secs(90);

/// A message of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub tag: u8,
    pub body: Bytes,
}

/// A connection, and all messages of its start-up.
pub struct Raw {
    pub stream: TcpStream,
    buffer: BytesMut,
    pub start: Vec<Message>,
}

/// The start-up message for this version of the protocol.
pub fn startup(version: i32, user: &str, database: &str) -> BytesMut {
    let mut body = BytesMut::new();
    body.extend_from_slice(&version.to_be_bytes());
    for word in [
        "user",
        user,
        "database",
        database,
        "application_name",
        "raw",
        "",
    ] {
        body.extend_from_slice(word.as_bytes());
        body.extend_from_slice(&[0]);
    }
    let mut message = BytesMut::new();
    message.extend_from_slice(&u32::try_from(body.len() + 4).unwrap().to_be_bytes());
    message.extend_from_slice(&body);
    message
}

pub fn query(sql: &str) -> BytesMut {
    let mut bytes = BytesMut::new();
    frontend::query(sql, &mut bytes).unwrap();
    bytes
}

impl Raw {
    /// Logs in at this port, with SCRAM or whatever the server asks for.
    pub async fn login(address: &Address, port: u16, database: &str, version: i32) -> Self {
        let stream = TcpStream::connect((address.host.as_str(), port))
            .await
            .unwrap();
        let mut raw = Self {
            stream,
            buffer: BytesMut::new(),
            start: Vec::new(),
        };
        raw.send(&startup(version, &address.user, database)).await;
        let mut scram: Option<ScramSha256> = None;
        loop {
            let message = raw.next().await.expect("the server closed in the start-up");
            assert_ne!(message.tag, b'E', "{message:?}");
            raw.start.push(message.clone());
            if message.tag == b'Z' {
                return raw;
            }
            if message.tag != b'R' {
                continue;
            }
            let mut out = BytesMut::new();
            match message.body[3] {
                3 => frontend::password_message(address.password.expose().as_bytes(), &mut out)
                    .unwrap(),
                10 => {
                    let password = address.password.expose().as_bytes();
                    let begun = ScramSha256::new(password, ChannelBinding::unsupported());
                    frontend::sasl_initial_response(SCRAM_SHA_256, begun.message(), &mut out)
                        .unwrap();
                    scram = Some(begun);
                }
                11 => {
                    let scram = scram.as_mut().unwrap();
                    scram.update(&message.body[4..]).unwrap();
                    frontend::sasl_response(scram.message(), &mut out).unwrap();
                }
                12 => scram.as_mut().unwrap().finish(&message.body[4..]).unwrap(),
                0 => {}
                other => panic!("authentication {other}"),
            }
            raw.send(&out).await;
        }
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// The next message; `None` when the server has closed.
    pub async fn next(&mut self) -> Option<Message> {
        loop {
            if self.buffer.len() >= 5 {
                let length = u32::from_be_bytes(self.buffer[1..5].try_into().unwrap());
                let total = usize::try_from(length).unwrap() + 1;
                if self.buffer.len() >= total {
                    let whole = self.buffer.split_to(total).freeze();
                    return Some(Message {
                        tag: whole[0],
                        body: whole.slice(5..),
                    });
                }
            }
            let read = tokio::time::timeout(LIMIT, self.stream.read_buf(&mut self.buffer));
            match read.await.expect("an answer in time") {
                Ok(1..) => {}
                _ => return None,
            }
        }
    }

    /// The messages up to ReadyForQuery.
    pub async fn until_ready(&mut self) -> Vec<Message> {
        let mut all = Vec::new();
        while let Some(message) = self.next().await {
            let ready = message.tag == b'Z';
            all.push(message);
            if ready {
                break;
            }
        }
        all
    }

    /// The body of BackendKeyData: process id and key.
    pub fn key(&self) -> Bytes {
        self.start
            .iter()
            .find(|message| message.tag == b'K')
            .map(|message| message.body.clone())
            .expect("BackendKeyData")
    }

    pub fn pid(&self) -> i32 {
        i32::from_be_bytes(self.key()[..4].try_into().unwrap())
    }

    /// The SQLSTATE of an error in these messages.
    pub fn sqlstate(messages: &[Message]) -> Option<String> {
        let error = messages.iter().find(|message| message.tag == b'E')?;
        error
            .body
            .split(|byte| *byte == 0)
            .find(|field| field.first() == Some(&b'C'))
            .map(|field| String::from_utf8_lossy(&field[1..]).into_owned())
    }
}
