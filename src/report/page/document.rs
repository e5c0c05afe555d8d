//! All that a page is drawn from: one run, or two on the same axis.
//!
//! Owns that value.

use serde::Serialize;

use super::axis::{self, Axis};
use super::data::RunData;
use super::run::StoredRun;

/// All of a page.
#[derive(Debug, Serialize)]
pub(super) struct PageData {
    /// The run, and where there is one the run beside it.
    pub runs: Vec<RunData>,
    /// How many columns the logical axis has.
    pub columns: usize,
    /// Where the two part first: the column, and what each does there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parts: Option<axis::Parting>,
}

impl PageData {
    /// Of these runs, one or two.
    pub(super) fn of(runs: &[StoredRun<'_>]) -> Self {
        let mut all: Vec<RunData> = runs.iter().map(RunData::of).collect();
        let (columns, parts) = match all.as_mut_slice() {
            [one] => (Axis::alone(one), None),
            [one, other] => axis::together(one, other),
            _ => (0, None),
        };
        Self {
            runs: all,
            columns,
            parts,
        }
    }
}
