//! Rows that differ, a line each.
//!
//! Owns those lines. `invariant` decides which rows stand for a difference.

use crate::state::{Cell, Differs, RowDifference};

/// A terminal shows so many rows; the page of a run shows all that a difference has.
const ROWS: usize = 10;
/// Longer values are cut.
const VALUE: usize = 60;

/// The rows of a difference that are told, and how many more there are.
#[must_use]
pub fn row_lines(differs: &Differs) -> Vec<String> {
    let Differs::Rows { first, more, .. } = differs else {
        return Vec::new();
    };
    let mut lines: Vec<String> = first.iter().take(ROWS).map(line).collect();
    let more = more + first.len().saturating_sub(ROWS);
    if more > 0 {
        lines.push(format!("- and {more} more"));
    }
    lines
}

fn line(row: &RowDifference) -> String {
    match (&row.expected, &row.found) {
        (Some(expected), Some(_)) if row.columns.is_empty() => {
            format!("- other rows refer to {} than expected", cells(expected))
        }
        (Some(expected), Some(found)) => format!(
            "- {}: expected {}, found {}",
            row.columns.join(", "),
            cells(expected),
            cells(found)
        ),
        (Some(expected), None) => format!("- missing: {}", cells(expected)),
        (None, Some(found)) => format!("- not expected: {}", cells(found)),
        (None, None) => "- a row differs".to_owned(),
    }
}

fn cells(cells: &[Cell]) -> String {
    let cells: Vec<String> = cells.iter().map(cell).collect();
    format!("({})", cells.join(", "))
}

fn cell(cell: &Cell) -> String {
    let value = match &cell.value {
        None => "NULL".to_owned(),
        Some(value) if value.chars().count() > VALUE => {
            let start: String = value.chars().take(VALUE).collect();
            format!("'{start}…'")
        }
        Some(value) => format!("'{value}'"),
    };
    format!("{} {value}", cell.column)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: &str, name: Option<&str>) -> Vec<Cell> {
        let cell = |column: &str, value: Option<&str>| Cell {
            column: column.to_owned(),
            value: value.map(str::to_owned),
        };
        vec![cell("id", Some(id)), cell("name", name)]
    }

    #[test]
    fn each_row_says_what_was_expected_and_what_was_found() {
        let differs = Differs::Rows {
            expected: 2,
            found: 2,
            first: vec![
                RowDifference {
                    expected: Some(row("1", Some("x"))),
                    found: Some(row("1", None)),
                    columns: vec!["name".to_owned()],
                },
                RowDifference {
                    found: Some(row("2", Some(&"y".repeat(70)))),
                    ..RowDifference::default()
                },
            ],
            more: 3,
        };
        let lines = row_lines(&differs);
        assert_eq!(
            lines[0],
            "- name: expected (id '1', name 'x'), found (id '1', name NULL)"
        );
        assert!(lines[1].starts_with("- not expected: (id '2', name 'yyy"));
        assert!(lines[1].ends_with("…')"));
        assert_eq!(lines[2], "- and 3 more");
    }
}
