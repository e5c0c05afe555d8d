//! Why a pod that a CronJob's controller was to make is not there.
//!
//! Owns what the controller's decisions say of it.

use super::cronjob::Decided;
use super::event::{Event, Line};
use crate::name::PodName;

/// Why a pod is not there, by what the controller decided in these lines.
#[must_use]
pub fn why_not_there(lines: &[Line], pod: &PodName) -> String {
    let decisions = || {
        lines.iter().rev().filter_map(|line| match &line.event {
            Event::Controller(decision) => Some(decision),
            _ => None,
        })
    };
    let removed =
        decisions().find(|one| one.decided == Decided::Remove && one.pod.as_ref() == Some(pod));
    if let Some(decision) = removed {
        return format!(
            "pod {pod} was deleted at {} before it had started",
            decision.clock
        );
    }
    let refused = decisions().find(|one| {
        let decided = one.decided;
        matches!(decided, Decided::Skip | Decided::Miss | Decided::Fail)
    });
    match refused {
        Some(decision) => format!(
            "pod {pod} was never created (at {}: {})",
            decision.clock, decision.why
        ),
        None => format!("pod {pod} was never created: neither a tick nor a manual Job made it"),
    }
}
