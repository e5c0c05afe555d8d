//! Where a run's lines go.
//!
//! Owns the two streams of a job. Knows nothing of what is said on them.

use std::io::{self, Write};

/// What a job says on its two streams.
pub trait Output: Send {
    /// One line on standard output.
    ///
    /// # Errors
    /// When it cannot be written; the run then fails.
    fn line(&mut self, line: &str) -> io::Result<()>;

    /// One line on standard error. Nobody can be told if that fails.
    fn complaint(&mut self, line: &str);
}

/// The process's own standard output and standard error.
#[derive(Debug, Default, Clone, Copy)]
pub struct Console;

impl Output for Console {
    fn line(&mut self, line: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        // One write a line, so that lines of several processes on one pipe stay whole.
        out.write_all(format!("{line}\n").as_bytes())?;
        out.flush()
    }

    fn complaint(&mut self, line: &str) {
        let _ = io::stderr()
            .lock()
            .write_all(format!("{line}\n").as_bytes());
    }
}

/// Keeps what was said.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Collected {
    /// The lines of standard output.
    pub lines: Vec<String>,
    /// The lines of standard error.
    pub complaints: Vec<String>,
}

impl Output for Collected {
    fn line(&mut self, line: &str) -> io::Result<()> {
        self.lines.push(line.to_owned());
        Ok(())
    }

    fn complaint(&mut self, line: &str) {
        self.complaints.push(line.to_owned());
    }
}
