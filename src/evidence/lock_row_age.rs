//! The passing of time for a lock that is a row: its end comes nearer.
//!
//! Owns that one change, in a transaction of its own, without the job's triggers. Knows nothing of when it is to happen.

use std::time::Duration;

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Row};

use super::error::{EvidenceError, bounded};
use super::lock_row::{FoundRow, find_row};
use super::lock_row_sql::{NEVER, TimeType, condition, held, ident, literal, moved, until};
use crate::history::{Expiry, LockRow};

/// What is asked of the server where time is to pass.
const AGES: &str = "whether the lock row's time could pass";
/// By so many microseconds a time may be rounded where a column stores it: none is coarser than a second.
const ROUNDED: i64 = 1_000_000;

/// How the passing of a lease's time came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Aged {
    /// Its end is so much nearer now, in words.
    Nearer(String),
    /// There is nothing whose time could pass.
    Nothing(String),
    /// Somebody has the row locked, or the server refused.
    Refused(String),
}

/// Lets time pass for a lock row: its end comes `by` nearer, or, where that is nothing, lies just behind now. In
/// one transaction, with the job's triggers off; a row that somebody has locked is not waited for.
///
/// # Errors
/// When the server does not answer.
pub async fn age_row(client: &Client, rule: &LockRow, by: Duration) -> Result<Aged, EvidenceError> {
    let Some(expiry) = &rule.expiry else {
        let why = format!(
            "{} has no expiry: no time takes it from its owner",
            rule.words()
        );
        return Ok(Aged::Nothing(why));
    };
    // Nothing here waits for a pod: whoever has the table or the row locked is told of instead.
    let begin = "begin; set local lock_timeout = '1s'; set local statement_timeout = '10s'";
    bounded(AGES, client.batch_execute(begin)).await?;
    let done = aged(client, rule, expiry, by).await;
    let end = match done {
        Ok(Aged::Nearer(_)) => "commit",
        _ => "rollback",
    };
    bounded(AGES, client.batch_execute(end)).await?;
    match done {
        Err(EvidenceError::Query { source, .. })
            if source.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) =>
        {
            Ok(Aged::Refused(format!(
                "somebody has {} locked: while a transaction holds the row, no take-over can come, however late it is",
                rule.words()
            )))
        }
        Err(EvidenceError::Query { source, .. }) if source.as_db_error().is_some() => {
            Ok(Aged::Refused(format!(
                "the server refused to change {}: {}",
                rule.words(),
                super::error::text(&source)
            )))
        }
        done => done,
    }
}

async fn aged(
    client: &Client,
    rule: &LockRow,
    expiry: &Expiry,
    by: Duration,
) -> Result<Aged, EvidenceError> {
    let found = match find_row(client, rule).await? {
        Ok(found) => found,
        Err(why) => return Ok(Aged::Nothing(why)),
    };
    let Some(time) = found.time else {
        return Ok(Aged::Nothing(format!("{} has no time", rule.words())));
    };
    if let Some(zone) = zone(client, time).await? {
        let set = format!("set local timezone = {}", literal(&zone));
        bounded(AGES, client.batch_execute(&set)).await?;
    }
    change(client, &found, expiry, time, by).await
}

/// In which time zone the row's times without one were written, where that is known.
async fn zone(client: &Client, time: TimeType) -> Result<Option<String>, EvidenceError> {
    let watched = "select pg_catalog.to_regclass('lockproof.row_zones') is not null";
    if time != TimeType::Local
        || !bounded(AGES, client.query_one(watched, &[]))
            .await?
            .get::<_, bool>(0)
    {
        return Ok(None);
    }
    let asked = "select zone from lockproof.row_zones order by at desc limit 1";
    let row = bounded(AGES, client.query_opt(asked, &[])).await?;
    Ok(row.map(|row| row.get(0)))
}

async fn change(
    client: &Client,
    found: &FoundRow,
    expiry: &Expiry,
    time: TimeType,
    by: Duration,
) -> Result<Aged, EvidenceError> {
    // The job's triggers and rules see nothing of it; lockproof's own are always on.
    let quiet = "set local session_replication_role = replica";
    bounded(AGES, client.batch_execute(quiet)).await?;
    let (schema, table) = found.names();
    let from = format!("{}.{}", ident(schema), ident(table));
    let held = held(&found.rule, Some(time), "r", table);
    let until = until(expiry, time, "r");
    let now = "(extract(epoch from clock_timestamp()) * 1000000)::bigint";
    if found.rule.queue.is_some() {
        let which = format!("{held} and {until} > {now} and {until} < {NEVER}");
        return all_claims(
            client,
            &found.rule,
            &from,
            (&which, &until, now),
            (expiry, time, by),
        )
        .await;
    }
    let which = condition(&found.rule, "r");
    let looked = format!(
        "select {held}, {until} - {now}, {until} >= {NEVER} from {from} r where {which} for update nowait"
    );
    let locked = bounded(AGES, client.query_opt(&looked, &[])).await?;
    let row = found.rule.words();
    let Some(locked) = locked else {
        return Ok(Aged::Nothing(format!("{row} is not there")));
    };
    let left: Option<i64> = locked.get(1);
    let (true, Some(left)) = (locked.get::<_, bool>(0), left) else {
        return Ok(Aged::Nothing(format!("nobody has {row}")));
    };
    if locked.get::<_, Option<bool>>(2) == Some(true) {
        return Ok(Aged::Nothing(format!("the time of {row} never passes")));
    }
    if left <= 0 {
        return Ok(Aged::Nothing(format!(
            "the time of {row} had passed already"
        )));
    }
    let nearer = so_much(by, left);
    let column = ident(expiry.column());
    let moved = moved(time, &column, nearer);
    // What counts is what stands there afterwards, whatever else the server did with it.
    let update = format!(
        "update {from} as r set {column} = {moved} where {which} returning {until} - {now}"
    );
    let rows = bounded(AGES, client.query(&update, &[])).await?;
    let [after] = rows.as_slice() else {
        return Ok(Aged::Refused(format!(
            "{} rows were changed where one was meant",
            rows.len()
        )));
    };
    let after: Option<i64> = after.get(0);
    if after.is_none_or(|after| after > left.saturating_sub(nearer).saturating_add(ROUNDED)) {
        return Ok(Aged::Refused(format!(
            "{row} was changed, and its end did not come nearer by as much: another trigger or rule sets it"
        )));
    }
    let words = match by.is_zero() {
        true => format!("{} ms that were left have passed for {row}", left / 1_000),
        false => format!(
            "{} ms have passed for {row}, of {} that were left",
            nearer / 1_000,
            left / 1_000
        ),
    };
    Ok(Aged::Nearer(words))
}

/// By how much an end comes nearer that is so far away.
fn so_much(by: Duration, left: i64) -> i64 {
    // Just behind now: a clock that counts milliseconds shows it, too.
    match u64::try_from(by.as_micros()) {
        Ok(0) | Err(_) => left.saturating_add(2_000),
        Ok(by) => i64::try_from(by).unwrap_or(i64::MAX),
    }
}

/// Lets time pass for all rows of a queue that are claimed and whose time has not passed.
async fn all_claims(
    client: &Client,
    rule: &LockRow,
    from: &str,
    (which, until, now): (&str, &str, &str),
    (expiry, time, by): (&Expiry, TimeType, Duration),
) -> Result<Aged, EvidenceError> {
    let looked = format!("select {until} - {now} from {from} r where {which} for update nowait");
    let rows = bounded(AGES, client.query(&looked, &[])).await?;
    let Some(left) = rows.iter().map(|row| row.get::<_, i64>(0)).max() else {
        return Ok(Aged::Nothing(format!(
            "no row of {} is claimed whose time could pass",
            rule.words()
        )));
    };
    let nearer = so_much(by, left);
    let column = ident(expiry.column());
    let moved = moved(time, &column, nearer);
    let update = format!(
        "update {from} as r set {column} = {moved} where {which} returning {until} - {now}"
    );
    let changed = bounded(AGES, client.query(&update, &[])).await?;
    let most = left.saturating_sub(nearer).saturating_add(ROUNDED);
    let came = |row: &Row| {
        row.get::<_, Option<i64>>(0)
            .is_some_and(|after| after <= most)
    };
    if changed.is_empty() || !changed.iter().all(came) {
        return Ok(Aged::Refused(format!(
            "the claims of {} were changed, and their ends did not come nearer by as much: another trigger or rule \
             sets them",
            rule.words()
        )));
    }
    Ok(Aged::Nearer(format!(
        "{} ms have passed for {} claimed rows of {}",
        nearer / 1_000,
        changed.len(),
        rule.words()
    )))
}
