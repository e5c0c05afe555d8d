//! Whether a lock may have gone with its session because its pod was done.
//!
//! Owns the conditions of `release = "process"`: the pod closed the session itself, no unlock had failed on it,
//! the pod did nothing on the server after it, all that it wrote was committed by then, and its process ended
//! with success. Evidence: the wire, the witness, and how the process exited.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::facts::{Facts, Grant, How, StepFacts, protected};
use crate::history::{ClosedBy, Ending, LockAction, LockCall, Release};
use crate::name::{ConnectionName, PodName, StepId};
use crate::sql::{Kind, meaning};

/// What is to be said of a grant that ended with its session, where the rule is `process`.
pub(super) enum ProcessEnd {
    /// The pod was done.
    Done,
    /// It was not: why.
    NotDone(String),
    /// The evidence does not tell: why.
    Unknown(String),
}

/// The last that each pod did on the server.
pub(super) struct ProcessEnds<'f, 'a> {
    facts: &'f Facts<'a>,
    pods: BTreeMap<&'a PodName, LastDeeds<'f, 'a>>,
}

#[derive(Default)]
struct LastDeeds<'f, 'a> {
    /// The step that it asked for last.
    step: Option<&'f StepFacts<'a>>,
    /// The write that was committed last, and the line by which it was.
    committed: Option<(u64, &'f StepFacts<'a>)>,
    /// A write that was left open.
    open: Option<&'f StepFacts<'a>>,
    /// A write of which nobody knows when it was committed: why.
    unknown: Option<String>,
}

impl<'f, 'a> ProcessEnds<'f, 'a> {
    /// Those of this run; of none, where the rule is another.
    pub fn of(facts: &'f Facts<'a>) -> Self {
        let mut pods = BTreeMap::new();
        if facts.run.rules.release == Release::Process {
            last_deeds(facts, &mut pods);
        }
        Self { facts, pods }
    }

    /// Whether this grant ended with its session, and the pod was done. `None`: it ended otherwise, or the
    /// rule is another.
    pub fn judge(&self, grant: &Grant<'_>) -> Option<ProcessEnd> {
        let (end, how) = grant.end?;
        let with_session = matches!(how, How::Session | How::Returned);
        let rule = self.facts.run.rules.release == Release::Process;
        (with_session && rule).then(|| self.was_done(grant, end))
    }

    /// An unlock on the grant's connection that ended with an error.
    fn failed_unlock(&self, grant: &Grant<'_>) -> Option<&StepFacts<'a>> {
        let gives_back = |call: &LockCall| {
            let same = call.key.is_none_or(|key| key.same_key(&grant.key));
            matches!(call.action, LockAction::Unlock | LockAction::UnlockAll) && same
        };
        self.facts.steps_of(grant.connection).find(|step| {
            let failed = step.last().is_some_and(|end| end.answer.error.is_some());
            failed && step.held.seq > grant.from && step.request.lock_calls.iter().any(gives_back)
        })
    }

    fn was_done(&self, grant: &Grant<'_>, end: u64) -> ProcessEnd {
        let pod = grant.pod();
        let not_done = |why: String| ProcessEnd::NotDone(why);
        let closed = match self.facts.sessions.closed(grant.connection) {
            Some((seq, ClosedBy::Client)) => seq.min(end),
            _ => return not_done("it was not the pod that closed the session".to_owned()),
        };
        if let Some(step) = self.failed_unlock(grant) {
            return not_done(format!("its unlock had failed: {}", step.words()));
        }
        let nothing = LastDeeds::default();
        let last = self.pods.get(pod).unwrap_or(&nothing);
        if let Some(step) = last.step.filter(|step| step.held.seq > closed) {
            return not_done(format!("the pod went on without it, in {}", step.words()));
        }
        if let Some((_, step)) = last.committed.filter(|(seq, _)| *seq > end) {
            return not_done(format!("{} had not committed by then", step.words()));
        }
        if let Some(step) = last.open {
            return not_done(format!("{} was never committed", step.words()));
        }
        let lived = self.facts.pods.get(pod);
        let success = lived.is_some_and(|pod| pod.succeeded());
        // A fault that took the pod after all this took nothing from the lock.
        if !success && self.facts.hit(pod).is_none() {
            let code = lived.and_then(|pod| pod.exit?.code);
            return not_done(code.map_or_else(
                || "the pod's process did not end with success".to_owned(),
                |code| format!("the pod exited with code {code}"),
            ));
        }
        match &last.unknown {
            Some(why) => ProcessEnd::Unknown(why.clone()),
            None => ProcessEnd::Done,
        }
    }
}

fn last_deeds<'f, 'a>(facts: &'f Facts<'a>, pods: &mut BTreeMap<&'a PodName, LastDeeds<'f, 'a>>) {
    let witnessed: BTreeSet<StepId> = facts.writes.iter().filter_map(|write| write.step).collect();
    let mut idle: HashMap<&ConnectionName, StepId> = HashMap::new();
    for step in facts.steps.values() {
        let status = step.last().and_then(|end| end.answer.transaction);
        if status == Some('I') {
            idle.insert(step.connection, step.id);
        }
    }
    for step in facts.steps.values().filter(|step| step.ran()) {
        let last = pods.entry(step.pod()).or_default();
        let later = last.step.is_none_or(|one| one.held.seq < step.held.seq);
        if later && !gives_up(step) {
            last.step = Some(step);
        }
        let mut tables = step.request.writes.iter();
        let wrote = if facts.run.witness {
            witnessed.contains(&step.id)
        } else {
            !step.request.look_up
                && (step.request.opaque
                    || tables.any(|table| protected(facts.run, table).is_some()))
        };
        if !wrote {
            continue;
        }
        let ended = idle.get(step.connection).is_some_and(|id| *id > step.id);
        match committed(facts, step, ended) {
            Committed::Never => {}
            Committed::At(seq) => {
                if last.committed.is_none_or(|(before, _)| before < seq) {
                    last.committed = Some((seq, step));
                }
            }
            Committed::Open => last.open = Some(step),
            Committed::Unknown => {
                let why = format!("when {} was committed cannot be told", step.words());
                last.unknown = Some(why);
            }
        }
    }
    for write in &facts.writes {
        if write
            .step
            .is_none_or(|step| !facts.steps.contains_key(&step))
        {
            let last = pods.entry(&write.connection.pod).or_default();
            last.unknown = Some(format!(
                "which step of {} wrote {} is not known, nor when it was committed",
                write.connection, write.table
            ));
        }
    }
}

/// Whether all that a step does is to roll back, as pools do with what they close.
fn gives_up(step: &StepFacts<'_>) -> bool {
    let forms = &step.request.normal;
    let rolls_back = |form: &String| {
        meaning(form, &[]).kinds == [Kind::Transaction]
            && (form.starts_with("rollback") || form.starts_with("abort"))
    };
    step.request.look_up || (!forms.is_empty() && forms.iter().all(rolls_back))
}

/// When others could see what a step did.
enum Committed {
    /// By this line.
    At(u64),
    /// It failed, or was rolled back on purpose: there is nothing to see.
    Never,
    /// It was left open.
    Open,
    /// Its answer was not seen.
    Unknown,
}

/// `ended`: whether its session was outside of a transaction at some later time.
fn committed(facts: &Facts<'_>, step: &StepFacts<'_>, ended: bool) -> Committed {
    let Some(last) = step.last().filter(|last| last.ending == Ending::Done) else {
        return Committed::Unknown;
    };
    if let Some(commit) = facts.commit_of(step) {
        return match commit.last() {
            Some(end) if end.ending == Ending::Done => Committed::At(end.at.seq),
            _ => Committed::Unknown,
        };
    }
    match last.answer.transaction {
        _ if last.answer.error.is_some() => Committed::Never,
        Some('T' | 'E') if ended => Committed::Never,
        Some('T' | 'E') => Committed::Open,
        _ => Committed::At(last.at.seq),
    }
}
