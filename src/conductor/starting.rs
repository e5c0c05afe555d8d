//! A pod comes into the run, and starts.
//!
//! Owns what is written down of it. A pod is started at its first turn, not before.

use super::books::Member;
use super::machine::Conductor;
use super::orders::Mistake;
use super::world::World;
use crate::history::Event;
use crate::name::PodName;

impl<W: World> Conductor<W> {
    /// Opens a pod's way to the server.
    pub(crate) async fn add_member(
        &mut self,
        name: PodName,
        recovery: bool,
    ) -> Result<(), W::Error> {
        self.world.admit(&name).await?;
        self.members
            .insert(name.clone(), Member::new(name, recovery));
        Ok(())
    }

    /// Starts a pod, if it is not started yet.
    pub(crate) async fn start(&mut self, name: &PodName) -> Result<(), W::Error> {
        let Some(member) = self.members.get_mut(name) else {
            return Err(W::Error::from(Mistake::NoSuchPod(name.clone())));
        };
        if member.started {
            return Ok(());
        }
        let recovery = member.recovery;
        let started = self.world.start(name).await?;
        if let Some(member) = self.members.get_mut(name) {
            member.started = true;
        }
        self.note(Event::PodStarted {
            pod: name.clone(),
            pid: started.pid,
            recovery,
        });
        if started.shares_node {
            self.note(Event::NodeShared { pod: name.clone() });
        }
        Ok(())
    }
}
