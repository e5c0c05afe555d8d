//! Messages out of a stream of bytes.
//!
//! Owns the two shapes of the protocol: the start-up phase (length, no tag) and everything after
//! it (tag, length). Keeps each message as the bytes that came. Knows nothing of their meaning.

use bytes::{Buf, Bytes, BytesMut};

/// A tagged message longer than this (1 GiB and a little) is refused: Postgres itself has no
/// longer ones.
const LONGEST_MESSAGE: usize = 0x4000_0000 + 64 * 1024;
/// Postgres's own limit on the start-up packet is 10,000 bytes.
const LONGEST_STARTUP: usize = 10_000;
/// Postgres's own limit on a password or a token (PG_MAX_AUTH_TOKEN_LENGTH).
const LONGEST_PASSWORD: usize = 65_535;
/// What a server may say in one message before a session has started. libpq takes no error longer
/// than 30,000 bytes there; a notice of a login trigger may be longer.
const LONGEST_GREETING: usize = 1 << 20;

/// Bytes that break the protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A length that no message can have.
    #[error("message {tag:?} says it is {length} bytes long, which no Postgres message is")]
    Length {
        /// The message's tag; `None` in the start-up phase.
        tag: Option<char>,
        /// The length that it gives.
        length: i64,
    },
    /// A TLS handshake without asking first.
    #[error("the client began with a TLS handshake")]
    DirectTls,
}

/// One message as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The tag.
    pub tag: u8,
    /// Tag, length and body.
    pub raw: Bytes,
}

impl Message {
    /// What follows tag and length.
    pub fn body(&self) -> Bytes {
        self.raw.slice(5.min(self.raw.len())..)
    }
}

/// Takes the next tagged message off the buffer, if it is complete.
pub fn take_message(buffer: &mut BytesMut) -> Result<Option<Message>, FrameError> {
    take_within(buffer, |_| LONGEST_MESSAGE)
}

/// As `take_message`, for what a client sends before its session has started: a password is short.
pub fn take_early_message(buffer: &mut BytesMut) -> Result<Option<Message>, FrameError> {
    take_within(buffer, |tag| match tag {
        b'p' => LONGEST_PASSWORD + 5,
        _ => LONGEST_MESSAGE,
    })
}

/// As `take_message`, for what a server sends before a session has started.
pub fn take_greeting(buffer: &mut BytesMut) -> Result<Option<Message>, FrameError> {
    take_within(buffer, |_| LONGEST_GREETING)
}

fn take_within(
    buffer: &mut BytesMut,
    longest: impl Fn(u8) -> usize,
) -> Result<Option<Message>, FrameError> {
    if buffer.len() < 5 {
        return Ok(None);
    }
    let tag = buffer[0];
    let length = (&buffer[1..5]).get_i32();
    let total = usize::try_from(length).unwrap_or(0).saturating_add(1);
    if length < 4 || total > longest(tag) {
        return Err(FrameError::Length {
            tag: Some(char::from(tag)),
            length: i64::from(length),
        });
    }
    if buffer.len() < total {
        return Ok(None);
    }
    Ok(Some(Message {
        tag,
        raw: buffer.split_to(total).freeze(),
    }))
}

/// A message of the start-up phase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Startup {
    /// The client asks for TLS.
    SslRequest,
    /// The client asks for GSSAPI encryption.
    GssRequest,
    /// The client asks to cancel what a session does: its process id; the raw bytes.
    Cancel(i32, Bytes),
    /// The start-up message proper.
    Start(Bytes),
}

/// Takes the next start-up message off the buffer, if it is complete.
pub fn take_startup(buffer: &mut BytesMut) -> Result<Option<Startup>, FrameError> {
    if buffer.first() == Some(&0x16) {
        return Err(FrameError::DirectTls);
    }
    if buffer.len() < 8 {
        return Ok(None);
    }
    let length = (&buffer[0..4]).get_i32();
    let total = usize::try_from(length).unwrap_or(0);
    if !(8..=LONGEST_STARTUP).contains(&total) {
        return Err(FrameError::Length {
            tag: None,
            length: i64::from(length),
        });
    }
    if buffer.len() < total {
        return Ok(None);
    }
    let raw = buffer.split_to(total).freeze();
    let code = (&raw[4..8]).get_i32();
    Ok(Some(match code {
        80_877_103 => Startup::SslRequest,
        80_877_104 => Startup::GssRequest,
        80_877_102 if raw.len() >= 12 => Startup::Cancel((&raw[8..12]).get_i32(), raw),
        _ => Startup::Start(raw),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use postgres_protocol::message::frontend;
    use proptest::prelude::*;

    #[test]
    fn a_message_is_taken_only_when_it_is_complete() {
        let mut whole = BytesMut::new();
        frontend::query("select 1", &mut whole).unwrap();
        for cut in 0..whole.len() {
            let mut part = BytesMut::from(&whole[..cut]);
            assert_eq!(take_message(&mut part).unwrap(), None);
            assert_eq!(part.len(), cut, "an incomplete message must stay");
        }
        let message = take_message(&mut whole.clone()).unwrap().unwrap();
        assert_eq!(message.tag, b'Q');
        assert_eq!(message.raw, whole.freeze());
    }

    #[test]
    fn impossible_lengths_are_refused_before_anything_is_allocated() {
        let mut short = BytesMut::from(&b"Q\0\0\0\x03"[..]);
        assert!(take_message(&mut short).is_err());
        let mut long = BytesMut::from(&b"Q\x7f\xff\xff\xff"[..]);
        assert!(take_message(&mut long).is_err());
        let mut negative = BytesMut::from(&b"Q\xff\xff\xff\xff"[..]);
        assert!(take_message(&mut negative).is_err());
        let mut startup = BytesMut::from(&b"\x00\x01\x00\x00\0\0\0\0"[..]);
        assert!(take_startup(&mut startup).is_err());
    }

    #[test]
    fn before_a_session_passwords_and_greetings_are_short() {
        let said = |tag: u8, length: u32| {
            let mut bytes = BytesMut::from(&[tag][..]);
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes
        };
        assert_eq!(take_early_message(&mut said(b'p', 65_539)), Ok(None));
        assert!(take_early_message(&mut said(b'p', 65_540)).is_err());
        // Requests that come early are kept; the session that follows has no such limit.
        assert_eq!(take_early_message(&mut said(b'Q', 1 << 29)), Ok(None));
        assert_eq!(take_greeting(&mut said(b'R', 1_000_000)), Ok(None));
        assert!(take_greeting(&mut said(b'R', 1 << 20)).is_err());
        assert_eq!(take_message(&mut said(b'D', 1 << 29)), Ok(None));
    }

    #[test]
    fn a_direct_tls_handshake_is_recognised() {
        let mut hello = BytesMut::from(&[0x16, 3, 1, 0, 5][..]);
        assert_eq!(take_startup(&mut hello), Err(FrameError::DirectTls));
    }

    #[test]
    fn start_up_messages_are_told_apart() {
        let mut buffer = BytesMut::new();
        frontend::ssl_request(&mut buffer);
        frontend::cancel_request(77, 99, &mut buffer);
        frontend::startup_message([("user", "u")], &mut buffer).unwrap();
        assert_eq!(
            take_startup(&mut buffer).unwrap(),
            Some(Startup::SslRequest)
        );
        assert!(matches!(
            take_startup(&mut buffer).unwrap(),
            Some(Startup::Cancel(77, _))
        ));
        assert!(matches!(
            take_startup(&mut buffer).unwrap(),
            Some(Startup::Start(_))
        ));
        assert!(buffer.is_empty());
    }

    proptest! {
        #[test]
        fn however_the_stream_is_cut_the_bytes_come_out_as_they_went_in(
            queries in prop::collection::vec("[ -~]{0,40}", 1..8),
            cut in 1_usize..16,
        ) {
            let mut stream = BytesMut::new();
            for query in &queries {
                frontend::query(query, &mut stream).unwrap();
                frontend::sync(&mut stream);
            }
            let mut buffer = BytesMut::new();
            let mut out = Vec::new();
            let mut tags = Vec::new();
            for chunk in stream.chunks(cut) {
                buffer.extend_from_slice(chunk);
                while let Some(message) = take_message(&mut buffer).unwrap() {
                    tags.push(message.tag);
                    out.extend_from_slice(&message.raw);
                }
            }
            prop_assert_eq!(out, stream.to_vec());
            prop_assert_eq!(tags.len(), queries.len() * 2);
        }
    }
}
