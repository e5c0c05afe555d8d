//! What a CronJob says, as far as the controller asks.
//!
//! Owns Kubernetes' own defaults.

use std::fmt;
use std::time::Duration;

use super::timetable::Timetable;

/// A CronJob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CronJob {
    /// When a Job is made.
    pub schedule: Timetable,
    /// What becomes of the Jobs that still run then.
    pub policy: Policy,
    /// How long a pod has from SIGTERM to SIGKILL; whole seconds, nothing: SIGKILL at once.
    pub grace: Duration,
    /// How late a Job may still be made; whole seconds, at least one. `None`: however late.
    pub starting_deadline: Option<Duration>,
    /// How many failed pods of a Job are followed by another.
    pub backoff_limit: u32,
    /// Whether the job's first process is PID 1 of its container, on which a signal without a handler
    /// has no effect.
    pub pid1: bool,
}

impl CronJob {
    /// `terminationGracePeriodSeconds`, where nothing is said.
    pub const GRACE: Duration = Duration::from_secs(30);
    /// `backoffLimit`, where nothing is said.
    pub const BACKOFF_LIMIT: u32 = 6;

    /// One with this schedule and all else as Kubernetes has it where nothing is said.
    #[must_use]
    pub fn new(schedule: Timetable) -> Self {
        Self {
            schedule,
            policy: Policy::Allow,
            grace: Self::GRACE,
            starting_deadline: None,
            backoff_limit: Self::BACKOFF_LIMIT,
            pid1: true,
        }
    }
}

impl fmt::Display for CronJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "schedule \"{}\", {}, grace {} s",
            self.schedule,
            self.policy,
            self.grace.as_secs()
        )?;
        if let Some(deadline) = self.starting_deadline {
            write!(f, ", starting deadline {} s", deadline.as_secs())?;
        }
        write!(f, ", backoff limit {}", self.backoff_limit)?;
        if !self.pid1 {
            f.write_str(", the job is not PID 1")?;
        }
        Ok(())
    }
}

/// `concurrencyPolicy`: what becomes of the CronJob's own Jobs that still run when the next is due.
/// Jobs made by hand are none of its business.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// They go on beside it.
    #[default]
    Allow,
    /// The next one is not made as long as one runs.
    Forbid,
    /// They are deleted, and the next one is made at once.
    Replace,
}

impl Policy {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Allow, Self::Forbid, Self::Replace];
    /// Their names.
    pub const NAMES: [&'static str; 3] = ["Allow", "Forbid", "Replace"];

    /// Its name, as Kubernetes writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Allow => "Allow",
            Self::Forbid => "Forbid",
            Self::Replace => "Replace",
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
