//! Errors: every statement that failed, each counted once.
//!
//! Owns the way from wire and log to one error. Knows nothing of what is allowed to fail.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::strangers::StrangerError;
use crate::history::{Delivery, Event, Line, LogLine, ServerError};
use crate::name::{ConnectionName, PodName, Session, StepId};
use crate::timeline::{Sessions, StepFacts};

/// A statement of a pod that failed, or the end of a pod's session by the server.
#[derive(Debug)]
pub(crate) struct PodError<'a> {
    pub connection: &'a ConnectionName,
    pub session: Option<Session>,
    pub step: Option<StepId>,
    pub severity: &'a str,
    pub sqlstate: &'a str,
    pub message: &'a str,
    pub table: Option<String>,
    pub constraint: Option<String>,
    /// The statement, where only the log knows it.
    pub statement: Option<&'a str>,
    /// The line of the history that showed it on the wire.
    pub wire: Option<u64>,
    /// The server's clock, where the log told it (in whole milliseconds).
    pub server_us: Option<i64>,
    /// Whether the pod was told.
    pub heard: bool,
    /// The lines that show it.
    pub seqs: Vec<u64>,
}

impl PodError<'_> {
    /// Whose statement failed.
    pub fn pod(&self) -> &PodName {
        &self.connection.pod
    }

    /// Whether it was told outside any step: a connection refused, or a session ended.
    pub fn is_outside_steps(&self) -> bool {
        self.wire.is_some() && self.step.is_none()
    }
}

fn is_error(severity: &str) -> bool {
    matches!(severity, "ERROR" | "FATAL" | "PANIC")
}

/// Whether a backend may meet it before anybody knows whose it is: no connection to be had, not
/// let in, starting up, no such database.
fn is_start_up(log: &LogLine) -> bool {
    let class = log.sqlstate.get(..2);
    log.severity != "ERROR"
        && (matches!(class, Some("53" | "28")) || matches!(&*log.sqlstate, "57P03" | "3D000"))
}

/// The place of the error on the wire that this line of the log tells once more, taken from those that
/// no line has told yet: of its connection, and outside steps.
fn on_wire_already(
    errors: &[PodError<'_>],
    untold: &mut HashMap<&ConnectionName, Vec<usize>>,
    outside_steps: &mut BTreeSet<usize>,
    log: &LogLine,
) -> Option<usize> {
    let same = |i: &usize, outside: bool| {
        let error = &errors[*i];
        let step = match (error.step, log.step) {
            (Some(wire), Some(log)) => wire == log,
            _ => error.message == log.message,
        };
        let whose = match &log.connection {
            Some(connection) => error.connection == connection,
            None => outside && is_start_up(log),
        };
        whose
            && error.sqlstate == log.sqlstate
            && if outside {
                error.is_outside_steps()
            } else {
                step
            }
    };
    let own = log.connection.as_ref().and_then(|one| untold.get_mut(one));
    let found = match own {
        Some(own) => {
            let step = own.iter().position(|i| same(i, false));
            step.or_else(|| own.iter().position(|i| same(i, true)))
                .map(|at| own.remove(at))
        }
        None if log.connection.is_none() => {
            let place = *outside_steps.iter().find(|i| same(i, true))?;
            if let Some(own) = untold.get_mut(errors[place].connection) {
                own.retain(|other| *other != place);
            }
            Some(place)
        }
        None => None,
    };
    if let Some(place) = &found {
        outside_steps.remove(place);
    }
    found
}

/// All errors of pods' connections: those seen on the wire first, then those only the log knows;
/// and the errors of strangers.
pub(crate) fn errors<'a>(
    lines: &'a [Line],
    steps: &BTreeMap<StepId, StepFacts<'a>>,
    sessions: &Sessions<'a>,
) -> (Vec<PodError<'a>>, Vec<StrangerError<'a>>) {
    let mut errors: Vec<PodError> = steps
        .values()
        .flat_map(|step| step.endings.iter().map(move |end| (step, end)))
        .filter_map(|(step, end)| Some((step, end, end.answer.error.as_ref()?)))
        .filter(|(_, _, error)| is_error(&error.severity))
        .map(|(step, end, error)| PodError {
            connection: step.connection,
            session: step.session,
            step: Some(step.id),
            severity: &error.severity,
            sqlstate: &error.sqlstate,
            message: &error.message,
            table: named_table(error),
            constraint: named_constraint(error),
            statement: None,
            wire: Some(end.at.seq),
            server_us: None,
            heard: !matches!(
                step.delivery,
                Delivery::AnswerDropped | Delivery::AnswerReplaced
            ),
            seqs: vec![end.at.seq],
        })
        .chain(outside_steps(lines, sessions))
        .collect();
    errors.sort_by_key(|error| error.wire);
    // A step has one error; a second ending that repeats it says nothing new.
    errors.dedup_by(|later, first| {
        later.connection == first.connection
            && later.step == first.step
            && later.sqlstate == first.sqlstate
    });
    let mut untold: HashMap<&ConnectionName, Vec<usize>> = HashMap::new();
    let mut outside: BTreeSet<usize> = BTreeSet::new();
    for (place, error) in errors.iter().enumerate() {
        untold.entry(error.connection).or_default().push(place);
        if error.is_outside_steps() {
            outside.insert(place);
        }
    }
    let mut strangers = Vec::new();
    for line in lines {
        let Event::ServerLog(log) = &line.event else {
            continue;
        };
        if !is_error(&log.severity) {
            continue;
        }
        let same = on_wire_already(&errors, &mut untold, &mut outside, log);
        if let Some(i) = same {
            let error = &mut errors[i];
            error.seqs.push(line.seq);
            error.server_us = Some(log.server_us);
            error.table = error.table.take().or_else(|| table_of(log));
            error.constraint = error.constraint.take().or_else(|| constraint_of(log));
        } else if let Some(connection) = &log.connection {
            errors.push(PodError {
                connection,
                session: sessions
                    .at(log.pid, log.server_us, line.seq)
                    .map(|facts| facts.session),
                step: log.step,
                severity: &log.severity,
                sqlstate: &log.sqlstate,
                message: &log.message,
                table: table_of(log),
                constraint: constraint_of(log),
                statement: log.statement.as_deref(),
                wire: None,
                server_us: Some(log.server_us),
                heard: false,
                seqs: vec![line.seq],
            });
        } else {
            strangers.push(StrangerError { seq: line.seq, log });
        }
    }
    (errors, strangers)
}

/// Errors with which the server refused a connection or ended a session, outside any step.
fn outside_steps<'a>(
    lines: &'a [Line],
    sessions: &Sessions<'a>,
) -> impl Iterator<Item = PodError<'a>> {
    lines.iter().filter_map(|line| match &line.event {
        Event::SessionError { connection, error } if is_error(&error.severity) => Some(PodError {
            connection,
            session: sessions.of_connection(connection, line.seq),
            step: None,
            severity: &error.severity,
            sqlstate: &error.sqlstate,
            message: &error.message,
            table: named_table(error),
            constraint: named_constraint(error),
            statement: None,
            wire: Some(line.seq),
            server_us: None,
            heard: true,
            seqs: vec![line.seq],
        }),
        _ => None,
    })
}

/// The text between quotes after these words.
fn quoted<'t>(text: &'t str, words: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(words)?;
    rest.split_once('"').map(|(name, _)| name)
}

/// The first name that a message has in quotes.
pub(crate) fn quoted_name(message: &str) -> Option<&str> {
    message.split('"').nth(1)
}

/// The constraint that an error names: in its field, else in its message.
pub fn named_constraint(error: &ServerError) -> Option<String> {
    let field = error.constraint.clone();
    field.or_else(|| constraint_in(&error.message))
}

/// The table that an error names: in its field, else in its message. So an error is told alike whether
/// the server's log was read or not.
pub fn named_table(error: &ServerError) -> Option<String> {
    error.table.clone().or_else(|| table_in(&error.message))
}

/// The constraint that the log tells. It has no field for it.
pub(super) fn constraint_of(log: &LogLine) -> Option<String> {
    constraint_in(&log.message)
}

/// The table that the log tells.
pub(super) fn table_of(log: &LogLine) -> Option<String> {
    table_in(&log.message)
}

/// The constraint that a message names.
fn constraint_in(message: &str) -> Option<String> {
    quoted(message, " constraint \"").map(str::to_owned)
}

/// The table that a message names. Where a parent's deletion fails, the message names the parent
/// first and the table with the constraint last; the wire names the latter.
fn table_in(message: &str) -> Option<String> {
    let after_constraint = message
        .split_once(" constraint \"")
        .and_then(|(_, rest)| quoted(rest, " on table \""));
    after_constraint
        .or_else(|| quoted(message, " on table \""))
        .or_else(|| quoted(message, "relation \""))
        .map(str::to_owned)
}
