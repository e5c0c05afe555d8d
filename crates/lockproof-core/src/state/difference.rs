//! Where a state differs from that of a serial run.
//!
//! Owns the values, and which missing row is told beside which unexpected one.

use serde::{Deserialize, Serialize};

/// For how many rows the nearest one of the other side is looked for.
const PAIRED: usize = 200;

/// A table that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Its name.
    pub table: String,
    /// In what.
    #[serde(flatten)]
    pub what: Differs,
}

/// In what a table differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "differs", rename_all = "kebab-case")]
pub enum Differs {
    /// It is gone.
    Gone,
    /// It was not expected.
    NotExpected,
    /// It has other rows.
    Rows {
        /// How many rows were expected.
        expected: u64,
        /// How many there are.
        found: u64,
        /// The first that differ.
        first: Vec<RowDifference>,
        /// How many more differ.
        more: usize,
    },
    /// It is too large to be compared by rows; these columns have other values.
    Columns {
        /// Which.
        columns: Vec<String>,
    },
    /// It has other INVALID indexes.
    InvalidIndexes {
        /// Those that were expected.
        expected: Vec<String>,
        /// Those that there are.
        found: Vec<String>,
    },
}

/// A row that was expected and is not there, one that is there and was not expected, or both: the one in the
/// other's place.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RowDifference {
    /// The row that was expected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<Vec<Cell>>,
    /// The row that was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<Vec<Cell>>,
    /// Of both: the columns that differ.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
}

/// A column of a row, and its value; `None` is NULL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    /// The column.
    pub column: String,
    /// Its value.
    pub value: Option<String>,
}

/// The values of a row.
pub(super) fn values(cells: &[Cell]) -> Vec<Option<String>> {
    cells.iter().map(|cell| cell.value.clone()).collect()
}

/// Puts each missing row beside the unexpected one that has most in common with it.
/// Ids that may be others, and columns that are compared by the row that they refer to, count for nothing.
pub(super) fn pairs(
    wanted: Vec<Vec<Cell>>,
    mut seen: Vec<Vec<Cell>>,
    ids: &[&str],
    by_row: &[&str],
) -> Vec<RowDifference> {
    let mut pairs = Vec::new();
    let literal = |cell: &&Cell| {
        let column = cell.column.as_str();
        !ids.contains(&column) && !by_row.contains(&column)
    };
    for expected in wanted {
        let alike = |found: &Vec<Cell>| {
            let cells = expected.iter().filter(literal);
            cells.filter(|cell| found.contains(cell)).count()
        };
        let near = seen.iter().take(PAIRED).enumerate();
        let near = near.map(|(place, found)| (alike(found), std::cmp::Reverse(place)));
        let best = near.max().filter(|(alike, _)| *alike > 0);
        let found = best.map(|(_, std::cmp::Reverse(place))| seen.remove(place));
        let columns = match &found {
            Some(found) => {
                let cells = expected.iter().filter(literal);
                let differ = cells.filter(|cell| !found.contains(cell));
                let differ: Vec<String> = differ.map(|cell| cell.column.clone()).collect();
                if differ.is_empty() {
                    by_row.iter().map(|column| (*column).to_owned()).collect()
                } else {
                    differ
                }
            }
            None => Vec::new(),
        };
        pairs.push(RowDifference {
            expected: Some(expected),
            found,
            columns,
        });
    }
    pairs.extend(seen.into_iter().map(|found| RowDifference {
        found: Some(found),
        ..RowDifference::default()
    }));
    pairs
}
