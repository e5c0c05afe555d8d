//! LEDGER: who holds which lock, from when to when.
//!
//! `event` reads a timeline once more for locks: which calls were made and what was answered, what
//! drops locks unasked (the end of a transaction or a session, DISCARD ALL), what `pg_locks` showed.
//! Two things follow from these events. `reading` makes grants of them: what is *sure*, for
//! invariants, footprints, play and refutations. The room `operation` makes operations of them: what
//! *may* have been, each as wide as it can have been. `kind` has the rules of a kind of lock: what
//! conflicts, what ends a hold. A new way in which a lock is taken or ends is made in `event` and
//! `kind`, and both readers have it. A lock that is a row of a table has a book of its own, `lease`, and so have
//! rows that transactions lock, `row_locks`. Pure. Knows nothing of which lock ought to be held.

mod book;
mod calls;
mod coverage;
mod event;
mod grant;
mod holders;
mod isolation;
mod kind;
mod lease;
mod lease_reading;
mod lease_words;
mod likely_claim;
mod likely_queue;
mod likely_row;
mod lock_rows;
mod reading;
mod row_guards;
mod row_locks;
#[cfg(test)]
mod tests;
mod unlocks;
mod used;
mod work;

pub use book::Ledger;
pub use calls::{keyed_calls, rule_keys_of};
pub use coverage::{Coverage, Guard};
pub use event::{LedgerEvent, Said, ledger_events};
pub use grant::{Grant, How};
pub use holders::{Holder, Holders, served};
pub use isolation::{Loose, LooseHow, not_serializable};
pub use kind::{LetGo, LockKind};
pub use lease::{Deed, Gap, LeaseChange, LeaseSection, Leases, RowBooks, SectionEnd};
pub use lease_words::{asks_for_row, tells_of_claim, told_lost};
pub use likely_claim::{LikelyClaim, likely_claims};
pub use likely_queue::{LikelyQueue, keeps_claims, likely_queue};
pub use likely_row::likely_lock_row;
pub use lock_rows::lock_rows_of;
pub use row_guards::{keeps_rows, row_guards};
pub use row_locks::{Asked, RowHold, RowLocks, RowLook, asked_by};
pub use unlocks::{FailedUnlock, failed_unlocks};
pub use used::{is_kept, used_keys};
