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

/// The names that the pods of a run give to what they create, without schemas.
#[must_use]
pub fn names_made(run: &Timeline<'_>) -> BTreeSet<String> {
    made(run.steps.values())
}

/// The errors that pods met in this run, on the wire and in the server's log. `names` are those that each run
/// made, this one being the one of that number: a name that only one of several runs makes is one that the job
/// makes up anew.
#[must_use]
pub fn known_errors_of(
    run: &Timeline<'_>,
    number: usize,
    names: &[BTreeSet<String>],
) -> BTreeSet<KnownError> {
    let others = |name: &&String| {
        let mut others = names
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != number);
        others.all(|(_, names)| !names.contains(*name))
    };
    let own = names.get(number).into_iter().flatten();
    let own: BTreeSet<String> = own
        .filter(others)
        .filter(|_| names.len() > 1)
        .cloned()
        .collect();
    let (errors, _) = errors(run.lines, &run.steps, &run.sessions);
    let known = errors.iter().map(|error| {
        let step = error.step.and_then(|step| run.steps.get(&step));
        let mut known = error.known(step);
        let statement = known.statement.as_deref();
        known.nameless = statement.and_then(|one| sql::nameless(one, &own));
        known
    });
    known.collect()
}
