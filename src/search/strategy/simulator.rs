//! Pods as lists of steps over shared variables and locks, driven as the conductor drives real ones.
//!
//! Owns the model, for tests: the rules of turns, stops, blocking, making way and running out are
//! those of `run/turn.rs` and `run/course.rs`; what comes out is a history. Steps are numbered as they
//! arrive. A pod ends after its last step, or at an error, and its locks are free then, whoever's
//! turn it is: what a server does when a session ends. (One simplification: only a pod that has a
//! polling step ever makes way.)

mod driver;
mod op;

use std::collections::{BTreeMap, VecDeque};

use crate::history::{Answer, Delivery, Ending, Event, Line, Request, ServerError};
use crate::name::{ConnectionName, PodName, StepId};
use crate::schedule::Schedule;

pub use op::{Op, op};

/// A pod.
#[derive(Debug, Clone, Default)]
struct Pod {
    ops: Vec<Op>,
    next: usize,
    started: bool,
    ended: bool,
    held: Option<StepId>,
    waiting: Option<StepId>,
    saw: Vec<(usize, i64)>,
    recent: Vec<String>,
    at_step: u64,
}

/// What came of a run.
#[derive(Debug, Clone, Default)]
pub struct Simulator {
    pods: Vec<Pod>,
    vars: BTreeMap<u8, i64>,
    holders: BTreeMap<u8, usize>,
    queues: BTreeMap<u8, VecDeque<usize>>,
    pub lines: Vec<Line>,
    pub ops: BTreeMap<StepId, (usize, Op)>,
    /// Pod and place of each failed step.
    pub failures: Vec<(usize, usize)>,
    /// The pods of the released steps, in order.
    pub order: Vec<usize>,
    stop_at_failure: bool,
    pub limit: bool,
}

/// Runs pods along a schedule.
pub fn run(programs: &[Vec<Op>], schedule: &Schedule, stop_at_failure: bool) -> Simulator {
    let mut simulator = Simulator::new(programs);
    simulator.stop_at_failure = stop_at_failure;
    match schedule {
        Schedule::Controlled(moves) => simulator.follow(moves),
        Schedule::Priorities { order, changes } => simulator.prioritise(order, changes),
        Schedule::Free(_) => panic!("not simulated"),
    }
    simulator
}

fn index_of(pod: &PodName) -> usize {
    (0..26)
        .find(|index| PodName::of_index(*index) == *pod)
        .unwrap()
}

impl Simulator {
    pub fn new(programs: &[Vec<Op>]) -> Self {
        Self {
            pods: programs
                .iter()
                .map(|ops| Pod {
                    ops: ops.clone(),
                    ..Pod::default()
                })
                .collect(),
            ..Self::default()
        }
    }

    /// What each pod did and saw, and what is left: equal for equivalent runs.
    pub fn signature(&self) -> String {
        let saw: Vec<_> = self.pods.iter().map(|pod| &pod.saw).collect();
        let mut failures = self.failures.clone();
        failures.sort_unstable();
        format!("{saw:?} {:?} {failures:?}", self.vars)
    }

    pub fn independent(&self, one: StepId, other: StepId) -> bool {
        self.ops[&one].1.commutes(self.ops[&other].1)
    }

    /// Whether a pod has more to do and does not wait.
    pub fn can_go_on(&self, pod: usize) -> bool {
        let pod = &self.pods[pod];
        !pod.ended && pod.waiting.is_none() && !pod.ops.is_empty()
    }

    fn stopped(&self) -> bool {
        self.limit || (self.stop_at_failure && !self.failures.is_empty())
    }

    fn note(&mut self, event: Event) {
        let seq = u64::try_from(self.lines.len()).unwrap() + 1;
        self.lines.push(Line {
            seq,
            at_us: seq,
            event,
        });
    }

    fn start(&mut self, pod: usize) {
        if !std::mem::replace(&mut self.pods[pod].started, true) {
            self.note(Event::PodStarted {
                pod: PodName::of_index(pod),
                pid: 1,
                recovery: false,
            });
            self.hold(pod);
        }
    }

    fn connection(pod: usize) -> ConnectionName {
        ConnectionName {
            pod: PodName::of_index(pod),
            index: 0,
        }
    }

    fn hold(&mut self, pod: usize) {
        let Some(op) = self.pods[pod].ops.get(self.pods[pod].next).copied() else {
            return self.end(pod);
        };
        let step = StepId(u64::try_from(self.ops.len()).unwrap() + 1);
        self.ops.insert(step, (pod, op));
        self.pods[pod].held = Some(step);
        self.note(Event::StepHeld {
            step,
            connection: Self::connection(pod),
            request: Request {
                sql: vec![op.text()],
                normal: vec![op.text()],
                writes: match op.only_asks() {
                    true => Vec::new(),
                    false => vec!["x".to_owned()],
                },
                ..Request::default()
            },
        });
    }

    fn end(&mut self, pod: usize) {
        if std::mem::replace(&mut self.pods[pod].ended, true) {
            return;
        }
        self.pods[pod].held = None;
        self.pods[pod].waiting = None;
        self.note(Event::PodExited {
            pod: PodName::of_index(pod),
            code: Some(0),
            signal: None,
        });
        for queue in self.queues.values_mut() {
            queue.retain(|waits| *waits != pod);
        }
        let held: Vec<u8> = self
            .holders
            .iter()
            .filter(|(_, holder)| **holder == pod)
            .map(|(lock, _)| *lock)
            .collect();
        for lock in held {
            self.free(lock);
        }
    }

    fn free(&mut self, lock: u8) {
        self.holders.remove(&lock);
        if let Some(next) = self.queues.get_mut(&lock).and_then(VecDeque::pop_front) {
            self.holders.insert(lock, next);
            if let Some(step) = self.pods[next].waiting.take() {
                self.done(step, next, "LOCK", None, None, true);
            }
        }
    }

    fn done(
        &mut self,
        step: StepId,
        pod: usize,
        tag: &str,
        error: Option<&str>,
        result: Option<bool>,
        on: bool,
    ) {
        self.note(Event::StepEnded {
            step,
            ending: Ending::Done,
            answer: Answer {
                tags: vec![tag.to_owned()],
                error: error.map(|sqlstate| ServerError {
                    sqlstate: sqlstate.to_owned(),
                    ..ServerError::default()
                }),
                lock_results: result.into_iter().map(Some).collect(),
                ..Answer::default()
            },
            blocked_by: Vec::new(),
        });
        if error.is_some() {
            let next = self.pods[pod].next;
            self.failures.push((pod, next));
            return self.end(pod);
        }
        if on {
            self.pods[pod].next += 1;
        }
        self.hold(pod);
    }

    /// Marks a pod's held step as released.
    fn release(&mut self, pod: usize) -> StepId {
        let step = self.pods[pod].held.take().unwrap();
        self.order.push(pod);
        self.note(Event::StepReleased {
            step,
            number: Some(1),
            connection: Self::connection(pod),
            session: None,
            delivery: Delivery::Forwarded,
            held_us: 0,
        });
        step
    }

    /// Does a pod's next step.
    pub fn step(&mut self, pod: usize) {
        self.start(pod);
        let step = self.release(pod);
        self.perform(pod, step);
    }

    fn perform(&mut self, pod: usize, step: StepId) {
        let op = self.ops[&step].1;
        let place = self.pods[pod].next;
        let value = |vars: &BTreeMap<u8, i64>, name| vars.get(&name).copied().unwrap_or(0);
        match op {
            Op::Read(name) => {
                let seen = value(&self.vars, name);
                self.pods[pod].saw.push((place, seen));
                self.done(step, pod, "READ", None, None, true);
            }
            Op::Add(name) => {
                *self.vars.entry(name).or_insert(0) += 1;
                self.done(step, pod, "ADD", None, None, true);
            }
            Op::Set(name, to) => {
                self.vars.insert(name, i64::from(to));
                self.done(step, pod, "SET", None, None, true);
            }
            Op::Check(name, wanted) => {
                let failed = value(&self.vars, name) != i64::from(wanted);
                self.done(step, pod, "CHECK", failed.then_some("P0001"), None, true);
            }
            Op::Unlock(lock) => {
                let held = self.holders.get(&lock) == Some(&pod);
                self.done(step, pod, "UNLOCK", None, Some(held), true);
                if held && self.holders.get(&lock) == Some(&pod) {
                    self.free(lock);
                }
            }
            Op::Try(lock) => {
                let got = *self.holders.entry(lock).or_insert(pod) == pod;
                self.pods[pod].saw.push((place, i64::from(got)));
                self.done(step, pod, "TRY", None, Some(got), true);
            }
            Op::Poll(lock) => {
                let got = *self.holders.entry(lock).or_insert(pod) == pod;
                self.done(step, pod, "POLL", None, Some(got), got);
                self.push_repeat(pod, Some(format!("{op:?} {got}")));
                return;
            }
            Op::Lock(lock) => self.lock(pod, step, lock),
        }
        let polls = self.pods[pod]
            .ops
            .iter()
            .any(|op| matches!(op, Op::Poll(_)));
        let what = (polls && op.only_asks()).then(|| format!("{op:?}"));
        self.push_repeat(pod, what);
    }

    fn lock(&mut self, pod: usize, step: StepId, lock: u8) {
        let holder = *self.holders.entry(lock).or_insert(pod);
        if holder == pod {
            return self.done(step, pod, "LOCK", None, None, true);
        }
        let mut last = holder;
        let waits_for = |waiter: usize| {
            let lock = self
                .queues
                .iter()
                .find(|(_, queue)| queue.contains(&waiter));
            lock.and_then(|(lock, _)| self.holders.get(lock).copied())
        };
        while let Some(next) = waits_for(last) {
            if next == pod {
                return self.done(step, pod, "", Some("40P01"), None, false);
            }
            last = next;
        }
        self.queues.entry(lock).or_default().push_back(pod);
        self.pods[pod].waiting = Some(step);
        self.note(Event::StepEnded {
            step,
            ending: Ending::Blocked,
            answer: Answer::default(),
            blocked_by: vec![1],
        });
    }

    fn push_repeat(&mut self, pod: usize, what: Option<String>) {
        let released = u64::try_from(self.order.len()).unwrap();
        let pod = &mut self.pods[pod];
        if pod.at_step + 1 != released {
            pod.recent.clear();
        }
        pod.at_step = released;
        match what {
            Some(what) => pod.recent.push(what),
            None => pod.recent.clear(),
        }
        if pod.recent.len() > 12 {
            pod.recent.remove(0);
        }
    }
}
