//! Behind a pooler: steps that wait inside it for a server connection.
//!
//! Owns the rule of when such a step is blocked: the pooler's console says that its client waits, and
//! every server connection of its pool is with a client that only another turn can bring on.

use std::collections::HashSet;

use super::books::Waiting;
use super::machine::Conductor;
use super::seen::Sessions;
use super::world::World;
use crate::history::Event;
use crate::name::StepId;

impl<W: World> Conductor<W> {
    /// The backends that have all server connections of the pool for which a step waits, if it does and
    /// only another turn can free one.
    pub(crate) async fn queued_behind(
        &mut self,
        id: StepId,
        picture: &Sessions,
    ) -> Result<Option<Vec<i32>>, W::Error> {
        let Some(connection) = self.steps.get(&id).map(|step| step.connection.clone()) else {
            return Ok(None);
        };
        if !self.is_pooled() || self.has_answer(id) {
            return Ok(None);
        }
        let Some(queue) = self.world.queue(&connection).await? else {
            return Ok(None);
        };
        let mut backends = queue.backends.iter();
        let stuck = backends.all(|pid| self.is_stuck(*pid, picture, &mut HashSet::new()));
        if !queue.all_taken || !stuck {
            return Ok(None);
        }
        let by = queue.backends;
        // What came while the question was on its way goes first.
        self.absorb_all().await?;
        let placed = self.world.is_placed(&connection, id);
        Ok((!placed && !self.is_over(id)).then_some(by))
    }

    /// Whether a step was seen to wait for a server connection, and has got none since.
    pub(crate) fn is_queued(&self, id: StepId) -> bool {
        self.steps.get(&id).is_some_and(|step| {
            step.waiting == Some(Waiting::Connection) && !self.world.is_placed(&step.connection, id)
        })
    }

    /// Notes that a step waits for a server connection.
    pub(crate) fn note_queued(&mut self, id: StepId, by: Vec<i32>) {
        self.note(Event::StepQueued { step: id });
        self.note_waiting(id, Waiting::Connection, by);
    }
}
