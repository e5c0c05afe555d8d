//! WHAT THINGS ARE CALLED: pods, connections, sessions, steps, locks, invariants and guards.
//!
//! Owns the names by which schedules, histories, scenarios and verdicts speak of the same thing, and
//! their spelling. Lies under all of these; knows nothing of what happens to what it names.

mod anomaly;
mod lock;
mod named;
mod pod;
mod rule;
mod session;
mod table;

pub use anomaly::Anomaly;
pub(crate) use lock::is_first;
pub use lock::{KeyForm, LockKey, LockMode};
pub(crate) use named::named;
pub use pod::{ConnectionName, NotAConnectionName, PodName};
pub use rule::{GuardName, InvariantName};
pub use session::{Session, StepId};
pub use table::TableName;
