//! Time that passes for a lock row.
//!
//! Owns how that is done to the run's database, and what shows that it was. The row's own trigger tells the change
//! afterwards, as it tells a pod's. Knows nothing of who has the lock.

use std::time::Duration;

use super::error::RunError;
use super::real::Run;
use crate::conductor::{Aim, Outcome, STANDS_STILL, World as _};
use crate::evidence::{Aged, age_row};

impl Run<'_> {
    /// Lets time pass for the lock row.
    pub(super) async fn expire(
        &mut self,
        aim: &Aim<'_>,
        by: Duration,
    ) -> Result<Outcome, RunError> {
        let Some(rule) = self.world.plan.rules.lock.row().cloned() else {
            let why = "the scenario names no lock row whose time could pass";
            return Ok(self.note_fault(aim, Outcome::absent(why)));
        };
        if !self.world.can_look() {
            return Ok(self.note_fault(aim, Outcome::missed(STANDS_STILL)));
        }
        let aged = age_row(self.world.watchers.client()?, &rule, by).await?;
        let outcome = match aged {
            Aged::Nearer(words) => Outcome::fired(words),
            Aged::Nothing(why) => Outcome::absent(why),
            Aged::Refused(why) => Outcome::missed(why),
        };
        Ok(self.note_fault(aim, outcome))
    }
}
