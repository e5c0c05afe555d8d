//! Steps: what was asked, when it was given to the server, how it ended.
//!
//! Owns the life of a step. Knows nothing of locks held.

use std::collections::BTreeMap;

use crate::history::{Answer, Delivery, Ending, Event, Line, LockAction, Request};
use crate::name::{ConnectionName, PodName, Session, StepId};

/// The beginning of a statement, white space folded, at most this many characters.
const SQL_START: usize = 60;

/// The beginning of a statement, in quotes.
pub fn sql_start(sql: &str) -> String {
    let folded = sql.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut start: String = folded.chars().take(SQL_START).collect();
    if start.len() < folded.len() {
        start.push('…');
    }
    format!("\"{start}\"")
}

/// A point of the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    /// The line.
    pub seq: u64,
    /// Microseconds since the run began.
    pub at_us: u64,
}

impl Moment {
    /// Of this line.
    pub fn of(line: &Line) -> Self {
        Self {
            seq: line.seq,
            at_us: line.at_us,
        }
    }
}

/// One ending of a step; a blocked step has several.
#[derive(Debug)]
pub struct EndingFacts<'a> {
    /// When it was written down.
    pub at: Moment,
    /// In which way the step ended.
    pub ending: Ending,
    /// What the server had answered by then.
    pub answer: &'a Answer,
    /// Process ids of the sessions that block it, when it is blocked.
    pub blocked_by: &'a [i32],
}

/// One step.
#[derive(Debug)]
pub struct StepFacts<'a> {
    /// Its number in the history.
    pub id: StepId,
    /// On which connection it was sent.
    pub connection: &'a ConnectionName,
    /// What was asked.
    pub request: &'a Request,
    /// When it came to the gate.
    pub held: Moment,
    /// When the gate let it go.
    pub released: Option<Moment>,
    /// Which step of its pod it is, from 1; preparations have none.
    pub number: Option<u32>,
    /// The session that carried it out.
    pub session: Option<Session>,
    /// Whether it reached the server, and its answer the pod.
    pub delivery: Delivery,
    /// For how long the gate held it, in microseconds.
    pub held_us: u64,
    /// How it ended; a blocked step ends more than once.
    pub endings: Vec<EndingFacts<'a>>,
    /// When its client left before it was let go.
    pub dropped: Option<Moment>,
}

/// The steps that the server got, by the session that served them, in the order in which it got them.
#[must_use]
pub fn by_session<'f, 'a>(
    steps: &'f BTreeMap<StepId, StepFacts<'a>>,
) -> BTreeMap<Session, Vec<&'f StepFacts<'a>>> {
    let mut all: BTreeMap<Session, Vec<&StepFacts<'a>>> = BTreeMap::new();
    for step in steps.values().filter(|step| step.ran()) {
        if let Some(session) = step.session {
            all.entry(session).or_default().push(step);
        }
    }
    for own in all.values_mut() {
        own.sort_by_key(|step| step.released);
    }
    all
}

impl<'a> StepFacts<'a> {
    /// Whose step it is.
    pub fn pod(&self) -> &'a PodName {
        &self.connection.pod
    }

    /// Whether the server got what the pod asked.
    pub fn ran(&self) -> bool {
        self.released.is_some() && self.delivery != Delivery::Replaced
    }

    /// Its last word: done, or gone with its session.
    pub fn last(&self) -> Option<&EndingFacts<'a>> {
        self.endings
            .iter()
            .find(|one| matches!(one.ending, Ending::Done | Ending::Gone))
    }

    /// Whether no transaction of its session is open behind it: it left none, or its session has gone.
    pub fn leaves_none_open(&self) -> bool {
        self.last()
            .is_some_and(|end| end.ending == Ending::Gone || end.answer.transaction == Some('I'))
    }

    /// Whether this ending is its last word.
    pub fn is_last(&self, end: &EndingFacts<'_>) -> bool {
        self.last().is_some_and(|last| last.at == end.at)
    }

    /// What it came to at this line.
    pub fn ending_at(&self, seq: u64) -> Option<&EndingFacts<'a>> {
        let place = self.endings.partition_point(|one| one.at.seq < seq);
        self.endings.get(place).filter(|one| one.at.seq == seq)
    }

    /// When it was first seen to be blocked.
    pub fn blocked(&self) -> Option<Moment> {
        self.endings
            .iter()
            .find(|one| one.ending == Ending::Blocked)
            .map(|one| one.at)
    }

    /// When it was first seen to stand in its middle, at a gate of lockproof's.
    pub fn stood_inside(&self) -> Option<Moment> {
        self.endings
            .iter()
            .find(|one| one.ending == Ending::Inside)
            .map(|one| one.at)
    }

    /// Since when others have kept it from going on: a lock, or a gate in its middle.
    pub fn kept_waiting(&self) -> Option<Moment> {
        let both = [self.blocked(), self.stood_inside()];
        both.into_iter().flatten().min()
    }

    /// Whether it was with the server at this line, or ended after `since`.
    pub fn was_under_way(&self, since: u64, until: u64) -> bool {
        self.released.is_some_and(|at| at.seq <= until)
            && self.last().is_none_or(|end| end.at.seq > since)
    }

    /// Whether it may have given a session's lock back: an unlock that did not fail, or SQL that
    /// does not tell. (Of several statements one may have done it before another failed.)
    pub fn could_release(&self) -> bool {
        let failed = self
            .last()
            .is_some_and(|end| end.ending == Ending::Done && end.answer.error.is_some());
        if failed && self.request.sql.len() <= 1 && !self.request.opaque {
            return false;
        }
        let unlocks = self.request.lock_calls.iter().enumerate().any(|(i, call)| {
            let result = self
                .last()
                .and_then(|end| end.answer.lock_results.get(i).copied().flatten());
            matches!(call.action, LockAction::Unlock | LockAction::UnlockAll)
                && result != Some(false)
        });
        self.ran() && (unlocks || self.request.opaque || self.discards())
    }

    /// Whether it drops everything its session has (`DISCARD ALL`).
    pub fn discards(&self) -> bool {
        self.ran()
            && self
                .request
                .sql
                .iter()
                .any(|sql| sql.trim_start().to_lowercase().starts_with("discard all"))
    }

    /// `step 12 (a.3, "insert into invoices …")`.
    pub fn words(&self) -> String {
        let number = match self.number {
            Some(number) => format!("step {number}"),
            None if self.request.prepares => "a preparation".to_owned(),
            None => format!("step {}", self.id.0),
        };
        match self.request.sql.first() {
            Some(sql) => format!("{number} on {}, {}", self.connection, sql_start(sql)),
            None => format!("{number} on {}", self.connection),
        }
    }
}

/// The steps, while lines are read.
#[derive(Default)]
pub(super) struct Steps<'a> {
    steps: BTreeMap<StepId, StepFacts<'a>>,
    /// Those that were given to the server, in that order.
    released: Vec<StepId>,
}

impl<'a> Steps<'a> {
    pub(super) fn read(&mut self, event: &'a Event, at: Moment) {
        match event {
            Event::StepHeld {
                step,
                connection,
                request,
            } => {
                self.steps.entry(*step).or_insert_with(|| StepFacts {
                    id: *step,
                    connection,
                    request,
                    held: at,
                    released: None,
                    number: None,
                    session: None,
                    delivery: Delivery::Forwarded,
                    held_us: 0,
                    // Nearly every step ends once.
                    endings: Vec::with_capacity(1),
                    dropped: None,
                });
            }
            Event::StepReleased {
                step,
                number,
                session,
                delivery,
                held_us,
                ..
            } => {
                self.released.push(*step);
                if let Some(facts) = self.steps.get_mut(step) {
                    facts.released.get_or_insert(at);
                    facts.number = *number;
                    facts.session = *session;
                    facts.delivery = *delivery;
                    facts.held_us = *held_us;
                }
            }
            Event::StepEnded {
                step,
                ending,
                answer,
                blocked_by,
            } => {
                if let Some(facts) = self.steps.get_mut(step) {
                    facts.endings.push(EndingFacts {
                        at,
                        ending: *ending,
                        answer,
                        blocked_by,
                    });
                }
            }
            Event::StepDropped { step, .. } => {
                if let Some(facts) = self.steps.get_mut(step) {
                    facts.dropped.get_or_insert(at);
                }
            }
            _ => {}
        }
    }

    /// In free pacing a step that was not dropped has passed when it arrived.
    pub(super) fn finish(mut self, free: bool) -> (BTreeMap<StepId, StepFacts<'a>>, Vec<StepId>) {
        if free {
            for facts in self.steps.values_mut() {
                if facts.dropped.is_none() && facts.released.is_none() {
                    facts.released = Some(facts.held);
                }
            }
        }
        (self.steps, self.released)
    }
}
