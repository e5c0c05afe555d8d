//! What a run did, step by step, as search needs it.
//!
//! Owns the choice of what search needs of a timeline: released steps and the turns they belong to, who
//! waited and who had exited after each step. Look-ups of drivers and the recovery pod are left
//! out. Knows nothing of why a schedule was run.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::ops::Range;

use crate::history::{Answer, Ending, Event, Line, TurnEnd};
use crate::name::{ConnectionName, PodName, StepId};
use crate::timeline::{Happening, StepFacts, Timeline, Waiting};

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
    fn released(step: &StepFacts<'_>) -> Self {
        Self {
            id: step.id,
            connection: step.connection.clone(),
            normal: step.request.normal.clone(),
            only_asks: step.request.writes.is_empty() && !step.request.opaque,
            ending: None,
            ended: None,
            answer: Answer::default(),
            waiting: BTreeSet::new(),
        }
    }

    /// The pod.
    #[must_use]
    pub fn pod(&self) -> &PodName {
        &self.connection.pod
    }

    /// A hash over what it was and what first came of it: connection, normal form, ending, tags,
    /// SQLSTATE, results of lock calls. Where the digests of the answers may be equal, too, a pod did the same with the
    /// same effect in two runs.
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

impl Executed {
    /// What the run of this history did.
    #[must_use]
    pub fn of(lines: &[Line]) -> Self {
        let timeline = Timeline::of(lines);
        let recovery = timeline.pods.iter().find(|(_, pod)| pod.recovery);
        let recovery = recovery.map(|(name, _)| *name);
        let mut done = Self::default();
        let mut places = BTreeMap::new();
        let mut waiting = Waiting::default();
        let mut endings = 0;
        for (_, happening) in timeline.happenings() {
            match happening {
                Happening::Released(step) => {
                    // Who waits now is who waited after the step that was released last.
                    done.note_waiting(&waiting);
                    if step.number.is_some() && Some(step.pod()) != recovery {
                        places.insert(step.id, done.steps.len());
                        done.steps.push(ExecutedStep::released(step));
                    }
                }
                Happening::Ended(step, end) => {
                    let place = places.get(&step.id).copied();
                    if let Some(step) = place.and_then(|place| done.steps.get_mut(place))
                        && step.ending.is_none()
                    {
                        step.ending = Some(end.ending);
                        step.ended = Some(endings);
                        endings += 1;
                        step.answer = end.answer.clone();
                    }
                }
                Happening::Other(Event::PodExited { pod, .. } | Event::PodEnded { pod }) => {
                    let released = done.steps.len();
                    done.exits.entry(pod.clone()).or_insert(released);
                }
                Happening::Other(Event::LimitHit { .. }) => done.limit_hit = true,
                _ => {}
            }
            waiting.take(happening);
        }
        done.note_waiting(&waiting);
        let counted = |range: Range<usize>| {
            let released = timeline.released[range].iter();
            released.filter(|id| places.contains_key(id)).count()
        };
        // What is let go before the first turn is in none; between two turns it is in the first.
        let first = timeline.turns.first().map_or(0, |one| one.released.start);
        let mut to = counted(0..first);
        for turn in &timeline.turns {
            let from = to;
            to += counted(turn.released.clone());
            if turn.begun.pod().is_none() || turn.begun.pod() != recovery {
                done.turns.push(ExecutedTurn {
                    index: turn.index,
                    pod: turn.begun.pod().cloned(),
                    scheduled: turn.scheduled,
                    steps: from..to,
                    why: turn.why,
                });
            }
        }
        let held = waiting.held().filter_map(|id| timeline.steps.get(&id));
        done.left_held = held
            .filter(|step| Some(step.pod()) != recovery)
            .map(|step| (step.pod().clone(), step.request.normal.clone()))
            .collect();
        done
    }

    fn note_waiting(&mut self, waiting: &Waiting<'_>) {
        if let Some(last) = self.steps.last_mut() {
            last.waiting = waiting.pods();
        }
    }

    /// The turn that a step belongs to.
    #[must_use]
    pub fn turn_of(&self, step: usize) -> Option<&ExecutedTurn> {
        self.turns.iter().find(|turn| turn.steps.contains(&step))
    }
}
