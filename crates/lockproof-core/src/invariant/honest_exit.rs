//! honest-exit: a pod that hit an error did not exit 0; one that exited 0 printed all the clean
//! run's ✓ lines (or, if it came when another had done its work, those of a later pod of a serial run) or, with
//! skip, did nothing and never had the lock.
//!
//! Owns that rule. Evidence: exits, standard output, errors on the wire, lost sessions.

use std::collections::BTreeMap;

use super::answers::{Answers, Standing, took_for_answer};
use super::facts::{
    Facts, Grant, How, PodError, PodFacts, StepFacts, answered, count, list, step_words,
};
use super::ruling::Found;
use super::verdict::{Finding, InvariantVerdict};
use crate::history::{ClosedBy, Delivery, Ending, Event, ServerError};
use crate::name::InvariantName;
use crate::name::{ConnectionName, PodName};

const NAME: InvariantName = InvariantName::HonestExit;

pub(super) fn judge(facts: &Facts<'_>, answers: &Answers) -> InvariantVerdict {
    let mut found = Found::default();
    let mut succeeded = 0;
    for (name, pod) in facts.started() {
        let Some(exit) = pod.exit.filter(|_| pod.succeeded()) else {
            continue;
        };
        succeeded += 1;
        let finding = |why: String, seqs: Vec<u64>| Finding {
            why,
            seqs,
            pod: Some(name.clone()),
            ..Finding::default()
        };
        let mut dishonest = |finding: Finding| {
            if facts.after_limit(exit.seq) {
                found.stopped(finding);
            } else {
                found.violation(finding);
            }
        };
        if let Some((what, seqs)) = error_met((facts, answers), name, pod) {
            let seqs = seqs.into_iter().chain([exit.seq]).collect();
            dishonest(finding(
                format!("pod {name} exited with code 0 though {what}"),
                seqs,
            ));
        }
        let missing = missing_lines(facts, name, pod);
        if !missing.is_empty() && !facts.skipped(name) {
            dishonest(finding(
                format!(
                    "pod {name} exited with code 0 but did not print {} of the clean run: {}",
                    count(missing.len(), "✓ line"),
                    list(&missing)
                ),
                vec![exit.seq],
            ));
        }
    }
    found.ruling(
        NAME,
        facts,
        match succeeded {
            0 => "no pod exited with code 0".to_owned(),
            _ => format!(
                "{} exited with code 0, having met no error and printed all ✓ lines",
                count(succeeded, "pod")
            ),
        },
    )
}

/// The first error that a pod met: one that it was told, or a session that it lost.
fn error_met(
    (facts, answers): (&Facts<'_>, &Answers),
    name: &PodName,
    pod: &PodFacts<'_>,
) -> Option<(String, Vec<u64>)> {
    let heard = |error: &&PodError<'_>| {
        let late = |seq| !pod.lived_at(seq) || is_no_loss(facts, error.connection, seq);
        error.pod() == name
            && error.heard
            && !facts.met_in_clean_run(error)
            && !(error.is_outside_steps() && error.wire.is_some_and(late))
            && !came_in_later(facts, error)
            && looked_for(facts, error.sqlstate)
    };
    let judged = |(index, _): &(usize, &PodError<'_>)| answers.standing(*index) == Standing::Judged;
    let mut errors = facts.errors.iter().enumerate().filter(judged);
    let met = errors.find(|(_, error)| heard(error));
    if let Some((_, error)) = met {
        if error.is_outside_steps() {
            let what = format!(
                "{} was ended or refused with {}: {}",
                error.connection, error.sqlstate, error.message
            );
            return Some((what, error.seqs.clone()));
        }
        let step = step_words(error.step, facts.steps, error.connection, error.statement);
        return Some((
            format!("{step} was answered {}: {}", error.sqlstate, error.message),
            error.seqs.clone(),
        ));
    }
    if let Some(told) = told_instead(facts, name) {
        return Some(told);
    }
    facts
        .sessions
        .closed_of(name)
        .find(|(connection, seq, by)| {
            matches!(by, ClosedBy::Server | ClosedBy::Fault)
                && pod.lived_at(*seq)
                && !is_no_loss(facts, connection, *seq)
                // Behind a pooler one that was never used has no session.
                && (*by == ClosedBy::Server || facts.by_connection.steps.contains_key(connection))
        })
        .map(|(connection, seq, _)| {
            let session = facts.sessions.of_connection(connection, seq);
            let what = session.map_or_else(String::new, |session| format!(" ({session})"));
            (format!("it had lost {connection}{what}"), vec![seq])
        })
}

/// Whether an error refused a connection before it had a session, and the pod got another one after it: it tried
/// again, and nothing was lost.
fn came_in_later(facts: &Facts<'_>, error: &PodError<'_>) -> bool {
    let Some(refused) = error.wire.filter(|_| error.is_outside_steps()) else {
        return false;
    };
    let mut lines = facts.lines.iter();
    let started = |connection: &ConnectionName, after: u64| {
        let session = facts.sessions.of_connection(connection, u64::MAX);
        session.is_some_and(|session| {
            let known = facts.sessions.of(session);
            known.is_some_and(|known| known.started > after)
        })
    };
    facts
        .sessions
        .of_connection(error.connection, u64::MAX)
        .is_none()
        && lines.any(|line| match &line.event {
            Event::ConnectionOpened { connection } => {
                line.seq > refused && connection.pod == *error.pod() && started(connection, refused)
            }
            _ => false,
        })
}

/// Whether the scenario looks for errors of this SQLSTATE.
pub(super) fn looked_for(facts: &Facts<'_>, sqlstate: &str) -> bool {
    let only = facts.run.rules.only_sqlstates.as_ref();
    only.is_none_or(|only| only.iter().any(|one| one == sqlstate))
}

/// Whether there was nothing in the session that could be lost with it at this line: no statement
/// under way, no transaction, no advisory lock. A pool opens another, and nothing is amiss. A pod that
/// asks for nothing more has no more use for a lock, and need not see that the session went first.
fn is_no_loss(facts: &Facts<'_>, connection: &ConnectionName, seq: u64) -> bool {
    let done = facts.by_connection.done(&connection.pod, seq);
    let held = !done
        && facts.grants.iter().any(|grant| {
            grant.connection == connection
                && grant.from < seq
                && grant
                    .end
                    .is_none_or(|(end, how)| end >= seq || how == How::Session)
        });
    let ids = facts.by_connection.steps.get(connection);
    let steps: Vec<&StepFacts<'_>> = ids
        .into_iter()
        .flatten()
        .filter_map(|id| facts.steps.get(id))
        .filter(|step| step.held.seq < seq)
        .collect();
    let answered = |step: &&StepFacts<'_>| {
        step.delivery != Delivery::AnswerDropped
            && step
                .last()
                .is_some_and(|end| end.ending == Ending::Done && end.at.seq < seq)
    };
    // With what is only read nothing is lost to a pod that asks for nothing more.
    let open = steps
        .iter()
        .rev()
        .take_while(|step| {
            let end = step.last();
            end.is_some_and(|end| end.answer.transaction != Some('I'))
        })
        .any(|step| !done || step.request.opaque || !step.request.writes.is_empty());
    let known = facts.sessions.of_connection(connection, seq).is_some();
    known && !held && !open && steps.iter().all(answered)
}

/// The first error that a fault told a pod in place of an answer: the history has the answer.
fn told_instead(facts: &Facts<'_>, name: &PodName) -> Option<(String, Vec<u64>)> {
    let replaced = |step: &&StepFacts<'_>| {
        step.pod() == name && step.delivery == Delivery::AnswerReplaced && step.last().is_some()
    };
    facts.steps.values().filter(replaced).find_map(|step| {
        let fault = &facts.faults[facts.reach.at_step(step.id)?];
        let states = &fault.event.sqlstates;
        let told = |sqlstate: &String| {
            let sqlstate = sqlstate.clone();
            let error = ServerError {
                sqlstate,
                ..ServerError::default()
            };
            facts.in_clean_run(&answered(step.request, &error))
        };
        let usual = !states.is_empty() && states.iter().all(told);
        let seqs = step.last().map(|end| end.at.seq).into_iter().collect();
        let what = format!(
            "{} was answered {} by the fault {}",
            step.words(),
            list(states),
            fault.event.fault.kind.name()
        );
        (!usual && !took_for_answer(facts, step, states)).then_some((what, seqs))
    })
}

/// The clean run's ✓ lines that this pod did not print, or printed less often. One that came after another
/// had done its work misses none if it printed all that a later one of a serial run did.
fn missing_lines(facts: &Facts<'_>, name: &PodName, pod: &PodFacts<'_>) -> Vec<String> {
    let Some(baseline) = &facts.run.baseline else {
        return Vec::new();
    };
    let missing = not_printed(&baseline.check_lines, pod);
    let mut later = baseline.later_check_lines.iter();
    if !missing.is_empty()
        && later.any(|lines| not_printed(lines, pod).is_empty())
        && came_later(facts, &baseline.check_lines, name, pod)
    {
        return Vec::new();
    }
    missing
}

/// Whether a pod started, or first got the lock, when another had done its work: that ended with success
/// and all its lines, or will, and had given the lock back for good.
fn came_later(facts: &Facts<'_>, lines: &[String], name: &PodName, pod: &PodFacts<'_>) -> bool {
    let of = |pod: &PodName| -> Vec<&Grant<'_>> {
        let grants = facts.grants.iter();
        grants
            .filter(|grant| grant.pod() == pod && facts.is_rule_key(&grant.key))
            .collect()
    };
    let first = of(name).iter().map(|grant| grant.from).min();
    facts.started().any(|(other, one)| {
        let done = one.succeeded() && not_printed(lines, one).is_empty();
        if other == name || !done {
            return false;
        }
        let exit = one.exit.map_or(u64::MAX, |exit| exit.seq);
        let ends = of(other).into_iter().map(|grant| grant.end);
        let given_back = ends.map(|end| end.map_or(u64::MAX, |(seq, _)| seq)).max();
        pod.started.is_some_and(|seq| seq > exit)
            || matches!((first, given_back), (Some(first), Some(end)) if end <= first)
    })
}

/// These lines as far as a pod did not print them, or printed them less often.
fn not_printed(expected: &[String], pod: &PodFacts<'_>) -> Vec<String> {
    let mut printed: BTreeMap<&str, usize> = BTreeMap::new();
    for line in &pod.check_lines {
        *printed.entry(line).or_default() += 1;
    }
    expected
        .iter()
        .filter(|line| match printed.get_mut(line.trim()) {
            Some(left) if *left > 0 => {
                *left -= 1;
                false
            }
            _ => true,
        })
        .map(|line| format!("\"{}\"", line.trim()))
        .collect()
}
