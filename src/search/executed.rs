//! What a run did, step by step, as search needs it.
//!
//! Owns the reading of a history into released steps and the turns they belong to, and into who
//! waited and who had exited after each step. Look-ups of drivers and the recovery pod are left
//! out. Knows nothing of why a schedule was run.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::ops::Range;

use crate::history::{Answer, Begun, Ending, Event, Line, TurnEnd};
use crate::name::{ConnectionName, PodName, StepId};

/// What a run did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Executed {
    /// Its turns and other moves in order, those added after the schedule's end included.
    pub turns: Vec<ExecutedTurn>,
    /// The steps that were given to the server, in order.
    pub steps: Vec<ExecutedStep>,
    /// Steps that were held and never given to the server: pod and normal forms.
    pub left_held: Vec<(PodName, Vec<String>)>,
    /// For each pod that exited: how many steps had been released by then.
    pub exits: BTreeMap<PodName, usize>,
    /// Whether a limit was hit.
    pub limit_hit: bool,
}

/// A turn, a fault, or steps released together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutedTurn {
    /// Its place in the schedule, from 0; added turns count on.
    pub index: usize,
    /// The pod that it runs; `None` if it is no turn of one pod.
    pub pod: Option<PodName>,
    /// Whether the schedule says so.
    pub scheduled: bool,
    /// Its steps, as places in [`Executed::steps`].
    pub steps: Range<usize>,
    /// Why it ended, if it is a turn that did.
    pub why: Option<TurnEnd>,
}

/// A step that was given to the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutedStep {
    /// The step.
    pub id: StepId,
    /// Its connection, and with it its pod.
    pub connection: ConnectionName,
    /// The normal forms of its statements.
    pub normal: Vec<String>,
    /// Whether it writes nothing that its text tells, and its text tells all.
    pub only_asks: bool,
    /// How it first ended; `None` if no ending is in the history.
    pub ending: Option<Ending>,
    /// The place of that ending among the first endings of all steps.
    pub ended: Option<usize>,
    /// Its first answer.
    pub answer: Answer,
    /// The pods that could do nothing but wait when the next step was released.
    pub waiting: BTreeSet<PodName>,
}

impl ExecutedStep {
    /// The pod.
    #[must_use]
    pub fn pod(&self) -> &PodName {
        &self.connection.pod
    }

    /// A hash over what it was and what first came of it: connection, normal form, ending, tags,
    /// SQLSTATE, results of lock calls. Equal in two runs of this process where a pod does the same
    /// with the same effect.
    #[must_use]
    pub fn key(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.what().hash(&mut hasher);
        self.ending
            .map(|ending| format!("{ending:?}"))
            .hash(&mut hasher);
        self.answer.tags.hash(&mut hasher);
        self.answer.lock_results.hash(&mut hasher);
        let error = self.answer.error.as_ref();
        error.map(|error| &error.sqlstate).hash(&mut hasher);
        hasher.finish()
    }

    /// A hash over what it asks: connection and normal form.
    #[must_use]
    pub fn what(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.connection.hash(&mut hasher);
        self.normal.hash(&mut hasher);
        hasher.finish()
    }
}

/// What is known of a pod while its history is read.
#[derive(Default)]
struct Member {
    held: BTreeSet<StepId>,
    waiting: BTreeSet<StepId>,
}

impl Executed {
    /// What the run of this history did.
    #[must_use]
    pub fn of(lines: &[Line]) -> Self {
        let mut reader = Reader::default();
        for line in lines {
            reader.read(&line.event);
        }
        reader.finish()
    }

    /// The turn that a step belongs to.
    #[must_use]
    pub fn turn_of(&self, step: usize) -> Option<&ExecutedTurn> {
        self.turns.iter().find(|turn| turn.steps.contains(&step))
    }
}

#[derive(Default)]
struct Reader {
    done: Executed,
    requests: BTreeMap<StepId, (ConnectionName, Vec<String>, bool)>,
    places: BTreeMap<StepId, usize>,
    members: BTreeMap<PodName, Member>,
    recovery: Option<PodName>,
    endings: usize,
}

impl Reader {
    fn read(&mut self, event: &Event) {
        match event {
            Event::PodStarted {
                pod,
                recovery: true,
                ..
            } => self.recovery = Some(pod.clone()),
            Event::PodExited { pod, .. } | Event::PodEnded { pod } => {
                let released = self.done.steps.len();
                self.done.exits.entry(pod.clone()).or_insert(released);
            }
            Event::StepHeld {
                step,
                connection,
                request,
            } => {
                let only_asks = request.writes.is_empty() && !request.opaque;
                if !request.look_up {
                    self.member(&connection.pod).held.insert(*step);
                }
                self.requests.insert(
                    *step,
                    (connection.clone(), request.normal.clone(), only_asks),
                );
            }
            Event::StepReleased {
                step,
                number,
                connection,
                ..
            } => {
                self.snapshot();
                self.member(&connection.pod).held.remove(step);
                if number.is_some() && self.recovery.as_ref() != Some(&connection.pod) {
                    self.released(*step, connection);
                }
            }
            Event::StepEnded {
                step,
                ending,
                answer,
                ..
            } => self.ended(*step, *ending, answer),
            Event::StepDropped { step, .. } => {
                let pod = self.requests.get(step).map(|(name, ..)| name.pod.clone());
                if let Some(pod) = pod {
                    self.member(&pod).held.remove(step);
                }
            }
            Event::MoveStarted {
                index,
                begun,
                scheduled,
            } => self.begin(*index, begun, *scheduled),
            Event::TurnEnded { index, why } => {
                let turn = self.done.turns.iter_mut().rev();
                if let Some(turn) = turn.take(1).find(|turn| turn.index == *index) {
                    turn.why = Some(*why);
                }
            }
            Event::LimitHit { .. } => self.done.limit_hit = true,
            _ => {}
        }
    }

    fn member(&mut self, pod: &PodName) -> &mut Member {
        self.members.entry(pod.clone()).or_default()
    }

    fn begin(&mut self, index: usize, begun: &Begun, scheduled: bool) {
        let pod = begun.pod().cloned();
        let from = self.done.steps.len();
        if pod.is_none() || pod != self.recovery {
            self.done.turns.push(ExecutedTurn {
                index,
                pod,
                scheduled,
                steps: from..from,
                why: None,
            });
        }
    }

    fn released(&mut self, id: StepId, connection: &ConnectionName) {
        let (normal, only_asks) = match self.requests.get(&id) {
            Some((_, normal, only_asks)) => (normal.clone(), *only_asks),
            None => (Vec::new(), false),
        };
        self.places.insert(id, self.done.steps.len());
        self.done.steps.push(ExecutedStep {
            id,
            connection: connection.clone(),
            normal,
            only_asks,
            ending: None,
            ended: None,
            answer: Answer::default(),
            waiting: BTreeSet::new(),
        });
        if let Some(turn) = self.done.turns.last_mut() {
            turn.steps.end = self.done.steps.len();
        }
    }

    fn ended(&mut self, id: StepId, ending: Ending, answer: &Answer) {
        if let Some((connection, ..)) = self.requests.get(&id) {
            let pod = connection.pod.clone();
            let waiting = &mut self.member(&pod).waiting;
            match ending {
                Ending::Blocked | Ending::NeedsPod => waiting.insert(id),
                Ending::Done | Ending::Gone => waiting.remove(&id),
            };
        }
        let place = self.places.get(&id).copied();
        if let Some(step) = place.and_then(|place| self.done.steps.get_mut(place))
            && step.ending.is_none()
        {
            step.ending = Some(ending);
            step.ended = Some(self.endings);
            self.endings += 1;
            step.answer = answer.clone();
        }
    }

    /// Who waits now is who waited after the step that was released last.
    fn snapshot(&mut self) {
        let waiting = self
            .members
            .iter()
            .filter(|(_, member)| !member.waiting.is_empty() && member.held.is_empty())
            .map(|(name, _)| name.clone())
            .collect();
        if let Some(last) = self.done.steps.last_mut() {
            last.waiting = waiting;
        }
    }

    fn finish(mut self) -> Executed {
        self.snapshot();
        for (name, member) in &self.members {
            for id in &member.held {
                if let Some((_, normal, ..)) = self.requests.get(id)
                    && self.recovery.as_ref() != Some(name)
                {
                    self.done.left_held.push((name.clone(), normal.clone()));
                }
            }
        }
        self.done
    }
}
