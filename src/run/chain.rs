//! Who waits for whom: what the server shows of blocked sessions, followed to its ends.
//!
//! Owns the rule of what counts as blocked: every chain ends in a session that the gate holds or that
//! is idle; a chain that leads back to itself is a deadlock, which the server ends.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use super::conductor::Conductor;
use super::error::RunError;
use super::links::Waiting;
use crate::evidence::Activity;

/// Where a session's wait leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Chain {
    /// It does not wait, or what it waits for goes on by itself.
    Moves,
    /// Only another turn can end it; these block it.
    Stuck(Vec<i32>),
}

/// What is added to the deadlock timeout where the log does not tell: the check itself, on a busy
/// machine.
const DEADLOCK_CHECK: Duration = Duration::from_millis(50);
/// How long the log is asked for the check. (It may be switched off for a role or a session.)
const UNLOGGED: Duration = Duration::from_secs(1);

impl Conductor<'_> {
    /// What all sessions of the run do, and those that block them.
    pub(super) async fn picture(&self) -> Result<HashMap<i32, Activity>, RunError> {
        let ours: Vec<i32> = self
            .members
            .values()
            .flat_map(|member| member.links.values())
            .filter(|link| !link.gone)
            .filter_map(|link| link.pid)
            .collect();
        let mut picture = self.watchers.activity(&ours).await?;
        loop {
            let missing: Vec<i32> = picture
                .values()
                .flat_map(|activity| activity.blocked_by.iter().copied())
                .filter(|pid| *pid > 0 && !picture.contains_key(pid))
                .collect();
            if missing.is_empty() {
                return Ok(picture);
            }
            let more = self.watchers.activity(&missing).await?;
            if more.is_empty() {
                return Ok(picture);
            }
            picture.extend(more);
        }
    }

    /// Follows who blocks whom. Stuck only if every chain ends in a session that the gate holds or
    /// that is idle.
    pub(super) fn chain(&self, pid: i32, picture: &HashMap<i32, Activity>) -> Chain {
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

    pub(super) fn is_stuck(
        &self,
        pid: i32,
        picture: &HashMap<i32, Activity>,
        path: &mut HashSet<i32>,
    ) -> bool {
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

    /// Whether the server has made its deadlock check on this wait. Its log tells, where it can be
    /// read: a backend may get a processor long after its timer has gone off, and until then whoever
    /// closes the circle does not become the victim. Else the time that the check takes, by the
    /// server's own clock where it tells since when it waits.
    pub(super) async fn deadlock_check_is_over(
        &mut self,
        pid: i32,
        picture: &HashMap<i32, Activity>,
        since: Instant,
    ) -> Result<bool, RunError> {
        if self.paused_backends.contains(&pid) {
            // It makes none as long as it is stopped.
            return Ok(true);
        }
        let timeout = Duration::from_micros(self.watchers.deadlock_timeout_us());
        let seen = picture.get(&pid);
        let waited = seen
            .and_then(|activity| activity.waited_us)
            .and_then(|waited| u64::try_from(waited).ok())
            .map_or_else(|| since.elapsed(), Duration::from_micros);
        if waited < timeout {
            return Ok(false);
        }
        let begun = seen.and_then(|activity| activity.waits_since_us);
        if let Some(begun) = begun
            && waited < timeout + UNLOGGED
            && let Some(checked) = self.watchers.has_checked(pid, begun).await?
        {
            return Ok(checked);
        }
        Ok(waited >= timeout + DEADLOCK_CHECK)
    }
}
