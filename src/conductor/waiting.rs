//! Steps that wait: which of them go on now, and what becomes of those whose client is gone.
//!
//! Owns the look at each of them; what is written down of it is decided in `ending`.

use std::time::Duration;

use super::books::Waiting;
use super::chain::Chain;
use super::machine::Conductor;
use super::world::World;
use crate::name::StepId;

impl<W: World> Conductor<W> {
    /// Which steps that were seen to wait go on now, without having ended yet; and which of those that
    /// waited for a lock do so no more and need their pod instead.
    pub(crate) async fn moving(
        &mut self,
        waiting: &[StepId],
    ) -> Result<(Vec<StepId>, Vec<StepId>), W::Error> {
        let mut moving = Vec::new();
        let mut unfed = Vec::new();
        if waiting.iter().all(|id| self.is_over(*id)) {
            return Ok((moving, unfed));
        }
        let picture = self.picture().await?;
        // An answer that came while the question was on its way goes first.
        self.absorb_all().await?;
        for id in waiting.iter().copied() {
            let pid = match self.session_of(id) {
                Some((Some(pid), false)) => pid,
                Some((None, false)) if self.is_pooled() => {
                    if !self.has_answer(id) && self.queued_behind(id, &picture).await?.is_none() {
                        moving.push(id);
                    }
                    continue;
                }
                _ => continue,
            };
            if self.has_answer(id) || matches!(self.chain(pid, &picture), Chain::Stuck(_)) {
                continue;
            }
            if !self.needs_its_pod(id, &picture).await? {
                moving.push(id);
            } else if !self.is_waiting_for(id, Waiting::Pod) {
                unfed.push(id);
            }
        }
        Ok((moving, unfed))
    }

    fn is_waiting_for(&self, id: StepId, what: Waiting) -> bool {
        self.steps
            .get(&id)
            .is_some_and(|step| step.waiting == Some(what))
    }

    /// Looks at look-ups under way: one that waits for a lock that only another turn can free is
    /// noted as blocked, as any step would be.
    pub(crate) async fn watch_look_ups(&mut self) -> Result<(), W::Error> {
        let pooled = self.is_pooled();
        let running: Vec<(StepId, Option<i32>, Duration)> = self
            .members
            .values()
            .flat_map(|member| member.links.values())
            .filter_map(|link| Some((self.steps.get(&link.running?)?, link.pid)))
            .filter(|(_, pid)| pid.is_some() || pooled)
            .filter(|(step, _)| step.request.look_up && step.waiting.is_none())
            .map(|(step, pid)| (step.id, pid, step.held_at))
            .collect();
        if running.is_empty() {
            return Ok(());
        }
        let picture = self.picture().await?;
        self.absorb_all().await?;
        for (id, pid, since) in running {
            let Some(pid) = pid else {
                if let Some(by) = self.queued_behind(id, &picture).await? {
                    self.note_queued(id, by);
                }
                continue;
            };
            if !self.is_over(id)
                && let Chain::Stuck(by) = self.chain(pid, &picture)
                && self.deadlock_check_is_over(pid, &picture, since).await?
            {
                self.note_waiting(id, Waiting::Lock, by);
            }
        }
        Ok(())
    }

    /// A step of a severed connection whose way is free ends with its session: only
    /// `pg_stat_activity` will tell. Whether it is one.
    pub(crate) fn let_severed_go(&mut self, id: StepId) -> bool {
        let Some(name) = self.steps.get(&id).map(|step| step.connection.clone()) else {
            return false;
        };
        let link = self
            .members
            .get_mut(&name.pod)
            .and_then(|member| member.links.get_mut(&name.index));
        match link {
            Some(link) if link.severed => {
                link.severed = false;
                link.server_closed = true;
                true
            }
            _ => false,
        }
    }

    pub(crate) fn waiting_steps(&self) -> Vec<StepId> {
        self.steps
            .values()
            .filter(|step| step.waiting.is_some() && !step.ended)
            .map(|step| step.id)
            .collect()
    }

    /// Whether a step that waits has its answer, or its session is over.
    pub(crate) fn is_over(&self, id: StepId) -> bool {
        self.has_answer(id) || self.session_of(id).is_none_or(|(_, over)| over)
    }
}
