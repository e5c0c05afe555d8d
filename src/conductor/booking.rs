//! The books of a step: its arrival, its release, and the order in which they are written down.
//!
//! Owns the one rule on that order: what a pod asks after an answer is written after the answer's
//! ending, however soon it comes.

use std::time::Duration;

use super::books::Step;
use super::machine::Conductor;
use super::world::World;
use crate::history::{Delivery, Event, Request};
use crate::name::{ConnectionName, PodName, StepId};

impl<W: World> Conductor<W> {
    pub(crate) fn held(&mut self, connection: ConnectionName, request: Request, at: Duration) {
        let id = StepId(self.next_step);
        self.next_step += 1;
        let look_up = request.look_up;
        // An answer to this pod that is still to be written down comes first: it asked after it.
        let unwritten = self.owes_ending(&connection.pod);
        if !unwritten {
            self.note(Event::StepHeld {
                step: id,
                connection: connection.clone(),
                request: request.clone(),
            });
        }
        let batch = self.batch;
        // Between two requests of a pod, whichever of its connections they are on: one connection may
        // rest for the whole of a job that goes on over others.
        let gap = self.members.get(&connection.pod).and_then(|member| {
            let mut links = member.links.values();
            let busy = links.any(|link| link.held.is_some() || link.running.is_some());
            let answered = member.links.values().filter_map(|link| link.answered_at);
            answered
                .max()
                .filter(|_| !busy)
                .map(|last| at.saturating_sub(last))
        });
        if let Some(link) = self.link(&connection) {
            link.held = Some(id);
        }
        if let Some(gap) = gap {
            let gap = u64::try_from(gap.as_micros()).unwrap_or(u64::MAX);
            self.max_gap_us = self.max_gap_us.max(gap);
        }
        self.steps.insert(
            id,
            Step {
                id,
                connection: connection.clone(),
                request,
                batch,
                held_at: at,
                released: None,
                delivery: Delivery::Forwarded,
                answer: None,
                answered: None,
                ended: false,
                unwritten,
                waiting: None,
                gate: None,
                lack: None,
            },
        );
        if let Some(member) = self.members.get_mut(&connection.pod) {
            let open = member
                .links
                .values()
                .filter(|link| link.held.is_some() || link.running.is_some())
                .count();
            member.max_open = member.max_open.max(u32::try_from(open).unwrap_or(u32::MAX));
        }
        if !unwritten && look_up {
            self.let_by(id, at);
        }
    }

    /// Lets a step go that is no one's turn: a look-up, or a Sync that commits nothing.
    pub(crate) fn let_by(&mut self, id: StepId, at: Duration) {
        let step = self.steps.get(&id);
        let Some(step) = step.filter(|step| self.orders.controlled && step.request.look_up) else {
            return;
        };
        if self.members.contains_key(&step.connection.pod) {
            self.world.release(&step.connection, Delivery::Forwarded);
            self.book_release(id, Delivery::Forwarded, at);
        }
    }

    /// Keeps the books of a step that has been given to the server.
    pub(crate) fn book_release(&mut self, id: StepId, delivery: Delivery, at: Duration) {
        self.write_arrival(id);
        let Some(step) = self.steps.get_mut(&id) else {
            return;
        };
        step.released = Some(at);
        step.delivery = delivery;
        let held = at.saturating_sub(step.held_at);
        let connection = step.connection.clone();
        let counts = !step.request.look_up && !step.request.prepares;
        let mut number = None;
        let mut session = None;
        let mut orphaned = false;
        if let Some(member) = self.members.get_mut(&connection.pod) {
            if counts {
                member.steps += 1;
                number = Some(member.steps);
                self.released += 1;
            }
            if let Some(link) = member.links.get_mut(&connection.index) {
                link.held = None;
                link.running = Some(id);
                session = link.session;
                orphaned = link.client_closed;
            }
        }
        if let Some(step) = self.steps.get(&id) {
            let world = &mut self.world;
            world.released(id, &connection, &step.request, session.is_some());
        }
        if orphaned {
            self.note(Event::Ghost {
                step: id,
                connection: connection.clone(),
                session,
            });
        }
        if number.is_some() {
            self.end_waits_for(&connection.pod);
        }
        self.note(Event::StepReleased {
            step: id,
            number,
            connection,
            session,
            delivery,
            held_us: u64::try_from(held.as_micros()).unwrap_or(u64::MAX),
        });
    }

    /// Whether a step of the pod has its answer and its ending is still to be written down.
    pub(crate) fn owes_ending(&self, pod: &PodName) -> bool {
        self.members.get(pod).is_some_and(|member| member.owed > 0)
    }

    /// Writes down a step's arrival, if that was put off.
    pub(crate) fn write_arrival(&mut self, id: StepId) {
        let Some(step) = self.steps.get_mut(&id) else {
            return;
        };
        if std::mem::take(&mut step.unwritten) {
            let event = Event::StepHeld {
                step: id,
                connection: step.connection.clone(),
                request: step.request.clone(),
            };
            self.note(event);
        }
    }
}
