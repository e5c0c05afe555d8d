//! Where the time of a search's schedules went, as JSON and as text.
//!
//! Owns their shape. Knows nothing of how time is measured.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::run::{Phase, Timings};

/// The means over the schedules of a search, in milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TimingsJson {
    /// How many schedules.
    pub schedules: u64,
    /// How long one took, judging included.
    pub schedule_ms: f64,
    /// What it was spent with. Together they are the whole.
    pub phases_ms: BTreeMap<Phase, f64>,
}

impl From<&Timings> for TimingsJson {
    fn from(timings: &Timings) -> Self {
        let mean = |time: Duration| time.as_secs_f64() * 1e3 / timings.schedules().max(1) as f64;
        Self {
            schedules: timings.schedules(),
            schedule_ms: mean(timings.total()),
            phases_ms: Phase::ALL
                .into_iter()
                .map(|phase| (phase, mean(timings.of(phase))))
                .collect(),
        }
    }
}

/// The same for people, a line each, the longest first; what took no time is left out.
#[must_use]
pub fn timing_lines(timings: &TimingsJson, jobs: usize) -> Vec<String> {
    let whole = timings.schedule_ms;
    let mut phases: Vec<(Phase, f64)> = Phase::ALL
        .into_iter()
        .filter_map(|phase| Some((phase, *timings.phases_ms.get(&phase)?)))
        .filter(|(_, time)| *time >= 0.05)
        .collect();
    phases.sort_by(|one, other| other.1.total_cmp(&one.1));
    let mut lines = vec![format!(
        "  {:<14}a schedule took {whole:.1} ms with {jobs} at once, the mean of {}:",
        "timings", timings.schedules
    )];
    lines.extend(phases.into_iter().map(|(phase, time)| {
        format!(
            "                {:<14}{time:>8.1} ms {:>4.0} %",
            phase.words(),
            time / whole.max(1e-9) * 100.0
        )
    }));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_comes_first_and_what_took_no_time_is_left_out() {
        let phases = [
            (Phase::Statements, 60.0),
            (Phase::Database, 30.0),
            (Phase::Harness, 110.0),
            (Phase::Faults, 0.0),
        ];
        let timings = TimingsJson {
            schedules: 12,
            schedule_ms: 200.0,
            phases_ms: phases.into_iter().collect(),
        };
        let lines = timing_lines(&timings, 3);
        assert_eq!(lines.len(), 4, "{lines:#?}");
        assert!(lines[0].contains("a schedule took 200.0 ms with 3 at once, the mean of 12:"));
        assert!(lines[1].contains("harness") && lines[1].ends_with("110.0 ms   55 %"));
        assert!(lines[2].contains("statements") && lines[3].contains("database"));
    }
}
