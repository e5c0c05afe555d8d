//! A history that is kept until somebody asks for it again, in as little memory as it needs.
//!
//! Owns when one is folded and how. The history of a run of 50,000 statements takes some 170 MB as lines and 3 MB
//! folded, and clean and serial runs are read a few times only. Knows nothing of what the lines mean.

use std::borrow::{Borrow, Cow};
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::sync::Arc;
use std::time::Duration;

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

use super::error::RunError;
use crate::history::Line;

/// A history with more lines than this is folded.
const LONG: usize = 20_000;

/// A history that is kept. Its copies share it. (What a line has for this process alone, the digests of values, a
/// long one no longer has.)
#[derive(Debug, Clone)]
pub struct KeptHistory {
    form: Arc<Form>,
    /// When its last line was, in microseconds after its run began.
    last_us: u64,
}

#[derive(Debug)]
enum Form {
    Lines(Vec<Line>),
    /// One JSON object a line, compressed.
    Folded(Vec<u8>),
}

impl KeptHistory {
    /// Keeps this one.
    ///
    /// # Errors
    /// When a long one cannot be folded.
    pub fn of(lines: Vec<Line>) -> Result<Self, RunError> {
        Self::folded_above(LONG, lines)
    }

    /// Keeps a copy of these.
    ///
    /// # Errors
    /// When a long one cannot be folded.
    pub fn copy_of(lines: &[Line]) -> Result<Self, RunError> {
        match lines.len() > LONG {
            true => Ok(Self {
                form: Arc::new(Form::Folded(fold(lines).map_err(RunError::Kept)?)),
                last_us: lines.last().map_or(0, |line| line.at_us),
            }),
            false => Self::of(lines.to_vec()),
        }
    }

    fn folded_above(most: usize, lines: Vec<Line>) -> Result<Self, RunError> {
        let last_us = lines.last().map_or(0, |line| line.at_us);
        let form = match lines.len() > most {
            true => Form::Folded(fold(lines).map_err(RunError::Kept)?),
            false => Form::Lines(lines),
        };
        Ok(Self {
            form: Arc::new(form),
            last_us,
        })
    }

    /// Its lines.
    ///
    /// # Errors
    /// When a long one cannot be unfolded.
    pub fn lines(&self) -> Result<Cow<'_, [Line]>, RunError> {
        match &*self.form {
            Form::Lines(lines) => Ok(Cow::Borrowed(lines)),
            Form::Folded(bytes) => Ok(Cow::Owned(unfold(bytes).map_err(RunError::Kept)?)),
        }
    }

    /// Its lines, and nothing is kept any more.
    ///
    /// # Errors
    /// When a long one cannot be unfolded.
    pub fn into_lines(self) -> Result<Vec<Line>, RunError> {
        match Arc::try_unwrap(self.form) {
            Ok(Form::Lines(lines)) => Ok(lines),
            Ok(Form::Folded(bytes)) => unfold(&bytes).map_err(RunError::Kept),
            Err(shared) => Ok(Self {
                form: shared,
                ..self
            }
            .lines()?
            .into_owned()),
        }
    }

    /// One that cannot be read again.
    #[cfg(test)]
    pub(crate) fn spoilt() -> Self {
        Self {
            form: Arc::new(Form::Folded(vec![0xff; 8])),
            last_us: 0,
        }
    }

    /// How long its run took.
    #[must_use]
    pub fn took(&self) -> Duration {
        Duration::from_micros(self.last_us)
    }
}

/// Lines, folded. Of lines that are given away, each is let go as soon as it is folded.
pub(crate) fn fold<L: Borrow<Line>>(
    lines: impl IntoIterator<Item = L>,
) -> std::io::Result<Vec<u8>> {
    let encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    let mut file = BufWriter::new(encoder);
    for line in lines {
        serde_json::to_writer(&mut file, line.borrow())?;
        file.write_all(b"\n")?;
    }
    let encoder = file.into_inner().map_err(|error| error.into_error())?;
    encoder.finish()
}

/// The lines of what was folded.
pub(crate) fn unfold(bytes: &[u8]) -> std::io::Result<Vec<Line>> {
    let file = BufReader::new(DeflateDecoder::new(bytes));
    let parsed = |text: std::io::Result<String>| Ok(serde_json::from_str(&text?)?);
    file.lines().map(parsed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Event, Writer};
    use crate::name::PodName;

    fn long() -> Vec<Line> {
        let mut writer = Writer::in_memory();
        for at in 0..5_000 {
            writer.record(
                at,
                Event::PodOutput {
                    pod: PodName::new("a"),
                    stream: crate::history::OutputStream::Stdout,
                    line: format!("a line with a \n and the number {at}"),
                },
            );
        }
        writer.finish().unwrap()
    }

    #[test]
    fn a_long_history_is_the_same_when_it_is_unfolded_and_a_small_part_of_its_size() {
        let lines = long();
        let kept = KeptHistory::folded_above(100, lines.clone()).unwrap();
        assert_eq!(kept.took(), Duration::from_micros(4_999));
        let Form::Folded(bytes) = &*kept.form else {
            panic!("it is not folded")
        };
        assert!(
            bytes.len() * 10 < lines.len() * size_of::<Line>(),
            "{}",
            bytes.len()
        );
        assert_eq!(kept.lines().unwrap(), lines);
        assert_eq!(kept.clone().into_lines().unwrap(), lines);
        assert_eq!(kept.into_lines().unwrap(), lines);
        let short = KeptHistory::of(lines.clone()).unwrap();
        assert!(matches!(short.lines().unwrap(), Cow::Borrowed(_)));
    }
}
