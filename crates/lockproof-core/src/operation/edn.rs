//! Jepsen's EDN: one map an operation's event, one a line, as `history.edn` has it.
//!
//! Owns the text. The words are those of Jepsen's `history` library (README, "Operation Structure"):
//! `:type` is `:invoke`, `:ok`, `:fail` or `:info`; `:time` is in nanoseconds; `:index` counts from 0.
//! `:f` is `:acquire` and `:release`, as Knossos's mutex knows them, for exclusive locks, and
//! `:acquire-share` and `:release-share` for share locks, which it does not know.

use std::io::{self, Write};

use super::terms::{Action, By, LockOperation, Outcome, Reason};
use super::timeline::Timeline;
use crate::name::{KeyForm, LockKey};

/// Writes the operations, one map a line.
///
/// # Errors
/// When the output cannot be written.
pub fn write_edn(timeline: &Timeline<'_>, out: &mut impl Write) -> io::Result<()> {
    let open = timeline.left_open();
    for (index, moment) in timeline.moments.iter().chain(&open).enumerate() {
        let one = &timeline.operations[moment.operation];
        let kind = match (moment.returns, one.outcome) {
            (false, _) => "invoke",
            (true, Outcome::Ok) => "ok",
            (true, Outcome::Fail) => "fail",
            (true, Outcome::Info) => "info",
        };
        write!(
            out,
            "{{:index {index}, :type :{kind}, :process {}, :f :{}, :value {{:lock {}, :owner {}, \
             :by :{}}}, :time {}",
            moment.process,
            function(one),
            key(&one.key),
            text(&one.connection.to_string()),
            by(one.by),
            moment.place.at_us.saturating_mul(1000),
        )?;
        if moment.returns
            && let Some(reason) = one.reason
        {
            write!(out, ", :error {}", error(reason))?;
        }
        writeln!(out, ", :line {}}}", moment.place.line)?;
    }
    Ok(())
}

/// What was asked, in one word.
pub(super) fn function(one: &LockOperation<'_>) -> &'static str {
    match (one.action, one.mode.keeps_its_like_out()) {
        (Action::Acquire, true) => "acquire",
        (Action::Release, true) => "release",
        (Action::Acquire, false) => "acquire-share",
        (Action::Release, false) => "release-share",
    }
}

/// Who did it, in one word.
pub(super) fn by(by: By) -> &'static str {
    match by {
        By::Client => "client",
        By::System => "system",
        By::Unseen => "unseen",
    }
}

fn key(key: &LockKey) -> String {
    match key.form {
        KeyForm::OneBigint => key.to_string(),
        KeyForm::TwoInts => format!("[{} {}]", key.high.cast_signed(), key.low.cast_signed()),
        KeyForm::Relation(table) => text(table.as_str()),
    }
}

fn error(reason: Reason<'_>) -> String {
    match reason {
        Reason::Refused => ":refused".to_owned(),
        Reason::NotHeld => ":not-held".to_owned(),
        Reason::NoAnswer => ":no-answer".to_owned(),
        Reason::Failed(sqlstate) => format!("[:sqlstate {}]", text(sqlstate)),
    }
}

/// A string; EDN's escapes are those of JSON.
fn text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
