//! A run as a short play: who did what, in order.
//!
//! Owns the choice of what is worth a line: the turns, with the statement at which each stopped,
//! every blocked step and what it waited for, every error, every fault. All of it from the history.

use std::collections::{HashMap, HashSet};
use std::fmt;

use crate::history::{
    Answer, Decided, Decision, Ending, Event, Line, PodName, Request, StepId, TurnEnd,
};
use crate::schedule::{FaultEntry, FaultTarget, is_of_controller};

/// One line of the play.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scene {
    /// Who acts; empty for the server.
    pub who: String,
    /// What happens.
    pub what: String,
}

impl fmt::Display for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>3}  {}", self.who, self.what)
    }
}

/// Who acts where the CronJob's controller does.
const CLOCK: &str = "⏰";

#[derive(Default)]
struct Teller<'a> {
    requests: HashMap<StepId, (&'a Request, PodName, String)>,
    pids: HashMap<i32, String>,
    /// Who took the locks that each backend holds: behind a pooler it may serve another now.
    holders: HashMap<i32, String>,
    queued: Option<StepId>,
    pooled: bool,
    /// What has been said of the pooler's choices.
    told: HashSet<String>,
    blocked: HashMap<StepId, String>,
    scenes: Vec<Scene>,
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

/// The play of a history.
#[must_use]
pub fn play(lines: &[Line]) -> Vec<Scene> {
    let mut teller = Teller::default();
    for line in lines {
        teller.tell(&line.event);
    }
    teller.scenes
}

/// A statement's beginning, on one line.
fn short(request: &Request) -> String {
    let text = request
        .sql
        .first()
        .map_or("(nothing)", String::as_str)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    // The list of columns and the rows say nothing to a reader of the play.
    let cut = text.find(" (").filter(|_| text.starts_with("insert into "));
    let text = cut.map_or(text.as_str(), |at| &text[..at]);
    if text.chars().count() > 60 {
        format!("{}…", text.chars().take(60).collect::<String>().trim_end())
    } else if cut.is_some() {
        format!("{text} …")
    } else {
        text.to_owned()
    }
}

impl<'a> Teller<'a> {
    fn say(&mut self, who: &str, what: String) {
        self.scenes.push(Scene {
            who: who.to_owned(),
            what,
        });
    }

    fn tell(&mut self, event: &'a Event) {
        match event {
            Event::Run(run) => self.pooled = run.pooler.is_some(),
            Event::SessionStarted {
                connection,
                session,
                ..
            } => {
                self.tell_choice(&connection.to_string(), session.pid);
                self.pids.insert(session.pid, connection.to_string());
            }
            Event::Locks { locks, .. } => {
                let granted = || locks.iter().filter(|lock| lock.granted);
                self.holders
                    .retain(|pid, _| granted().any(|lock| lock.pid == *pid));
                for lock in granted() {
                    if let Some(name) = self.pids.get(&lock.pid) {
                        self.holders.entry(lock.pid).or_insert_with(|| name.clone());
                    }
                }
            }
            Event::StepQueued { step } => self.queued = Some(*step),
            Event::StepHeld {
                step,
                connection,
                request,
            } => {
                let known = (request, connection.pod.clone(), connection.to_string());
                self.requests.insert(*step, known);
                if !request.look_up && self.actor.as_ref() == Some(&connection.pod) {
                    self.stopped_at = Some(*step);
                }
            }
            Event::StepReleased {
                step,
                number: Some(_),
                ..
            } => {
                if self.together {
                    if let Some((request, _, connection)) = self.requests.get(step) {
                        let (who, what) = (connection.clone(), short(request));
                        self.say(&who, format!("is let go with the others: {what}"));
                    }
                    return;
                }
                self.steps += 1;
                self.last = Some(*step);
                self.stopped_at = self.stopped_at.filter(|held| held != step);
            }
            Event::StepEnded {
                step,
                ending,
                answer,
                blocked_by,
            } => self.ended(*step, *ending, answer, blocked_by),
            Event::TurnStarted { turn, .. } => {
                self.steps = 0;
                self.last = None;
                self.until_before = turn.contains(" until before ");
                self.together = turn.starts_with("release the next steps of ");
                let pod = turn.strip_prefix("run ").and_then(|rest| {
                    let name = rest.split_whitespace().next()?;
                    Some(PodName::new(name))
                });
                self.actor = pod;
                // What comes of a tick is told by the decisions; that only time passes, by nothing.
                if is_of_controller(turn) && turn.starts_with("time passes") {
                    self.say(CLOCK, turn.clone());
                }
            }
            Event::Controller(decision) => self.decided(decision),
            Event::TurnEnded { why, .. } => self.turn_ended(*why),
            // What it did to each session is told with the fault of the server itself.
            Event::Fault(fault) if is_of_server(&fault.name) && fault.pod.is_some() => {
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
                let (target, point) = if is_of_server(&fault.name) {
                    let hit = std::mem::take(&mut self.sessions_hit);
                    let ended = match hit.len() {
                        0 => String::new(),
                        _ => format!(" (ends {})", hit.join(", ")),
                    };
                    (ended, String::new())
                } else {
                    (format!(" {target}"), format!(" ({})", fault.point))
                };
                self.say(
                    "⚡",
                    format!("{}{target}{point}: {outcome}{}", fault.name, fault.evidence),
                );
            }
            Event::Ghost {
                step, connection, ..
            } => {
                self.ghosts.insert(*step);
                if let Some((request, _, _)) = self.requests.get(step) {
                    let what = format!(
                        "{connection} is gone, its statement is still on the server: {}",
                        short(request)
                    );
                    self.say("", what);
                }
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
    fn tell_choice(&mut self, connection: &str, pid: i32) {
        if !self.pooled {
            return;
        }
        let pod = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
        let (holder, own) = (
            self.holders.get(&pid).cloned(),
            self.holders.values().any(|one| one == connection),
        );
        let (key, what) = match holder {
            Some(holder) if pod(&holder) != pod(connection) => (
                format!("{} {pid}", pod(connection)),
                format!("the pooler gives {connection} the session on which {holder} holds a lock"),
            ),
            Some(_) => return,
            None if own => (
                connection.to_owned(),
                format!("the pooler gives {connection} another session than the one with its lock"),
            ),
            None => return,
        };
        if self.told.insert(key) {
            self.tell_steps_before();
            self.say("", what);
        }
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
        let Some((request, pod, _)) = self.last.take().and_then(|id| self.requests.get(&id)) else {
            return;
        };
        let steps = match self.steps {
            1 => "1 step".to_owned(),
            many => format!("{many} steps, the last"),
        };
        let what = format!("{steps}: {}", short(request));
        let who = pod.to_string();
        self.steps = 0;
        self.say(&who, what);
    }

    fn ended(&mut self, step: StepId, ending: Ending, answer: &Answer, blocked_by: &[i32]) {
        let Some((request, pod, _)) = self.requests.get(&step) else {
            return;
        };
        if request.look_up {
            return;
        }
        let text = short(request);
        let (who, whose) = if self.ghosts.contains(&step) {
            (String::new(), format!("{pod}'s ghost "))
        } else {
            (pod.to_string(), String::new())
        };
        match ending {
            Ending::Blocked => {
                let queued = self.queued.take() == Some(step);
                let by: Vec<String> = blocked_by
                    .iter()
                    .map(|pid| {
                        let holder = self.holders.get(pid).filter(|_| !queued);
                        holder
                            .or_else(|| self.pids.get(pid))
                            .cloned()
                            .unwrap_or_else(|| format!("backend {pid}"))
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
                    self.say(
                        &who,
                        format!("{whose}{text}  → {} {}{on}", error.severity, error.sqlstate),
                    );
                } else if waited {
                    let how = if ending == Ending::Gone {
                        "is gone with its session"
                    } else {
                        "goes through"
                    };
                    self.say(&who, format!("{whose}{how}: {text}"));
                } else if ending == Ending::Gone {
                    self.forget_last(step);
                    self.say(&who, format!("loses its session at: {text}"));
                }
            }
            Ending::NeedsPod => {}
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
            && let Some((_, pod, _)) = self.requests.get(&step)
        {
            let who = pod.to_string();
            let plural = if before == 1 { "step" } else { "steps" };
            self.say(&who, format!("{before} {plural}"));
        }
    }

    fn turn_ended(&mut self, why: TurnEnd) {
        self.tell_steps();
        let held = self
            .stopped_at
            .take()
            .and_then(|id| self.requests.get(&id))
            .map(|(request, pod, _)| (short(request), pod.to_string()));
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

/// Whether a fault of this name is done to the server.
fn is_of_server(name: &str) -> bool {
    FaultEntry::of_name(name).is_some_and(|one| one.target == FaultTarget::Server)
}
