//! A database that is about to be dropped, until nobody is connected to it.
//!
//! Owns the waiting. DROP DATABASE finds a session that has not quite left, sleeps 100 ms and looks
//! again, even WITH (FORCE); whoever looks more often is done sooner. What is still there after the
//! wait is for FORCE.

use std::time::{Duration, Instant};

use super::error::ServerError;
use super::handle::Server;

/// Sessions that are leaving by themselves get this long before they are ended.
const LEAVING: Duration = Duration::from_millis(20);
/// The longest wait for sessions that are leaving or were ended.
const LIMIT: Duration = Duration::from_secs(1);
/// From one look to the next.
const POLL: Duration = Duration::from_millis(2);

impl Server {
    /// Waits until nobody is connected to the database. It says nothing of what it could not do:
    /// whoever drops the database hears of that.
    pub(super) async fn emptied(&self, name: &str) {
        let _ = tokio::time::timeout(LIMIT, self.empty(name)).await;
    }

    async fn empty(&self, name: &str) -> Result<(), ServerError> {
        let sessions = format!("FROM pg_catalog.pg_stat_activity WHERE datname = '{name}'");
        let count = format!("SELECT pg_catalog.count(*) {sessions}");
        let end = format!("SELECT pg_catalog.pg_terminate_backend(pid) {sessions}");
        let what = format!("end the sessions in {name}");
        let begun = Instant::now();
        let mut told = false;
        loop {
            let left = self.with_maintenance(&what, vec![count.clone()]).await?;
            if left.as_deref() == Some("0") {
                return Ok(());
            }
            if !told && begun.elapsed() >= LEAVING {
                told = true;
                self.with_maintenance(&what, vec![end.clone()]).await?;
            }
            tokio::time::sleep(POLL).await;
        }
    }
}
