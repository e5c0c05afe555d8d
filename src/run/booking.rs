//! The books of a step: its arrival, its release, and the order in which they are written down.
//!
//! Owns the one rule on that order: what a pod asks after an answer is written after the answer's
//! ending, however soon it comes.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::conductor::Conductor;
use super::links::Step;
use crate::history::{Beside, Delivery, Digest, Event, Request};
use crate::name::{ConnectionName, PodName, StepId};
use crate::schedule::PREPARE;
use crate::sql;
use crate::wire::{Handover, StepKind, StepText};

/// What a step asks, as the history has it.
fn read_request(text: &StepText) -> Request {
    let mut request = Request {
        prepares: text.kind == StepKind::Preparation,
        ..Request::default()
    };
    let mut look_ups = 0;
    for statement in &text.statements {
        let parameters: Vec<sql::Parameter<'_>> = statement
            .parameters
            .iter()
            .map(|parameter| sql::Parameter {
                bytes: parameter.bytes.as_deref(),
                binary: parameter.binary,
                type_oid: parameter.type_oid,
            })
            .collect();
        let meaning = sql::meaning(&statement.sql, &parameters);
        look_ups += usize::from(meaning.look_up);
        let kept: String = statement.sql.chars().take(SQL_KEPT).collect();
        if statement.executes {
            // A simple Query may hold several statements, and a stop may name any of them.
            let mut single = sql::statements(&kept);
            if single.len() > 1 {
                request.sql.append(&mut single);
            } else {
                request.sql.push(kept);
            }
            request.normal.extend(meaning.normal);
            request.lock_calls.extend(meaning.lock_calls);
            request.writes.extend(meaning.writes);
            request.opaque |= meaning.opaque;
        } else {
            request.sql.push(format!("{PREPARE} {kept}"));
            request.normal.extend(
                meaning
                    .normal
                    .iter()
                    .map(|normal| format!("{PREPARE} {normal}")),
            );
        }
    }
    request.digest = Beside(Digest::of_all(text.statements.iter().map(|one| one.digest)));
    request.look_up = match text.kind {
        StepKind::Sync { commits } => !commits,
        _ => !text.statements.is_empty() && look_ups == text.statements.len(),
    };
    request
}

/// SQL is cut at this many characters in the history.
const SQL_KEPT: usize = 2_000;

impl Conductor<'_> {
    pub(super) fn held(
        &mut self,
        connection: ConnectionName,
        _number: u64,
        text: &StepText,
        at: Instant,
    ) {
        let id = StepId(self.next_step);
        self.next_step += 1;
        let request = read_request(text);
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
            answered.max().filter(|_| !busy).map(|last| at - last)
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
    pub(super) fn let_by(&mut self, id: StepId, at: Instant) {
        let step = self.steps.get(&id);
        let Some(step) = step.filter(|step| self.controlled && step.request.look_up) else {
            return;
        };
        if let Some(member) = self.members.get(&step.connection.pod) {
            // A connection that ended in between has told so, or will.
            let _ = member.proxy.release(&step.connection, Handover::Forward);
            self.book_release(id, Delivery::Forwarded, at);
        }
    }

    /// Keeps the books of a step that has been given to the server.
    pub(super) fn book_release(&mut self, id: StepId, delivery: Delivery, at: Instant) {
        self.write_arrival(id);
        let wall = self.wall(at);
        let Some(step) = self.steps.get_mut(&id) else {
            return;
        };
        step.released = Some(wall);
        step.delivery = delivery;
        let held = at.saturating_duration_since(step.held_at);
        let connection = step.connection.clone();
        let counts = !step.request.look_up && !step.request.prepares;
        self.watchers.look_for(&step.request.lock_calls);
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
                orphaned = link.client_closed.is_some();
            }
        }
        if let (Some(pooled), Some(_)) = (&mut self.pooled, session) {
            pooled.goes_on(&connection, id);
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
    pub(super) fn owes_ending(&self, pod: &PodName) -> bool {
        self.members.get(pod).is_some_and(|member| member.owed > 0)
    }

    /// Writes down a step's arrival, if that was put off.
    pub(super) fn write_arrival(&mut self, id: StepId) {
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

    /// The time of day at this instant, by one clock for the whole run.
    pub(super) fn wall(&self, at: Instant) -> SystemTime {
        self.begun_wall + at.saturating_duration_since(self.begun)
    }

    /// The instant of this time of day, in microseconds since 1970, by the same clock.
    pub(super) fn instant(&self, wall: i64) -> Instant {
        let since = wall.saturating_sub(wall_us(self.begun_wall));
        self.begun + Duration::from_micros(u64::try_from(since).unwrap_or(0))
    }
}

/// Microseconds since 1970.
pub(super) fn wall_us(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_micros()).ok())
        .unwrap_or(0)
}
