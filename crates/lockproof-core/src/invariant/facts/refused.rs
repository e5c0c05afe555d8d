//! Which pods were refused the lock.
//!
//! Owns that answer, by the wire's own word: a try that answered false, an error that says that the lock was
//! taken, rows that `SKIP LOCKED` passed over. Knows nothing of what a pod may do then.

use super::super::lease;
use super::Facts;
use super::writes::protects;
use crate::history::{Ending, Line, LockAction, LockCall, Request, Rules, rows_told};
use crate::ledger::Ledger;
use crate::name::PodName;
use crate::timeline::{EndingFacts, StepFacts, Timeline};

/// lock_not_available: NOWAIT, or the end of `lock_timeout`.
const NOT_AVAILABLE: &str = "55P03";

/// Whether this pod asked for the lock in the run of these lines and was told that it is taken.
pub fn was_refused(lines: &[Line], pod: &PodName) -> bool {
    let timeline = Timeline::of(lines);
    let ledger = Ledger::of(&timeline);
    let run = timeline.run;
    run.is_some_and(|run| Facts::from(&timeline, &ledger, run).refused(pod))
}

impl Facts<'_> {
    /// Whether this pod asked for the lock and was told that it is taken.
    pub fn refused(&self, pod: &PodName) -> bool {
        let mut leases = self.leases.iter();
        if leases.any(|books| lease::was_refused(self, books, pod)) {
            return true;
        }
        let own = |step: &&StepFacts<'_>| step.pod() == pod && step.ran();
        self.steps.values().filter(own).any(|step| {
            let end = step.last().filter(|end| end.ending == Ending::Done);
            end.is_some_and(|end| {
                self.try_refused(step, end)
                    || self.gave_up(step, end)
                    || self.hidden_refusal(step, end)
                    || self.passed_over(step, end)
            })
        })
    }

    /// Whether a call may ask for the lock. Without a lock rule any lock is one.
    fn asks(&self, call: &LockCall) -> bool {
        matches!(call.action, LockAction::Lock | LockAction::TryLock)
            && (self.rule_keys.is_empty() || call.key.is_none_or(|key| self.is_rule_key(&key)))
    }

    /// Whether another pod held the lock while this step was with the server.
    fn taken_by_another(&self, step: &StepFacts<'_>, end: &EndingFacts<'_>) -> bool {
        let from = step.released.map_or(0, |at| at.seq);
        self.grants.iter().any(|grant| {
            grant.pod() != step.pod()
                && self.is_rule_key(&grant.key)
                && grant.from < end.at.seq
                && grant.end.is_none_or(|(seq, _)| seq > from)
        })
    }

    /// Whether a try answered false. One whose answer the text turns round (`not pg_try_…`) was refused
    /// where another pod held the lock: nobody had it who asked.
    fn try_refused(&self, step: &StepFacts<'_>, end: &EndingFacts<'_>) -> bool {
        let calls = step.request.lock_calls.iter().enumerate();
        let mut tries = calls.filter(|(_, call)| call.action == LockAction::TryLock);
        tries.any(|(nth, call)| {
            let result = end.answer.lock_results.get(nth).copied().flatten();
            self.asks(call)
                && match result {
                    Some(got) => !got,
                    None => end.answer.error.is_none() && self.taken_by_another(step, end),
                }
        })
    }

    /// Whether a statement that asks for the lock failed because it is taken: the scenario says that this
    /// error is its answer, it is a row that can be there once and is there, or the lock was not available.
    fn gave_up(&self, step: &StepFacts<'_>, end: &EndingFacts<'_>) -> bool {
        let Some(error) = end.answer.error.as_ref() else {
            return false;
        };
        let (table, constraint) = (error.table.as_deref(), error.constraint.as_deref());
        let mut declared = self.run.rules.answers.iter();
        if declared.any(|one| one.means(&error.sqlstate, constraint, table)) {
            return true;
        }
        if error.sqlstate == "23505" && self.writes_nothing_protected(step, table) {
            return true;
        }
        error.sqlstate == NOT_AVAILABLE
            && (self.rule_keys.is_empty()
                || step.request.opaque
                || step.request.lock_calls.iter().any(|call| self.asks(call)))
    }

    /// Whether a step writes none of the protected tables, as far as its text and its error tell.
    pub fn writes_nothing_protected(&self, step: &StepFacts<'_>, table: Option<&str>) -> bool {
        writes_nothing_protected(&self.run.rules, step.request, table)
    }

    /// Whether a statement of which the text does not tell what it calls, a function of the job's own,
    /// was answered while another pod held the lock: it may have asked.
    fn hidden_refusal(&self, step: &StepFacts<'_>, end: &EndingFacts<'_>) -> bool {
        step.request.opaque && end.answer.error.is_none() && self.taken_by_another(step, end)
    }

    /// Whether `SKIP LOCKED` gave no row while another pod had in hand what the same statement gave it.
    fn passed_over(&self, step: &StepFacts<'_>, end: &EndingFacts<'_>) -> bool {
        let skips = |normal: &String| normal.to_lowercase().contains("skip locked");
        let gave = |end: &EndingFacts<'_>| {
            let mut tags = end.answer.tags.iter();
            tags.any(|tag| rows_told(tag) > Some(0))
        };
        if !step.request.normal.iter().any(skips) || end.answer.error.is_some() || gave(end) {
            return false;
        }
        self.steps.values().any(|other| {
            let took = other.last().filter(|took| {
                took.ending == Ending::Done
                    && took.answer.transaction == Some('T')
                    && took.at.seq < end.at.seq
                    && gave(took)
            });
            let closed = self.sessions.closed(other.connection);
            other.pod() != step.pod()
                && other.request.normal == step.request.normal
                && closed.is_none_or(|(seq, _)| seq > end.at.seq)
                && took.is_some_and(|took| {
                    let idle = |before| {
                        let by = &self.by_connection;
                        by.idle_between(other.connection, took.at.seq, before)
                    };
                    !idle(end.at.seq)
                })
        })
    }
}

/// Whether a request writes none of the protected tables, as far as its text and its error tell. One that holds
/// a row only while a pod is at work is the lock's, and carries no work.
pub(crate) fn writes_nothing_protected(
    rules: &Rules,
    request: &Request,
    table: Option<&str>,
) -> bool {
    let is_protected = |name: &str| {
        protects(&rules.protect, name).is_some() && protects(&rules.lock_rows, name).is_none()
    };
    !request.opaque
        && !request.writes.iter().any(|name| is_protected(name))
        && !table.is_some_and(is_protected)
}
