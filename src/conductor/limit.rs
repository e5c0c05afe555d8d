//! Limits that were hit: what was waited for, and what is seen of every pod.
//!
//! Owns the words of it. Whatever waits asks here when its time is up.

use super::books::Member;
use super::machine::Conductor;
use super::world::World;
use crate::history::{Awaited, Event};
use crate::name::StepId;

impl<W: World> Conductor<W> {
    /// Notes that the run's time is up, with what is seen of every pod.
    pub(crate) fn hit_limit(&mut self, waited_for: Awaited) {
        let limit = u64::try_from(self.orders.time_limit.as_micros()).unwrap_or(u64::MAX);
        self.note_limit(waited_for, limit);
    }

    /// Notes that a limit was hit; 0 stands for the cap on steps. What follows from it is not told
    /// again.
    pub(crate) fn note_limit(&mut self, waited_for: Awaited, limit_us: u64) {
        if self.limit_hit {
            return;
        }
        let saw: Vec<String> = self
            .members
            .values()
            .map(|member| self.describe(member))
            .collect();
        self.limit_hit = true;
        self.note(Event::LimitHit {
            waited_for,
            saw: saw.join("; "),
            limit_us,
        });
    }

    pub(crate) fn describe(&self, member: &Member) -> String {
        let name = &member.name;
        if !member.started {
            return format!("{name} was not started");
        }
        if member.ended {
            return format!("{name} has ended");
        }
        let mut parts: Vec<String> = Vec::new();
        for link in member.links.values() {
            let sql = |id: &StepId| {
                self.steps
                    .get(id)
                    .and_then(|step| step.request.normal.first().cloned())
                    .map(|sql| sql.chars().take(60).collect::<String>())
                    .unwrap_or_default()
            };
            if let Some(id) = &link.running
                && self.is_queued(*id)
            {
                parts.push(format!(
                    "{} waits inside the pooler for one of its {} server connections, with \"{}\"",
                    link.name,
                    self.world.pool_size().unwrap_or(0),
                    sql(id)
                ));
            } else if let Some(id) = &link.running {
                parts.push(format!(
                    "{} has no answer yet to \"{}\"",
                    link.name,
                    sql(id)
                ));
            } else if let Some(id) = &link.held {
                parts.push(format!("{} is held before \"{}\"", link.name, sql(id)));
            }
        }
        if parts.is_empty() {
            parts.push(if member.links.is_empty() {
                format!("{name} runs and has never connected")
            } else {
                format!("{name} runs and asks nothing")
            });
        }
        parts.join(", ")
    }
}
