//! LOCK OPERATIONS: what was asked of advisory locks and what came of it, as others write it down.
//!
//! A history tells what went over the wire and what the server showed. This room reads the events of
//! the ledger as operations on locks, each from its call to its return, with the outcomes that Jepsen
//! knows: done, not done, and "may or may not have been done". Owns that reading, the two formats in
//! which others check such histories (Jepsen's EDN, Porcupine's events), and the check in one pass whether a lock
//! was ever held by two. Pure; knows nothing of rules, of writes or of verdicts.

mod calls;
mod doubt;
mod edn;
mod events;
mod exclusion;
mod locks;
mod porcupine;
mod reading;
mod sections;
mod slot;
mod step;
mod terms;
#[cfg(test)]
mod tests;
mod timeline;

pub use edn::write_edn;
pub use events::{Breach, Call, LockEvent};
pub use exclusion::{MalformedEvents, exclusion};
pub use porcupine::write_porcupine;
pub use reading::operations;
pub use reading::operations_of;
pub use terms::{Action, By, LockOperation, Outcome, Place, Reason};
pub use timeline::{Moment, Timeline, timeline};
