//! The SQL expressions of a lock row: which row it is, who has it, until when.
//!
//! Owns their text. Knows nothing of when they are asked.

use crate::history::{Done, Expiry, LockRow};

/// How a column tells a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TimeType {
    /// `timestamptz`.
    Zoned,
    /// `timestamp`, read in the session's `TimeZone`.
    Local,
    /// Seconds, milliseconds or microseconds since 1970, by their size.
    Number,
}

/// The latest time there is, in microseconds since 1970: the end of what never ends.
pub(super) const NEVER: &str = "9000000000000000000";

/// A name in quotes.
pub(super) fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text in quotes.
pub(super) fn literal(text: &str) -> String {
    match text.contains('\\') {
        true => format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''")),
        false => format!("'{}'", text.replace('\'', "''")),
    }
}

/// Whether a record is the lock row.
pub(super) fn condition(rule: &LockRow, record: &str) -> String {
    let columns: Vec<String> = rule
        .row
        .iter()
        .map(|(column, value)| format!("{record}.{}::text = {}", ident(column), literal(value)))
        .collect();
    match columns.is_empty() {
        true => "true".to_owned(),
        false => columns.join(" and "),
    }
}

/// Until when a record is had, in microseconds since 1970.
pub(super) fn until(expiry: &Expiry, time: TimeType, record: &str) -> String {
    let column = format!("{record}.{}", ident(expiry.column()));
    let at = match time {
        TimeType::Zoned | TimeType::Local => format!(
            "case when {column} = 'infinity' then {NEVER} when {column} = '-infinity' then 0 else \
             least(extract(epoch from {column}::timestamptz)::numeric * 1000000, {NEVER})::bigint end"
        ),
        TimeType::Number => format!(
            "case when {column}::text in ('NaN', 'Infinity', '-Infinity') then null else \
             greatest(least({column}::numeric * {}, {NEVER}), 0)::bigint end",
            unit(&column)
        ),
    };
    let lease = i64::try_from(expiry.lease().as_micros()).unwrap_or(i64::MAX);
    // No overflow: what is added is less than what NEVER leaves.
    format!("(({at}) + {})", lease.min(100_000_000_000_000_000))
}

/// How many microseconds one of a number's units has: seconds, milliseconds and microseconds since 1970 differ in
/// size.
fn unit(column: &str) -> String {
    format!(
        "case when abs({column}) < 100000000000 then 1000000 when abs({column}) < 100000000000000 then 1000 else 1 end"
    )
}

/// The time of a column, so many microseconds earlier.
pub(super) fn moved(time: TimeType, column: &str, earlier_us: i64) -> String {
    match time {
        TimeType::Zoned | TimeType::Local => {
            format!("{column} - {earlier_us} * interval '1 microsecond'")
        }
        // Rounded away from now: what has passed has passed in every unit.
        TimeType::Number => {
            format!("{column} - ceil({earlier_us}::numeric / {})", unit(column))
        }
    }
}

/// Whether anybody has a record, its time aside.
pub(super) fn held(rule: &LockRow, time: Option<TimeType>, record: &str, table: &str) -> String {
    let mut all = Vec::new();
    // Of a queue the condition says it: who has claimed a row last may stand there when it is free again.
    let owner = rule.owner.as_ref().filter(|_| rule.queue.is_none());
    let expiry = rule.expiry.as_ref().filter(|_| rule.queue.is_none());
    if let Some(owner) = owner {
        all.push(format!(
            "nullif({record}.{}::text, '') is not null",
            ident(owner)
        ));
    } else if let (Some(expiry), Some(_)) = (expiry, time) {
        all.push(format!("{record}.{} is not null", ident(expiry.column())));
    }
    if let Some(held) = &rule.held {
        all.push(holds(held, record, table));
    }
    // Each row of the table is a claim unless a condition says which are.
    if all.is_empty() {
        all.push("true".to_owned());
    }
    format!("({})", all.join(" and "))
}

/// Whether a condition of the scenario's is true of a record.
fn holds(condition: &str, record: &str, table: &str) -> String {
    format!(
        "coalesce((select ({condition}) from (select {record}.*) as {}), false)",
        ident(table)
    )
}

/// A version of the row, as the trigger's line tells it.
pub(super) fn version(rule: &LockRow, time: Option<TimeType>, record: &str, table: &str) -> String {
    let owner = rule.owner.as_deref();
    let owner = owner.map_or("null".to_owned(), |owner| {
        format!("nullif({record}.{}::text, '')", ident(owner))
    });
    let until = match (&rule.expiry, time) {
        (Some(expiry), Some(time)) => until(expiry, time, record),
        _ => "null::bigint".to_owned(),
    };
    let token = rule.token.as_deref();
    let token = token.map_or("null::bigint".to_owned(), |token| {
        format!("{record}.{}::bigint", ident(token))
    });
    let done = match &rule.queue {
        Some(Done::When(done)) => holds(done, record, table),
        Some(Done::Deleted) | None => "false".to_owned(),
    };
    format!(
        "jsonb_build_object('by', {record}.xmin::text::bigint, 'owner', {owner}, 'until', {until}, 'held', {}, \
         'token', {token}, 'done', {done})",
        held(rule, time, record, table)
    )
}
