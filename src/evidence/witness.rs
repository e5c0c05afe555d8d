//! The witness: triggers in the run's database that log each write with the advisory locks held
//! at that moment.
//!
//! Owns the triggers' SQL and the reading of their lines. A statement trigger sees writes in
//! functions, DO blocks, CTEs, COPY and cascades, which no parser sees; what it logs survives a
//! rollback. It fires after the statement, so that a lock that the statement itself takes is seen.

use serde::Deserialize;

use super::log::LogRecord;
use crate::history::{HeldLock, Operation, Write};
use crate::name::{KeyForm, LockKey, LockMode, Session};

const PREFIX: &str = "lockproof-witness ";

/// Makes the witness in a database; run once in the template. Needs a superuser (event triggers).
pub const WITNESS_SQL: &str = include_str!("witness.sql");

#[derive(Deserialize)]
struct Line {
    at: i64,
    table: String,
    op: String,
    locks: Vec<(i32, u32, u32, u32, u8, String, bool)>,
}

/// The write that this record of the log tells of; `None` if it is another kind of record.
#[must_use]
pub fn read_witness(record: &LogRecord) -> Option<Write> {
    let text = record.message.strip_prefix(PREFIX)?;
    let line: Line = serde_json::from_str(text).ok()?;
    Some(Write {
        server_us: line.at,
        session: Session {
            pid: record.pid,
            started_us: record.started_s * 1_000_000,
        },
        connection: None,
        step: None,
        table: line.table,
        operation: match line.op.as_str() {
            "INSERT" => Operation::Insert,
            "UPDATE" => Operation::Update,
            "DELETE" => Operation::Delete,
            "TRUNCATE" => Operation::Truncate,
            other => Operation::Ddl(other.to_owned()),
        },
        locks: line.locks.into_iter().map(lock).collect(),
    })
}

fn lock(
    (pid, database, high, low, form, mode, granted): (i32, u32, u32, u32, u8, String, bool),
) -> HeldLock {
    HeldLock {
        pid,
        key: LockKey {
            server: 0,
            database,
            form: if form == 2 {
                KeyForm::TwoInts
            } else {
                KeyForm::OneBigint
            },
            high,
            low,
        },
        mode: if mode == "ShareLock" {
            LockMode::Share
        } else {
            LockMode::Exclusive
        },
        granted,
    }
}

/// Reads a `pg_locks` array as both the witness and the observer write it.
pub(super) fn read_locks(json: &str) -> Result<Vec<HeldLock>, serde_json::Error> {
    let rows: Vec<(i32, u32, u32, u32, u8, String, bool)> = serde_json::from_str(json)?;
    Ok(rows.into_iter().map(lock).collect())
}
