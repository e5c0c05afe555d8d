//! The `guarded` lock: no statement is sent without a live lock behind it.
//!
//! Owns the watch over the lock's session. Two things are done. Before every statement the lock's
//! own session is asked whether it still holds the lock, and the statement is sent only after it
//! said yes. And all the time its connection is watched: when it ends, the run stops at once, a
//! statement that is under way is cancelled as far as that goes, and its connection is cut.
//!
//! What this cannot promise:
//! * Between the session's yes and the server's execution of the statement, the session can die.
//!   The statement then runs unlocked. The gap is a network delay long; a step held in between
//!   makes it as long as one likes, but then the cut connection takes the statement away, unless the
//!   server already has it.
//! * A statement that the server executes when the lock is lost may finish before the
//!   cancellation arrives, and what it wrote stays: there is no transaction around the seed.
//! * A session that is lost without a word (a node gone, a link dead) is noticed at the next
//!   question, which has a time limit; the server frees the lock only when *it* notices.
//! * After a failover an old primary that is cut off from the new one goes on serving its own
//!   advisory locks: locks are not replicated. Both sides then say yes.
//!
//! Whoever needs more than that needs no lock but a fence: a number that the lock's holder got and
//! that every write checks in the database (Kleppmann 2016, "How to do distributed locking").

use std::time::Duration;

use deadpool_postgres::Object;
use tokio_postgres::NoTls;

use super::connections::Ended;
use super::error::SeedError;
use super::pool::{self, Pool};

/// How long the lock's session may take to answer. Generous: a harness may hold the question.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// How long cancelling a statement may take.
const CANCEL_LIMIT: Duration = Duration::from_secs(2);

/// The watch over one lock.
pub(super) struct Guard {
    question: String,
    ended: Ended,
}

impl Guard {
    /// A watch over the exclusive lock of this key that the session of `reserved` holds.
    ///
    /// # Errors
    /// When the pool does not know the connection.
    pub(super) fn new(pool: &Pool, reserved: &Object, key: i64) -> Result<Self, SeedError> {
        let ended = pool.ended(reserved).ok_or_else(|| SeedError::LockLost {
            why: "its connection is not the pool's".to_owned(),
        })?;
        // pg_locks shows a bigint key as two halves, with objsubid 1.
        let (high, low) = ((key >> 32) as u32, key as u32);
        Ok(Self {
            question: format!(
                "select count(*) from pg_locks where locktype = 'advisory' and granted \
                 and pid = pg_backend_pid() and mode = 'ExclusiveLock' \
                 and classid = {high} and objid = {low} and objsubid = 1"
            ),
            ended,
        })
    }

    /// Sends one statement on the pool's next connection, if the lock lives and as long as it does.
    ///
    /// # Errors
    /// When the lock is lost, or as [`Pool::send`].
    pub(super) async fn send(
        &mut self,
        pool: &mut Pool,
        reserved: &Object,
        sql: &str,
    ) -> Result<(), SeedError> {
        // The connection comes first: opening one takes time, and the answer must be fresh.
        let object = pool.check_out().await?;
        if let Err(error) = self.ask(reserved).await {
            pool.give_back(object);
            return Err(error);
        }
        let answer = tokio::select! {
            biased;
            lost = lost(&mut self.ended) => Err(lost),
            answer = pool::send_on(&object, sql) => Ok(answer),
        };
        match answer {
            Ok(answer) => {
                pool.give_back(object);
                answer.map(drop)
            }
            Err(lost) => {
                let cancel = object.cancel_token();
                // Best effort: the server may be gone, or done already.
                let _ = tokio::time::timeout(CANCEL_LIMIT, cancel.cancel_query(NoTls)).await;
                pool.sever(object);
                Err(lost)
            }
        }
    }

    /// Asks the lock's session whether it holds the lock.
    async fn ask(&mut self, reserved: &Object) -> Result<(), SeedError> {
        let answer = tokio::select! {
            biased;
            lost = lost(&mut self.ended) => return Err(lost),
            answer = tokio::time::timeout(
                ANSWER_LIMIT,
                pool::send_on(reserved, &self.question),
            ) => answer.map_err(|_| SeedError::LockSilent(ANSWER_LIMIT))?,
        };
        let why = match answer {
            Ok(answer) if pool::value(&answer) == Some("1") => return Ok(()),
            Ok(_) => "its session does not hold it any more".to_owned(),
            Err(error) => error.to_string(),
        };
        Err(SeedError::LockLost { why })
    }
}

/// Waits for the end of the lock's connection.
async fn lost(ended: &mut Ended) -> SeedError {
    let why = match ended.wait_for(Option::is_some).await {
        Ok(why) => why.clone().unwrap_or_default(),
        Err(_) => "its connection was cut".to_owned(),
    };
    SeedError::LockLost {
        why: format!("its session ended: {why}"),
    }
}
