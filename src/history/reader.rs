//! Reading a stored history.
//!
//! Owns what is refused and what is tolerated: another version is refused, a cut last line is
//! tolerated and said. Knows nothing of what the events mean.

use std::path::{Path, PathBuf};

use super::event::{FORMAT, Line};

/// A history could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The file could not be written.
    #[error("cannot write the history {}: {cause}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: std::io::Error,
    },
    /// The file could not be read.
    #[error("cannot read the history {}: {cause}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: std::io::Error,
    },
    /// There is nothing in it.
    #[error("the history {} is empty", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// It has another format.
    #[error(
        "the history {} has format {found}, this lockproof reads format {FORMAT}; \
         use the lockproof that wrote it ({lockproof})",
        path.display()
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// The format that it says it has.
        found: String,
        /// The version of the lockproof that wrote it.
        lockproof: String,
    },
    /// A line is no event.
    #[error("{}:{line}: not a line of a history: {cause}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        cause: String,
    },
}

/// A history as it was found on disk.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredHistory {
    /// Its lines.
    pub lines: Vec<Line>,
    /// Whether its last line was cut, as after a crash; that line is not in `lines`.
    pub truncated: bool,
}

/// The lines of a stored history. A cut last line is left out.
///
/// # Errors
/// When the file cannot be read, is of another format, or has a line that is no event.
pub fn read(path: &Path) -> Result<Vec<Line>, HistoryError> {
    read_stored(path).map(|stored| stored.lines)
}

/// The lines of a stored history, and whether its last line was cut.
///
/// # Errors
/// As [`read`].
pub fn read_stored(path: &Path) -> Result<StoredHistory, HistoryError> {
    let bytes = std::fs::read(path).map_err(|cause| HistoryError::Read {
        path: path.to_owned(),
        cause,
    })?;
    let mut stored = StoredHistory {
        lines: Vec::new(),
        truncated: false,
    };
    let count = bytes.split_inclusive(|byte| *byte == b'\n').count();
    for (index, raw) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let number = index + 1;
        if index == 0 {
            check_version(path, raw)?;
        }
        let wrong = |cause: String| HistoryError::Line {
            path: path.to_owned(),
            line: number,
            cause,
        };
        match serde_json::from_slice::<Line>(raw) {
            Ok(line) if line.seq == number as u64 => stored.lines.push(line),
            Ok(line) => {
                return Err(wrong(format!(
                    "it has the number {}, expected {number}: a line is missing or was added",
                    line.seq
                )));
            }
            Err(_) if number == count && !raw.ends_with(b"\n") && index > 0 => {
                stored.truncated = true;
            }
            Err(cause) => return Err(wrong(cause.to_string())),
        }
    }
    if stored.lines.is_empty() {
        return Err(HistoryError::Empty {
            path: path.to_owned(),
        });
    }
    Ok(stored)
}

/// Refuses another format before anything else is said about the line, because a line of another
/// format may well be no line of this one.
fn check_version(path: &Path, first: &[u8]) -> Result<(), HistoryError> {
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(first) else {
        return Ok(());
    };
    match value.get("format") {
        Some(found) if found.as_u64() != Some(u64::from(FORMAT)) => Err(HistoryError::Version {
            path: path.to_owned(),
            found: found.to_string(),
            lockproof: value
                .get("lockproof")
                .and_then(|version| version.as_str())
                .map_or_else(|| "unknown".to_owned(), str::to_owned),
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Event, Writer};
    use crate::name::PodName;

    fn stored(text: &str) -> Result<StoredHistory, HistoryError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.jsonl");
        std::fs::write(&path, text).unwrap();
        read_stored(&path)
    }

    fn two_lines() -> String {
        let mut writer = Writer::in_memory();
        for pod in ["a", "b"] {
            let pod = PodName::new(pod);
            writer.record(1, Event::PodEnded { pod });
        }
        let lines: Vec<String> = writer
            .lines()
            .iter()
            .map(|line| serde_json::to_string(line).unwrap())
            .collect();
        format!("{}\n", lines.join("\n"))
    }

    #[test]
    fn a_cut_last_line_is_tolerated_and_told() {
        let whole = stored(&two_lines()).unwrap();
        assert_eq!((whole.lines.len(), whole.truncated), (2, false));
        let text = two_lines();
        let cut = stored(&text[..text.len() - 4]).unwrap();
        assert_eq!((cut.lines.len(), cut.truncated), (1, true));
    }

    #[test]
    fn a_last_line_that_only_lacks_its_line_feed_is_whole() {
        let text = two_lines();
        let read = stored(text.trim_end()).unwrap();
        assert_eq!((read.lines.len(), read.truncated), (2, false));
    }

    #[test]
    fn a_broken_line_is_named_with_file_and_line() {
        let text = two_lines().replacen("\"b\"", "b", 1);
        let error = stored(&text).unwrap_err().to_string();
        assert!(error.contains("history.jsonl:2:"), "{error}");
    }

    #[test]
    fn a_missing_line_is_found() {
        let text = two_lines();
        let second = text.lines().nth(1).unwrap();
        let error = stored(&format!("{second}\n")).unwrap_err().to_string();
        assert!(error.contains("a line is missing"), "{error}");
    }

    #[test]
    fn another_format_is_refused_in_clear_words() {
        let text = r#"{"seq":1,"at_us":0,"event":"run","format":9,"lockproof":"9.1.0"}"#;
        let error = stored(text).unwrap_err().to_string();
        assert!(error.contains("has format 9"), "{error}");
        assert!(error.contains("reads format 1"), "{error}");
        assert!(error.contains("(9.1.0)"), "{error}");
    }

    #[test]
    fn an_empty_file_is_no_history() {
        assert!(matches!(stored(""), Err(HistoryError::Empty { .. })));
    }
}
