//! Strangers: what sessions did that did not come through lockproof.
//!
//! Owns what makes a session a stranger: the history knows no connection of it (`dblink`, or a
//! backend that was never identified). Knows nothing of what it does to a verdict.

use std::collections::HashSet;

use super::writes::changed;
use crate::history::{Event, Line, LogLine, RunFacts};
use crate::timeline::Sessions;

/// A write of a protected table by a stranger.
#[derive(Debug)]
pub(crate) struct StrangerWrite<'a> {
    pub seq: u64,
    pub pid: i32,
    /// As `protect` spells it.
    pub table: &'a str,
}

impl StrangerWrite<'_> {
    /// `session 812, which did not come through lockproof, wrote public.invoices`.
    pub fn words(&self) -> String {
        format!("{} wrote {}", stranger(self.pid), self.table)
    }
}

/// An error that a stranger met.
#[derive(Debug)]
pub(crate) struct StrangerError<'a> {
    pub seq: u64,
    pub log: &'a LogLine,
}

impl StrangerError<'_> {
    /// `session 812, which did not come through lockproof, met 23505: duplicate key …`.
    pub fn words(&self) -> String {
        let log = self.log;
        format!(
            "{} met {}: {}",
            stranger(log.pid),
            log.sqlstate,
            log.message
        )
    }
}

fn stranger(pid: i32) -> String {
    format!("session {pid}, which did not come through lockproof,")
}

/// What strangers did.
#[derive(Debug, Default)]
pub(crate) struct Strangers<'a> {
    /// The first write of each stranger to each protected table.
    pub writes: Vec<StrangerWrite<'a>>,
    pub errors: Vec<StrangerError<'a>>,
}

/// The first write of each stranger to each protected table.
pub(crate) fn stranger_writes<'a>(
    lines: &'a [Line],
    run: &'a RunFacts,
    sessions: &Sessions<'a>,
) -> Vec<StrangerWrite<'a>> {
    let mut writes: Vec<StrangerWrite<'a>> = Vec::new();
    let mut known: HashSet<(i32, &str)> = HashSet::new();
    for line in lines {
        let Event::Write(write) = &line.event else {
            continue;
        };
        if write.connection.is_some() || sessions.of(write.session).is_some() {
            continue;
        }
        let pid = write.session.pid;
        for table in changed(run, write) {
            if known.insert((pid, table)) {
                writes.push(StrangerWrite {
                    seq: line.seq,
                    pid,
                    table,
                });
            }
        }
    }
    writes
}
