//! The few messages whose inside matters, and the few that are made here.
//!
//! Owns the decoding of Query, Parse, Bind, Execute and Close on the way in, of errors, rows and
//! statuses on the way out, and the encoding of what the gate answers itself. Never changes what
//! passes through.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use postgres_protocol::message::frontend;

use crate::history::Digest;

/// Parameter values longer than this are kept only in part: they are for lock keys and reports.
const LONGEST_PARAMETER: usize = 256;

/// A bound parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Its bytes, cut at 256; `None` is NULL.
    pub bytes: Option<Bytes>,
    /// Binary rather than text.
    pub binary: bool,
    /// Oid of its type; 0 where the client left it to the server.
    pub type_oid: u32,
}

/// The fields of an ErrorResponse or NoticeResponse.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RawError {
    /// `V` or `S`: severity, not localised where the server gives it.
    pub severity: String,
    /// `C`: SQLSTATE.
    pub sqlstate: String,
    /// `M`: primary message.
    pub message: String,
    /// `t`: table.
    pub table: Option<String>,
    /// `n`: constraint.
    pub constraint: Option<String>,
}

/// Parse: statement name, SQL, parameter types.
pub struct Parse {
    /// Name of the prepared statement; empty: the unnamed one.
    pub name: String,
    /// Its SQL.
    pub sql: String,
    /// Types that the client fixed.
    pub types: Vec<u32>,
}

/// Bind: portal, statement, parameters.
pub struct Bind {
    /// Name of the portal.
    pub portal: String,
    /// Name of the statement.
    pub statement: String,
    /// Format and bytes of each parameter.
    pub parameters: Vec<(bool, Option<Bytes>)>,
    /// Of everything but the names, each parameter as a whole.
    pub digest: Digest,
}

fn text(body: &mut Bytes) -> Option<String> {
    let end = body.iter().position(|byte| *byte == 0)?;
    let bytes = body.split_to(end);
    body.advance(1);
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn count(body: &mut Bytes) -> Option<usize> {
    (body.remaining() >= 2).then(|| usize::from(body.get_u16()))
}

/// The SQL of a Query message.
pub fn query(mut body: Bytes) -> Option<String> {
    text(&mut body)
}

/// The inside of a Parse message.
pub fn parse(mut body: Bytes) -> Option<Parse> {
    let name = text(&mut body)?;
    let sql = text(&mut body)?;
    let mut types = Vec::new();
    for _ in 0..count(&mut body)? {
        if body.remaining() < 4 {
            return None;
        }
        types.push(body.get_u32());
    }
    Some(Parse { name, sql, types })
}

/// The inside of a Bind message, result formats left aside.
pub fn bind(mut body: Bytes) -> Option<Bind> {
    let portal = text(&mut body)?;
    let statement = text(&mut body)?;
    let digest = Digest::of(&[&body]);
    let formats = count(&mut body)?;
    let mut binary = Vec::with_capacity(formats.min(64));
    for _ in 0..formats {
        binary.push(count(&mut body)? == 1);
    }
    let mut parameters = Vec::new();
    for index in 0..count(&mut body)? {
        if body.remaining() < 4 {
            return None;
        }
        let length = body.get_i32();
        let value = match usize::try_from(length) {
            Err(_) => None,
            Ok(length) if body.remaining() < length => return None,
            Ok(length) => {
                let bytes = body.split_to(length);
                Some(bytes.slice(..length.min(LONGEST_PARAMETER)))
            }
        };
        // One format stands for all parameters, none for text.
        let format = match binary.len() {
            0 => false,
            1 => binary[0],
            _ => binary.get(index).copied().unwrap_or(false),
        };
        parameters.push((format, value));
    }
    Some(Bind {
        portal,
        statement,
        parameters,
        digest,
    })
}

/// The portal of an Execute message.
pub fn execute(mut body: Bytes) -> Option<String> {
    text(&mut body)
}

/// What a Close message closes: `S` or `P`, and its name.
pub fn close(mut body: Bytes) -> Option<(u8, String)> {
    if body.is_empty() {
        return None;
    }
    let kind = body.get_u8();
    Some((kind, text(&mut body)?))
}

/// The fields of an ErrorResponse or NoticeResponse.
pub fn error(mut body: Bytes) -> RawError {
    let mut fields = RawError::default();
    while body.remaining() > 1 {
        let field = body.get_u8();
        let Some(value) = text(&mut body) else { break };
        match field {
            b'V' => fields.severity = value,
            b'S' if fields.severity.is_empty() => fields.severity = value,
            b'C' => fields.sqlstate = value,
            b'M' => fields.message = value,
            b't' => fields.table = Some(value),
            b'n' => fields.constraint = Some(value),
            _ => {}
        }
    }
    fields
}

/// Name and value of a ParameterStatus.
pub fn parameter_status(mut body: Bytes) -> Option<(String, String)> {
    Some((text(&mut body)?, text(&mut body)?))
}

/// The type oids of a RowDescription's columns.
pub fn row_description(mut body: Bytes) -> Option<Vec<u32>> {
    let mut types = Vec::new();
    for _ in 0..count(&mut body)? {
        text(&mut body)?;
        if body.remaining() < 18 {
            return None;
        }
        body.advance(6);
        types.push(body.get_u32());
        body.advance(8);
    }
    Some(types)
}

/// The first columns of a DataRow, values longer than `longest` left out.
pub fn data_row(mut body: Bytes, columns: usize, longest: usize) -> Option<Vec<Option<Bytes>>> {
    let all = count(&mut body)?;
    let mut row = Vec::with_capacity(all.min(columns));
    for _ in 0..all.min(columns) {
        if body.remaining() < 4 {
            return None;
        }
        let length = body.get_i32();
        match usize::try_from(length) {
            Err(_) => row.push(None),
            Ok(length) if body.remaining() < length => return None,
            Ok(length) => {
                let value = body.split_to(length);
                row.push((length <= longest).then_some(value));
            }
        }
    }
    Some(row)
}

/// The tag of a CommandComplete message.
pub fn command_complete(mut body: Bytes) -> Option<String> {
    text(&mut body)
}

/// An ErrorResponse of the gate's own.
#[must_use]
pub fn error_response(severity: &str, sqlstate: &str, message: &str) -> Bytes {
    let mut body = BytesMut::new();
    for (field, value) in [
        (b'S', severity),
        (b'V', severity),
        (b'C', sqlstate),
        (b'M', message),
    ] {
        body.put_u8(field);
        body.put_slice(value.as_bytes());
        body.put_u8(0);
    }
    body.put_u8(0);
    tagged(b'E', &body)
}

/// A ReadyForQuery, as the server sends it.
#[cfg(test)]
pub fn ready_for_query(status: u8) -> Bytes {
    tagged(b'Z', &[status])
}

/// A Query message; `None` if the text holds a zero byte.
#[must_use]
pub fn simple_query(sql: &str) -> Option<Bytes> {
    let mut message = BytesMut::new();
    frontend::query(sql, &mut message).ok()?;
    Some(message.freeze())
}

fn tagged(tag: u8, body: &[u8]) -> Bytes {
    let mut message = BytesMut::with_capacity(body.len() + 5);
    message.put_u8(tag);
    message.put_i32(i32::try_from(body.len() + 4).unwrap_or(i32::MAX));
    message.put_slice(body);
    message.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use postgres_protocol::IsNull;
    use postgres_protocol::message::backend;

    fn body(buffer: BytesMut) -> Bytes {
        buffer.freeze().slice(5..)
    }

    #[test]
    fn parse_and_bind_read_back_what_postgres_protocol_wrote() {
        let mut buffer = BytesMut::new();
        frontend::parse("s1", "select $1", [23, 20], &mut buffer).unwrap();
        let parsed = parse(body(buffer)).unwrap();
        assert_eq!(
            (parsed.name.as_str(), parsed.sql.as_str(), parsed.types),
            ("s1", "select $1", vec![23, 20])
        );

        let mut buffer = BytesMut::new();
        let wrote = frontend::bind(
            "p",
            "s1",
            [1],
            [Some(7_i32), None],
            |value, out| {
                Ok(match value {
                    Some(value) => {
                        out.put_i32(value);
                        IsNull::No
                    }
                    None => IsNull::Yes,
                })
            },
            [1],
            &mut buffer,
        );
        assert!(wrote.is_ok());
        let bound = bind(body(buffer)).unwrap();
        assert_eq!(
            (bound.portal.as_str(), bound.statement.as_str()),
            ("p", "s1")
        );
        assert_eq!(
            bound.parameters,
            vec![
                (true, Some(Bytes::from_static(&[0, 0, 0, 7]))),
                (true, None)
            ]
        );
    }

    #[test]
    fn cut_off_bodies_are_no_panic() {
        let mut buffer = BytesMut::new();
        frontend::parse("s1", "select $1", [23, 20], &mut buffer).unwrap();
        let whole = body(buffer);
        for cut in 0..whole.len() {
            assert!(parse(whole.slice(..cut)).is_none());
            let _ = bind(whole.slice(..cut));
            let _ = row_description(whole.slice(..cut));
            let _ = data_row(whole.slice(..cut), 4, 64);
            let _ = error(whole.slice(..cut));
        }
    }

    #[test]
    fn an_answer_of_the_gate_is_one_that_a_client_understands() {
        let mut buffer = BytesMut::from(&error_response("ERROR", "40001", "injected")[..]);
        buffer.extend_from_slice(&ready_for_query(b'T'));
        let Some(backend::Message::ErrorResponse(_)) =
            backend::Message::parse(&mut buffer).unwrap()
        else {
            panic!("no error")
        };
        let Some(backend::Message::ReadyForQuery(ready)) =
            backend::Message::parse(&mut buffer).unwrap()
        else {
            panic!("not ready")
        };
        assert_eq!(ready.status(), b'T');
        let fields = error(error_response("FATAL", "57P05", "gone").slice(5..));
        assert_eq!(
            (fields.severity.as_str(), fields.sqlstate.as_str()),
            ("FATAL", "57P05")
        );
    }
}
