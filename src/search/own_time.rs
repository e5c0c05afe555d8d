//! The time that a schedule itself takes.
//!
//! Owns which of its parts wait for a time and not for a step.

use std::time::Duration;

use crate::schedule::{ParameterValue, Point, Schedule};

/// How long a schedule itself makes a run wait: graces and delays of its faults, the start times of free pacing.
pub(super) fn own_time(schedule: &Schedule) -> Duration {
    let of_faults = schedule.faults().flat_map(|fault| {
        let at = match fault.point {
            Point::At(time) => Some(time),
            _ => None,
        };
        let parameters = fault.kind.parameters().into_iter();
        let times = parameters.filter_map(|value| match value {
            ParameterValue::Duration(time) => Some(time),
            _ => None,
        });
        times.chain(at).collect::<Vec<_>>()
    });
    let of_faults = of_faults.fold(Duration::ZERO, Duration::saturating_add);
    match schedule {
        Schedule::Free(free) => of_faults.saturating_add(free.stagger.1 * 26),
        Schedule::Controlled(_) | Schedule::Priorities { .. } => of_faults,
    }
}
