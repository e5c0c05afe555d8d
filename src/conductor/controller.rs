//! Doing what the CronJob's controller decides.
//!
//! Owns the two ways between the controller and the pods: its decisions become pods, signals and
//! lines of the history, and the ends of pods are told to it. What it decides is `cronjob`'s. Its
//! clock stands still while pods run: only moves of the schedule let time pass, so that a pod in its
//! grace writes on exactly as far as its turns let it.

use std::collections::VecDeque;
use std::time::Duration;

use super::aim::Aim;
use super::machine::Conductor;
use super::orders::Mistake;
use super::world::World;
use crate::cronjob::clock;
use crate::history::{Begun, Decided, Decision, Event, why_not_there};
use crate::name::PodName;
use crate::schedule::{Fault, FaultKind, Move, Point, SessionChoice};

impl<W: World> Conductor<W> {
    /// Whether there is such a pod. (One that the schedule names and that is simply not in the run is
    /// an error of its own.)
    pub(crate) fn is_there(&self, name: &PodName) -> bool {
        self.launcher.is_none() || self.members.contains_key(name)
    }

    /// Why a pod is not there.
    pub(crate) fn why_not_there(&self, name: &PodName) -> String {
        why_not_there(self.writer.lines(), name)
    }

    /// The controller begins to watch the CronJob.
    pub(crate) async fn watch(&mut self) -> Result<(), W::Error> {
        let Some(launcher) = &mut self.launcher else {
            return Ok(());
        };
        let decisions = launcher.controller.take();
        self.carry_out(decisions).await
    }

    /// A move for the controller.
    pub(crate) async fn move_controller(&mut self, one: &Move) -> Result<(), W::Error> {
        let Some(launcher) = &mut self.launcher else {
            return Ok(());
        };
        let controller = &mut launcher.controller;
        match one {
            Move::Tick => match controller.next_tick() {
                Some(time) => self.pass_until(time).await,
                None => Ok(()),
            },
            Move::Advance(time) => {
                let until = controller.now() + *time;
                self.pass_until(until).await
            }
            Move::Manual => {
                let decisions = controller.manual();
                self.carry_out(decisions).await
            }
            Move::Turn(_) | Move::Together(_) | Move::Fault(_) => Ok(()),
        }
    }

    /// Lets the controller's time pass up to this moment, from one thing that is due to the next.
    async fn pass_until(&mut self, until: Duration) -> Result<(), W::Error> {
        loop {
            let Some(launcher) = &mut self.launcher else {
                return Ok(());
            };
            let controller = &mut launcher.controller;
            let due = controller.due().filter(|due| *due <= until);
            let time = due.unwrap_or(until);
            let decisions = controller.go_to(time);
            self.carry_out(decisions).await?;
            if time >= until || self.limit_hit {
                return Ok(());
            }
        }
    }

    /// The schedule is over: no further Job is made.
    pub(crate) async fn suspend(&mut self) -> Result<(), W::Error> {
        let Some(launcher) = &mut self.launcher else {
            return Ok(());
        };
        let decisions = launcher.controller.suspend();
        self.carry_out(decisions).await
    }

    /// Lets time pass to whatever is due next of what was begun, with a line of its own in the
    /// history. Whether there was anything.
    pub(crate) async fn let_time_pass(&mut self, index: usize) -> Result<bool, W::Error> {
        let Some(time) = self.launcher.as_ref().and_then(|one| one.controller.due()) else {
            return Ok(false);
        };
        let now = self
            .launcher
            .as_ref()
            .map_or(Duration::ZERO, |one| one.controller.now());
        self.turns += 1;
        self.note(Event::MoveStarted {
            index,
            begun: Begun::Move(Move::Advance(time.saturating_sub(now))),
            scheduled: false,
        });
        self.pass_until(time).await?;
        Ok(true)
    }

    /// Tells the controller of pods that have ended, and does what it decides.
    pub(crate) async fn tell_exits(&mut self) -> Result<(), W::Error> {
        self.carry_out(Vec::new()).await
    }

    /// Writes decisions down and does them, with all that follows from the ends of pods.
    async fn carry_out(&mut self, decisions: Vec<Decision>) -> Result<(), W::Error> {
        if self.launcher.is_none() {
            return Ok(());
        }
        let mut open = VecDeque::from(decisions);
        loop {
            while let Some(decision) = open.pop_front() {
                self.note(Event::Controller(decision.clone()));
                open.extend(self.do_one(&decision).await?);
            }
            let ended: Vec<(PodName, bool)> = self
                .members
                .values()
                .filter(|member| !member.exit_unwritten)
                .filter(|member| member.started && !self.world.is_running(&member.name))
                .filter_map(|member| Some((member.name.clone(), member.exited?.0 == Some(0))))
                .collect();
            let Some(launcher) = &mut self.launcher else {
                return Ok(());
            };
            for (name, success) in ended {
                if launcher.told.insert(name.clone()) {
                    open.extend(launcher.controller.exited(&name, success));
                }
            }
            if open.is_empty() {
                return Ok(());
            }
        }
    }

    /// Does one decision; what the controller decides at once because of it.
    async fn do_one(&mut self, decision: &Decision) -> Result<Vec<Decision>, W::Error> {
        let Some(name) = &decision.pod else {
            return Ok(Vec::new());
        };
        let started = self.members.get(name).is_some_and(|one| one.started);
        match decision.decided {
            Decided::CreatePod => {
                let most = self.orders.most_pods;
                if (0..most).all(|index| PodName::of_index(index) != *name) {
                    return Err(W::Error::from(Mistake::TooManyPods {
                        most,
                        clock: decision.clock.clone(),
                        why: decision.why.clone(),
                    }));
                }
                self.add_member(name.clone(), false).await?;
            }
            Decided::Terminate | Decided::Kill if !started => {
                self.members.remove(name);
                self.world.dismiss(name);
                return Ok(match &mut self.launcher {
                    Some(launcher) => launcher.controller.removed(name),
                    None => Vec::new(),
                });
            }
            Decided::Terminate | Decided::Kill => {
                self.set_acting(true);
                let spec = self.launcher.as_ref().map(|one| one.controller.spec());
                let kind = match (decision.decided, spec) {
                    (Decided::Terminate, Some(spec)) => FaultKind::Terminate {
                        grace: spec.grace,
                        pid1: spec.pid1,
                    },
                    _ => FaultKind::Kill,
                };
                let fault = of_controller(kind, name);
                let done = W::apply(self, &Aim::of(&fault)).await;
                self.set_acting(false);
                done?;
                self.look_again().await?;
                self.quiet(name).await?;
            }
            _ => {}
        }
        Ok(Vec::new())
    }

    fn set_acting(&mut self, acts: bool) {
        if let Some(launcher) = &mut self.launcher {
            launcher.acts = acts;
        }
    }

    /// The controller's clock, if what is done to a pod at the moment is its doing.
    pub(crate) fn acting_at(&self) -> Option<String> {
        let launcher = self.launcher.as_ref().filter(|one| one.acts)?;
        Some(clock(launcher.controller.now()))
    }
}

/// Something that the controller does to a pod.
fn of_controller(kind: FaultKind, name: &PodName) -> Fault {
    Fault::of_pod(kind, name.clone(), SessionChoice::Next, Point::Before)
}
