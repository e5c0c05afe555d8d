//! A run that has been judged, without its data.
//!
//! Owns which files are written anew, and that the verdict stays the one that was reached. What data is, `redact`
//! knows.

use std::path::Path;
use std::sync::PoisonError;

use super::error::TrialError;
use super::failure::same_verdict;
use super::giving_up::{LET_GO, weigh_giving_up};
use super::redact::Redactor;
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
        let Some(dir) = dir else {
            outcome.verdict = worded(&outcome.verdict, judge(&outcome.lines).ok());
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
        let again = judged(&outcome.lines, let_go.as_deref(), bare.as_deref());
        outcome.verdict = worded(&outcome.verdict, again);
        Ok(())
    }
}

/// The verdict of a run, its two later runs weighed.
fn judged(lines: &[Line], let_go: Option<&[Line]>, bare: Option<&[Line]>) -> Option<Verdict> {
    let mut verdict = judge(lines).ok()?;
    if let Some(let_go) = let_go.and_then(|lines| judge(lines).ok()) {
        weigh_giving_up(&mut verdict, lines, &let_go);
    }
    if let Some(bare) = bare.and_then(|lines| judge_knowing(lines, &verdict.worked).ok()) {
        weigh(&mut verdict, &bare);
    }
    Some(verdict)
}

/// A stored run without its data, for whoever may not see it: its lines, and the verdict that was reached, in words that
/// hold none. What the scenario says of the data is replaced, too.
#[must_use]
pub fn without_data(
    lines: &[Line],
    let_go: Option<&[Line]>,
    bare: Option<&[Line]>,
    reached: &Verdict,
) -> (Vec<Line>, Verdict) {
    let mut redactor = Redactor::default();
    let lines = redactor.lines_and_scenario(lines);
    let let_go = let_go.map(|lines| redactor.lines_and_scenario(lines));
    let bare = bare.map(|lines| redactor.lines_and_scenario(lines));
    let again = judged(&lines, let_go.as_deref(), bare.as_deref());
    (lines, worded(reached, again))
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
