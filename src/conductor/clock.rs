//! What the history is told, and when.
//!
//! Owns the stamp of each line and the limit of time. What time it is, the world says.

use std::time::Duration;

use super::machine::Conductor;
use super::world::World;
use crate::history::Event;

impl<W: World> Conductor<W> {
    /// How long ago the run began.
    pub(crate) fn now(&self) -> Duration {
        self.world.now()
    }

    /// Whether the run may take no longer.
    pub(crate) fn time_is_up(&self) -> bool {
        self.now() > self.orders.time_limit
    }

    /// Writes an event into the history.
    pub(crate) fn note(&mut self, event: Event) {
        let at = u64::try_from(self.now().as_micros()).unwrap_or(u64::MAX);
        self.writer.record(at, event);
    }

    /// Whether there is a pooler between the pods and the server.
    pub(crate) fn is_pooled(&self) -> bool {
        self.world.pool_size().is_some()
    }
}
