//! The same scenarios on several versions of PostgreSQL, one after the other, and a matrix of what came of them.
//!
//! Owns the matrix. A run on one version is `run`'s.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::cli::common::{Failure, Talk};
use crate::cli::exit::Exit;
use crate::cli::out::write_last;
use crate::cli::page::VERSIONS;
use crate::report::{RunJson, ScenarioJson, visible};

/// What `--format json` prints for several versions.
#[derive(Serialize)]
struct MatrixJson {
    versions: Vec<VersionJson>,
}

/// What came of one version.
#[derive(Serialize)]
struct VersionJson {
    major: u32,
    exit_code: u8,
    /// Why there is nothing of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<RunJson>,
}

/// Runs the scenarios on each of these versions by `run`, and keeps in `out` what came of them; the gravest exit code. A version that cannot be had
/// keeps no other from being run.
///
/// # Errors
/// When a file has errors, or there is an interrupt.
pub(super) async fn each(
    talk: Talk,
    majors: &[u32],
    out: &Path,
    run: impl AsyncFn(u32) -> Result<(Exit, RunJson), Failure>,
) -> Result<Exit, Failure> {
    let mut versions = Vec::new();
    let mut exits = Vec::new();
    for major in majors.iter().copied() {
        let (exit, error, run) = match run(major).await {
            Ok((exit, document)) => (exit, document.stopped.clone(), Some(document)),
            Err(failure) if failure.exit == Exit::Environment => {
                talk.result(&format!(
                    "PostgreSQL {major}: {}",
                    visible(&failure.message)
                ));
                (failure.exit, Some(failure.message), None)
            }
            Err(failure) => return Err(failure),
        };
        exits.push(exit);
        versions.push(VersionJson {
            major,
            exit_code: exit as u8,
            error,
            run,
        });
        if exit == Exit::Interrupted {
            break;
        }
    }
    if versions.iter().any(|one| one.run.is_some()) {
        talk.result(&matrix(&versions));
    }
    let document = MatrixJson { versions };
    talk.document(&document);
    // What was found was told: a disk that is full hides none of it.
    let exit = gravest(&exits);
    write_last(&out.join(VERSIONS), &document, exit)
}

fn gravest(exits: &[Exit]) -> Exit {
    [
        Exit::Interrupted,
        Exit::Usage,
        Exit::Unexpected,
        Exit::Environment,
        Exit::Inconclusive,
    ]
    .into_iter()
    .find(|exit| exits.contains(exit))
    .unwrap_or(Exit::AsExpected)
}

/// A line for each scenario, a column for each version.
fn matrix(versions: &[VersionJson]) -> String {
    let files = files(versions);
    let head = |one: &VersionJson| {
        let run = one.run.as_ref();
        run.map_or_else(|| one.major.to_string(), |run| short(&run.server.version))
    };
    let mut table = vec![vec!["scenario".to_owned()]];
    table[0].extend(versions.iter().map(head));
    for file in &files {
        let mut row = vec![file.display().to_string()];
        row.extend(versions.iter().map(|one| cell(one, file)));
        table.push(row);
    }
    let width = |column: usize| {
        let widths = table.iter().map(|row| row[column].chars().count());
        widths.max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..=versions.len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths);
        let padded: Vec<String> = cells
            .map(|(text, width)| format!("{text:width$}"))
            .collect();
        padded.join("  ").trim_end().to_owned()
    };
    let lines: Vec<String> = table.iter().map(line).collect();
    format!("\n{}", lines.join("\n"))
}

/// Every file that was run on any version, in their order.
fn files(versions: &[VersionJson]) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for one in versions.iter().filter_map(|one| one.run.as_ref()) {
        for scenario in &one.scenarios {
            if !files.contains(&scenario.file) {
                files.push(scenario.file.clone());
            }
        }
    }
    files
}

fn cell(version: &VersionJson, file: &Path) -> String {
    let Some(run) = &version.run else {
        return "no server".to_owned();
    };
    let is_it = |one: &&ScenarioJson| one.file == file;
    match run.scenarios.iter().find(is_it) {
        None => "not run".to_owned(),
        Some(scenario) => {
            let mark = if scenario.as_expected { "✓" } else { "✗" };
            let verdict = scenario.verdict.map(|verdict| verdict.to_string());
            format!(
                "{mark} {}",
                verdict.unwrap_or_else(|| "no verdict".to_owned())
            )
        }
    }
}

/// `15.18` of `15.18 (Debian 15.18-0+deb12u1)`.
fn short(version: &str) -> String {
    version.split(' ').next().unwrap_or_default().to_owned()
}
