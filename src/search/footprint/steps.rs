//! The steps of an executed run, each with its footprint.
//!
//! Owns their shape and the small questions about them. How they are found is in `derive`.

use std::collections::BTreeSet;

use super::touched::Footprint;
use super::waits::WaitEnd;
use crate::history::Ending;
use crate::name::{ConnectionName, PodName, StepId};
use crate::schedule::SqlPattern;

/// An executed step and what it touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its id in its run.
    pub id: StepId,
    /// Whose it is.
    pub pod: PodName,
    /// On which connection.
    pub connection: ConnectionName,
    /// Its number among the pod's steps, from 1; `None`: a driver's look-up.
    pub number: Option<u32>,
    /// Its SQL, as the history has it.
    pub sql: Vec<String>,
    /// The normal forms of its statements.
    pub normal: Vec<String>,
    /// How it ended at last; `None`: it did not.
    pub ending: Option<Ending>,
    /// Whether it was seen to wait for a lock.
    pub blocked: bool,
    /// The most rows that one of its statements told of.
    pub rows: u64,
    /// How a wait of it for a lock would end by a time limit of its session's.
    pub waits_end: WaitEnd,
    /// The SQLSTATE of its error.
    pub error: Option<String>,
    /// What it touched; for the end of a transaction, what all of it touched. What [`independent`]
    /// looks at.
    ///
    /// [`independent`]: super::independent()
    pub footprint: Footprint,
    /// What it touched itself. What conflicts are looked for in.
    pub own: Footprint,
    /// The step that ends the transaction it is in; itself, if it is in none.
    pub effective: StepId,
}

impl Step {
    /// Its normal forms in one line.
    #[must_use]
    pub fn form(&self) -> String {
        self.normal.join("; ")
    }

    /// Whether a stop with this pattern means it.
    #[must_use]
    pub fn meets(&self, sql: &SqlPattern) -> bool {
        sql.matches(&self.sql) || sql.matches(&self.normal)
    }
}

/// The steps of a run that reached the server, with their footprints.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Footprints {
    /// The steps, in the order in which they were released.
    pub steps: Vec<Step>,
}

impl Footprints {
    /// The step of this id.
    #[must_use]
    pub fn step(&self, id: StepId) -> Option<&Step> {
        self.steps.iter().find(|step| step.id == id)
    }

    /// The steps of a pod that a schedule can name (look-ups left out), in their order.
    pub fn of_pod<'a>(&'a self, pod: &'a PodName) -> impl Iterator<Item = &'a Step> {
        self.steps
            .iter()
            .filter(move |step| step.pod == *pod && step.number.is_some())
    }

    /// The pods, in the order of their names.
    #[must_use]
    pub fn pods(&self) -> BTreeSet<PodName> {
        self.steps.iter().map(|step| step.pod.clone()).collect()
    }
}
