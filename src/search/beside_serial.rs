//! Serial runs beside a difference: made only when one is about to be told, and before it is.
//!
//! Owns when they are made, and that the history keeps them. What they leave open is for the verdict to say.

use std::path::Path;

use super::error::TrialError;
use super::giving_up::keep_giving_up;
use super::trial::{Outcome, Trial};
use crate::history::{Event, Line, SerialRun, append};
use crate::invariant::{Judgement, Verdict, judge_knowing, serial_orders};
use crate::name::{InvariantName, PodName};

impl Trial<'_> {
    /// The verdict. Where the final rows are not those of a serial run by their digests, what all serial runs so
    /// far left goes into the history, the second one of all pods among them, and the rows are compared.
    /// `worked`: the pods whose work the run with the witness saw, where this one is without.
    ///
    /// # Errors
    /// When the harness cannot do its work.
    pub(super) async fn judged(
        &self,
        lines: &mut Vec<Line>,
        path: Option<&Path>,
        worked: &[PodName],
    ) -> Result<Verdict, TrialError> {
        let verdict = judge_knowing(lines, worked)?;
        let has_rows = |line: &Line| matches!(line.event, Event::FinalRows(_));
        if !differs(&verdict) || !lines.iter().any(has_rows) {
            return Ok(verdict);
        }
        let (stage, plan, serial) = self.serial_runs();
        let seat = stage.seat().await?;
        let mut runs = serial.all(seat.place(), plan).await?;
        drop(seat);
        runs.retain(|run| !is_in(lines, run));
        if runs.is_empty() {
            return Ok(verdict);
        }
        append(path, lines, Event::SerialRuns { runs })?;
        Ok(judge_knowing(lines, worked)?)
    }

    /// Makes serial runs anew, if the final rows differ from all so far, and judges again.
    ///
    /// # Errors
    /// When the harness cannot do its work.
    pub(super) async fn serial_anew(
        &self,
        outcome: &mut Outcome,
        path: Option<&Path>,
    ) -> Result<(), TrialError> {
        if differs(&outcome.verdict) {
            let (stage, plan, serial) = self.serial_runs();
            let orders = serial_orders(&outcome.lines)?;
            let seat = stage.seat().await?;
            serial.anew(seat.place(), plan, &orders).await?;
            drop(seat);
            let anew = self.judged(&mut outcome.lines, path, &[]).await?;
            let before = std::mem::replace(&mut outcome.verdict, anew);
            keep_giving_up(&before, &mut outcome.verdict);
        }
        Ok(())
    }
}

impl Outcome {
    /// Whether its final rows are like those of no serial run.
    pub(super) fn differs_from_serial(&self) -> bool {
        differs(&self.verdict)
    }
}

fn differs(verdict: &Verdict) -> bool {
    let clean_state = verdict.of(InvariantName::CleanState);
    clean_state.is_some_and(|one| one.judgement == Judgement::Violated)
}

fn is_in(lines: &[Line], run: &SerialRun) -> bool {
    lines.iter().any(|line| match &line.event {
        Event::SerialRuns { runs } => runs.contains(run),
        _ => false,
    })
}
