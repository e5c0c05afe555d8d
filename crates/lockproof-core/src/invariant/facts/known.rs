//! Errors as clean and serial runs know them.
//!
//! Owns what makes an error of one run that of another: SQLSTATE, statement, table and constraint. Knows
//! nothing of what is allowed to fail.

use std::collections::BTreeSet;

use super::errors::{PodError, constraint_of, errors, table_of};
use crate::history::{KnownError, LogLine, Request, ServerError};
use crate::sql;
use crate::timeline::{StepFacts, Timeline};

/// What the normal form of a statement that is only prepared begins with.
pub(crate) const PREPARE: &str = "/* prepare */ ";

/// Normal forms of the statements of one request in one text; preparing one is not told from executing it.
fn joined(normal: &[String]) -> Option<String> {
    let bare = |one: &String| one.strip_prefix(PREPARE).unwrap_or(one).to_owned();
    let all: Vec<String> = normal.iter().map(bare).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

/// The error that a request was answered.
pub fn answered(request: &Request, error: &ServerError) -> KnownError {
    KnownError {
        sqlstate: error.sqlstate.clone(),
        statement: joined(&request.normal),
        table: error.table.clone(),
        constraint: error.constraint.clone(),
        nameless: None,
    }
}

/// The error that a line of the log tells.
pub(crate) fn logged(log: &LogLine) -> KnownError {
    let text = log.statement.as_deref();
    KnownError {
        sqlstate: log.sqlstate.clone(),
        statement: text.and_then(|text| joined(&sql::meaning(text, &[]).normal)),
        table: table_of(log),
        constraint: constraint_of(log),
        nameless: None,
    }
}

impl PodError<'_> {
    /// This error, told without the run that it is of; `step` is the one that met it.
    pub fn known(&self, step: Option<&StepFacts<'_>>) -> KnownError {
        let of_log = || joined(&sql::meaning(self.statement?, &[]).normal);
        KnownError {
            sqlstate: self.sqlstate.to_owned(),
            statement: step.map_or_else(of_log, |step| joined(&step.request.normal)),
            table: self.table.clone(),
            constraint: self.constraint.clone(),
            nameless: None,
        }
    }
}

/// Names of what these steps create, without their schemas.
pub(crate) fn made<'s, 'a: 's>(steps: impl Iterator<Item = &'s StepFacts<'a>>) -> BTreeSet<String> {
    let texts = steps.flat_map(|step| &step.request.sql);
    let objects = texts.flat_map(|text| sql::created(text));
    let last = |name: String| name.rsplit('.').next().map(str::to_owned);
    objects.filter_map(|object| last(object.name)).collect()
}

/// The errors that pods met in these runs, on the wire and in the server's log. A name that only one of several
/// runs makes is one that the job makes up anew.
pub fn known_errors<'t, 'a: 't>(runs: impl Iterator<Item = &'t Timeline<'a>>) -> Vec<KnownError> {
    let runs: Vec<&Timeline<'a>> = runs.collect();
    let names: Vec<BTreeSet<String>> = runs.iter().map(|run| made(run.steps.values())).collect();
    let mut found = BTreeSet::new();
    for (number, timeline) in runs.iter().enumerate() {
        let steps = &timeline.steps;
        let others = |name: &&String| {
            let mut others = names
                .iter()
                .enumerate()
                .filter(|(other, _)| *other != number);
            others.all(|(_, names)| !names.contains(*name))
        };
        let own = names[number].iter().filter(others).cloned();
        let own: BTreeSet<String> = own.filter(|_| names.len() > 1).collect();
        let (errors, _) = errors(timeline.lines, steps, &timeline.sessions);
        for error in &errors {
            let step = error.step.and_then(|step| steps.get(&step));
            let mut known = error.known(step);
            let statement = known.statement.as_deref();
            known.nameless = statement.and_then(|one| sql::nameless(one, &own));
            found.insert(known);
        }
    }
    found.into_iter().collect()
}
