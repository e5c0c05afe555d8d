//! What comes of a fault: the ends of pods and connections that it brings about.
//!
//! Owns the waiting for them, and what becomes of the steps that a killed pod has at the gate: the server
//! never sees them.

use std::time::Duration;

use super::aim::FAULT_LIMIT;
use super::machine::Conductor;
use super::world::World;
use crate::history::{Awaited, DropReason};
use crate::name::{ConnectionName, PodName};

impl<W: World> Conductor<W> {
    /// Waits until a killed pod's exit and its connections' ends have been reported.
    pub(crate) async fn await_exit(&mut self, name: &PodName) -> Result<(), W::Error> {
        let begun = self.now();
        loop {
            let over = self.members.get(name).is_none_or(|member| {
                member.exited.is_some()
                    && member.links.values().all(|link| {
                        // On a link that is cut nobody hears of it.
                        link.client_closed || link.finished || self.world.is_cut_off(&link.name)
                    })
            });
            if over {
                break;
            }
            if self.now() - begun > FAULT_LIMIT {
                self.note_silence(Awaited::KilledEnd);
                break;
            }
            self.next_event(Duration::from_millis(2)).await?;
        }
        self.look_again().await
    }

    /// The server never sees what a killed pod has at the gate.
    pub(crate) fn forget_held(&mut self, name: &PodName, why: &DropReason) {
        let held: Vec<ConnectionName> = self
            .members
            .get(name)
            .map(|member| {
                member
                    .links
                    .values()
                    .filter(|link| link.held.is_some())
                    .map(|link| link.name.clone())
                    .collect()
            })
            .unwrap_or_default();
        for name in held {
            self.world.drop_held(&name);
            self.drop_held(&name, why);
        }
    }
    /// What a killed pod had sent an instant before its death has come to the gate since: the
    /// server does not see that either.
    pub(crate) async fn forget_last_words(
        &mut self,
        name: &PodName,
        why: &DropReason,
    ) -> Result<(), W::Error> {
        self.forget_held(name, why);
        self.look_again().await
    }

    /// Waits until a connection's end has been reported and its backend is gone (or goes on with
    /// its last statement as a ghost).
    pub(crate) async fn await_closed(&mut self, name: &ConnectionName) -> Result<(), W::Error> {
        let begun = self.now();
        loop {
            let closed = self.members.get(&name.pod).is_none_or(|member| {
                member.links.get(&name.index).is_none_or(|link| {
                    // On a link that is cut the pod does not hear of it.
                    let unheard = link.server_closed && self.world.is_cut_off(&link.name);
                    link.finished || link.gone || link.is_ghost() || unheard
                })
            });
            if closed {
                break;
            }
            if self.now() - begun > FAULT_LIMIT {
                self.note_silence(Awaited::CutConnection);
                break;
            }
            self.next_event(Duration::from_millis(2)).await?;
        }
        self.look_again().await
    }

    /// Notes that something did not come about in time. What goes on is not known then: the run ends.
    pub(crate) fn note_silence(&mut self, waited_for: Awaited) {
        let limit = u64::try_from(FAULT_LIMIT.as_micros()).unwrap_or(u64::MAX);
        self.note_limit(waited_for, limit);
    }
}
