//! Pods that wait for a held one where no lock of the server shows it: they repeat a request, or rest in
//! a file's lock, a pipe, a timer, or for a notification.
//!
//! Owns when that counts as a wait, how long a turn goes on in it, and that the held pods are let go as
//! soon as one waits, if the plan says so. What a wait excuses is not its affair.

use std::time::Duration;

use super::books::{Link, OpenWait, Rest, Waiting};
use super::machine::Conductor;
use super::orders::LetGo;
use super::repeats::Asked;
use super::seen::Quiet;
use super::world::World;
use crate::history::{Event, WaitsFor};
use crate::name::{PodName, StepId};

/// A pod that rests and has a timer is waited for this long, and three times as long as the clean run was
/// ever silent, if that is more.
const PATIENCE: Duration = Duration::from_secs(12);
/// The same for one that does not come to rest.
const PATIENCE_WITH_THE_RESTLESS: Duration = Duration::from_secs(30);
/// A rest with a timer is a wait only if it lasts so much longer than twice the longest of the clean run.
const NO_PAUSE: Duration = Duration::from_millis(100);

impl<W: World> Conductor<W> {
    /// Keeps what a step asked and was answered. A pod that goes round without effect polls (a try-lock,
    /// perhaps in a transaction of its own each time).
    pub(crate) fn count_repeat(&mut self, name: &PodName, id: StepId) {
        let released = self.released;
        let Some(step) = self.steps.get(&id).filter(|step| !step.request.prepares) else {
            return;
        };
        let answer = step.answer.as_ref();
        let asked = answer.and_then(|answer| Asked::of(&step.request, answer));
        let normal = &step.request.normal;
        let listens = normal.iter().any(|one| one.starts_with("listen "));
        let deaf = normal.iter().any(|one| one == "unlisten *");
        let Some(member) = self.members.get_mut(name) else {
            return;
        };
        member.listens = (member.listens || listens) && !deaf;
        member.repeats.push(asked, released);
        let silence = self.orders.waits.silence.as_ref();
        let repeats = member.repeats.repeated();
        if repeats
            .is_some_and(|normal| silence.is_some_and(|known| !known.repeats.contains(normal)))
        {
            self.note_wait(name, WaitsFor::RepeatedRequest);
        } else if repeats.is_none() && !member.repeats.ends_formally() {
            member.wait = None;
        }
    }

    /// Whether the pod makes way: it repeats itself, and another is under way that could change what it
    /// sees. Where no other is, as in clean and serial runs, a pod runs to its exit whatever it
    /// repeats. (After a fault the pod may wait for what the schedule's end undoes.)
    pub(crate) fn yields(&mut self, name: &PodName) -> bool {
        let faults = self.orders.faults;
        let others = self
            .members
            .values()
            .any(|member| member.name != *name && !member.ended && (faults || member.started));
        let Some(member) = self.members.get_mut(name) else {
            return false;
        };
        if others && member.repeats.is_polling() {
            member.repeats.clear();
            return true;
        }
        false
    }

    /// One look at a pod that has said nothing since its turn began. Its turn is over if only another pod
    /// can wake it, or if it has been waited for long enough.
    pub(crate) async fn rests(&mut self, name: &PodName, turn: Duration) -> Result<Rest, W::Error> {
        let Some(silence) = &self.orders.waits.silence else {
            return Ok(Rest::Lasts);
        };
        let longest = silence.longest;
        if self.held_beside(name).is_empty() || self.is_kept_back(name) {
            return Ok(Rest::Lasts);
        }
        let Some(member) = self.members.get(name) else {
            return Ok(Rest::Lasts);
        };
        let mut open = member.links.values().filter(|link| link.is_open());
        if open
            .clone()
            .any(|link| link.held.is_some() || link.running.is_some())
        {
            return Ok(Rest::Heard);
        }
        if open.any(|link| !link.started) {
            // The server has still to let it in.
            return Ok(Rest::Lasts);
        }
        let answered = member.links.values().filter_map(|link| link.answered_at);
        let silent = self.now() - answered.max().map_or(turn, |at| at.max(turn));
        let aim = self.orders.waits.let_go.as_ref();
        let aimed = aim.is_some_and(|aim| aim.pod == *name && aim.steps <= member.steps);
        if !member.started {
            return Ok(Rest::Lasts);
        }
        let listens = member.listens;
        let seen = self.world.settle(std::slice::from_ref(name)).await;
        let what = self.world.waits_for(name);
        let has_ended = !self.world.is_running(name);
        let what = match what {
            WaitsFor::Outside if listens => WaitsFor::Notification,
            what => what,
        };
        if self.absorb_all().await? || seen.quiet == Quiet::Spoke {
            return Ok(Rest::Heard);
        }
        if has_ended {
            // It waits for nothing more: that it has ended is about to be heard.
            return Ok(Rest::Lasts);
        }
        let (is_wait, is_over) = match seen.quiet {
            Quiet::Spoke => (false, false),
            Quiet::Settled => (true, true),
            Quiet::Assumed => (
                aimed || silent > longest * 2 + NO_PAUSE,
                silent > PATIENCE.max(longest * 3),
            ),
            Quiet::Restless => {
                let over = silent > PATIENCE_WITH_THE_RESTLESS.max(longest * 3);
                (over, over)
            }
        };
        if is_wait || is_over {
            self.note_wait(name, what);
        }
        Ok(match is_over || self.is_to_let_go() {
            true => Rest::Over,
            false => Rest::Lasts,
        })
    }

    /// The other pods that have a step at the gate.
    fn held_beside(&self, name: &PodName) -> Vec<PodName> {
        let others = self.members.values().filter(|one| one.name != *name);
        others
            .filter(|one| !one.ended && one.links.values().any(|link| self.is_kept(link)))
            .map(|one| one.name.clone())
            .collect()
    }

    /// Whether lockproof holds a step of this connection, at the gate or in its middle.
    fn is_kept(&self, link: &Link) -> bool {
        let stands = |id| {
            let step = self.steps.get(&id);
            step.is_some_and(|step| step.waiting == Some(Waiting::Gate))
        };
        link.held.is_some() || link.running.is_some_and(stands)
    }

    /// Writes down that a pod waits while others are held, once for each wait and kind.
    fn note_wait(&mut self, name: &PodName, what: WaitsFor) {
        let held = self.held_beside(name);
        let Some(member) = self.members.get_mut(name).filter(|_| !held.is_empty()) else {
            return;
        };
        let known = member.wait.take();
        let begun = known.as_ref().map_or(member.steps, |open| open.steps);
        let same = known.is_some_and(|open| open.what == what);
        member.wait = Some(OpenWait {
            steps: begun,
            what,
            held: held.clone(),
        });
        let at_the_aim =
            |aim: &LetGo| aim.pod == *name && (begun..=member.steps).contains(&aim.steps);
        if self.orders.waits.let_go.as_ref().is_some_and(at_the_aim) {
            self.lets_go.get_or_insert_with(|| name.clone());
        }
        if !same {
            self.note(Event::PodWaits {
                pod: name.clone(),
                waits_for: what,
                held,
                steps: begun,
            });
        }
    }

    /// Whether a pod has come to the wait at which the others are let go, and its turn goes on.
    fn is_to_let_go(&self) -> bool {
        self.lets_go.is_some() && !self.let_go_begun
    }

    /// The same, once: its turn ends with that.
    pub(crate) fn takes_let_go(&mut self) -> bool {
        let due = self.is_to_let_go();
        self.let_go_begun |= due;
        due
    }

    /// A step of this pod has been let go: who waited for it does so no more.
    pub(crate) fn end_waits_for(&mut self, name: &PodName) {
        for member in self.members.values_mut() {
            if member
                .wait
                .as_ref()
                .is_some_and(|wait| wait.held.contains(name))
            {
                member.wait = None;
            }
        }
    }

    /// Lets everybody but the pod that waits run to their ends, then that; what is left of the schedule is
    /// not done any more. For a run that has come to the wait which it was made for.
    pub(crate) async fn let_all_go(&mut self, waiter: &PodName) -> Result<(), W::Error> {
        let mut index = self.turns;
        let names: Vec<PodName> = self.members.keys().cloned().collect();
        for name in names.iter().filter(|name| *name != waiter) {
            let done = |run: &Self| run.members.get(name).is_none_or(|one| one.ended);
            if !done(self) && !self.limit_hit {
                self.added_turn(index, name).await?;
                index += 1;
            }
        }
        self.run_out(index).await
    }
}
