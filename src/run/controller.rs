//! Doing what the CronJob's controller decides.
//!
//! Owns the two ways between the controller and the pods: its decisions become pods, signals and
//! lines of the history, and the ends of pods are told to it. What it decides is `cronjob`'s. Its
//! clock stands still while pods run: only moves of the schedule let time pass, so that a pod in its
//! grace writes on exactly as far as its turns let it.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use super::conductor::Conductor;
use super::error::RunError;
use super::faulting::{Aim, FAULT_LIMIT};
use super::killing::NO_HANDLER;
use super::outcome::Outcome;
use crate::cronjob::{Controller, CronJob, clock};
use crate::fault::Effect;
use crate::history::{Begun, Decided, Decision, DropReason, Event, why_not_there};
use crate::name::PodName;
use crate::pod::{PodError, Termination};
use crate::schedule::{Fault, FaultKind, Move, Point, SessionChoice};

/// How often a pod is looked at that has got SIGTERM.
const LOOK: Duration = Duration::from_millis(1);

/// The controller, and what it has been told.
pub(super) struct Launcher {
    pub controller: Controller,
    /// Pods whose end it knows.
    told: BTreeSet<PodName>,
    /// Whether what is done to a pod at the moment is its doing.
    pub acts: bool,
}

impl Launcher {
    pub fn new(spec: &CronJob) -> Self {
        Self {
            controller: Controller::new(spec.clone()),
            told: BTreeSet::new(),
            acts: false,
        }
    }
}

impl Conductor<'_> {
    /// Whether there is such a pod. (One that the schedule names and that is simply not in the run is
    /// an error of its own.)
    pub(super) fn is_there(&self, name: &PodName) -> bool {
        self.launcher.is_none() || self.members.contains_key(name)
    }

    /// Why a pod is not there.
    pub(super) fn why_not_there(&self, name: &PodName) -> String {
        why_not_there(self.writer.lines(), name)
    }

    /// The controller begins to watch the CronJob.
    pub(super) async fn watch(&mut self) -> Result<(), RunError> {
        let Some(launcher) = &mut self.launcher else {
            return Ok(());
        };
        let decisions = launcher.controller.take();
        self.carry_out(decisions).await
    }

    /// A move for the controller.
    pub(super) async fn move_controller(&mut self, one: &Move) -> Result<(), RunError> {
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
    async fn pass_until(&mut self, until: Duration) -> Result<(), RunError> {
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
    pub(super) async fn suspend(&mut self) -> Result<(), RunError> {
        let Some(launcher) = &mut self.launcher else {
            return Ok(());
        };
        let decisions = launcher.controller.suspend();
        self.carry_out(decisions).await
    }

    /// Lets time pass to whatever is due next of what was begun, with a line of its own in the
    /// history. Whether there was anything.
    pub(super) async fn let_time_pass(&mut self, index: usize) -> Result<bool, RunError> {
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
    pub(super) async fn tell_exits(&mut self) -> Result<(), RunError> {
        self.carry_out(Vec::new()).await
    }

    /// Writes decisions down and does them, with all that follows from the ends of pods.
    async fn carry_out(&mut self, decisions: Vec<Decision>) -> Result<(), RunError> {
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
                .filter(|member| member.pod.as_ref().is_some_and(|pod| !pod.is_running()))
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
    async fn do_one(&mut self, decision: &Decision) -> Result<Vec<Decision>, RunError> {
        let Some(name) = &decision.pod else {
            return Ok(Vec::new());
        };
        let started = self.members.get(name).is_some_and(|one| one.pod.is_some());
        match decision.decided {
            Decided::CreatePod => {
                let most = self.plan.pods;
                if (0..most).all(|index| PodName::of_index(index) != *name) {
                    return Err(RunError::TooManyPods {
                        most,
                        clock: decision.clock.clone(),
                        why: decision.why.clone(),
                    });
                }
                self.add_member(name.clone(), false).await?;
            }
            Decided::Terminate | Decided::Kill if !started => {
                self.members.remove(name);
                return Ok(match &mut self.launcher {
                    Some(launcher) => launcher.controller.removed(name),
                    None => Vec::new(),
                });
            }
            Decided::Terminate | Decided::Kill => {
                self.set_acting(true);
                let done = if decision.decided == Decided::Kill {
                    let fault = of_controller(FaultKind::Kill, name);
                    self.apply(&Aim::of(&fault)).await.map(drop)
                } else {
                    self.sigterm(name).await
                };
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
    pub(super) fn acting_at(&self) -> Option<String> {
        let launcher = self.launcher.as_ref().filter(|one| one.acts)?;
        Some(clock(launcher.controller.now()))
    }

    /// SIGTERM to the first process of a pod, and the wait until it has come to its effect. The grace
    /// is the controller's to count.
    async fn sigterm(&mut self, name: &PodName) -> Result<(), RunError> {
        let Some(launcher) = &self.launcher else {
            return Ok(());
        };
        let spec = launcher.controller.spec();
        let (pid1, grace) = (spec.pid1, spec.grace);
        let fault = of_controller(FaultKind::Terminate { grace, pid1 }, name);
        let aim = Aim::of(&fault);
        let pod = self.members.get(name).and_then(|one| one.pod.as_ref());
        match pod.map(|pod| pod.terminate(pid1)) {
            None => return Ok(()),
            Some(Ok(Termination::Sent)) => {
                self.note_fault(&aim, Outcome::fired("SIGTERM sent to the first process"));
            }
            Some(Ok(Termination::NoHandler)) => {
                // What has no effect explains nothing.
                self.note_fault(&aim, Outcome::fired(NO_HANDLER).with(Effect::default()));
                return Ok(());
            }
            Some(Err(error @ PodError::FirstProcessGone { .. })) => {
                self.note_fault(&aim, Outcome::missed(error.to_string()));
                return Ok(());
            }
            Some(Err(error)) => return Err(error.into()),
        }
        self.await_sigterm(name, FAULT_LIMIT).await?;
        if self.exits(name, Instant::now() + FAULT_LIMIT).await? {
            // With PID 1 the kernel ends all others of its container.
            if pid1 && self.kill_rest(name).await? {
                self.await_exit(name).await?;
            }
            self.forget_last_words(name, &DropReason::Fault(fault.kind.clone()))
                .await?;
        }
        Ok(())
    }

    /// Waits until a SIGTERM has ended the first process or has been taken by its handler.
    /// One that blocks the signal takes it never.
    pub(super) async fn await_sigterm(
        &mut self,
        name: &PodName,
        limit: Duration,
    ) -> Result<(), RunError> {
        let begun = Instant::now();
        loop {
            self.absorb_all().await?;
            let Some(member) = self.members.get(name) else {
                return Ok(());
            };
            let taken = member
                .pod
                .as_ref()
                // Asked in this order: one that dies in between has not taken it.
                .is_none_or(|pod| !pod.awaits_sigterm() && pod.first_lives());
            // One that is stopped takes it when it goes on. The end of one that has died is reported.
            if member.exited.is_some() || member.paused || taken {
                return Ok(());
            }
            if begun.elapsed() > limit {
                return Ok(());
            }
            self.next_event(LOOK).await?;
        }
    }
}

/// Something that the controller does to a pod.
fn of_controller(kind: FaultKind, name: &PodName) -> Fault {
    Fault::of_pod(kind, name.clone(), SessionChoice::Next, Point::Before)
}
