//! Gates in the middle of steps: triggers at which one session alone stands until it is let go.
//!
//! Owns their SQL, the session that closes and opens them, and which locks are theirs. A trigger's condition, which is
//! always false, tries a lock that belongs to its own session and gives it back at once; while this session has that
//! lock the other one stands there. They are made only in the database of a run that stops inside a step. Knows nothing
//! of schedules: which step stands when is the conductor's affair.
//!
//! While it keeps a gate closed this session waits for nothing, or the server's deadlock check could end the step that
//! stands: it only tries locks.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use tokio_postgres::{Client, Statement};

use super::error::{EvidenceError, bounded};
use crate::history::HeldLock;
use crate::name::KeyForm;
use crate::schedule::InnerPoint;

/// Makes what the triggers call.
const GATES_SQL: &str = include_str!("gates.sql");

/// The first half of the key of a gate is this and the process id of the session that stands at it.
const BASE: i32 = 1_400_000_000;

/// How long a step may take from one row to the next.
const NEXT_ROW: Duration = Duration::from_secs(30);

/// How often the server is asked whether it has come there.
const BETWEEN_QUESTIONS: Duration = Duration::from_micros(500);

/// At which point a session stands, and whether it is still at its statement and goes on by itself. That it waits for a
/// lock is told by the lock, which is looked at once: its state tells it late.
const WHERE: &str = "
with awaited as materialized (
  select l.locktype, l.classid::bigint as high, l.objid::bigint as low
  from pg_catalog.pg_locks l where l.pid = $1 and not l.granted)
select (select low from awaited where locktype = 'advisory' and high = 1400000000 + $1),
  not exists (select from awaited)
  and coalesce((select a.state = 'active' and coalesce(a.wait_event_type, '') <> 'Client'
                from pg_catalog.pg_stat_get_activity($1) a), false)";

/// Why there can be no gate.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// The server.
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
    /// A schedule stops at a table that is not there.
    #[error(
        "the schedule stops inside a step at {table:?}, and the run's database has no such table when a run begins; a \
         view, a temporary table and a table that the job makes itself cannot be stopped at"
    )]
    NoTable {
        /// Its name.
        table: String,
    },
    /// Somebody else has the lock of a gate.
    #[error("a gate could not be closed: somebody else has its lock, {high}, {low}")]
    Taken {
        /// The first half of its key.
        high: i32,
        /// The second half.
        low: i32,
    },
}

/// The gates of a run's database.
#[derive(Debug)]
pub struct Gates {
    client: Client,
    pid: i32,
    close: Statement,
    open: Statement,
    at: Statement,
    /// The points of the tables at which the schedule stops.
    points: BTreeMap<InnerPoint, Vec<i32>>,
    /// Which points are closed, for whom.
    closed: BTreeMap<i32, BTreeSet<i32>>,
}

impl Gates {
    /// Makes gates for these points, over a connection that stays theirs.
    ///
    /// # Errors
    /// When a table is not there, or the server refuses.
    pub async fn new(
        client: Client,
        points: impl Iterator<Item = &InnerPoint>,
    ) -> Result<Self, GateError> {
        let what = "that it made gates";
        bounded(what, client.batch_execute(GATES_SQL)).await?;
        let mut made: BTreeMap<(String, bool), Vec<i32>> = BTreeMap::new();
        let mut all = BTreeMap::new();
        for point in points {
            let key = (point.table.to_lowercase(), point.row.is_some());
            if !made.contains_key(&key) {
                let sql = "select lockproof.gates($1, $2)";
                let row = bounded(what, client.query_one(sql, &[&key.0, &key.1])).await?;
                made.insert(key.clone(), row.get(0));
            }
            let found = made.get(&key).cloned().unwrap_or_default();
            if found.is_empty() {
                let table = point.table.clone();
                return Err(GateError::NoTable { table });
            }
            all.insert(point.clone(), found);
        }
        let pid = bounded(what, client.query_one("select pg_backend_pid()", &[])).await?;
        let close = "select pg_catalog.pg_try_advisory_lock(1400000000 + $1::int, $2::int)";
        let open = "select pg_catalog.pg_advisory_unlock(1400000000 + $1::int, $2::int)";
        Ok(Self {
            pid: pid.get(0),
            close: bounded(what, client.prepare(close)).await?,
            open: bounded(what, client.prepare(open)).await?,
            at: bounded(what, client.prepare(WHERE)).await?,
            client,
            points: all,
            closed: BTreeMap::new(),
        })
    }

    /// The session that keeps them closed.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Closes this gate for a session.
    ///
    /// # Errors
    /// When the server does not do it.
    pub async fn close(&mut self, session: i32, at: &InnerPoint) -> Result<(), GateError> {
        for base in self.points.get(at).cloned().unwrap_or_default() {
            let point = base + i32::from(at.row.is_some());
            self.close_point(session, point).await?;
        }
        Ok(())
    }

    /// Lets a session that stands behind its first row go on to this one: for each row through two doors, of which one
    /// is always closed. Whether it stands there; else all is open, and it has ended or waits for something else.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn pass_rows(&mut self, session: i32, at: &InnerPoint) -> Result<bool, GateError> {
        for _ in 1..at.row.unwrap_or(1) {
            for (here, other) in [(1, 2), (2, 1)] {
                let bases = self.points.get(at).cloned().unwrap_or_default();
                for base in &bases {
                    self.close_point(session, base + other).await?;
                }
                for base in &bases {
                    self.open_point(session, base + here).await?;
                }
                let wanted: Vec<i32> = bases.iter().map(|base| base + other).collect();
                if !self.comes_to(session, &wanted).await? {
                    self.open(session).await?;
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Opens every gate that is closed for this session.
    ///
    /// # Errors
    /// When the server does not do it.
    pub async fn open(&mut self, session: i32) -> Result<(), GateError> {
        for point in self.closed.get(&session).cloned().unwrap_or_default() {
            self.open_point(session, point).await?;
        }
        Ok(())
    }

    async fn close_point(&mut self, session: i32, point: i32) -> Result<(), GateError> {
        let what = "that it closed a gate";
        let closed = bounded(
            what,
            self.client.query_one(&self.close, &[&session, &point]),
        )
        .await?;
        if !closed.get::<_, bool>(0) {
            let (high, low) = (BASE.saturating_add(session), point);
            return Err(GateError::Taken { high, low });
        }
        self.closed.entry(session).or_default().insert(point);
        Ok(())
    }

    async fn open_point(&mut self, session: i32, point: i32) -> Result<(), GateError> {
        let what = "that it opened a gate";
        bounded(what, self.client.query_one(&self.open, &[&session, &point])).await?;
        if let Some(closed) = self.closed.get_mut(&session) {
            closed.remove(&point);
        }
        Ok(())
    }

    /// Waits until a session stands at one of these points. Whether it does, and has not ended or stopped elsewhere.
    async fn comes_to(&self, session: i32, points: &[i32]) -> Result<bool, GateError> {
        let what = "that a step came to its next row";
        let begun = Instant::now();
        loop {
            let row = bounded(what, self.client.query_one(&self.at, &[&session])).await?;
            let stands: Option<i64> = row.get(0);
            let stands = stands.and_then(|point| i32::try_from(point).ok());
            if stands.is_some_and(|point| points.contains(&point)) {
                return Ok(true);
            }
            if stands.is_none() && !row.get::<_, bool>(1) {
                return Ok(false);
            }
            if begun.elapsed() > NEXT_ROW {
                let limit = NEXT_ROW;
                return Err(EvidenceError::Timeout { what, limit }.into());
            }
            tokio::time::sleep(BETWEEN_QUESTIONS).await;
        }
    }
}

/// Whether this lock is a gate's: it is had by the session that keeps them, or awaited by the one that it belongs to.
#[must_use]
pub fn is_of_gate(lock: &HeldLock, keeper: i32) -> bool {
    let stands = i64::from(lock.key.high) - i64::from(BASE);
    lock.key.form == KeyForm::TwoInts && (lock.pid == keeper || i64::from(lock.pid) == stands)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::{LockKey, LockMode};

    #[test]
    fn a_lock_is_a_gates_only_if_its_keeper_or_its_own_session_has_it() {
        let lock = |pid, high, form| HeldLock {
            pid,
            key: LockKey {
                server: 0,
                database: 1,
                form,
                high,
                low: 8,
            },
            mode: LockMode::Share,
            granted: false,
        };
        assert!(is_of_gate(&lock(77, 1_400_000_077, KeyForm::TwoInts), 5));
        assert!(is_of_gate(&lock(5, 1_400_000_077, KeyForm::TwoInts), 5));
        assert!(!is_of_gate(&lock(78, 1_400_000_077, KeyForm::TwoInts), 5));
        assert!(!is_of_gate(&lock(77, 1_400_000_077, KeyForm::OneBigint), 5));
    }
}
