//! When a step has ended: done, blocked, needs its pod, or gone.
//!
//! Owns the waiting for it and the look at everything that waits, after every step. An outcome is
//! latched when its ending is seen on the wire; the server is only asked while none is.

use std::time::{Duration, Instant, SystemTime};

use super::answer::read_answer;
use super::chain::Chain;
use super::conductor::Conductor;
use super::error::RunError;
use super::links::Waiting;
use crate::history::{self, Awaited, Delivery, Ending, Event, NamedError};
use crate::invariant::{answered, may_be_answer, named_constraint, named_table};
use crate::name::StepId;
use crate::wire::Handover;

/// How long an answer is waited for before the server is asked what the session does.
const BEFORE_ASKING: Duration = Duration::from_micros(1_500);
/// How often it is asked.
const BETWEEN_QUESTIONS: Duration = Duration::from_millis(1);

/// Whether a step is a plain statement that came to its end: no call of a lock function, nothing
/// that the text hides, no end of a transaction, no error; or it only prepared one. It can change advisory locks only by what
/// the database itself does unasked (a trigger).
#[must_use]
pub fn is_plain(request: &history::Request, answer: &history::Answer) -> bool {
    const PLAIN: [&str; 6] = [
        "insert ",
        "update ",
        "delete ",
        "truncate ",
        "select ",
        "copy ",
    ];
    request.lock_calls.is_empty()
        && !request.opaque
        && answer.error.is_none()
        && (request.prepares
            || request
                .normal
                .iter()
                .all(|normal| PLAIN.iter().any(|word| normal.starts_with(word))))
}

impl Conductor<'_> {
    /// Lets a held step go and waits for its ending. Then looks at all that waits.
    pub(super) async fn step(
        &mut self,
        id: StepId,
        handover: Handover,
        delivery: Delivery,
    ) -> Result<Option<Ending>, RunError> {
        let Some(step) = self.steps.get(&id) else {
            return Ok(None);
        };
        let connection = step.connection.clone();
        if let Some(member) = self.members.get(&connection.pod) {
            // A connection that ended in between has told so, or will.
            let _ = member.proxy.release(&connection, handover);
        }
        // What comes from now on is an answer to this step, however soon it comes.
        self.batch += 1;
        self.book_release(id, delivery, Instant::now());
        let ending = self.await_ending(id).await?;
        self.look_again().await?;
        Ok(ending)
    }

    pub(super) async fn await_ending(&mut self, id: StepId) -> Result<Option<Ending>, RunError> {
        let mut pause = BEFORE_ASKING;
        let mut blocked_since: Option<Instant> = None;
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
            if Instant::now() > self.deadline {
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
            if let Chain::Stuck(by) = self.chain(pid, &picture) {
                let since = *blocked_since.get_or_insert_with(Instant::now);
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
    pub(super) async fn look_again(&mut self) -> Result<(), RunError> {
        loop {
            self.absorb_all().await?;
            if !self.can_ask() {
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
                if Instant::now() > self.deadline {
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

    pub(super) fn has_answer(&self, id: StepId) -> bool {
        self.steps
            .get(&id)
            .is_some_and(|step| step.answer.is_some())
    }

    /// The backend of a step's connection, and whether that connection is over on the server.
    pub(super) fn session_of(&self, id: StepId) -> Option<(Option<i32>, bool)> {
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
    pub(super) async fn await_gone(&mut self) -> Result<(), RunError> {
        if self.pooled.is_some() {
            return self.await_returned().await;
        }
        // A server that is paused tells nothing; what it would tell is waited for later.
        while self.can_ask() {
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
            let picture = self.watchers.activity(&leaving).await?;
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
            if Instant::now() > self.deadline {
                self.hit_limit(Awaited::SessionEnd);
                return Ok(());
            }
            self.absorb_all().await?;
            tokio::time::sleep(BETWEEN_QUESTIONS).await;
        }
        Ok(())
    }

    /// Reads the advisory locks and writes them down if a step has ended since the last time (that
    /// a lock is still held after an unlock is evidence, too), or if they have changed.
    pub(super) async fn note_locks(&mut self) -> Result<(), RunError> {
        if !self.can_ask() {
            return Ok(());
        }
        if self.plan.sparse_locks && !self.at_boundary && self.waiting_steps().is_empty() {
            return Ok(());
        }
        let asked = Instant::now();
        let (server_us, locks) = self.watchers.locks().await?;
        // Free pods have gone on meanwhile: what they did before the server looked is written before
        // what it saw, or a lock would seem to be given back later than it was.
        if !self.controlled {
            let answered = Instant::now();
            let mut looked = self.instant(server_us);
            // Its clock is not ours, or there are two of them: when it looked is not known. Where
            // nothing happened meanwhile that does not matter; else this look says nothing.
            if looked < asked || looked > answered || self.standby.is_some() {
                looked = asked;
            }
            while let Some(event) = self.wire.next_until(looked) {
                self.absorb(event).await?;
            }
            if looked == asked && self.wire.has_until(answered) {
                return Ok(());
            }
        }
        if let Some(pooled) = &mut self.pooled {
            pooled.note_owners(&locks);
        }
        self.note_prepared(&locks).await?;
        let boundary = std::mem::take(&mut self.at_boundary);
        if boundary || self.locks.as_ref() != Some(&locks) {
            self.locks = Some(locks.clone());
            self.note(Event::Locks { server_us, locks });
        }
        Ok(())
    }

    pub(super) fn note_waiting(&mut self, id: StepId, waiting: Waiting, blocked_by: Vec<i32>) {
        if let Some(step) = self.steps.get_mut(&id) {
            step.waiting = Some(waiting);
        }
        self.at_boundary = true;
        self.note(Event::StepEnded {
            step: id,
            ending: match waiting {
                Waiting::Lock | Waiting::Connection => Ending::Blocked,
                Waiting::Pod => Ending::NeedsPod,
            },
            answer: history::Answer::default(),
            blocked_by,
        });
    }

    pub(super) fn note_done(&mut self, id: StepId) {
        let Some(step) = self.steps.get_mut(&id) else {
            return;
        };
        if step.ended {
            return;
        }
        step.ended = true;
        step.waiting = None;
        let answer = step
            .answer
            .as_ref()
            .map(|answer| read_answer(answer, &step.request))
            .unwrap_or_default();
        self.at_boundary |= !self.plan.sparse_locks || !is_plain(&step.request, &answer);
        // As none of the clean run does. (A look-up fails only as a consequence.)
        let only = self.plan.stop_only_at.as_ref();
        let failed = answer.error.as_ref().is_some_and(|error| {
            let (table, constraint) = (named_table(error), named_constraint(error));
            let named = |only: &NamedError| {
                only.means(&error.sqlstate, constraint.as_deref(), table.as_deref())
            };
            let baseline = self.plan.baseline.as_ref();
            baseline.is_none_or(|base| !base.shows(&answered(&step.request, error)))
                && !may_be_answer(&self.plan.rules, &step.request, error)
                && only.is_none_or(named)
        });
        self.note(Event::StepEnded {
            step: id,
            ending: Ending::Done,
            answer,
            blocked_by: Vec::new(),
        });
        if failed && self.plan.stop_at_error && !self.limit_hit {
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
            self.let_by(id, Instant::now());
        }
        if paid {
            self.write_exit(&pod);
        }
    }

    pub(super) fn note_gone(&mut self, id: StepId) {
        let Some(step) = self.steps.get_mut(&id).filter(|step| !step.ended) else {
            return;
        };
        step.ended = true;
        step.waiting = None;
        step.answered = Some(SystemTime::now());
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
            answer: history::Answer::default(),
            blocked_by: Vec::new(),
        });
        self.settle_debt(id, false);
    }
}
