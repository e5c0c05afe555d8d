//! What a run is to keep to.
//!
//! Owns these inputs of the conductor as plain values. Knows nothing of where they come from.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::history::{Baseline, NamedError, Rules};
use crate::name::PodName;

/// What a run is to keep to.
#[derive(Debug, Clone)]
pub(crate) struct Orders {
    /// Whether steps are held until they are released.
    pub controlled: bool,
    /// The longest that the run may take.
    pub time_limit: Duration,
    /// The most steps that it may have.
    pub most_steps: u64,
    /// The most pods that a controller may create.
    pub most_pods: usize,
    /// Whether the schedule has faults.
    pub faults: bool,
    /// Whether a pod has one request open at a time.
    pub one_request: bool,
    /// Whether locks are read only where they can have changed. Behind an error that no clean run shows they are read
    /// after each step.
    pub sparse_locks: bool,
    /// Whether the run stops at the first error of a statement that no clean run shows.
    pub stop_at_error: bool,
    /// If set, the only error at which it does.
    pub stop_only_at: Option<NamedError>,
    pub baseline: Option<Baseline>,
    pub rules: Rules,
    pub waits: Waits,
    /// How long a pod is held where a turn of so many steps ends.
    pub hold: Duration,
    /// After what time a pod counts as one that does not come to rest.
    pub restless_after: Duration,
}

/// How waits that no lock of the server shows are told, and what comes of them.
#[derive(Debug, Clone, Default)]
pub struct Waits {
    /// What the clean run showed; `None`: no such wait is looked for, as in the clean run itself.
    pub silence: Option<Silence>,
    /// Where the held pods are let go.
    pub let_go: Option<LetGo>,
}

/// What is no wait, because the clean run does it, too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Silence {
    /// The longest time in which nothing was heard of it.
    pub longest: Duration,
    /// The normal forms of the steps that it repeated shortly after one another.
    pub repeats: BTreeSet<Vec<String>>,
}

/// Where the held pods are let go: all run to their ends as soon as this pod waits there, and the rest of
/// the schedule is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LetGo {
    /// The pod that waits.
    pub pod: PodName,
    /// After how many of its steps.
    pub steps: u32,
}

/// A schedule, or a controller, asks for what the run does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mistake {
    /// A pod that there is not.
    NoSuchPod(PodName),
    /// One pod more than there may be.
    TooManyPods {
        most: usize,
        clock: String,
        why: String,
    },
}
