//! Several runs side by side on one server, each with a database of its own.
//!
//! Owns the threads, the order in which results are handed on (that of the candidates, whatever
//! the number of threads), and what an interrupt does to runs under way. Knows nothing of where
//! schedules come from.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use tokio::sync::watch;

use super::error::TrialError;
use super::threads::start;
use super::trial::{Outcome, Trial};
use crate::schedule::Schedule;

/// What became of a schedule.
pub(super) enum Probed {
    /// It was run.
    Run(Box<Outcome>),
    /// It was not, or not to its end: an interrupt, or nobody wanted it any more.
    Left,
}

/// How many runs at once make the most of this machine: half as many again as it has cores, for a
/// run also waits (two cores ran 12 schedules a second two at once, and 17 to 22 three at once).
#[must_use]
pub fn default_jobs() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    cores + cores.div_ceil(2)
}

/// Runs schedules side by side.
#[derive(Debug)]
pub(super) struct Workers<'a> {
    pub trial: &'a Trial<'a>,
    /// How many at once, at least 1.
    pub jobs: usize,
    /// Becomes true at an interrupt.
    pub cancel: watch::Receiver<bool>,
}

impl<'a> Workers<'a> {
    /// So many at once.
    pub fn new(trial: &'a Trial<'a>, jobs: usize, cancel: watch::Receiver<bool>) -> Self {
        Self {
            trial,
            jobs,
            cancel,
        }
    }

    /// Runs these schedules and hands their results on, in their order. As soon as `take` answers
    /// false no more is begun, and what is under way is given up.
    ///
    /// # Errors
    /// The first error of the harness, in the order of the schedules; what `take` says.
    pub fn run(
        &self,
        schedules: &[Schedule],
        mut take: impl FnMut(usize, Probed) -> Result<bool, TrialError>,
    ) -> Result<(), TrialError> {
        let next = AtomicUsize::new(0);
        let (done, results) = mpsc::channel();
        let (enough, stop) = watch::channel(false);
        std::thread::scope(|scope| {
            for _ in 0..self.jobs.min(schedules.len()) {
                let (done, stop, next) = (done.clone(), stop.clone(), &next);
                start(scope, move || self.work(schedules, next, &stop, &done));
            }
            drop(done);
            let mut early: Vec<Option<Result<Probed, TrialError>>> = Vec::new();
            early.resize_with(schedules.len(), || None);
            let mut due = 0;
            for (index, result) in results {
                early[index] = Some(result);
                while let Some(result) = early.get_mut(due).and_then(Option::take) {
                    let index = due;
                    due += 1;
                    let more = result.and_then(|probed| take(index, probed));
                    if !matches!(more, Ok(true)) {
                        // Workers that are still at it see this and come to their end.
                        let _ = enough.send(true);
                        return more.map(|_| ());
                    }
                }
            }
            Ok(())
        })
    }

    fn work(
        &self,
        schedules: &[Schedule],
        next: &AtomicUsize,
        stop: &watch::Receiver<bool>,
        done: &mpsc::Sender<(usize, Result<Probed, TrialError>)>,
    ) {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(schedule) = schedules.get(index) else {
                return;
            };
            let result = self.on_own_runtime(async {
                tokio::select! {
                    biased;
                    () = becomes_true(self.cancel.clone()) => Ok(Probed::Left),
                    () = becomes_true(stop.clone()) => Ok(Probed::Left),
                    outcome = self.trial.probe(schedule) => Ok(Probed::Run(Box::new(outcome?))),
                }
            });
            let over = *stop.borrow();
            if done.send((index, result)).is_err() || over {
                return;
            }
        }
    }

    /// Does something on a runtime of its own; `Left` where an interrupt came first.
    pub fn on_own_runtime<T>(
        &self,
        work: impl Future<Output = Result<T, TrialError>>,
    ) -> Result<T, TrialError> {
        on_own_runtime(work)
    }
}

/// Does something on a runtime of its own. One thread a run: between two looks at its books nothing else can
/// have happened.
///
/// # Errors
/// When there can be no runtime; what the work says.
pub(super) fn on_own_runtime<T>(
    work: impl Future<Output = Result<T, TrialError>>,
) -> Result<T, TrialError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(TrialError::Runtime)?
        .block_on(work)
}

/// Comes to its end when this becomes true, and never if whoever could say so is gone.
pub(super) async fn becomes_true(mut flag: watch::Receiver<bool>) {
    if flag.wait_for(|flag| *flag).await.is_err() {
        std::future::pending::<()>().await;
    }
}
