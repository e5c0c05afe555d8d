//! What of the final rows was not compared, beside a list of what may be left out.
//!
//! A column that carries a job's work must not be among it, and whether one does no program can tell: so the
//! list is written by hand. A scenario may leave out less than is listed, never more.

use std::collections::BTreeSet;
use std::path::Path;

use lockproof_core::history;
use lockproof_core::invariant::{Limit, judge};
use lockproof_core::scenario;

/// For each subject, by its schema (`seeder` for the built-in one), what may be left out.
const LIST: &str = include_str!("../../scenarios/left-out.txt");

/// What to do with what is not listed.
const ADVICE: &str = "in scenarios/left-out.txt; if no work of the job is in it, add that line";

/// Fails if this run left out what is not listed for its subject.
///
/// # Errors
/// With what that is, or what could not be read.
pub fn only_what_is_listed(file: &Path, dir: &Path) -> Result<(), String> {
    let scenario = scenario::load(file).map_err(|error| error.to_string())?;
    let schema = scenario.subject.schema.as_deref().and_then(Path::file_name);
    let subject = schema.map_or("seeder".into(), |name| name.to_string_lossy());
    match unlisted(&subject, &of_run(&dir.join("history.jsonl"))?) {
        None => Ok(()),
        Some(line) => Err(format!("{line}: not listed {ADVICE}")),
    }
}

/// Fails if a run or a search of the cases left out what is not listed for its case. `dir` is what the cases' `check
/// --keep` has filled: a directory for each claim, named by its case and its own name.
///
/// # Errors
/// With all that is not listed, or what could not be read.
pub fn only_what_is_listed_of_cases(dir: &Path) -> Result<(), String> {
    let text = |error: std::io::Error| format!("{}: {error}", dir.display());
    let mut claims = 0;
    let mut lines = BTreeSet::new();
    for claim in std::fs::read_dir(dir).map_err(text)? {
        let claim = claim.map_err(text)?;
        let mut left = Vec::new();
        records(&claim.path(), &mut left)?;
        claims += 1;
        let name = format!("case {}", claim.file_name().to_string_lossy());
        lines.extend(
            left.iter()
                .filter_map(|one| unlisted(&name, std::slice::from_ref(one))),
        );
    }
    if claims == 0 {
        return Err(format!("{} has no claim in it", dir.display()));
    }
    let lines: Vec<String> = lines.into_iter().collect();
    match lines.is_empty() {
        true => Ok(()),
        false => Err(format!("{}\nnot listed {ADVICE}", lines.join("\n"))),
    }
}

/// What the runs and searches below this directory left out.
fn records(dir: &Path, left: &mut Vec<String>) -> Result<(), String> {
    let text = |error: std::io::Error| format!("{}: {error}", dir.display());
    for entry in std::fs::read_dir(dir).map_err(text)? {
        let path = entry.map_err(text)?.path();
        match path.file_name().and_then(|name| name.to_str()) {
            _ if path.is_dir() => records(&path, left)?,
            Some("history.jsonl") => left.extend(of_run(&path)?),
            Some("explore.json") => {
                let search = std::fs::read(&path).map_err(text)?;
                let search: serde_json::Value =
                    serde_json::from_slice(&search).map_err(|error| error.to_string())?;
                let limits = search["left_open"]["not_compared"].clone();
                if !limits.is_null() {
                    let limits: Vec<Limit> =
                        serde_json::from_value(limits).map_err(|error| error.to_string())?;
                    left.extend(limits.iter().flat_map(told));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// What a run left out, by its history.
fn of_run(history: &Path) -> Result<Vec<String>, String> {
    let lines = history::read(history).map_err(|error| error.to_string())?;
    let verdict = judge(&lines).map_err(|error| error.to_string())?;
    Ok(verdict.not_tested.iter().flat_map(told).collect())
}

/// The line that the list lacks for this subject, if any. A case's lines stand for each of its claims.
fn unlisted(subject: &str, left: &[String]) -> Option<String> {
    let listed = |one: &&String| {
        LIST.lines().any(|line| {
            let of = line.strip_suffix(one.as_str()).map(str::trim_end);
            of.is_some_and(|of| {
                of == subject || (of.starts_with("case ") && subject.starts_with(&format!("{of}-")))
            })
        })
    };
    let one = left.iter().find(|one| !listed(one))?;
    Some(format!("{subject} {one}"))
}

/// What a limit leaves out, with the way in which it does.
fn told(limit: &Limit) -> Vec<String> {
    let all = |how: &str, names: &[String]| -> Vec<String> {
        names.iter().map(|name| format!("{how} {name}")).collect()
    };
    match limit {
        Limit::ColumnsNotCompared { columns, .. } => all("not-compared", columns),
        Limit::ComparedAlone { columns } => all("by-itself", columns),
        Limit::IdsRenamed { columns } => all("renamed", columns),
        Limit::ReferencesNotFollowed { columns } => all("not-followed", columns),
        Limit::OnlyCounted { tables } => all("only-counted", tables),
        Limit::ByColumn { tables } => all("by-column", tables),
        Limit::TablesNotCompared { tables, .. } => all("not-even-counted", tables),
        _ => Vec::new(),
    }
}
