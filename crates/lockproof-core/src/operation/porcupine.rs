//! Porcupine's events: one JSON object a call or a return, one a line.
//!
//! Owns the text. The fields are those of Porcupine's `Event` (model.go): `clientId`, `kind`, `value`
//! and `id`, with `kind` as a word where Porcupine has a constant. What may or may not have been done
//! returns with the outcome `unknown`: by then it was done, or not at all. Porcupine wants a return for
//! every call; as in its own reader of Jepsen's logs, what never returned does so at the end.

use std::io::{self, Write};

use serde::Serialize;

use super::edn::{by, function};
use super::terms::Outcome;
use super::timeline::Timeline;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a> {
    client_id: usize,
    kind: &'static str,
    id: usize,
    value: Value<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Value<'a> {
    Input {
        f: &'static str,
        lock: String,
        owner: &'a crate::name::ConnectionName,
        by: &'static str,
    },
    Output {
        outcome: &'static str,
    },
}

/// Writes the operations, one JSON object a line.
///
/// # Errors
/// When the output cannot be written.
pub fn write_porcupine(timeline: &Timeline<'_>, out: &mut impl Write) -> io::Result<()> {
    let open = timeline.left_open();
    for moment in timeline.moments.iter().chain(&open) {
        let one = &timeline.operations[moment.operation];
        let value = if moment.returns {
            Value::Output {
                outcome: match one.outcome {
                    Outcome::Ok => "ok",
                    Outcome::Fail => "fail",
                    Outcome::Info => "unknown",
                },
            }
        } else {
            Value::Input {
                f: function(one),
                lock: one.key.to_string(),
                owner: one.connection,
                by: by(one.by),
            }
        };
        let event = Event {
            client_id: moment.process,
            kind: if moment.returns { "return" } else { "call" },
            id: moment.operation,
            value,
        };
        serde_json::to_writer(&mut *out, &event)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}
