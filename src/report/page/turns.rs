//! The schedule: its turns, when each began and how it ended.
//!
//! Owns the words of a turn's end on the page.

use serde::Serialize;

use super::at::At;
use super::shown::shown;
use crate::history::{Event, TurnEnd};
use crate::report::begun_words;
use crate::timeline::{Moment, Timeline};

/// A move of the schedule, or one that was added to bring the pods to their end.
#[derive(Debug, Clone, Serialize)]
pub(super) struct TurnData {
    pub words: String,
    /// Whether the schedule says so.
    pub scheduled: bool,
    /// The names of the pods that run.
    pub pods: Vec<String>,
    pub from: At,
    /// When the next began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<At>,
    /// Why it ended.
    pub end: &'static str,
}

/// All turns, in their order.
pub(super) fn turns(timeline: &Timeline<'_>) -> Vec<TurnData> {
    let mut all: Vec<TurnData> = Vec::new();
    for line in timeline.lines {
        match &line.event {
            Event::MoveStarted {
                begun, scheduled, ..
            } => {
                let at = At::from(Moment::of(line));
                if let Some(last) = all.last_mut() {
                    last.to = Some(at);
                }
                all.push(TurnData {
                    words: shown(&begun_words(begun)),
                    scheduled: *scheduled,
                    pods: begun.pods().iter().map(|pod| shown(pod.as_str())).collect(),
                    from: at,
                    to: None,
                    end: "",
                });
            }
            Event::TurnEnded { why, .. } => {
                if let Some(last) = all.last_mut() {
                    last.end = end(*why);
                }
            }
            _ => {}
        }
    }
    all
}

fn end(why: TurnEnd) -> &'static str {
    match why {
        TurnEnd::Reached => "its stop was met",
        TurnEnd::PodEnded => "the pod ended",
        TurnEnd::Blocked => "everything the pod could do was blocked",
        TurnEnd::Yielded => "the pod only repeated itself: the others went first",
        TurnEnd::Waits => "the pod waited outside the server",
        TurnEnd::Limit => "a limit was hit",
        TurnEnd::NotThere => "there was no such pod",
    }
}
