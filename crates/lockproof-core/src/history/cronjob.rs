//! What the controller of a CronJob decided, as a history has it.
//!
//! Owns the words of a decision. Knows nothing of how the controller comes to it.

use serde::{Deserialize, Serialize};

use crate::name::PodName;

/// A decision of the controller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The controller's own clock, which only the schedule moves: `01:00`, `01:00:30`, or with the
    /// date once the first day is over.
    pub clock: String,
    /// What it decided.
    pub decided: Decided,
    /// The Job that it is about.
    pub job: Option<String>,
    /// The pod that it is about.
    pub pod: Option<PodName>,
    /// Which attempt of the Job that pod is, from 1.
    pub attempt: Option<u32>,
    /// Why, or with what, in words.
    pub why: String,
}

/// What the controller decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decided {
    /// It begins to watch the CronJob.
    Watch,
    /// A Job is made.
    CreateJob,
    /// A pod of a Job is made.
    CreatePod,
    /// A Job is deleted, and its pods with it.
    DeleteJob,
    /// A pod gets SIGTERM, and its grace begins.
    Terminate,
    /// A pod's grace is over, and it gets SIGKILL.
    Kill,
    /// A pod is deleted before it was started.
    Remove,
    /// The time for a Job has come, and none is made.
    Skip,
    /// A Job that was not made in time is not made any more.
    Miss,
    /// A Job has succeeded.
    Complete,
    /// A Job's pod has failed, and another follows.
    Retry,
    /// A Job has failed, for good.
    Fail,
    /// The schedule is over: no further Job is made.
    Suspend,
}
