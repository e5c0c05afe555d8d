//! What bears on locks, in the order of the history.
//!
//! Owns what a step's answer says of each lock call, and the list of all that takes or ends a lock.
//! Knows nothing of what is held: who reads these events works that out.

use std::collections::HashSet;

use super::kind::LetGo;
use crate::history::{Ending, Event, LockAction, LockCall};
use crate::name::{ConnectionName, Session, StepId};
use crate::timeline::{EndingFacts, Happening, Moment, Snapshot, StepFacts, Timeline};

/// Something that bears on locks.
#[derive(Debug, Clone, Copy)]
pub enum LedgerEvent<'t, 'a> {
    /// The server has a step: what it asks of locks may be done from now on, in free pacing since it
    /// arrived.
    Asked(&'t StepFacts<'a>),
    /// What came of a step's lock call, by its place among them. In the order of the text.
    Called(&'t StepFacts<'a>, usize, &'a LockCall, Said<'a>),
    /// A step let go of locks without naming them; `false`: it may have.
    LetGo(&'t StepFacts<'a>, LetGo, bool),
    /// In which state a step left the transaction: `I`, `T` or `E`.
    Transaction(&'t StepFacts<'a>, char),
    /// Nothing more comes of a step.
    Over(&'t StepFacts<'a>, &'t EndingFacts<'a>),
    /// What `pg_locks` showed.
    Shown(&'t Snapshot<'a>),
    /// A connection got a session.
    SessionStarted(&'a ConnectionName, Session),
    /// A session is gone.
    SessionGone(&'a ConnectionName, Session),
    /// A connection was closed.
    Closed(&'a ConnectionName),
}

/// What an answer says of one lock call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said<'a> {
    /// It was done.
    Done,
    /// It answered false: a try found the lock taken, an unlock found nothing to give back.
    Refused,
    /// Its step failed.
    Failed {
        /// The SQLSTATE.
        sqlstate: &'a str,
        /// What the call had answered before.
        result: Option<bool>,
        /// Whether the error undid it for certain: an aborted transaction does nothing that it is asked,
        /// and what a transaction was to hold goes with its statement.
        undone: bool,
    },
    /// Its session ended before its answer was complete.
    Cut {
        /// What it had answered before.
        result: Option<bool>,
    },
    /// Nothing: the text does not tell whether it was made.
    Nothing,
}

impl<'a> Said<'a> {
    fn of(step: &StepFacts<'a>, nth: usize, call: &LockCall, end: &EndingFacts<'a>) -> Self {
        let answer = end.answer;
        let result = answer.lock_results.get(nth).copied().flatten();
        // A call that waits answers nothing: that its statement was done says that it was.
        let waits = call.action == LockAction::Lock;
        let result = result.filter(|_| !waits);
        if end.ending == Ending::Gone {
            return Self::Cut { result };
        }
        if let Some(error) = &answer.error {
            let alone = step.request.sql.len() == 1 && step.request.lock_calls.len() == 1;
            return Self::Failed {
                sqlstate: &error.sqlstate,
                result,
                undone: alone && (error.sqlstate == "25P02" || call.xact),
            };
        }
        match result {
            Some(true) => Self::Done,
            Some(false) => Self::Refused,
            None if waits && call.whole && !answer.gave_nothing() => Self::Done,
            None => Self::Nothing,
        }
    }

    /// Whether the call was done, where its answer tells. A statement can fail after a call in it was
    /// answered.
    pub fn was_done(self) -> Option<bool> {
        match self {
            Self::Done => Some(true),
            Self::Refused => Some(false),
            Self::Failed { result, .. } | Self::Cut { result } => result,
            Self::Nothing => None,
        }
    }
}

/// Gives all that bears on locks, in the order of the history.
pub fn ledger_events<'t, 'a>(
    timeline: &'t Timeline<'a>,
    mut take: impl FnMut(Moment, LedgerEvent<'t, 'a>),
) {
    let free = timeline.is_free();
    let mut asked: HashSet<StepId> = HashSet::new();
    for (line, happening) in timeline.happenings() {
        let at = Moment::of(line);
        match happening {
            Happening::Released(step) if step.released == Some(at) => {
                if free {
                    asked.insert(step.id);
                }
                take(at, LedgerEvent::Asked(step));
            }
            Happening::Ended(step, end) if step.released.is_some() && step.is_last(end) => {
                if free && asked.insert(step.id) {
                    take(at, LedgerEvent::Asked(step));
                }
                ended(step, end, &mut take);
            }
            Happening::Locks(snapshot) => take(at, LedgerEvent::Shown(snapshot)),
            Happening::Other(event) => {
                if let Some(event) = of_session(event) {
                    take(at, event);
                }
            }
            _ => {}
        }
    }
    if free {
        // What was not dropped has passed when it arrived.
        let unseen = |step: &&StepFacts<'_>| step.last().is_none() && !asked.contains(&step.id);
        let passed = timeline.steps.values().filter(unseen);
        for step in passed.filter(|step| step.released.is_some()) {
            take(step.held, LedgerEvent::Asked(step));
        }
    }
}

fn of_session<'t, 'a>(event: &'a Event) -> Option<LedgerEvent<'t, 'a>> {
    Some(match event {
        Event::SessionStarted {
            connection,
            session,
            ..
        } => LedgerEvent::SessionStarted(connection, *session),
        Event::SessionGone {
            connection,
            session,
        } => LedgerEvent::SessionGone(connection, *session),
        Event::ConnectionClosed { connection, .. } => LedgerEvent::Closed(connection),
        _ => return None,
    })
}

/// What comes of a step: its calls in the order of its text, then what lets go unasked.
fn ended<'t, 'a>(
    step: &'t StepFacts<'a>,
    end: &'t EndingFacts<'a>,
    take: &mut impl FnMut(Moment, LedgerEvent<'t, 'a>),
) {
    let done = end.ending == Ending::Done;
    let clean = done && end.answer.error.is_none();
    let calls: &'a [LockCall] = &step.request.lock_calls;
    for (nth, call) in calls.iter().enumerate().filter(|_| step.ran()) {
        if call.action != LockAction::UnlockAll {
            let said = Said::of(step, nth, call, end);
            take(end.at, LedgerEvent::Called(step, nth, call, said));
        } else if done {
            take(end.at, LedgerEvent::LetGo(step, LetGo::UnlockAll, clean));
        }
    }
    if clean && step.discards() {
        take(end.at, LedgerEvent::LetGo(step, LetGo::Discard, true));
    }
    if let Some(status) = end.answer.transaction.filter(|_| done) {
        take(end.at, LedgerEvent::Transaction(step, status));
    }
    take(end.at, LedgerEvent::Over(step, end));
}
