//! Faults of every session of a pod.
//!
//! Owns which sessions those are, and that all are hit before the pod can do anything about it.

use std::time::{Duration, Instant};

use super::conductor::Conductor;
use super::error::RunError;
use super::faulting::{Aim, FAULT_LIMIT, Outcome};
use crate::name::PodName;
use crate::schedule::FaultKind;

impl Conductor<'_> {
    /// Does it to every session of the pod: first to all, so that the pod cannot do anything about
    /// the rest, then each is waited for.
    pub(super) async fn hit_every(
        &mut self,
        aim: &Aim<'_>,
        name: &PodName,
    ) -> Result<(), RunError> {
        self.let_in(name).await?;
        let connections = self.connections_of(name);
        if connections.is_empty() {
            let why = format!("pod {name} had no session left");
            self.note_fault(aim, &Outcome::missed(why));
        }
        match aim.fault.kind {
            FaultKind::Reset | FaultKind::Drop => {
                for connection in &connections {
                    self.cut(&aim.at(connection.clone()), connection);
                }
                for connection in &connections {
                    self.await_closed(connection).await?;
                }
            }
            FaultKind::TerminateBackend => self.terminate_backends(aim, &connections).await?,
            _ => {
                for connection in connections {
                    Box::pin(self.hit_one(&aim.at(connection), name)).await?;
                }
            }
        }
        Ok(())
    }

    /// Waits until the server has let in whom the pod has just connected: before that it is no
    /// session, and what the server says of it could not be told from a stranger's.
    async fn let_in(&mut self, name: &PodName) -> Result<(), RunError> {
        let until = Instant::now() + FAULT_LIMIT;
        let starting = |one: &Self| {
            one.members.get(name).is_some_and(|member| {
                let mut links = member.links.values();
                links.any(|link| link.is_starting() && !member.is_cut_off(link))
            })
        };
        while starting(self) && Instant::now() < until {
            self.next_event(Duration::from_millis(2)).await?;
        }
        Ok(())
    }
}
