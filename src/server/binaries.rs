//! The machine's own PostgreSQL binaries.
//!
//! Owns the search for them: `LOCKPROOF_PG_BIN`, `pg_config`, PATH, the usual folders.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::archive;
use super::machine::run_bounded;
use super::settings;

/// Folders that hold one folder for each version, and what is appended to each.
const USUAL: &[(&str, &str)] = &[
    ("/usr/lib/postgresql", "bin"),
    ("/usr/lib64/postgresql", "bin"),
    ("/opt/homebrew/opt", "bin"),
    ("/usr/local/opt", "bin"),
    ("/home/linuxbrew/.linuxbrew/opt", "bin"),
    ("/Applications/Postgres.app/Contents/Versions", "bin"),
    ("/Library/PostgreSQL", "bin"),
    ("/opt/postgresql", "bin"),
    ("/usr/local", "bin"),
    ("/usr", "bin"),
];

/// A folder with `initdb` and `postgres` of one supported version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Binaries {
    /// The folder.
    pub(super) folder: PathBuf,
    /// Such as `15.18`.
    pub(super) version: String,
    /// How it was found.
    pub(super) found_by: String,
}

impl Binaries {
    /// Whether it is of this major version, if that matters.
    pub(super) fn is(&self, major: Option<u32>) -> bool {
        major.is_none() || major_of(&self.version) == major
    }
}

/// The number that a version begins with.
fn major_of(version: &str) -> Option<u32> {
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// Everything that was found, the one to take first, and a line for each that will not do.
#[derive(Debug, Default)]
pub(super) struct Search {
    pub(super) usable: Vec<Binaries>,
    pub(super) rejected: Vec<String>,
}

/// Programs from an archive.
///
/// # Errors
/// A text that says what is wrong with them.
pub(super) fn fetched(folder: &Path) -> Result<Binaries, String> {
    let mut search = Search::default();
    search.look_at(
        folder,
        "lockproof's own archive",
        &mut BTreeSet::new(),
        true,
    );
    let why = search.rejected.join("; ");
    search.usable.into_iter().next().ok_or(why)
}

/// The binaries to use; of this major version, if one is given.
///
/// # Errors
/// A text that says where was looked and what was wrong.
pub(super) fn find(major: Option<u32>) -> Result<Binaries, String> {
    let mut search = search(major.is_none());
    if let Some(major) = major {
        let wrong = |found: &Binaries| format!("{} in {}", found.version, found.folder.display());
        let (right, others): (Vec<_>, Vec<_>) = search
            .usable
            .into_iter()
            .partition(|found| found.is(Some(major)));
        search.rejected.extend(others.iter().map(wrong));
        search.usable = right;
    }
    search.usable.into_iter().next().ok_or_else(|| {
        let rejected = if search.rejected.is_empty() {
            String::new()
        } else {
            format!(" ({})", search.rejected.join("; "))
        };
        let exactly = major.map_or_else(String::new, |major| format!(" {major}"));
        if env::var_os("LOCKPROOF_PG_BIN").is_some() {
            format!("LOCKPROOF_PG_BIN has no usable PostgreSQL{exactly}{rejected}")
        } else if !exactly.is_empty() {
            format!(
                "no PostgreSQL{exactly} (initdb and postgres) by LOCKPROOF_PG_BIN, pg_config, PATH or in the \
                 usual folders{rejected}"
            )
        } else {
            format!(
                "no PostgreSQL {} to {} (initdb and postgres) by LOCKPROOF_PG_BIN, pg_config, \
                 PATH or in the usual folders{rejected}",
                settings::OLDEST,
                settings::NEWEST
            )
        }
    })
}

/// Looks everywhere, or only until something usable is found.
pub(super) fn search(first_only: bool) -> Search {
    let mut search = Search::default();
    let mut known = BTreeSet::new();
    if let Some(folder) = env::var_os("LOCKPROOF_PG_BIN") {
        // Who names a folder gets that one or an error, not another version by surprise.
        search.look_at(Path::new(&folder), "LOCKPROOF_PG_BIN", &mut known, true);
        return search;
    }
    let pg_config = run_bounded(
        Command::new("pg_config").arg("--bindir"),
        Duration::from_secs(5),
    );
    let from_path: Vec<PathBuf> = env::var_os("PATH")
        .map(|path| env::split_paths(&path).collect())
        .unwrap_or_default();
    let candidates = pg_config
        .ok()
        .map(|folder| (PathBuf::from(folder.trim()), "pg_config"))
        .into_iter()
        .chain(from_path.into_iter().map(|folder| (folder, "PATH")))
        .chain(usual_folders().into_iter().map(|f| (f, "a usual folder")));
    for (folder, found_by) in candidates {
        search.look_at(&folder, found_by, &mut known, false);
        if first_only && !search.usable.is_empty() {
            break;
        }
    }
    search
}

impl Search {
    fn look_at(
        &mut self,
        folder: &Path,
        found_by: &str,
        known: &mut BTreeSet<PathBuf>,
        demanded: bool,
    ) {
        let postgres = folder.join("postgres");
        if !postgres.is_file() || !folder.join("initdb").is_file() {
            if demanded {
                self.rejected
                    .push(format!("{}: no initdb and postgres", folder.display()));
            }
            return;
        }
        // PATH often holds links; the binaries find their libraries by their real place.
        let real = fs::canonicalize(&postgres)
            .ok()
            .and_then(|path| path.parent().map(Path::to_path_buf))
            .filter(|real| real.join("initdb").is_file())
            .unwrap_or_else(|| folder.to_path_buf());
        if !known.insert(real.clone()) {
            return;
        }
        let mut asked = Command::new(real.join("postgres"));
        asked.arg("--version");
        if let Some(libraries) = archive::libraries(&real) {
            asked.env("LD_LIBRARY_PATH", libraries);
        }
        let version = run_bounded(&mut asked, Duration::from_secs(10))
            .map_err(|error| error.to_string())
            .and_then(|text| version_of(&text));
        match version {
            Ok(version) => self.usable.push(Binaries {
                folder: real,
                version,
                found_by: found_by.to_owned(),
            }),
            Err(why) => self.rejected.push(format!("{}: {why}", real.display())),
        }
    }
}

/// `15.18` of `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`.
fn version_of(text: &str) -> Result<String, String> {
    let version = text
        .split_whitespace()
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))
        .ok_or_else(|| format!("its version cannot be read from {:?}", text.trim()))?;
    let major =
        major_of(version).ok_or_else(|| format!("its version cannot be read from {version:?}"))?;
    settings::supported(major)?;
    Ok(version.to_owned())
}

fn usual_folders() -> Vec<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = Vec::new();
    for (base, below) in USUAL {
        let Ok(entries) = fs::read_dir(base) else {
            continue;
        };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let number = name
                .trim_start_matches("postgresql@")
                .trim_start_matches("pgsql-")
                .trim_start_matches("postgresql");
            let number: String = number.chars().take_while(char::is_ascii_digit).collect();
            let own = name.starts_with("pgsql") || name.starts_with("postgresql");
            if own || number.parse::<u32>().is_ok() {
                found.push((number.parse().unwrap_or(0), entry.path().join(below)));
            }
        }
    }
    found.sort_by(|one, other| other.cmp(one));
    found.into_iter().map(|(_, folder)| folder).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_judged() {
        assert_eq!(
            version_of("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n").unwrap(),
            "15.18"
        );
        assert_eq!(
            version_of("postgres (PostgreSQL) 18beta1").unwrap(),
            "18beta1"
        );
        assert!(
            version_of("postgres (PostgreSQL) 12.9")
                .unwrap_err()
                .contains("13 to 18")
        );
        assert!(version_of("postgres (PostgreSQL) 19devel").is_err());
        assert!(version_of("postgres (PostgreSQL)").is_err());
    }

    #[test]
    fn a_newer_version_comes_first() {
        let folders = usual_folders();
        assert!(folders.iter().all(|folder| folder.ends_with("bin")));
    }
}
