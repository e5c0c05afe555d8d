//! What a search has done, kept so that one that was broken off can be gone on with.
//!
//! Owns the file and its format: what it was the search of, and then a line for each schedule that was run and
//! did not fail, with its verdict and its history. What failed is run again: a failure must be seen to count.
//! Strategies and counts know nothing of it: a schedule that is in the file is handed on as if it had been
//! run just now.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::strategy::Settings;
use super::trial::Outcome;
use super::weighing::Confirmation;
use crate::history::private;
use crate::invariant::Verdict;
use crate::run::{Timings, fold, unfold};
use crate::schedule::Schedule;

/// The name of the file in the directory of a search.
const CHECKPOINT: &str = "checkpoint.jsonl";

/// What a search is the search of: the first line of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sought {
    /// The version of the format.
    pub format: u32,
    /// The version of lockproof.
    pub lockproof: String,
    /// The strategy with its settings.
    pub strategy: Settings,
    /// Whether it goes on after a failure.
    pub all: bool,
    /// Whether it leaves switch points out.
    pub sample: bool,
    /// The faults that it was told to do, by their names.
    pub faults: Vec<String>,
    /// Which part of the schedules: the index, and of how many.
    pub shard: (u64, u64),
    /// The version of the server.
    pub server: String,
    /// A digest of the scenario and the files that it names.
    pub subject: String,
    /// A hash over what the job does alone, where it always does the same.
    pub course: Option<String>,
}

impl Sought {
    /// The version of the format that is written now.
    pub const FORMAT: u32 = 2;

    /// What is another in the file, if something is.
    fn other(&self, file: &Self) -> Option<String> {
        fn text(value: &impl Serialize) -> String {
            serde_json::to_string(value).unwrap_or_default()
        }
        let part = |(index, of): (u64, u64)| format!("{index}/{of}");
        let told = [
            ("its format", text(&self.format), text(&file.format)),
            ("lockproof", self.lockproof.clone(), file.lockproof.clone()),
            ("its strategy", text(&self.strategy), text(&file.strategy)),
            ("--all", text(&self.all), text(&file.all)),
            ("--sample", text(&self.sample), text(&file.sample)),
            ("--faults", self.faults.join(","), file.faults.join(",")),
            ("its part", part(self.shard), part(file.shard)),
            ("the server", self.server.clone(), file.server.clone()),
        ];
        let mut differ = told.into_iter().filter(|(_, now, then)| now != then);
        if let Some((what, now, then)) = differ.next() {
            return Some(format!("{what} was {then} and is {now}"));
        }
        let words =
            "the command, a file that it names, the schema, or a key of the scenario has changed";
        (self.subject != file.subject).then(|| words.to_owned())
    }
}

/// Why a search cannot be gone on with.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The file cannot be read.
    #[error("cannot read {}: {cause}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// It is none of ours, or broken.
    #[error("{} is no checkpoint of a search: {why}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// It is that of another search.
    #[error("{} is the checkpoint of another search: {why}. Search anew, without --resume", path.display())]
    Other {
        /// The file.
        path: PathBuf,
        /// What differs.
        why: String,
    },
}

/// A schedule that was run.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    /// Its place in the strategy.
    index: u64,
    /// A digest of it.
    schedule: String,
    verdict: Verdict,
    trace_hash: String,
    /// The lines of its history, compressed.
    history: String,
}

/// What an earlier search has done; by default nothing.
#[derive(Debug, Default)]
pub struct Earlier {
    /// The file, and what it is the checkpoint of.
    of: Option<(PathBuf, Sought)>,
    /// The entries as they stand in the file, each under its place and the digest of its schedule.
    entries: HashMap<(u64, String), String>,
}

impl Earlier {
    /// Reads what is in this directory, or in that of a search in it; nothing where there is no checkpoint.
    ///
    /// # Errors
    /// When it cannot be read, or is no checkpoint.
    pub fn read(directory: &Path) -> Result<Self, CheckpointError> {
        let places = [directory.to_owned(), directory.join("explore")];
        let mut places = places.iter().map(|place| place.join(CHECKPOINT));
        let Some(path) = places.find(|path| path.exists()) else {
            return Ok(Self::default());
        };
        let unreadable = |cause| CheckpointError::Unreadable {
            path: path.clone(),
            cause,
        };
        let mut lines = BufReader::new(File::open(&path).map_err(unreadable)?).split(b'\n');
        let first = lines.next().transpose().map_err(unreadable)?;
        let sought = serde_json::from_slice(&first.unwrap_or_default()).map_err(|error| {
            let why = error.to_string();
            CheckpointError::Malformed {
                path: path.clone(),
                why,
            }
        })?;
        let mut entries = HashMap::new();
        for line in lines {
            let line = line.map_err(unreadable)?;
            // The last line of a search that was killed may be cut. Nothing that cannot be read is believed.
            let Ok(text) = String::from_utf8(line) else {
                continue;
            };
            if let Ok(entry) = serde_json::from_str::<Entry>(&text) {
                entries.insert((entry.index, entry.schedule), text);
            }
        }
        Ok(Self {
            of: Some((path, sought)),
            entries,
        })
    }

    /// Whether it is of this search.
    ///
    /// # Errors
    /// When it is of another one.
    pub fn is_of(&self, sought: &Sought) -> Result<(), CheckpointError> {
        let Some((path, file)) = &self.of else {
            return Ok(());
        };
        sought.other(file).map_or(Ok(()), |why| {
            let path = path.clone();
            Err(CheckpointError::Other { path, why })
        })
    }

    /// Whether the job, alone and undisturbed, did the same then, as far as it always does.
    #[must_use]
    pub fn goes_as(&self, sought: &Sought) -> bool {
        let then = self.of.as_ref().and_then(|(_, file)| file.course.as_ref());
        match (&sought.course, then) {
            (Some(now), Some(then)) => now == then,
            _ => true,
        }
    }

    /// How many schedules it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// The checkpoint of a search that is under way.
#[derive(Debug)]
pub struct Checkpoint<'e> {
    path: PathBuf,
    file: Option<File>,
    /// What is not run again.
    earlier: Option<&'e Earlier>,
    /// Why the search cannot be gone on with later, if so.
    failed: Option<String>,
}

impl<'e> Checkpoint<'e> {
    /// Of a search that begins, or goes on, in this directory. What cannot be written is told by
    /// [`Checkpoint::failed`]: the search goes on without.
    #[must_use]
    pub fn begin(directory: &Path, sought: &Sought, earlier: Option<&'e Earlier>) -> Self {
        let path = directory.join(CHECKPOINT);
        let mut checkpoint = Self {
            file: None,
            failed: None,
            earlier,
            path,
        };
        let begun = private::create(&checkpoint.path).and_then(|mut file| {
            let mut whole = serde_json::to_string(sought).map_err(io::Error::from)?;
            whole.push('\n');
            for entry in earlier.iter().flat_map(|one| one.entries.values()) {
                whole.push_str(entry);
                whole.push('\n');
            }
            file.write_all(whole.as_bytes())?;
            Ok(file)
        });
        match begun {
            Ok(file) => checkpoint.file = Some(file),
            Err(error) => checkpoint.give_up(&error),
        }
        checkpoint
    }

    /// Whether this schedule was run in the earlier search.
    pub(super) fn knows(&self, index: u64, schedule: &Schedule) -> bool {
        let earlier = self.earlier.filter(|earlier| !earlier.is_empty());
        earlier.is_some_and(|one| one.entries.contains_key(&(index, digest(schedule))))
    }

    /// What came of this schedule in the earlier search, if it was run there.
    pub(super) fn known(&self, index: u64, schedule: &Schedule) -> Option<Outcome> {
        let text = self.earlier?.entries.get(&(index, digest(schedule)))?;
        let entry: Entry = serde_json::from_str(text).ok()?;
        let lines = unfold(&STANDARD.decode(entry.history).ok()?).ok()?;
        Some(Outcome {
            lines,
            verdict: entry.verdict,
            unweighed: None,
            unexpected: Vec::new(),
            trace_hash: entry.trace_hash,
            confirmation: Confirmation::NotNeeded,
            took: std::time::Duration::ZERO,
            prepared: std::time::Duration::ZERO,
            timings: Timings::default(),
        })
    }

    /// Keeps what came of a schedule that was run and did not fail.
    pub(super) fn keep(&mut self, index: u64, schedule: &Schedule, outcome: &Outcome) {
        let Some(file) = &mut self.file else {
            return;
        };
        if outcome.verdict.violated().next().is_some() {
            return;
        }
        let written = fold(&outcome.lines).and_then(|history| {
            let entry = Entry {
                index,
                schedule: digest(schedule),
                verdict: outcome.verdict.clone(),
                trace_hash: outcome.trace_hash.clone(),
                history: STANDARD.encode(history),
            };
            let line = serde_json::to_string(&entry).map_err(io::Error::from)?;
            // A line at once, so that one that was killed has whole lines but the last.
            file.write_all((line + "\n").as_bytes())
        });
        if let Err(error) = written {
            self.give_up(&error);
        }
    }

    /// Why this search cannot be gone on with later, if it cannot.
    #[must_use]
    pub fn failed(&self) -> Option<&str> {
        self.failed.as_deref()
    }

    /// The search has come to its end: there is nothing to go on with.
    pub fn remove(self) {
        let _ = fs::remove_file(&self.path);
    }

    fn give_up(&mut self, error: &io::Error) {
        self.failed = Some(format!("cannot write {}: {error}", self.path.display()));
        self.file = None;
    }
}

/// What two equal schedules have in common.
fn digest(schedule: &Schedule) -> String {
    let text = serde_json::to_string(schedule).unwrap_or_default();
    blake3::hash(text.as_bytes()).to_hex().to_string()
}
