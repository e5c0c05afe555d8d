//! One look at `pg_locks`.
//!
//! Owns its shape. Who holds what by it is the business of `ledger` and `holders`.

use crate::history::HeldLock;

/// The advisory locks of the run's database at one moment.
#[derive(Debug)]
pub(crate) struct Snapshot<'a> {
    pub seq: u64,
    pub server_us: i64,
    pub locks: Vec<&'a HeldLock>,
}
