//! What a survey sweeps: faults, steps, points and ways on, and the schedule of each.
//!
//! Owns the list, and the words for a fault and a way on. Runs nothing.

use crate::cli::common::Failure;
use crate::cli::exit::Exit;
use crate::cli::explore::faults::{SweptName, of_lock_row, surveyed, swept};
use crate::report::{fault_without_point, stop_words};
use crate::scenario::Scenario;
use crate::schedule::{Point, Schedule};
use crate::search::Trial;
use crate::search::strategy::{Onward, Place, Sample, SampledOut, Sweep, Swept};
use crate::search::survey::{StepKind, before_last_write, step_kinds};

/// What is swept.
pub(in crate::cli::explore) struct Plan {
    /// Each fault.
    pub faults: Vec<Swept>,
    /// Who goes on first after it.
    pub onward: Vec<Onward>,
    /// What each step of the clean run does.
    pub kinds: Vec<StepKind>,
    /// Where each schedule has its place.
    pub places: Vec<Place>,
    /// The schedules, in that order.
    pub schedules: Vec<Schedule>,
    /// What a sample left out, where there is one.
    pub sampled_out: Option<Vec<SampledOut>>,
}

impl Plan {
    /// What is swept of this subject: these faults or, where none is named, the usual ones.
    ///
    /// # Errors
    /// When there is nothing to sweep.
    pub fn of(
        trial: &Trial<'_>,
        name: &str,
        named: &[SweptName],
        scenario: &Scenario,
        sample: bool,
    ) -> Result<Self, Failure> {
        let clean = &*trial.measured().clean.lines()?;
        let nothing = |why: &str| Failure::new(Exit::Inconclusive, format!("{name}: {why}"));
        let stop = before_last_write(clean).ok_or_else(|| {
            nothing("the clean run wrote no table: there is nothing that a lock could guard")
        })?;
        let faults = match named.is_empty() {
            true => {
                let mut faults = surveyed();
                faults.extend(of_lock_row(trial.rules()));
                faults
            }
            false => swept(named),
        };
        let faults = Swept::permitted(faults, &scenario.search.faults);
        if faults.is_empty() {
            return Err(nothing("its [search] table permits none of the faults"));
        }
        let onward = vec![Onward::FirstPod, Onward::SecondPod(stop)];
        let mut sweep =
            Sweep::new(faults.clone(), trial.measured().baseline.steps).onward(onward.clone());
        let sample = sample.then(|| Sample::of(clean));
        if let Some(sample) = &sample {
            sweep = sweep.sampled(sample.clone());
        }
        let places = sweep.places();
        let schedules = places.iter().filter_map(|place| sweep.schedule(place));
        let schedules = schedules.collect();
        Ok(Self {
            schedules,
            faults,
            onward,
            kinds: step_kinds(clean),
            places,
            sampled_out: sample.map(|sample| sample.left_out),
        })
    }

    /// The fault of a place.
    pub fn fault(&self, place: &Place) -> &Swept {
        &self.faults[place.fault]
    }

    /// What the step of a place does.
    pub fn kind(&self, place: &Place) -> StepKind {
        let index = place.step.saturating_sub(1) as usize;
        self.kinds.get(index).copied().unwrap_or(StepKind::Question)
    }
}

/// A fault in words, its point left out.
pub(in crate::cli::explore) fn words(swept: &Swept) -> String {
    fault_without_point(&swept.fault(Point::Before))
}

/// Who goes on first, in words.
pub(in crate::cli::explore) fn way(onward: &Onward) -> String {
    match onward {
        Onward::FirstPod => "a first".to_owned(),
        Onward::SecondPod(stop) => format!("b first, {}", stop_words(stop)),
    }
}
