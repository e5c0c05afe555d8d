//! What stands on a server beside lockproof's own databases, where no run gets a copy of it.
//!
//! Owns the list, and what is new on it: a subject can make what no dropping of its database undoes.

use super::error::ServerError;
use super::handle::{Server, lock};

/// Roles, databases, tablespaces and replication slots, one a line, with what they are.
const LISTED: &str = "SELECT pg_catalog.string_agg(one, E'\\n' ORDER BY one) FROM (
  SELECT 'role ' || rolname FROM pg_catalog.pg_roles
  UNION ALL SELECT 'database ' || datname FROM pg_catalog.pg_database WHERE datname !~ '^lockproof_'
  UNION ALL SELECT 'tablespace ' || spcname FROM pg_catalog.pg_tablespace
  UNION ALL SELECT 'replication slot ' || slot_name FROM pg_catalog.pg_replication_slots
) AS all_of_them (one)";

impl Server {
    /// Looks at what stands on a server that is not copied for each run, so that what is new can be told later.
    pub(super) async fn look_around(&self) -> Result<(), ServerError> {
        let seen = self.listed().await?;
        *lock(&self.inner.seen_before) = Some(seen);
        Ok(())
    }

    /// Roles, databases, tablespaces and replication slots that are on the server now and were not when it
    /// was taken: a subject made them, or whoever uses the server besides. Nothing where each run gets a copy
    /// of the server.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn added(&self) -> Result<Vec<String>, ServerError> {
        let Some(before) = lock(&self.inner.seen_before).clone() else {
            return Ok(Vec::new());
        };
        let mut now = self.listed().await?;
        now.retain(|one| !before.contains(one));
        Ok(now)
    }

    async fn listed(&self) -> Result<Vec<String>, ServerError> {
        let what = "list its roles, databases, tablespaces and slots";
        let listed = self.with_maintenance(what, vec![LISTED.to_owned()]).await?;
        Ok(listed
            .unwrap_or_default()
            .lines()
            .map(str::to_owned)
            .collect())
    }
}
