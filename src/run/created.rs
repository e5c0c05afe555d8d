//! Objects that a CREATE was to make which failed.
//!
//! Owns which of the steps are asked about, when the run is over. Knows nothing of what is excused.

use std::collections::BTreeSet;

use super::error::RunError;
use super::real::Run;
use crate::evidence::there;
use crate::history::{Event, Object};
use crate::invariant::may_exist_already;
use crate::sql::created;

impl Run<'_> {
    /// Writes down which of them are there.
    pub(super) async fn note_created(&mut self) -> Result<(), RunError> {
        let failed = self.steps.values().filter(|step| {
            let error = step
                .answer
                .as_ref()
                .and_then(|answer| answer.error.as_ref());
            error.is_some_and(|error| may_exist_already(&error.sqlstate))
        });
        let objects: BTreeSet<Object> = failed
            .flat_map(|step| step.request.sql.iter())
            .flat_map(|sql| created(sql))
            .collect();
        if objects.is_empty() {
            return Ok(());
        }
        let objects: Vec<Object> = objects.into_iter().collect();
        let there = there(self.world.watchers.client()?, &objects).await?;
        self.note(Event::Created { there });
        Ok(())
    }
}
