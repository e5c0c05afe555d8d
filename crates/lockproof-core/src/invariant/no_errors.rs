//! no-errors: no statement, a dead pod's included, failed with an error that no clean or serial
//! run shows and no injected fault explains; a scenario may narrow it.
//!
//! Owns that rule. Evidence: answers on the wire and, for what nobody heard, the server's log.

use std::collections::HashMap;

use super::answers::{Answers, Standing, cause};
use super::facts::{Facts, PodError, is_loss, list, logged, step_words};
use super::honest_exit::looked_for;
use super::ruling::{Found, not_judged};
use super::verdict::{Finding, InvariantVerdict};
use crate::name::ConnectionName;
use crate::name::InvariantName;

const NAME: InvariantName = InvariantName::NoErrors;

pub(super) fn judge(facts: &Facts<'_>, answers: &Answers) -> InvariantVerdict {
    if facts.run.baseline.is_none() {
        return not_judged(
            NAME,
            "the run is itself a clean or serial run: its errors are what others are measured by",
        );
    }
    let mut found = Found::default();
    let timers = TimersBehind::of(facts);
    // Where the violation of each error stands.
    let mut places: HashMap<usize, usize> = HashMap::new();
    for (index, error) in facts.errors.iter().enumerate() {
        if !looked_for(facts, error.sqlstate)
            || facts.met_in_clean_run(error)
            || facts.explained[index]
        {
            continue;
        }
        let mut finding = finding(facts, error);
        match answers.standing(index) {
            Standing::Judged => {}
            Standing::Answer(_) => continue,
            Standing::Open => {
                found.stopped(finding);
                continue;
            }
        }
        // What an aborted transaction refuses says nothing that its error did not say.
        let first = cause(facts, index).and_then(|cause| places.get(&cause));
        if let Some(first) = first.and_then(|place| found.violations.get_mut(*place)) {
            first.seqs.extend(finding.seqs);
            continue;
        }
        match timers.behind(facts, index) {
            _ if lost_at_limit(facts, error) => found.stopped(finding),
            Some(why) => {
                finding.why = format!("{}; but {why}", finding.why);
                found.unclear.push(finding);
            }
            None => {
                places.insert(index, found.violations.len());
                found.violation(finding);
            }
        }
    }
    strangers(facts, &mut found);
    silenced(facts, &mut found);
    let holds = match &facts.run.rules.only_sqlstates {
        Some(only) => format!("no statement failed with SQLSTATE {}", only.join(" or ")),
        None => "no statement failed but as the clean run or an injected fault explains".to_owned(),
    };
    found.plain(NAME, holds)
}

/// A session that silences the server's log takes away the witness of errors whose client is gone.
fn silenced(facts: &Facts<'_>, found: &mut Found) {
    if !facts.silenced.is_empty() {
        let names: Vec<String> = facts.silenced.iter().map(ToString::to_string).collect();
        let why = format!(
            "{} had silenced the server's log (log_min_messages): what failed there unheard cannot be told",
            list(&names)
        );
        found.unclear(why, Vec::new());
    }
}

/// Errors of sessions that did not come through lockproof: whose they are cannot be told.
fn strangers(facts: &Facts<'_>, found: &mut Found) {
    let taken = facts.faults.iter().any(|fault| fault.event.takes_pod);
    for error in &facts.strangers.errors {
        let sqlstate = error.log.sqlstate.as_str();
        let of_taken = taken && matches!(sqlstate, "57P01" | "08006");
        if looked_for(facts, sqlstate) && !facts.in_clean_run(&logged(error.log)) && !of_taken {
            found.unclear.push(Finding {
                why: error.words(),
                seqs: vec![error.seq],
                sqlstate: Some(sqlstate.to_owned()),
                ..Finding::default()
            });
        }
    }
}

/// Whether the server tells of a client or a session that was lost when the harness stopped the
/// pods at a limit.
fn lost_at_limit(facts: &Facts<'_>, error: &PodError<'_>) -> bool {
    let last = facts.lines.last().map_or(0, |line| line.seq);
    let seq = error.wire.or_else(|| {
        let closed = facts.sessions.closed(error.connection);
        closed.map(|(seq, _)| seq)
    });
    is_loss(error.sqlstate) && facts.after_limit(seq.unwrap_or(last))
}

/// The timers that were errors, by those.
#[derive(Default)]
struct TimersBehind<'f> {
    /// Of an error.
    own: HashMap<usize, &'f str>,
    /// The first of a connection, with its error.
    first: HashMap<&'f ConnectionName, (usize, &'f str)>,
}

impl<'f> TimersBehind<'f> {
    fn of(facts: &'f Facts<'_>) -> Self {
        let mut timers = Self::default();
        for timer in &facts.timers {
            let Some(index) = timer.error else { continue };
            timers.own.entry(index).or_insert(&timer.why);
            let connection = facts.errors[index].connection;
            let first = timers.first.entry(connection);
            first.or_insert((index, &timer.why));
        }
        timers
    }

    /// The sentence of the timer that is behind this error: its own, or the one that aborted its
    /// transaction. Other errors of the pod stand for themselves.
    fn behind(&self, facts: &Facts<'_>, index: usize) -> Option<&'f str> {
        let error = &facts.errors[index];
        if error.sqlstate == "25P02"
            && let Some((cause, why)) = self.first.get(error.connection)
            && *cause < index
        {
            return Some(why);
        }
        self.own.get(&index).copied()
    }
}

fn finding(facts: &Facts<'_>, error: &PodError<'_>) -> Finding {
    let what = if error.is_outside_steps() {
        format!("connection {}", error.connection)
    } else {
        step_words(error.step, facts.steps, error.connection, error.statement)
    };
    let mut why = format!(
        "{what} of pod {} failed with {}: {}",
        error.pod(),
        error.sqlstate,
        error.message
    );
    if error.wire.is_none() {
        why.push_str(" (told by the server's log only)");
    }
    if let Some(constraint) = &error.constraint
        && !error.message.contains(constraint.as_str())
    {
        why.push_str(&format!(" (constraint {constraint})"));
    }
    Finding {
        why,
        seqs: error.seqs.clone(),
        pod: Some(error.pod().clone()),
        sqlstate: Some(error.sqlstate.to_owned()),
        table: error.table.clone(),
        constraint: error.constraint.clone(),
        ..Finding::default()
    }
}
