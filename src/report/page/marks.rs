//! Marks through the lanes: faults, the clock and the controller of a CronJob, exits, limits.
//!
//! Owns which events are marks, and their words. A fault that did not fire says why.

use serde::Serialize;

use super::at::At;
use super::shown::{shown, start};
use super::steps::Lanes;
use crate::history::{Begun, Decided, Event, FaultBy, FaultEvent, Line};
use crate::report::{fault_without_point, move_words};
use crate::schedule::{FaultTarget, Move};
use crate::timeline::{Moment, Timeline};

/// A mark.
#[derive(Debug, Clone, Serialize)]
pub(super) struct MarkData {
    pub at: At,
    pub col: usize,
    /// `fault`, `missed` (a fault that did not fire), `clock`, `exit`, `limit`.
    pub kind: &'static str,
    /// In few words.
    pub label: String,
    /// The proof that it came about, or why not.
    pub why: String,
    /// The places of the pods that it is about; none: all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pods: Vec<usize>,
    /// The place of the connection that it hit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lane: Option<usize>,
}

/// All marks, in their order.
pub(super) fn marks(timeline: &Timeline<'_>, lanes: &Lanes<'_>) -> Vec<MarkData> {
    let of = |line: &Line| {
        let (kind, label, why) = words(&line.event)?;
        let (pod, connection) = match &line.event {
            Event::Fault(fault) => (fault.pod.as_ref(), fault.connection.as_ref()),
            Event::PodExited { pod, .. } => (Some(pod), None),
            Event::Controller(decision) => (decision.pod.as_ref(), None),
            _ => (None, None),
        };
        Some(MarkData {
            at: Moment::of(line).into(),
            col: 0,
            kind,
            label: shown(&label),
            why: shown(&why),
            pods: pod.and_then(|pod| lanes.pod(pod)).into_iter().collect(),
            lane: connection.and_then(|connection| lanes.place(connection)),
        })
    };
    timeline.lines.iter().filter_map(of).collect()
}

/// The kind of mark that this is, its label, and its proof.
fn words(event: &Event) -> Option<(&'static str, String, String)> {
    Some(match event {
        // What it did to each session is told with the fault of the server itself.
        Event::Fault(fault) if is_of_server(fault) && fault.pod.is_some() => return None,
        Event::Fault(fault) => {
            let kind = if fault.fired { "fault" } else { "missed" };
            let by = match &fault.by {
                FaultBy::Schedule => String::new(),
                FaultBy::Controller { clock } => format!(" by the controller at {clock}"),
            };
            let hit = fault.connection.as_ref();
            let hit = hit.map_or_else(String::new, |name| format!(" on {name}"));
            let why = if fault.fired {
                format!("it fired: {}", fault.evidence)
            } else {
                format!("it did not fire: {}", fault.evidence)
            };
            (
                kind,
                format!("{}{hit}{by}", fault_without_point(&fault.fault)),
                why,
            )
        }
        Event::MoveStarted {
            begun: Begun::Move(one @ (Move::Tick | Move::Advance(_) | Move::Manual)),
            ..
        } => ("clock", move_words(one), "the schedule says so".to_owned()),
        Event::Controller(decision) => {
            let what = match decision.decided {
                Decided::Watch => "the CronJob is made",
                Decided::CreateJob => "a Job is made",
                Decided::CreatePod => "a pod is created",
                Decided::DeleteJob => "the Job is deleted",
                Decided::Terminate => "a pod gets SIGTERM",
                Decided::Kill => "a pod gets SIGKILL",
                Decided::Remove => "a pod never runs",
                Decided::Skip => "no Job is made",
                Decided::Miss => "a time is missed",
                Decided::Complete => "the Job is complete",
                Decided::Retry => "the Job goes on",
                Decided::Fail => "the Job has failed",
                Decided::Suspend => return None,
            };
            let pod = decision.pod.as_ref();
            let pod = pod.map_or_else(String::new, |pod| format!(" ({pod})"));
            (
                "clock",
                format!("{} {what}{pod}", decision.clock),
                decision.why.clone(),
            )
        }
        Event::PodExited { pod, code, signal } => {
            let how = match (code, signal) {
                (Some(code), _) => format!("{pod} exits with code {code}"),
                (None, Some(signal)) => format!("{pod} is ended by signal {signal}"),
                (None, None) => format!("{pod} ends"),
            };
            ("exit", how, "as the operating system says".to_owned())
        }
        Event::LimitHit {
            waited_for, saw, ..
        } => (
            "limit",
            "out of time".to_owned(),
            format!("waited for {waited_for}; saw: {}", start(saw, 300)),
        ),
        Event::StoppedEarly { .. } => (
            "limit",
            "the run was stopped here".to_owned(),
            "at its first error".to_owned(),
        ),
        _ => return None,
    })
}

fn is_of_server(event: &FaultEvent) -> bool {
    event.fault.kind.target() == FaultTarget::Server
}
