//! Pages: from run directories to an HTML file.
//!
//! Owns where a page goes, that nothing else is written over, and that two at once do not meet: a page is written
//! under a name of its own and then given its name. What is on it is `report::page`'s.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use super::common::Failure;
use super::exit::Exit;
use super::stored::Stored;
use crate::report::page::{StoredRun, run_page};
use crate::search::HISTORY;

/// The name of a page beside a history.
pub const PAGE: &str = "report.html";
/// A history of more than this is not made a page of: browsers would not open it.
const MOST_BYTES: u64 = 512 * 1024 * 1024;
/// Every page of lockproof has this in its beginning.
const OURS: &str = "<meta name=\"generator\" content=\"lockproof ";
/// How much of a file is looked at for it.
const BEGINNING: u64 = 4096;

/// What is left out of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// Nothing.
    Everything,
    /// Literals of statements, rows and output of the job.
    Redacted,
}

/// The page of these runs, the first above.
///
/// # Errors
/// When one of them cannot be read or judged, or is too large for a page.
pub fn page_of(dirs: &[&Path], shown: Shown) -> Result<String, Failure> {
    struct Read {
        name: String,
        stored: Stored,
        scenario: Option<String>,
        replay: Option<String>,
    }
    let mut all = Vec::new();
    for dir in dirs {
        refuse_large(dir)?;
        let stored = Stored::read(dir)?;
        let file = dir.join("scenario.toml");
        let scenario = std::fs::read_to_string(&file).ok();
        let replay = scenario
            .as_ref()
            .map(|_| format!("lockproof run --times 10 {}", quoted(&file)));
        all.push(Read {
            name: dir.display().to_string(),
            stored,
            scenario,
            replay,
        });
    }
    let runs: Vec<StoredRun<'_>> = all
        .iter()
        .map(|one| StoredRun {
            name: &one.name,
            lines: &one.stored.lines,
            verdict: &one.stored.verdict,
            scenario: one.scenario.as_deref(),
            replay: one.replay.as_deref(),
            redacted: shown == Shown::Redacted,
        })
        .collect();
    Ok(run_page(&runs))
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:,@%".contains(c);
    if text.chars().all(plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

fn refuse_large(dir: &Path) -> Result<(), Failure> {
    let path = dir.join(HISTORY);
    let bytes = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
    if bytes <= MOST_BYTES {
        return Ok(());
    }
    let mega = |bytes: u64| bytes / (1024 * 1024);
    Err(Failure::new(
        Exit::Usage,
        format!(
            "{} has {} MiB, and a page is made of at most {}: no browser would open more. `lockproof check` \
             judges it, `lockproof export` writes its lock operations",
            path.display(),
            mega(bytes),
            mega(MOST_BYTES)
        ),
    ))
}

/// Writes a page. What stands there already is written over if it is a page of lockproof's, and else left alone.
///
/// # Errors
/// When something else stands there (usage), or it cannot be written (environment).
pub fn write_page(page: &str, to: &Path) -> Result<(), Failure> {
    let cannot = |cause: &std::io::Error| {
        Failure::new(
            Exit::Environment,
            format!(
                "cannot write {}: {cause}; choose another place with --to FILE",
                to.display()
            ),
        )
    };
    refuse_foreign(to)?;
    let folder = match to.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    // In the same directory, so that it is there as a whole or not at all.
    let mut file = tempfile::Builder::new()
        .prefix(".lockproof-report-")
        .tempfile_in(folder)
        .map_err(|cause| cannot(&cause))?;
    file.write_all(page.as_bytes())
        .and_then(|()| file.flush())
        .map_err(|cause| cannot(&cause))?;
    file.persist(to).map_err(|error| cannot(&error.error))?;
    Ok(())
}

fn refuse_foreign(to: &Path) -> Result<(), Failure> {
    let foreign = |what: &str| {
        Err(Failure::new(
            Exit::Usage,
            format!(
                "{} {what}; choose another place with --to FILE",
                to.display()
            ),
        ))
    };
    if to.is_dir() {
        return foreign("is a directory");
    }
    let Ok(file) = File::open(to) else {
        return Ok(());
    };
    let mut beginning = Vec::new();
    let _ = file.take(BEGINNING).read_to_end(&mut beginning);
    let ours = String::from_utf8_lossy(&beginning).contains(OURS);
    if beginning.is_empty() || ours {
        return Ok(());
    }
    foreign("exists already and is no page of lockproof's, so it is not written over")
}

/// Where the page of a run goes if nobody says.
pub fn beside(dir: &Path) -> PathBuf {
    dir.join(PAGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_somebody_else_is_not_written_over_and_a_page_is() {
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("thesis.html");
        std::fs::write(&to, "<html>years of work").unwrap();
        let error = write_page("x", &to).unwrap_err();
        assert_eq!(error.exit, Exit::Usage);
        let page = format!("<!DOCTYPE html><head>{OURS}0\"><p>1");
        std::fs::write(&to, &page).unwrap();
        write_page("2", &to).unwrap();
        assert_eq!(std::fs::read_to_string(&to).unwrap(), "2");
        let left = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, 1, "nothing else is left behind");
    }

    #[test]
    fn a_path_with_a_space_or_a_quote_is_one_word_of_a_shell() {
        assert_eq!(quoted(Path::new("a/b-1.toml")), "a/b-1.toml");
        assert_eq!(quoted(Path::new("it's here")), "'it'\\''s here'");
    }
}
