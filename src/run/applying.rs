//! Which fault is done by what: the one place where each kind of fault meets what applies it.
//!
//! Owns that choice, and which sessions a fault of a pod's sessions is done to. How each is done is the
//! affair of its target (`killing` and `pausing` for pods, `cutting` and `injecting` for sessions,
//! `shaping` for links, `outage` for the server). Each proves by the kernel's or the server's word that
//! the fault did fire, and says so in the [`Outcome`] that it returns.

use std::time::Duration;

use super::cutting::Cut;
use super::error::RunError;
use super::outage::OnServer;
use super::real::Run;
use super::shaping::LinkChange;
use crate::conductor::Outcome;
use crate::conductor::{Aim, FAULT_LIMIT};
use crate::name::PodName;
use crate::schedule::{FaultKind, FaultTarget, SessionChoice, ShutdownMode};
use crate::server::Shutdown;

impl Run<'_> {
    /// Does it, now; how it came out, which is in the history by then.
    pub(super) async fn apply_by_kind(&mut self, aim: &Aim<'_>) -> Result<Outcome, RunError> {
        let aims = self.aims(aim).await?;
        if aims.is_empty() {
            let pod = aim.fault.pod.as_ref().map(PodName::as_str);
            let why = format!("pod {} had no session left", pod.unwrap_or_default());
            return Ok(self.note_fault(aim, Outcome::absent(why)));
        }
        match (&aim.fault.kind, &aim.fault.pod) {
            (FaultKind::Kill, Some(pod)) => self.kill(aim, pod).await,
            (FaultKind::Terminate { pid1, .. }, Some(pod)) if self.acting_at().is_some() => {
                self.sigterm(aim, pod, *pid1).await
            }
            (FaultKind::Terminate { grace, pid1 }, Some(pod)) => {
                self.terminate(aim, pod, *grace, *pid1).await
            }
            (FaultKind::Pause, Some(pod)) => self.pause(aim, pod).await,
            (FaultKind::Resume, Some(pod)) => Ok(self.resume(aim, pod)),
            (FaultKind::Error { sqlstate }, Some(_)) => {
                self.each(&aims, async |run, aim| run.error(aim, sqlstate).await)
                    .await
            }
            (FaultKind::TerminateBackend, Some(_)) => self.terminate_backends(aim, &aims).await,
            (FaultKind::CancelBackend, Some(_)) => {
                self.each(&aims, async |run, aim| run.cancel_backend(aim).await)
                    .await
            }
            (FaultKind::Reset, Some(_)) => self.cut_all(&aims, Cut::Reset).await,
            (FaultKind::Drop, Some(_)) => self.cut_all(&aims, Cut::Close).await,
            (FaultKind::PauseBackend, Some(_)) => {
                self.each(&aims, async |run, aim| run.pause_backend(aim).await)
                    .await
            }
            (FaultKind::ResumeBackend, Some(_)) => {
                self.each(&aims, async |run, aim| run.resume_backend(aim).await)
                    .await
            }
            (FaultKind::Blackhole, Some(pod)) => self.shape(aim, pod, LinkChange::CutOff).await,
            (FaultKind::Delay { by }, Some(pod)) => {
                self.shape(aim, pod, LinkChange::Delay(*by)).await
            }
            (FaultKind::Throttle { bytes_per_second }, Some(pod)) => {
                let change = LinkChange::Throttle(*bytes_per_second);
                self.shape(aim, pod, change).await
            }
            (FaultKind::RefuseConnections, Some(pod)) => {
                self.shape(aim, pod, LinkChange::Refuse).await
            }
            (FaultKind::Heal, Some(pod)) => self.shape(aim, pod, LinkChange::Heal).await,
            (FaultKind::Restart { mode }, _) => {
                let how = match mode {
                    ShutdownMode::Fast => Shutdown::Fast,
                    ShutdownMode::Immediate => Shutdown::Immediate,
                };
                self.on_server(aim, OnServer::StopAndStart(how)).await
            }
            (FaultKind::Crash, _) => {
                let what = OnServer::StopAndStart(Shutdown::Crash);
                self.on_server(aim, what).await
            }
            (FaultKind::PauseServer, _) => self.on_server(aim, OnServer::Pause).await,
            (FaultKind::UnpauseServer, _) => self.on_server(aim, OnServer::Unpause).await,
            (FaultKind::Expire { by }, _) => self.expire(aim, *by).await,
            (FaultKind::Promote { old }, _) => self.on_server(aim, OnServer::Promote(*old)).await,
            (
                FaultKind::Kill
                | FaultKind::Terminate { .. }
                | FaultKind::Pause
                | FaultKind::Resume
                | FaultKind::Error { .. }
                | FaultKind::TerminateBackend
                | FaultKind::CancelBackend
                | FaultKind::Reset
                | FaultKind::Drop
                | FaultKind::PauseBackend
                | FaultKind::ResumeBackend
                | FaultKind::Blackhole
                | FaultKind::Delay { .. }
                | FaultKind::Throttle { .. }
                | FaultKind::RefuseConnections
                | FaultKind::Heal,
                None,
            ) => Ok(self.note_fault(aim, Outcome::missed("no pod is named"))),
        }
    }

    /// Does it to one session after the other.
    async fn each<'f>(
        &mut self,
        aims: &[Aim<'f>],
        mut one: impl AsyncFnMut(&mut Self, &Aim<'f>) -> Result<Outcome, RunError>,
    ) -> Result<Outcome, RunError> {
        let mut outcomes = Vec::with_capacity(aims.len());
        for aim in aims {
            outcomes.push(one(self, aim).await?);
        }
        Ok(Outcome::of_all(outcomes))
    }

    /// What a fault is done to: where every session of a pod is meant, each of them.
    async fn aims<'f>(&mut self, aim: &Aim<'f>) -> Result<Vec<Aim<'f>>, RunError> {
        match (&aim.fault.session, aim.fault.kind.target(), &aim.fault.pod) {
            (SessionChoice::Every, FaultTarget::Session, Some(pod)) => {
                self.let_in(pod).await?;
                let connections = self.connections_of(pod).into_iter();
                Ok(connections.map(|one| aim.at(one)).collect())
            }
            _ => Ok(vec![aim.clone()]),
        }
    }

    /// Waits until the server has let in whom the pod has just connected: before that it is no
    /// session, and what the server says of it could not be told from a stranger's.
    async fn let_in(&mut self, name: &PodName) -> Result<(), RunError> {
        let until = self.now() + FAULT_LIMIT;
        let starting = |one: &Self| {
            one.members.get(name).is_some_and(|member| {
                let mut links = member.links.values();
                links.any(|link| link.is_starting(one.now()) && !one.is_cut_off(link))
            })
        };
        while starting(self) && self.now() < until {
            self.next_event(Duration::from_millis(2)).await?;
        }
        Ok(())
    }
}
