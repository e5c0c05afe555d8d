//! When a step has ended: done, blocked, needs its pod, or gone.
//!
//! Owns the waiting for it and the look at everything that waits, after every step. An outcome is
//! latched when its ending is seen on the wire; the server is only asked while none is.

use std::time::Duration;

use super::books::Waiting;
use super::chain::Chain;
use super::inside::AtGate;
use super::machine::Conductor;
use super::plain::is_plain;
use super::world::World;
use crate::history::{Answer, Awaited, Delivery, Ending, Event, NamedError};
use crate::invariant::{answered, may_be_answer, named_constraint, named_table};
use crate::name::{ConnectionName, StepId};

/// How long an answer is waited for before the server is asked what the session does.
const BEFORE_ASKING: Duration = Duration::from_micros(1_500);
/// How often it is asked.
const BETWEEN_QUESTIONS: Duration = Duration::from_millis(1);

impl<W: World> Conductor<W> {
    /// Lets a held step go and waits for its ending. Then looks at all that waits.
    pub(crate) async fn step(
        &mut self,
        id: StepId,
        delivery: Delivery,
    ) -> Result<Option<Ending>, W::Error> {
        self.step_by(id, delivery, |world, connection| {
            world.release(connection, delivery);
        })
        .await
    }

    /// The same, released in this way.
    pub(crate) async fn step_by(
        &mut self,
        id: StepId,
        delivery: Delivery,
        release: impl FnOnce(&mut W, &ConnectionName),
    ) -> Result<Option<Ending>, W::Error> {
        let Some(step) = self.steps.get(&id) else {
            return Ok(None);
        };
        let connection = step.connection.clone();
        release(&mut self.world, &connection);
        // What comes of it from now on is an answer to this step, however soon it comes.
        self.batch += 1;
        let now = self.now();
        self.book_release(id, delivery, now);
        let ending = self.await_ending(id).await?;
        self.look_again().await?;
        Ok(ending)
    }

    pub(crate) async fn await_ending(&mut self, id: StepId) -> Result<Option<Ending>, W::Error> {
        let mut pause = BEFORE_ASKING;
        let mut blocked_since: Option<Duration> = None;
        loop {
            self.next_event(pause).await?;
            pause = BETWEEN_QUESTIONS;
            if self.has_answer(id) {
                self.note_done(id);
                return Ok(Some(Ending::Done));
            }
            let Some((pid, over)) = self.session_of(id) else {
                return Ok(None);
            };
            if self.time_is_up() {
                self.hit_limit(Awaited::StepEnding);
                return Ok(None);
            }
            if over {
                self.await_gone().await?;
                if self.has_answer(id) {
                    continue;
                }
                self.note_gone(id);
                return Ok(Some(Ending::Gone));
            }
            let picture = self.picture().await?;
            let Some(pid) = pid else {
                if let Some(by) = self.queued_behind(id, &picture).await? {
                    self.note_queued(id, by);
                    return Ok(Some(Ending::Blocked));
                }
                continue;
            };
            // An answer that came while the question was on its way goes first.
            self.absorb_all().await?;
            if self.has_answer(id) {
                continue;
            }
            match self.at_gate(id, pid, &picture).await? {
                AtGate::Stands => {
                    self.note_waiting(id, Waiting::Gate, Vec::new());
                    return Ok(Some(Ending::Inside));
                }
                AtGate::Passed => continue,
                AtGate::Not => {}
            }
            if let Chain::Stuck(by) = self.chain(pid, &picture) {
                let now = self.now();
                let since = *blocked_since.get_or_insert(now);
                if self.deadlock_check_is_over(pid, &picture, since).await? {
                    self.note_waiting(id, Waiting::Lock, by);
                    return Ok(Some(Ending::Blocked));
                }
                continue;
            }
            blocked_since = None;
            if self.needs_its_pod(id, &picture).await? {
                self.note_waiting(id, Waiting::Pod, Vec::new());
                return Ok(Some(Ending::NeedsPod));
            }
        }
    }

    /// Looks at every step that waits: those that have ended are written down in the order of pod
    /// names; those whose way is free now are waited for.
    pub(crate) async fn look_again(&mut self) -> Result<(), W::Error> {
        loop {
            self.absorb_all().await?;
            if !self.world.can_look() {
                return Ok(());
            }
            self.await_gone().await?;
            self.look_due = false;
            let waiting = self.waiting_steps();
            if waiting.is_empty() || self.limit_hit {
                break;
            }
            // First whoever moves comes to rest, so that the order of writing is not that of arrival.
            let (moving, unfed) = self.moving(&waiting).await?;
            if !moving.is_empty() {
                let severed = moving.iter().filter(|id| self.let_severed_go(**id)).count();
                if severed > 0 {
                    continue;
                }
                if self.time_is_up() {
                    self.hit_limit(Awaited::StepToGoOn);
                    break;
                }
                self.next_event(BETWEEN_QUESTIONS).await?;
                continue;
            }
            let mut at_rest: Vec<StepId> = waiting
                .into_iter()
                .filter(|id| self.is_over(*id) || unfed.contains(id))
                .collect();
            if at_rest.is_empty() {
                break;
            }
            at_rest.sort_by_key(|id| {
                self.steps
                    .get(id)
                    .map(|step| (step.connection.clone(), step.id))
            });
            for id in at_rest {
                if self.has_answer(id) {
                    self.note_done(id);
                } else if self.is_over(id) {
                    self.note_gone(id);
                } else {
                    self.note_waiting(id, Waiting::Pod, Vec::new());
                }
            }
        }
        self.note_locks().await
    }

    pub(crate) fn has_answer(&self, id: StepId) -> bool {
        self.steps
            .get(&id)
            .is_some_and(|step| step.answer.is_some())
    }

    /// The backend of a step's connection, and whether that connection is over on the server.
    pub(crate) fn session_of(&self, id: StepId) -> Option<(Option<i32>, bool)> {
        let step = self.steps.get(&id)?;
        let link = self
            .members
            .get(&step.connection.pod)?
            .links
            .get(&step.connection.index)?;
        Some((link.pid, link.gone || link.server_closed))
    }

    /// Waits until the backends of all connections whose end has begun have left
    /// `pg_stat_activity`: only then are their locks free.
    pub(crate) async fn await_gone(&mut self) -> Result<(), W::Error> {
        if self.is_pooled() {
            return W::await_returned(self).await;
        }
        // A server that is paused tells nothing; what it would tell is waited for later.
        while self.world.can_look() {
            let leaving: Vec<i32> = self
                .members
                .values()
                .flat_map(|member| member.links.values())
                .filter(|link| link.is_leaving())
                .filter_map(|link| link.pid)
                .collect();
            if leaving.is_empty() {
                return Ok(());
            }
            let picture = self.world.look(&leaving).await?;
            let mut any = false;
            let mut gone = Vec::new();
            for link in self
                .members
                .values_mut()
                .flat_map(|member| member.links.values_mut())
            {
                if let Some(session) = link.session
                    && link.is_leaving()
                    && leaving.contains(&session.pid)
                    && picture
                        .get(&session.pid)
                        .is_none_or(|seen| !link.is_of(seen.session))
                {
                    link.gone = true;
                    any = true;
                    gone.push((link.name.clone(), session));
                }
            }
            for (connection, session) in gone {
                self.note(Event::SessionGone {
                    connection,
                    session,
                });
            }
            if any {
                self.look_due = true;
                self.at_boundary = true;
                self.note_locks().await?;
                continue;
            }
            if self.time_is_up() {
                self.hit_limit(Awaited::SessionEnd);
                return Ok(());
            }
            self.next_event(BETWEEN_QUESTIONS).await?;
        }
        Ok(())
    }

    /// Reads the advisory locks and writes them down if a step has ended since the last time (that
    /// a lock is still held after an unlock is evidence, too), or if they have changed.
    pub(crate) async fn note_locks(&mut self) -> Result<(), W::Error> {
        if !self.world.can_look() {
            return Ok(());
        }
        if self.orders.sparse_locks && !self.at_boundary && self.waiting_steps().is_empty() {
            return Ok(());
        }
        let Some((server_us, locks)) = W::look_at_locks(self).await? else {
            return Ok(());
        };
        let boundary = std::mem::take(&mut self.at_boundary);
        if boundary || self.locks.as_ref() != Some(&locks) {
            self.locks = Some(locks.clone());
            self.note(Event::Locks { server_us, locks });
        }
        Ok(())
    }

    pub(crate) fn note_waiting(&mut self, id: StepId, waiting: Waiting, blocked_by: Vec<i32>) {
        if let Some(step) = self.steps.get_mut(&id) {
            step.waiting = Some(waiting);
        }
        self.at_boundary = true;
        self.note(Event::StepEnded {
            step: id,
            ending: match waiting {
                Waiting::Lock | Waiting::Connection => Ending::Blocked,
                Waiting::Pod => Ending::NeedsPod,
                Waiting::Gate => Ending::Inside,
            },
            answer: Answer::default(),
            blocked_by,
        });
    }

    pub(crate) fn note_done(&mut self, id: StepId) {
        let Some(step) = self.steps.get_mut(&id) else {
            return;
        };
        if step.ended {
            return;
        }
        step.ended = true;
        step.waiting = None;
        let answer = step.answer.clone().unwrap_or_default();
        // As none of the clean run does. (A look-up fails only as a consequence.)
        let unexpected = answer.error.as_ref().filter(|error| {
            let baseline = self.orders.baseline.as_ref();
            baseline.is_none_or(|base| !base.shows(&answered(&step.request, error)))
                && !may_be_answer(&self.orders.rules, &step.request, error)
        });
        let only = self.orders.stop_only_at.as_ref();
        let failed = unexpected.is_some_and(|error| {
            let (table, constraint) = (named_table(error), named_constraint(error));
            let named = |only: &NamedError| {
                only.means(&error.sqlstate, constraint.as_deref(), table.as_deref())
            };
            only.is_none_or(named)
        });
        // Behind it pods do what no clean run does: what plain statements do to locks there, none has shown.
        self.orders.sparse_locks &= unexpected.is_none();
        self.at_boundary |= !self.orders.sparse_locks || !is_plain(&step.request, &answer);
        self.note(Event::StepEnded {
            step: id,
            ending: Ending::Done,
            answer,
            blocked_by: Vec::new(),
        });
        if failed && self.orders.stop_at_error && !self.limit_hit {
            self.limit_hit = true;
            self.stopped_early = true;
            self.note(Event::StoppedEarly { step: id });
        }
        self.meet_pending_stops(id);
        self.settle_debt(id, true);
    }

    /// A step's ending is in the history: what its pod asked after it can follow.
    fn settle_debt(&mut self, id: StepId, answered: bool) {
        self.endings += 1;
        let Some(connection) = self.steps.get(&id).map(|step| step.connection.clone()) else {
            return;
        };
        let Some(member) = self.members.get_mut(&connection.pod) else {
            return;
        };
        if answered {
            member.owed = member.owed.saturating_sub(1);
        }
        let paid = member.owed == 0;
        let pod = connection.pod.clone();
        let held: Vec<StepId> = member.links.values().filter_map(|link| link.held).collect();
        if let Some(by) = self
            .link(&connection)
            .and_then(|link| link.unwritten_close.take())
        {
            self.note(Event::ConnectionClosed { connection, by });
        }
        for id in held.into_iter().filter(|_| paid) {
            self.write_arrival(id);
            self.let_by(id, self.now());
        }
        if paid {
            self.write_exit(&pod);
        }
    }

    pub(crate) fn note_gone(&mut self, id: StepId) {
        let now = self.now();
        let Some(step) = self.steps.get_mut(&id).filter(|step| !step.ended) else {
            return;
        };
        step.ended = true;
        step.waiting = None;
        step.answered = Some(now);
        let connection = step.connection.clone();
        if let Some(link) = self
            .members
            .get_mut(&connection.pod)
            .and_then(|member| member.links.get_mut(&connection.index))
        {
            link.running = None;
        }
        self.at_boundary = true;
        self.note(Event::StepEnded {
            step: id,
            ending: Ending::Gone,
            answer: Answer::default(),
            blocked_by: Vec::new(),
        });
        self.settle_debt(id, false);
    }
}
