//! What a step asks, as the history has it.
//!
//! Owns the way from the gate's text to that. What a statement means is `sql`'s.

use crate::history::{Beside, Digest, Request};
use crate::schedule::PREPARE;
use crate::sql;
use crate::wire::{StepKind, StepText};

/// SQL is cut at this many characters in the history.
const SQL_KEPT: usize = 2_000;

/// What a step asks, as the history has it.
pub(super) fn read_request(text: &StepText) -> Request {
    let mut request = Request {
        prepares: text.kind == StepKind::Preparation,
        ..Request::default()
    };
    let mut look_ups = 0;
    for statement in &text.statements {
        let parameters: Vec<sql::Parameter<'_>> = statement
            .parameters
            .iter()
            .map(|parameter| sql::Parameter {
                bytes: parameter.bytes.as_deref(),
                binary: parameter.binary,
                type_oid: parameter.type_oid,
            })
            .collect();
        let meaning = sql::meaning(&statement.sql, &parameters);
        look_ups += usize::from(meaning.look_up);
        let kept: String = statement.sql.chars().take(SQL_KEPT).collect();
        if statement.executes {
            // A simple Query may hold several statements, and a stop may name any of them.
            let mut single = sql::statements(&kept);
            if single.len() > 1 {
                request.sql.append(&mut single);
            } else {
                request.sql.push(kept);
            }
            request.normal.extend(meaning.normal);
            request.lock_calls.extend(meaning.lock_calls);
            request.writes.extend(meaning.writes);
            request.opaque |= meaning.opaque;
        } else {
            request.sql.push(format!("{PREPARE} {kept}"));
            request.normal.extend(
                meaning
                    .normal
                    .iter()
                    .map(|normal| format!("{PREPARE} {normal}")),
            );
        }
    }
    request.digest = Beside(Digest::of_all(text.statements.iter().map(|one| one.digest)));
    request.look_up = match text.kind {
        StepKind::Sync { commits } => !commits,
        _ => !text.statements.is_empty() && look_ups == text.statements.len(),
    };
    request
}
