//! The result of a search with every strategy, as JSON and as a table. On sound jobs it is the figure of false
//! alarms.
//!
//! Owns their shape: `explore --strategy every --format json` prints it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::explore::{FoundJson, count};
use crate::history::ServerFacts;
use crate::search::Unclear;

/// What `explore --strategy every --format json` prints, and what is kept as `every.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EveryJson {
    /// The version of lockproof that made it.
    pub lockproof: String,
    /// The server.
    pub server: ServerFacts,
    /// The strategies, in their order.
    pub strategies: Vec<String>,
    /// Each sound subject.
    pub subjects: Vec<SoundJson>,
    /// How many schedules were run in all.
    pub schedules: u64,
    /// How many of them failed: false alarms, or an unsound subject.
    pub violations: u64,
    /// How many could not be judged.
    pub inconclusive: u64,
    /// How many held in which a fault did not fire, or a stop was not reached.
    pub missed: u64,
    /// All of it in a sentence.
    pub claim: String,
    /// The seed of random draws.
    pub seed: u64,
    /// How many schedules were run at once.
    pub jobs: usize,
    /// How long it all took, in milliseconds: clean runs included.
    pub elapsed_ms: u64,
    /// Whether an interrupt came before the end.
    pub interrupted: bool,
}

/// One sound subject.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SoundJson {
    /// The title of its scenario, or its command.
    pub name: String,
    /// Its scenario file, if it has one.
    pub file: Option<PathBuf>,
    /// What each strategy came to.
    pub searches: Vec<SearchedJson>,
}

/// One strategy on one subject.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SearchedJson {
    /// The strategy.
    pub strategy: String,
    /// How many schedules were run.
    pub schedules: u64,
    /// How many of them failed.
    pub violations: u64,
    /// How many could not be judged, or failed once and not again.
    pub inconclusive: u64,
    /// How many held in which a fault did not fire, or a stop was not reached.
    pub missed: u64,
    /// Why some could not be judged: each reason once.
    pub unclear: Vec<Unclear>,
    /// One of each failure.
    pub found: Vec<FoundJson>,
    /// Why there was nothing to run, if so.
    pub nothing: Option<String>,
    /// How long it took, in milliseconds.
    pub elapsed_ms: u64,
}

impl EveryJson {
    /// Adds up what the subjects came to, and says it.
    pub fn add_up(&mut self) {
        let searches = || self.subjects.iter().flat_map(|one| &one.searches);
        let sum = |of: fn(&SearchedJson) -> u64| searches().map(of).sum();
        self.schedules = sum(|one| one.schedules);
        self.violations = sum(|one| one.violations);
        self.inconclusive = sum(|one| one.inconclusive);
        self.missed = sum(|one| one.missed);
        let number = |number: usize, what: &str| count(number as u64, what);
        let strategies = match self.strategies.len() {
            1 => "1 strategy".to_owned(),
            more => format!("{more} strategies"),
        };
        self.claim = format!(
            "{} of {} with {strategies}: {} violated, {} unclear",
            count(self.schedules, "schedule"),
            number(self.subjects.len(), "subject"),
            self.violations,
            self.inconclusive
        );
    }

    /// The table: a subject a line, a strategy a column, each cell the number of schedules and, where
    /// there are any, of those that failed or were unclear.
    #[must_use]
    pub fn table(&self) -> String {
        let mut rows: Vec<Vec<String>> = Vec::new();
        let mut head = vec!["subject".to_owned()];
        head.extend(self.strategies.iter().cloned());
        head.extend(["in all".to_owned(), "seconds".to_owned()]);
        rows.push(head);
        for subject in &self.subjects {
            let stem = subject.file.as_ref().and_then(|file| file.file_stem());
            let name = stem.map(|stem| stem.to_string_lossy().into_owned());
            let mut row = vec![name.unwrap_or_else(|| subject.name.clone())];
            for strategy in &self.strategies {
                let of = |one: &&SearchedJson| one.strategy == *strategy;
                row.push(
                    subject
                        .searches
                        .iter()
                        .find(of)
                        .map_or_else(String::new, cell),
                );
            }
            let sum = |of: fn(&SearchedJson) -> u64| subject.searches.iter().map(of).sum::<u64>();
            row.push(sum(|one| one.schedules).to_string());
            row.push(format!("{:.1}", sum(|one| one.elapsed_ms) as f64 / 1000.0));
            rows.push(row);
        }
        aligned(&rows)
    }
}

fn cell(one: &SearchedJson) -> String {
    let mut text = match one.nothing {
        Some(_) => "–".to_owned(),
        None => one.schedules.to_string(),
    };
    if one.violations > 0 {
        text.push_str(&format!(", {} FAILED", one.violations));
    }
    if one.inconclusive > 0 {
        text.push_str(&format!(", {} unclear", one.inconclusive));
    }
    text
}

/// Columns under each other: the first to the left, the others to the right.
fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for row in rows {
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let gap = " ".repeat(width - cell.chars().count());
            out.push_str("  ");
            if column == 0 {
                out.push_str(cell);
                out.push_str(&gap);
            } else {
                out.push_str(&gap);
                out.push_str(cell);
            }
        }
        out.truncate(out.trim_end().len());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn searched(strategy: &str, schedules: u64, violations: u64) -> SearchedJson {
        SearchedJson {
            strategy: strategy.to_owned(),
            schedules,
            violations,
            inconclusive: 1,
            missed: 0,
            unclear: Vec::new(),
            found: Vec::new(),
            nothing: (schedules == 0).then(|| "no two steps conflict".to_owned()),
            elapsed_ms: 1500,
        }
    }

    #[test]
    fn the_figure_adds_up_and_the_table_shows_where_it_comes_from() {
        let subject = |name: &str, violations| SoundJson {
            name: "t".to_owned(),
            file: Some(PathBuf::from(format!("scenarios/sound/{name}.toml"))),
            searches: vec![
                searched("hazards", 10, violations),
                searched("overlap", 0, 0),
            ],
        };
        let mut document = EveryJson {
            lockproof: "0".to_owned(),
            server: ServerFacts {
                kind: "local".to_owned(),
                version: "15".to_owned(),
                description: "local".to_owned(),
            },
            strategies: vec!["hazards".to_owned(), "overlap".to_owned()],
            subjects: vec![subject("one", 0), subject("another", 2)],
            schedules: 0,
            violations: 0,
            inconclusive: 0,
            missed: 0,
            claim: String::new(),
            seed: 1,
            jobs: 3,
            elapsed_ms: 9,
            interrupted: false,
        };
        document.add_up();
        assert_eq!(
            document.claim,
            "20 schedules of 2 subjects with 2 strategies: 2 violated, 4 unclear"
        );
        let table = document.table();
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[0].starts_with("  subject"), "{table}");
        assert!(lines[2].contains("10, 2 FAILED, 1 unclear"), "{table}");
        assert!(lines[2].trim_end().ends_with("10      3.0"), "{table}");
        assert!(lines[1].contains("–, 1 unclear"), "{table}");
    }
}
