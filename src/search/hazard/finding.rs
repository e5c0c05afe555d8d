//! A hazard as a value.
//!
//! Owns its shape and its sentence. Knows nothing of how it is found.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use crate::name::PodName;
use crate::schedule::{Move, Stop};

/// What could go wrong. The order is the one in which hazards are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum HazardKind {
    /// A lock row's time runs out, another pod takes it over, and its holder writes on.
    LateHolder,
    /// Of a queue: two pods have found the same row free before either has claimed it.
    DoublePickUp,
    /// Its holder renews it when another has taken it over.
    LateRenewal,
    /// Its holder gives it back when another has taken it over.
    ReleaseOfAnothers,
    /// A pod comes for a lock row that another has.
    BlindTakeOver,
    /// The holder of a lock row dies.
    DeadOwner,
    /// Parent rows go between their insertion and that of the rows that refer to them.
    ParentGone,
    /// Both pods insert rows with the same keys.
    EqualKeys,
    /// What a pod has read is no longer so when it writes.
    StaleRead,
    /// Both pods are past the same check before either has set what it looks at.
    CheckThenSet,
    /// Each pod has locked something in its transaction that the other needs next.
    Deadlock,
    /// Rows that a pod has inserted are taken away while it inserts more.
    WipedRows,
    /// A write that the lock does not cover falls into another pod's section.
    OutsideLock,
    /// A pod comes to the lock while another has just got it.
    Contention,
    /// A pod does all its work between two writes of another.
    Interleaved,
    /// A table's definition changes under another pod.
    DefinitionChanged,
    /// The wait for the lock ends with an error, as by `lock_timeout`: does the pod go on without the lock?
    RefusedLock,
    /// A step fails inside the section: is the lock given back?
    ErrorInSection,
    /// The session of the lock dies, and the work goes on. Last of all: no session lock can do more than
    /// limit what comes of it.
    LockLost,
}

impl HazardKind {
    /// Its name, as in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::LateHolder => "late-holder",
            Self::DoublePickUp => "double-pick-up",
            Self::LateRenewal => "late-renewal",
            Self::ReleaseOfAnothers => "release-of-anothers",
            Self::BlindTakeOver => "blind-take-over",
            Self::DeadOwner => "dead-owner",
            Self::ParentGone => "parent-gone",
            Self::EqualKeys => "equal-keys",
            Self::StaleRead => "stale-read",
            Self::CheckThenSet => "check-then-set",
            Self::Deadlock => "deadlock",
            Self::WipedRows => "wiped-rows",
            Self::OutsideLock => "outside-lock",
            Self::Contention => "contention",
            Self::Interleaved => "interleaved",
            Self::DefinitionChanged => "definition-changed",
            Self::LockLost => "lock-lost",
            Self::RefusedLock => "refused-lock",
            Self::ErrorInSection => "error-in-section",
        }
    }
}

impl fmt::Display for HazardKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What part a step plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Opens the window.
    Opens,
    /// Closes the window: the other pod comes before it.
    Closes,
    /// Comes in between.
    Intrudes,
}

/// A step of a hazard, as it was seen in an executed run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HazardStep {
    /// The pod that is to do it.
    pub pod: PodName,
    /// Its part.
    pub role: Role,
    /// Its normal form.
    pub normal: String,
    /// Its number among the pod's steps in the run it was seen in, from 1.
    pub number: u32,
}

/// What will show if it is real.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Expected {
    /// The SQLSTATE of an error.
    pub sqlstate: Option<String>,
    /// The constraint that the error names.
    pub constraint: Option<String>,
    /// In words.
    pub words: String,
}

/// Steps of two pods that could conflict, and the schedule that lets them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hazard {
    /// What could go wrong.
    pub kind: HazardKind,
    /// One sentence for people.
    pub title: String,
    /// The tables it is about, as `schema.table`.
    pub tables: BTreeSet<String>,
    /// The constraint or the lock it is about, if it is about one.
    pub about: Option<String>,
    /// Its steps.
    pub steps: Vec<HazardStep>,
    /// What will show if it is real.
    pub expected: Expected,
    /// For how many steps of the first pod the window is open.
    pub window: u32,
    /// How deep in the chain of foreign keys it lies.
    pub depth: usize,
    #[serde(skip)]
    pub(super) moves: Vec<Move>,
}

impl Hazard {
    /// The schedule that brings it about: turns until statements, not until numbers, so that it
    /// still means the same when a few steps come or go.
    #[must_use]
    pub fn schedule(&self) -> Vec<Move> {
        self.moves.clone()
    }

    /// Whether its schedule has a turn that runs until its pod waits.
    #[must_use]
    pub fn needs_waiter(&self) -> bool {
        let waits = |one: &Move| matches!(one, Move::Turn(turn) if turn.until == Stop::Blocked);
        self.moves.iter().any(waits)
    }

    /// What makes two hazards one.
    pub(crate) fn key(&self) -> (HazardKind, BTreeSet<String>, Option<String>, Vec<String>) {
        // Of what is about a constraint or a lock, the constraint or the lock is enough.
        let forms = if self.about.is_some() {
            Vec::new()
        } else {
            self.steps.iter().map(|step| step.normal.clone()).collect()
        };
        (self.kind, self.tables.clone(), self.about.clone(), forms)
    }
}
