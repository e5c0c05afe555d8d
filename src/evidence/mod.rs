//! WHAT THE SERVER SAYS: the witness, locks and sessions, the structured log, the final rows.
//!
//! Owns every question that is put to the server about a run, always over the harness's own
//! connection and never through a proxy. Knows nothing of schedules or verdicts.

mod catalog;
mod error;
mod log;
mod observer;
mod rows;
mod witness;

pub use catalog::catalog;
pub use error::EvidenceError;
pub(crate) use error::text as driver_text;
pub use log::{LogReader, LogRecord};
pub use observer::{Activity, Observer};
pub use rows::{ColumnDigests, column_digests, final_state};
pub use witness::{WITNESS_SQL, read_witness};
