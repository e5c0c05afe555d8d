//! The step that the server works on: what it was sent, what it has answered, what it lacks.

use bytes::BytesMut;

use super::transaction::{Transaction, stays_inside};
use crate::history::Digester;
use crate::wire::decode::{self, RawError};
use crate::wire::frame::Message;
use crate::wire::gate::{Answer, Handover, ResultRow, StepText};
use crate::wire::need::Need;

/// At most this many rows of a result, columns of a row and bytes of a value are kept.
const ROWS: usize = 4;
const COLUMNS: usize = 16;
const VALUE: usize = 64;
/// At most this many notices of a step are kept of each severity; the others are counted. (Each
/// severity for itself: a chatty function hides no warning.)
const NOTICES: usize = 100;

/// What a step has executed, as far as that matters for its transaction.
#[derive(Debug, Default)]
pub(super) struct Executions {
    /// Of each execution: whether it leaves its transaction block open, whatever its tag says.
    inside: Vec<bool>,
}

impl Executions {
    pub fn of(text: &StepText) -> Self {
        let executed = text.statements.iter().filter(|one| one.executes);
        Self {
            inside: executed.map(|one| stays_inside(&one.sql)).collect(),
        }
    }
}

#[derive(Debug)]
pub(super) struct Running {
    pub step: u64,
    executions: Executions,
    /// Whether ReadyForQuery ends the step: Query, FunctionCall or Sync is part of it.
    pub by_ready: bool,
    /// Whether the message that ReadyForQuery answers has been seen from the client.
    pub sync_seen: bool,
    /// Whether the step is one Query message (else the extended protocol).
    pub simple: bool,
    /// Whether the server takes COPY data of the client.
    pub copy: bool,
    /// How many executions have not been answered yet.
    unanswered: usize,
    /// How many of the messages that prepare them, or close, have not been answered yet.
    unprepared: usize,
    /// Whether the last word that the server has is Flush.
    pub flushed: bool,
    pub handover: Handover,
    /// The step is answered; its transaction is being aborted.
    pub aborting: bool,
    pub answer: Answer,
    /// All that came back.
    pub came: Digester,
    result: usize,
    types: Option<Vec<u32>>,
    /// Whether it has been a COPY of the client's data.
    copied: bool,
    /// An error, and what follows it, kept back until the server is ready: a client that leaves at
    /// its first error would else leave before or after the step's end, as chance has it.
    pub error: BytesMut,
}

impl Running {
    pub fn new(step: u64, executions: Executions, handover: Handover) -> Self {
        Self {
            step,
            executions,
            by_ready: false,
            sync_seen: false,
            simple: false,
            copy: false,
            unanswered: 0,
            unprepared: 0,
            flushed: false,
            handover,
            aborting: false,
            answer: Answer::default(),
            came: Digester::new(),
            result: 0,
            types: None,
            copied: false,
            error: BytesMut::new(),
        }
    }

    /// Whether this message, if it is the client's next one, belongs to this step: it is the data
    /// of its COPY, or the Sync behind that.
    pub fn takes(&self) -> bool {
        self.copy || (self.by_ready && !self.sync_seen)
    }

    /// Whether the server gets another statement in the step's place.
    pub fn is_replaced(&self) -> bool {
        matches!(self.handover, Handover::Replace(_))
    }

    /// Whether this is an error after which the server is ready without another word of the client.
    pub fn withholds(&self, message: &Message) -> bool {
        let waits = self.sync_seen || self.is_replaced();
        message.tag == b'E'
            && waits
            && !self.copied
            && !ends_session(&decode::error(message.body()))
    }

    /// Whether the step is over though the server is not ready: all that it asks is answered, or an
    /// error makes the server ignore everything up to the Sync, which is not part of the step.
    pub fn is_complete(&self) -> bool {
        let answered = self.unanswered == 0 && self.unprepared == 0 && !self.copy;
        !self.by_ready && !self.is_replaced() && !self.aborting && (self.fails() || answered)
    }

    /// Whether it has failed, and its session goes on.
    fn fails(&self) -> bool {
        let error = self.answer.error.as_ref();
        error.is_some_and(|error| !ends_session(error))
    }

    /// As `is_complete`, where what follows is not kept waiting for answers to preparations.
    pub fn is_executed(&self) -> bool {
        !self.by_ready && self.unanswered == 0 && !self.copy
    }

    /// Takes note of a message that has gone to the server.
    pub fn sent(&mut self, message: &Message) {
        self.flushed = message.tag == b'H';
        match message.tag {
            b'Q' | b'F' | b'S' => {
                self.by_ready = true;
                self.sync_seen = true;
            }
            b'E' => self.unanswered += 1,
            b'P' | b'B' | b'D' | b'C' => self.unprepared += 1,
            b'c' | b'f' => self.copy = false,
            _ => {}
        }
    }

    /// What the step needs of the client.
    pub fn need(&self, sent: u64) -> Need {
        if self.copy {
            return Need::Data { sent };
        }
        // Behind the end of its COPY, and behind an error in it, the Sync is still to come.
        let answered =
            self.answer.error.is_some() || (self.unanswered == 0 && self.unprepared == 0);
        if self.by_ready && !self.sync_seen && answered {
            Need::Message
        } else {
            Need::Nothing
        }
    }

    /// Takes in a message of the server.
    pub fn note(&mut self, message: &Message, transaction: &mut Transaction) {
        if matches!(message.tag, b'C' | b'I' | b's' | b'D' | b'd' | b'V') {
            self.came.add(&message.raw);
        }
        match message.tag {
            b'C' | b's' | b'I' => self.executed(message, transaction),
            // The description of a statement's parameters is followed by that of its rows.
            b'1' | b'2' | b'3' | b'n' => {
                self.unprepared = self.unprepared.saturating_sub(1);
            }
            b'T' => {
                self.unprepared = self.unprepared.saturating_sub(1);
                self.types = decode::row_description(message.body());
            }
            b'E' => {
                self.copy = false;
                let error = decode::error(message.body());
                self.came.add(error.sqlstate.as_bytes());
                self.answer.error.get_or_insert(error);
                transaction.failed();
            }
            b'N' => self.notice(message),
            b'D' => self.row(message),
            b'G' | b'W' => {
                self.copy = true;
                self.copied = true;
                // A Sync sent before the COPY began is swallowed by the server; the one after
                // CopyDone is answered.
                if !self.simple {
                    self.sync_seen = false;
                }
            }
            _ => {}
        }
    }

    fn executed(&mut self, message: &Message, transaction: &mut Transaction) {
        self.unanswered = self.unanswered.saturating_sub(1);
        self.copy = false;
        let tag = match message.tag {
            b'C' => decode::command_complete(message.body()),
            _ => None,
        };
        let inside = self.executions.inside.get(self.result).copied();
        transaction.executed(tag.as_deref().unwrap_or_default(), inside.unwrap_or(false));
        self.answer.tags.extend(tag);
        self.result += 1;
        self.types = None;
    }

    fn notice(&mut self, message: &Message) {
        let notice = decode::error(message.body());
        let kept = &mut self.answer.notices;
        let same = |one: &&RawError| one.severity == notice.severity;
        if kept.iter().filter(same).count() < NOTICES {
            kept.push(notice);
        } else {
            self.answer.notices_left_out += 1;
        }
    }

    fn row(&mut self, message: &Message) {
        let rows = &self.answer.rows;
        let kept = rows.iter().filter(|row| row.result == self.result).count();
        if kept < ROWS
            && let Some(values) = decode::data_row(message.body(), COLUMNS, VALUE)
        {
            self.answer.rows.push(ResultRow {
                result: self.result,
                types: self.types.clone(),
                values,
            });
        }
    }
}

/// Whether this error is the last word of its session.
fn ends_session(error: &RawError) -> bool {
    matches!(error.severity.as_str(), "FATAL" | "PANIC")
}
