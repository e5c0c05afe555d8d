//! The directory that a command writes its histories and verdicts to.
//!
//! Owns the question whose directory it is. A file in it marks it as lockproof's, and is locked as long as the
//! command lives. So two commands at once do not write into each other's files, and nobody's own directory of
//! that name is ever moved away.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::common::Failure;
use super::exit::Exit;
use crate::history::private;

/// Marks a directory as made by lockproof; its user has a lock on it.
const MARK: &str = crate::scenario::OUTPUT_MARK;
/// More commands than this do not write to one place at once.
const MOST_AT_ONCE: u32 = 100;

/// A directory that belongs to this command for as long as this value lives.
#[derive(Debug)]
pub struct OutputDirectory {
    path: PathBuf,
    _mark: File,
}

impl OutputDirectory {
    /// Makes an empty directory of this name. What an earlier command left there is kept once,
    /// with `.old` at its name's end; if a command that still runs writes there, a number is put
    /// behind the name.
    ///
    /// # Errors
    /// When it cannot be made or written to, or is there and not lockproof's.
    pub fn make(parent: &Path, name: &str) -> Result<Self, Failure> {
        let failed = |path: &Path, cause: io::Error| {
            Failure::new(
                Exit::Environment,
                format!(
                    "cannot write to {}: {cause}; choose another place with --out DIR",
                    path.display()
                ),
            )
        };
        private::make_directory(parent).map_err(|cause| failed(parent, cause))?;
        // One at a time looks and moves. Where a directory cannot be locked, two that start in the
        // same instant may meet; nothing worse.
        let turn = File::open(parent).map_err(|cause| failed(parent, cause))?;
        let _ = turn.lock();
        for number in 1..=MOST_AT_ONCE {
            let path = match number {
                1 => parent.join(name),
                _ => parent.join(format!("{name}-{number}")),
            };
            let made = claim(&path).map_err(|cause| failed(&path, cause))?;
            if let Some(made) = made {
                return Ok(made);
            }
        }
        Err(failed(
            &parent.join(name),
            io::Error::other(format!("{MOST_AT_ONCE} lockproofs write there already")),
        ))
    }

    /// Where it is, absolute.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Writes a document into a directory that a command has made.
///
/// # Errors
/// When it cannot be written.
pub(super) fn write_json(path: &Path, document: &impl serde::Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(document)
        .map_err(io::Error::from)
        .and_then(|text| private::write(path, &(text + "\n")));
    text.map_err(|cause| {
        Failure::new(
            Exit::Environment,
            format!("cannot write {}: {cause}", path.display()),
        )
    })
}

/// Writes the last file of a command that has told all it found. What came of it is not turned into another exit
/// code by a full disk.
///
/// # Errors
/// When it cannot be written, and all was as expected.
pub(super) fn write_last(
    path: &Path,
    document: &impl serde::Serialize,
    exit: Exit,
) -> Result<Exit, Failure> {
    match write_json(path, document) {
        Err(failure) if exit != Exit::AsExpected => {
            failure.tell(false);
            Ok(exit)
        }
        written => written.map(|()| exit),
    }
}

/// The directory, unless somebody who still runs has it.
fn claim(path: &Path) -> io::Result<Option<OutputDirectory>> {
    match holder(path)? {
        Holder::Running => return Ok(None),
        Holder::Nobody => {}
        Holder::Earlier => {
            let mut old = path.as_os_str().to_owned();
            old.push(".old");
            let old = PathBuf::from(old);
            match holder(&old)? {
                Holder::Nobody => {}
                Holder::Earlier => fs::remove_dir_all(&old)?,
                Holder::Running => return Ok(None),
            }
            fs::rename(path, &old)?;
        }
    }
    private::make_directory(path)?;
    let mark = mark(path)?;
    mark.lock()?;
    // A full disk or a read-only place is found before anything is run.
    let probe = path.join(".probe");
    let written = fs::write(&probe, vec![0_u8; 64 * 1024]);
    let _ = fs::remove_file(&probe);
    written?;
    Ok(Some(OutputDirectory {
        path: path.canonicalize()?,
        _mark: mark,
    }))
}

/// Whose a directory is.
enum Holder {
    /// Not there, or empty.
    Nobody,
    /// A command that has ended.
    Earlier,
    /// A command that still runs.
    Running,
}

fn holder(path: &Path) -> io::Result<Holder> {
    match File::open(path.join(MARK)) {
        Ok(mark) => match mark.try_lock() {
            Ok(()) => Ok(Holder::Earlier),
            Err(TryLockError::WouldBlock) => Ok(Holder::Running),
            Err(TryLockError::Error(error)) => Err(error),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            match fs::read_dir(path).map(|mut entries| entries.next()) {
                Ok(Some(_)) => Err(io::Error::new(
                    io::ErrorKind::AlreadyExists,
                    format!("it exists, and lockproof did not make it (it has no file {MARK})"),
                )),
                Ok(None) => Ok(Holder::Nobody),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Holder::Nobody),
                Err(error) => Err(error),
            }
        }
        Err(error) => Err(error),
    }
}

fn mark(directory: &Path) -> io::Result<File> {
    File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(directory.join(MARK))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_lockproof_did_not_make_is_never_moved_away() {
        let parent = tempfile::tempdir().unwrap();
        let own = parent.path().join("run");
        fs::create_dir(&own).unwrap();
        fs::write(own.join("thesis.txt"), "years of work").unwrap();
        for _ in 0..2 {
            let error = OutputDirectory::make(parent.path(), "run").unwrap_err();
            assert!(error.message.contains("did not make it"), "{error:?}");
        }
        assert!(own.join("thesis.txt").exists());
    }

    #[test]
    fn what_an_earlier_command_left_is_kept_once() {
        let parent = tempfile::tempdir().unwrap();
        for text in ["1", "2", "3"] {
            let out = OutputDirectory::make(parent.path(), "run").unwrap();
            assert!(out.path().ends_with("run"));
            fs::write(out.path().join("file"), text).unwrap();
        }
        let read = |path: &str| fs::read_to_string(parent.path().join(path)).unwrap();
        assert_eq!(
            (read("run/file"), read("run.old/file")),
            ("3".to_owned(), "2".to_owned())
        );
    }

    #[test]
    fn only_its_user_can_read_what_a_command_writes() {
        use std::os::unix::fs::PermissionsExt as _;
        let parent = tempfile::tempdir().unwrap();
        let out = OutputDirectory::make(parent.path(), "run").unwrap();
        let inner = out.path().join("a/b");
        private::make_directory(&inner).unwrap();
        let verdict = inner.join("verdict.json");
        write_json(&verdict, &7).unwrap();
        let history = inner.join("history.jsonl");
        crate::history::Writer::create(&history).unwrap();
        for (path, wanted) in [
            (out.path(), 0o700),
            (&inner, 0o700),
            (&verdict, 0o600),
            (&history, 0o600),
            (&out.path().join(MARK), 0o600),
        ] {
            let mode = fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, wanted, "{}", path.display());
        }
    }

    #[test]
    fn two_at_once_have_two_directories() {
        let parent = tempfile::tempdir().unwrap();
        let first = OutputDirectory::make(parent.path(), "run").unwrap();
        let second = OutputDirectory::make(parent.path(), "run").unwrap();
        assert!(second.path().ends_with("run-2"), "{second:?}");
        assert!(first.path().join(MARK).exists());
    }
}
