//! The lock of a run: taking it and letting it go, rightly or as one of the planted bugs.
//!
//! Owns the statements of each kind and the connection they go to. When they are called is the job's
//! affair. Only `guarded` looks at the answer of its unlock: the fix does not, and a lock that is
//! not what it claims to be must not say so.

use deadpool_postgres::Object;

use super::error::SeedError;
use super::guard::Guard;
use super::lock_kind::LockKind;
use super::pool::{self, Pool};
use super::stop::Stop;

/// The lock of one run.
pub(super) struct Lock {
    kind: LockKind,
    key: i64,
    /// The connection reserved for the lock.
    reserved: Option<Object>,
    /// For `pooled`: the connection that the lock was taken on.
    taken_on: Option<deadpool_postgres::ObjectId>,
    guard: Option<Guard>,
    taken: bool,
}

impl Lock {
    /// A lock that is not taken yet.
    pub(super) fn new(kind: LockKind, pod: &str) -> Self {
        Self {
            kind,
            key: kind.key(pod),
            reserved: None,
            taken_on: None,
            guard: None,
            taken: false,
        }
    }

    /// Takes it; waits as long as another has it and nothing stops the run. Says whether there is
    /// anything to be said of.
    ///
    /// # Errors
    /// When there is no connection, a statement fails, or the run is stopped.
    pub(super) async fn take(
        &mut self,
        pool: &mut Pool,
        stop: &mut Stop,
    ) -> Result<bool, SeedError> {
        if self.kind == LockKind::None {
            return Ok(false);
        }
        if self.kind == LockKind::Pooled {
            let object = pool.check_out().await?;
            self.taken_on = Some(Object::id(&object));
            let answer = stop
                .or_cancel(&object, &self.call("pg_advisory_lock"))
                .await;
            pool.give_back(object);
            answer?;
        } else {
            stop.or(self.reserve(pool)).await?;
            for statement in self.taking() {
                if let Some(reserved) = &self.reserved {
                    stop.or_cancel(reserved, &statement).await?;
                }
            }
        }
        self.taken = true;
        if let (LockKind::Guarded, Some(reserved)) = (self.kind, &self.reserved) {
            self.guard = Some(Guard::new(pool, reserved, self.key)?);
        }
        Ok(true)
    }

    /// Reserves its connection, if that has not been done.
    ///
    /// # Errors
    /// When there is none.
    pub(super) async fn reserve(&mut self, pool: &mut Pool) -> Result<(), SeedError> {
        if self.reserved.is_none() {
            self.reserved = Some(pool.reserve().await?);
        }
        Ok(())
    }

    /// Sends a statement of the seed: where this lock wants it.
    ///
    /// # Errors
    /// When it fails, or the lock is guarded and lost.
    pub(super) async fn send(&mut self, pool: &mut Pool, sql: &str) -> Result<(), SeedError> {
        match (&mut self.guard, &self.reserved) {
            (Some(guard), Some(reserved)) => guard.send(pool, reserved, sql).await,
            (_, Some(reserved)) if self.kind == LockKind::Single => {
                pool::send_on(reserved, sql).await.map(drop)
            }
            _ => pool.send(sql).await.map(drop),
        }
    }

    /// Lets it go, if it is taken. Says whether it did.
    ///
    /// # Errors
    /// When the statement fails, or the lock is guarded and was not held any more.
    pub(super) async fn release(&mut self, pool: &mut Pool) -> Result<bool, SeedError> {
        if !self.taken {
            return Ok(false);
        }
        self.taken = false;
        match self.kind {
            LockKind::None => return Ok(false),
            // Its author believes that the commit did it just now.
            LockKind::Xact => {}
            LockKind::Pooled => self.release_pooled(pool).await?,
            LockKind::EndFirst => {
                self.reserved = None;
                pool.end().await;
                // Nobody is left who could unlock, and the author swallowed that error.
                let _ = pool.send(&self.call("pg_advisory_unlock")).await;
            }
            LockKind::Shared => {
                let sql = self.call("pg_advisory_unlock_shared");
                self.send_reserved(&sql).await?;
            }
            LockKind::Guarded => {
                self.guard = None;
                let sql = self.call("pg_advisory_unlock");
                if self.send_reserved(&sql).await?.as_deref() != Some("t") {
                    return Err(SeedError::LockLost {
                        why: "its session did not hold it at the unlock".to_owned(),
                    });
                }
            }
            _ => {
                let sql = self.call("pg_advisory_unlock");
                self.send_reserved(&sql).await?;
            }
        }
        Ok(true)
    }

    /// Whether a failed run skips the unlock.
    pub(super) fn forgets_after(&self, error: &SeedError) -> bool {
        let lost = matches!(error, SeedError::LockLost { .. } | SeedError::LockSilent(_));
        self.kind == LockKind::NoFinally || (self.kind == LockKind::Guarded && lost)
    }

    /// Gives the reserved connection back to the pool.
    pub(super) fn give_up_connection(&mut self) {
        self.guard = None;
        self.reserved = None;
    }

    /// The statements that take it.
    fn taking(&self) -> Vec<String> {
        match self.kind {
            LockKind::TryIgnored => vec![self.call("pg_try_advisory_lock")],
            LockKind::Shared => vec![self.call("pg_advisory_lock_shared")],
            LockKind::Xact => vec![
                "begin".to_owned(),
                self.call("pg_advisory_xact_lock"),
                "commit".to_owned(),
            ],
            LockKind::Double => vec![self.call("pg_advisory_lock"); 2],
            _ => vec![self.call("pg_advisory_lock")],
        }
    }

    /// Unlocks on whatever connection the pool hands out. Whether that is the one that holds the
    /// lock depends on the number of statements in between; so that the bug is there whatever the
    /// profile, the run steps aside when it is.
    async fn release_pooled(&mut self, pool: &mut Pool) -> Result<(), SeedError> {
        let mut object = pool.check_out().await?;
        if self.taken_on == Some(Object::id(&object)) {
            let owner = object;
            let other = pool.check_out().await;
            pool.give_back(owner);
            object = other?;
        }
        let answer = pool::send_on(&object, &self.call("pg_advisory_unlock")).await;
        pool.give_back(object);
        answer.map(drop)
    }

    fn call(&self, function: &str) -> String {
        format!("select {function}({})", self.key)
    }

    /// Sends a statement on the reserved connection; gives the answer's single value.
    async fn send_reserved(&self, sql: &str) -> Result<Option<String>, SeedError> {
        match &self.reserved {
            None => Ok(None),
            Some(reserved) => {
                let answer = pool::send_on(reserved, sql).await?;
                Ok(pool::value(&answer).map(str::to_owned))
            }
        }
    }
}
