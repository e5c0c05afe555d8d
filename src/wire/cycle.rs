//! One connection's request cycles: what is held, what passes, and when a step has ended.
//!
//! Owns the rules of what begins and what ends a step, as plain state over messages, without
//! sockets. A step is one execution (Query, FunctionCall, Bind with Execute, a whole COPY), or a
//! preparation whose answer the client waits for, or a Sync that comes by itself; `burst` says where
//! one ends and the next begins. It ends with ReadyForQuery where it has a Sync of its own, else when
//! all that it asks is answered; for that it is sent with a Flush behind it. After an error the server
//! ignores everything up to the Sync: so much passes.

mod pending;
mod running;
mod transaction;

use bytes::BytesMut;

use super::burst::{Statements, cut};
use super::decode;
use super::frame::Message;
use super::gate::{ConnectionEvent, Handover};
use super::need::Need;
use pending::Pending;
use running::{Executions, Running};
use transaction::Transaction;

/// A Flush of the gate's own.
const FLUSH: &[u8] = b"H\0\0\0\x04";

/// The request cycles of one connection.
#[derive(Debug, Default)]
pub struct Cycle {
    state: State,
    pending: Pending,
    statements: Statements,
    transaction: Transaction,
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
        /// How many of the pending messages it is.
        length: usize,
        executions: Executions,
    },
    Running(Box<Running>),
    /// A step has failed, and the client's Sync is still to come. Until then the server ignores what
    /// the client says or, with `swallow`, has nothing to ignore it for, and does not get it.
    Skipping {
        swallow: bool,
    },
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
    /// With `open`, every step passes as it comes, and a burst is one step.
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
        self.pending.bytes()
    }

    /// Whether what waits here can go on only if more is read: a burst whose end has not come.
    pub fn lacks_an_end(&self) -> bool {
        matches!(self.state, State::Idle) && !self.pending.has_whole_burst()
    }

    /// Whether a burst whose end has not come is longer than any that is kept.
    pub fn overflows(&self) -> bool {
        self.lacks_an_end() && self.pending.is_too_long()
    }

    /// What the running step needs of the client, when all that was for the server has been sent:
    /// so many bytes.
    pub fn need(&self, sent: u64) -> Need {
        match &self.state {
            State::Running(running) => running.need(sent),
            _ => Need::Nothing,
        }
    }

    /// A message of the client, start-up aside.
    pub fn client_message(&mut self, message: Message, out: &mut Output) {
        let leaves = message.tag == b'X' && matches!(self.state, State::Running(_));
        if self.pending.is_empty() && (leaves || self.passes_at_once(message.tag)) {
            self.pass(&message, out);
            return;
        }
        self.pending.push(message);
        self.go_on(out);
    }

    /// Whether a message with this tag, if it is the client's next one, does not wait.
    fn passes_at_once(&self, tag: u8) -> bool {
        match &self.state {
            State::Running(running) => running.takes(),
            State::Skipping { .. } => tag != b'S',
            State::Idle | State::Held { .. } => false,
        }
    }

    /// Passes on a message that belongs to the step that runs, or that the server ignores.
    fn pass(&mut self, message: &Message, out: &mut Output) {
        self.terminated |= message.tag == b'X';
        let mut flush = false;
        let passes = match &mut self.state {
            State::Running(running) => {
                running.sent(message);
                self.statements.remember(message);
                // The end of a COPY is not answered before a Flush or Sync.
                let ends_copy = matches!(message.tag, b'c' | b'f');
                flush = ends_copy && !running.simple && !self.open;
                !running.is_replaced()
            }
            State::Skipping { swallow } => !*swallow,
            State::Idle | State::Held { .. } => true,
        };
        if passes || message.tag == b'X' {
            out.to_server.extend_from_slice(&message.raw);
            if flush {
                out.to_server.extend_from_slice(FLUSH);
            }
        }
    }

    /// Lets the held step go. Without one, nothing happens.
    pub fn release(&mut self, handover: Handover, out: &mut Output) {
        let State::Held {
            step,
            length,
            executions,
        } = &mut self.state
        else {
            return;
        };
        let (step, length) = (*step, *length);
        let mut running = Running::new(step, std::mem::take(executions), handover);
        let replaced = running.is_replaced();
        for _ in 0..length {
            let Some(message) = self.pending.pop() else {
                break;
            };
            running.sent(&message);
            running.simple |= message.tag == b'Q';
            self.terminated |= message.tag == b'X';
            if !replaced || message.tag == b'X' {
                out.to_server.extend_from_slice(&message.raw);
            }
        }
        if let Handover::Replace(query) = &running.handover {
            out.to_server.extend_from_slice(query);
        } else if !running.by_ready && !running.flushed && !self.terminated {
            out.to_server.extend_from_slice(FLUSH);
        }
        self.state = State::Running(Box::new(running));
        out.events.push(ConnectionEvent::Released { step });
        self.go_on(out);
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
        if message.tag == b'Z' {
            self.transaction.ready(ready_status(message));
            if ready_status(message) == b'I' {
                self.statements.forget_portals();
            }
        }
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
        if message.tag == b'Z' {
            self.ready(message, out);
            return;
        }
        // What comes of an abort behind a Sync of the client's is not part of the answer.
        if !(running.aborting && running.by_ready) {
            running.note(message, &mut self.transaction);
        }
        if matches!(running.handover, Handover::Forward | Handover::Replace(_)) {
            if running.withholds(message) && !self.open || !running.error.is_empty() {
                running.error.extend_from_slice(&message.raw);
            } else {
                out.to_client.extend_from_slice(&message.raw);
            }
        }
        if running.is_complete() {
            self.complete(out);
        }
        self.go_on(out);
    }

    /// The server is ready for the next request.
    fn ready(&mut self, message: &Message, out: &mut Output) {
        let State::Running(running) = &mut self.state else {
            return;
        };
        let status = ready_status(message);
        // A step that was sent without a Sync has got a Query all the same; the client has still to
        // send its own.
        let owes_sync = !running.by_ready && (running.is_replaced() || running.aborting);
        let mut passes = !owes_sync;
        match &running.handover {
            Handover::Forward | Handover::Replace(_) => {}
            Handover::DropAnswer => passes = false,
            Handover::AnswerWith {
                instead,
                abort,
                unless_committed,
            } => {
                if status == b'T' && !running.aborting {
                    running.aborting = true;
                    out.to_server.extend_from_slice(abort);
                    return;
                }
                let failed = running.answer.error.is_some() || running.aborting;
                if *unless_committed && status == b'I' && !failed {
                    passes = false;
                } else {
                    out.to_client.extend_from_slice(instead);
                }
            }
        }
        out.to_client.extend_from_slice(&running.error);
        if passes {
            out.to_client.extend_from_slice(&message.raw);
        }
        let next = match owes_sync {
            true => State::Skipping { swallow: true },
            false => State::Idle,
        };
        self.end_step(status, next, out);
    }

    /// The step that runs is over, though the server is not ready.
    fn complete(&mut self, out: &mut Output) {
        let State::Running(running) = &mut self.state else {
            return;
        };
        let status = self.transaction.status();
        let failed = running.answer.error.is_some();
        let mut next = match failed {
            true => State::Skipping { swallow: false },
            false => State::Idle,
        };
        if let Handover::AnswerWith {
            instead,
            abort,
            unless_committed,
        } = &running.handover
        {
            if !failed && status == b'T' {
                running.aborting = true;
                out.to_server.extend_from_slice(abort);
                return;
            }
            if failed || !unless_committed {
                out.to_client.extend_from_slice(instead);
                next = State::Skipping { swallow: !failed };
            }
        }
        self.end_step(status, next, out);
    }

    /// The server says nothing more: what was kept back goes to the client.
    pub fn server_ended(&mut self, out: &mut Output) {
        if let State::Running(running) = &mut self.state {
            out.to_client.extend_from_slice(&running.error.split());
        }
    }

    fn end_step(&mut self, status: u8, next: State, out: &mut Output) {
        if let State::Running(mut running) = std::mem::replace(&mut self.state, next) {
            running.answer.status = status;
            running.answer.digest = running.came.digest();
            out.events.push(ConnectionEvent::Ended {
                step: running.step,
                answer: running.answer,
            });
        }
        self.go_on(out);
    }

    /// Passes on what need not wait any more, and holds the next step if there is one.
    fn go_on(&mut self, out: &mut Output) {
        // In real time nothing is kept waiting for answers to preparations.
        if let State::Running(running) = &self.state
            && self.open
            && running.is_executed()
            && self.pending.next_tag().is_some_and(|next| next != b'X')
        {
            let status = self.transaction.status();
            self.end_step(status, State::Idle, out);
            return;
        }
        while let Some(next) = self.pending.next_tag()
            && self.passes_at_once(next)
            && let Some(message) = self.pending.pop()
        {
            self.pass(&message, out);
        }
        if !matches!(self.state, State::Running(_)) {
            self.announce(out);
        }
    }

    /// If nothing is held or running and a whole step has arrived, holds it.
    fn announce(&mut self, out: &mut Output) {
        match &self.state {
            State::Idle => self.pass_left_overs(out),
            State::Skipping { .. } => {}
            State::Held { .. } | State::Running(_) => return,
        }
        if !self.pending.has_whole_burst() {
            return;
        }
        let commits = self.transaction.is_uncommitted();
        let length = match &self.state {
            State::Skipping { .. } => 1,
            _ => cut(self.pending.messages(), self.open, commits),
        };
        let messages = self.pending.messages().iter().take(length);
        let text = self.statements.text(messages, commits);
        let step = self.next_step;
        self.next_step += 1;
        self.state = State::Held {
            step,
            length,
            executions: Executions::of(&text),
        };
        out.events.push(ConnectionEvent::Held { step, text });
        if self.open {
            self.release(Handover::Forward, out);
        }
    }

    /// Left-overs of a COPY that failed are ignored by the server; Terminate asks for nothing, and
    /// neither does Flush by itself.
    fn pass_left_overs(&mut self, out: &mut Output) {
        while let Some(b'd' | b'c' | b'f' | b'H' | b'X') = self.pending.next_tag()
            && let Some(message) = self.pending.pop()
        {
            self.pass(&message, out);
        }
    }
}

/// The transaction status in a ReadyForQuery.
fn ready_status(message: &Message) -> u8 {
    message.body().first().copied().unwrap_or(b'I')
}

#[cfg(test)]
mod tests;
