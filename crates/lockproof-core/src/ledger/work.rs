//! What the steps of one session did, as far as the end of a lock is found from it.
//!
//! Owns the search for steps around a line. Knows nothing of grants.

use std::collections::BTreeMap;

use crate::history::{Ending, HeldLock, LockAction};
use crate::name::{LockKey, LockMode, Session};
use crate::timeline::{Spans, StepFacts, Timeline};

/// What the steps of one session did.
#[derive(Default)]
pub(super) struct Work<'t, 'a> {
    /// Its steps in the order in which they were given to the server.
    steps: Vec<&'t StepFacts<'a>>,
    /// From when to when each was with the server.
    spans: Spans,
    /// The line of the last answer.
    pub last_answer: u64,
    /// Calls that ask for a lock: when, and whether of the `xact` kind.
    asked: BTreeMap<(LockKey, LockMode), Vec<(u64, bool)>>,
}

/// What the steps of each session did.
pub(super) fn by_session<'t, 'a>(timeline: &'t Timeline<'a>) -> BTreeMap<Session, Work<'t, 'a>> {
    let mut by_session: BTreeMap<Session, Work> = BTreeMap::new();
    for step in timeline.steps.values().filter(|step| step.ran()) {
        if let Some(session) = step.session {
            by_session.entry(session).or_default().steps.push(step);
        }
    }
    for work in by_session.values_mut() {
        work.measure();
    }
    by_session
}

impl<'t, 'a> Work<'t, 'a> {
    /// What is asked of the steps again and again.
    fn measure(&mut self) {
        let released = |step: &&StepFacts| step.released.map_or(0, |at| at.seq);
        self.steps.sort_by_key(released);
        for step in &self.steps {
            let end = step.last();
            let until = end.map_or(u64::MAX, |end| end.at.seq);
            self.spans.push(released(step), until);
            if let Some(end) = end.filter(|end| end.ending == Ending::Done) {
                self.last_answer = self.last_answer.max(end.at.seq);
            }
            for call in &step.request.lock_calls {
                let asks = matches!(call.action, LockAction::Lock | LockAction::TryLock);
                if let Some(key) = call.key.filter(|_| asks) {
                    let calls = self.asked.entry((key.anywhere(), call.mode)).or_default();
                    calls.push((released(step), call.xact));
                }
            }
        }
    }

    /// The steps that were with the server between these lines.
    pub fn between(&self, since: u64, until: u64) -> impl Iterator<Item = &'t StepFacts<'a>> {
        let near = &self.steps[self.spans.around(since, until.saturating_add(1))];
        let near = near.iter().copied();
        near.filter(move |step| step.was_under_way(since, until))
    }

    /// Whether the call that took a lock, if one was seen, was of the `xact` kind.
    pub fn asked_as(&self, lock: &HeldLock, seq: u64) -> Option<bool> {
        let calls = self.asked.get(&(lock.key.anywhere(), lock.mode))?;
        let before = calls.partition_point(|(released, _)| *released < seq);
        Some(calls[before.checked_sub(1)?].1)
    }
}
