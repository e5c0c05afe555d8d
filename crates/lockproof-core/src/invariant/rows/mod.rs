//! Rows of a table are the lock: what must hold then.
//!
//! One file an invariant, over the book of row locks (`ledger::RowLocks`) and the writes of protected tables;
//! `standing` says how a write stands to the rows that were locked when it was done. Knows nothing of locks that
//! `pg_locks` shows.

mod contention;
mod mutual_exclusion;
mod same_session;
mod standing;
mod work_under_lock;

pub(super) use contention::asked_while_locked;
pub(super) use mutual_exclusion::judge as mutual_exclusion;
pub(super) use same_session::judge as same_session;
pub(super) use work_under_lock::judge as work_under_lock;
