//! Many schedules as a grid: a sweep by fault and step, the orders of two pods by their steps.
//!
//! Owns the values, which a search keeps as `grids.json` in its directory. Draws nothing.

use serde::{Deserialize, Serialize};

use crate::invariant::Judgement;

/// A grid of schedules.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Grid {
    /// What it is of.
    pub title: String,
    /// How it is read, in a sentence.
    pub words: String,
    /// What the columns are.
    pub across: String,
    /// The names of the columns.
    pub columns: Vec<String>,
    /// The rows, from top to bottom.
    pub rows: Vec<GridRow>,
    /// The scenario file without its schedule: with that of a cell it makes the cell's run again.
    pub scenario: Option<String>,
}

/// A row of a grid.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct GridRow {
    /// Its name.
    pub name: String,
    /// A cell for each column; none where no schedule was run.
    pub cells: Vec<Option<Cell>>,
}

/// A schedule in a grid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    /// What was said of it.
    pub judgement: Judgement,
    /// Whether what the schedule asks for came about: the fault fired.
    pub came_about: bool,
    /// What it was, in words.
    pub words: String,
    /// Its part of a scenario file.
    pub schedule: Option<String>,
}

impl Grid {
    /// Puts a cell at the crossing of these names; a row or a column that is not there yet is added at the end.
    pub fn put(&mut self, row: &str, column: &str, cell: Cell) {
        let across = self.columns.iter().position(|one| one == column);
        let across = across.unwrap_or_else(|| {
            self.columns.push(column.to_owned());
            self.columns.len() - 1
        });
        let down = self.rows.iter().position(|one| one.name == row);
        let down = down.unwrap_or_else(|| {
            self.rows.push(GridRow {
                name: row.to_owned(),
                cells: Vec::new(),
            });
            self.rows.len() - 1
        });
        let cells = &mut self.rows[down].cells;
        if cells.len() <= across {
            cells.resize(across + 1, None);
        }
        cells[across] = Some(cell);
    }

    /// Gives every row as many cells as there are columns.
    #[must_use]
    pub fn filled(mut self) -> Self {
        for row in &mut self.rows {
            row.cells.resize(self.columns.len(), None);
        }
        self
    }
}
