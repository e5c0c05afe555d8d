//! One turn: a pod runs, step by step, until its stop.
//!
//! Owns which of a pod's held steps goes next, when a stop is met (also later, by a step that was
//! blocked when the turn ended), and when a pod that only repeats itself makes way.

use std::time::Duration;

use super::books::{Link, PendingStop, Rest, Step};
use super::machine::Conductor;
use super::world::World;
use crate::history::{Awaited, Delivery, Ending, Event, TurnEnd};
use crate::name::{PodName, StepId};
use crate::schedule::{SqlPattern, Stop, Turn};

/// Whether a step is what a stop names, as it is written or in its normal form (which has no
/// needless quotes). A step that only prepares is meant by no pattern that does not say so.
fn meets(step: &Step, sql: &SqlPattern) -> bool {
    step.request.prepares == sql.is_of_preparation()
        && (sql.matches(&step.request.sql) || sql.matches(&step.request.normal))
}

impl<W: World> Conductor<W> {
    /// Runs a turn; why it ended.
    pub(crate) async fn turn(&mut self, index: usize, turn: &Turn) -> Result<TurnEnd, W::Error> {
        let name = &turn.pod;
        if !self.is_there(name) {
            return Ok(TurnEnd::NotThere);
        }
        // Nothing goes on while the server stands still.
        self.undo_outage().await?;
        self.start(name).await?;
        self.leave_gates(name).await?;
        let mut matches = 0;
        let mut counted: Option<StepId> = None;
        let mut steps = 0;
        let begun = self.now();
        loop {
            self.quiet(name).await?;
            if self.limit_hit {
                return Ok(TurnEnd::Limit);
            }
            let ended = self.members.get(name).is_some_and(|member| member.ended);
            if ended {
                return Ok(if turn.until == Stop::End {
                    TurnEnd::Reached
                } else {
                    TurnEnd::PodEnded
                });
            }
            let Some(id) = self.next_held(name) else {
                if self.waits(name) || self.is_kept_back(name) {
                    return Ok(if turn.until == Stop::Blocked {
                        TurnEnd::Reached
                    } else {
                        self.keep_stop(index, turn, matches, counted);
                        TurnEnd::Blocked
                    });
                }
                if self.await_request(name, begun).await? {
                    self.takes_let_go();
                    self.keep_stop(index, turn, matches, counted);
                    return Ok(TurnEnd::Waits);
                }
                continue;
            };
            if let Stop::Before { sql, nth } = &turn.until
                && counted != Some(id)
                && self.matches(id, sql)
            {
                counted = Some(id);
                matches += 1;
                if matches == *nth {
                    if let Some(member) = self.members.get_mut(name) {
                        member.stopped_at = Some(id);
                    }
                    return Ok(TurnEnd::Reached);
                }
            }
            if self.yields(name) {
                self.keep_stop(index, turn, matches, counted);
                return Ok(TurnEnd::Yielded);
            }
            let most = self.orders.most_steps;
            if self.released >= most {
                self.note_limit(Awaited::Steps(most), 0);
                return Ok(TurnEnd::Limit);
            }
            let inside = match &turn.until {
                Stop::Inside { sql, nth, at } if self.matches(id, sql) => {
                    matches += 1;
                    Some(at).filter(|_| matches == *nth)
                }
                _ => None,
            };
            let ending = match inside {
                Some(at) => self.step_into(id, at).await?,
                None => self.step(id, Delivery::Forwarded).await?,
            };
            if ending == Some(Ending::Inside) {
                return Ok(TurnEnd::Reached);
            }
            self.count_repeat(name, id);
            steps += u32::from(!self.prepares(id));
            if self.takes_let_go() {
                return Ok(TurnEnd::Waits);
            }
            match &turn.until {
                Stop::After { sql, nth }
                    if ending == Some(Ending::Done) && self.matches(id, sql) =>
                {
                    matches += 1;
                    if matches == *nth {
                        self.quiet(name).await?;
                        return Ok(TurnEnd::Reached);
                    }
                }
                Stop::Steps(wanted) if steps >= *wanted => {
                    self.quiet(name).await?;
                    self.hold().await?;
                    return Ok(TurnEnd::Reached);
                }
                _ => {}
            }
        }
    }

    /// The step that is released next: of those held, the one that arrived first; of several that
    /// arrived together, the one of the lowest connection.
    pub(crate) fn next_held(&self, name: &PodName) -> Option<StepId> {
        let member = self.members.get(name)?;
        member
            .links
            .values()
            // What is held on a link that is cut is still under way to the gate.
            .filter(|link| !self.is_cut_off(link))
            .filter_map(|link| link.held)
            .filter_map(|id| self.steps.get(&id))
            .min_by_key(|step| (step.batch, step.connection.index))
            .map(|step| step.id)
    }

    /// Whether nothing passes on this connection's link.
    pub(crate) fn is_cut_off(&self, link: &Link) -> bool {
        self.world.is_cut_off(&link.name)
    }

    /// Whether nothing more can come from the pod until a fault is undone: it is stopped, or its
    /// link is cut.
    pub(crate) fn is_kept_back(&self, name: &PodName) -> bool {
        self.members.get(name).is_some_and(|member| {
            let mut open = member.links.values().filter(|link| !link.gone).peekable();
            member.paused || open.peek().is_some() && open.all(|link| self.is_cut_off(link))
        })
    }

    /// Whether a step only prepares.
    pub(crate) fn prepares(&self, id: StepId) -> bool {
        self.steps
            .get(&id)
            .is_some_and(|step| step.request.prepares)
    }

    /// Lets steps go that only prepare until the pod has another at the gate, or none: a fault or a
    /// release of several steps at once means an execution, unless a turn has stopped at a preparation.
    pub(crate) async fn pass_preparations(&mut self, name: &PodName) -> Result<(), W::Error> {
        loop {
            self.quiet(name).await?;
            let Some(id) = self.next_held(name).filter(|id| self.prepares(*id)) else {
                return Ok(());
            };
            let stopped_at = self.members.get(name).and_then(|one| one.stopped_at);
            if stopped_at == Some(id) || self.limit_hit {
                return Ok(());
            }
            self.step(id, Delivery::Forwarded).await?;
        }
    }

    pub(crate) fn matches(&self, id: StepId, sql: &SqlPattern) -> bool {
        self.steps.get(&id).is_some_and(|step| meets(step, sql))
    }

    /// Whether a step of the pod waits on the server.
    pub(crate) fn waits(&self, name: &PodName) -> bool {
        self.members.get(name).is_some_and(|member| {
            member
                .links
                .values()
                .any(|link| self.is_waiting(link.running))
        })
    }

    /// Waits for the pod to say something more, within the run's time. Whether it waits for others
    /// instead; its turn has begun then.
    async fn await_request(&mut self, name: &PodName, turn: Duration) -> Result<bool, W::Error> {
        loop {
            if self.next_event(Duration::from_millis(20)).await? || self.limit_hit {
                return Ok(false);
            }
            if self.note_if_ended(name) {
                return Ok(false);
            }
            // Processes other than the first one, or a session, may end without a report.
            let over = self
                .members
                .get(name)
                .is_none_or(|member| member.exited.is_some() && !self.world.is_running(name));
            if self.time_is_up() {
                self.hit_limit(Awaited::NextRequest(name.clone()));
                return Ok(false);
            }
            if over {
                self.look_again().await?;
                return Ok(false);
            }
            match self.rests(name, turn).await? {
                Rest::Heard => return Ok(false),
                Rest::Over => return Ok(true),
                Rest::Lasts => {}
            }
        }
    }

    fn keep_stop(&mut self, index: usize, turn: &Turn, matches: u32, counted: Option<StepId>) {
        if let Stop::Before { sql, nth } | Stop::After { sql, nth } = &turn.until {
            self.pending_stops.push(PendingStop {
                index,
                pod: turn.pod.clone(),
                sql: sql.clone(),
                nth: *nth,
                matches,
                counted,
            });
        }
    }

    /// Looks whether a step that has ended meets a stop whose turn is over.
    pub(crate) fn meet_pending_stops(&mut self, id: StepId) {
        let Some(step) = self.steps.get(&id) else {
            return;
        };
        let mut met = Vec::new();
        for stop in &mut self.pending_stops {
            if stop.pod == step.connection.pod && stop.counted != Some(id) && meets(step, &stop.sql)
            {
                stop.matches += 1;
                if stop.matches == stop.nth {
                    met.push(stop.index);
                }
            }
        }
        self.pending_stops.retain(|stop| stop.matches < stop.nth);
        for index in met {
            self.note(Event::StopMetLater { index });
        }
    }
}
