//! Ghosts: statements that went on on the server after their client was gone.
//!
//! Owns what became of each, by the server's own word: what its log says that the statement wrote,
//! how it failed, which lock it was granted, when its session ended. Judges nothing.

use std::collections::BTreeMap;

use super::facts::{Facts, operation_words};
use crate::history::{Ending, Event, LockAction};
use crate::name::{ConnectionName, PodName, StepId};

/// One statement that went on without its client.
#[derive(Debug)]
pub(super) struct Ghost<'a> {
    /// The line from which on it had no client.
    pub seq: u64,
    pub connection: &'a ConnectionName,
    pub step: StepId,
    /// The statement, as a step.
    pub what: String,
    /// What it wrote after that, by the server's log: each table once, with what was done to it.
    pub wrote: Vec<(&'a str, String)>,
    /// What became of it, in a sentence without a subject.
    became: String,
}

impl Ghost<'_> {
    /// Whose it was.
    pub fn pod(&self) -> &PodName {
        &self.connection.pod
    }

    /// `step 7 on a.0, "insert …", of pod a ran after its client was gone (line 70): …`.
    pub fn words(&self) -> String {
        format!(
            "ghost: {} of pod {} was still on the server when its client was gone (line {}): it {}",
            self.what,
            self.pod(),
            self.seq,
            self.became
        )
    }
}

/// All ghosts of a run, in their order.
pub(super) fn ghosts<'a>(facts: &Facts<'a>) -> Vec<Ghost<'a>> {
    let mut ghosts = Vec::new();
    for line in facts.lines {
        if let Event::Ghost {
            step, connection, ..
        } = &line.event
        {
            let wrote = wrote(facts, *step);
            ghosts.push(Ghost {
                seq: line.seq,
                connection,
                step: *step,
                what: facts
                    .steps
                    .get(step)
                    .map_or_else(|| format!("{step} on {connection}"), |step| step.words()),
                became: became(facts, *step, connection, line.seq, &wrote),
                wrote,
            });
        }
    }
    ghosts
}

/// The protected tables that a step wrote, by the witness's lines in the server's log.
fn wrote<'a>(facts: &Facts<'a>, step: StepId) -> Vec<(&'a str, String)> {
    let mut tables: BTreeMap<&str, String> = BTreeMap::new();
    for write in &facts.writes {
        if write.step == Some(step) {
            tables
                .entry(write.table)
                .or_insert_with(|| operation_words(write.operation).to_owned());
        }
    }
    tables.into_iter().collect()
}

fn became(
    facts: &Facts<'_>,
    step: StepId,
    connection: &ConnectionName,
    seq: u64,
    wrote: &[(&str, String)],
) -> String {
    let known = facts.steps.get(&step);
    let end = known
        .and_then(|step| step.last())
        .filter(|end| end.at.seq > seq && end.ending != Ending::Blocked);
    let session = known.and_then(|step| step.session);
    let gone = session
        .and_then(|session| facts.sessions.of(session)?.gone)
        .filter(|gone| *gone > seq);
    let mut parts = Vec::new();
    if !wrote.is_empty() {
        let tables: Vec<String> = wrote
            .iter()
            .map(|(table, operation)| format!("{table} ({operation})"))
            .collect();
        parts.push(format!(
            "ran all the same and wrote {}, as the server's log shows",
            tables.join(", ")
        ));
    }
    let error = facts
        .errors
        .iter()
        .find(|error| error.step == Some(step) && error.connection == connection);
    if let Some(error) = error {
        parts.push(format!(
            "failed then with {}: {}",
            error.sqlstate, error.message
        ));
    }
    for call in known.into_iter().flat_map(|step| &step.request.lock_calls) {
        let asks = matches!(call.action, LockAction::Lock | LockAction::TryLock);
        let grant = facts.grants.iter().find(|grant| {
            Some(grant.session) == session
                && grant.from > seq
                && call.key.is_some_and(|key| key.same_key(&grant.key))
        });
        if let Some(grant) = grant.filter(|_| asks) {
            let back = grant.end.map_or_else(
                || "and never gave it back".to_owned(),
                |(end, _)| format!("and had it until line {end}"),
            );
            parts.push(format!(
                "was granted lock {} at line {}, {back}",
                grant.key, grant.from
            ));
        }
    }
    if parts.is_empty() {
        parts.push(match (end.map(|end| end.ending), facts.run.witness) {
            (Some(Ending::Done), true) => "ran to its end and wrote no protected table".to_owned(),
            (Some(Ending::Done), false) => {
                "ran to its end; without the witness the log does not tell what it wrote".to_owned()
            }
            _ if gone.is_some() => "did nothing more".to_owned(),
            _ => "may still be at work".to_owned(),
        });
    }
    match gone {
        Some(gone) => format!("{}; its session was gone at line {gone}", parts.join("; ")),
        None => parts.join("; "),
    }
}
