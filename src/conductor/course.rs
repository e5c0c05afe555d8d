//! The course of a run: the schedule's turns and faults, then every pod to its end.
//!
//! Owns the order after the schedule: by the names of the pods, again and again as long as that
//! brings anything about.

use std::time::Duration;

use super::machine::Conductor;
use super::world::World;
use crate::history::{Awaited, Begun, Event};
use crate::name::PodName;
use crate::schedule::{Move, Stop, Turn};

impl<W: World> Conductor<W> {
    /// The schedule's moves, then every pod to its end.
    pub(crate) async fn follow(&mut self, moves: &[Move]) -> Result<(), W::Error> {
        self.watch().await?;
        for (index, one) in moves.iter().enumerate() {
            if self.limit_hit {
                return Ok(());
            }
            self.turns += 1;
            self.note(Event::MoveStarted {
                index,
                begun: Begun::Move(one.clone()),
                scheduled: true,
            });
            match one {
                Move::Turn(turn) => {
                    let why = self.turn(index, turn).await?;
                    self.note(Event::TurnEnded { index, why });
                }
                Move::Together(pods) => {
                    let why = self.together(pods).await?;
                    self.note(Event::TurnEnded { index, why });
                }
                Move::Fault(fault) => self.fault(fault).await?,
                Move::Tick | Move::Advance(_) | Move::Manual => self.move_controller(one).await?,
            }
            self.tell_exits().await?;
            if let Some(waiter) = self.lets_go.clone() {
                return self.let_all_go(&waiter).await;
            }
        }
        self.run_out(moves.len()).await
    }

    /// Turns to the end for all pods, in the order of their names, again and again as long as
    /// that brings anything about. What a fault has left done is undone before. Where a CronJob's
    /// controller has something left to do (a grace, a further try), time passes for it once nothing
    /// else goes on.
    pub(crate) async fn run_out(&mut self, mut index: usize) -> Result<(), W::Error> {
        self.undo_all().await?;
        self.suspend().await?;
        loop {
            let names: Vec<PodName> = self.members.keys().cloned().collect();
            let before = (self.released, self.endings);
            let mut all_ended = true;
            // Who waits for the others comes after them.
            let (last, first): (Vec<_>, Vec<_>) = names
                .iter()
                .partition(|name| self.lets_go.as_ref() == Some(*name));
            for name in first.into_iter().chain(last) {
                if self.limit_hit {
                    return Ok(());
                }
                if self.members.get(name).is_some_and(|member| member.ended) {
                    continue;
                }
                self.added_turn(index, name).await?;
                index += 1;
                all_ended &= self.members.get(name).is_some_and(|member| member.ended);
            }
            self.tell_exits().await?;
            if self.limit_hit {
                return Ok(());
            }
            let stuck = before == (self.released, self.endings);
            if (all_ended || stuck) && self.let_time_pass(index).await? {
                index += 1;
                continue;
            }
            if all_ended {
                return Ok(());
            }
            if stuck && !self.anything_moves().await? {
                self.hit_limit(Awaited::PodToGoOn);
                return Ok(());
            }
        }
    }

    pub(crate) async fn added_turn(
        &mut self,
        index: usize,
        name: &PodName,
    ) -> Result<(), W::Error> {
        let turn = Turn {
            pod: name.clone(),
            until: Stop::End,
        };
        self.turns += 1;
        self.note(Event::MoveStarted {
            index,
            begun: Begun::Move(Move::Turn(turn.clone())),
            scheduled: false,
        });
        let why = self.turn(index, &turn).await?;
        self.note(Event::TurnEnded { index, why });
        Ok(())
    }

    /// Whether anything still comes from any pod, waited for until the run's time is up.
    pub(crate) async fn anything_moves(&mut self) -> Result<bool, W::Error> {
        let endings = self.endings;
        while !self.time_is_up() {
            self.next_event(Duration::from_millis(20)).await?;
            self.look_again().await?;
            if self.endings > endings
                || self.members.values().any(|member| {
                    member.links.values().any(|link| link.held.is_some())
                        || (member.exited.is_some() && !member.ended)
                })
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
