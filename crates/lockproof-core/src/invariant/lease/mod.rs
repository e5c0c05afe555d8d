//! The lock is a row of a table, or each row of a queue is one, or each key that was claimed: what must hold then.
//!
//! One file an invariant, over the books of the rows (`ledger::RowBooks`) and the writes of protected tables;
//! `order` says which of two commits came first, `evidence` what is not known, `story` how it is told. Knows
//! nothing of locks that `pg_locks` shows.

mod claims;
mod contention;
mod evidence;
mod exactly_once;
mod fencing;
mod late;
mod lost_work;
mod mutual_exclusion;
mod no_leak;
mod order;
mod reports;
mod rows;
mod same_owner;
mod spans;
mod standing;
mod story;
mod work_under_lock;

pub(super) use contention::{asked_while_had, claimed, was_refused};
pub(super) use exactly_once::done_once;
pub(super) use fencing::judge as fencing;
pub(super) use lost_work::lost_with_claimers;
pub(super) use mutual_exclusion::judge as mutual_exclusion;
pub(super) use no_leak::{left, left_to_time};
pub(super) use reports::reports;
pub(super) use rows::with_the_row;
pub(super) use same_owner::judge as same_owner;
pub(super) use work_under_lock::judge as work_under_lock;
