//! What the server shows of sessions and locks right now.
//!
//! Owns the questions to `pg_locks` and `pg_stat_activity`, prepared once, over one connection of
//! the harness's own.

use std::collections::{BTreeSet, HashMap};

use tokio_postgres::{Client, Statement};

use super::error::{EvidenceError, bounded};
use super::witness::read_locks;
use crate::history::HeldLock;
use crate::name::{LockMode, Session, TableName};

pub use crate::conductor::Activity;

/// Asks the server what it shows.
#[derive(Debug)]
pub struct Observer {
    client: Client,
    locks: Statement,
    locks_and_tables: Statement,
    activity: Statement,
    sessions_of_database: Statement,
    deadlock_timeout_us: u64,
    pid: i32,
}

/// The process id of a lock's session. A prepared transaction has none: its id, negative; 0 where two could
/// be meant.
const PID: &str = "coalesce(l.pid, (
     select case when count(*) = 1 then -(min(t.transactionid::text::bigint) % 2147483648)::int else 0 end
     from pg_catalog.pg_locks t
     where t.pid is null and t.locktype = 'transactionid' and t.virtualtransaction = l.virtualtransaction))";

/// The transactions of this database that have been prepared and not ended, and what each is called.
const PREPARED: &str = "
select (p.transaction::text::bigint % 2147483648)::bigint, p.gid from pg_catalog.pg_prepared_xacts p
where p.database = current_database() order by p.prepared, p.gid";

const LOCKS: &str = "
select (extract(epoch from clock_timestamp()) * 1000000)::bigint,
  (select coalesce(json_agg(json_build_array({PID}, l.database::bigint, l.classid::bigint,
            l.objid::bigint, l.objsubid, l.mode, l.granted, null)
            order by l.pid, l.classid, l.objid, l.objsubid, l.mode, l.granted), '[]')::text
   from pg_catalog.pg_locks l
   where l.locktype = 'advisory'
     and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = current_database()))";

/// The same, with the locks on tables of which $1 and $2 have a name, as a statement spelled it in lower
/// case, and a mode.
const LOCKS_AND_TABLES: &str = "
select (extract(epoch from clock_timestamp()) * 1000000)::bigint,
  (select coalesce(json_agg(json_build_array({PID}, l.database::bigint, coalesce(l.classid, 0)::bigint,
            coalesce(l.objid, 0)::bigint, coalesce(l.objsubid, 0), l.mode, l.granted,
            n.nspname || '.' || c.relname)
            order by l.pid, l.classid, l.objid, l.objsubid, n.nspname, c.relname, l.mode, l.granted),
          '[]')::text
   from pg_catalog.pg_locks l
   left join pg_catalog.pg_class c on l.locktype = 'relation' and c.oid = l.relation
   left join pg_catalog.pg_namespace n on n.oid = c.relnamespace
   where l.database = (select d.oid from pg_catalog.pg_database d where d.datname = current_database())
     and (l.locktype = 'advisory'
          or exists (select 1 from unnest($1::text[], $2::text[]) as asked (name, mode)
                     where asked.mode = l.mode
                       and asked.name in (lower(c.relname), lower(n.nspname || '.' || c.relname)))))";

/// Of these backends: the view would make every backend's row, each time.
const BACKENDS: &str = "unnest($1::int[]) asked (pid)
         cross join lateral pg_catalog.pg_stat_get_activity(asked.pid) a";

/// Of a database's clients but the harness's own.
const CLIENTS: &str = "(select * from pg_catalog.pg_stat_activity
           where datname = $1::text and backend_type = 'client backend'
             and application_name not like 'lockproof%') a";

fn activity_query(backends: &str, waitstart: bool) -> String {
    let wait_start = if waitstart {
        "case when a.wait_event_type = 'Lock' then
           (select min(l.waitstart) from pg_catalog.pg_locks l where l.pid = a.pid and not l.granted)
         end"
    } else {
        "null::timestamptz"
    };
    format!(
        "select a.pid, (extract(epoch from a.backend_start) * 1000000)::bigint, coalesce(a.state, ''),
           coalesce(a.wait_event_type, ''),
           case when a.wait_event_type = 'Lock' then pg_blocking_pids(a.pid) else '{{}}' end,
           (extract(epoch from clock_timestamp() - w.since) * 1000000)::bigint,
           left(coalesce(a.query, ''), 200), (extract(epoch from w.since) * 1000000)::bigint
         from {backends} cross join lateral (select {wait_start} as since) w"
    )
}

impl Observer {
    /// An observer over this connection.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn new(client: Client) -> Result<Self, EvidenceError> {
        let what = "its version";
        let row = bounded(
            what,
            client.query_one(
                "select current_setting('server_version_num')::int,
                   (extract(epoch from current_setting('deadlock_timeout')::interval) * 1000000)::bigint,
                   pg_backend_pid()",
                &[],
            ),
        )
        .await?;
        let waitstart = row.get::<_, i32>(0) >= 140_000;
        let deadlock_timeout_us = u64::try_from(row.get::<_, i64>(1)).unwrap_or(1_000_000);
        let locks = bounded(what, client.prepare(&LOCKS.replace("{PID}", PID))).await?;
        let locks_and_tables = LOCKS_AND_TABLES.replace("{PID}", PID);
        let locks_and_tables = bounded(what, client.prepare(&locks_and_tables)).await?;
        // The same few statements again and again: a plan for each value would cost more than they do.
        let plans = client.batch_execute("set plan_cache_mode = force_generic_plan");
        bounded(what, plans).await?;
        let activity = activity_query(BACKENDS, waitstart);
        let activity = bounded(what, client.prepare(&activity)).await?;
        let sessions = activity_query(CLIENTS, waitstart);
        let sessions_of_database = bounded(what, client.prepare(&sessions)).await?;
        Ok(Self {
            client,
            locks,
            locks_and_tables,
            activity,
            sessions_of_database,
            deadlock_timeout_us,
            pid: row.get(2),
        })
    }

    /// The server's `deadlock_timeout`, in microseconds.
    #[must_use]
    pub fn deadlock_timeout_us(&self) -> u64 {
        self.deadlock_timeout_us
    }

    /// The backend that answers it.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// The connection, for questions of other kinds.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// All advisory locks of this connection's database, the locks on these tables in these modes, and
    /// when it read them (microseconds since 1970). A table is named as a statement spells it.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn locks(
        &self,
        tables: &BTreeSet<(TableName, LockMode)>,
    ) -> Result<(i64, Vec<HeldLock>), EvidenceError> {
        let what = "which locks there are";
        let row = if tables.is_empty() {
            bounded(what, self.client.query_one(&self.locks, &[])).await?
        } else {
            let names: Vec<&str> = tables.iter().map(|(table, _)| table.as_str()).collect();
            let modes: Vec<&str> = tables.iter().map(|(_, mode)| mode.server_name()).collect();
            let asked: [&(dyn tokio_postgres::types::ToSql + Sync); 2] = [&names, &modes];
            bounded(what, self.client.query_one(&self.locks_and_tables, &asked)).await?
        };
        let locks = read_locks(row.get(1)).map_err(|error| EvidenceError::Unreadable {
            what: "pg_locks",
            why: error.to_string(),
        })?;
        Ok((row.get(0), locks))
    }

    /// The transactions of this connection's database that have been prepared and not ended: each one's
    /// number, as locks show it, and its name.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn prepared(&self) -> Result<Vec<(u32, String)>, EvidenceError> {
        let what = "which transactions are prepared";
        let rows = bounded(what, self.client.query(PREPARED, &[])).await?;
        let number = |id: i64| u32::try_from(id).unwrap_or(0);
        Ok(rows
            .iter()
            .map(|row| (number(row.get(0)), row.get(1)))
            .collect())
    }

    /// Rolls all of these back.
    ///
    /// # Errors
    /// When the server does not do it.
    pub async fn roll_back_prepared(&self) -> Result<(), EvidenceError> {
        for (_, gid) in self.prepared().await? {
            let sql = format!("rollback prepared '{}'", gid.replace('\'', "''"));
            bounded(
                "that it rolled back a prepared transaction",
                self.client.batch_execute(&sql),
            )
            .await?;
        }
        Ok(())
    }

    /// What these backends do; those that are gone are missing.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn activity(&self, pids: &[i32]) -> Result<HashMap<i32, Activity>, EvidenceError> {
        self.ask(&self.activity, &pids).await
    }

    /// All client sessions of a database but the harness's own.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn sessions_of(
        &self,
        database: &str,
    ) -> Result<HashMap<i32, Activity>, EvidenceError> {
        self.ask(&self.sessions_of_database, &database).await
    }

    async fn ask<P: tokio_postgres::types::ToSql + Sync>(
        &self,
        statement: &Statement,
        parameter: &P,
    ) -> Result<HashMap<i32, Activity>, EvidenceError> {
        let what = "what its sessions do";
        let rows = bounded(what, self.client.query(statement, &[parameter])).await?;
        Ok(rows
            .iter()
            .map(|row| {
                let pid = row.get(0);
                let activity = Activity {
                    session: Session {
                        pid,
                        started_us: row.get(1),
                    },
                    state: row.get(2),
                    wait_event_type: row.get(3),
                    blocked_by: row.get(4),
                    waited_us: row.get(5),
                    query: row.get(6),
                    waits_since_us: row.get(7),
                };
                (pid, activity)
            })
            .collect())
    }

    /// `pg_terminate_backend`; whether the signal was sent.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn terminate_backend(&self, pid: i32) -> Result<bool, EvidenceError> {
        let what = "whether it terminated a backend";
        let sql = "select pg_terminate_backend($1::int)";
        let row = bounded(what, self.client.query_one(sql, &[&pid])).await?;
        Ok(row.get(0))
    }

    /// `pg_cancel_backend`; whether the signal was sent.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn cancel_backend(&self, pid: i32) -> Result<bool, EvidenceError> {
        let what = "whether it cancelled a backend's query";
        let sql = "select pg_cancel_backend($1::int)";
        let row = bounded(what, self.client.query_one(sql, &[&pid])).await?;
        Ok(row.get(0))
    }
}
