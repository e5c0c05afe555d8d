//! One connection's request cycles: what is held, what passes, and when a step has ended.
//!
//! Owns the rules of what begins and what ends a step, as plain state over messages, without
//! sockets. A step is what a client sends up to one Query, Sync or FunctionCall, so that exactly
//! one ReadyForQuery answers it; what a client pipelines behind that is the next step. A burst
//! that ends in Flush is held as well (the client waits for its answer), and what follows up to
//! the Sync passes with it, unless the step has executed something and the client begins with
//! something else: then the step has ended, without ReadyForQuery. Messages of a COPY pass with the step that began it.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use super::burst::Statements;
use super::decode::{self, RawError};
use super::frame::Message;
use super::gate::{Answer, ConnectionEvent, Handover, ResultRow};
use super::need::Need;
use crate::history::Digester;

/// At most this many rows of a result, columns of a row and bytes of a value are kept.
const ROWS: usize = 4;
const COLUMNS: usize = 16;
const VALUE: usize = 64;

/// A client may send no more than this without an end, its longest message aside.
const UNFINISHED: usize = 64 << 20;
/// What keeping a message takes beside its bytes.
const OVERHEAD: usize = 64;
/// At most this many notices of a step are kept of each severity; the others are counted. (Each
/// severity for itself: a chatty function hides no warning.)
const NOTICES: usize = 100;

/// The request cycles of one connection.
#[derive(Debug, Default)]
pub struct Cycle {
    state: State,
    pending: VecDeque<Message>,
    /// Bytes of what is pending.
    pending_bytes: usize,
    /// The longest message since nothing was pending.
    longest: usize,
    /// How many bursts of what is pending have their end.
    whole_bursts: usize,
    statements: Statements,
    next_step: u64,
    open: bool,
    terminated: bool,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Idle,
    Held {
        step: u64,
    },
    Running(Box<Running>),
}

#[derive(Debug)]
struct Running {
    step: u64,
    /// Whether the message that ReadyForQuery answers has been seen from the client.
    sync_seen: bool,
    /// Whether the step is one Query message (else the extended protocol).
    simple: bool,
    /// Whether the server takes COPY data of the client.
    copy: bool,
    /// Whether the client has asked for an execution, not only prepared one.
    executes: bool,
    /// How many executions have not been answered yet.
    unanswered: usize,
    /// How many of the messages that prepare them, or close, have not been answered yet.
    unprepared: usize,
    /// Whether the client's last word was Flush.
    flushed: bool,
    handover: Handover,
    /// The step is answered; its transaction is being aborted.
    aborting: bool,
    answer: Answer,
    /// All that came back.
    came: Digester,
    result: usize,
    types: Option<Vec<u32>>,
    /// ReadyForQuery kept back until the client has sent its Sync.
    ready: Option<Bytes>,
    /// Whether it has been a COPY of the client's data.
    copied: bool,
    /// An error, and what follows it, kept back until the server is ready: a client that leaves at
    /// its first error would else leave before or after the step's end, as chance has it.
    error: BytesMut,
}

/// Where bytes and events of a call go.
#[derive(Debug, Default)]
pub struct Output {
    /// For the server.
    pub to_server: BytesMut,
    /// For the client.
    pub to_client: BytesMut,
    /// For whoever drives the gate.
    pub events: Vec<ConnectionEvent>,
}

impl Cycle {
    /// With `open`, every step passes as it comes.
    pub fn new(open: bool) -> Self {
        Self {
            open,
            ..Self::default()
        }
    }

    /// Whether the client has said Terminate.
    pub fn terminated(&self) -> bool {
        self.terminated
    }

    /// Bytes that wait here, for a limit on what is read on.
    pub fn pending_bytes(&self) -> usize {
        self.pending_bytes
    }

    /// Whether what waits here can go on only if more is read: a burst whose end has not come.
    pub fn lacks_an_end(&self) -> bool {
        matches!(self.state, State::Idle) && self.whole_bursts == 0
    }

    /// Whether a burst whose end has not come is longer than any that is kept.
    pub fn overflows(&self) -> bool {
        let kept = self.pending_bytes + self.pending.len() * OVERHEAD;
        self.lacks_an_end() && kept.saturating_sub(self.longest) > UNFINISHED
    }

    /// What the running step needs of the client, when all that was for the server has been sent:
    /// so many bytes.
    pub fn need(&self, sent: u64) -> Need {
        match &self.state {
            State::Running(running) => running.need(sent),
            _ => Need::Nothing,
        }
    }

    fn queue(&mut self, message: Message) {
        self.longest = match self.pending.is_empty() {
            true => message.raw.len(),
            false => self.longest.max(message.raw.len()),
        };
        self.pending_bytes += message.raw.len();
        self.whole_bursts += usize::from(ends_burst(&message));
        self.pending.push_back(message);
    }

    fn unqueue(&mut self) -> Option<Message> {
        let message = self.pending.pop_front()?;
        self.pending_bytes -= message.raw.len();
        self.whole_bursts -= usize::from(ends_burst(&message));
        Some(message)
    }

    /// A message of the client, start-up aside.
    pub fn client_message(&mut self, message: Message, out: &mut Output) {
        if let State::Running(running) = &self.state
            && self.pending.is_empty()
            && (running.takes(&message) || message.tag == b'X')
        {
            self.pass(&message, out);
            return;
        }
        self.queue(message);
        self.end_if_flushed(out);
        self.announce(out);
    }

    /// Passes on a message that belongs to the step that runs.
    fn pass(&mut self, message: &Message, out: &mut Output) {
        let State::Running(running) = &mut self.state else {
            return;
        };
        running.sent(message);
        self.statements.remember(message);
        let terminates = message.tag == b'X';
        self.terminated |= terminates;
        if terminates || !matches!(running.handover, Handover::Replace(_)) {
            out.to_server.extend_from_slice(&message.raw);
        }
        if running.sync_seen
            && let Some(ready) = running.ready.take()
        {
            out.to_client.extend_from_slice(&ready);
            self.end_step(ready.get(5).copied().unwrap_or(b'I'), out);
        }
    }

    /// Lets the held step go. Without one, nothing happens.
    pub fn release(&mut self, handover: Handover, out: &mut Output) {
        let State::Held { step } = self.state else {
            return;
        };
        let mut running = Running {
            step,
            sync_seen: false,
            simple: false,
            copy: false,
            executes: false,
            unanswered: 0,
            unprepared: 0,
            flushed: false,
            handover,
            aborting: false,
            answer: Answer::default(),
            came: Digester::new(),
            result: 0,
            types: None,
            ready: None,
            copied: false,
            error: BytesMut::new(),
        };
        let replaced = matches!(running.handover, Handover::Replace(_));
        while let Some(message) = self.unqueue() {
            running.sent(&message);
            running.simple = message.tag == b'Q';
            self.statements.remember(&message);
            self.terminated |= message.tag == b'X';
            if !replaced || message.tag == b'X' {
                out.to_server.extend_from_slice(&message.raw);
            }
            if !self.pending.front().is_some_and(|next| running.takes(next)) {
                break;
            }
        }
        if let Handover::Replace(query) = &running.handover {
            out.to_server.extend_from_slice(query);
        }
        self.state = State::Running(Box::new(running));
        out.events.push(ConnectionEvent::Released { step });
    }

    /// Lets the answer to the step under way pass as it comes. For a step of which nothing has been
    /// answered yet.
    pub fn pass_answer(&mut self) {
        if let State::Running(running) = &mut self.state
            && matches!(
                running.handover,
                Handover::DropAnswer | Handover::AnswerWith { .. }
            )
        {
            running.handover = Handover::Forward;
        }
    }

    /// Forgets what is held, and what is pipelined behind it.
    pub fn drop_held(&mut self) {
        self.pending.clear();
        self.pending_bytes = 0;
        self.whole_bursts = 0;
        if matches!(self.state, State::Held { .. }) {
            self.state = State::Idle;
        }
    }

    /// Forgets a burst whose end will never come, because the client has left. The server never
    /// sees it, as if the client had died before it sent it: without its Sync nothing of it would
    /// be committed.
    pub fn drop_unfinished(&mut self) {
        if self.lacks_an_end() {
            self.drop_held();
        }
    }

    /// A message of the server, start-up aside.
    pub fn server_message(&mut self, message: &Message, out: &mut Output) {
        let State::Running(running) = &mut self.state else {
            if message.tag == b'E' {
                out.events
                    .push(ConnectionEvent::ErrorOutsideStep(decode::error(
                        message.body(),
                    )));
            }
            out.to_client.extend_from_slice(&message.raw);
            return;
        };
        if !running.aborting {
            running.note(message);
        }
        let passes = match &running.handover {
            Handover::Forward | Handover::Replace(_) => true,
            // A client that has only prepared, and flushed, must hear of it to go on to execute.
            _ if !running.executes && !running.sync_seen => true,
            Handover::DropAnswer => false,
            Handover::AnswerWith {
                instead,
                abort,
                unless_committed,
            } => {
                let ready = message.tag == b'Z';
                if ready && message.body().first() == Some(&b'T') && !running.aborting {
                    running.aborting = true;
                    out.to_server.extend_from_slice(abort);
                    return;
                }
                let committed = *unless_committed
                    && message.body().first() == Some(&b'I')
                    && running.answer.error.is_none();
                if ready && !committed {
                    out.to_client.extend_from_slice(instead);
                }
                ready && !committed
            }
        };
        if message.tag == b'Z' {
            if !running.sync_seen && matches!(running.handover, Handover::Replace(_)) {
                running.ready = Some(message.raw.clone());
                return;
            }
            // The event goes first: whoever hears of the end knows it before the pod does.
            let status = message.body().first().copied().unwrap_or(b'I');
            out.to_client.extend_from_slice(&running.error);
            if passes {
                out.to_client.extend_from_slice(&message.raw);
            }
            self.end_step(status, out);
            return;
        }
        if passes && (running.withholds(message) && !self.open || !running.error.is_empty()) {
            running.error.extend_from_slice(&message.raw);
        } else if passes {
            out.to_client.extend_from_slice(&message.raw);
        }
        // What was pipelined behind the beginning of a COPY goes with it, and what was behind an
        // error up to the Sync.
        while let (State::Running(running), Some(next)) = (&self.state, self.pending.front())
            && running.takes(next)
            && let Some(message) = self.unqueue()
        {
            self.pass(&message, out);
        }
        self.end_if_flushed(out);
    }

    /// The server says nothing more: what was kept back goes to the client.
    pub fn server_ended(&mut self, out: &mut Output) {
        if let State::Running(running) = &mut self.state {
            out.to_client.extend_from_slice(&running.error.split());
        }
    }

    /// Ends a step without ReadyForQuery: all that it executes is answered, and the client, which
    /// has flushed, has begun with the next.
    fn end_if_flushed(&mut self, out: &mut Output) {
        if let State::Running(running) = &self.state
            && running.awaits_flush()
            && running.unanswered == 0
            && !self.pending.is_empty()
        {
            // Until its Sync the client has a transaction open.
            self.end_step(b'T', out);
        }
    }

    fn end_step(&mut self, status: u8, out: &mut Output) {
        if let State::Running(mut running) = std::mem::take(&mut self.state) {
            running.answer.status = status;
            running.answer.digest = running.came.digest();
            out.events.push(ConnectionEvent::Ended {
                step: running.step,
                answer: running.answer,
            });
        }
        self.announce(out);
    }

    /// If nothing is held or running and a whole burst has arrived, holds it.
    fn announce(&mut self, out: &mut Output) {
        if !matches!(self.state, State::Idle) {
            return;
        }
        // Left-overs of a COPY that failed are ignored by the server; Terminate asks for nothing,
        // and neither does Flush by itself.
        while let Some(first) = self.pending.front() {
            match first.tag {
                b'd' | b'c' | b'f' | b'H' | b'X' => {
                    self.terminated |= first.tag == b'X';
                    out.to_server.extend_from_slice(&first.raw);
                }
                _ => break,
            }
            self.unqueue();
        }
        if self.whole_bursts == 0 {
            return;
        }
        let Some(end) = self.pending.iter().position(ends_burst) else {
            return;
        };
        let text = self.statements.text(self.pending.iter().take(end + 1));
        let step = self.next_step;
        self.next_step += 1;
        self.state = State::Held { step };
        out.events.push(ConnectionEvent::Held { step, text });
        if self.open {
            self.release(Handover::Forward, out);
        }
    }
}

/// Whether a client that has sent this waits for an answer, or for nothing more.
fn ends_burst(message: &Message) -> bool {
    matches!(message.tag, b'Q' | b'S' | b'F' | b'H' | b'X')
}

impl Running {
    /// Whether this message, if it is the client's next one, belongs to this step.
    fn takes(&self, message: &Message) -> bool {
        self.copy
            || !self.sync_seen
                && (!self.awaits_flush() || matches!(message.tag, b'S' | b'C' | b'H' | b'X'))
    }

    /// Whether the step ends when the client begins with something else, for it has flushed what
    /// the step executes. (After an error the server ignores everything up to Sync. An answer that is
    /// kept from the pod, or replaced, needs the Sync's ReadyForQuery.)
    fn awaits_flush(&self) -> bool {
        self.flushed
            && self.executes
            && !self.sync_seen
            && !self.copy
            && self.answer.error.is_none()
            && matches!(self.handover, Handover::Forward)
    }

    /// Whether this is an error after which the server is ready without another word of the client.
    fn withholds(&self, message: &Message) -> bool {
        message.tag == b'E'
            && self.sync_seen
            && !self.copied
            && !matches!(
                decode::error(message.body()).severity.as_str(),
                "FATAL" | "PANIC"
            )
    }

    /// Takes note of a message that has gone to the server.
    fn sent(&mut self, message: &Message) {
        self.flushed = message.tag == b'H';
        match message.tag {
            b'Q' | b'F' => {
                self.executes = true;
                self.sync_seen = true;
            }
            b'S' => self.sync_seen = true,
            b'E' => {
                self.executes = true;
                self.unanswered += 1;
            }
            b'P' | b'B' | b'D' | b'C' => self.unprepared += 1,
            b'c' | b'f' => self.copy = false,
            _ => {}
        }
    }

    fn need(&self, sent: u64) -> Need {
        if self.copy {
            return Need::Data { sent };
        }
        // After an error the server ignores everything up to the Sync. In the place of a step it has
        // got a Query, and what it answers is kept back.
        let answered = self.answer.error.is_some()
            || match self.handover {
                Handover::Replace(_) => self.ready.is_some(),
                _ => self.unanswered == 0 && self.unprepared == 0,
            };
        if !self.sync_seen && answered {
            Need::Message
        } else {
            Need::Nothing
        }
    }

    fn note(&mut self, message: &Message) {
        match message.tag {
            b'C' | b's' | b'I' => self.unanswered = self.unanswered.saturating_sub(1),
            // The description of a statement's parameters is followed by that of its rows.
            b'1' | b'2' | b'3' | b'T' | b'n' => {
                self.unprepared = self.unprepared.saturating_sub(1);
            }
            _ => {}
        }
        if matches!(message.tag, b'C' | b'I' | b's' | b'D' | b'd' | b'V') {
            self.came.add(&message.raw);
        }
        match message.tag {
            b'E' => {
                self.copy = false;
                let error = decode::error(message.body());
                self.came.add(error.sqlstate.as_bytes());
                self.answer.error.get_or_insert(error);
            }
            b'N' => {
                let notice = decode::error(message.body());
                let kept = &mut self.answer.notices;
                let same = |one: &&RawError| one.severity == notice.severity;
                if kept.iter().filter(same).count() < NOTICES {
                    kept.push(notice);
                } else {
                    self.answer.notices_left_out += 1;
                }
            }
            b'C' => {
                self.copy = false;
                self.answer
                    .tags
                    .extend(decode::command_complete(message.body()));
                self.result += 1;
                self.types = None;
            }
            b'I' | b's' => {
                self.result += 1;
                self.types = None;
            }
            b'T' => self.types = decode::row_description(message.body()),
            b'D' => {
                let kept = self
                    .answer
                    .rows
                    .iter()
                    .filter(|row| row.result == self.result)
                    .count();
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
}

#[cfg(test)]
mod tests;
