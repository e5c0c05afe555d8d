//! The names of a failure's scenario file.
//!
//! Owns the title in it and the name of the file. Knows nothing of the schedule in it.

use std::path::{Path, PathBuf};

use crate::search::{Breaks, Found};

/// A title for the scenario file.
pub(super) fn title(found: &Found) -> String {
    let failure = found.failure.key();
    let after = match found.breaks {
        Breaks::Order => "",
        Breaks::AfterCrash => ", after a crash",
    };
    let on = failure
        .constraint
        .as_ref()
        .or(failure.table.as_ref())
        .map(|name| format!(" on {name}"))
        .unwrap_or_default();
    match &failure.sqlstate {
        Some(sqlstate) => format!("Found by search: {sqlstate}{on}{after}"),
        None => format!("Found by search: {} violated{on}{after}", failure.invariant),
    }
}

/// A file name that says what is in it.
pub(super) fn file_name(found: &Found) -> String {
    let failure = found.failure.key();
    let parts = [
        Some(failure.invariant.name().to_owned()),
        failure.sqlstate.clone(),
        failure.constraint.clone().or_else(|| failure.table.clone()),
    ];
    parts
        .into_iter()
        .flatten()
        .map(|part| {
            part.chars()
                .map(|c| {
                    if c.is_ascii_alphanumeric() || c == '_' {
                        c
                    } else {
                        '-'
                    }
                })
                .collect::<String>()
        })
        .collect::<Vec<_>>()
        .join("-")
        .to_lowercase()
}

/// A name in the directory that no file has yet.
pub(super) fn free_name(dir: &Path, stem: &str) -> PathBuf {
    let mut number = 1;
    loop {
        let name = match number {
            1 => format!("{stem}.toml"),
            _ => format!("{stem}-{number}.toml"),
        };
        let file = dir.join(name);
        if !file.exists() {
            return file;
        }
        number += 1;
    }
}
