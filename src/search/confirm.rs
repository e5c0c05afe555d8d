//! Whole runs of a schedule that failed, so that a search tells only what a person could see again.
//!
//! Owns how such a run is made, and what stands for one that cannot be repeated. Knows nothing of when it is
//! asked for.

use std::io::{BufWriter, Write};
use std::path::Path;

use super::after_crash::without_faults;
use super::error::TrialError;
use super::trial::{HISTORY, Outcome};
use super::weighing::Confirmation;
use super::workers::{Workers, becomes_true};
use crate::history::private;
use crate::invariant::Judgement;
use crate::schedule::Schedule;

/// How often steps that are let go together get the chance to meet again.
pub(super) const MEETINGS: u32 = 10;

/// How often a schedule is run again of which one run's own lines prove a violation.
pub(super) const CHANCES: u32 = 3;

/// Whether the same schedule fails though none of its faults is done. At an interrupt nobody knows, and the
/// failure counts as one of the order.
pub(super) fn fails_without_faults(
    workers: &Workers<'_>,
    schedule: &Schedule,
) -> Result<bool, TrialError> {
    let schedule = without_faults(schedule);
    let verdict = workers.on_own_runtime(async {
        tokio::select! {
            biased;
            () = becomes_true(workers.cancel.clone()) => Ok(None),
            outcome = workers.trial.probe(&schedule) => Ok(Some(outcome?.verdict)),
        }
    })?;
    Ok(verdict.is_none_or(|verdict| verdict.judgement == Judgement::Violated))
}

/// The whole run, with nothing in its directory of one before it; `None` at an interrupt.
pub(super) fn whole(
    workers: &Workers<'_>,
    schedule: &Schedule,
    dir: &Path,
) -> Result<Option<Outcome>, TrialError> {
    let cleared = std::fs::remove_dir_all(dir);
    if dir.exists() {
        cleared.map_err(|cause| TrialError::Write {
            path: dir.to_owned(),
            cause,
        })?;
    }
    make(dir)?;
    workers.on_own_runtime(async {
        tokio::select! {
            biased;
            () = becomes_true(workers.cancel.clone()) => Ok(None),
            outcome = workers.trial.run_confirmed(schedule, Some(dir)) => outcome.map(Some),
        }
    })
}

/// A run that could not be repeated, and why, written to its directory.
pub(super) fn alone(mut seen: Outcome, dir: &Path, why: String) -> Result<Outcome, TrialError> {
    let path = dir.join(HISTORY);
    let written = private::create(&path).and_then(|file| {
        let mut file = BufWriter::new(file);
        for line in &seen.lines {
            serde_json::to_writer(&mut file, line)?;
            file.write_all(b"\n")?;
        }
        file.flush()
    });
    written.map_err(|cause| TrialError::Write { path, cause })?;
    seen.confirmation = Confirmation::NotPossible(why);
    Ok(seen)
}

/// Makes a directory, and those above it.
pub(super) fn make(dir: &Path) -> Result<(), TrialError> {
    private::make_directory(dir).map_err(|cause| TrialError::Write {
        path: dir.to_owned(),
        cause,
    })
}
