//! A run as the enumeration sees it: who took each step, and who else could have.
//!
//! Owns the extraction of that from what a run did, the schedule that leads to a place in it, and the
//! same run with some steps moved forward. Knows nothing of counting.

use super::sampled::{form, kept};
use crate::history::Digest;
use crate::history::TurnEnd;
use crate::name::{PodName, StepId};
use crate::schedule::{Move, Stop, Turn};
use crate::search::executed::Executed;

/// A set of pods by their numbers. There are at most 26.
pub(super) type Pods = u32;

/// A step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pace {
    pub id: StepId,
    pub pod: u8,
    /// What it was and what came of it,
    pub key: u64,
    /// and all rows that it was answered.
    pub rows: Digest,
    /// What it asks.
    pub what: u64,
    /// Its normal forms.
    pub form: u64,
    /// It does nothing else than ask.
    pub asks: bool,
    /// Who can go on after it.
    pub enabled: Pods,
}

/// A turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Leg {
    pub pod: u8,
    /// The place of its first step.
    pub from: usize,
    pub len: usize,
    /// The schedule took the pod's turn away after these steps.
    pub preempted: bool,
    pub yielded: bool,
}

impl Pace {
    /// Whether a pod did the same with the same effect. (In a search that was gone on with the rows of what was read back
    /// are not known.)
    pub fn is_as(&self, other: &Self) -> bool {
        self.key == other.key && self.rows.may_be(other.rows)
    }
}

impl Leg {
    pub fn end(&self) -> usize {
        self.from + self.len
    }
}

/// A run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Walk {
    pub steps: Vec<Pace>,
    pub legs: Vec<Leg>,
    /// Who could go on at the start.
    pub first: Pods,
}

/// The set of one pod.
pub(super) fn only(pod: u8) -> Pods {
    1 << pod
}

/// The pods of a set, by number.
pub(super) fn each(pods: Pods) -> impl Iterator<Item = u8> {
    (0..32).filter(move |pod| pods & only(*pod) != 0)
}

pub(super) fn name(pod: u8) -> PodName {
    PodName::of_index(usize::from(pod))
}

impl Walk {
    /// What a run did that followed these moves. `cut`: it was stopped before its end, so that a pod
    /// that had not exited may have had more to do. `None`: it has steps of pods that there are not.
    pub fn of(executed: &Executed, moves: &[Move], pods: u8, cut: bool) -> Option<Self> {
        let number = |pod: &PodName| (0..pods).find(|number| name(*number) == *pod);
        let numbers: Vec<u8> = executed
            .steps
            .iter()
            .map(|step| number(step.pod()))
            .collect::<Option<_>>()?;
        let count = numbers.len();
        // From the back, so that each step is looked at once.
        let mut later: Pods = (0..pods)
            .filter(|pod| {
                let exited = executed.exits.get(&name(*pod));
                cut && exited.is_none_or(|at| *at >= count)
            })
            .map(only)
            .sum();
        let mut steps: Vec<Pace> = Vec::with_capacity(count);
        for (step, pod) in executed.steps.iter().zip(&numbers).rev() {
            let waiting: Pods = step.waiting.iter().filter_map(number).map(only).sum();
            steps.push(Pace {
                id: step.id,
                pod: *pod,
                key: step.key(),
                rows: step.answer.digest.0,
                what: step.what(),
                form: form(&step.normal),
                asks: step.only_asks,
                enabled: later & !waiting,
            });
            later |= only(*pod);
        }
        steps.reverse();
        let legs = executed
            .turns
            .iter()
            .filter_map(|turn| {
                let yielded = matches!(turn.why, Some(TurnEnd::Yielded | TurnEnd::Waits));
                let len = turn.steps.len();
                let until = match moves.get(turn.index).filter(|_| turn.scheduled) {
                    Some(Move::Turn(turn)) => Some(&turn.until),
                    _ => None,
                };
                (len > 0 || yielded).then_some(Leg {
                    pod: number(turn.pod.as_ref()?)?,
                    from: turn.steps.start,
                    len,
                    preempted: matches!(until, Some(Stop::Steps(_))),
                    yielded,
                })
            })
            .collect();
        Some(Self {
            steps,
            legs,
            first: later,
        })
    }

    /// Who can go on after this many steps.
    pub fn enabled(&self, after: usize) -> Pods {
        match after.checked_sub(1) {
            None => self.first,
            Some(last) => self.steps.get(last).map_or(0, |step| step.enabled),
        }
    }

    /// Of each place whether its step is one at which its pod may be preempted, where repetitions are sampled:
    /// whether it is kept in the course of its own pod, whatever others do in between.
    pub fn sampled(&self) -> Vec<bool> {
        let mut all = vec![true; self.steps.len()];
        for pod in each(
            self.steps
                .iter()
                .fold(0, |pods, step| pods | only(step.pod)),
        ) {
            let places: Vec<usize> = (0..self.steps.len())
                .filter(|place| self.steps[*place].pod == pod)
                .collect();
            let forms: Vec<u64> = places.iter().map(|place| self.steps[*place].form).collect();
            for (place, kept) in places.into_iter().zip(kept(&forms)) {
                all[place] = kept;
            }
        }
        all
    }

    /// The schedule that does the same for this many steps and then lets another pod run.
    pub fn moves_to(&self, after: usize, then: u8) -> Vec<Move> {
        let run = |pod: u8, until| {
            let pod = name(pod);
            Move::Turn(Turn { pod, until })
        };
        let mut moves: Vec<Move> = self
            .legs
            .iter()
            .filter(|leg| leg.from < after)
            .map(|leg| {
                let taken = leg.len.min(after - leg.from);
                if leg.preempted || taken < leg.len {
                    run(
                        leg.pod,
                        Stop::Steps(u32::try_from(taken).unwrap_or(u32::MAX)),
                    )
                } else {
                    run(leg.pod, Stop::End)
                }
            })
            .collect();
        moves.push(run(then, Stop::End));
        moves
    }

    /// The leg in which the step at this place is.
    pub fn leg_at(&self, place: usize) -> Option<&Leg> {
        self.legs
            .iter()
            .find(|leg| (leg.from..leg.end()).contains(&place))
    }

    /// The same run with the `moved` steps at `at + others` moved before the `others` steps at `at`.
    /// They are the first of their leg, and what they are moved to is the end of a leg of their pod.
    pub fn commuted(&self, at: usize, others: usize, moved: usize) -> Self {
        let (to, end) = (at + others, at + others + moved);
        let mut steps = Vec::with_capacity(self.steps.len());
        steps.extend_from_slice(&self.steps[..at]);
        steps.extend_from_slice(&self.steps[to..end]);
        steps.extend_from_slice(&self.steps[at..to]);
        steps.extend_from_slice(&self.steps[end..]);
        let mut legs = self.legs.clone();
        for leg in &mut legs {
            if leg.len > 0 && leg.end() == at {
                leg.len += moved;
            } else if leg.from == to && leg.len > 0 {
                leg.from += moved;
                leg.len -= moved;
            } else if (at..to).contains(&leg.from) {
                leg.from += moved;
            }
        }
        Self {
            steps,
            legs,
            first: self.first,
        }
    }
}

/// A place where another pod could go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Choice {
    pub at: usize,
    pub then: u8,
    pub preempts: bool,
}

/// Where another pod could go on, after the last choice that was not the conductor's own. `sampled`: with
/// preemptions only at some steps of a repetition.
pub(super) fn choices(
    walk: &Walk,
    from: Option<usize>,
    preempt: bool,
    sampled: bool,
) -> Vec<Choice> {
    let kept = sampled.then(|| walk.sampled());
    let mut choices = Vec::new();
    let legs: Vec<_> = walk.legs.iter().filter(|leg| leg.len > 0).collect();
    for (number, leg) in legs.iter().enumerate() {
        if from.is_some_and(|from| leg.from < from) {
            continue;
        }
        if from != Some(leg.from) {
            // A free switch. Who made way, or did not go on in its turn, is no choice.
            let mut passed = only(leg.pod);
            if let Some(before) = number.checked_sub(1) {
                passed |= only(legs[before].pod);
            }
            for waived in walk.legs.iter().filter(|one| one.len == 0) {
                if waived.from == leg.from {
                    passed |= only(waived.pod);
                }
            }
            choices.extend(each(walk.enabled(leg.from) & !passed).map(|then| Choice {
                at: leg.from,
                then,
                preempts: false,
            }));
        }
        for at in leg.from + 1..leg.end() {
            let tried = kept.as_ref().is_none_or(|kept| kept[at]);
            let others = if preempt && tried {
                walk.enabled(at) & !only(leg.pod)
            } else {
                0
            };
            choices.extend(each(others).map(|then| Choice {
                at,
                then,
                preempts: true,
            }));
        }
    }
    choices
}
