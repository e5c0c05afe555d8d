//! The histories that hazards are mined from, and how many of them were lost.
//!
//! Owns what a loss means: without a clean or serial run nothing can be said of the job's conflicts, without the run of
//! a schedule only less.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::history::Line;
use crate::run::{KeptHistory, RunError};
use crate::search::hazard::Runs;

/// Histories that are looked at one at a time: first those of clean and serial runs, then those of schedules.
#[derive(Debug)]
pub(super) struct Kept {
    runs: Vec<KeptHistory>,
    /// How many of them are of clean and serial runs.
    undisturbed: usize,
    lost: Mutex<Lost>,
}

#[derive(Debug, Default)]
struct Lost {
    /// How many could not be kept.
    unkept: u64,
    /// Places of those that could not be read again.
    unread: BTreeSet<usize>,
    /// Why that of a clean or serial run could not.
    failure: Option<RunError>,
}

impl Kept {
    pub(super) fn of(undisturbed: Vec<KeptHistory>) -> Self {
        Self {
            undisturbed: undisturbed.len(),
            runs: undisturbed,
            lost: Mutex::default(),
        }
    }

    /// The lines of the clean run.
    pub(super) fn clean(&self) -> Option<Cow<'_, [Line]>> {
        self.runs.first()?.lines().ok()
    }

    /// Keeps that of a schedule.
    pub(super) fn add(&mut self, lines: &[Line]) {
        match KeptHistory::copy_of(lines) {
            Ok(run) => self.runs.push(run),
            Err(error) => {
                tracing::error!(%error, "no conflicts are looked for in a run");
                self.losses().unkept += 1;
            }
        }
    }

    /// Keeps one that cannot be read again.
    #[cfg(test)]
    pub(super) fn add_spoilt(&mut self) {
        self.runs.push(KeptHistory::spoilt());
    }

    /// How many runs of schedules were lost.
    pub(super) fn lost(&self) -> u64 {
        let lost = self.losses();
        lost.unkept + lost.unread.len() as u64
    }

    /// Why the search cannot go on.
    pub(super) fn failure(&mut self) -> Option<RunError> {
        self.losses().failure.take()
    }

    fn losses(&self) -> MutexGuard<'_, Lost> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Runs for Kept {
    fn each(&self, look: &mut dyn FnMut(&[Line])) {
        for (place, run) in self.runs.iter().enumerate() {
            match run.lines() {
                Ok(lines) => look(&lines),
                Err(error) if place < self.undisturbed => self.losses().failure = Some(error),
                Err(error) => {
                    if self.losses().unread.insert(place) {
                        tracing::error!(%error, "no conflicts are looked for in a run");
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::tale::Tale;

    fn looked_at(kept: &Kept) -> usize {
        let mut runs = 0;
        kept.each(&mut |_| runs += 1);
        runs
    }

    #[test]
    fn a_lost_run_of_a_schedule_is_counted_once_and_that_of_a_clean_run_is_a_failure() {
        let mut tale = Tale::of(&["a"]);
        let lines = tale.step("a.0", "select 1").lines();
        let clean = KeptHistory::of(lines.clone()).unwrap();
        let mut kept = Kept::of(vec![clean.clone()]);
        kept.add(&lines);
        kept.add_spoilt();
        assert_eq!((looked_at(&kept), looked_at(&kept)), (2, 2));
        assert_eq!(kept.lost(), 1);
        assert!(kept.failure().is_none());
        let mut kept = Kept::of(vec![clean, KeptHistory::spoilt()]);
        looked_at(&kept);
        assert!(kept.failure().is_some());
    }
}
