//! Making a failing schedule small, and readable.
//!
//! Owns what is tried next and what is kept; it is a machine that is asked for the next attempt and
//! told whether that reproduced the failure. Knows nothing of how an attempt is run, nor of what
//! "the failure" is: whoever drives it decides that, and has made sure beforehand that it repeats.
//!
//! In the order of what makes a schedule simplest: fewer pods (those left are renamed, so that they
//! stay a, b, …), fewer faults, fewer moves (chunks of half, a quarter, … and then one at a time, as
//! in delta debugging: Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input",
//! TSE 2002; it is not tried to keep a chunk alone, for that is what dropping the pods does), turns
//! of the same pod made one, steps released together one after the other, and earlier stops (half
//! as many steps, …, one less). A change that reproduces is kept; one run that does not refutes a
//! change. That is repeated until no change is kept: the schedule is **1-minimal**.
//!
//! Then numbers of steps become what was at the gate there (see `anchor`), each kept only if it still
//! reproduces, so that the schedule survives when step numbers move a little. And the turn in which
//! the failure happens is written out where it is one of those that the conductor adds (`run a to its
//! end`), so that the schedule reads as a story. That turn changes nothing, so it is exempt from
//! removal. After that single changes are tried once more, until none is kept.

mod anchor;
mod attempt;
mod changes;
mod recorded;
mod settled;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use crate::history::Line;
use crate::name::StepId;
use crate::schedule::Move;
use crate::search::executed::Executed;

pub(super) use anchor::pattern;
pub use attempt::Attempt;
pub use recorded::recorded;
pub use settled::settled;

/// A run that showed the failure.
#[derive(Debug, Clone, Copy)]
pub struct Failed<'a> {
    /// Its history.
    pub lines: &'a [Line],
    /// The step at which it failed, if one can be named; else the last one with an error is taken.
    pub at: Option<StepId>,
}

/// How far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// How many attempts were told.
    pub tried: u32,
    /// How many of them reproduced and were kept.
    pub kept: u32,
    /// Pods, moves and faults of the smallest so far.
    pub pods: usize,
    /// See `pods`.
    pub moves: usize,
    /// See `pods`.
    pub faults: usize,
    /// How many moves there were at first.
    pub from_moves: usize,
}

/// What is tried, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Pods,
    Faults,
    Moves,
    Joins,
    Stops,
    Anchors,
    Story,
    Done,
}

/// A schedule on its way to 1-minimal.
#[derive(Debug, Clone)]
pub struct Shrink {
    best: Attempt,
    executed: Executed,
    at: Option<StepId>,
    phase: Phase,
    /// Something was kept since the phases began anew.
    changed: bool,
    /// The numbers of steps have become anchors, and the story is written.
    readable: bool,
    tried: BTreeSet<String>,
    pending: Option<Attempt>,
    progress: Progress,
}

impl Shrink {
    /// Begins with a schedule that fails, and the run that showed it.
    #[must_use]
    pub fn new(pods: usize, moves: Vec<Move>, failed: Failed<'_>) -> Self {
        let best = Attempt {
            pods,
            moves,
            story: 0,
        };
        Self {
            tried: BTreeSet::from([best.text()]),
            progress: Progress {
                from_moves: best.moves.len(),
                ..Progress::default()
            },
            best,
            executed: Executed::of(failed.lines),
            at: failed.at,
            phase: Phase::Pods,
            changed: false,
            readable: false,
            pending: None,
        }
    }

    /// The next attempt; `None`: done. Asked again before it was told, it is the same one.
    pub fn next_attempt(&mut self) -> Option<Attempt> {
        if self.pending.is_none() {
            self.pending = self.find();
        }
        self.pending.clone()
    }

    /// Whether the attempt reproduced the failure: the run that did.
    pub fn told(&mut self, failed: Option<Failed<'_>>) {
        let Some(attempt) = self.pending.take() else {
            return;
        };
        self.tried.insert(attempt.text());
        self.progress.tried += 1;
        if let Some(failed) = failed {
            self.progress.kept += 1;
            self.changed = true;
            self.best = attempt;
            self.executed = Executed::of(failed.lines);
            self.at = failed.at;
        }
    }

    /// The smallest so far.
    #[must_use]
    pub fn best(&self) -> &Attempt {
        &self.best
    }

    /// How far it has come.
    #[must_use]
    pub fn progress(&self) -> Progress {
        Progress {
            pods: self.best.pods,
            moves: self.best.moves.len(),
            faults: changes::faults(&self.best),
            ..self.progress
        }
    }

    fn find(&mut self) -> Option<Attempt> {
        while self.phase != Phase::Done {
            let attempts = match self.phase {
                Phase::Pods => changes::fewer_pods(&self.best),
                Phase::Faults => changes::fewer_faults(&self.best),
                Phase::Moves => changes::fewer_moves(&self.best),
                Phase::Joins => changes::joined(&self.best),
                Phase::Stops => changes::earlier_stops(&self.best, &self.executed),
                Phase::Anchors => anchor::anchored(&self.best, &self.executed, self.at),
                Phase::Story => anchor::written_out(&self.best, &self.executed, self.at),
                Phase::Done => Vec::new(),
            };
            let untried = attempts
                .into_iter()
                .find(|attempt| !self.tried.contains(&attempt.text()));
            if untried.is_some() {
                return untried;
            }
            self.phase = self.after();
        }
        None
    }

    /// The phase that follows, when nothing more can be tried in this one.
    fn after(&mut self) -> Phase {
        match self.phase {
            Phase::Pods => Phase::Faults,
            Phase::Faults => Phase::Moves,
            Phase::Moves => Phase::Joins,
            Phase::Joins => Phase::Stops,
            Phase::Stops if std::mem::take(&mut self.changed) => Phase::Pods,
            Phase::Stops if self.readable => Phase::Done,
            Phase::Stops => Phase::Anchors,
            Phase::Anchors => Phase::Story,
            Phase::Story => {
                self.readable = true;
                if std::mem::take(&mut self.changed) {
                    // What was found small before was another text.
                    Phase::Pods
                } else {
                    Phase::Done
                }
            }
            Phase::Done => Phase::Done,
        }
    }
}
