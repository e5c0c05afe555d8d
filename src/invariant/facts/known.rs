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
pub(crate) fn answered(request: &Request, error: &ServerError) -> KnownError {
    KnownError {
        sqlstate: error.sqlstate.clone(),
        statement: joined(&request.normal),
        table: error.table.clone(),
        constraint: error.constraint.clone(),
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
        }
    }
}

/// The errors that pods met in these runs, on the wire and in the server's log.
pub(crate) fn known_errors<'t, 'a: 't>(
    runs: impl Iterator<Item = &'t Timeline<'a>>,
) -> Vec<KnownError> {
    let mut found = BTreeSet::new();
    for timeline in runs {
        let steps = &timeline.steps;
        let (errors, _) = errors(timeline.lines, steps, &timeline.sessions);
        let known = |error: &PodError<'_>| {
            let step = error.step.and_then(|step| steps.get(&step));
            error.known(step)
        };
        found.extend(errors.iter().map(known));
    }
    found.into_iter().collect()
}
