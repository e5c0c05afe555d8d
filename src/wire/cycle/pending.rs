//! What a client has sent and what has not been let go: messages in their order, and how much of
//! them there is.

use std::collections::VecDeque;

use crate::wire::burst::ends_burst;
use crate::wire::frame::Message;

/// A client may send no more than this without an end, its longest message aside.
pub(super) const UNFINISHED: usize = 64 << 20;
/// What keeping a message takes beside its bytes.
const OVERHEAD: usize = 64;

/// Messages that wait.
#[derive(Debug, Default)]
pub(super) struct Pending {
    messages: VecDeque<Message>,
    bytes: usize,
    /// The longest message since nothing was pending.
    longest: usize,
    /// How many bursts have their end.
    whole_bursts: usize,
}

impl Pending {
    pub fn messages(&self) -> &VecDeque<Message> {
        &self.messages
    }

    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether a burst has its end.
    pub fn has_whole_burst(&self) -> bool {
        self.whole_bursts > 0
    }

    /// The tag of the next message.
    pub fn next_tag(&self) -> Option<u8> {
        self.messages.front().map(|message| message.tag)
    }

    pub fn push(&mut self, message: Message) {
        self.longest = match self.messages.is_empty() {
            true => message.raw.len(),
            false => self.longest.max(message.raw.len()),
        };
        self.bytes += message.raw.len();
        self.whole_bursts += usize::from(ends_burst(&message));
        self.messages.push_back(message);
    }

    pub fn pop(&mut self) -> Option<Message> {
        let message = self.messages.pop_front()?;
        self.bytes -= message.raw.len();
        self.whole_bursts -= usize::from(ends_burst(&message));
        Some(message)
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Whether this is longer than any burst may be that has no end yet.
    pub fn is_too_long(&self) -> bool {
        let kept = self.bytes + self.messages.len() * OVERHEAD;
        kept.saturating_sub(self.longest) > UNFINISHED
    }
}
