//! What a burst of messages asks, in words: its statements with their parameters.
//!
//! Owns statement names, by which a client repeats a statement without saying its SQL again. Knows
//! nothing of when a burst is let go.

use std::collections::HashMap;

use super::decode;
use super::frame::Message;
use super::gate::{StatementText, StepText};
use crate::history::Digest;

/// The statements that a client has prepared on its connection.
#[derive(Debug, Default)]
pub struct Statements {
    known: HashMap<String, Prepared>,
}

#[derive(Debug, Clone)]
struct Prepared {
    sql: String,
    types: Vec<u32>,
}

impl Statements {
    /// The text of a burst. Remembers what it prepares.
    pub fn text<'m>(&mut self, burst: impl Iterator<Item = &'m Message>) -> StepText {
        let mut flushed = false;
        let mut text = StepText::default();
        let mut portals: HashMap<String, StatementText> = HashMap::new();
        let mut unopened: Vec<String> = Vec::new();
        let mut unexecuted: Vec<String> = Vec::new();
        for message in burst {
            self.remember(message);
            flushed = message.tag == b'H';
            match message.tag {
                b'Q' => text
                    .statements
                    .extend(decode::query(message.body()).map(|sql| StatementText {
                        digest: Digest::of(&[sql.as_bytes()]),
                        sql,
                        parameters: Vec::new(),
                        executes: true,
                    })),
                b'F' => text.statements.push(StatementText {
                    sql: "/* function call */".to_owned(),
                    parameters: Vec::new(),
                    executes: true,
                    digest: Digest::of(&[&message.body()]),
                }),
                b'P' => {
                    if let Some(parse) = decode::parse(message.body()) {
                        unexecuted.push(parse.name);
                    }
                }
                b'B' => {
                    if let Some(bind) = decode::bind(message.body()) {
                        unexecuted.retain(|name| *name != bind.statement);
                        let portal = bind.portal.clone();
                        unopened.retain(|name| *name != portal);
                        unopened.push(portal.clone());
                        portals.insert(portal, self.bound(bind));
                    }
                }
                b'E' => {
                    if let Some(portal) = decode::execute(message.body()) {
                        unopened.retain(|name| *name != portal);
                        text.statements
                            .push(
                                portals
                                    .get(&portal)
                                    .cloned()
                                    .unwrap_or_else(|| StatementText {
                                        sql: "/* next rows of an open portal */".to_owned(),
                                        parameters: Vec::new(),
                                        executes: true,
                                        digest: Digest::of(&[]),
                                    }),
                            );
                    }
                }
                _ => {}
            }
        }
        // After a Flush the client goes on to execute it within the same step.
        for name in unopened {
            text.statements
                .extend(portals.remove(&name).map(|bound| StatementText {
                    executes: flushed,
                    ..bound
                }));
        }
        for name in unexecuted {
            if let Some(prepared) = self.known.get(&name) {
                text.statements.push(StatementText {
                    sql: prepared.sql.clone(),
                    parameters: Vec::new(),
                    executes: flushed,
                    digest: Digest::of(&[prepared.sql.as_bytes()]),
                });
            }
        }
        text
    }

    fn bound(&self, bind: decode::Bind) -> StatementText {
        let prepared = self.known.get(&bind.statement);
        let types = prepared.map(|found| found.types.as_slice()).unwrap_or(&[]);
        let sql = prepared.map_or_else(
            || format!("/* statement {} prepared unseen */", bind.statement),
            |found| found.sql.clone(),
        );
        StatementText {
            digest: Digest::of_all([Digest::of(&[sql.as_bytes()]), bind.digest]),
            sql,
            parameters: bind
                .parameters
                .into_iter()
                .enumerate()
                .map(|(index, (binary, bytes))| decode::Parameter {
                    bytes,
                    binary,
                    type_oid: types.get(index).copied().unwrap_or(0),
                })
                .collect(),
            executes: true,
        }
    }

    /// Keeps statement names in step with what the client prepares and closes.
    pub fn remember(&mut self, message: &Message) {
        match message.tag {
            b'P' => {
                if let Some(parse) = decode::parse(message.body()) {
                    self.known.insert(
                        parse.name,
                        Prepared {
                            sql: parse.sql,
                            types: parse.types,
                        },
                    );
                }
            }
            b'C' => {
                if let Some((b'S', name)) = decode::close(message.body()) {
                    self.known.remove(&name);
                }
            }
            _ => {}
        }
    }
}
