//! `lockproof check`: judges a stored run again, with no server.
//!
//! Owns what is printed of it. How a stored run is read is `stored`'s; the verdict itself is `invariant`'s.

use std::path::PathBuf;

use super::common::{Failure, Format, Talk};
use super::exit::{Exit, exit_of};
use super::stored::Stored;
use crate::report::{VerdictJson, verdict_block, wrap};
use crate::scenario;
use crate::search::unexpected;

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
    let Stored { verdict, .. } = Stored::read(dir)?;
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
