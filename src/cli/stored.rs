//! Stored runs: reading a run directory, and judging what is in it again.
//!
//! Owns which of its files are read, how the two later runs are weighed, and what is said where there is none.

use std::path::{Path, PathBuf};

use super::common::Failure;
use super::exit::Exit;
use crate::history::{self, Line};
use crate::invariant::{Verdict, judge_knowing, whole};
use crate::name::PodName;
use crate::search::{CONFIRMATION, HISTORY, LET_GO, weigh, weigh_giving_up, without_data};

/// Searches keep their runs no deeper than this below their directory.
const MOST_DEPTH: usize = 4;

/// What is in a run directory.
#[derive(Debug)]
pub struct Stored {
    /// Its history.
    pub lines: Vec<Line>,
    /// What is said of it, the later runs weighed.
    pub verdict: Verdict,
    /// The history of the second run in which whoever was waited for goes on, where there is one.
    let_go: Option<Vec<Line>>,
    /// The history of the second run without the witness, where there is one.
    bare: Option<Vec<Line>>,
}

impl Stored {
    /// Reads and judges a run directory.
    ///
    /// # Errors
    /// When there is no history, it cannot be judged, or it lacks lines that its run must have written.
    pub fn read(dir: &Path) -> Result<Self, Failure> {
        let history = dir.join(HISTORY);
        if !history.exists() {
            return Err(no_history(dir));
        }
        let (lines, mut verdict) = verdict_of(&history, &[])?;
        let there = |name: &str| Some(dir.join(name)).filter(|path| path.exists());
        let mut let_go = None;
        if let Some(path) = there(LET_GO) {
            let (later, of_later) = verdict_of(&path, &[])?;
            weigh_giving_up(&mut verdict, &lines, &of_later);
            let_go = Some(later);
        }
        let mut bare = None;
        if let Some(path) = there(CONFIRMATION) {
            let (later, of_later) = verdict_of(&path, &verdict.worked)?;
            weigh(&mut verdict, &of_later);
            bare = Some(later);
        }
        Ok(Self {
            lines,
            verdict,
            let_go,
            bare,
        })
    }

    /// The same without the job's data.
    #[must_use]
    pub fn without_data(self) -> Self {
        let (let_go, bare) = (self.let_go.as_deref(), self.bare.as_deref());
        let (lines, verdict) = without_data(&self.lines, let_go, bare, &self.verdict);
        Self {
            lines,
            verdict,
            let_go: None,
            bare: None,
        }
    }
}

fn verdict_of(path: &Path, worked: &[PodName]) -> Result<(Vec<Line>, Verdict), Failure> {
    let usage = |text: String| Failure::new(Exit::Usage, text);
    let lines = history::read(path).map_err(|error| usage(error.to_string()))?;
    let verdict = whole(&lines)
        .and_then(|()| judge_knowing(&lines, worked))
        .map_err(|error| usage(format!("{}: {error}", path.display())))?;
    Ok((lines, verdict))
}

/// The runs right below a directory, in the order of their names.
pub fn runs_below(dir: &Path) -> Vec<PathBuf> {
    let mut below: Vec<PathBuf> = std::fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.join(HISTORY).exists())
        .collect();
    below.sort();
    below
}

/// The runs anywhere below a directory, in the order of their names. What is below a run belongs to it.
pub fn runs_anywhere_below(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![(dir.to_owned(), 0)];
    while let Some((place, depth)) = open.pop() {
        for entry in std::fs::read_dir(place).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.join(HISTORY).exists() {
                found.push(path);
            } else if depth < MOST_DEPTH && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                open.push((path, depth + 1));
            }
        }
    }
    found.sort();
    found
}

/// Says where a history could be instead.
pub fn no_history(dir: &Path) -> Failure {
    let below: Vec<String> = runs_below(dir)
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let instead = if dir.is_file() {
        "it is a file; give the directory that it is in".to_owned()
    } else if !dir.exists() {
        "there is no such directory".to_owned()
    } else if below.is_empty() {
        "give the directory of one run, as `lockproof run` names it under artifacts".to_owned()
    } else {
        format!("give one of the runs in it: {}", below.join(", "))
    };
    Failure::new(
        Exit::Usage,
        format!("no {HISTORY} in {}: {instead}", dir.display()),
    )
}
