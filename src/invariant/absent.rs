//! Pods that a turn names and that are not there: the controller of a CronJob had not created them, or
//! had deleted them before they started.
//!
//! Owns which of a turn's pods those are. Why is in the controller's decisions.

use super::facts::{Facts, list};
use crate::history::{Decided, Event, PodName, why_not_there};

/// How the text of a line begins that lets steps go together.
pub(super) const TOGETHER: &str = "release the next steps of ";

/// Why the pods of this turn that are not there are not, as of this line.
pub(super) fn not_there(facts: &Facts<'_>, place: usize, text: &str) -> String {
    let lines = &facts.lines[..place];
    let names: Vec<PodName> = match text.strip_prefix("run ") {
        Some(rest) => rest.split_whitespace().take(1).map(PodName::new).collect(),
        None => text
            .trim_start_matches(TOGETHER)
            .trim_end_matches(" together")
            .split(" and ")
            .map(PodName::new)
            .collect(),
    };
    let created = |name: &PodName| {
        lines.iter().any(|line| match &line.event {
            Event::Controller(decision) => {
                decision.decided == Decided::CreatePod && decision.pod.as_ref() == Some(name)
            }
            _ => false,
        })
    };
    let whys: Vec<String> = names
        .iter()
        .filter(|name| !created(name) || !facts.pods.contains_key(name))
        .map(|name| why_not_there(lines, name))
        .collect();
    list(&whys)
}
