//! Which scenario files there are.
//!
//! Owns the search through directories and the choice by tag.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::error::ScenarioError;

/// Marks a directory that lockproof has made: what it holds was written by lockproof, and is no scenario of the
/// user's.
pub const OUTPUT_MARK: &str = ".lockproof";

/// The scenario files among these paths: files as given, directories searched through for
/// `*.toml` in the order of their names; what lockproof itself has written below them is left aside. With a tag only those that have it; a file that is no TOML
/// stays, so that whoever loads it says so.
///
/// # Errors
/// When a path does not exist or a directory cannot be read.
pub fn find(paths: &[PathBuf], tag: Option<&str>) -> Result<Vec<PathBuf>, ScenarioError> {
    let mut found: Vec<PathBuf> = Vec::new();
    for path in paths {
        let mut here = Vec::new();
        if std::fs::metadata(path).map_err(unreadable(path))?.is_dir() {
            search(path, &mut here)?;
        } else {
            here.push(path.clone());
        }
        for file in here {
            if !found.contains(&file) && tag.is_none_or(|tag| has_tag(&file, tag)) {
                found.push(file);
            }
        }
    }
    Ok(found)
}

fn unreadable(path: &Path) -> impl FnOnce(std::io::Error) -> ScenarioError {
    let path = path.to_owned();
    move |cause| ScenarioError::Unreadable { path, cause }
}

fn search(directory: &Path, found: &mut Vec<PathBuf>) -> Result<(), ScenarioError> {
    let mut entries = std::fs::read_dir(directory)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(unreadable(directory))?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        // Links to directories are not followed: they may lead back.
        if entry.file_type().map_err(unreadable(&path))?.is_dir() {
            if !hidden && !path.join(OUTPUT_MARK).exists() {
                search(&path, found)?;
            }
        } else if path
            .extension()
            .is_some_and(|extension| extension == "toml")
            && !hidden
        {
            found.push(path);
        }
    }
    Ok(())
}

/// As much of a file as the choice needs.
#[derive(Deserialize)]
struct Tags {
    #[serde(default)]
    tags: Vec<String>,
}

fn has_tag(file: &Path, tag: &str) -> bool {
    let Ok(text) = std::fs::read_to_string(file) else {
        return true;
    };
    match toml::from_str::<Tags>(&text) {
        Ok(found) => found.tags.iter().any(|one| one == tag),
        Err(_) => true,
    }
}
