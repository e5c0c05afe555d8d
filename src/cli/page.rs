//! Pages: from run directories to an HTML file.
//!
//! Owns where a page goes, that nothing else is written over, and that two at once do not meet: a page is written
//! under a name of its own and then given its name. What is on it is `report::page`'s.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use super::common::{Failure, Talk};
use super::exit::Exit;
use super::explore::grids::{GRIDS, split};
use super::stored::{Stored, runs_anywhere_below};
use crate::report::page::{Index, IndexRow, StoredRun, index_page, run_page};
use crate::scenario;
use crate::search::HISTORY;

/// The name of a page beside a history.
pub const PAGE: &str = "report.html";
/// What searches keep of their result.
const RESULTS: [&str; 3] = ["explore.json", "every.json", "survey.json"];
/// What `run` on several versions keeps of them.
pub const VERSIONS: &str = "versions.json";
/// The scenario file in a run directory.
const SCENARIO: &str = "scenario.toml";
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
    /// The job's data: constants, rows and output are placeholders; its command and the scenario file.
    Redacted,
}

/// What is in a run directory, as pages need it.
struct Read {
    name: String,
    title: Option<String>,
    stored: Stored,
    scenario: Option<String>,
    replay: Option<String>,
}

impl Read {
    fn of(dir: &Path, shown: Shown) -> Result<Self, Failure> {
        refuse_large(dir)?;
        let mut stored = Stored::read(dir)?;
        if shown == Shown::Redacted {
            stored = stored.without_data();
        }
        let file = dir.join(SCENARIO);
        let scenario = std::fs::read_to_string(&file).ok();
        let replay = scenario
            .as_ref()
            .map(|_| format!("lockproof run --times 10 {}", quoted(&file)));
        Ok(Self {
            name: dir.display().to_string(),
            title: scenario::load(&file).ok().map(|scenario| scenario.title),
            stored,
            scenario,
            replay,
        })
    }

    fn run(&self, shown: Shown) -> StoredRun<'_> {
        StoredRun {
            name: &self.name,
            title: self.title.as_deref(),
            lines: &self.stored.lines,
            verdict: &self.stored.verdict,
            scenario: self.scenario.as_deref(),
            replay: self.replay.as_deref(),
            redacted: shown == Shown::Redacted,
        }
    }
}

/// Writes the page of a run, with another one below it if there is one, or the index of a directory of runs. The pages
/// that an index links to go beside their histories.
///
/// # Errors
/// When there is neither, one of them cannot be judged, or a page cannot be written.
pub fn report(dir: &Path, below: Option<&Path>, to: &Path, shown: Shown) -> Result<usize, Failure> {
    let several = !dir.join(HISTORY).exists() && below.is_none() && is_of_several(dir);
    let page = if several {
        index(dir, to, shown)?
    } else {
        let all = std::iter::once(dir).chain(below);
        let all: Vec<Read> = all
            .map(|dir| Read::of(dir, shown))
            .collect::<Result<_, _>>()?;
        let runs: Vec<StoredRun<'_>> = all.iter().map(|one| one.run(shown)).collect();
        run_page(&runs)
    };
    write_page(&page, to)?;
    Ok(page.len())
}

/// Writes the page of a command that has told all it found, and says where it is. What came of it is not turned into
/// another exit code by a place that cannot be written.
///
/// # Errors
/// As for [`report`], where all was as expected.
pub fn report_last(
    dir: &Path,
    below: Option<&Path>,
    to: &Path,
    talk: Talk,
    exit: Exit,
) -> Result<(), Failure> {
    match report(dir, below, to, Shown::Everything) {
        Ok(_) => talk.result(&format!("report: {}", to.display())),
        Err(failure) if exit != Exit::AsExpected => failure.tell(false),
        Err(failure) => return Err(failure),
    }
    Ok(())
}

/// Whether a directory has runs below it, or what a search kept.
fn is_of_several(dir: &Path) -> bool {
    !runs_anywhere_below(dir).is_empty() || RESULTS.iter().any(|name| dir.join(name).exists())
}

/// The index of a directory of runs.
fn index(dir: &Path, to: &Path, shown: Shown) -> Result<String, Failure> {
    let mut index = Index {
        title: format!("Runs in {}", dir.display()),
        ..Index::default()
    };
    for name in RESULTS {
        index.words.extend(claim(&dir.join(name)));
    }
    if let Ok(text) = std::fs::read_to_string(dir.join(GRIDS)) {
        index.grids = serde_json::from_str(&text).map_err(|error| {
            let text = format!("{}: {error}", dir.join(GRIDS).display());
            Failure::new(Exit::Usage, text)
        })?;
    }
    index.words.extend(not_had(&dir.join(VERSIONS)));
    for run in runs_anywhere_below(dir) {
        let name = run.strip_prefix(dir).unwrap_or(&run).display().to_string();
        match Read::of(&run, shown) {
            Ok(read) => {
                let page = beside(&run);
                write_page(&run_page(&[read.run(shown)]), &page)?;
                let link = link(to, &page);
                if let Some(scenario) = &read.scenario {
                    index.kept.push((split(scenario).1, link.clone()));
                }
                index
                    .rows
                    .push(IndexRow::of(&read.run(shown), name, Some(link)));
            }
            Err(failure) => index
                .rows
                .push(IndexRow::without_verdict(name, &failure.message)),
        }
    }
    Ok(index_page(&index))
}

/// What a search's own result claims.
fn claim(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let Ok(document) = serde_json::from_str::<serde_json::Value>(&text) else {
        return Vec::new();
    };
    let subjects = document["subjects"].as_array().into_iter().flatten();
    let all = std::iter::once(&document).chain(subjects);
    all.filter_map(|one| {
        let claim = one["claim"].as_str()?;
        let of = one["subject"].as_str().or(one["name"].as_str());
        Some(of.map_or_else(|| claim.to_owned(), |of| format!("{of}: {claim}")))
    })
    .collect()
}

/// The versions on which nothing could be run, and why.
fn not_had(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let Ok(document) = serde_json::from_str::<serde_json::Value>(&text) else {
        return Vec::new();
    };
    let versions = document["versions"].as_array().into_iter().flatten();
    versions
        .filter_map(|one| {
            Some(format!(
                "PostgreSQL {}: {}",
                one["major"],
                one["error"].as_str()?
            ))
        })
        .collect()
}

/// How a page is reached from another one: the way between their directories.
pub fn link(from: &Path, page: &Path) -> String {
    let folder = |path: &Path| {
        let parent = path.parent().filter(|one| !one.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        let known = parent
            .canonicalize()
            .or_else(|_| std::path::absolute(parent));
        known.unwrap_or_else(|_| parent.to_owned())
    };
    let (from, to) = (folder(from), folder(page));
    let same = from
        .components()
        .zip(to.components())
        .take_while(|(one, other)| one == other)
        .count();
    let up = from.components().skip(same).map(|_| "..".to_owned());
    let down = to
        .components()
        .skip(same)
        .map(|part| part.as_os_str().to_string_lossy().into_owned());
    let name = page
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    let parts: Vec<String> = up
        .chain(down)
        .chain(name)
        .map(|part| percent(&part))
        .collect();
    parts.join("/")
}

/// A part of a path as it stands in a link.
fn percent(part: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let bytes = part.bytes().map(|byte| match plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    });
    bytes.collect()
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
    // A page is put in the place of what stands there: of a device or a pipe nothing would be left.
    if std::fs::metadata(to).is_ok_and(|there| !there.is_file()) {
        return foreign("is no file");
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
    fn a_link_leads_from_one_directory_to_the_other() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("out/run 1");
        std::fs::create_dir_all(&run).unwrap();
        let page = run.join(PAGE);
        let from = |to: &str| link(&folder.path().join(to), &page);
        assert_eq!(from("index.html"), "out/run%201/report.html");
        assert_eq!(from("out/index.html"), "run%201/report.html");
        std::fs::create_dir(folder.path().join("docs")).unwrap();
        assert_eq!(from("docs/index.html"), "../out/run%201/report.html");
    }

    #[test]
    fn a_path_with_a_space_or_a_quote_is_one_word_of_a_shell() {
        assert_eq!(quoted(Path::new("a/b-1.toml")), "a/b-1.toml");
        assert_eq!(quoted(Path::new("it's here")), "'it'\\''s here'");
    }
}
