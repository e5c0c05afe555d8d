//! What of the final rows was not compared, beside a list of what may be left out.
//!
//! A column that carries a job's work must not be among it, and whether one does no program can tell: so the
//! list is written by hand. A scenario may leave out less than is listed, never more.

use std::path::Path;

use lockproof_core::history;
use lockproof_core::invariant::{Limit, judge};
use lockproof_core::scenario;

/// For each subject, by its schema (`seeder` for the built-in one), what may be left out.
const LIST: &str = include_str!("../../scenarios/left-out.txt");

/// Fails if this run left out what is not listed for its subject.
///
/// # Errors
/// With what that is, or what could not be read.
pub fn only_what_is_listed(file: &Path, dir: &Path) -> Result<(), String> {
    let scenario = scenario::load(file).map_err(|error| error.to_string())?;
    let schema = scenario.subject.schema.as_deref().and_then(Path::file_name);
    let subject = schema.map_or("seeder".into(), |name| name.to_string_lossy());
    let lines = history::read(&dir.join("history.jsonl")).map_err(|error| error.to_string())?;
    let verdict = judge(&lines).map_err(|error| error.to_string())?;
    let left: Vec<String> = verdict.not_tested.iter().flat_map(told).collect();
    let listed = |one: &&String| LIST.lines().any(|line| line == format!("{subject} {one}"));
    match left.iter().find(|one| !listed(one)) {
        None => Ok(()),
        Some(one) => Err(format!(
            "{subject} {one}: not listed in scenarios/left-out.txt; if no work of the job is in it, add that line"
        )),
    }
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
