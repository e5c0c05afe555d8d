//! What a search will take: schedules, seconds, disk. Told before it begins.
//!
//! Owns the reckoning, from what clean and serial runs took. It is a forecast: a search that finds something stops
//! before, and one that learns something may go on.

use std::time::Duration;

use super::arguments::ExploreArguments;
use crate::history::Line;
use crate::report::count;
use crate::search::Trial;
use crate::search::strategy::{Sample, Strategy};

/// A server of our own with its data, in bytes (docs/run.md).
const SERVER: u64 = 45 << 20;
/// So many histories are kept of a failure: the run that found it, its confirmation, and both of the small one.
const KEPT: u64 = 4;
/// A search that takes longer is offered with fewer schedules.
const LONG: Duration = Duration::from_secs(600);
/// Runs wait for their server half of the time, so that a core serves more than one.
const RUNS_A_CORE: f64 = 1.6;

/// What a search will take.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Estimate {
    pub schedules: u64,
    pub took: Duration,
    pub bytes: u64,
    pub jobs: usize,
}

impl Estimate {
    /// Of this strategy on this subject; `None` where nothing says how many schedules there will be. `sample`: the
    /// steps at which it switches, if not all.
    pub fn of(
        arguments: &ExploreArguments,
        strategy: &mut dyn Strategy,
        sample: Option<&Sample>,
        trial: &Trial<'_>,
        (jobs, parts): (usize, u64),
    ) -> Option<Self> {
        let steps = sample.map_or(u64::from(trial.measured().baseline.steps), Sample::steps);
        let schedules = match strategy.name() {
            "preemptions" => Some(orders(trial.pods() as u64, steps, arguments.preemptions)),
            // Of hazards it is what is predicted first; what these runs teach comes on top.
            _ => strategy.foreseen(),
        };
        let schedules = schedules.filter(|schedules| *schedules > 0)?;
        // Each part runs its share.
        let schedules = schedules.div_ceil(parts.max(1));
        let local = trial.server().facts().kind == "local";
        let measured = trial.measured();
        let last = measured.serial.last().and_then(|run| run.lines().ok());
        let history = last.map_or(0, |lines| size(&lines));
        let servers = if local { SERVER * jobs as u64 } else { 0 };
        Some(Self {
            schedules,
            took: spread(schedules, measured.run_time, jobs),
            bytes: servers + KEPT * history,
            jobs,
        })
    }

    /// Whether it is long enough for a sample to be offered.
    pub fn is_long(&self) -> bool {
        self.took > LONG
    }

    /// What a sample would take instead, as an offer.
    pub fn offer(&self) -> String {
        format!(
            "with --sample it switches only at the first, second and last of a run of equal statements: {}",
            self.words()
        )
    }

    /// In words.
    pub fn words(&self) -> String {
        let seconds = self.took.as_secs_f64();
        let time = match self.took.as_secs() {
            0..120 => format!("{:.0} s", seconds.ceil()),
            120..7200 => format!("{:.0} minutes", seconds / 60.0),
            _ => format!("{:.1} hours", seconds / 3600.0),
        };
        format!(
            "about {}, {time} with {} at once, {} MB of disk",
            count(self.schedules, "schedule"),
            self.jobs,
            self.bytes.div_ceil(1 << 20)
        )
    }
}

/// How many orders of so many steps of each pod have at most so many preemptions. The first switches are between
/// any two neighbouring steps of any pod, to any other; further ones add as many choices each, in any order.
fn orders(pods: u64, steps: u64, most: u32) -> u64 {
    let switches = pods * steps.saturating_sub(1) * pods.saturating_sub(1);
    let of = |number: u32| {
        let choices =
            (1..=u64::from(number)).fold(1.0, |all, at| all * switches as f64 / at as f64);
        choices as u64
    };
    // Without a preemption: who comes first, who next.
    let none: u64 = (1..=pods).product();
    (1..=most).map(of).fold(none, u64::saturating_add)
}

fn spread(schedules: u64, each: Duration, jobs: usize) -> Duration {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let at_once = (jobs as f64).min(RUNS_A_CORE * cores as f64).max(1.0);
    Duration::from_secs_f64(each.as_secs_f64() * schedules as f64 / at_once)
}

/// How long a history is when it is written.
fn size(lines: &[Line]) -> u64 {
    let length = |line: &Line| serde_json::to_string(line).map_or(0, |text| text.len() as u64 + 1);
    lines.iter().map(length).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_as_many_as_switches_can_be_chosen() {
        // Measured: 118 to 122 orders of the built-in job (59 steps) with one preemption, some 7,000 with two.
        assert_eq!(orders(2, 59, 1), 118);
        let two = orders(2, 59, 2);
        assert!((6_000..8_000).contains(&two), "{two}");
        assert_eq!(orders(2, 0, 1), 2);
    }

    #[test]
    fn what_will_be_taken_is_told_in_units_that_a_person_has() {
        let estimate = |seconds| Estimate {
            schedules: 120,
            took: Duration::from_secs(seconds),
            bytes: (3 << 20) - 5,
            jobs: 3,
        };
        assert_eq!(
            estimate(11).words(),
            "about 120 schedules, 11 s with 3 at once, 3 MB of disk"
        );
        assert!(estimate(700).words().contains("12 minutes"));
        assert!(estimate(9000).words().contains("2.5 hours"));
        assert!(estimate(601).is_long() && !estimate(600).is_long());
        assert!(estimate(60).offer().contains("--sample"));
    }
}
