//! The real world of a run: proxies, processes, a server.
//!
//! Owns what it consists of. What the conductor asks of it is answered in `bridge`; what is done to it by
//! faults stands with each of them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::mpsc;

use super::plan::{Place, Plan};
use super::pooled::Pooled;
use super::reports::Reports;
use super::stopwatch::Stopwatch;
use super::trust::Trust;
use super::watchers::Watchers;
use crate::conductor::Conductor;
use crate::evidence::Gates;
use crate::history::{HeldRow, LockCall};
use crate::name::{ConnectionName, PodName};
use crate::pod::{Pod, PodEvent, Settler};
use crate::server::{Database, Dwelling, Registration, Standby};
use crate::wire::{Proxy, Upstream, WireEvent};

/// A run in the real world.
pub(super) type Run<'a> = Conductor<RealWorld<'a>>;

/// What a run drives.
pub(super) struct RealWorld<'a> {
    pub place: Place<'a>,
    pub plan: &'a Plan,
    pub database: Database,
    pub watchers: Watchers,
    pub begun: Instant,
    pub begun_wall: SystemTime,
    /// Where the run's time goes.
    pub stopwatch: Stopwatch,
    pub bodies: BTreeMap<PodName, Body>,
    /// The lock calls of steps that have no answer yet, by their numbers on their connections.
    pub asked: HashMap<(ConnectionName, u64), Vec<LockCall>>,
    /// Pods whose grace ends then (free pacing).
    pub graces: Vec<(Instant, PodName)>,
    /// Where the pods live.
    pub dwelling: Dwelling,
    /// Whom they trust.
    pub trust: Trust,
    /// Prepared transactions that have been written down, as locks show them.
    pub prepared: BTreeSet<i32>,
    /// The row locks that were written down last, where rows are the lock.
    pub held_rows: Option<Vec<HeldRow>>,
    /// Whose sessions had silenced the server's log when they wrote.
    pub silenced: BTreeSet<ConnectionName>,
    pub settler: Settler,
    pub wire: Reports,
    pub wire_sender: mpsc::UnboundedSender<WireEvent>,
    pub output: mpsc::UnboundedReceiver<PodEvent>,
    pub output_sender: mpsc::UnboundedSender<PodEvent>,
    pub activity: Arc<AtomicU64>,
    /// The gates in the middle of steps, where the schedule stops there.
    pub gates: Option<Gates>,
    /// Why the first primary cannot be asked at the moment.
    pub outage: Option<Outage>,
    /// The pooler between the pods and the server.
    pub pooled: Option<Pooled>,
    /// The standby, if the schedule needs one; promoted or not.
    pub standby: Option<Standby>,
}

/// What a pod consists of.
pub(super) struct Body {
    pub proxy: Proxy,
    /// The Unix socket by which it may be reached, too.
    pub socket: Option<PathBuf>,
    /// `None` until its first turn.
    pub pod: Option<Pod>,
    /// The guardian's promise to kill it if this process is killed.
    pub ward: Option<Registration>,
}

/// Why the first primary cannot be asked at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outage {
    /// Its processes are stopped, and go on when this is undone.
    Paused,
    /// It has been taken away, and another one has its place.
    Dead,
}

/// The number of the first primary.
pub(super) const FIRST: usize = 0;

impl RealWorld<'_> {
    /// The way of a pod to the server.
    pub fn proxy(&self, pod: &PodName) -> Option<&Proxy> {
        self.bodies.get(pod).map(|body| &body.proxy)
    }

    /// The processes of a pod, once it is started.
    pub fn pod(&self, pod: &PodName) -> Option<&Pod> {
        self.bodies.get(pod)?.pod.as_ref()
    }

    /// This time by the calendar, by one clock for the whole run.
    pub fn wall(&self, at: Duration) -> SystemTime {
        self.begun_wall + at
    }

    /// The instant of this time of day, in microseconds since 1970, by the same clock.
    pub fn instant(&self, wall: i64) -> Instant {
        let since = wall.saturating_sub(wall_us(self.begun_wall));
        self.begun + Duration::from_micros(u64::try_from(since).unwrap_or(0))
    }

    /// Where a pod's new connections lead, unless nobody gets in at the moment.
    pub fn way_in(&self) -> Upstream {
        match &self.pooled {
            Some(pooled) => pooled.upstream(),
            None => self.upstream(self.watchers.current()),
        }
    }

    /// The way to the server of this number.
    pub fn upstream(&self, server: usize) -> Upstream {
        let address = match (server, &self.standby) {
            (FIRST, _) | (_, None) => self.place.server.address(),
            (_, Some(standby)) => standby.address(),
        };
        Upstream {
            host: address.host.clone(),
            port: address.port,
            server,
        }
    }
}

/// Microseconds since 1970.
pub(super) fn wall_us(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_micros()).ok())
        .unwrap_or(0)
}
