//! A run as a short play: who did what, in order.
//!
//! Owns what is worth a line: the turns, with the statement at which each stopped, every blocked step and what it
//! waited for, every error, every fault. All of it comes from the history.

use super::moves::move_words;
use std::collections::{HashMap, HashSet};

use super::scene::{Scene, short};
use crate::history::{Begun, Decided, Decision, Ending, Event, FaultBy, FaultEvent, Line, TurnEnd};
use crate::ledger::Ledger;
use crate::name::{ConnectionName, PodName, StepId};
use crate::schedule::{FaultTarget, Move, Stop};
use crate::timeline::{EndingFacts, Happening, StepFacts, Timeline};

/// Who acts where the CronJob's controller does.
const CLOCK: &str = "⏰";

struct Teller<'t, 'a> {
    timeline: &'t Timeline<'a>,
    ledger: Ledger<'a>,
    /// The connection that each backend serves.
    pids: HashMap<i32, &'a ConnectionName>,
    /// Who holds the locks of each backend: behind a pooler it may serve another now.
    held: Vec<(i32, &'a ConnectionName)>,
    queued: Option<StepId>,
    /// What has been said of the pooler's choices.
    told: HashSet<String>,
    blocked: HashMap<StepId, String>,
    played: Vec<Played>,
    /// The steps that the verdict is about.
    offending: &'t HashSet<StepId>,
    steps: u32,
    last: Option<StepId>,
    stopped_at: Option<StepId>,
    actor: Option<PodName>,
    /// The turn's stop is the step at which it is held.
    until_before: bool,
    /// Several pods' steps are let go at the same moment.
    together: bool,
    /// Statements whose client is gone.
    ghosts: HashSet<StepId>,
    /// Connections whose sessions end with the server.
    sessions_hit: Vec<String>,
}

/// A line of the play, and what it is to the story.
pub(super) struct Played {
    /// The line.
    pub(super) scene: Scene,
    /// Whether something happens in it: a lock, a wait, an error, a fault, the end of a turn.
    pub(super) marked: bool,
    /// Whether the verdict is about it.
    pub(super) offends: bool,
}

/// The play of a history.
#[must_use]
pub fn play(lines: &[Line]) -> Vec<Scene> {
    let played = played(lines, &HashSet::new());
    played.into_iter().map(|one| one.scene).collect()
}

/// The play, with a line of its own for each of these steps.
pub(super) fn played(lines: &[Line], offending: &HashSet<StepId>) -> Vec<Played> {
    let timeline = Timeline::of(lines);
    let mut teller = Teller::of(&timeline, offending);
    for (_, happening) in timeline.happenings() {
        teller.happened(happening);
    }
    teller.played
}

fn is_of_server(event: &FaultEvent) -> bool {
    event.fault.kind.target() == FaultTarget::Server
}

impl<'t, 'a> Teller<'t, 'a> {
    fn of(timeline: &'t Timeline<'a>, offending: &'t HashSet<StepId>) -> Self {
        Self {
            timeline,
            ledger: Ledger::of(timeline),
            pids: HashMap::new(),
            held: Vec::new(),
            queued: None,
            told: HashSet::new(),
            blocked: HashMap::new(),
            played: Vec::new(),
            offending,
            steps: 0,
            last: None,
            stopped_at: None,
            actor: None,
            until_before: false,
            together: false,
            ghosts: HashSet::new(),
            sessions_hit: Vec::new(),
        }
    }

    fn step(&self, id: StepId) -> Option<&'t StepFacts<'a>> {
        self.timeline.steps.get(&id)
    }

    fn say(&mut self, who: &str, what: String) {
        self.put(who, what, true, false);
    }

    fn put(&mut self, who: &str, what: String, marked: bool, offends: bool) {
        let scene = Scene {
            who: who.to_owned(),
            what,
        };
        self.played.push(Played {
            scene,
            marked,
            offends,
        });
    }

    /// Says what a step did, in a line of its own.
    fn say_step(&mut self, who: &str, step: StepId, what: String) {
        let offends = self.offending.contains(&step);
        let what = if offends {
            format!("{what}  ← here")
        } else {
            what
        };
        self.put(who, what, true, offends);
    }

    fn happened(&mut self, happening: Happening<'t, 'a>) {
        match happening {
            Happening::Held(step) => {
                if !step.request.look_up && self.actor.as_ref() == Some(step.pod()) {
                    self.stopped_at = Some(step.id);
                }
            }
            Happening::Released(step) if step.number.is_some() => {
                if self.together {
                    let (who, what) = (step.connection.to_string(), short(step.request));
                    self.say(&who, format!("is let go with the others: {what}"));
                    return;
                }
                self.steps += 1;
                self.last = Some(step.id);
                self.stopped_at = self.stopped_at.filter(|held| *held != step.id);
            }
            Happening::Ended(step, end) => self.ended(step, end),
            Happening::Locks(snapshot) => {
                let holders = self.ledger.holders(self.timeline);
                let granted = holders.shown(snapshot).filter(|(lock, _)| lock.granted);
                self.held = granted
                    .map(|(lock, holder)| (lock.pid, holder.connection))
                    .collect();
            }
            Happening::Other(event) => self.tell(event),
            Happening::Released(_) | Happening::Dropped(_) | Happening::Unknown => {}
        }
    }

    fn tell(&mut self, event: &'a Event) {
        match event {
            Event::SessionStarted {
                connection,
                session,
                ..
            } => {
                self.tell_choice(connection, session.pid);
                self.pids.insert(session.pid, connection);
            }
            Event::StepQueued { step } => self.queued = Some(*step),
            Event::MoveStarted { begun, .. } => {
                self.steps = 0;
                self.last = None;
                let turn = begun.turn();
                self.until_before =
                    turn.is_some_and(|turn| matches!(turn.until, Stop::Before { .. }));
                self.together = begun.is_together();
                self.actor = begun.pod().cloned();
                // What comes of a tick is told by the decisions; that only time passes, by nothing.
                if let Begun::Move(passes @ Move::Advance(_)) = begun {
                    self.say(CLOCK, move_words(passes));
                }
            }
            Event::Controller(decision) => self.decided(decision),
            Event::TurnEnded { why, .. } => self.turn_ended(*why),
            // What it did to each session is told with the fault of the server itself.
            Event::Fault(fault) if is_of_server(fault) && fault.pod.is_some() => {
                self.sessions_hit
                    .extend(fault.connection.iter().map(ToString::to_string));
            }
            Event::Fault(fault) => {
                self.tell_steps();
                let target = fault
                    .connection
                    .as_ref()
                    .map(ToString::to_string)
                    .or_else(|| fault.pod.as_ref().map(ToString::to_string))
                    .unwrap_or_default();
                let outcome = if fault.fired { "" } else { "did not fire: " };
                let (target, point) = if fault.fault.kind.target() == FaultTarget::Lock {
                    let point = match fault.fault.pod {
                        Some(_) => format!(" ({})", fault.fault.point),
                        None => String::new(),
                    };
                    (String::new(), point)
                } else if is_of_server(fault) {
                    let hit = std::mem::take(&mut self.sessions_hit);
                    let ended = match hit.len() {
                        0 => String::new(),
                        _ => format!(" (ends {})", hit.join(", ")),
                    };
                    (ended, String::new())
                } else {
                    let point = match &fault.by {
                        FaultBy::Controller { clock } => format!(" (at {clock})"),
                        FaultBy::Schedule => format!(" ({})", fault.fault.point),
                    };
                    (format!(" {target}"), point)
                };
                self.say(
                    "⚡",
                    format!(
                        "{}{target}{point}: {outcome}{}",
                        fault.fault.kind.name(),
                        fault.evidence
                    ),
                );
            }
            Event::Ghost {
                step, connection, ..
            } => {
                self.ghosts.insert(*step);
                if let Some(step) = self.step(*step) {
                    let what = format!(
                        "{connection} is gone, its statement is still on the server: {}",
                        short(step.request)
                    );
                    self.say("", what);
                }
            }
            Event::PodWaits {
                pod,
                waits_for,
                held,
                ..
            } => {
                self.tell_steps();
                let held: Vec<&str> = held.iter().map(PodName::as_str).collect();
                let held = held.join(" and ");
                self.say(
                    pod.as_str(),
                    format!("waits for {waits_for} while {held} is held"),
                );
            }
            Event::PodExited { pod, code, signal } => {
                self.tell_steps();
                let how = match (code, signal) {
                    (Some(code), _) => format!("exits with code {code}"),
                    (None, Some(signal)) => format!("is ended by signal {signal}"),
                    (None, None) => "ends".to_owned(),
                };
                self.say(pod.as_str(), how);
            }
            Event::LimitHit {
                waited_for, saw, ..
            } => self.say(
                "",
                format!("out of time: waited for {waited_for}; saw: {saw}"),
            ),
            Event::StoppedEarly { .. } => {
                self.say("", "the run was stopped at this error".to_owned());
            }
            _ => {}
        }
    }

    /// Says that a pooler gives a connection a session that another pod's lock is on, or not the one
    /// that its own is on.
    fn tell_choice(&mut self, connection: &ConnectionName, pid: i32) {
        if !self.timeline.is_pooled() {
            return;
        }
        let own = self.held.iter().any(|(_, holder)| *holder == connection);
        let (key, what) = match self.holder(pid) {
            Some(holder) if holder.pod != connection.pod => (
                format!("{} {pid}", connection.pod),
                format!("the pooler gives {connection} the session on which {holder} holds a lock"),
            ),
            Some(_) => return,
            None if own => (
                connection.to_string(),
                format!("the pooler gives {connection} another session than the one with its lock"),
            ),
            None => return,
        };
        if self.told.insert(key) {
            self.tell_steps_before();
            self.say("", what);
        }
    }

    /// Who holds a lock on this backend.
    fn holder(&self, pid: i32) -> Option<&'a ConnectionName> {
        let mut held = self.held.iter();
        held.find(|(backend, _)| *backend == pid)
            .map(|(_, holder)| *holder)
    }

    /// Says how many steps went by before the one under way.
    fn tell_steps_before(&mut self) {
        if let Some(step) = self.last {
            self.forget_last(step);
            self.last = Some(step);
            self.steps = 1;
        }
    }

    fn decided(&mut self, decision: &Decision) {
        self.tell_steps();
        let (why, clock) = (&decision.why, &decision.clock);
        let job = decision.job.as_deref().unwrap_or("the Job");
        let pod = decision.pod.as_ref().map_or("", PodName::as_str);
        let what = match decision.decided {
            Decided::Watch => format!("the CronJob is made: {why}"),
            Decided::CreateJob => format!("{job} is made {why}"),
            Decided::CreatePod => format!("pod {pod} is created: {why}"),
            Decided::DeleteJob => format!("{job} is deleted: {why}"),
            Decided::Terminate => format!("pod {pod} is to end: {why}"),
            Decided::Kill => format!("pod {pod} gets SIGKILL: {why}"),
            Decided::Remove => format!("pod {pod} never runs: {why}"),
            Decided::Skip => format!("no Job is made: {why}"),
            Decided::Miss => why.clone(),
            Decided::Complete => format!("{job} is complete: {why}"),
            Decided::Retry => format!("{job} goes on: {why}"),
            Decided::Fail => format!("{job} has failed: {why}"),
            // How the run goes on is told as it does.
            Decided::Suspend => return,
        };
        self.say(CLOCK, format!("{clock}  {what}"));
    }

    /// Says how many steps went by without anything worth telling.
    fn tell_steps(&mut self) {
        let Some(step) = self.last.take().and_then(|id| self.step(id)) else {
            return;
        };
        let steps = match self.steps {
            1 => "1 step".to_owned(),
            many => format!("{many} steps, the last"),
        };
        let what = format!("{steps}: {}", short(step.request));
        self.steps = 0;
        self.put(step.pod().as_str(), what, false, false);
    }

    fn ended(&mut self, step: &StepFacts<'a>, end: &EndingFacts<'a>) {
        if step.request.look_up {
            return;
        }
        let (text, pod) = (short(step.request), step.pod());
        let of_a_lock = !step.request.lock_calls.is_empty();
        let (step, ending, answer) = (step.id, end.ending, end.answer);
        let (who, whose) = if self.ghosts.contains(&step) {
            (String::new(), format!("{pod}'s ghost "))
        } else {
            (pod.to_string(), String::new())
        };
        match ending {
            Ending::Blocked => {
                let queued = self.queued.take() == Some(step);
                let by: Vec<String> = end
                    .blocked_by
                    .iter()
                    .map(|pid| {
                        let holder = self.holder(*pid).filter(|_| !queued);
                        holder
                            .or_else(|| self.pids.get(pid).copied())
                            .map_or_else(|| format!("backend {pid}"), ToString::to_string)
                    })
                    .collect();
                self.forget_last(step);
                self.blocked.insert(step, text.clone());
                let (what, by) = (
                    if queued {
                        "a server connection of the pooler, of "
                    } else {
                        ""
                    },
                    by.join(", "),
                );
                self.say(&who, format!("waits: {text}  (for {what}{by})"));
            }
            Ending::Done | Ending::Gone => {
                let waited = self.blocked.remove(&step).is_some();
                if let Some(error) = &answer.error {
                    self.forget_last(step);
                    let on = match (&error.table, &error.constraint) {
                        (Some(table), Some(constraint)) => format!(" on {table}, {constraint}"),
                        (Some(table), None) => format!(" on {table}"),
                        _ => format!(": {}", error.message),
                    };
                    let what =
                        format!("{whose}{text}  → {} {}{on}", error.severity, error.sqlstate);
                    self.say_step(&who, step, what);
                } else if waited {
                    let how = if ending == Ending::Gone {
                        "is gone with its session"
                    } else {
                        "goes through"
                    };
                    self.say_step(&who, step, format!("{whose}{how}: {text}"));
                } else if ending == Ending::Gone {
                    self.forget_last(step);
                    self.say_step(&who, step, format!("loses its session at: {text}"));
                } else if self.offending.contains(&step) || of_a_lock {
                    self.forget_last(step);
                    let refused = answer.lock_results.contains(&Some(false));
                    let answered = if refused { "  → false" } else { "" };
                    self.say_step(&who, step, format!("{whose}{text}{answered}"));
                }
            }
            Ending::NeedsPod => {}
            Ending::Inside => {
                self.forget_last(step);
                self.blocked.insert(step, text.clone());
                self.say(&who, format!("stands inside: {text}"));
            }
        }
    }

    /// Tells the steps before this one; this one gets a line of its own.
    fn forget_last(&mut self, step: StepId) {
        if self.last != Some(step) {
            return;
        }
        let before = self.steps.saturating_sub(1);
        self.last = None;
        self.steps = 0;
        if before > 0
            && let Some(step) = self.step(step)
        {
            let who = step.pod().to_string();
            let plural = if before == 1 { "step" } else { "steps" };
            self.put(&who, format!("{before} {plural}"), false, false);
        }
    }

    fn turn_ended(&mut self, why: TurnEnd) {
        self.tell_steps();
        let held = self
            .stopped_at
            .take()
            .and_then(|id| self.step(id))
            .map(|step| (short(step.request), step.pod().to_string()));
        match (why, held) {
            (TurnEnd::Reached, Some((text, pod))) if self.until_before => {
                self.say(&pod, format!("is held before: {text}"));
            }
            (TurnEnd::Yielded, _) => {
                let who = self
                    .actor
                    .as_ref()
                    .map(ToString::to_string)
                    .unwrap_or_default();
                self.say(&who, "only repeats itself: the others go first".to_owned());
            }
            _ => {}
        }
        self.actor = None;
        self.together = false;
    }
}
