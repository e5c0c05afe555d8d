//! WHAT MUST HOLD: one file an invariant, over facts that are derived from the history alone.
//!
//! Owns the verdict. Pure: no server, no clock, no files. Knows nothing of scenarios, of how the
//! history was made, or of how a verdict is shown.

mod absent;
mod again;
mod anomaly;
pub mod another_course;
mod answers;
mod belief;
mod clean_state;
mod contention;
mod cover;
mod exactly_once;
mod facts;
mod final_rows;
mod ghosts;
mod guards;
mod held_at_once;
mod honest_exit;
mod judge;
mod lease;
mod limit;
mod limits;
mod mutual_exclusion;
mod no_errors;
mod no_leak;
mod process_end;
mod progress;
mod reports;
mod rows;
mod ruling;
mod same_session;
mod serializable;
mod several;
mod snapshot_age;
mod text;
mod until_commit;
mod verdict;
mod whole;
mod work_under_lock;
mod workers;

#[cfg(test)]
mod samples;
#[cfg(test)]
mod story;
#[cfg(test)]
mod tests;

pub use answers::{may_be_answer, may_exist_already, refusals};
pub use facts::{
    answered, known_errors_of, named_constraint, named_table, names_made, was_refused,
};
pub use judge::{judge, judge_knowing, serial_orders};
pub use limit::Limit;
pub use verdict::*;
pub use whole::whole;
