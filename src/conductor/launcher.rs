//! The controller of a CronJob in a run, and what it has been told.
//!
//! Owns these books; what it decides is `cronjob`'s.

use std::collections::BTreeSet;

use crate::cronjob::{Controller, CronJob};
use crate::name::PodName;

/// The controller, and what it has been told.
#[derive(Debug, Clone)]
pub(crate) struct Launcher {
    pub controller: Controller,
    /// Pods whose end it knows.
    pub told: BTreeSet<PodName>,
    /// Whether what is done to a pod at the moment is its doing.
    pub acts: bool,
}

impl Launcher {
    pub fn new(spec: &CronJob) -> Self {
        Self {
            controller: Controller::new(spec.clone()),
            told: BTreeSet::new(),
            acts: false,
        }
    }
}
