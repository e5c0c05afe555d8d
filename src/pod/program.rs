//! The subject's command, and the file that it means.
//!
//! Owns the search in PATH, so that a failure can say where was looked and why a file will not
//! run: the system itself answers "no such file" for a missing program, a missing directory and
//! a missing interpreter alike.

use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};

use super::error::PodError;
use super::isolation::Isolation;

/// A command to run as a pod.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Program {
    /// The program and its arguments; a program without `/` is looked up in PATH.
    pub argv: Vec<String>,
    /// Variables on top of lockproof's own environment.
    pub env: Vec<(String, String)>,
    /// Where it starts; lockproof's own directory if left out.
    pub dir: Option<PathBuf>,
    /// A network of its own, in which what it has built in leads to lockproof.
    pub isolation: Option<Isolation>,
}

impl Program {
    /// The file that the command means where no pod has a PATH of its own, if there is one.
    #[must_use]
    pub fn file(&self) -> Option<PathBuf> {
        self.resolve(&[]).ok()
    }

    /// The file that the command means, absolute, seen to be a program that may be run.
    ///
    /// # Errors
    /// [`PodError::EmptyCommand`], [`PodError::Directory`], [`PodError::NotFound`] and
    /// [`PodError::NotExecutable`].
    pub(super) fn resolve(&self, extra_env: &[(String, String)]) -> Result<PathBuf, PodError> {
        let program = match self.argv.first() {
            Some(program) if !program.is_empty() => program,
            _ => return Err(PodError::EmptyCommand),
        };
        let base = self.base()?;
        if program.contains('/') {
            let file = base.join(program);
            if is_own_and_gone(&file) {
                return Ok(PathBuf::from(OWN));
            }
            if !file.exists() {
                return Err(PodError::NotFound {
                    program: program.clone(),
                    looked_in: file.display().to_string(),
                });
            }
            return runnable(&file).map(|()| file);
        }
        // The last word counts, as it does for the program's own environment.
        let path = extra_env
            .iter()
            .chain(&self.env)
            .rfind(|(name, _)| name == "PATH")
            .map(|(_, value)| OsString::from(value))
            .or_else(|| env::var_os("PATH"))
            .unwrap_or_default();
        let mut refused = None;
        for entry in env::split_paths(&path) {
            let file = base.join(entry).join(program);
            if !file.exists() {
                continue;
            }
            match runnable(&file) {
                Ok(()) => return Ok(file),
                // Like execvp: a file that may not be run does not end the search.
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        Err(refused.unwrap_or_else(|| PodError::NotFound {
            program: program.clone(),
            looked_in: format!("PATH={}", path.to_string_lossy()),
        }))
    }

    /// The directory it starts in, absolute.
    fn base(&self) -> Result<PathBuf, PodError> {
        let own = env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
        let Some(dir) = &self.dir else {
            return Ok(own);
        };
        let dir = own.join(dir);
        let refused = |source| PodError::Directory {
            dir: dir.clone(),
            source,
        };
        let facts = std::fs::metadata(&dir).map_err(refused)?;
        if !facts.is_dir() {
            return Err(refused(std::io::ErrorKind::NotADirectory.into()));
        }
        access(&dir, AccessFlags::X_OK).map_err(|error| refused(error.into()))?;
        Ok(dir)
    }
}

/// The way to the running program's file that holds also when that was removed.
const OWN: &str = "/proc/self/exe";

/// Whether this was this program's own file and has been removed since: the built-in job goes on being that program.
fn is_own_and_gone(file: &Path) -> bool {
    let own = std::fs::read_link(OWN).unwrap_or_default();
    let removed = own.to_str().and_then(|own| own.strip_suffix(" (deleted)"));
    removed.is_some_and(|own| Path::new(own) == file) && !file.exists()
}

/// Whether a file that is there may be run, and if it is a script, whether its interpreter is there.
fn runnable(file: &Path) -> Result<(), PodError> {
    let refuse = |why: String| PodError::NotExecutable {
        path: file.to_owned(),
        why,
    };
    let facts = std::fs::metadata(file).map_err(|error| refuse(error.to_string()))?;
    if facts.is_dir() {
        return Err(refuse("it is a directory".to_owned()));
    }
    if access(file, AccessFlags::X_OK).is_err() {
        return Err(refuse(
            "permission denied, it is not marked executable".to_owned(),
        ));
    }
    if let Some(interpreter) = interpreter(file)
        && !Path::new(&interpreter).exists()
    {
        return Err(refuse(format!(
            "its interpreter {interpreter:?} does not exist"
        )));
    }
    Ok(())
}

/// The interpreter that a script's first line names.
fn interpreter(file: &Path) -> Option<String> {
    let mut start = Vec::new();
    File::open(file)
        .ok()?
        .take(256)
        .read_to_end(&mut start)
        .ok()?;
    let line = start
        .strip_prefix(b"#!")?
        .split(|byte| *byte == b'\n')
        .next()?;
    let line = String::from_utf8_lossy(line);
    line.split_whitespace().next().map(str::to_owned)
}
