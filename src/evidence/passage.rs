//! A passage of the server's log: what is read of it on the way to a sentinel.
//!
//! Owns where it is kept (in memory, a long one in a file without a name) and when the sentinel's line has come. Knows nothing
//! of what lines say.

use std::io::{Read as _, Seek as _, Write as _};

use tempfile::SpooledTempFile;

use super::error::EvidenceError;

/// A log longer than this goes to a file.
const IN_MEMORY: usize = 4 << 20;

/// What has been read of a log on the way to a sentinel.
pub(super) struct Passage {
    pub text: SpooledTempFile,
    /// How many bytes.
    pub length: i64,
    /// Its first line, as far as it has been read.
    pub first_line: Vec<u8>,
    sentinel: Vec<u8>,
    /// Its last bytes: the sentinel may lie across the border of two chunks, and its line may go on.
    last: Vec<u8>,
}

impl Passage {
    pub fn new(sentinel: &[u8]) -> Self {
        Self {
            text: SpooledTempFile::new(IN_MEMORY),
            length: 0,
            first_line: Vec::new(),
            sentinel: sentinel.to_vec(),
            last: Vec::new(),
        }
    }

    /// Takes in what comes next; whether the whole line of the sentinel has come.
    pub fn take(&mut self, chunk: &[u8]) -> Result<bool, EvidenceError> {
        self.text.write_all(chunk).map_err(not_kept)?;
        self.length += i64::try_from(chunk.len()).unwrap_or(i64::MAX);
        if !self.first_line.ends_with(b"\n") {
            let line = chunk.split_inclusive(|byte| *byte == b'\n').next();
            self.first_line.extend_from_slice(line.unwrap_or_default());
        }
        self.last.extend_from_slice(chunk);
        let found = find(&self.last, &self.sentinel);
        if found.is_some_and(|at| self.last[at..].contains(&b'\n')) {
            return Ok(true);
        }
        let kept = self.sentinel.len().saturating_sub(1);
        let from = found.unwrap_or(self.last.len().saturating_sub(kept));
        self.last.drain(..from);
        Ok(false)
    }

    /// All of it, at once.
    pub fn whole(mut self) -> Result<Vec<u8>, EvidenceError> {
        let mut whole = Vec::new();
        self.text.rewind().map_err(not_kept)?;
        self.text.read_to_end(&mut whole).map_err(not_kept)?;
        Ok(whole)
    }
}

pub(super) fn not_kept(why: std::io::Error) -> EvidenceError {
    EvidenceError::Unreadable {
        what: "the server's log, which was put into a file of the temporary directory",
        why: why.to_string(),
    }
}

/// Where this stands in that.
pub(super) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentinel_is_found_wherever_a_chunk_ends_and_only_when_its_line_is_whole() {
        let log = b"one, first\ntwo\nthe sentinel 7, and more\nnot read";
        for cut in 0..log.len() {
            for other in cut..log.len() {
                let mut passage = Passage::new(b"sentinel 7");
                let end = log.len() - b"not read".len();
                let chunks = [&log[..cut], &log[cut..other], &log[other..]];
                let mut come = 0;
                for chunk in chunks {
                    come += chunk.len();
                    let complete = passage.take(chunk).unwrap();
                    assert_eq!(complete, come >= end, "{cut} {other}");
                    if complete {
                        break;
                    }
                }
                assert_eq!(passage.first_line, b"one, first\n");
                assert_eq!(passage.whole().unwrap(), &log[..come]);
            }
        }
    }
}
