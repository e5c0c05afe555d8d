//! What the witness saw, as lines of the history; and transactions that are prepared.
//!
//! Owns the way from a line of the witness to its pod and to what became of its transaction, and the
//! question whether the witness is still whole. Knows nothing of what may be written.

use std::collections::{BTreeMap, BTreeSet};

use super::error::RunError;
use super::real::Run;
use super::watchers::of_server;
use crate::conductor::{Link, World};
use crate::evidence::{ServerLog, Witnessed, fates, lost_of_witness, read_witness, rows_locked};
use crate::history::{Committing, Event, Fate, HeldLock, RowChange, Write};
use crate::name::{ConnectionName, Session, StepId};

impl Run<'_> {
    /// What became of the transactions whose writes these records tell. After a promotion only the new
    /// primary can say, and only of its own.
    pub(super) async fn fates_of(
        &self,
        server: usize,
        log: &mut ServerLog,
    ) -> Result<BTreeMap<u32, Fate>, RunError> {
        let mut inside = BTreeSet::new();
        for record in log.records()? {
            inside.extend(read_witness(&record?).and_then(|seen| seen.inside()));
        }
        if inside.is_empty() || server != self.world.watchers.current() {
            return Ok(BTreeMap::new());
        }
        Ok(fates(self.world.watchers.client()?, inside).await?)
    }

    /// The session with this process id, with its exact start.
    pub(super) fn full_session(
        &self,
        pid: i32,
        connection: Option<&ConnectionName>,
    ) -> Option<Session> {
        let pooled = self.world.pooled.as_ref();
        pooled
            .and_then(|pooled| pooled.session(pid))
            .or_else(|| self.seen_link(connection?)?.session)
    }

    fn seen_link(&self, name: &ConnectionName) -> Option<&Link> {
        self.members.get(&name.pod)?.links.get(&name.index)
    }

    /// Writes down whether the witness is still whole.
    pub(super) async fn note_witness(&mut self) -> Result<(), RunError> {
        if self.world.plan.witness {
            let lost = lost_of_witness(self.world.watchers.client()?).await?;
            let silenced = std::mem::take(&mut self.world.silenced)
                .into_iter()
                .collect();
            self.note(Event::Witness { lost, silenced });
        }
        Ok(())
    }

    /// Where rows of a table are the lock: writes down which are locked, if that has changed. A server that was
    /// promoted has the list of tables from the one before it.
    pub(super) async fn note_row_locks(&mut self) -> Result<(), RunError> {
        let mut locks = self.world.plan.rules.lock.each();
        if !self.world.plan.witness || !locks.any(|lock| lock.rows().is_some()) {
            return Ok(());
        }
        let Ok(client) = self.world.watchers.client() else {
            return Ok(());
        };
        let Some((server_us, rows)) = rows_locked(client).await? else {
            return Ok(());
        };
        if self.world.held_rows.as_ref() != Some(&rows) {
            self.world.held_rows = Some(rows.clone());
            self.note(Event::RowLocks { server_us, rows });
        }
        Ok(())
    }

    /// Writes down which step has prepared the transactions that hold locks without a session.
    pub(super) async fn note_prepared(&mut self, locks: &[HeldLock]) -> Result<(), RunError> {
        let unknown = |lock: &HeldLock| lock.pid < 0 && !self.world.prepared.contains(&lock.pid);
        if !locks.iter().any(unknown) {
            return Ok(());
        }
        for (transaction, gid) in self.world.watchers.prepared().await? {
            let Ok(pid) = i32::try_from(transaction).map(|id| -id) else {
                continue;
            };
            if !self.world.prepared.insert(pid) {
                continue;
            }
            let named = |sql: &String| prepares(sql, &gid);
            let steps = self.steps.values().filter(|step| step.released.is_some());
            let step = steps
                .filter(|step| step.request.sql.iter().any(named))
                .max_by_key(|step| step.released);
            let session = step.and_then(|step| {
                let pid = self.seen_link(&step.connection)?.pid?;
                self.full_session(pid, Some(&step.connection))
            });
            let step = step.map(|step| step.id);
            self.note(Event::Prepared {
                transaction,
                step,
                session,
            });
        }
        Ok(())
    }

    /// Rolls back what is still prepared: nobody else is going to, and a database in which there is such a
    /// transaction cannot be dropped. Where that fails, so does the dropping, which says why.
    pub(super) async fn end_prepared(&mut self) {
        if self.world.can_look()
            && let Err(error) = self.world.watchers.roll_back_prepared().await
        {
            tracing::debug!(%error, "prepared transactions were not rolled back");
        }
    }
}

/// Whether this text prepares the transaction of that name.
fn prepares(sql: &str, gid: &str) -> bool {
    let folded = sql.to_lowercase();
    folded.contains("prepare transaction") && sql.contains(&gid.replace('\'', "''"))
}

/// Whether the session that wrote this had silenced the log.
pub(super) fn is_silenced(seen: &Witnessed) -> bool {
    matches!(seen, Witnessed::Wrote { silenced: true, .. })
}

/// A line of the witness as an event. Without a connection it is a stranger's: dblink, or whatever went
/// round the proxy.
pub(super) fn witnessed(
    seen: Witnessed,
    server: usize,
    (fates, is_of_gate): (&BTreeMap<u32, Fate>, impl Fn(&HeldLock) -> bool),
    session: Option<Session>,
    connection: Option<ConnectionName>,
    step: impl Fn(i64) -> Option<StepId>,
) -> Event {
    let on_server = |locks: Vec<HeldLock>| -> Vec<HeldLock> {
        locks
            .into_iter()
            .filter(|lock| !is_of_gate(lock))
            .map(|lock| of_server(lock, server))
            .collect()
    };
    match seen {
        Witnessed::Wrote { write, inside, .. } => {
            let mut write = Write {
                step: step(write.server_us),
                session: session.unwrap_or(write.session),
                connection,
                locks: on_server(write.locks),
                ..write
            };
            write.extent.begun = write.extent.begun.map(on_server);
            write.extent.fate = inside.and_then(|inside| fates.get(&inside).copied());
            Event::Write(write)
        }
        Witnessed::Row { change, inside } => Event::LockRow(RowChange {
            step: step(change.server_us),
            session: session.unwrap_or(change.session),
            connection,
            fate: inside.and_then(|inside| fates.get(&inside).copied()),
            ..change
        }),
        Witnessed::Commits(commit) => Event::Committing(Committing {
            step: step(commit.server_us),
            session: session.unwrap_or(commit.session),
            connection,
            locks: on_server(commit.locks),
            ..commit
        }),
    }
}
