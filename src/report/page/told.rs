//! What each pod was told that it has: from the answer that granted it a lock to the answer, or the end of the
//! connection, that took it away. Beside what the server says was held this shows where a pod believes in a lock
//! that it has not.
//!
//! Owns that reading of the lock events. An answer that never came to the pod tells it nothing; on a link that is
//! cut a pod does not hear that its session is gone.

use std::collections::BTreeMap;

use crate::history::{Delivery, Event, LockAction, LockCall};
use crate::ledger::{LedgerEvent, LetGo, LockKind, ledger_events};
use crate::name::{ConnectionName, LockKey, LockMode};
use crate::timeline::{Moment, StepFacts, Timeline};

/// A lock that a pod was told it has.
#[derive(Debug, Clone)]
pub(super) struct Told<'a> {
    pub connection: &'a ConnectionName,
    /// As the text and its parameters name it, without a database.
    pub key: LockKey,
    pub mode: LockMode,
    pub from: Moment,
    /// Until when, and what told it otherwise; `None`: nothing did.
    pub end: Option<(Moment, &'static str)>,
}

/// One that is believed in at the moment.
struct Belief<'a> {
    told: Told<'a>,
    /// How often it was taken: locks of a session stack.
    times: u32,
    xact: bool,
}

#[derive(Default)]
struct Reader<'a> {
    open: Vec<Belief<'a>>,
    over: Vec<Told<'a>>,
}

/// All that pods were told they have, in the order in which they were told.
pub(super) fn told<'a>(timeline: &Timeline<'a>) -> Vec<Told<'a>> {
    let mut reader = Reader::default();
    let deaf = Deaf::of(timeline);
    ledger_events(timeline, |at, event| match event {
        LedgerEvent::Called(step, _, call, said) if heard(step, at, timeline) => {
            reader.called(step, call, said.was_done().or(whole(call, said)), at);
        }
        LedgerEvent::LetGo(step, cause, true) if heard(step, at, timeline) => {
            reader.let_go(step.connection, cause, at);
        }
        LedgerEvent::Transaction(step, 'I') if heard(step, at, timeline) => {
            reader.let_go(step.connection, LetGo::Transaction, at);
        }
        LedgerEvent::Closed(connection) if !deaf.at(connection, at.seq) => {
            let of = |one: &Belief<'_>| one.told.connection == connection;
            reader.end(of, at, "its connection was closed");
        }
        _ => {}
    });
    for line in timeline.lines {
        if let Event::PodExited { pod, .. } | Event::PodEnded { pod } = &line.event {
            let of = |one: &Belief<'_>| one.told.connection.pod == *pod;
            reader.end(of, Moment::of(line), "the pod ended");
        }
    }
    let mut all = reader.over;
    all.extend(reader.open.into_iter().map(|one| one.told));
    // What ended with its pod is read after everything else.
    for one in &mut all {
        let exit = timeline.pods.get(&one.connection.pod);
        let exit = exit.and_then(|facts| facts.exit.map(|exit| exit.seq).or(facts.ended));
        if let Some(exit) = exit
            && one.end.is_none_or(|(end, _)| end.seq > exit)
            && let Ok(place) = timeline.lines.binary_search_by_key(&exit, |line| line.seq)
        {
            one.end = Some((Moment::of(&timeline.lines[place]), "the pod ended"));
        }
    }
    all.sort_by_key(|one| one.from);
    all
}

/// A lock that answers nothing was taken if its statement was done; for a table the wire does not prove that the
/// server has it, but the pod was told.
fn whole(call: &LockCall, said: crate::ledger::Said<'_>) -> Option<bool> {
    (said == crate::ledger::Said::Done && call.action == LockAction::Lock).then_some(true)
}

/// Whether the answer came to the pod.
pub(super) fn heard(step: &StepFacts<'_>, at: Moment, timeline: &Timeline<'_>) -> bool {
    let closed = timeline.sessions.closed(step.connection);
    let exited = timeline.pods.get(step.pod()).and_then(|pod| pod.exit);
    step.delivery == Delivery::Forwarded
        && closed.is_none_or(|(seq, _)| seq >= at.seq)
        && exited.is_none_or(|exit| exit.seq >= at.seq)
}

impl<'a> Reader<'a> {
    fn called(&mut self, step: &StepFacts<'a>, call: &LockCall, done: Option<bool>, at: Moment) {
        let Some(key) = call.key.map(|key| key.anywhere()) else {
            return;
        };
        let this = |one: &Belief<'_>| {
            one.told.connection == step.connection
                && one.told.key == key
                && one.told.mode == call.mode
        };
        match (call.action, done) {
            (LockAction::Lock | LockAction::TryLock, Some(true)) => {
                if let Some(known) = self.open.iter_mut().find(|one| this(one)) {
                    known.times += 1;
                    return;
                }
                self.open.push(Belief {
                    told: Told {
                        connection: step.connection,
                        key,
                        mode: call.mode,
                        from: at,
                        end: None,
                    },
                    times: 1,
                    xact: call.xact || LockKind::of(&key).always_xact() == Some(true),
                });
            }
            (LockAction::Unlock, Some(true)) => {
                if let Some(known) = self.open.iter_mut().find(|one| this(one)) {
                    known.times = known.times.saturating_sub(1);
                }
                self.end(|one| this(one) && one.times == 0, at, "it gave it back");
                // Behind a pool, or by mistake, it may be given back on another connection.
            }
            (LockAction::Unlock, Some(false)) => {
                let pod = step.pod();
                let of = |one: &Belief<'_>| one.told.connection.pod == *pod && one.told.key == key;
                self.end(of, at, "its unlock was answered that it does not have it");
            }
            _ => {}
        }
    }

    fn let_go(&mut self, connection: &ConnectionName, cause: LetGo, at: Moment) {
        let of = |one: &Belief<'_>| {
            one.told.connection == connection
                && LockKind::of(&one.told.key).ends_by(cause, Some(one.xact))
        };
        let why = match cause {
            LetGo::UnlockAll | LetGo::Discard => "it gave back all locks",
            LetGo::Transaction => "its transaction ended",
            LetGo::Session => "its session ended",
        };
        self.end(of, at, why);
    }

    fn end(&mut self, of: impl Fn(&Belief<'a>) -> bool, at: Moment, why: &'static str) {
        let (over, open) = std::mem::take(&mut self.open).into_iter().partition(of);
        self.open = open;
        let over: Vec<Belief<'a>> = over;
        self.over.extend(over.into_iter().map(|one| Told {
            end: Some((at, why)),
            ..one.told
        }));
    }
}

/// From when to when the link of a pod was cut.
struct Deaf<'a>(Vec<(&'a str, Option<&'a ConnectionName>, u64, u64)>);

impl<'a> Deaf<'a> {
    fn of(timeline: &Timeline<'a>) -> Self {
        let mut cut: BTreeMap<(&str, Option<&ConnectionName>), u64> = BTreeMap::new();
        let mut all = Vec::new();
        for line in timeline.lines {
            let Event::Fault(fault) = &line.event else {
                continue;
            };
            let Some(pod) = fault.pod.as_ref().filter(|_| fault.fired) else {
                continue;
            };
            let entry = fault.fault.kind.entry();
            if entry.cuts_off() {
                cut.insert((pod.as_str(), fault.connection.as_ref()), line.seq);
            } else if entry.heals() {
                cut.retain(|(of, name), from| {
                    let healed = *of == pod.as_str();
                    if healed {
                        all.push((*of, *name, *from, line.seq));
                    }
                    !healed
                });
            }
        }
        all.extend(
            cut.into_iter()
                .map(|((pod, name), from)| (pod, name, from, u64::MAX)),
        );
        Self(all)
    }

    fn at(&self, connection: &ConnectionName, seq: u64) -> bool {
        self.0.iter().any(|(pod, name, from, until)| {
            connection.pod.as_str() == *pod
                && name.is_none_or(|name| name == connection)
                && (*from..*until).contains(&seq)
        })
    }
}
