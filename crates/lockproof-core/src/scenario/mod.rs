//! WHAT TO TEST: the TOML model, reading with spans, writing, JSON schema.
//!
//! Owns the scenario: what its file may say, what that means, and how it is written back. Pure but
//! for reading the file (and looking whether a schema file is there). Knows nothing of how a
//! scenario is run or judged. Every key that a file may hold stands in `file.rs`; what a value must
//! be, beyond its type, in `read.rs` and the files beside it; both ways are held together by a test
//! that writes any scenario and reads it again.

mod duration;
mod error;
mod fault_file;
mod file;
mod find;
mod flags;
#[cfg(test)]
mod fuzz;
mod lock_file;
mod model;
mod names;
mod overlay;
mod places;
mod read;
mod read_claim;
mod read_cronjob;
mod read_expect;
mod read_fault;
mod read_lock;
mod read_schedule;
mod read_search;
mod read_subject;
mod read_values;
mod schema;
mod server_file;
mod suggest;
mod toml_text;
mod write;
mod write_lock;

#[cfg(test)]
mod arbitrary;
#[cfg(test)]
mod lock_mistake_tests;
#[cfg(test)]
mod mistake_tests;

pub use duration::{NotADuration, parse_duration, write_duration};
pub use error::{Problem, ScenarioError};
pub use find::{OUTPUT_MARK, find};
pub use flags::{FlagShape, KEY_FLAGS, KEYS_WITHOUT_FLAG, KeyFlag};
pub use model::*;
pub use names::*;
pub use overlay::Overrides;
pub use places::{Places, places};
pub use read::{load, load_with, parse};
pub use schema::schema;
pub use write_lock::lock as write_lock;
