//! What one executed step touched, and which two steps may change places.
//!
//! Owns footprints: tables read and written, foreign keys that are checked on the way, advisory
//! locks taken and given back, transactions ended. They are derived from an executed run alone: writes
//! from the witness, else from the text; reads from the parser; the rest from the catalog. Pure. Knows
//! nothing of what a strategy does with them. Where neither witness nor parser can tell, a step
//! touches [everything](Footprint::everything).
//!
//! # When two steps are independent
//!
//! [`independent()`] is what partial-order reduction rests on (Godefroid, "Partial-Order Methods for
//! the Verification of Concurrent Systems", LNCS 1032, 1996; Flanagan and Godefroid, "Dynamic
//! Partial-Order Reduction", POPL 2005): two steps of different pods that follow each other may
//! change places if nothing that anybody looks at tells the two orders apart. Here three things look:
//! the pods (their answers), the server (who waits for whom) and the invariants. The argument, for steps
//! `s` and `t` of two pods:
//!
//! * **Answers.** In READ COMMITTED each statement sees what is committed when it begins. If `s` writes no
//!   table that `t` reads, writes, or checks by a foreign key, and the other way round, neither sees
//!   the other's effect, and the tables end up the same. A step that ends a transaction makes
//!   everything visible that the transaction did: it has the footprint of the whole transaction. A
//!   connection that asks for another isolation level takes snapshots that outlive the statement: all its
//!   steps touch everything.
//! * **Waiting.** Statements wait for row locks (same table), table locks (same table, or one tied to it
//!   by a foreign key, for DDL), unique keys (same table), advisory locks (same key). Locks of a transaction
//!   last until its end, which again has the whole transaction's footprint. A failed statement in a
//!   transaction gives its locks back at once, and counts as an end.
//! * **Sessions that end** give back locks and roll back. That is nobody's step; it counts as the
//!   doing of the pod's last step before it, as does every lock that is seen to come or go without a
//!   call in the text, and every look-up in the catalog that a driver makes unasked.
//! * **Preparations** (Parse, whose answer the client waits for) are the doing of the pod's next step:
//!   a turn that counts steps stops before them.
//! * **Invariants.** work-under-lock and mutual-exclusion look at the order of writes of protected tables
//!   and advisory lock operations: these conflict, whatever the key. One exception: a call that had to
//!   wait did not take the lock when it was released; it got it by the step that gave the lock back,
//!   and that one conflicts with it (same key) and with all work. Where a pod does not hold the lock
//!   that the rule means, its section is from its first to its last protected write: such writes of
//!   two pods conflict. clean-state asks which pod ended last: the last steps of two pods conflict.
//!   Final rows are compared as sets, with columns that differ between serial runs left out.
//!
//! What is left out: guards (`overlap` asks whether two pods were at work at once), times, what a
//! pod exchanges with another outside the database, and operators, casts, types and event triggers that
//! run code of the database's own.
//! `tests/footprints.rs` runs pairs that are called independent in both orders on a real server.

mod derive;
mod independent;
mod merge;
mod request;
mod steps;
mod touched;
mod waits;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod waits_tests;

pub use independent::independent;
pub(super) use independent::{is_protected, writes_protected};
pub use steps::{Footprints, Step};
pub use touched::{Footprint, LockUse, LockUseKind};
pub use waits::WaitEnd;
