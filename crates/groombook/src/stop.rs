//! SIGTERM, as Kubernetes sends it to a pod that is to go.
//!
//! Owns the handler and what a run does between the signal and its end: it finishes the statement that is
//! under way, sends no further one, releases its lock on the session that holds it, and ends with
//! [`EXIT_CODE`]. A run that still waits for the lock cancels that wait. Without a handler SIGTERM ends a
//! process at once, but not PID 1 of a container, on which it has no effect (pid_namespaces(7)).
//! Knows nothing of the script.

use std::future::Future;
use std::io;
use std::time::Duration;

use deadpool_postgres::Object;
use futures_util::FutureExt;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_postgres::{NoTls, SimpleQueryMessage};

use super::error::SeedError;
use super::pool::send_on;

/// 128 and the number of SIGTERM, as a shell reports a process that SIGTERM has ended.
pub(super) const EXIT_CODE: u8 = 143;

/// How long cancelling the wait for the lock may take, the server's answer included.
const CANCEL_LIMIT: Duration = Duration::from_secs(5);

/// Whether a run has been asked to stop.
pub(super) struct Stop {
    /// `None`: the run leaves SIGTERM to the system.
    signal: Option<Signal>,
    came: bool,
}

impl Stop {
    /// Installs the handler, if the run wants one.
    ///
    /// # Errors
    /// When the system refuses it.
    pub(super) fn new(wanted: bool) -> io::Result<Self> {
        let signal = wanted
            .then(|| signal(SignalKind::terminate()))
            .transpose()?;
        Ok(Self {
            signal,
            came: false,
        })
    }

    /// Fails if SIGTERM has come.
    ///
    /// # Errors
    /// [`SeedError::Stopped`].
    pub(super) fn check(&mut self) -> Result<(), SeedError> {
        if self.comes().now_or_never().is_some() {
            return Err(SeedError::Stopped);
        }
        Ok(())
    }

    /// Does this work, or drops it when SIGTERM comes.
    ///
    /// # Errors
    /// [`SeedError::Stopped`], or those of the work.
    pub(super) async fn or<T>(
        &mut self,
        work: impl Future<Output = Result<T, SeedError>>,
    ) -> Result<T, SeedError> {
        tokio::select! {
            biased;
            () = self.comes() => Err(SeedError::Stopped),
            done = work => done,
        }
    }

    /// Sends a statement that may wait long, and cancels it when SIGTERM comes.
    ///
    /// A cancellation may come just after the statement has been done; its answer is then the statement's.
    /// A session lock may even be granted to a statement that is answered with an error. Whoever gets
    /// [`SeedError::Stopped`] must therefore close the session, which releases what it may hold.
    ///
    /// # Errors
    /// [`SeedError::Stopped`], or that of the statement.
    pub(super) async fn or_cancel(
        &mut self,
        object: &Object,
        sql: &str,
    ) -> Result<Vec<SimpleQueryMessage>, SeedError> {
        let mut answer = std::pin::pin!(send_on(object, sql));
        tokio::select! {
            biased;
            answer = &mut answer => return answer,
            () = self.comes() => {}
        }
        let token = object.cancel_token();
        let cancelled = async {
            // When this fails, the closing of the session has to do.
            let _ = token.cancel_query(NoTls).await;
            answer.await
        };
        match tokio::time::timeout(CANCEL_LIMIT, cancelled).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) | Err(_) => Err(SeedError::Stopped),
        }
    }

    /// Waits for SIGTERM.
    async fn comes(&mut self) {
        if self.came {
            return;
        }
        match &mut self.signal {
            Some(signal) => {
                signal.recv().await;
                self.came = true;
            }
            None => std::future::pending().await,
        }
    }
}
