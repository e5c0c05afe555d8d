//! Calls of locks and their returns, by numbers, and what contradicts a lock in them.
//!
//! Owns the words in which `exclusion` is asked and answers. Knows no history.

use super::terms::{Action, Outcome};
use crate::name::LockMode;

/// A call: who asks what of which lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// The owner, by any number.
    pub owner: u32,
    /// The lock, by any number.
    pub lock: u32,
    /// What is asked.
    pub action: Action,
    /// Exclusive or share.
    pub mode: LockMode,
}

/// A call or a return, in the order in which they were seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockEvent {
    /// An operation is called. Its number is that of the call among calls, from 0.
    Call(Call),
    /// An operation returns. One that never does may have been done at any moment after its call.
    Return {
        /// The number of its call.
        call: u32,
        /// What came of it.
        outcome: Outcome,
    },
}

/// What contradicts a lock. Operations are named by the numbers of their calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breach {
    /// An acquire was done while another owner held the lock.
    Overlap {
        /// The acquire since which the other owner held it.
        holder: u32,
        /// The acquire that was done nevertheless.
        intruder: u32,
    },
    /// A release was done of what its owner cannot have held.
    NotHeld {
        /// The release.
        release: u32,
    },
}
