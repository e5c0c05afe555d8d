//! Why there is no verdict.

use std::path::PathBuf;

use crate::history::HistoryError;
use crate::invariant::MalformedHistory;
use crate::run::RunError;
use crate::server::ServerError;

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// A run could not be made.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The server.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// A history could not be written.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// A history could not be judged.
    #[error(transparent)]
    Malformed(#[from] MalformedHistory),
    /// The schema could not be applied.
    #[error("{name}{}: the schema fails: {why}", .line.map(|line| format!(":{line}")).unwrap_or_default())]
    Schema {
        /// The file.
        name: String,
        /// The line that the server rejects, from 1, if it can be told.
        line: Option<usize>,
        /// What the server said.
        why: String,
    },
    /// The lock row that the scenario names is not what the database has.
    #[error("the lock row cannot be watched: {0}")]
    LockRow(String),
    /// The lock that the scenario names is not what the database has.
    #[error("the lock cannot be judged: {0}")]
    Lock(String),
    /// The prepare command failed.
    #[error("the prepare command `{command}` failed: {why}")]
    Prepare {
        /// The command.
        command: String,
        /// How it ended and what it printed last.
        why: String,
    },
    /// A thread of the search could not have a runtime.
    #[error("cannot start a runtime: {0}")]
    Runtime(std::io::Error),
    /// A file of the run directory could not be written.
    #[error("cannot write {}: {cause}; choose another place with --out DIR", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        cause: std::io::Error,
    },
}
