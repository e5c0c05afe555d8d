//! The window in which a pod believed in a lock it no longer had.
//!
//! Owns which writes fall into it. It is reported, not judged, because no session lock can close
//! it: what a pod had sent before it could know that its lock's session was gone is not the
//! pod's doing. What it sends after it was told is judged like any other write.

use std::collections::HashMap;

use super::facts::{Facts, Grant, How, Spans, StepFacts};
use crate::history::{ClosedBy, Ending};
use crate::name::PodName;

/// A grant that was lost with its session.
pub(super) struct Lost<'f, 'a> {
    pub grant: &'f Grant<'a>,
    /// The line at which the lock was gone.
    pub lost: u64,
    /// The line from which on the pod could know.
    pub told: u64,
    /// Whether the pod itself closed the lock's connection, when it was asked to end: what it still
    /// had on its way, and lived to hear the answer of, it did not take care of.
    pub tidied: bool,
}

/// All grants of the rule's lock that pods lost, in their order.
#[derive(Default)]
pub(super) struct Losses<'f, 'a> {
    pub all: Vec<Lost<'f, 'a>>,
    /// For each pod its losses, and in which lines a step of it was sent in belief.
    by_pod: HashMap<&'f PodName, (Spans, Vec<usize>)>,
}

/// All grants of the rule's lock that a pod lost with their session, not by its own doing.
pub(super) fn lost<'f, 'a>(facts: &'f Facts<'a>) -> Losses<'f, 'a> {
    let mut losses = Losses::default();
    let ruled = |grant: &&Grant<'_>| facts.is_rule_key(&grant.key) && grant.guards();
    for grant in facts.grants.iter().filter(ruled) {
        let Some((end, How::Session | How::Returned)) = grant.end else {
            continue;
        };
        let closed = facts.sessions.closed(grant.connection);
        let own = closed.is_some_and(|(seq, by)| by == ClosedBy::Client && seq <= end);
        if own && !facts.fault_ended(grant, end) {
            continue;
        }
        let told = told(facts, grant, end);
        let (spans, places) = losses.by_pod.entry(grant.pod()).or_default();
        spans.push(grant.from, told);
        places.push(losses.all.len());
        losses.all.push(Lost {
            grant,
            lost: end,
            told,
            tidied: own && facts.controlled() && !facts.killed(grant, end),
        });
    }
    losses
}

/// The line from which on a pod could know that this grant, which was lost at the line `end`, is gone.
pub(super) fn told(facts: &Facts<'_>, grant: &Grant<'_>, end: u64) -> u64 {
    let closed = facts.sessions.closed(grant.connection);
    let session = facts.sessions.of(grant.session);
    let gone = session.and_then(|session| session.gone);
    let first = closed.map(|(seq, _)| seq).into_iter().chain(gone).min();
    heard(facts, grant, first.unwrap_or(end))
}

/// From when on a pod could hear what the server told it at this line: on a link that is cut, when that
/// is healed, or never.
fn heard(facts: &Facts<'_>, grant: &Grant<'_>, told: u64) -> u64 {
    let mut cut = false;
    for fault in &facts.faults {
        let event = fault.event;
        let all_or_this = event
            .connection
            .as_ref()
            .is_none_or(|one| one == grant.connection);
        if event.pod.as_ref() != Some(grant.pod()) || !all_or_this {
            continue;
        }
        if fault.cuts_off() && fault.from <= told {
            cut = true;
        } else if fault.heals() {
            if cut && fault.from > told {
                return fault.from;
            }
            cut = false;
        }
    }
    if cut { u64::MAX } else { told }
}

/// The lost grant under which this step had been sent, before its pod could know of the loss.
pub(super) fn sent_in_belief<'l, 'f, 'a>(
    facts: &Facts<'_>,
    losses: &'l Losses<'f, 'a>,
    step: &StepFacts<'_>,
) -> Option<&'l Lost<'f, 'a>> {
    let (spans, places) = losses.by_pod.get(step.pod())?;
    let near = &places[spans.around(step.held.seq, step.held.seq)];
    near.iter().map(|place| &losses.all[*place]).find(|one| {
        one.grant.from < step.held.seq
            && step.held.seq < one.told
            && step
                .last()
                .is_none_or(|end| end.at.seq > one.lost.min(one.told))
            && !(one.tidied && was_heard(facts, step))
    })
}

/// The lost grant in which a pod believed when it sent this write, and still when it sent what committed it: with
/// the commit others see the write, and who has heard of the loss by then can leave it.
pub(super) fn written_in_belief<'l, 'f, 'a>(
    facts: &Facts<'_>,
    losses: &'l Losses<'f, 'a>,
    step: &StepFacts<'_>,
) -> Option<&'l Lost<'f, 'a>> {
    let lost = sent_in_belief(facts, losses, step)?;
    match facts.commit_of(step) {
        Some(commit) if facts.controlled() => sent_in_belief(facts, losses, commit),
        _ => Some(lost),
    }
}

/// Whether the step's client was still there when it was answered.
fn was_heard(facts: &Facts<'_>, step: &StepFacts<'_>) -> bool {
    step.last().is_some_and(|end| {
        let closed = facts.sessions.closed(step.connection);
        end.ending == Ending::Done && closed.is_none_or(|(seq, _)| seq > end.at.seq)
    })
}
