//! Where a client's messages are cut into steps, and what each asks, in words.
//!
//! Owns the cut, and what a connection has prepared and bound, by which a client repeats a statement
//! without saying its SQL again. Knows nothing of when a step is let go.

use std::collections::{HashMap, VecDeque};

use super::decode;
use super::frame::Message;
use super::gate::{StatementText, StepKind, StepText};
use crate::history::Digest;

/// What a Sync is called that commits what was executed before it.
const COMMITS: &str = "commit /* by Sync */";
/// What any other Sync is called that comes by itself.
const SYNC: &str = "/* Sync */";
/// What the second and each further Execute of a portal is called.
const NEXT_ROWS: &str = "/* next rows of an open portal */";

/// Whether a client that has sent this waits for an answer, or for nothing more.
pub fn ends_burst(message: &Message) -> bool {
    matches!(message.tag, b'Q' | b'S' | b'F' | b'H' | b'X')
}

/// How many of these messages, which hold the end of a burst, are the next step.
///
/// Whole bursts, where steps are not held one by one. Else up to the first Execute, with what
/// closes after it, and with the Flush or Sync behind that; a Sync that commits more than this
/// one execution is a step of its own. Where a step ends does not depend on how much of what
/// follows has arrived.
pub fn cut(pending: &VecDeque<Message>, whole: bool, uncommitted: bool) -> usize {
    // No further than it must: of a long pipeline every step asks.
    let ends = |message: &Message| ends_burst(message) || (!whole && message.tag == b'E');
    let Some(last) = pending.iter().position(ends) else {
        return pending.len();
    };
    let tag = |at: usize| pending.get(at).map(|message| message.tag);
    if tag(last) != Some(b'E') {
        // A Sync behind preparations alone commits what was executed before them.
        let splits = !whole && uncommitted && last > 0 && tag(last) == Some(b'S');
        return last + usize::from(!splits);
    }
    let mut next = last + 1;
    while tag(next) == Some(b'C') {
        next += 1;
    }
    let takes = match tag(next) {
        Some(b'H' | b'X') => true,
        Some(b'S') => !uncommitted,
        _ => false,
    };
    next + usize::from(takes)
}

/// The statements that a client has prepared on its connection, and the portals it has bound.
#[derive(Debug, Default)]
pub struct Statements {
    known: HashMap<String, Prepared>,
    portals: HashMap<String, Portal>,
}

#[derive(Debug, Clone)]
struct Prepared {
    sql: String,
    types: Vec<u32>,
}

#[derive(Debug, Clone)]
struct Portal {
    text: StatementText,
    executed: bool,
}

impl Statements {
    /// The text of a step. Remembers what it prepares and binds. `commits`: its Sync, if it has
    /// one, commits what was executed before it.
    pub fn text<'m>(&mut self, step: impl Iterator<Item = &'m Message>, commits: bool) -> StepText {
        let mut text = StepText::default();
        let mut unexecuted: Vec<String> = Vec::new();
        let mut unopened: Vec<String> = Vec::new();
        let mut executes = false;
        let mut prepares = false;
        for message in step {
            self.remember(message);
            executes |= matches!(message.tag, b'Q' | b'F' | b'E');
            prepares |= matches!(message.tag, b'P' | b'B' | b'D' | b'C');
            match message.tag {
                b'Q' => text
                    .statements
                    .extend(decode::query(message.body()).map(executed)),
                b'F' => text.statements.push(StatementText {
                    digest: Digest::of(&[&message.body()]),
                    ..executed("/* function call */".to_owned())
                }),
                b'P' => {
                    if let Some(parse) = decode::parse(message.body()) {
                        unexecuted.push(parse.name);
                    }
                }
                b'B' => {
                    if let Some(bind) = decode::bind(message.body()) {
                        unexecuted.retain(|name| *name != bind.statement);
                        unopened.retain(|name| *name != bind.portal);
                        unopened.push(bind.portal);
                    }
                }
                b'E' => {
                    if let Some(portal) = decode::execute(message.body()) {
                        unopened.retain(|name| *name != portal);
                        text.statements.push(self.execution(&portal));
                    }
                }
                _ => {}
            }
        }
        let bound = unopened.iter().filter_map(|name| self.portals.get(name));
        let bound = bound.map(|portal| portal.text.clone());
        let parsed = unexecuted.iter().filter_map(|name| self.known.get(name));
        let parsed = parsed.map(|prepared| executed(prepared.sql.clone()));
        let prepared: Vec<StatementText> = bound
            .chain(parsed)
            .map(|one| StatementText {
                executes: false,
                ..one
            })
            .collect();
        text.statements.extend(prepared);
        text.kind = match (executes, prepares) {
            (true, _) => StepKind::Execution,
            (false, true) => StepKind::Preparation,
            (false, false) => StepKind::Sync { commits },
        };
        if let StepKind::Sync { commits } = text.kind {
            let name = if commits { COMMITS } else { SYNC };
            text.statements.push(executed(name.to_owned()));
        }
        text
    }

    fn execution(&mut self, portal: &str) -> StatementText {
        match self.portals.get_mut(portal) {
            Some(portal) if !portal.executed => {
                portal.executed = true;
                portal.text.clone()
            }
            _ => executed(NEXT_ROWS.to_owned()),
        }
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

    /// Keeps names in step with what the client prepares, binds and closes.
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
            b'B' => {
                if let Some(bind) = decode::bind(message.body()) {
                    let name = bind.portal.clone();
                    let text = self.bound(bind);
                    let portal = Portal {
                        text,
                        executed: false,
                    };
                    self.portals.insert(name, portal);
                }
            }
            b'C' => match decode::close(message.body()) {
                Some((b'S', name)) => {
                    self.known.remove(&name);
                }
                Some((_, name)) => {
                    self.portals.remove(&name);
                }
                None => {}
            },
            _ => {}
        }
    }

    /// A transaction is over, and its portals with it.
    pub fn forget_portals(&mut self) {
        self.portals.clear();
    }
}

fn executed(sql: String) -> StatementText {
    StatementText {
        digest: Digest::of(&[sql.as_bytes()]),
        sql,
        parameters: Vec::new(),
        executes: true,
    }
}
