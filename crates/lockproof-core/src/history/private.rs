//! Files and directories of a run that only their user may read.
//!
//! Owns their modes: a history holds what a job's statements and its output say, in clear.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

/// Makes a file for its user alone, which must not exist yet.
///
/// # Errors
/// When it cannot be made.
pub fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

/// Makes a file for its user alone, or empties the one that is there.
///
/// # Errors
/// When it cannot be made.
pub fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
}

/// Writes a file for its user alone.
///
/// # Errors
/// When it cannot be written.
pub fn write(path: &Path, text: &str) -> io::Result<()> {
    create(path)?.write_all(text.as_bytes())
}

/// Makes a directory for its user alone, and those above it that are not there. What is there stays
/// as it is.
///
/// # Errors
/// When it cannot be made.
pub fn make_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}
