//! The course of a run: the schedule's turns and faults, then every pod to its end.
//!
//! Owns the order after the schedule: by the names of the pods, again and again as long as that
//! brings anything about.

use std::time::{Duration, Instant};

use super::conductor::Conductor;
use super::error::RunError;
use crate::history::{Event, PodName};
use crate::schedule::{Move, Stop, Turn};

impl Conductor<'_> {
    /// The schedule's moves, then every pod to its end.
    pub(super) async fn follow(&mut self, moves: &[Move]) -> Result<(), RunError> {
        for (index, one) in moves.iter().enumerate() {
            if self.limit_hit {
                return Ok(());
            }
            self.turns += 1;
            self.note(Event::TurnStarted {
                index,
                turn: one.to_string(),
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
            }
        }
        self.run_out(moves.len()).await
    }

    /// Turns to the end for all pods, in the order of their names, again and again as long as
    /// that brings anything about.
    pub(super) async fn run_out(&mut self, mut index: usize) -> Result<(), RunError> {
        let names: Vec<PodName> = self.members.keys().cloned().collect();
        loop {
            let before = (self.released, self.endings);
            let mut all_ended = true;
            for name in &names {
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
            if all_ended || self.limit_hit {
                return Ok(());
            }
            if before == (self.released, self.endings) && !self.anything_moves().await? {
                self.hit_limit("a pod to go on");
                return Ok(());
            }
        }
    }

    pub(super) async fn added_turn(
        &mut self,
        index: usize,
        name: &PodName,
    ) -> Result<(), RunError> {
        let turn = Turn {
            pod: name.clone(),
            until: Stop::End,
        };
        self.turns += 1;
        self.note(Event::TurnStarted {
            index,
            turn: turn.to_string(),
            scheduled: false,
        });
        let why = self.turn(index, &turn).await?;
        self.note(Event::TurnEnded { index, why });
        Ok(())
    }

    /// Whether anything still comes from any pod, waited for until the run's time is up.
    pub(super) async fn anything_moves(&mut self) -> Result<bool, RunError> {
        let endings = self.endings;
        while Instant::now() < self.deadline {
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
