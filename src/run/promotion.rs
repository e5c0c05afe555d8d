//! A standby that takes the primary's place.
//!
//! Owns the order of a failover: the standby has all that was committed, the old primary dies or
//! goes on for those who are connected to it, the standby is promoted, and new connections go
//! there. Advisory locks are not replicated: from then on the old and the new primary can both
//! grant the same.

use super::error::RunError;
use super::real::{FIRST, Run};
use super::watchers::Watcher;
use crate::conductor::Aim;
use crate::conductor::Outcome;
use crate::schedule::OldPrimary;
use crate::server::Shutdown;

/// The number of the standby among the run's servers.
const SECOND: usize = 1;

impl Run<'_> {
    /// Starts the standby that the schedule needs. The harness watches it from the beginning.
    pub(super) async fn add_standby(&mut self) -> Result<(), RunError> {
        let standby = self.world.place.server.add_standby().await?;
        standby.caught_up().await?;
        let client = standby.connect(&self.world.database.name).await?;
        let log = self.world.place.server.log_readable();
        self.world.standby = Some(standby);
        self.world
            .watchers
            .join(Watcher::new(SECOND, client, log).await?);
        Ok(())
    }

    pub(super) async fn promote(
        &mut self,
        aim: &Aim<'_>,
        old: OldPrimary,
    ) -> Result<Outcome, RunError> {
        let Some(standby) = &self.world.standby else {
            return Ok(Outcome::missed("there is no standby"));
        };
        if self.world.watchers.current() != FIRST {
            return Ok(Outcome::missed("the standby has been promoted already"));
        }
        if let Err(error) = standby.caught_up().await {
            return Ok(Outcome::missed(error.to_string()));
        }
        let mut evidence = Vec::new();
        match old {
            OldPrimary::Dead => evidence.push(self.take_away(aim, Shutdown::Crash).await?),
            OldPrimary::Alive => self.close_the_way(),
        }
        if let Some(standby) = &self.world.standby {
            evidence.push(standby.promote().await?);
        }
        self.world.watchers.follow(SECOND);
        self.route(SECOND)?;
        Ok(Outcome::fired(evidence.join("; ")))
    }
}
