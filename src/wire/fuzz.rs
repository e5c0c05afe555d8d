//! Fuzz targets: messages out of bytes, and what stands in them.

use bytes::{Bytes, BytesMut};
use postgres_protocol::message::frontend;

use super::decode;
use super::frame::{Message, take_early_message, take_greeting, take_message, take_startup};
use crate::edits::{Drawn, edited};

/// Streams of a client and of a server.
fn streams() -> Vec<Vec<u8>> {
    let mut client = BytesMut::new();
    frontend::query("select 1; insert into t values (1)", &mut client).unwrap();
    frontend::parse("s", "select $1::int, $2", [23, 25], &mut client).unwrap();
    let bound = frontend::bind(
        "p",
        "s",
        [1_i16],
        [Some(7_i32), None],
        |value, out| match value {
            Some(value) => {
                out.extend_from_slice(&value.to_be_bytes());
                Ok(postgres_protocol::IsNull::No)
            }
            None => Ok(postgres_protocol::IsNull::Yes),
        },
        [0_i16],
        &mut client,
    );
    assert!(bound.is_ok());
    frontend::describe(b'S', "s", &mut client).unwrap();
    frontend::execute("p", 0, &mut client).unwrap();
    frontend::close(b'S', "s", &mut client).unwrap();
    frontend::flush(&mut client);
    frontend::sync(&mut client);
    frontend::terminate(&mut client);

    let mut server = BytesMut::new();
    server.extend_from_slice(&decode::error_response("ERROR", "23503", "no such invoice"));
    // RowDescription of one column, DataRow, CommandComplete, ParameterStatus.
    server.extend_from_slice(
        b"T\0\0\0\x1c\0\x01one\0\0\0\0\0\0\0\0\0\0\x17\0\x04\xff\xff\xff\xff\0\0",
    );
    server.extend_from_slice(b"D\0\0\0\x0b\0\x01\0\0\0\x011");
    server.extend_from_slice(b"C\0\0\0\x0dSELECT 1\0");
    server.extend_from_slice(b"S\0\0\0\x0aTimeZone\0UTC\0");
    server.extend_from_slice(&decode::ready_for_query(b'I'));

    let mut startup = BytesMut::new();
    let parameters = [("user", "u"), ("database", "d")];
    frontend::startup_message(parameters, &mut startup).unwrap();
    frontend::ssl_request(&mut startup);
    frontend::cancel_request(7, 8, &mut startup);
    vec![client.to_vec(), server.to_vec(), startup.to_vec()]
}

/// All messages that a stream has, given in pieces of this size, and whether it broke the protocol.
fn messages(stream: &[u8], piece: usize) -> (Vec<Message>, bool) {
    let (mut buffer, mut found) = (BytesMut::new(), Vec::new());
    for bytes in stream.chunks(piece) {
        buffer.extend_from_slice(bytes);
        loop {
            match take_message(&mut buffer) {
                Ok(Some(message)) => found.push(message),
                Ok(None) => break,
                Err(_) => return (found, true),
            }
        }
    }
    (found, false)
}

/// Everything that reads the inside of a message.
fn read_inside(body: &Bytes) {
    decode::query(body.clone());
    decode::parse(body.clone());
    decode::bind(body.clone());
    decode::execute(body.clone());
    decode::close(body.clone());
    decode::error(body.clone());
    decode::parameter_status(body.clone());
    decode::row_description(body.clone());
    decode::data_row(body.clone(), 3, 64);
    decode::command_complete(body.clone());
}

#[test]
fn framing_and_decoding_take_any_bytes() {
    let seeds = streams();
    bolero::check!().with_type::<Drawn>().for_each(|drawn| {
        let stream = edited(&seeds, drawn);
        let whole = messages(&stream, usize::MAX);
        // How the network cuts a stream changes nothing.
        assert_eq!(whole, messages(&stream, 1));
        assert_eq!(whole, messages(&stream, 7));
        for message in &whole.0 {
            assert!(message.raw.len() >= 5);
            read_inside(&message.body());
        }
        // What was taken is what came.
        let taken: Vec<u8> = whole.0.iter().flat_map(|one| one.raw.to_vec()).collect();
        assert!(stream.starts_with(&taken));
        read_inside(&Bytes::copy_from_slice(&stream));
        for take in [take_early_message, take_greeting] {
            let mut buffer = BytesMut::from(stream.as_slice());
            while let Ok(Some(_)) = take(&mut buffer) {}
        }
        let mut buffer = BytesMut::from(stream.as_slice());
        while let Ok(Some(_)) = take_startup(&mut buffer) {}
    });
}
