//! Driving simulated pods along a schedule.
//!
//! Owns turns, stops, faults and priorities; what a step does is the model's.

use std::collections::BTreeMap;

use super::{Simulator, index_of};
use crate::history::{Begun, Event, TurnEnd};
use crate::name::{PodName, StepId};
use crate::schedule::{Fault, FaultKind, Move, Point, Stop, Turn};

impl Simulator {
    fn makes_way(&mut self, pod: usize) -> bool {
        let under_way = |one: usize| self.pods[one].started && !self.pods[one].ended;
        let others = (0..self.pods.len()).any(|one| one != pod && under_way(one));
        let recent = &self.pods[pod].recent;
        let polling = (1..=4).any(|period| {
            recent.len() >= 3 * period && {
                let last = &recent[recent.len() - 3 * period..];
                last.iter()
                    .zip(&last[period..])
                    .all(|(one, two)| one == two)
            }
        });
        if others && polling {
            self.pods[pod].recent.clear();
        }
        others && polling
    }

    pub(super) fn follow(&mut self, moves: &[Move]) {
        for (index, one) in moves.iter().enumerate() {
            if self.stopped() {
                return;
            }
            self.move_started(index, Begun::Move(one.clone()), true);
            match one {
                Move::Turn(turn) => self.noted_turn(index, turn),
                Move::Together(pods) => {
                    let pods: Vec<usize> = pods.iter().map(index_of).collect();
                    pods.iter().for_each(|pod| self.start(*pod));
                    let ready: Vec<usize> = pods
                        .into_iter()
                        .filter(|pod| self.pods[*pod].held.is_some())
                        .collect();
                    let steps: Vec<(usize, StepId)> =
                        ready.iter().map(|pod| (*pod, self.release(*pod))).collect();
                    // The one that was released last is the fastest.
                    for (pod, step) in steps.into_iter().rev() {
                        self.perform(pod, step);
                    }
                }
                Move::Fault(fault) => self.fault(fault),
                // No strategy has a CronJob.
                Move::Tick | Move::Advance(_) | Move::Manual => {}
            }
        }
        self.run_out(moves.len());
    }

    fn move_started(&mut self, index: usize, begun: Begun, scheduled: bool) {
        self.note(Event::MoveStarted {
            index,
            begun,
            scheduled,
        });
    }

    fn noted_turn(&mut self, index: usize, turn: &Turn) {
        let why = self.turn(turn);
        self.note(Event::TurnEnded { index, why });
    }

    fn run_out(&mut self, mut index: usize) {
        loop {
            let before = self.order.len();
            for pod in 0..self.pods.len() {
                if self.stopped() {
                    return;
                }
                if !self.pods[pod].ended {
                    let turn = Turn {
                        pod: PodName::of_index(pod),
                        until: Stop::End,
                    };
                    self.move_started(index, Begun::Move(Move::Turn(turn.clone())), false);
                    self.noted_turn(index, &turn);
                    index += 1;
                }
            }
            if self.pods.iter().all(|pod| pod.ended) || self.order.len() == before {
                return;
            }
        }
    }

    fn turn(&mut self, turn: &Turn) -> TurnEnd {
        let pod = index_of(&turn.pod);
        self.start(pod);
        let (mut matches, mut counted, mut steps) = (0, None, 0);
        loop {
            if self.stopped() {
                return TurnEnd::Limit;
            }
            if self.pods[pod].ended {
                let reached = turn.until == Stop::End;
                return if reached {
                    TurnEnd::Reached
                } else {
                    TurnEnd::PodEnded
                };
            }
            let Some(id) = self.pods[pod].held else {
                let reached = turn.until == Stop::Blocked;
                return if reached {
                    TurnEnd::Reached
                } else {
                    TurnEnd::Blocked
                };
            };
            let text = vec![self.ops[&id].1.text()];
            if let Stop::Before { sql, nth } = &turn.until
                && counted != Some(id)
                && sql.matches(&text)
            {
                counted = Some(id);
                matches += 1;
                if matches == *nth {
                    return TurnEnd::Reached;
                }
            }
            if self.makes_way(pod) {
                return TurnEnd::Yielded;
            }
            if self.order.len() > 400 {
                self.limit = true;
                return TurnEnd::Limit;
            }
            self.step(pod);
            steps += 1;
            match &turn.until {
                Stop::After { sql, nth }
                    if self.pods[pod].waiting != Some(id) && sql.matches(&text) =>
                {
                    matches += 1;
                    if matches == *nth {
                        return TurnEnd::Reached;
                    }
                }
                Stop::Steps(wanted) if steps >= *wanted => return TurnEnd::Reached,
                _ => {}
            }
        }
    }

    /// Only kills are simulated; other faults do nothing.
    fn fault(&mut self, fault: &Fault) {
        let Some(pod) = fault.pod.as_ref().map(index_of) else {
            return;
        };
        self.start(pod);
        if fault.kind != FaultKind::Kill || self.pods[pod].ended {
            return;
        }
        if matches!(fault.point, Point::InDoubt | Point::After) {
            if self.pods[pod].held.is_none() {
                return;
            }
            self.step(pod);
        } else if fault.point == Point::Waiting && self.pods[pod].waiting.is_none() {
            return;
        }
        self.end(pod);
    }

    pub(super) fn prioritise(&mut self, order: &[PodName], changes: &[u64]) {
        let mut order: Vec<usize> = order.iter().map(index_of).collect();
        let mut fallen: BTreeMap<usize, usize> = BTreeMap::new();
        let mut pending: Vec<(u64, usize)> = changes.iter().copied().zip(0..).collect();
        order.iter().for_each(|pod| self.start(*pod));
        while !self.stopped() && self.order.len() <= 400 {
            let due = u64::try_from(self.order.len()).unwrap() + 1;
            // Who has fallen by the i-th change has the i-th lowest place.
            order.sort_by_key(|pod| fallen.get(pod).map(|change| changes.len() - change));
            let Some(pod) = order.iter().copied().find(|pod| self.can_go_on(*pod)) else {
                return;
            };
            if let Some(at) = pending.iter().position(|(step, _)| *step == due) {
                let (_, change) = pending.remove(at);
                fallen.insert(pod, change);
                continue;
            }
            let one = Turn {
                pod: PodName::of_index(pod),
                until: Stop::Steps(1),
            };
            self.move_started(self.order.len(), Begun::Move(Move::Turn(one)), true);
            self.step(pod);
        }
    }
}
