//! Time that passes for a lock row.
//!
//! Owns how that is done to the run's database, and what shows that it was. The row's own trigger tells the change
//! afterwards, as it tells a pod's. Knows nothing of who has the lock.

use std::time::Duration;

use super::error::RunError;
use super::real::Run;
use crate::conductor::{Aim, Outcome, STANDS_STILL, World as _};
use crate::evidence::{Aged, age_row};
use crate::history::{LockRow, LockRule};

impl Run<'_> {
    /// Lets time pass for the lock row.
    pub(super) async fn expire(
        &mut self,
        aim: &Aim<'_>,
        by: Duration,
    ) -> Result<Outcome, RunError> {
        let locks = self.world.plan.rules.lock.each();
        let rules: Vec<LockRow> = locks.filter_map(LockRule::row).cloned().collect();
        if rules.is_empty() {
            let why = "the scenario names no lock row whose time could pass";
            return Ok(self.note_fault(aim, Outcome::absent(why)));
        }
        if !self.world.can_look() {
            return Ok(self.note_fault(aim, Outcome::missed(STANDS_STILL)));
        }
        // Time passes for all of them; that it passed for one is told with what kept it from others.
        let (mut nearer, mut refused) = (false, false);
        let mut words = Vec::new();
        for rule in &rules {
            words.push(
                match age_row(self.world.watchers.client()?, rule, by).await? {
                    Aged::Nearer(words) => {
                        nearer = true;
                        words
                    }
                    Aged::Nothing(why) => why,
                    Aged::Refused(why) => {
                        refused = true;
                        why
                    }
                },
            );
        }
        let words = words.join("; ");
        let outcome = match (nearer, refused) {
            (true, _) => Outcome::fired(words),
            (false, true) => Outcome::missed(words),
            (false, false) => Outcome::absent(words),
        };
        Ok(self.note_fault(aim, outcome))
    }
}
