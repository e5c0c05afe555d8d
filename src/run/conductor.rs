//! One run: from its database to the last line of its history.
//!
//! Owns the flow: database, pods, schedule, the way to every pod's end, recovery, evidence.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::mpsc;

use super::controller::Launcher;
use super::environment::{environment, node_name};
use super::error::RunError;
use super::links::{Member, Step};
use super::outage::Outage;
use super::plan::{Place, Plan};
use super::pooled::Pooled;
use super::reports::Reports;
use super::trace::TraceEntry;
use super::turn::PendingStop;
use super::watchers::{Watcher, Watchers, connect};
use crate::history::{
    Event, FORMAT, HeldLock, Line, LockRule, Pacing, Rules, RunFacts, SettleCounts, Writer,
};
use crate::name::{ConnectionName, PodName, StepId};
use crate::pod::{Node, Pod, PodEvent, Settler};
use crate::schedule::Schedule;
use crate::server::{Database, Dwelling, Guardian, Standby, Ward};
use crate::wire::{Admission, Proxy, WireEvent};

/// A run that has been made.
#[derive(Debug)]
pub struct Finished {
    /// Its history.
    pub lines: Vec<Line>,
    /// Its trace.
    pub trace: Vec<TraceEntry>,
    /// Hash over the trace.
    pub trace_hash: String,
    /// The most requests that a pod had open at once.
    pub max_open_requests: u32,
    /// The longest time between an answer and the same connection's next request, in microseconds.
    pub max_gap_us: u64,
    /// Whether a pod insisted on TLS.
    pub tls_demanded: bool,
    /// How long it took until the history began: database, connection to it, proxies.
    pub prepared: Duration,
    /// The run's database, if it was to be kept.
    pub database: Option<Database>,
}

/// Everything that a run in progress knows.
pub(super) struct Conductor<'a> {
    pub place: Place<'a>,
    pub plan: &'a Plan,
    pub database: Database,
    pub watchers: Watchers,
    pub writer: Writer,
    pub begun: Instant,
    pub begun_wall: SystemTime,
    pub deadline: Instant,
    pub members: BTreeMap<PodName, Member>,
    pub steps: BTreeMap<StepId, Step>,
    pub next_step: u64,
    pub batch: u64,
    pub released: u64,
    pub trace: Vec<TraceEntry>,
    /// How many endings of steps are in the history.
    pub endings: u64,
    /// How many turns and faults have been begun.
    pub turns: usize,
    /// Pods whose grace ends then (free pacing).
    pub graces: Vec<(Instant, PodName)>,
    /// Where the pods live.
    pub dwelling: Dwelling,
    pub locks: Option<Vec<HeldLock>>,
    /// Prepared transactions that have been written down, as locks show them.
    pub prepared: BTreeSet<i32>,
    /// Whose sessions had silenced the server's log when they wrote.
    pub silenced: BTreeSet<ConnectionName>,
    /// A step that waited has its answer, or a session that may have been in its way is gone: time
    /// to look again.
    pub look_due: bool,
    /// A step has ended since the locks were last written down.
    pub at_boundary: bool,
    pub settler: Settler,
    pub settling: SettleCounts,
    pub pending_stops: Vec<PendingStop>,
    pub wire: Reports,
    pub wire_sender: mpsc::UnboundedSender<WireEvent>,
    pub output: mpsc::UnboundedReceiver<PodEvent>,
    pub output_sender: mpsc::UnboundedSender<PodEvent>,
    pub activity: Arc<AtomicU64>,
    pub max_gap_us: u64,
    /// A limit was hit, or the run was stopped at its first error: nothing more is let go.
    pub limit_hit: bool,
    pub stopped_early: bool,
    /// Backends that a fault has stopped (SIGSTOP).
    pub paused_backends: Vec<i32>,
    /// Why the first primary cannot be asked at the moment.
    pub outage: Option<Outage>,
    /// The pooler between the pods and the server.
    pub pooled: Option<Pooled>,
    /// Connections that pods open wait.
    pub no_way_in: bool,
    /// The standby, if the schedule needs one; promoted or not.
    pub standby: Option<Standby>,
    pub controlled: bool,
    /// The pod that has come to the wait at which the plan lets the others go.
    pub lets_go: Option<PodName>,
    /// The turn in which it came there is over.
    pub let_go_begun: bool,
    /// Who decides which pods there are, if not the plan.
    pub launcher: Option<Launcher>,
}

/// Makes one run. With `keep`, its database is handed back instead of dropped.
///
/// # Errors
/// When the harness itself cannot do its work; the database and the pods are gone then, too.
pub async fn run_once(
    place: Place<'_>,
    plan: &Plan,
    writer: Writer,
    keep: bool,
) -> Result<Finished, RunError> {
    let template = if plan.witness {
        place.template
    } else {
        place.bare_template
    };
    let begun = Instant::now();
    let database = place.set(template).await?;
    let created = begun.elapsed();
    let mut conductor = match Conductor::new(place, plan, database.clone(), writer).await {
        Ok(conductor) => conductor,
        Err(error) => {
            place.server.drop_database(database).await?;
            return Err(error);
        }
    };
    let ready = begun.elapsed();
    let result = conductor.conduct().await;
    conductor.end_prepared().await;
    let restored = conductor.restore().await;
    let conducted = begun.elapsed();
    let tls_demanded = conductor.members.values().any(|one| one.tls_demanded);
    let max_open_requests = conductor
        .members
        .values()
        .map(|member| member.max_open)
        .max()
        .unwrap_or(0);
    let max_gap_us = conductor.max_gap_us;
    let Conductor {
        writer,
        trace,
        watchers,
        members,
        pooled,
        ..
    } = conductor;
    // Pods die with their members, the connections with the watchers: only then can the database go.
    let wards: Vec<_> = members.values().filter_map(|member| member.ward).collect();
    drop(members);
    for ward in wards {
        Guardian::start()?.unregister(ward);
    }
    drop(pooled);
    drop(watchers);
    let mut dropped = Ok(());
    let database = if keep && result.is_ok() {
        Some(place.keep(database).await?)
    } else {
        dropped = place.server.drop_database(database).await;
        None
    };
    tracing::debug!(
        database_ms = created.as_millis(),
        ready_ms = (ready - created).as_millis(),
        run_ms = (conducted - ready).as_millis(),
        cleared_ms = (begun.elapsed() - conducted).as_millis(),
        "run made"
    );
    // Why the run failed says more than why its database stayed.
    let trace_hash = result?;
    restored?;
    dropped?;
    Ok(Finished {
        lines: writer.finish()?,
        trace,
        trace_hash,
        max_open_requests,
        max_gap_us,
        tls_demanded,
        prepared: ready,
        database,
    })
}

impl<'a> Conductor<'a> {
    async fn new(
        place: Place<'a>,
        plan: &'a Plan,
        database: Database,
        writer: Writer,
    ) -> Result<Self, RunError> {
        let client = connect(place.server, &database.name).await?;
        let watcher = Watcher::new(0, client, place.server.log_readable()).await?;
        let (wire_sender, wire) = mpsc::unbounded_channel();
        let (output_sender, output) = mpsc::unbounded_channel();
        let pooled = match plan.pooler {
            Some(settings) => {
                Some(Pooled::start(place.server, settings, wire_sender.clone()).await?)
            }
            None => None,
        };
        let (begun, begun_wall) = both_clocks();
        let mut conductor = Self {
            place,
            plan,
            database,
            watchers: Watchers::new(watcher),
            writer,
            begun,
            begun_wall,
            deadline: begun + plan.time_limit,
            members: BTreeMap::new(),
            steps: BTreeMap::new(),
            next_step: 1,
            batch: 0,
            released: 0,
            trace: Vec::new(),
            endings: 0,
            turns: 0,
            graces: Vec::new(),
            dwelling: Dwelling::new()?,
            locks: None,
            prepared: BTreeSet::new(),
            silenced: BTreeSet::new(),
            look_due: false,
            at_boundary: false,
            settler: Settler::new(),
            settling: SettleCounts::default(),
            pending_stops: Vec::new(),
            wire: Reports::new(wire),
            wire_sender,
            output,
            output_sender,
            activity: Arc::default(),
            max_gap_us: 0,
            limit_hit: false,
            stopped_early: false,
            paused_backends: Vec::new(),
            outage: None,
            pooled,
            no_way_in: false,
            standby: None,
            controlled: !matches!(plan.schedule, Schedule::Free(_)),
            lets_go: None,
            let_go_begun: false,
            launcher: plan.cronjob.as_ref().map(Launcher::new),
        };
        conductor.note_facts();
        for name in plan.first_pods() {
            conductor.add_member(name, false).await?;
        }
        Ok(conductor)
    }

    fn note_facts(&mut self) {
        let plan = self.plan;
        let facts = RunFacts {
            format: FORMAT,
            lockproof: env!("CARGO_PKG_VERSION").to_owned(),
            run: self.database.name.clone(),
            title: plan.title.clone(),
            pacing: if self.controlled {
                Pacing::Controlled
            } else {
                Pacing::Free
            },
            subject: plan.subject.clone(),
            pods: plan.first_pods(),
            recovery: plan.recovery,
            moves: match &plan.schedule {
                Schedule::Controlled(moves) => moves.len(),
                Schedule::Priorities { .. } => 0,
                Schedule::Free(free) => free.faults.len(),
            },
            server: self.place.server.facts().clone(),
            pooler: self.pooled.as_ref().map(|pooled| pooled.facts()),
            database: self.database.oid,
            witness: plan.witness,
            log: self.watchers.has_log(),
            rules: rules_in(&plan.rules, self.database.oid),
            baseline: plan.baseline.clone(),
        };
        self.note(Event::Run(Box::new(facts)));
    }

    /// Writes an event into the history.
    pub fn note(&mut self, event: Event) {
        let at = u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.writer.record(at, event);
    }

    /// Where the pods' proxies lead to.
    pub(super) async fn add_member(
        &mut self,
        name: PodName,
        recovery: bool,
    ) -> Result<(), RunError> {
        let proxy = Proxy::start(
            &name,
            self.way_in(),
            Admission {
                database: self.database.name.clone(),
                others: self.place.server.lets_others(),
            },
            !self.controlled,
            self.wire_sender.clone(),
            Arc::clone(&self.activity),
        )
        .await?;
        self.members.insert(
            name.clone(),
            Member {
                name,
                proxy,
                pod: None,
                ward: None,
                recovery,
                links: BTreeMap::new(),
                exited: None,
                ended: false,
                steps: 0,
                max_open: 0,
                repeats: Default::default(),
                wait: None,
                listens: false,
                tls_demanded: false,
                owed: 0,
                exit_unwritten: false,
                paused: false,
                stopped_at: None,
                link_faults: Vec::new(),
            },
        );
        Ok(())
    }

    /// Starts a pod, if it is not started yet.
    pub async fn start(&mut self, name: &PodName) -> Result<(), RunError> {
        let member = self
            .members
            .get_mut(name)
            .ok_or_else(|| RunError::NoSuchPod(name.clone()))?;
        if member.pod.is_some() {
            return Ok(());
        }
        let lodging = self.dwelling.of(name.as_str())?;
        let environment = environment(
            self.place.server.address(),
            &self.database.name,
            name.as_str(),
            ("127.0.0.1", member.proxy.port()),
            Some(&lodging),
            &self.plan.program.env,
        )?;
        let node = Node {
            name: node_name(name.as_str(), &self.plan.program.env),
            hosts: lodging.hosts,
        };
        let guardian = Guardian::start()?;
        let pod = Pod::spawn_on(
            name,
            &self.plan.program,
            &environment,
            Some(&node),
            self.output_sender.clone(),
        )?;
        pod.set_own_ports(&[member.proxy.port()]);
        if let Ok(pid) = i32::try_from(pod.pid()) {
            member.ward = Some(guardian.register(Ward::Process { pid }));
        }
        let event = Event::PodStarted {
            pod: name.clone(),
            pid: pod.pid(),
            recovery: member.recovery,
        };
        let shared = !pod.has_own_node();
        member.pod = Some(pod);
        self.note(event);
        if shared {
            self.note(Event::NodeShared { pod: name.clone() });
        }
        Ok(())
    }

    /// The run proper; its trace hash.
    async fn conduct(&mut self) -> Result<String, RunError> {
        if self.plan.elsewhere {
            self.advance_sequences().await?;
        }
        if self.plan.standby {
            self.add_standby().await?;
        }
        match &self.plan.schedule {
            Schedule::Controlled(moves) => self.follow(moves).await?,
            Schedule::Priorities { order, changes } => {
                self.follow_priorities(order, changes).await?;
            }
            Schedule::Free(free) => self.run_free(free).await?,
        }
        if self.plan.recovery && !self.limit_hit {
            let name = self.plan.recovery_name();
            self.add_member(name.clone(), true).await?;
            if self.controlled {
                let index = self.turns;
                self.added_turn(index, &name).await?;
            } else {
                self.start(&name).await?;
                self.free_until_ended().await?;
            }
        }
        self.stop_everything().await?;
        self.gather().await
    }
}

/// The same moment by both clocks: steps are timed by the one, and what the server logs is matched with
/// them by the other. Read again if this thread has lost its processor in between.
fn both_clocks() -> (Instant, SystemTime) {
    let read = || {
        let before = Instant::now();
        let wall = SystemTime::now();
        (before.elapsed(), before, wall)
    };
    let mut nearest = read();
    for _ in 0..100 {
        if nearest.0 < Duration::from_micros(20) {
            break;
        }
        let again = read();
        if again.0 < nearest.0 {
            nearest = again;
        }
    }
    (nearest.1, nearest.2)
}

fn rules_in(rules: &Rules, database: u32) -> Rules {
    let mut rules = rules.clone();
    match &mut rules.lock {
        LockRule::Named(key) => key.database = database,
        LockRule::FromCleanRun(keys) => {
            for key in keys {
                key.database = database;
            }
        }
        LockRule::None => {}
    }
    rules
}
