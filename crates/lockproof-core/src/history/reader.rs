//! Reading a stored history.
//!
//! Owns what is refused: another version, a line that is no event or is out of order, a cut last line,
//! a move of a pod that the run does not have. Knows nothing of what the events mean.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use super::course::Begun;
use super::event::{Event, FORMAT, Line};
use crate::name::PodName;
use crate::schedule::Move;

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
        "{}:1: the history has format {found}, this lockproof reads format {FORMAT}; \
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
    /// Its last line is cut.
    #[error(
        "{}:{line}: the last line is cut, as after a crash or on a full disk; remove that line to have \
         what came before it judged",
        path.display()
    )]
    Cut {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
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

/// The lines of a stored history.
///
/// # Errors
/// When the file cannot be read, is of another format, has a line that is no event or is out of order,
/// ends with a cut line, or tells of a move of a pod that the run does not have.
pub fn read(path: &Path) -> Result<Vec<Line>, HistoryError> {
    let unreadable = |cause| HistoryError::Read {
        path: path.to_owned(),
        cause,
    };
    let mut file = BufReader::new(File::open(path).map_err(unreadable)?);
    let mut lines: Vec<Line> = Vec::new();
    // A line at a time: the text of a long history is not held beside its lines.
    let mut text = Vec::new();
    for index in 0.. {
        text.clear();
        if file.read_until(b'\n', &mut text).map_err(unreadable)? == 0 {
            break;
        }
        let raw = &text[..];
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
            Ok(line) if line.seq == number as u64 => lines.push(line),
            Ok(line) => {
                return Err(wrong(format!(
                    "it has the number {}, expected {number}: a line is missing, was added or moved",
                    line.seq
                )));
            }
            // Only the last line can lack its line feed.
            Err(_) if !raw.ends_with(b"\n") && index > 0 => {
                return Err(HistoryError::Cut {
                    path: path.to_owned(),
                    line: number,
                });
            }
            Err(cause) => return Err(wrong(in_line(&cause))),
        }
    }
    if lines.is_empty() {
        return Err(HistoryError::Empty {
            path: path.to_owned(),
        });
    }
    if let Some((line, pod)) = move_of_nobody(&lines) {
        return Err(HistoryError::Line {
            path: path.to_owned(),
            line,
            cause: format!("it begins a move of pod {pod}, and the run has no pod of that name"),
        });
    }
    Ok(lines)
}

/// What is wrong with a line, without the parser's own count of lines: each line is a document of its
/// own.
fn in_line(cause: &serde_json::Error) -> String {
    let text = cause.to_string();
    let place = format!(" at line {} column {}", cause.line(), cause.column());
    match text.strip_suffix(&place) {
        Some(text) => format!("{text} (column {})", cause.column()),
        None => text,
    }
}

/// The first move of a pod that the run does not have: its line, from 1, and the pod. Where a CronJob's
/// controller decides which pods there are, a turn may name one that never comes.
fn move_of_nobody(lines: &[Line]) -> Option<(usize, &PodName)> {
    let Event::Run(run) = &lines.first()?.event else {
        return None;
    };
    if run.pods.is_empty() {
        return None;
    }
    let mut pods: BTreeSet<&PodName> = run.pods.iter().collect();
    // The recovery pod.
    pods.extend(lines.iter().filter_map(|line| match &line.event {
        Event::PodStarted { pod, .. } => Some(pod),
        _ => None,
    }));
    (1..).zip(lines).find_map(|(number, line)| {
        let Event::MoveStarted { begun, .. } = &line.event else {
            return None;
        };
        let of_fault = match begun {
            Begun::Move(Move::Fault(fault)) => fault.pod.as_ref(),
            _ => None,
        };
        let mut named = begun.pods().iter().chain(of_fault);
        let nobody = named.find(|pod| !pods.contains(pod))?;
        Some((number, nobody))
    })
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
    use crate::history::Writer;

    fn stored(text: &str) -> Result<Vec<Line>, HistoryError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.jsonl");
        std::fs::write(&path, text).unwrap();
        read(&path)
    }

    fn refused(text: &str) -> String {
        stored(text).unwrap_err().to_string()
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
    fn a_cut_last_line_is_refused_by_its_number() {
        let text = two_lines();
        assert_eq!(stored(&text).unwrap().len(), 2);
        let error = refused(&text[..text.len() - 4]);
        assert!(
            error.contains("history.jsonl:2: the last line is cut"),
            "{error}"
        );
    }

    #[test]
    fn a_last_line_that_only_lacks_its_line_feed_is_whole() {
        assert_eq!(stored(two_lines().trim_end()).unwrap().len(), 2);
    }

    #[test]
    fn a_broken_line_is_named_with_file_and_line() {
        let error = refused(&two_lines().replacen("\"b\"", "b", 1));
        assert!(error.contains("history.jsonl:2:"), "{error}");
        assert!(!error.contains("at line 1"), "{error}");
    }

    #[test]
    fn a_missing_line_is_found() {
        let text = two_lines();
        let second = text.lines().nth(1).unwrap();
        let error = refused(&format!("{second}\n"));
        assert!(error.contains("a line is missing"), "{error}");
        let first = text.lines().next().unwrap();
        let error = refused(&format!("{second}\n{first}\n"));
        assert!(error.contains("history.jsonl:1:"), "{error}");
    }

    #[test]
    fn another_format_is_refused_in_clear_words() {
        for format in [1, FORMAT + 1] {
            let error = refused(&format!(
                r#"{{"seq":1,"at_us":0,"event":"run","format":{format},"lockproof":"9.1.0"}}"#
            ));
            let told = format!("history.jsonl:1: the history has format {format}, ");
            assert!(error.contains(&told), "{error}");
            assert!(error.contains(&format!("reads format {FORMAT}")), "{error}");
            assert!(error.contains("(9.1.0)"), "{error}");
        }
    }

    #[test]
    fn a_fault_that_nobody_knows_is_refused_by_its_line() {
        let begins = concat!(
            r#"{"seq":3,"at_us":0,"event":"move-started","index":0,"begun":{"move":{"fault":"#,
            r#"{"kind":"explode","pod":"a","session":"next","point":"before"}}},"scheduled":true}"#
        );
        let error = refused(&format!("{}{begins}\n", two_lines()));
        assert!(error.contains("history.jsonl:3:"), "{error}");
        assert!(error.contains("`explode`"), "{error}");
    }

    #[test]
    fn an_empty_file_is_no_history() {
        assert!(matches!(stored(""), Err(HistoryError::Empty { .. })));
    }
}
