//! `lockproof check`: judges a stored run again, with no server.
//!
//! Owns which of its files are read and how the two later runs are weighed. The verdict itself is `invariant`'s.

use std::path::{Path, PathBuf};

use super::common::{Failure, Format, Talk};
use super::exit::{Exit, exit_of};
use crate::history::{self, Line};
use crate::invariant::{Verdict, judge_knowing, whole};
use crate::name::PodName;
use crate::report::{VerdictJson, verdict_block, wrap};
use crate::scenario;
use crate::search::{CONFIRMATION, HISTORY, LET_GO, unexpected, weigh, weigh_giving_up};

/// Options of `check`.
#[derive(Debug, Clone, clap::Args)]
pub struct CheckArguments {
    /// The run directory: the one that holds history.jsonl
    pub dir: PathBuf,

    /// How the result is printed
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
}

/// Judges; 0 if the verdict is as the stored scenario expects, 3 if it is inconclusive instead, else 1.
///
/// # Errors
/// When there is no history, it cannot be judged, or it lacks lines that its run must have written.
pub fn run(arguments: &CheckArguments) -> Result<Exit, Failure> {
    let talk = Talk::of(arguments.format, false);
    let dir = &arguments.dir;
    let history = dir.join(HISTORY);
    if !history.exists() {
        return Err(no_history(dir));
    }
    let (lines, mut verdict) = verdict_of(&history, &[])?;
    let let_go = dir.join(LET_GO);
    if let_go.exists() {
        weigh_giving_up(&mut verdict, &lines, &verdict_of(&let_go, &[])?.1);
    }
    let confirmation = dir.join(CONFIRMATION);
    if confirmation.exists() {
        let bare = verdict_of(&confirmation, &verdict.worked)?.1;
        weigh(&mut verdict, &bare);
    }
    let scenario = scenario::load(&dir.join("scenario.toml"))
        .map_err(|error| Failure::scenarios(vec![error]))?;
    let reasons = unexpected(&verdict, &scenario.expect);
    talk.result(&format!("verdict: {}", verdict.judgement));
    talk.result(verdict_block(&verdict, true).trim_end());
    for reason in &reasons {
        talk.result(&wrap("unexpected", reason));
    }
    talk.document(&VerdictJson::of(&verdict));
    Ok(exit_of(&verdict, &scenario.expect))
}

fn verdict_of(path: &Path, worked: &[PodName]) -> Result<(Vec<Line>, Verdict), Failure> {
    let usage = |text: String| Failure::new(Exit::Usage, text);
    let lines = history::read(path).map_err(|error| usage(error.to_string()))?;
    let verdict = whole(&lines)
        .and_then(|()| judge_knowing(&lines, worked))
        .map_err(|error| usage(format!("{}: {error}", path.display())))?;
    Ok((lines, verdict))
}

/// Says where a history could be instead.
pub(super) fn no_history(dir: &Path) -> Failure {
    let mut below: Vec<String> = std::fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.join(HISTORY).exists())
        .map(|path| path.display().to_string())
        .collect();
    below.sort();
    let instead = if dir.is_file() {
        "it is a file; give the directory that it is in".to_owned()
    } else if !dir.exists() {
        "there is no such directory".to_owned()
    } else if below.is_empty() {
        "give the directory of one run, as `lockproof run` names it under artifacts".to_owned()
    } else {
        format!("give one of the runs in it: {}", below.join(", "))
    };
    Failure::new(
        Exit::Usage,
        format!("no {HISTORY} in {}: {instead}", dir.display()),
    )
}
