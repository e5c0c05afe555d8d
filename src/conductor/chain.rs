//! Who waits for whom: what the server shows of blocked sessions, followed to its ends.
//!
//! Owns the rule of what counts as blocked: every chain ends in a session that the gate holds or that
//! is idle; a chain that leads back to itself is a deadlock, which the server ends.

use std::collections::HashSet;
use std::time::Duration;

use super::books::Waiting;
use super::machine::Conductor;
use super::seen::Sessions;
use super::world::World;

/// Where a session's wait leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Chain {
    /// It does not wait, or what it waits for goes on by itself.
    Moves,
    /// Only another turn can end it; these block it.
    Stuck(Vec<i32>),
}

impl<W: World> Conductor<W> {
    /// What all sessions of the run do, and those that block them.
    pub(crate) async fn picture(&mut self) -> Result<Sessions, W::Error> {
        let ours: Vec<i32> = self
            .members
            .values()
            .flat_map(|member| member.links.values())
            .filter(|link| !link.gone)
            .filter_map(|link| link.pid)
            .collect();
        let mut picture = self.world.look(&ours).await?;
        loop {
            let missing: Vec<i32> = picture
                .values()
                .flat_map(|activity| activity.blocked_by.iter().copied())
                .filter(|pid| *pid > 0 && !picture.contains_key(pid))
                .collect();
            if missing.is_empty() {
                return Ok(picture);
            }
            let more = self.world.look(&missing).await?;
            if more.is_empty() {
                return Ok(picture);
            }
            picture.extend(more);
        }
    }

    /// Follows who blocks whom. Stuck only if every chain ends in a session that the gate holds or
    /// that is idle.
    pub(crate) fn chain(&self, pid: i32, picture: &Sessions) -> Chain {
        let Some(activity) = picture.get(&pid) else {
            return Chain::Moves;
        };
        if self.paused_backends.contains(&pid) {
            // Whatever it waits for or is given: a backend that is stopped does not go on.
            return Chain::Stuck(activity.blocked_by.clone());
        }
        if activity.blocked_by.is_empty() {
            return Chain::Moves;
        }
        let mut path = HashSet::from([pid]);
        if activity
            .blocked_by
            .iter()
            .all(|blocker| self.is_stuck(*blocker, picture, &mut path))
        {
            Chain::Stuck(activity.blocked_by.clone())
        } else {
            Chain::Moves
        }
    }

    pub(crate) fn is_stuck(&self, pid: i32, picture: &Sessions, path: &mut HashSet<i32>) -> bool {
        if pid == 0 {
            // A prepared transaction: nothing of ours ends it.
            return true;
        }
        let Some(activity) = picture.get(&pid) else {
            return false;
        };
        if self.paused_backends.contains(&pid) {
            return true;
        }
        if !activity.blocked_by.is_empty() {
            if !path.insert(pid) {
                // The chain leads back: the server's deadlock check will choose a victim.
                return false;
            }
            let stuck = activity
                .blocked_by
                .iter()
                .all(|blocker| self.is_stuck(*blocker, picture, path));
            path.remove(&pid);
            return stuck;
        }
        let link = self
            .members
            .values()
            .flat_map(|member| member.links.values())
            .find(|link| link.pid == Some(pid) && !link.gone);
        match link {
            Some(link) if link.is_leaving() => false,
            Some(link) => match link.running.and_then(|id| self.steps.get(&id)) {
                Some(step) => step.waiting == Some(Waiting::Pod),
                None => true,
            },
            None => activity.state.starts_with("idle"),
        }
    }

    /// Whether the server has made its deadlock check on this wait: until then whoever closes the circle
    /// does not become the victim.
    pub(crate) async fn deadlock_check_is_over(
        &mut self,
        pid: i32,
        picture: &Sessions,
        since: Duration,
    ) -> Result<bool, W::Error> {
        if self.paused_backends.contains(&pid) {
            // It makes none as long as it is stopped.
            return Ok(true);
        }
        self.world.has_checked(pid, picture.get(&pid), since).await
    }
}
