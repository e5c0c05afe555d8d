//! The undoing of what the schedule has left done: at its end every pod must be able to come to its own.
//!
//! Owns which faults those are. How each is undone is the affair of whoever applies it.

use super::aim::Aim;
use super::books::Member;
use super::machine::Conductor;
use super::world::World;
use crate::name::PodName;
use crate::schedule::{Fault, FaultKind, Point, SessionChoice};

impl<W: World> Conductor<W> {
    /// Lets a server go on that is paused.
    pub(crate) async fn undo_outage(&mut self) -> Result<(), W::Error> {
        if !self.world.can_look() {
            let undo = Fault {
                kind: FaultKind::UnpauseServer,
                pod: None,
                session: SessionChoice::Next,
                point: Point::Before,
            };
            W::apply(self, &Aim::of(&undo)).await?;
        }
        Ok(())
    }

    /// Undoes every fault that would keep a pod from its end: paused pods and backends go on, links
    /// that are cut heal, the server goes on.
    pub(crate) async fn undo_all(&mut self) -> Result<(), W::Error> {
        self.undo_outage().await?;
        for pid in std::mem::take(&mut self.paused_backends) {
            self.world.resume_session(pid).await?;
        }
        let names: Vec<PodName> = self.members.keys().cloned().collect();
        for name in names {
            let undo =
                |kind| Fault::of_pod(kind, name.clone(), SessionChoice::Every, Point::Before);
            let Some(member) = self.members.get(&name) else {
                continue;
            };
            // A slow link stays slow: its pod comes to its end all the same.
            if self.is_kept_from_its_end(member) {
                let heal = undo(FaultKind::Heal);
                W::apply(self, &Aim::of(&heal)).await?;
            }
            if self.members.get(&name).is_some_and(|member| member.paused) {
                let resume = undo(FaultKind::Resume);
                W::apply(self, &Aim::of(&resume)).await?;
            }
        }
        Ok(())
    }

    /// Whether something is wrong with a pod's links that would keep it from its end.
    fn is_kept_from_its_end(&self, member: &Member) -> bool {
        let of_all = member.link_faults.iter();
        of_all.filter_map(FaultKind::undone_by).next().is_some()
            || member.links.values().any(|link| self.is_cut_off(link))
    }
}
