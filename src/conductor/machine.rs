//! What a run in progress knows.
//!
//! Owns the state alone; each rule over it stands in a file of its own.

use std::collections::BTreeMap;

use super::books::{Member, PendingStop, Step};
use super::launcher::Launcher;
use super::orders::Orders;
use crate::cronjob::CronJob;
use crate::history::{HeldLock, SettleCounts, Writer};
use crate::name::{PodName, StepId};

/// A run in progress.
#[derive(Debug)]
pub(crate) struct Conductor<W> {
    pub world: W,
    pub orders: Orders,
    pub writer: Writer,
    pub members: BTreeMap<PodName, Member>,
    pub steps: BTreeMap<StepId, Step>,
    pub next_step: u64,
    /// How often something was released.
    pub batch: u64,
    /// How many steps were.
    pub released: u64,
    /// How many endings of steps are in the history.
    pub endings: u64,
    /// How many turns and faults have been begun.
    pub turns: usize,
    pub locks: Option<Vec<HeldLock>>,
    /// A step that waited has its answer, or a session that may have been in its way is gone: time
    /// to look again.
    pub look_due: bool,
    /// A step has ended since the locks were last written down.
    pub at_boundary: bool,
    pub settling: SettleCounts,
    pub pending_stops: Vec<PendingStop>,
    pub max_gap_us: u64,
    /// A limit was hit, or the run was stopped at its first error: nothing more is let go.
    pub limit_hit: bool,
    pub stopped_early: bool,
    /// Backends that a fault has stopped (SIGSTOP).
    pub paused_backends: Vec<i32>,
    /// Connections that pods open wait.
    pub no_way_in: bool,
    /// The pod that has come to the wait at which the orders let the others go.
    pub lets_go: Option<PodName>,
    /// The turn in which it came there is over.
    pub let_go_begun: bool,
    /// Who decides which pods there are, if not the schedule.
    pub launcher: Option<Launcher>,
}

impl<W> Conductor<W> {
    /// A run of which nothing has happened yet.
    pub fn new(world: W, orders: Orders, writer: Writer, cronjob: Option<&CronJob>) -> Self {
        Self {
            world,
            orders,
            writer,
            members: BTreeMap::new(),
            steps: BTreeMap::new(),
            next_step: 1,
            batch: 0,
            released: 0,
            endings: 0,
            turns: 0,
            locks: None,
            look_due: false,
            at_boundary: false,
            settling: SettleCounts::default(),
            pending_stops: Vec::new(),
            max_gap_us: 0,
            limit_hit: false,
            stopped_early: false,
            paused_backends: Vec::new(),
            no_way_in: false,
            lets_go: None,
            let_go_begun: false,
            launcher: cronjob.map(Launcher::new),
        }
    }
}
