//! A run that has been judged, without its data.
//!
//! Owns which files are written anew, and that the verdict stays the one that was reached. What data is, `redact`
//! knows.

use std::path::Path;
use std::sync::PoisonError;

use super::error::TrialError;
use super::failure::same_verdict;
use super::giving_up::{LET_GO, weigh_giving_up};
use super::trial::{CONFIRMATION, HISTORY, Outcome, Trial};
use super::weighing::weigh;
use crate::history::{Line, private};
use crate::invariant::{Verdict, judge, judge_knowing};

impl Trial<'_> {
    /// Takes the data out of a run that has been judged, and out of its files, where the scenario asks for that. The
    /// verdict is judged again from what is left, so that its words hold none either.
    ///
    /// # Errors
    /// When a file cannot be written anew.
    pub(super) fn redact(
        &self,
        outcome: &mut Outcome,
        dir: Option<&Path>,
    ) -> Result<(), TrialError> {
        let Some(redactor) = &self.redactor else {
            return Ok(());
        };
        let mut redactor = redactor.lock().unwrap_or_else(PoisonError::into_inner);
        outcome.lines = redactor.lines(&outcome.lines);
        let mut again = judge(&outcome.lines).ok();
        let Some(dir) = dir else {
            outcome.verdict = worded(&outcome.verdict, again);
            return Ok(());
        };
        write_lines(&dir.join(HISTORY), &outcome.lines)?;
        let mut other = |name: &str| -> Result<Option<Vec<Line>>, TrialError> {
            let path = dir.join(name);
            if !path.exists() {
                return Ok(None);
            }
            let lines = redactor.lines(&crate::history::read(&path)?);
            write_lines(&path, &lines)?;
            Ok(Some(lines))
        };
        let (let_go, bare) = (other(LET_GO)?, other(CONFIRMATION)?);
        if let Some(again) = &mut again {
            if let Some(let_go) = let_go.and_then(|lines| judge(&lines).ok()) {
                weigh_giving_up(again, &outcome.lines, &let_go);
            }
            if let Some(bare) = bare.and_then(|lines| judge_knowing(&lines, &again.worked).ok()) {
                weigh(again, &bare);
            }
        }
        outcome.verdict = worded(&outcome.verdict, again);
        Ok(())
    }
}

/// The verdict that was reached, in the words of the one without data. Where that came out otherwise, the words are
/// left out: what holds is what was judged from all that was seen.
fn worded(reached: &Verdict, again: Option<Verdict>) -> Verdict {
    if let Some(again) = again.filter(|again| same_verdict(again, reached)) {
        return again;
    }
    const REDACTED: &str = "its words are redacted, and cannot be made anew from what is left";
    let mut verdict = reached.clone();
    for one in &mut verdict.invariants {
        one.why = REDACTED.to_owned();
        for finding in &mut one.findings {
            finding.why = REDACTED.to_owned();
            finding.difference = None;
        }
    }
    let otherwise = "what is left of this history without its data does not show the verdict: `lockproof check` and \
                     `lockproof report` judge it otherwise than the run did";
    verdict.reports = vec![otherwise.to_owned()];
    verdict
}

fn write_lines(path: &Path, lines: &[Line]) -> Result<(), TrialError> {
    let failed = |cause: std::io::Error| TrialError::Write {
        path: path.to_owned(),
        cause,
    };
    let mut text = String::new();
    for line in lines {
        text += &serde_json::to_string(line).map_err(|error| failed(error.into()))?;
        text.push('\n');
    }
    private::write(path, &text).map_err(failed)
}
