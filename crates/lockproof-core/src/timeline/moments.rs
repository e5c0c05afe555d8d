//! What a line says, with the step that it speaks of at hand.
//!
//! Owns the way from a line to its step, so that nobody else keeps a table of steps while reading.

use std::collections::BTreeMap;
use std::slice::Iter;

use super::snapshots::Snapshot;
use super::steps::{EndingFacts, StepFacts};
use crate::history::{Event, Line};
use crate::name::StepId;

/// What a line says.
#[derive(Debug, Clone, Copy)]
pub enum Happening<'t, 'a> {
    /// A step arrived.
    Held(&'t StepFacts<'a>),
    /// It was given to the server.
    Released(&'t StepFacts<'a>),
    /// It ended, or was seen to wait.
    Ended(&'t StepFacts<'a>, &'t EndingFacts<'a>),
    /// It never reached the server.
    Dropped(&'t StepFacts<'a>),
    /// All locks of the run's database.
    Locks(&'t Snapshot<'a>),
    /// What is said of a step that never arrived.
    Unknown,
    /// Anything else.
    Other(&'a Event),
}

impl<'t, 'a> Happening<'t, 'a> {
    pub(super) fn of(
        line: &'a Line,
        steps: &'t BTreeMap<StepId, StepFacts<'a>>,
        snapshots: &mut Iter<'t, Snapshot<'a>>,
    ) -> Self {
        let step = |id: &StepId| steps.get(id);
        let found = match &line.event {
            Event::StepHeld { step: id, .. } => step(id).map(Self::Held),
            Event::StepReleased { step: id, .. } => step(id).map(Self::Released),
            Event::StepEnded { step: id, .. } => step(id).and_then(|step| {
                let ending = step.ending_at(line.seq)?;
                Some(Self::Ended(step, ending))
            }),
            Event::StepDropped { step: id, .. } => step(id).map(Self::Dropped),
            Event::Locks { .. } => snapshots.next().map(Self::Locks),
            other => Some(Self::Other(other)),
        };
        found.unwrap_or(Self::Unknown)
    }
}
