//! The witness: triggers in the run's database that log each write with the locks held at that moment,
//! advisory ones and those on tables in a mode that keeps its like out.
//!
//! Owns the triggers' SQL and the reading of their lines. A statement trigger sees writes in
//! functions, DO blocks, CTEs, COPY and cascades, which no parser sees; what it logs survives a
//! rollback. It fires after the statement, so that a lock that the statement itself takes is seen.

use serde::Deserialize;

use super::log::LogRecord;
use crate::history::{HeldLock, Operation, Write};
use crate::name::{KeyForm, LockKey, LockMode, Session, TableName};

const PREFIX: &str = "lockproof-witness ";

/// Makes the witness in a database; run once in the template. Needs a superuser (event triggers).
pub const WITNESS_SQL: &str = include_str!("witness.sql");

#[derive(Deserialize)]
struct Line {
    at: i64,
    table: String,
    op: String,
    locks: Vec<Row>,
}

/// A row of `pg_locks`: process id, database, classid, objid, objsubid, mode, granted; and the table, of
/// a lock on one.
type Row = (i32, u32, u32, u32, u8, String, bool, Option<String>);

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

fn lock((pid, database, high, low, form, mode, granted, table): Row) -> HeldLock {
    let form = match (table, form) {
        (Some(table), _) => KeyForm::Relation(TableName::new(&table)),
        (None, 2) => KeyForm::TwoInts,
        (None, _) => KeyForm::OneBigint,
    };
    HeldLock {
        pid,
        key: LockKey {
            server: 0,
            database,
            form,
            high,
            low,
        },
        // A mode that nobody knows keeps all others out, for all that is known.
        mode: LockMode::of_server_name(&mode).unwrap_or(LockMode::AccessExclusive),
        granted,
    }
}

/// Reads a `pg_locks` array as both the witness and the observer write it.
pub(super) fn read_locks(json: &str) -> Result<Vec<HeldLock>, serde_json::Error> {
    let rows: Vec<Row> = serde_json::from_str(json)?;
    Ok(rows.into_iter().map(lock).collect())
}
