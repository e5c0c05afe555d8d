//! Writing a history, line by line.
//!
//! Owns the numbering of lines and the file they go to. Knows no clock (whoever records an event
//! says when it was) and nothing of what the events mean.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use super::event::{Event, Line};
use super::private;
use super::reader::HistoryError;

/// Takes events, numbers them, keeps them in memory and, unless told otherwise, in a file.
///
/// Every line is flushed when it is recorded, so a crash loses at most the last one. An error of
/// the file does not lose the history in memory: it is kept and told by [`Writer::check`] and
/// [`Writer::finish`].
#[derive(Debug)]
pub struct Writer {
    file: Option<(PathBuf, BufWriter<File>)>,
    failed: Option<HistoryError>,
    lines: Vec<Line>,
}

impl Writer {
    /// A history that goes to this file, which must not exist yet.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn create(path: &Path) -> Result<Self, HistoryError> {
        let file = private::create_new(path).map_err(|cause| HistoryError::Write {
            path: path.to_owned(),
            cause,
        })?;
        Ok(Self {
            file: Some((path.to_owned(), BufWriter::new(file))),
            failed: None,
            lines: Vec::new(),
        })
    }

    /// A history that is kept in memory only, as search wants it.
    #[must_use]
    pub fn in_memory() -> Self {
        Self {
            file: None,
            failed: None,
            lines: Vec::new(),
        }
    }

    /// Adds an event that happened `at_us` microseconds after the run began; returns its number.
    /// A time before that of the line before is taken as that one: lines are in order.
    pub fn record(&mut self, at_us: u64, event: Event) -> u64 {
        let last = self.lines.last();
        let line = Line {
            seq: last.map_or(1, |line| line.seq + 1),
            at_us: last.map_or(at_us, |line| line.at_us.max(at_us)),
            event,
        };
        if self.failed.is_none()
            && let Some((path, file)) = &mut self.file
            && let Err(cause) = write_line(file, &line)
        {
            self.failed = Some(HistoryError::Write {
                path: path.clone(),
                cause,
            });
        }
        let seq = line.seq;
        self.lines.push(line);
        seq
    }

    /// The file that it goes to, if it goes to one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.file.as_ref().map(|(path, _)| path.as_path())
    }

    /// The lines so far.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// Whether everything recorded so far is in the file.
    ///
    /// # Errors
    /// The first error of the file; it is told once.
    pub fn check(&mut self) -> Result<(), HistoryError> {
        match self.failed.take() {
            Some(error) => {
                // What follows would leave a gap in the file.
                self.file = None;
                Err(error)
            }
            None => Ok(()),
        }
    }

    /// Ends the history: all its lines.
    ///
    /// # Errors
    /// The first error of the file, if it was not told before.
    pub fn finish(mut self) -> Result<Vec<Line>, HistoryError> {
        self.check()?;
        Ok(self.lines)
    }
}

/// Adds an event to a history that has ended: to its lines, and to its file where it has one.
///
/// # Errors
/// When the file cannot be written.
pub fn append(
    path: Option<&Path>,
    lines: &mut Vec<Line>,
    event: Event,
) -> Result<(), HistoryError> {
    let last = lines.last();
    let line = Line {
        seq: last.map_or(1, |line| line.seq + 1),
        at_us: last.map_or(0, |line| line.at_us),
        event,
    };
    if let Some(path) = path {
        let opened = File::options().append(true).open(path);
        let written = opened.and_then(|file| write_line(&mut BufWriter::new(file), &line));
        written.map_err(|cause| HistoryError::Write {
            path: path.to_owned(),
            cause,
        })?;
    }
    lines.push(line);
    Ok(())
}

fn write_line(file: &mut BufWriter<File>, line: &Line) -> std::io::Result<()> {
    serde_json::to_writer(&mut *file, line)?;
    file.write_all(b"\n")?;
    file.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::read;
    use crate::name::PodName;

    fn ended(pod: &str) -> Event {
        Event::PodEnded {
            pod: PodName::new(pod),
        }
    }

    #[test]
    fn a_line_is_in_the_file_as_soon_as_it_is_recorded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.jsonl");
        let mut writer = Writer::create(&path).unwrap();
        assert_eq!(writer.record(5, ended("a")), 1);
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 1);
        assert_eq!(writer.record(7, ended("b")), 2);
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 2);
    }

    #[test]
    fn lines_never_go_back_in_time() {
        let mut writer = Writer::in_memory();
        writer.record(5, ended("a"));
        writer.record(3, ended("b"));
        assert_eq!(writer.lines()[1].at_us, 5);
    }

    #[test]
    fn a_full_disk_is_told_and_the_history_stays_in_memory() {
        // Not made by `create`, because /dev/full exists already.
        let file = File::options().write(true).open("/dev/full").unwrap();
        let mut writer = Writer {
            file: Some((PathBuf::from("/dev/full"), BufWriter::new(file))),
            failed: None,
            lines: Vec::new(),
        };
        writer.record(1, ended("a"));
        assert_eq!(writer.lines().len(), 1);
        let error = writer.check().unwrap_err().to_string();
        assert!(error.contains("/dev/full"), "{error}");
        writer.record(2, ended("b"));
        assert_eq!(writer.finish().unwrap().len(), 2);
    }

    #[test]
    fn a_history_in_the_way_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.jsonl");
        std::fs::write(&path, "precious").unwrap();
        assert!(Writer::create(&path).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
        assert!(read(&path).is_err());
    }
}
