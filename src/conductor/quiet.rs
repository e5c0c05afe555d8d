//! When a pod has nothing more to say for now, and when it has ended.
//!
//! Owns the order of questions: reports first, then what is on its way (start-up, look-ups, ends),
//! and only then a look at the pod's processes. No verdict depends on it; repeatability does.

use std::time::Duration;

use super::machine::Conductor;
use super::seen::{Need, Quiet};
use super::world::World;
use crate::history::Event;
use crate::name::{PodName, StepId};

/// How long the next request of a pod that has only one at once is waited for before a look.
const NEXT_REQUEST: Duration = Duration::from_millis(20);
/// How long something that is on its way is waited for before the books are looked at again.
const ON_ITS_WAY: Duration = Duration::from_millis(2);

impl<W: World> Conductor<W> {
    /// Waits until the pod is quiet: it holds all it wants to say to the gate, or it has ended, or
    /// its processes rest.
    pub(crate) async fn quiet(&mut self, name: &PodName) -> Result<(), W::Error> {
        let begun = self.now();
        loop {
            self.absorb_all().await?;
            if !self.world.can_look() {
                // Whether it has ended, the server will tell later.
                return Ok(());
            }
            self.await_gone().await?;
            // What went on meanwhile is written down before what comes of it.
            if self.look_due {
                self.look_again().await?;
            }
            if self.limit_hit || self.note_if_ended(name) || self.time_is_up() {
                return Ok(());
            }
            let Some(member) = self.members.get(name) else {
                return Ok(());
            };
            if !member.started {
                return Ok(());
            }
            let now = self.now();
            let on_its_way = member.links.values().any(|link| {
                // What is cut off does not come, however long it is waited for.
                (link.is_starting(now) && !self.no_way_in && !self.world.is_cut_off(&link.name))
                    || self.world.need(&link.name) == Need::Late
                    || link
                        .running
                        .and_then(|id| self.steps.get(&id))
                        .is_some_and(|step| {
                            step.request.look_up && step.waiting.is_none() && !step.ended
                        })
            });
            let dead = member.exited.is_some() && !self.world.is_running(name);
            if dead && self.is_kept_back(name) {
                // Its server side hears of its end when the link is healed.
                return Ok(());
            }
            if on_its_way || (dead && !self.only_waits(name)) {
                if dead && member.links.values().any(|link| link.held.is_some()) {
                    return Ok(());
                }
                if !self.next_event(ON_ITS_WAY).await? {
                    self.watch_look_ups().await?;
                }
                continue;
            }
            if dead || member.paused {
                return Ok(());
            }
            if self.orders.one_request {
                if self.has_a_request(name) {
                    self.settling.not_needed += 1;
                    return Ok(());
                }
                if self.next_event(NEXT_REQUEST).await? {
                    continue;
                }
            }
            if self.settled(name, begun).await? {
                return Ok(());
            }
        }
    }

    /// One look at the processes of all live pods. Whether they rest.
    pub(crate) async fn settled(
        &mut self,
        name: &PodName,
        begun: Duration,
    ) -> Result<bool, W::Error> {
        let pods: Vec<PodName> = self
            .members
            .values()
            .filter(|member| !member.ended && !member.paused && member.started)
            .map(|member| member.name.clone())
            .collect();
        let seen = self.world.settle(&pods).await;
        // The settler has read what was in the sockets before it called a pod quiet.
        let spoke = self.absorb_all().await?;
        for leaving in seen.leaves {
            if !self.settling.leaves.contains(&leaving) {
                self.settling.leaves.push(leaving);
            }
        }
        let over = self.now() - begun > self.orders.restless_after * 4 && self.has_a_request(name);
        self.settling.unseen += u64::from(seen.unseen);
        match seen.quiet {
            Quiet::Spoke if !over => return Ok(false),
            _ if spoke && !over => return Ok(false),
            Quiet::Settled => self.settling.settled += 1,
            Quiet::Assumed => self.settling.assumed += 1,
            Quiet::Restless | Quiet::Spoke => self.settling.restless += 1,
        }
        Ok(true)
    }

    /// One look: whether the pod of this step rests, so that what the server waits for can only
    /// come by another of its connections.
    pub(crate) async fn is_quiet(&mut self, id: StepId) -> Result<bool, W::Error> {
        match self.steps.get(&id).map(|step| step.connection.pod.clone()) {
            Some(name) => {
                let now = self.now();
                self.settled(&name, now).await
            }
            None => Ok(false),
        }
    }

    /// Whether the pod has a request at the gate, or one that waits on the server.
    fn has_a_request(&self, name: &PodName) -> bool {
        self.members.get(name).is_some_and(|member| {
            member
                .links
                .values()
                .any(|link| link.held.is_some() || self.is_waiting(link.running))
        })
    }

    /// Whether all that a dead pod has left on the server are statements that wait there.
    fn only_waits(&self, name: &PodName) -> bool {
        self.members.get(name).is_some_and(|member| {
            let mut left = member.links.values().filter(|link| !link.gone).peekable();
            left.peek().is_some()
                && left.all(|link| link.is_ghost() && self.is_waiting(link.running))
        })
    }

    pub(crate) fn is_waiting(&self, step: Option<StepId>) -> bool {
        step.and_then(|id| self.steps.get(&id))
            .is_some_and(|step| step.waiting.is_some())
    }

    /// Notes that a pod has ended, once its processes and the server side of its sessions are
    /// gone. Whether it has.
    pub(crate) fn note_if_ended(&mut self, name: &PodName) -> bool {
        let Some(member) = self.members.get_mut(name) else {
            return false;
        };
        if member.ended {
            return true;
        }
        let over = member.exited.is_some()
            && member.started
            && !self.world.is_running(name)
            && member.links.values().all(|link| link.gone);
        if over {
            member.ended = true;
            self.write_exit(name);
            self.note(Event::PodEnded { pod: name.clone() });
        }
        over
    }

    /// Holds the pod that is at the gate, where other circumstances are wanted: not in order to wait for
    /// anything, but so that time passes.
    pub(crate) async fn hold(&mut self) -> Result<(), W::Error> {
        let until = self.now() + self.orders.hold;
        while self.now() < until {
            let left = until - self.now();
            self.next_event(left).await?;
        }
        Ok(())
    }
}
