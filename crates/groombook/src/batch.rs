//! Rows that wait for the next flush.
//!
//! Owns the order in which a flush sends them: parents first. Knows nothing of where rows come from.

use super::rows;

/// Rows of the five tables that a flush fills, each row as SQL without its parentheses.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) appointments: Vec<String>,
    pub(super) invoices: Vec<String>,
    pub(super) line_items: Vec<String>,
    pub(super) tip_splits: Vec<String>,
    pub(super) visit_logs: Vec<String>,
}

impl Batch {
    /// The statements of a flush; a table with no rows has none. Nothing waits afterwards.
    pub(super) fn flush(&mut self) -> Vec<String> {
        let Self {
            appointments,
            invoices,
            line_items,
            tip_splits,
            visit_logs,
        } = std::mem::take(self);
        [
            (rows::APPOINTMENTS, appointments),
            (rows::INVOICES, invoices),
            (rows::LINE_ITEMS, line_items),
            (rows::TIP_SPLITS, tip_splits),
            (rows::VISIT_LOGS, visit_logs),
        ]
        .into_iter()
        .filter(|(_, rows)| !rows.is_empty())
        .map(|(table, rows)| table.insert(&rows))
        .collect()
    }
}
