//! What the messages on one connection of a pooler's to the server tell: pure, message by message.

use crate::wire::decode;
use crate::wire::frame::Message;
use crate::wire::gate::ServerSide;

/// The settings that PgBouncer keeps for each client and sets when it hands out a connection.
const TRACKED: [&str; 6] = [
    "application_name",
    "client_encoding",
    "datestyle",
    "intervalstyle",
    "standard_conforming_strings",
    "timezone",
];
/// A statement longer than this is no pooler's own.
const LONGEST_OWN: usize = 2_000;

/// What is known of one connection.
pub(super) struct Watched {
    own_check: &'static str,
    server: usize,
    pid: Option<i32>,
    ready: bool,
    /// No request has come since the last ReadyForQuery.
    idle: bool,
    /// The pooler is just setting the name: the server may report it cut, or changed.
    being_set: bool,
}

impl Watched {
    pub(super) fn new(own_check: &'static str, server: usize) -> Self {
        Self {
            own_check,
            server,
            pid: None,
            ready: false,
            idle: false,
            being_set: false,
        }
    }

    pub(super) fn asked(&mut self, message: &Message) -> Option<ServerSide> {
        if !self.ready || message.tag == b'X' {
            return None;
        }
        if message.tag == b'Q' && message.raw.len() <= LONGEST_OWN {
            let sql = decode::query(message.body()).unwrap_or_default();
            if sql == self.own_check {
                return None;
            }
            if let Some(name) = own_settings(&sql) {
                self.being_set = name.is_some();
                return name.map(|name| ServerSide::Named {
                    name,
                    by_pooler: true,
                });
            }
        }
        std::mem::take(&mut self.idle).then_some(ServerSide::Serves)
    }

    pub(super) fn answered(&mut self, message: &Message) -> Vec<ServerSide> {
        match message.tag {
            b'K' => {
                self.pid = message
                    .body()
                    .get(..4)
                    .and_then(|bytes| bytes.try_into().ok())
                    .map(i32::from_be_bytes);
                Vec::new()
            }
            b'S' if self.ready => {
                let report = decode::parameter_status(message.body());
                report
                    .filter(|(parameter, _)| parameter == "application_name")
                    .map(|(_, name)| {
                        if self.being_set {
                            ServerSide::Reported { name }
                        } else {
                            ServerSide::Named {
                                name,
                                by_pooler: false,
                            }
                        }
                    })
                    .into_iter()
                    .collect()
            }
            b'Z' => {
                let mut told = Vec::new();
                if !std::mem::replace(&mut self.ready, true)
                    && let Some(pid) = self.pid
                {
                    told.push(ServerSide::Started {
                        pid,
                        server: self.server,
                    });
                }
                self.idle = true;
                self.being_set = false;
                told.push(ServerSide::Ready {
                    status: message.body().first().copied().unwrap_or(b'I'),
                });
                told
            }
            _ => Vec::new(),
        }
    }
}

/// Whether a statement is what PgBouncer sends on handing out a connection, `SET name='value';` once
/// or several times; and the `application_name` in it, if that is set.
fn own_settings(sql: &str) -> Option<Option<String>> {
    let mut rest = sql;
    let mut name = None;
    while !rest.is_empty() {
        let (key, after) = rest.strip_prefix("SET ")?.split_once('=')?;
        if !TRACKED.iter().any(|known| known.eq_ignore_ascii_case(key)) {
            return None;
        }
        let (value, after) = literal(after)?;
        rest = after.strip_prefix(';')?;
        if key.eq_ignore_ascii_case("application_name") {
            name = Some(value);
        }
    }
    (!sql.is_empty()).then_some(name)
}

/// The value of a string literal, `'…'` or `E'…'`, and what follows it.
fn literal(text: &str) -> Option<(String, &str)> {
    let escaped = text.starts_with('E');
    let body = text.strip_prefix('E').unwrap_or(text).strip_prefix('\'')?;
    let mut value = String::new();
    let mut chars = body.char_indices();
    while let Some((at, one)) = chars.next() {
        match one {
            '\'' if body[at + 1..].starts_with('\'') => {
                chars.next();
                value.push('\'');
            }
            '\'' => return Some((value, &body[at + 1..])),
            '\\' if escaped => value.push(chars.next()?.1),
            one => value.push(one),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_pgbouncer_sets_by_itself_is_told_from_what_a_client_sets() {
        let name = |text: &str| Some(Some(text.to_owned()));
        for (sql, wanted) in [
            (
                "SET application_name='a - 127.0.0.1:7';",
                name("a - 127.0.0.1:7"),
            ),
            (
                "SET client_encoding='UTF8';SET application_name='x';",
                name("x"),
            ),
            ("SET application_name='it''s';", name("it's")),
            (r"SET application_name=E'a\\b';", name(r"a\b")),
            ("SET DateStyle='ISO';", Some(None)),
            ("SET statement_timeout='5s';", None),
            ("set application_name='x';", None),
            ("SET application_name = 'x'", None),
            ("SET application_name='x'; select 1", None),
            ("SET application_name='x", None),
            ("", None),
        ] {
            assert_eq!(own_settings(sql), wanted, "{sql}");
        }
    }

    fn sent(sql: &str) -> Message {
        let raw = decode::simple_query(sql).unwrap();
        Message { tag: b'Q', raw }
    }

    fn ready(status: u8) -> Message {
        Message {
            tag: b'Z',
            raw: decode::ready_for_query(status),
        }
    }

    fn message(tag: u8, body: &[u8]) -> Message {
        let mut raw = vec![tag];
        let length = u32::try_from(body.len() + 4).unwrap();
        raw.extend_from_slice(&length.to_be_bytes());
        raw.extend_from_slice(body);
        Message {
            tag,
            raw: raw.into(),
        }
    }

    /// One that has been let in as backend 77 of server 1.
    fn watched() -> Watched {
        let mut one = Watched::new("select 1 /* own */", 1);
        assert_eq!(one.asked(&message(b'p', b"secret\0")), None);
        assert_eq!(one.answered(&message(b'S', b"application_name\0\0")), []);
        assert_eq!(one.answered(&message(b'K', &[0, 0, 0, 77, 1, 2, 3, 4])), []);
        let started = ServerSide::Started { pid: 77, server: 1 };
        let idle = ServerSide::Ready { status: b'I' };
        assert_eq!(one.answered(&ready(b'I')), [started, idle]);
        one
    }

    #[test]
    fn a_request_is_told_once_and_what_the_pooler_asks_itself_never() {
        let mut one = watched();
        assert_eq!(one.asked(&sent("select 1 /* own */")), None);
        one.answered(&ready(b'I'));
        assert_eq!(
            one.asked(&message(b'P', b"\0select 1\0\0\0")),
            Some(ServerSide::Serves)
        );
        assert_eq!(one.asked(&message(b'S', b"")), None);
        one.answered(&ready(b'T'));
        assert_eq!(one.asked(&sent("select 1")), Some(ServerSide::Serves));
        assert_eq!(one.asked(&message(b'X', b"")), None);
    }

    #[test]
    fn a_name_is_told_as_the_pooler_sent_it_and_as_the_server_reports_it() {
        let mut one = watched();
        let long = format!("{} - 127.0.0.1:7", "x".repeat(70));
        let told = one.asked(&sent(&format!("SET application_name='{long}';")));
        let named = |name: &str, by_pooler| ServerSide::Named {
            name: name.to_owned(),
            by_pooler,
        };
        assert_eq!(told, Some(named(&long, true)));
        let report = format!("application_name\0{}\0", &long[..63]);
        let reported = ServerSide::Reported {
            name: long[..63].to_owned(),
        };
        assert_eq!(one.answered(&message(b'S', report.as_bytes())), [reported]);
        one.answered(&ready(b'I'));
        // What a client sets itself is told as the server reports it.
        assert_eq!(
            one.asked(&sent("set application_name to 'mine'")),
            Some(ServerSide::Serves)
        );
        let told = one.answered(&message(b'S', b"application_name\0mine\0"));
        assert_eq!(told, [named("mine", false)]);
    }
}
