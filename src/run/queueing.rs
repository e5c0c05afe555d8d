//! Behind a pooler: steps that wait inside it for a server connection.
//!
//! Owns the rule of when such a step is blocked: the pooler's console says that its client waits, and
//! every server connection of its pool is with a client that only another turn can bring on.

use std::collections::{HashMap, HashSet};

use super::conductor::Conductor;
use super::error::RunError;
use super::links::Waiting;
use crate::evidence::Activity;
use crate::history::Event;
use crate::name::StepId;

impl Conductor<'_> {
    /// The backends that have all server connections of the pool for which a step waits, if it does and
    /// only another turn can free one.
    pub(super) async fn queued_behind(
        &mut self,
        id: StepId,
        picture: &HashMap<i32, Activity>,
    ) -> Result<Option<Vec<i32>>, RunError> {
        let Some(connection) = self.steps.get(&id).map(|step| step.connection.clone()) else {
            return Ok(None);
        };
        let (Some(pooled), false) = (&self.pooled, self.has_answer(id)) else {
            return Ok(None);
        };
        let Some(port) = pooled.port_of(&connection) else {
            return Ok(None);
        };
        let size = pooled.settings().size as usize;
        let look = pooled.console.look().await?;
        let Some(client) = look.client(port).filter(|client| client.waits) else {
            return Ok(None);
        };
        let servers: Vec<_> = look.pool_of(client).collect();
        // One that is free, or is being opened or reset, is for whoever waits.
        let all_taken = servers.len() >= size && servers.iter().all(|one| one.client.is_some());
        let stuck = servers
            .iter()
            .all(|one| self.is_stuck(one.pid, picture, &mut HashSet::new()));
        if !all_taken || !stuck {
            return Ok(None);
        }
        let by = servers.iter().map(|one| one.pid).collect();
        // What came while the question was on its way goes first.
        self.absorb_all().await?;
        let placed = self
            .pooled
            .as_ref()
            .is_some_and(|pooled| pooled.is_placed(&connection, id));
        Ok((!placed && !self.is_over(id)).then_some(by))
    }

    /// Whether a step was seen to wait for a server connection, and has got none since.
    pub(super) fn is_queued(&self, id: StepId) -> bool {
        self.steps.get(&id).is_some_and(|step| {
            step.waiting == Some(Waiting::Connection)
                && self
                    .pooled
                    .as_ref()
                    .is_some_and(|pooled| !pooled.is_placed(&step.connection, id))
        })
    }

    /// Notes that a step waits for a server connection.
    pub(super) fn note_queued(&mut self, id: StepId, by: Vec<i32>) {
        self.note(Event::StepQueued { step: id });
        self.note_waiting(id, Waiting::Connection, by);
    }
}
