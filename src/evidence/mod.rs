//! WHAT THE SERVER SAYS: the witness, locks and sessions, the structured log, the final rows.
//!
//! Owns every question that is put to the server about a run, always over the harness's own
//! connection and never through a proxy, and to the pooler about whom it lets through. Knows nothing of schedules or verdicts.

mod catalog;
mod claim_key;
mod error;
mod gates;
mod lock_row;
mod lock_row_age;
mod lock_row_sql;
mod lock_row_watch;
mod log;
mod objects;
mod observer;
mod passage;
mod pooler;
mod rows;
mod witness;

pub use catalog::catalog;
pub use error::EvidenceError;
pub(crate) use error::text as driver_text;
pub use gates::{GateError, Gates, is_of_gate};
pub use lock_row::{FoundRow, find_row};
pub use lock_row_age::{Aged, age_row};
pub use lock_row_watch::watch_queue;
pub use log::{LogReader, LogRecord, ServerLog};
pub use objects::there;
pub use observer::{Activity, Observer};
pub use pooler::PoolerConsole;
pub use rows::{final_state, snapshot};
pub use witness::{
    WITNESS_SQL, Witnessed, fates, lost_of_witness, read_witness, rows_locked, watch_rows,
};
