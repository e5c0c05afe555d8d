//! What a step under way needs of its client, as far as the wire shows it.
//!
//! Owns the few answers to that question and the cell through which a connection's task tells them.
//! Knows nothing of what the server says of itself, and does not judge whether the pod will come up
//! with it.

use std::sync::{Arc, Mutex, PoisonError};

/// What a step needs of its client in order to go on. Equal at two looks: nothing has passed in
/// between that could meet it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Need {
    /// Nothing: the server is at work, or its answer is on the way, or no step runs.
    #[default]
    Nothing,
    /// More of a COPY. Whether the server has taken in what was sent, only the server can tell.
    Data {
        /// How many bytes the connection has sent to the server so far.
        sent: u64,
    },
    /// Its next message: all that it has sent is answered, and its Sync is still to come.
    Message,
    /// Nothing: bytes from it or for it are on a slow link.
    Late,
    /// That it reads on: what waits for it is as much as the proxy takes.
    Reading {
        /// How many bytes the connection has sent to the client so far.
        taken: u64,
    },
}

/// What a connection needs right now; written by its task, read by whoever drives the gate.
#[derive(Debug, Clone, Default)]
pub(super) struct NeedCell(Arc<Mutex<Need>>);

impl NeedCell {
    pub fn set(&self, need: Need) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = need;
    }

    pub fn get(&self) -> Need {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
