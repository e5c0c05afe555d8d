//! The witness: triggers in the run's database that log each write with the locks held at that moment,
//! advisory ones and those on tables in a mode that keeps its like out.
//!
//! Owns the triggers' SQL and the reading of their lines. A statement trigger sees writes in
//! functions, DO blocks, CTEs, COPY and cascades, which no parser sees; what it logs survives a
//! rollback. It fires after the statement, so that a lock that the statement itself takes is seen, and
//! before it, so that one is known that is younger than the statement's snapshot. How many rows were
//! changed, and in which partition, the server's own counters tell.

use std::collections::BTreeMap;

use serde::Deserialize;
use tokio_postgres::Client;

use super::error::{EvidenceError, bounded};
use super::log::LogRecord;
use crate::history::{
    Changed, Committing, Extent, Fate, HeldLock, HeldRow, Isolation, Operation, RowChange, RowMode,
    RowVersion, Write,
};
use crate::name::{KeyForm, LockKey, LockMode, Session, TableName};

const WROTE: &str = "lockproof-witness ";
const COMMITS: &str = "lockproof-commit ";
const ROW: &str = "lockproof-row ";

/// Makes the witness in a database; run once in the template. Needs a superuser (event triggers).
pub const WITNESS_SQL: &str = include_str!("witness.sql");

/// What the witness has lost since it was made: tables without its triggers, and what else it needs.
const LOST: &str = "
select n.nspname || '.' || c.relname
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p') and n.nspname not in ('lockproof', 'pg_catalog', 'information_schema')
  and n.nspname not like 'pg\\_%' and c.relpersistence <> 't'
  and (select count(*) from pg_catalog.pg_trigger t where t.tgrelid = c.oid and t.tgenabled = 'A'
       and t.tgname in ('zz_lockproof_witness', '!lockproof_begun')) < 2
union all select name from unnest(array['lockproof_ddl', 'lockproof_dropped']) name
where not exists (select 1 from pg_catalog.pg_event_trigger e where e.evtname = name and e.evtenabled = 'A')
union all select 'lockproof.watched_rows' where to_regclass('lockproof.watched_rows') is null
union all select 'lockproof.row_locks' where to_regclass('lockproof.row_locks') is null
union all select 'pg_catalog.lockproof_commits'
where not exists (select 1 from pg_catalog.pg_trigger t
                  where t.tgrelid = to_regclass('pg_catalog.lockproof_commits') and t.tgenabled = 'A')
order by 1";

/// The lock's table, where that has lost its trigger.
const LOST_ROW: &str = "
select distinct w.name from lockproof.watched_rows w
where not exists (select 1 from pg_catalog.pg_trigger t where t.tgrelid = w.relation and t.tgenabled = 'A'
                  and t.tgname = w.trigger)";
const WATCHED_ROWS: &str = "lockproof.watched_rows";

/// What became of transactions, each by the 32 bits of its id that `pg_locks` shows.
const FATES: &str = "
select x.id, pg_catalog.txid_status(x.id + (next.id - x.id) / 4294967296 * 4294967296)
from unnest($1::bigint[]) as x (id),
  (select pg_catalog.txid_snapshot_xmax(pg_catalog.txid_current_snapshot())) as next (id)
where x.id + (next.id - x.id) / 4294967296 * 4294967296 < next.id";

#[derive(Deserialize)]
struct Wrote {
    at: i64,
    table: String,
    op: String,
    locks: Vec<Row>,
    begun: Option<Vec<Row>>,
    rows: Option<Vec<(String, u64, Vec<String>)>>,
    #[serde(default)]
    above: Vec<String>,
    xact: Option<u64>,
    sub: Option<u32>,
    #[serde(default)]
    isolation: String,
    #[serde(default)]
    quiet: bool,
    held_rows: Option<Vec<RowLocked>>,
    #[serde(default)]
    usual: String,
}

#[derive(Deserialize)]
struct Commits {
    at: i64,
    xact: Option<u64>,
    locks: Vec<Row>,
}

#[derive(Deserialize)]
struct ChangedRow {
    at: i64,
    lock: usize,
    op: String,
    xact: Option<u64>,
    sub: Option<u32>,
    #[serde(default)]
    row: Option<String>,
    before: Option<Version>,
    after: Option<Version>,
}

#[derive(Deserialize)]
struct Version {
    by: u32,
    owner: Option<String>,
    until: Option<i64>,
    held: bool,
    #[serde(default)]
    done: bool,
    token: Option<i64>,
}

impl Version {
    /// The version at this moment of the server's clock.
    fn at(self, now: i64) -> RowVersion {
        RowVersion {
            made_by: self.by,
            owner: self.owner,
            until_us: self.until,
            held: self.held,
            done: self.done,
            expired: self.until.is_some_and(|until| until <= now),
            token: self.token,
        }
    }
}

/// A row of `pg_locks`: process id, database, classid, objid, objsubid, mode, granted; and the table, of
/// a lock on one.
type Row = (i32, u32, u32, u32, u8, String, bool, Option<String>);

/// A row that is locked: process id, transaction, table, row, mode.
type RowLocked = (i32, u32, String, String, String);

/// What a line of the witness tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Witnessed {
    /// Somebody wrote.
    Wrote {
        /// The write. What became of it is not known yet.
        write: Write,
        /// The innermost subtransaction that it was made in, by 32 bits: what becomes of that becomes of
        /// the write.
        inside: Option<u32>,
        /// Whether the session had silenced the log for whatever else it does.
        silenced: bool,
    },
    /// A transaction that had written under a lock of its own session is about to commit.
    Commits(Committing),
    /// The lock row was changed.
    Row {
        /// The change. What became of it is not known yet.
        change: RowChange,
        /// The innermost subtransaction that it was made in, by 32 bits.
        inside: Option<u32>,
    },
}

impl Witnessed {
    /// The subtransaction whose fate is that of what it tells.
    #[must_use]
    pub fn inside(&self) -> Option<u32> {
        match self {
            Self::Wrote { inside, .. } | Self::Row { inside, .. } => *inside,
            Self::Commits(_) => None,
        }
    }
}

/// What the witness tells in this record of the log; `None` if it is another kind of record.
#[must_use]
pub fn read_witness(record: &LogRecord) -> Option<Witnessed> {
    let session = Session {
        pid: record.pid,
        started_us: record.started_s * 1_000_000,
    };
    if let Some(text) = record.message.strip_prefix(COMMITS) {
        let line: Commits = serde_json::from_str(text).ok()?;
        return Some(Witnessed::Commits(Committing {
            server_us: line.at,
            session,
            connection: None,
            step: None,
            transaction: line.xact,
            locks: line.locks.into_iter().map(lock).collect(),
        }));
    }
    if let Some(text) = record.message.strip_prefix(ROW) {
        let line: ChangedRow = serde_json::from_str(text).ok()?;
        let change = RowChange {
            server_us: line.at,
            session,
            connection: None,
            step: None,
            lock: line.lock,
            by_lockproof: false,
            operation: operation(&line.op),
            row: line.row,
            before: line.before.map(|version| version.at(line.at)),
            after: line.after.map(|version| version.at(line.at)),
            transaction: line.xact,
            fate: None,
        };
        let inside = line.sub;
        return Some(Witnessed::Row { change, inside });
    }
    let text = record.message.strip_prefix(WROTE)?;
    let line: Wrote = serde_json::from_str(text).ok()?;
    let changed = |(table, rows, above)| Changed { table, rows, above };
    let write = Write {
        server_us: line.at,
        session,
        connection: None,
        step: None,
        table: line.table,
        operation: operation(&line.op),
        locks: line.locks.into_iter().map(lock).collect(),
        extent: Extent {
            begun: line
                .begun
                .map(|begun| begun.into_iter().map(lock).collect()),
            changed: line
                .rows
                .map(|rows| rows.into_iter().map(changed).collect()),
            above: line.above,
            transaction: line.xact,
            fate: None,
            isolation: isolation(&line.isolation),
            usual: isolation(&line.usual),
            rows: line.held_rows.map(held_rows),
        },
    };
    Some(Witnessed::Wrote {
        write,
        inside: line.sub,
        silenced: line.quiet,
    })
}

/// The level of this name, where a transaction has one snapshot in it.
fn isolation(name: &str) -> Option<Isolation> {
    match name {
        "repeatable read" => Some(Isolation::RepeatableRead),
        "serializable" => Some(Isolation::Serializable),
        _ => None,
    }
}

fn operation(word: &str) -> Operation {
    match word {
        "INSERT" => Operation::Insert,
        "UPDATE" => Operation::Update,
        "DELETE" => Operation::Delete,
        "TRUNCATE" => Operation::Truncate,
        other => Operation::Ddl(other.to_owned()),
    }
}

/// What the witness of this connection's database has lost: tables that it does not watch, and parts of
/// its own, by their names.
///
/// # Errors
/// When the server does not answer.
pub async fn lost_of_witness(client: &Client) -> Result<Vec<String>, EvidenceError> {
    let what = "whether the witness is whole";
    let rows = bounded(what, client.query(LOST, &[])).await?;
    let mut lost: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    // A job that drops lockproof's schema takes the list of lock rows along.
    if !lost.iter().any(|name| name == WATCHED_ROWS) {
        let rows = bounded(what, client.query(LOST_ROW, &[])).await?;
        lost.extend(rows.iter().map(|row| row.get::<_, String>(0)));
    }
    Ok(lost)
}

/// What became of these transactions, by 32 bits of their ids. One that the server does not know any
/// more is missing.
///
/// # Errors
/// When the server does not answer.
pub async fn fates(
    client: &Client,
    transactions: impl IntoIterator<Item = u32>,
) -> Result<BTreeMap<u32, Fate>, EvidenceError> {
    let ids: Vec<i64> = transactions.into_iter().map(i64::from).collect();
    let what = "what became of transactions";
    let rows = bounded(what, client.query(FATES, &[&ids])).await?;
    let mut found = BTreeMap::new();
    for row in rows {
        let fate = match row.get::<_, Option<&str>>(1) {
            Some("committed") => Fate::Committed,
            Some("aborted") => Fate::RolledBack,
            Some(_) => Fate::Open,
            None => continue,
        };
        if let Ok(id) = u32::try_from(row.get::<_, i64>(0)) {
            found.insert(id, fate);
        }
    }
    Ok(found)
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

fn held_rows(rows: Vec<RowLocked>) -> Vec<HeldRow> {
    let row = |(pid, transaction, table, row, mode): RowLocked| HeldRow {
        pid,
        transaction,
        table: TableName::new(&table),
        row,
        mode: RowMode::of_server_name(&mode).unwrap_or(RowMode::Alone),
    };
    rows.into_iter().map(row).collect()
}

/// From now on the witness looks at which rows of this table transactions have locked.
///
/// # Errors
/// When the server does not do it.
pub async fn watch_rows(client: &Client, table: TableName) -> Result<(), EvidenceError> {
    let sql = "insert into lockproof.row_locks values ($1) on conflict do nothing";
    let what = "that it took note of the lock's table";
    let name = table.as_str();
    bounded(what, client.execute(sql, &[&name])).await?;
    Ok(())
}

/// Which rows transactions have locked right now, and when that was (microseconds since 1970); `None` where the
/// witness does not look, or a job has dropped it.
///
/// # Errors
/// When the server does not answer.
pub async fn rows_locked(client: &Client) -> Result<Option<(i64, Vec<HeldRow>)>, EvidenceError> {
    let what = "which rows are locked";
    let there = "select to_regprocedure('lockproof.rows_locked()') is not null";
    if !bounded(what, client.query_one(there, &[]))
        .await?
        .get::<_, bool>(0)
    {
        return Ok(None);
    }
    let sql = "select (extract(epoch from clock_timestamp()) * 1000000)::bigint, lockproof.rows_locked()::text";
    let row = bounded(what, client.query_one(sql, &[])).await?;
    let Some(text) = row.get::<_, Option<String>>(1) else {
        return Ok(None);
    };
    let rows = serde_json::from_str(&text).map_err(|error| EvidenceError::Unreadable {
        what: "row locks",
        why: error.to_string(),
    })?;
    Ok(Some((row.get(0), held_rows(rows))))
}

/// Reads a `pg_locks` array as both the witness and the observer write it.
pub(super) fn read_locks(json: &str) -> Result<Vec<HeldLock>, serde_json::Error> {
    let rows: Vec<Row> = serde_json::from_str(json)?;
    Ok(rows.into_iter().map(lock).collect())
}
