//! Whether a step needs its own pod: to go on with a COPY, to say its next message, or to read on.
//!
//! Owns the rule. What the wire shows comes first, for it does not depend on how fast anybody is: a
//! server that seems to wait for its client may only not have run since the client's last word. Knows
//! nothing of locks; who waits for one is `chain`'s.

use std::time::Duration;

use super::chain::Chain;
use super::machine::Conductor;
use super::seen::{Need, Sessions};
use super::world::World;
use crate::name::StepId;

/// How long the server must seem to wait for more of a COPY. It gives no sign of having taken in what
/// was sent; on a busy machine it may not have been given a processor since.
const TAKEN_IN: Duration = Duration::from_millis(25);

/// Whether the server waits for its client in the middle of a step.
fn waits_for_client(pid: i32, picture: &Sessions) -> bool {
    picture
        .get(&pid)
        .is_some_and(|activity| activity.state == "active" && activity.wait_event_type == "Client")
}

/// Whether the server has nothing to do for its client.
fn is_idle(pid: i32, picture: &Sessions) -> bool {
    picture
        .get(&pid)
        .is_some_and(|activity| activity.state.starts_with("idle"))
}

/// How long a pod may be heard of without any of it reaching the step: then it counts as restless.
const RESTLESS: Duration = Duration::from_secs(1);

impl<W: World> Conductor<W> {
    /// Whether only the step's own pod can bring it on, and will not do so by itself: wire and server
    /// show what is missing, the pod rests, and no other step of it is on its way.
    pub(crate) async fn needs_its_pod(
        &mut self,
        id: StepId,
        picture: &Sessions,
    ) -> Result<bool, W::Error> {
        let Some(since) = self.lacks_its_pod(id, picture) else {
            return Ok(false);
        };
        if self.another_moves(id, picture)
            || !(self.is_quiet(id).await? || self.now() - since > RESTLESS)
        {
            return Ok(false);
        }
        let again = self.picture().await?;
        // An answer that came while the question was on its way goes first.
        self.absorb_all().await?;
        Ok(!self.is_over(id)
            && self.lacks_its_pod(id, &again) == Some(since)
            && !self.another_moves(id, &again))
    }

    /// Since when the step has not been able to go on without its pod, if it is so.
    fn lacks_its_pod(&mut self, id: StepId, picture: &Sessions) -> Option<Duration> {
        let (Some(pid), false) = self.session_of(id)? else {
            return None;
        };
        let step = self.steps.get_mut(&id)?;
        let need = self.world.need(&step.connection);
        let now = self.world.now();
        let lacking = match need {
            Need::Nothing | Need::Late => false,
            Need::Message => true,
            Need::Data { .. } => waits_for_client(pid, picture),
            // Until the server has filled what lies between it and the proxy it is at work.
            Need::Reading { .. } => waits_for_client(pid, picture) || is_idle(pid, picture),
        };
        let known = step.lack.filter(|(before, _)| *before == need);
        step.lack = lacking.then(|| known.unwrap_or((need, now)));
        let (_, since) = step.lack?;
        let taken_in = !matches!(need, Need::Data { .. }) || now - since >= TAKEN_IN;
        taken_in.then_some(since)
    }

    /// Whether another step of the pod is on its way: what comes of it may be what the pod waits
    /// for.
    fn another_moves(&mut self, id: StepId, picture: &Sessions) -> bool {
        let Some(step) = self.steps.get(&id) else {
            return false;
        };
        let others: Vec<(StepId, i32)> = self
            .members
            .get(&step.connection.pod)
            .into_iter()
            .flat_map(|member| member.links.values())
            .filter_map(|link| Some((link.running?, link.pid?)))
            .filter(|(other, _)| *other != id)
            .collect();
        others.into_iter().any(|(other, pid)| {
            self.chain(pid, picture) == Chain::Moves && self.lacks_its_pod(other, picture).is_none()
        })
    }
}
