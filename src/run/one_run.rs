//! One run: from its database to the last line of its history.
//!
//! Owns the flow: database, pods, schedule, the way to every pod's end, recovery, evidence.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::mpsc;

use super::error::RunError;
use super::plan::{Place, Plan};
use super::pooled::Pooled;
use super::real::{RealWorld, Run};
use super::reports::Reports;
use super::stopwatch::{Phase, Stopwatch, Timings};
use super::trust::Trust;
use super::watchers::{Watcher, Watchers, connect};
use crate::conductor::{Conductor, Orders};
use crate::evidence::{Gates, watch_queue, watch_rows};
use crate::history::{Event, FORMAT, Line, LockRule, Pacing, Rules, RunFacts, Writer};
use crate::pod::{SettleLimits, Settler};
use crate::schedule::Schedule;
use crate::server::{Database, Dwelling, Guardian};

/// The most steps of a run.
const STEP_CAP: u64 = 300_000;

/// How long a pod is held in its middle, so that no clock that counts seconds shows the same.
const HELD: Duration = Duration::from_millis(1_100);

/// A run that has been made.
#[derive(Debug)]
pub struct Finished {
    /// Its history.
    pub lines: Vec<Line>,
    /// Hash over the trace.
    pub trace_hash: String,
    /// The most requests that a pod had open at once.
    pub max_open_requests: u32,
    /// The longest time between an answer and the same connection's next request, in microseconds.
    pub max_gap_us: u64,
    /// Why a pod's attempt at TLS came to nothing, if one did.
    pub tls_failed: Option<String>,
    /// How long it took until the history began: database, connection to it, proxies.
    pub prepared: Duration,
    /// What its time was spent with.
    pub timings: Timings,
    /// The run's database, if it was to be kept.
    pub database: Option<Database>,
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
    let stopwatch = Stopwatch::since(begun, Phase::Database);
    let mut conductor = match Run::begin(place, plan, database.clone(), writer, stopwatch).await {
        Ok(conductor) => conductor,
        Err(error) => {
            place.server.drop_database(database).await?;
            return Err(error);
        }
    };
    let ready = begun.elapsed();
    conductor.world.stopwatch.enter(Phase::Harness);
    // On the heap: the layout of what awaits it would be too deep for the compiler.
    let result = Box::pin(conductor.conduct()).await;
    conductor.end_prepared().await;
    let restored = conductor.restore().await;
    let conducted = begun.elapsed();
    conductor.world.stopwatch.enter(Phase::Database);
    let mut members = conductor.members.values();
    let tls_failed = members.find_map(|one| one.tls_failed.clone());
    let max_open_requests = conductor
        .members
        .values()
        .map(|member| member.max_open)
        .max()
        .unwrap_or(0);
    let max_gap_us = conductor.max_gap_us;
    let Conductor {
        writer,
        world,
        steps,
        ..
    } = conductor;
    // The history says it all.
    drop(steps);
    let RealWorld {
        watchers,
        bodies,
        pooled,
        stopwatch,
        gates,
        ..
    } = world;
    // Pods die with their bodies, the connections with the watchers: only then can the database go.
    let wards: Vec<_> = bodies.values().filter_map(|body| body.ward).collect();
    drop(bodies);
    for ward in wards {
        Guardian::start()?.unregister(ward);
    }
    drop(pooled);
    drop(watchers);
    drop(gates);
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
    let timings = stopwatch.stop();
    let lines = writer.finish()?;
    Ok(Finished {
        lines,
        trace_hash,
        max_open_requests,
        max_gap_us,
        tls_failed,
        prepared: ready,
        timings,
        database,
    })
}

impl<'a> Run<'a> {
    async fn begin(
        place: Place<'a>,
        plan: &'a Plan,
        database: Database,
        writer: Writer,
        stopwatch: Stopwatch,
    ) -> Result<Self, RunError> {
        let client = connect(place.server, &database.name).await?;
        let rows = plan.rules.lock.each().filter_map(LockRule::rows);
        for rows in rows.filter(|_| plan.witness) {
            watch_rows(&client, rows.table).await?;
        }
        let queues = plan.rules.lock.each().filter_map(LockRule::row);
        for queue in queues.filter(|_| plan.witness) {
            watch_queue(&client, queue).await?;
        }
        let watcher = Watcher::new(0, client, place.server.log_readable()).await?;
        let mut watchers = Watchers::new(watcher);
        let gates = match plan.schedule.inner_points().next() {
            Some(_) => {
                let client = connect(place.server, &database.name).await?;
                let gates = Gates::new(client, plan.schedule.inner_points()).await?;
                watchers.keep_gates(gates.pid());
                Some(gates)
            }
            None => None,
        };
        let (wire_sender, wire) = mpsc::unbounded_channel();
        let (output_sender, output) = mpsc::unbounded_channel();
        let pooled = match plan.pooler {
            Some(settings) => {
                Some(Pooled::start(place.server, settings, wire_sender.clone()).await?)
            }
            None => None,
        };
        let dwelling = Dwelling::new()?;
        let trust = Trust::new(&dwelling)?;
        let (begun, begun_wall) = both_clocks();
        let world = RealWorld {
            place,
            plan,
            database,
            watchers,
            begun,
            begun_wall,
            stopwatch,
            bodies: BTreeMap::new(),
            asked: HashMap::new(),
            graces: Vec::new(),
            dwelling,
            trust,
            prepared: BTreeSet::new(),
            silenced: BTreeSet::new(),
            held_rows: None,
            settler: Settler::new(),
            wire: Reports::new(wire),
            wire_sender,
            output,
            output_sender,
            activity: Arc::default(),
            gates,
            outage: None,
            pooled,
            standby: None,
        };
        let mut run = Self::new(world, orders(plan), writer, plan.cronjob.as_ref());
        run.note_facts();
        for name in plan.first_pods() {
            run.add_member(name, false).await?;
        }
        Ok(run)
    }

    fn note_facts(&mut self) {
        let plan = self.world.plan;
        let facts = RunFacts {
            format: FORMAT,
            lockproof: env!("CARGO_PKG_VERSION").to_owned(),
            run: self.world.database.name.clone(),
            title: plan.title.clone(),
            pacing: if self.orders.controlled {
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
            server: self.world.place.server.facts().clone(),
            pooler: self.world.pooled.as_ref().map(|pooled| pooled.facts()),
            database: self.world.database.oid,
            witness: plan.witness,
            log: self.world.watchers.has_log(),
            rules: rules_in(&plan.rules, self.world.database.oid),
            baseline: plan.baseline.clone(),
        };
        self.note(Event::Run(Box::new(facts)));
    }

    /// The run proper; its trace hash.
    async fn conduct(&mut self) -> Result<String, RunError> {
        if self.world.plan.elsewhere {
            self.advance_sequences().await?;
        }
        if self.world.plan.standby {
            self.add_standby().await?;
        }
        match &self.world.plan.schedule {
            Schedule::Controlled(moves) => self.follow(moves).await?,
            Schedule::Priorities { order, changes } => {
                self.follow_priorities(order, changes).await?;
            }
            Schedule::Free(free) => self.run_free(free).await?,
        }
        if self.world.plan.recovery && !self.limit_hit {
            let name = self.world.plan.recovery_name();
            self.add_member(name.clone(), true).await?;
            if self.orders.controlled {
                let index = self.turns;
                self.added_turn(index, &name).await?;
            } else {
                self.start(&name).await?;
                self.free_until_ended().await?;
            }
        }
        self.stop_everything().await?;
        self.world.stopwatch.enter(Phase::Evidence);
        self.gather().await
    }
}

/// What the conductor is to keep to.
fn orders(plan: &Plan) -> Orders {
    Orders {
        controlled: plan.is_controlled(),
        time_limit: plan.time_limit,
        most_steps: STEP_CAP,
        most_pods: plan.pods,
        faults: plan.schedule.has_faults(),
        one_request: plan.one_request,
        sparse_locks: plan.sparse_locks,
        stop_at_error: plan.stop_at_error,
        stop_only_at: plan.stop_only_at.clone(),
        baseline: plan.baseline.clone(),
        rules: plan.rules.clone(),
        waits: plan.waits.clone(),
        hold: if plan.elsewhere { HELD } else { Duration::ZERO },
        restless_after: SettleLimits::default().restless_after,
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
    for lock in rules.lock.each_mut() {
        match lock {
            LockRule::Named(key) => key.database = database,
            LockRule::FromCleanRun(keys) => {
                for key in keys {
                    key.database = database;
                }
            }
            LockRule::Row(_)
            | LockRule::Rows(_)
            | LockRule::Serializable
            | LockRule::Several(_)
            | LockRule::None => {}
        }
    }
    rules
}
