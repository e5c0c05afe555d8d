//! Pods that a turn names and that are not there: the controller of a CronJob had not created them, or
//! had deleted them before they started.
//!
//! Owns which of a turn's pods those are. Why is in the controller's decisions.

use super::facts::{Facts, list};
use crate::history::{Decided, Event, why_not_there};
use crate::name::PodName;

/// Why the pods of this turn that are not there are not, as of this line.
pub(super) fn not_there(facts: &Facts<'_>, place: usize, pods: &[PodName]) -> String {
    let lines = &facts.lines[..place];
    let created = |name: &PodName| {
        lines.iter().any(|line| match &line.event {
            Event::Controller(decision) => {
                decision.decided == Decided::CreatePod && decision.pod.as_ref() == Some(name)
            }
            _ => false,
        })
    };
    let whys: Vec<String> = pods
        .iter()
        .filter(|name| !created(name) || !facts.pods.contains_key(name))
        .map(|name| why_not_there(lines, name))
        .collect();
    list(&whys)
}
