//! What the conductor asks of the real world.
//!
//! Owns the answers: each call of the conductor's in those of proxies, processes and the server. Decides nothing
//! about steps; what is heard stands in `hearing`.

use std::path::Path;
use std::time::{Duration, Instant};

use super::environment::{Way, environment, node_name, wants_socket};
use super::error::RunError;
use super::hearing::PoolerReport;
use super::real::{Body, Outage, RealWorld, Run, wall_us};
use super::stopwatch::Phase;
use crate::conductor::{
    Activity, Aim, Heard, Mistake, Need, Outcome, Queue, Rested, Sessions, Started, World,
};
use crate::history::{Delivery, HeldLock, Request, WaitsFor};
use crate::name::{ConnectionName, PodName, Session, StepId};
use crate::pod::{Node, Pod, PodEvent, SettleLimits};
use crate::schedule::InnerPoint;
use crate::server::{Guardian, Ward};
use crate::wire::{Admission, Doors, Handover, Proxy, WireError, WireEvent};

/// What is added to the deadlock timeout where the log does not tell: the check itself, on a busy
/// machine.
const DEADLOCK_CHECK: Duration = Duration::from_millis(50);
/// How long the log is asked for the check. (It may be switched off for a role or a session.)
const UNLOGGED: Duration = Duration::from_secs(1);

/// Where a report comes from.
enum Source {
    Wire(Box<WireEvent>),
    Pod(PodEvent),
}

impl From<Mistake> for RunError {
    fn from(mistake: Mistake) -> Self {
        match mistake {
            Mistake::NoSuchPod(name) => Self::NoSuchPod(name),
            Mistake::TooManyPods { most, clock, why } => Self::TooManyPods { most, clock, why },
        }
    }
}

impl World for RealWorld<'_> {
    type Error = RunError;
    type Own = PoolerReport;

    fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    fn wall_us(&self, at: Duration) -> i64 {
        wall_us(self.wall(at))
    }

    async fn next_report(
        &mut self,
        within: Duration,
    ) -> Result<Option<Heard<PoolerReport>>, RunError> {
        if let Some(event) = self.wire.next_at_once() {
            return Ok(Some(self.heard(event)));
        }
        if let Ok(event) = self.output.try_recv() {
            return Ok(Some(self.heard_of_pod(event)));
        }
        if within.is_zero() {
            return Ok(None);
        }
        let before = self.stopwatch.enter(self.stopwatch.wait());
        let heard = tokio::select! {
            biased;
            Some(event) = self.wire.next() => Some(Source::Wire(Box::new(event))),
            Some(event) = self.output.recv() => Some(Source::Pod(event)),
            () = tokio::time::sleep(within) => None,
        };
        self.stopwatch.enter(before);
        Ok(heard.map(|heard| match heard {
            Source::Wire(event) => self.heard(*event),
            Source::Pod(event) => self.heard_of_pod(event),
        }))
    }

    async fn take_in(
        run: &mut Run<'_>,
        connection: ConnectionName,
        own: PoolerReport,
        at: Duration,
    ) -> Result<(), RunError> {
        match own {
            PoolerReport::Connected { port } => {
                if let Some(pooled) = &mut run.world.pooled {
                    pooled.connected(connection, port);
                }
                Ok(())
            }
            PoolerReport::ServerSide(what) => run.server_side(connection, what, at).await,
        }
    }

    async fn admit(&mut self, pod: &PodName) -> Result<(), RunError> {
        let socket = match wants_socket(&self.plan.program.env) {
            true => Some(self.dwelling.socket_of(pod.as_str())?),
            false => None,
        };
        let doors = Doors {
            tls: Some(self.trust.authority().clone()),
            socket: socket.clone(),
        };
        let proxy = Proxy::start(
            pod,
            doors,
            self.way_in(),
            Admission {
                database: self.database.name.clone(),
                others: self.place.server.lets_others(),
            },
            !self.plan.is_controlled(),
            self.wire_sender.clone(),
            std::sync::Arc::clone(&self.activity),
        )
        .await?;
        let body = Body {
            proxy,
            socket,
            pod: None,
            ward: None,
        };
        self.bodies.insert(pod.clone(), body);
        Ok(())
    }

    fn dismiss(&mut self, pod: &PodName) {
        self.bodies.remove(pod);
    }

    async fn start(&mut self, name: &PodName) -> Result<Started, RunError> {
        let Some(body) = self.bodies.get_mut(name) else {
            return Err(RunError::NoSuchPod(name.clone()));
        };
        let before = self.stopwatch.enter(Phase::ProcessStart);
        self.stopwatch.turned_away();
        self.stopwatch.started(name);
        let lodging = self.dwelling.of(name.as_str())?;
        self.trust.move_in(&lodging)?;
        let inside = &self.plan.program.isolation;
        let way = Way {
            host: "127.0.0.1",
            // In a network of its own the proxy's port is another one.
            port: match inside.as_ref().and_then(|inside| inside.ports.first()) {
                Some(port) => *port,
                None => body.proxy.port(),
            },
            socket: body.socket.as_deref().and_then(Path::parent),
            trust: &self.trust,
        };
        let environment = environment(
            self.place.server.address(),
            &self.database.name,
            name.as_str(),
            &way,
            Some(&lodging),
            &self.plan.program.env,
        )?;
        let node = Node {
            name: node_name(name.as_str(), &self.plan.program.env),
            hosts: lodging.hosts,
            hand: self
                .dwelling
                .socket_of(name.as_str())?
                .with_file_name("hand"),
        };
        let guardian = Guardian::start()?;
        let mut pod = Pod::spawn_on(
            name,
            &self.plan.program,
            &environment,
            Some(&node),
            self.output_sender.clone(),
        )?;
        for listener in pod.take_listeners() {
            let failed = |source| WireError::Listen {
                pod: name.clone(),
                source,
            };
            body.proxy.listen_too(listener).map_err(failed)?;
        }
        pod.set_own_doors(&[body.proxy.port()], body.socket.as_deref());
        if let Ok(pid) = i32::try_from(pod.pid()) {
            body.ward = Some(guardian.register(Ward::Process { pid }));
        }
        let started = Started {
            pid: pod.pid(),
            shares_node: !pod.has_own_node(),
        };
        body.pod = Some(pod);
        self.stopwatch.enter(before);
        Ok(started)
    }

    fn release(&mut self, connection: &ConnectionName, delivery: Delivery) {
        self.stopwatch.released(connection);
        let handover = match delivery {
            Delivery::AnswerDropped => Handover::DropAnswer,
            // What takes the place of a step or of its answer is handed over by whoever has it.
            Delivery::Forwarded | Delivery::Replaced | Delivery::AnswerReplaced => {
                Handover::Forward
            }
        };
        if let Some(proxy) = self.proxy(&connection.pod) {
            // A connection that ended in between has told so, or will.
            let _ = proxy.release(connection, handover);
        }
    }

    fn released(
        &mut self,
        step: StepId,
        connection: &ConnectionName,
        request: &Request,
        has_session: bool,
    ) {
        self.watchers.look_for(&request.lock_calls);
        if let (Some(pooled), true) = (&mut self.pooled, has_session) {
            pooled.goes_on(connection, step);
        }
    }

    fn drop_held(&mut self, connection: &ConnectionName) {
        if let Some(proxy) = self.proxy(&connection.pod) {
            let _ = proxy.drop_held(connection);
        }
    }

    fn withhold(&mut self, connection: &ConnectionName, cut: bool) {
        if let Some(proxy) = self.proxy(&connection.pod) {
            proxy.shape(Some(connection), |shape| shape.cut = cut);
        }
    }

    async fn look(&mut self, pids: &[i32]) -> Result<Sessions, RunError> {
        let before = self.stopwatch.enter(Phase::Looks);
        let seen = self.watchers.activity(pids).await;
        self.stopwatch.enter(before);
        Ok(seen?)
    }

    async fn look_at_locks(run: &mut Run<'_>) -> Result<Option<(i64, Vec<HeldLock>)>, RunError> {
        let asked = Instant::now();
        let before = run.world.stopwatch.enter(Phase::Looks);
        let looked = run.world.watchers.locks().await;
        run.world.stopwatch.enter(before);
        let (server_us, locks) = looked?;
        // Free pods have gone on meanwhile: what they did before the server looked is written before
        // what it saw, or a lock would seem to be given back later than it was.
        if !run.orders.controlled {
            let answered = Instant::now();
            let mut looked = run.world.instant(server_us);
            // Its clock is not ours, or there are two of them: when it looked is not known. Where
            // nothing happened meanwhile that does not matter; else this look says nothing.
            if looked < asked || looked > answered || run.world.standby.is_some() {
                looked = asked;
            }
            while let Some(event) = run.world.wire.next_until(looked) {
                let heard = run.world.heard(event);
                run.absorb(heard).await?;
            }
            if looked == asked && run.world.wire.has_until(answered) {
                return Ok(None);
            }
        }
        if let Some(pooled) = &mut run.world.pooled {
            pooled.note_owners(&locks);
        }
        run.note_prepared(&locks).await?;
        run.note_row_locks().await?;
        Ok(Some((server_us, locks)))
    }

    fn row_holders(&self) -> Vec<i32> {
        let rows = self.held_rows.iter().flatten();
        rows.map(|row| row.pid).filter(|pid| *pid != 0).collect()
    }

    /// Its log tells, where it can be read: a backend may get a processor long after its timer has gone off.
    /// Else the time that the check takes, by the server's own clock where it tells since when it waits.
    async fn has_checked(
        &mut self,
        pid: i32,
        seen: Option<&Activity>,
        since: Duration,
    ) -> Result<bool, RunError> {
        let timeout = Duration::from_micros(self.watchers.deadlock_timeout_us());
        let waited = seen
            .and_then(|activity| activity.waited_us)
            .and_then(|waited| u64::try_from(waited).ok())
            .map_or_else(|| self.now().saturating_sub(since), Duration::from_micros);
        if waited < timeout {
            return Ok(false);
        }
        let begun = seen.and_then(|activity| activity.waits_since_us);
        if let Some(begun) = begun
            && waited < timeout + UNLOGGED
            && let Some(checked) = self.watchers.has_checked(pid, begun).await?
        {
            return Ok(checked);
        }
        Ok(waited >= timeout + DEADLOCK_CHECK)
    }

    async fn close_gate(&mut self, pid: i32, at: &InnerPoint) -> Result<(), RunError> {
        match &mut self.gates {
            Some(gates) => Ok(gates.close(pid, at).await?),
            None => Ok(()),
        }
    }

    fn keeps_gates(&self, pid: i32) -> bool {
        self.gates.as_ref().is_some_and(|gates| gates.pid() == pid)
    }

    async fn pass_rows(&mut self, pid: i32, at: &InnerPoint) -> Result<bool, RunError> {
        match &mut self.gates {
            Some(gates) => Ok(gates.pass_rows(pid, at).await?),
            None => Ok(false),
        }
    }

    async fn open_gates(&mut self, pid: i32) -> Result<(), RunError> {
        match &mut self.gates {
            Some(gates) => Ok(gates.open(pid).await?),
            None => Ok(()),
        }
    }

    fn can_look(&self) -> bool {
        self.outage != Some(Outage::Paused)
    }

    fn need(&self, connection: &ConnectionName) -> Need {
        let proxy = self.proxy(&connection.pod);
        proxy.map_or(Need::Nothing, |proxy| proxy.need(connection))
    }

    fn is_cut_off(&self, connection: &ConnectionName) -> bool {
        let proxy = self.proxy(&connection.pod);
        proxy.is_some_and(|proxy| proxy.shape_of(connection).cut)
    }

    fn is_running(&self, pod: &PodName) -> bool {
        self.pod(pod).is_some_and(Pod::is_running)
    }

    async fn settle(&mut self, pods: &[PodName]) -> Rested {
        let bodies = &self.bodies;
        let pods: Vec<&Pod> = pods
            .iter()
            .filter_map(|name| bodies.get(name)?.pod.as_ref())
            .collect();
        let unseen = pods.iter().any(|pod| !pod.is_visible());
        let limits = SettleLimits::default();
        self.stopwatch.turned_away();
        let before = self.stopwatch.enter(self.stopwatch.wait());
        let seen = self.settler.wait(&pods, &self.activity, &limits).await;
        self.stopwatch.enter(before);
        Rested {
            quiet: seen.quiet,
            leaves: seen.leaves,
            unseen,
        }
    }

    fn waits_for(&self, pod: &PodName) -> WaitsFor {
        self.pod(pod).map_or(WaitsFor::Outside, Pod::waits_for)
    }

    async fn apply(run: &mut Run<'_>, aim: &Aim<'_>) -> Result<Outcome, RunError> {
        // The work of twenty faults: on the heap, for it is part of every future that may need it.
        let before = run.world.stopwatch.enter(Phase::Faults);
        let applied = Box::pin(run.apply_by_kind(aim)).await;
        run.world.stopwatch.enter(before);
        applied
    }

    async fn resume_session(&mut self, pid: i32) -> Result<(), RunError> {
        let resumed = self.place.server.resume_backend(pid).await;
        // One that has gone meanwhile needs nothing.
        if resumed.is_err() && self.watchers.activity(&[pid]).await?.contains_key(&pid) {
            resumed?;
        }
        Ok(())
    }

    fn take_hit(&mut self) -> Option<Session> {
        self.pooled.as_mut()?.aimed.take()
    }

    fn pool_size(&self) -> Option<u32> {
        Some(self.pooled.as_ref()?.settings().size)
    }

    async fn await_returned(run: &mut Run<'_>) -> Result<(), RunError> {
        run.await_pooled().await
    }

    async fn queue(&mut self, connection: &ConnectionName) -> Result<Option<Queue>, RunError> {
        let Some(pooled) = &self.pooled else {
            return Ok(None);
        };
        let Some(port) = pooled.port_of(connection) else {
            return Ok(None);
        };
        let size = pooled.settings().size as usize;
        let look = pooled.console.look().await?;
        let Some(client) = look.client(port).filter(|client| client.waits) else {
            return Ok(None);
        };
        let servers: Vec<_> = look.pool_of(client).collect();
        // One that is free, or is being opened or reset, is for whoever waits.
        let all_taken = servers.len() >= size && servers.iter().all(|one| one.client.is_some());
        Ok(Some(Queue {
            all_taken,
            backends: servers.iter().map(|one| one.pid).collect(),
        }))
    }

    fn is_placed(&self, connection: &ConnectionName, step: StepId) -> bool {
        let pooled = self.pooled.as_ref();
        pooled.is_some_and(|pooled| pooled.is_placed(connection, step))
    }

    fn forget_unplaced(
        &mut self,
        connection: &ConnectionName,
        step: StepId,
        request: &Request,
    ) -> bool {
        let pooled = self.pooled.as_mut();
        pooled.is_some_and(|pooled| pooled.forget_unplaced(connection, step, request))
    }

    fn owner_of(&self, lock: &HeldLock) -> Option<ConnectionName> {
        self.pooled.as_ref()?.owner_of(lock).cloned()
    }
}
