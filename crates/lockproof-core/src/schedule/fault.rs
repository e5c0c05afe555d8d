//! Faults as data: what is done, to whom, at which point.
//!
//! Owns a fault of a schedule; what there is to say of each kind of fault stands
//! in the catalogue. Knows nothing of how a fault is applied.

mod catalogue;
mod effect;
mod entry;
mod parameter;
mod parts;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::name::PodName;

pub use catalogue::{Draw, FaultEntry, FaultKind, SweptByName};
pub use effect::{Effect, effect_of};
pub use entry::{
    Consequence, EDGES, EVERY_POINT, FaultTarget, InDoubt, Points, STEP_POINTS, ServerNeed,
    Sessions, Undo,
};
pub use parameter::{LeftOut, Parameter, ParameterValue, Shape};
pub use parts::{OldPrimary, Point, SessionChoice, ShutdownMode};

/// Something done to a pod, a session, a link or the server, at a stated point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// What is done.
    pub kind: FaultKind,
    /// The pod it is done to. A fault of the server needs none; with one, its point is at that
    /// pod's next step.
    pub pod: Option<PodName>,
    /// The session it is done to, for faults of a session; for those of a link, the connections.
    pub session: SessionChoice,
    /// The point at which it is done.
    pub point: Point,
}

impl FaultKind {
    /// Its name, as in scenario files.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.entry().name
    }

    /// What it is done to.
    #[must_use]
    pub fn target(&self) -> FaultTarget {
        self.entry().target
    }

    /// The fault that undoes it, where what it stops would not go on by itself.
    #[must_use]
    pub fn undone_by(&self) -> Option<&'static str> {
        match self.entry().undo {
            Undo::Needed(name) => Some(name),
            Undo::Nothing | Undo::Possible(_) | Undo::Undoes => None,
        }
    }

    /// Whether it is done to a session rather than to the pod.
    #[must_use]
    pub fn is_of_session(&self) -> bool {
        self.target() == FaultTarget::Session
    }

    /// Whether it needs a server that nobody else uses.
    #[must_use]
    pub fn needs_own_server(&self) -> bool {
        match self.entry().server {
            ServerNeed::Own | ServerNeed::OwnWithStandby => true,
            ServerNeed::Shared => false,
        }
    }

    /// Whether it needs a standby.
    #[must_use]
    pub fn needs_standby(&self) -> bool {
        self.entry().server == ServerNeed::OwnWithStandby
    }
}

impl Fault {
    /// A fault of a pod, of one of its sessions, or of its link.
    #[must_use]
    pub fn of_pod(kind: FaultKind, pod: PodName, session: SessionChoice, point: Point) -> Self {
        Self {
            kind,
            pod: Some(pod),
            session,
            point,
        }
    }
}
