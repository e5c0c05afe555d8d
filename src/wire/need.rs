//! What a step under way needs of its client, as far as the wire shows it.
//!
//! Owns the few answers to that question and the cell through which a connection's task tells them.
//! Knows nothing of what the server says of itself, and does not judge whether the pod will come up
//! with it.

use std::sync::{Arc, Mutex, PoisonError};

pub use crate::conductor::Need;

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
