//! Runs whose next pod is chosen before each step, and steps that are let go together.
//!
//! Owns the choice by priorities (Burckhardt et al., "A Randomized Scheduler with Probabilistic
//! Guarantees of Finding Bugs", ASPLOS 2010) and the release of several pods' steps at the same
//! moment. Draws nothing: priorities and change points come with the schedule.
//!
//! Where it deviates from the paper: a pod that waits for a lock is left out of the choice until it
//! can go on (there, too), and one that only repeats itself makes way to all others, as at a
//! change point.

use std::collections::BTreeMap;

use super::machine::Conductor;
use super::world::World;
use crate::history::{Begun, Delivery, Event, TurnEnd};
use crate::name::{PodName, StepId};
use crate::schedule::{Stop, Turn};

impl<W: World> Conductor<W> {
    /// Runs all pods to their end; before each step the highest of those that can go on is chosen.
    /// `changes`: numbers of steps, from 1, before which the pod that is about to run falls below
    /// all that have not fallen; of those that have, the one of the i-th in this list has the i-th
    /// lowest place.
    pub(crate) async fn follow_priorities(
        &mut self,
        order: &[PodName],
        changes: &[u64],
    ) -> Result<(), W::Error> {
        let mut order = order.to_vec();
        let mut changes: BTreeMap<usize, u64> = changes.iter().copied().enumerate().collect();
        let mut fallen: BTreeMap<usize, PodName> = BTreeMap::new();
        let mut running: Option<(usize, PodName)> = None;
        loop {
            if self.limit_hit {
                return Ok(());
            }
            let Some(mut chosen) = self.highest(&order) else {
                if self.members.values().all(|member| member.ended)
                    || !self.anything_moves().await?
                {
                    self.end_choice(&mut running, TurnEnd::PodEnded);
                    return self.run_out(self.turns).await;
                }
                continue;
            };
            let due = |place: &u64| *place <= self.released + 1;
            while let Some(place) = changes.iter().find(|(_, at)| due(at)).map(|(i, _)| *i) {
                changes.remove(&place);
                fallen.retain(|_, name| *name != chosen);
                fallen.insert(place, chosen.clone());
                order.retain(|name| !fallen.values().any(|low| low == name));
                order.extend(fallen.values().rev().cloned());
                chosen = self.highest(&order).unwrap_or(chosen);
            }
            if running.as_ref().is_none_or(|(_, name)| *name != chosen) {
                self.end_choice(&mut running, TurnEnd::Reached);
                let index = self.turns;
                self.turns += 1;
                self.note(Event::MoveStarted {
                    index,
                    begun: Begun::First(chosen.clone()),
                    scheduled: false,
                });
                running = Some((index, chosen.clone()));
            }
            let one = Turn {
                pod: chosen.clone(),
                until: Stop::Steps(1),
            };
            let why = self.turn(self.turns, &one).await?;
            if let Some(waiter) = self.lets_go.clone() {
                self.end_choice(&mut running, why);
                return self.let_all_go(&waiter).await;
            }
            if matches!(why, TurnEnd::Yielded | TurnEnd::Waits) {
                order.retain(|name| *name != chosen);
                order.push(chosen);
            }
            if why != TurnEnd::Reached {
                self.end_choice(&mut running, why);
            }
        }
    }

    /// The highest pod that can go on: it has not ended, and does not only wait for locks.
    fn highest(&self, order: &[PodName]) -> Option<PodName> {
        order
            .iter()
            .find(|name| {
                self.members.get(*name).is_some_and(|member| !member.ended)
                    && (self.next_held(name).is_some() || !self.waits(name))
            })
            .cloned()
    }

    fn end_choice(&mut self, running: &mut Option<(usize, PodName)>, why: TurnEnd) {
        if let Some((index, _)) = running.take() {
            self.note(Event::TurnEnded { index, why });
        }
    }

    /// Lets the next held step of each of these pods go at the same moment, and waits for all of
    /// their endings.
    pub(crate) async fn together(&mut self, pods: &[PodName]) -> Result<TurnEnd, W::Error> {
        if !pods.iter().all(|name| self.is_there(name)) {
            return Ok(TurnEnd::NotThere);
        }
        let mut steps: Vec<StepId> = Vec::new();
        self.undo_outage().await?;
        for name in pods {
            self.start(name).await?;
            self.leave_gates(name).await?;
            self.pass_preparations(name).await?;
            steps.extend(self.next_held(name));
        }
        if self.limit_hit {
            return Ok(TurnEnd::Limit);
        }
        let connections: Vec<_> = steps
            .iter()
            .filter_map(|id| self.steps.get(id).map(|step| step.connection.clone()))
            .collect();
        // Nothing is awaited between the two.
        for connection in &connections {
            self.world.release(connection, Delivery::Forwarded);
        }
        self.batch += 1;
        let now = self.now();
        for id in &steps {
            self.book_release(*id, Delivery::Forwarded, now);
        }
        for id in &steps {
            self.await_ending(*id).await?;
        }
        self.look_again().await?;
        for name in pods {
            self.quiet(name).await?;
        }
        Ok(if steps.len() == pods.len() {
            TurnEnd::Reached
        } else if pods.iter().any(|name| self.waits(name)) {
            TurnEnd::Blocked
        } else {
            TurnEnd::PodEnded
        })
    }
}
