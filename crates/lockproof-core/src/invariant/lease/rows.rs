//! The final rows of the lock's own table.
//!
//! Owns how it is told that they are not compared: who has the lock last, and until when, is another in every
//! run, and what is left of it is no-leak's affair. That table may have other rows, which nobody compares then.

use super::super::limit::Limit;
use crate::ledger::RowBooks;
use crate::state::Reason;

/// These limits, with one for the lock's table in the place of all that they say of it.
pub(in super::super) fn with_the_row(books: &RowBooks<'_>, limits: Vec<Limit>) -> Vec<Limit> {
    // What is left of a queue, or of claims, is the job's work.
    if books.rule.is_many() {
        return limits;
    }
    let table = &books.rule.table;
    let column = format!("{table}.");
    let others = |names: Vec<String>| -> Vec<String> {
        let own = |name: &String| name == table || name.starts_with(&column);
        names.into_iter().filter(|name| !own(name)).collect()
    };
    let left = limits.into_iter().filter_map(|limit| match limit {
        Limit::ColumnsNotCompared { columns, reason } => {
            let columns = others(columns);
            (!columns.is_empty()).then_some(Limit::ColumnsNotCompared { columns, reason })
        }
        Limit::TablesNotCompared { tables, reason } => {
            let tables = others(tables);
            (!tables.is_empty()).then_some(Limit::TablesNotCompared { tables, reason })
        }
        Limit::OnlyCounted { tables } => {
            let tables = others(tables);
            (!tables.is_empty()).then_some(Limit::OnlyCounted { tables })
        }
        other => Some(other),
    });
    let lock = Limit::TablesNotCompared {
        tables: vec![table.clone()],
        reason: Reason::Lock,
    };
    left.chain([lock]).collect()
}
