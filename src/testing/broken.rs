//! Why a job is not what it should be.
//!
//! Owns the value. Its text is what the command printed.

use std::fmt;

/// Why a job is not what it should be: the text that a person needs.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Broken {
    /// The exit code of the command: 1 a rule is broken, 3 it could not be judged, 4 no server, …
    pub code: i32,
    /// What was found, the play, and the command that shows it again.
    pub text: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Broken {}
