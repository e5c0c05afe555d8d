//! Faults of the server: it is shut down and started again, it crashes, it stands still.
//!
//! Owns their order: nobody gets in, it is taken away, every connection that led to it is seen to
//! end, it comes back, the harness looks again, the pods get in again. (A pod that connects in
//! between waits: how often it would have been refused is a matter of time, and no run would repeat
//! another.) How a server is stopped and started is the server room's.

use crate::history::Awaited;
use std::time::{Duration, Instant};

use super::error::RunError;
use super::real::{FIRST, Outage, Run};
use super::watchers::connect;
use crate::conductor::Link;
use crate::conductor::Outcome;
use crate::conductor::{Aim, FAULT_LIMIT};
use crate::name::{ConnectionName, PodName};
use crate::schedule::OldPrimary;
use crate::server::Shutdown;
use crate::wire::Shape;

/// What is done to the server.
#[derive(Debug, Clone, Copy)]
pub(super) enum OnServer {
    /// It is stopped in this way and started again.
    StopAndStart(Shutdown),
    /// Its processes are stopped.
    Pause,
    /// They go on.
    Unpause,
    /// Its standby takes its place; this becomes of it.
    Promote(OldPrimary),
}

impl Run<'_> {
    /// Does this to the server.
    pub(super) async fn on_server(
        &mut self,
        aim: &Aim<'_>,
        what: OnServer,
    ) -> Result<Outcome, RunError> {
        if let Err(error) = self.world.place.server.can_be_faulted() {
            return Ok(self.note_fault(aim, Outcome::missed(error.to_string())));
        }
        let outcome = match (what, self.world.outage) {
            (OnServer::Unpause, Some(Outage::Paused)) => {
                Outcome::fired(self.unpause_server().await?)
            }
            (OnServer::Unpause, Some(Outage::Dead) | None) => {
                Outcome::missed("the server was not paused")
            }
            (
                OnServer::StopAndStart(_) | OnServer::Pause | OnServer::Promote(_),
                Some(Outage::Paused),
            ) => Outcome::missed("the server is paused: `unpause-server` comes first"),
            (OnServer::Promote(old), Some(Outage::Dead) | None) => self.promote(aim, old).await?,
            (OnServer::StopAndStart(_) | OnServer::Pause, Some(Outage::Dead)) => Outcome::missed(
                "the first primary is dead, and the one after it is no server that \
                     lockproof restarts",
            ),
            (OnServer::Pause, None) => self.pause_server().await?,
            (OnServer::StopAndStart(how), None) => {
                Outcome::fired(self.stop_and_start(aim, how).await?)
            }
        };
        let outcome = self.note_fault(aim, outcome);
        self.look_again().await?;
        let names: Vec<PodName> = self.members.keys().cloned().collect();
        for name in names {
            self.quiet(&name).await?;
        }
        Ok(outcome)
    }

    async fn stop_and_start(&mut self, aim: &Aim<'_>, how: Shutdown) -> Result<String, RunError> {
        let stopped = self.take_away(aim, how).await?;
        let started = self.bring_back().await?;
        // After a promotion the pods go to the new primary, whatever becomes of the old one.
        self.route(self.world.watchers.current())?;
        Ok(format!("{stopped}; {started}"))
    }

    /// Takes the first primary away: nobody gets in any more, and every session of a pod there has
    /// ended when this returns. Each is noted as hit by the fault.
    pub(super) async fn take_away(
        &mut self,
        aim: &Aim<'_>,
        how: Shutdown,
    ) -> Result<String, RunError> {
        self.absorb_all().await?;
        self.await_gone().await?;
        let now = self.now();
        let starting: Vec<ConnectionName> = self
            .members
            .values()
            .flat_map(|member| member.links.values())
            .filter(|link| link.is_starting(now))
            .map(|link| link.name.clone())
            .collect();
        self.close_the_way();
        // Who is just logging in is a session of the server's, too; one that comes later waits.
        self.await_links(&starting, Awaited::LogIn, |link, now| {
            !link.is_starting(now)
        })
        .await?;
        let hit = self.connected_to(FIRST);
        // All sessions end at once, and in which order their pods hear of it must not be chance.
        let shapes: Vec<_> = hit.iter().map(|name| self.keep_back(name)).collect();
        self.world.watchers.lose(FIRST);
        self.world.outage = Some(Outage::Dead);
        self.paused_backends.clear();
        let evidence = self.world.place.server.stop_by(how).await?;
        // Before what comes of it is taken in and written down.
        for connection in &hit {
            let outcome = Outcome::fired(format!("its session ended with the server: {evidence}"));
            self.note_fault(&aim.at(connection.clone()), outcome);
        }
        self.note_backends_hit(aim, FIRST, &evidence);
        self.await_links(&hit, Awaited::EndByServer, |link, _| link.server_closed)
            .await?;
        self.await_backends(|_, server| server == FIRST).await?;
        for (connection, shape) in hit.iter().zip(shapes) {
            self.let_pass(connection, shape);
            let one = std::slice::from_ref(connection);
            self.await_links(one, Awaited::EndAfterServer, |_, _| shape.cut)
                .await?;
            self.quiet(&connection.pod).await?;
        }
        Ok(evidence)
    }

    /// The live connections of pods that lead to this server.
    fn connected_to(&self, server: usize) -> Vec<ConnectionName> {
        self.members
            .values()
            .flat_map(|member| member.links.values())
            .filter(|link| link.server == server && link.started)
            .filter(|link| !link.gone && !link.server_closed)
            // A pooler keeps a client that has no backend at the moment.
            .filter(|link| link.pid.is_some() || self.world.pooled.is_none())
            .map(|link| link.name.clone())
            .collect()
    }

    /// Waits until each of these connections has ended, or is as far as `enough` asks.
    async fn await_links(
        &mut self,
        names: &[ConnectionName],
        what: Awaited,
        enough: impl Fn(&Link, Duration) -> bool,
    ) -> Result<(), RunError> {
        let begun = Instant::now();
        loop {
            let now = self.now();
            let open = names.iter().any(|name| {
                self.link(name)
                    .is_some_and(|link| !link.finished && !enough(link, now))
            });
            if !open {
                return Ok(());
            }
            if begun.elapsed() > FAULT_LIMIT {
                self.note_silence(what);
                return Ok(());
            }
            self.next_event(Duration::from_millis(2)).await?;
        }
    }

    /// From now on nobody gets in.
    pub(super) fn close_the_way(&mut self) {
        self.no_way_in = true;
        if let Some(pooled) = &self.world.pooled {
            return pooled.route(None);
        }
        for body in self.world.bodies.values() {
            body.proxy.route(None);
        }
    }

    /// Keeps what the server says from a pod; what its link was like before.
    fn keep_back(&mut self, name: &ConnectionName) -> Shape {
        let Some(proxy) = self.world.proxy(&name.pod) else {
            return Shape::default();
        };
        let before = proxy.shape_of(name);
        proxy.shape(Some(name), |shape| shape.cut = true);
        before
    }

    fn let_pass(&mut self, name: &ConnectionName, before: Shape) {
        if let Some(proxy) = self.world.proxy(&name.pod) {
            proxy.shape(Some(name), |shape| *shape = before);
        }
    }

    /// Starts the first primary again, and looks at it again.
    pub(super) async fn bring_back(&mut self) -> Result<String, RunError> {
        let started = self.world.place.server.start_again().await?;
        let client = connect(self.world.place.server, &self.world.database.name).await?;
        self.world.watchers.regain(FIRST, client).await?;
        self.world.outage = None;
        Ok(started)
    }

    /// Sends the pods' new connections to this server.
    pub(super) fn route(&mut self, server: usize) -> Result<(), RunError> {
        let upstream = self.world.upstream(server);
        self.no_way_in = false;
        if let Some(pooled) = &self.world.pooled {
            pooled.route(Some(upstream));
            return Ok(());
        }
        for body in self.world.bodies.values() {
            body.proxy.route(Some(upstream.clone()));
        }
        Ok(())
    }

    async fn pause_server(&mut self) -> Result<Outcome, RunError> {
        self.look_again().await?;
        let evidence = self.world.place.server.pause().await?;
        self.world.outage = Some(Outage::Paused);
        Ok(Outcome::fired(evidence))
    }

    async fn unpause_server(&mut self) -> Result<String, RunError> {
        let evidence = self.world.place.server.unpause().await?;
        self.world.outage = None;
        Ok(evidence)
    }

    /// Gives the servers back as they were: the first primary runs, and there is no standby.
    pub(super) async fn restore(&mut self) -> Result<(), RunError> {
        if self.world.outage == Some(Outage::Paused) {
            self.unpause_server().await?;
        }
        for pid in std::mem::take(&mut self.paused_backends) {
            // One that has gone meanwhile needs nothing.
            let _ = self.world.place.server.resume_backend(pid).await;
        }
        if self.world.outage == Some(Outage::Dead) {
            self.world.place.server.start_again().await?;
            self.world.outage = None;
        }
        if let Some(standby) = self.world.standby.take() {
            standby.remove().await?;
        }
        Ok(())
    }
}
