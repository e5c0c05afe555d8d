//! A server with variables and locks, and pods that run their programs against it.
//!
//! Owns what a step does, who waits for whom, and what a pod does next. Knows nothing of schedules: what is
//! held is let go by whoever drives it. Steps are numbered as they arrive. A pod ends after its last step, or
//! at an error; its locks are free then. (One simplification: only a pod that has a polling step ever gets the
//! same answer twice, and so makes way.)

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::LazyLock;
use std::time::Duration;

use super::act::{Act, Sort};
use super::op::Op;
use crate::conductor::{Heard, Report};
use crate::history::{Answer, Beside, ClosedBy, Digest, Request, ServerError};
use crate::name::{ConnectionName, PodName, StepId};
use crate::schedule::PREPARE;

/// Everything that there is.
#[derive(Debug, Clone, Default)]
pub struct Model {
    pub now: Duration,
    pub pods: Vec<SimulatedPod>,
    pub vars: BTreeMap<u8, i64>,
    /// Which session holds a lock.
    pub holders: BTreeMap<u8, i32>,
    /// Which sessions wait for it.
    pub queues: BTreeMap<u8, VecDeque<i32>>,
    /// Sessions whose steps are to stand in their middle, and whether they do.
    pub gates: BTreeMap<i32, bool>,
    /// Reports that have not been taken in.
    pub heard: VecDeque<Heard<()>>,
    /// Sessions whose steps have been let go and not done.
    pub passed: Vec<i32>,
    pub ops: BTreeMap<StepId, (usize, Op)>,
    /// Pod and place of each failed step.
    pub failures: Vec<(usize, usize)>,
    /// The pods of the released steps, in order.
    pub order: Vec<usize>,
    /// Looks at locks say nothing, for runs of which many are made.
    pub hides_locks: bool,
    /// The server stands still.
    pub stands_still: bool,
}

/// A pod.
#[derive(Debug, Clone, Default)]
pub struct SimulatedPod {
    pub acts: Vec<Act>,
    pub next: usize,
    pub started: bool,
    pub exited: bool,
    /// It is stopped, or hears of nothing; it goes on when that is undone.
    pub frozen: bool,
    pub cut: bool,
    pub connections: BTreeMap<u32, Connection>,
    /// What its steps have seen, by their places in its program.
    pub saw: Vec<(usize, i64)>,
}

/// A connection of a pod with its session.
#[derive(Debug, Clone, Default)]
pub struct Connection {
    /// The place of the request that the gate holds.
    pub held: Option<usize>,
    /// The place of the one that is under way.
    pub running: Option<usize>,
    /// It waits for a lock.
    pub waits: bool,
    /// The pod does not hear of the answer.
    pub deaf: bool,
    /// The pod is gone, and the statement is not.
    pub ghost: bool,
    /// The server raises this in the step's place.
    pub replaced: Option<String>,
    pub closed: bool,
}

/// The process id of the session of a connection.
pub fn pid_of(pod: usize, connection: u32) -> i32 {
    i32::try_from(pod).unwrap() * 10 + i32::try_from(connection).unwrap() + 1
}

/// The process id of the session that keeps gates closed.
pub const KEEPER: i32 = 999;

fn owner(pid: i32) -> (usize, u32) {
    let index = u32::try_from(pid - 1).unwrap();
    (usize::try_from(index / 10).unwrap(), index % 10)
}

pub fn name_of(pid: i32) -> ConnectionName {
    let (pod, index) = owner(pid);
    ConnectionName {
        pod: PodName::of_index(pod),
        index,
    }
}

pub fn index_of(pod: &PodName) -> usize {
    (0..26)
        .find(|index| PodName::of_index(*index) == *pod)
        .unwrap()
}

impl SimulatedPod {
    /// What its act at this place was told; 0 if nothing.
    fn saw_at(&self, place: usize) -> i64 {
        let last = self.saw.last().filter(|(at, _)| *at == place);
        last.map_or(0, |(_, told)| *told)
    }
}

impl Model {
    pub fn new<A: Copy + Into<Act>>(programs: &[Vec<A>]) -> Self {
        let pod = |acts: &Vec<A>| SimulatedPod {
            acts: acts.iter().map(|act| (*act).into()).collect(),
            ..SimulatedPod::default()
        };
        Self {
            pods: programs.iter().map(pod).collect(),
            ..Self::default()
        }
    }

    pub fn connection(&mut self, pid: i32) -> Option<&mut Connection> {
        let (pod, index) = owner(pid);
        self.pods.get_mut(pod)?.connections.get_mut(&index)
    }

    fn hear(&mut self, pid: i32, report: Report<()>) {
        self.heard.push_back(Heard::Wire {
            connection: name_of(pid),
            at: self.now,
            report,
        });
    }

    /// Whether a session is there.
    pub fn lives(&self, pid: i32) -> bool {
        let (pod, index) = owner(pid);
        let connection = self
            .pods
            .get(pod)
            .and_then(|pod| pod.connections.get(&index));
        connection.is_some_and(|connection| !connection.closed)
    }

    /// What each pod did and saw, and what is left: equal for equivalent runs.
    pub fn signature(&self) -> String {
        let saw: Vec<_> = self.pods.iter().map(|pod| &pod.saw).collect();
        let mut failures = self.failures.clone();
        failures.sort_unstable();
        format!("{saw:?} {:?} {failures:?}", self.vars)
    }

    /// Whether a pod has more to do and does not wait.
    pub fn can_go_on(&self, pod: usize) -> bool {
        let pod = &self.pods[pod];
        let waits = pod.connections.values().any(|one| one.waits);
        !pod.exited && !waits && !pod.acts.is_empty()
    }

    /// Does a pod's next step, with nobody in between.
    pub fn step(&mut self, pod: usize) {
        self.start(pod);
        let connections = &self.pods[pod].connections;
        let held = connections.iter().find(|(_, one)| one.held.is_some());
        if let Some(index) = held.map(|(index, _)| *index) {
            self.pass(pid_of(pod, index), false);
            self.do_passed();
        }
        self.heard.clear();
    }

    pub fn start(&mut self, pod: usize) {
        if !std::mem::replace(&mut self.pods[pod].started, true) {
            self.ask(pod);
        }
    }

    /// Lets a pod ask what it has to ask now; it ends when that is nothing.
    pub fn ask(&mut self, pod: usize) {
        let one = &self.pods[pod];
        let in_doubt = one.connections.values().any(|one| one.deaf && !one.closed);
        if one.exited || one.frozen || in_doubt || !one.started {
            return;
        }
        let open = |pod: &SimulatedPod| {
            let mut all = pod.connections.values();
            all.any(|one| one.held.is_some() || one.running.is_some())
        };
        if open(&self.pods[pod]) {
            return;
        }
        loop {
            let place = self.pods[pod].next;
            let Some(act) = self.pods[pod].acts.get(place).copied() else {
                if !open(&self.pods[pod]) {
                    self.exit(pod, Some(0), None);
                }
                return;
            };
            if let Op::Await(name) = act.op {
                if self.vars.get(&name).copied().unwrap_or(0) == 0 {
                    return;
                }
                self.pods[pod].next += 1;
                continue;
            }
            let pid = pid_of(pod, act.on);
            let connections = &mut self.pods[pod].connections;
            // It is busy, or it is over and the pod is about to notice.
            let link = connections.get(&act.on);
            if link.is_some_and(|one| one.closed || one.held.is_some() || one.running.is_some()) {
                return;
            }
            if link.is_none() {
                connections.insert(act.on, Connection::default());
                self.hear(pid, Report::Opened);
                let server = 0;
                self.hear(
                    pid,
                    Report::Started {
                        pid: Some(pid),
                        server,
                    },
                );
            }
            if let Some(connection) = self.connection(pid) {
                connection.held = Some(place);
            }
            self.pods[pod].next += 1;
            let step = StepId(u64::try_from(self.ops.len()).unwrap() + 1);
            self.ops.insert(step, (pod, act.op));
            self.hear(pid, Report::Held(request(act)));
            if !(act.with_next || act.op == Op::Copy) {
                return;
            }
        }
    }

    /// Lets the held step of a session go; it is done by [`Model::do_passed`].
    pub fn pass(&mut self, pid: i32, deaf: bool) {
        let (pod, _) = owner(pid);
        let Some(connection) = self.connection(pid) else {
            return;
        };
        let Some(place) = connection.held.take() else {
            return;
        };
        connection.running = Some(place);
        connection.deaf = deaf;
        if self.pods[pod].acts[place].sort == Sort::Execution {
            self.order.push(pod);
        }
        self.passed.push(pid);
    }

    /// Does what was let go: the one that was let go last is the fastest.
    pub fn do_passed(&mut self) {
        while let Some(pid) = self.passed.pop() {
            self.perform(pid);
        }
    }

    fn perform(&mut self, pid: i32) {
        let (pod, index) = owner(pid);
        let connection = &mut self.pods[pod].connections;
        let Some(connection) = connection.get_mut(&index) else {
            return;
        };
        let Some(place) = connection.running.filter(|_| !connection.closed) else {
            return;
        };
        if let Some(sqlstate) = connection.replaced.take() {
            return self.answer(pid, "", Some(&sqlstate), None, true);
        }
        let act = self.pods[pod].acts[place];
        if act.sort == Sort::Preparation {
            return self.answer(pid, "", None, None, true);
        }
        let value = |vars: &BTreeMap<u8, i64>, name| vars.get(&name).copied().unwrap_or(0);
        match act.op {
            Op::Read(name) => {
                let seen = value(&self.vars, name);
                self.pods[pod].saw.push((place, seen));
                self.answer(pid, "SELECT 1", None, None, true);
            }
            Op::Add(name) => {
                *self.vars.entry(name).or_insert(0) += 1;
                self.answer(pid, "INSERT 0 1", None, None, true);
                self.wake();
            }
            Op::Set(name, to) => {
                self.vars.insert(name, i64::from(to));
                self.answer(pid, "UPDATE 1", None, None, true);
                self.wake();
            }
            Op::Check(name, wanted) => {
                let failed = value(&self.vars, name) != i64::from(wanted);
                self.answer(pid, "SELECT 1", failed.then_some("P0001"), None, true);
            }
            Op::Both(one, two) => {
                *self.vars.entry(one).or_insert(0) += 1;
                self.wake();
                match self.gates.get_mut(&pid) {
                    Some(stands) => *stands = true,
                    None => self.second_half(pid, two),
                }
            }
            Op::Unlock(lock) => {
                let held = self.holders.get(&lock) == Some(&pid);
                self.answer(pid, "SELECT 1", None, Some(held), true);
                if held && self.holders.get(&lock) == Some(&pid) {
                    self.free(lock);
                }
            }
            Op::Try(lock) => {
                let got = *self.holders.entry(lock).or_insert(pid) == pid;
                self.pods[pod].saw.push((place, i64::from(got)));
                self.answer(pid, "SELECT 1", None, Some(got), true);
            }
            Op::Poll(lock) => {
                let got = *self.holders.entry(lock).or_insert(pid) == pid;
                self.answer(pid, "SELECT 1", None, Some(got), got);
            }
            Op::Lock(lock) => self.lock(pid, lock),
            // It goes on until the pod has got its other answers, or for ever.
            Op::Copy => self.feed(pod),
            Op::Await(_) => {}
        }
    }

    fn second_half(&mut self, pid: i32, name: u8) {
        *self.vars.entry(name).or_insert(0) += 1;
        self.answer(pid, "SELECT 1", None, None, true);
        self.wake();
    }

    /// Opens the gate of a session: a step that stands there goes on.
    pub fn open_gate(&mut self, pid: i32) {
        if self.gates.remove(&pid) != Some(true) {
            return;
        }
        let (pod, index) = owner(pid);
        let connections = &self.pods[pod].connections;
        let open = connections.get(&index).filter(|one| !one.closed);
        let running = open.and_then(|one| one.running);
        if let Some(Op::Both(_, two)) = running.map(|place| self.pods[pod].acts[place].op) {
            self.second_half(pid, two);
        }
    }

    fn lock(&mut self, pid: i32, lock: u8) {
        let holder = *self.holders.entry(lock).or_insert(pid);
        if holder == pid {
            return self.answer(pid, "SELECT 1", None, None, true);
        }
        let mut last = holder;
        while let Some(next) = self.waits_for(last) {
            if next == pid {
                return self.answer(pid, "", Some("40P01"), None, false);
            }
            last = next;
        }
        self.queues.entry(lock).or_default().push_back(pid);
        if let Some(connection) = self.connection(pid) {
            connection.waits = true;
        }
    }

    /// The session that holds the lock for which this one waits.
    pub fn waits_for(&self, waiter: i32) -> Option<i32> {
        if self.gates.get(&waiter) == Some(&true) {
            return Some(KEEPER);
        }
        let mut queues = self.queues.iter();
        let (lock, _) = queues.find(|(_, queue)| queue.contains(&waiter))?;
        self.holders.get(lock).copied()
    }

    /// Gives a lock back, to whoever has waited longest.
    pub fn free(&mut self, lock: u8) {
        self.holders.remove(&lock);
        if let Some(next) = self.queues.get_mut(&lock).and_then(VecDeque::pop_front) {
            self.holders.insert(lock, next);
            self.answer(next, "SELECT 1", None, None, true);
        }
    }

    /// The answer to the step of a session. `on`: its pod goes on to the next.
    pub fn answer(
        &mut self,
        pid: i32,
        tag: &str,
        error: Option<&str>,
        result: Option<bool>,
        on: bool,
    ) {
        let (pod, _) = owner(pid);
        let Some(connection) = self.connection(pid) else {
            return;
        };
        connection.waits = false;
        let (deaf, ghost) = (connection.deaf, connection.ghost);
        let Some(place) = connection.running.take() else {
            return;
        };
        let op = self.pods[pod].acts[place].op;
        let mut acts = self.pods[pod].acts.iter();
        let alike = op.only_asks() && acts.any(|act| matches!(act.op, Op::Poll(_)));
        let digest = match op {
            _ if alike => Digest::of(&[format!("{op:?} {result:?}").as_bytes()]),
            // What writes says the same each time, and is no polling.
            Op::Add(_) | Op::Set(..) => Digest::default(),
            // The same step says the same in every run, and no two of a pod are polling.
            _ => unlike(place, self.pods[pod].saw_at(place)),
        };
        self.hear(
            pid,
            Report::Answered(Answer {
                tags: match error {
                    Some(_) => Vec::new(),
                    None => vec![tag.to_owned()],
                },
                error: error.map(|sqlstate| ServerError {
                    sqlstate: sqlstate.to_owned(),
                    ..ServerError::default()
                }),
                lock_results: result.into_iter().map(Some).collect(),
                transaction: Some('I'),
                digest: Beside(digest),
                ..Answer::default()
            }),
        );
        if ghost {
            return self.close(pid, None);
        }
        if deaf {
            return;
        }
        if error.is_some() {
            self.failures.push((pod, place));
            return self.exit(pod, Some(1), None);
        }
        if !on {
            self.pods[pod].next = place;
        }
        self.feed(pod);
        self.ask(pod);
    }

    /// A pod that was stopped goes on, unless it is stopped still.
    pub fn go_on(&mut self, pod: usize) {
        self.feed(pod);
        self.ask(pod);
    }

    /// Lets a COPY come to its end, once its pod has nothing else to wait for.
    fn feed(&mut self, pod: usize) {
        if self.pods[pod].frozen {
            return;
        }
        let acts = &self.pods[pod].acts;
        let copies = |one: &Connection| one.running.is_some_and(|at| acts[at].op == Op::Copy);
        let connections = &self.pods[pod].connections;
        let copying: Vec<u32> = connections
            .iter()
            .filter(|(_, one)| copies(one))
            .map(|(index, _)| *index)
            .collect();
        let busy = connections
            .values()
            .any(|one| one.held.is_some() || one.running.is_some() && !copies(one));
        if !busy {
            for index in copying {
                self.answer(pid_of(pod, index), "COPY 1", None, None, true);
            }
        }
    }

    /// Pods that rest until a variable is set look at it again.
    fn wake(&mut self) {
        for pod in 0..self.pods.len() {
            self.ask(pod);
        }
    }

    /// A session ends; with `by`, the server says so first.
    pub fn close(&mut self, pid: i32, by: Option<ClosedBy>) {
        let Some(connection) = self.connection(pid) else {
            return;
        };
        if std::mem::replace(&mut connection.closed, true) {
            return;
        }
        connection.waits = false;
        connection.held = None;
        connection.running = None;
        if let Some(by) = by {
            self.hear(pid, Report::ServerClosed(by));
        }
        self.hear(pid, Report::Finished);
        self.release_locks(pid);
    }

    fn release_locks(&mut self, pid: i32) {
        for queue in self.queues.values_mut() {
            queue.retain(|waits| *waits != pid);
        }
        let holders = self.holders.iter();
        let held: BTreeSet<u8> = holders
            .filter(|(_, holder)| **holder == pid)
            .map(|(lock, _)| *lock)
            .collect();
        for lock in held {
            self.free(lock);
        }
    }

    /// The end of a pod's process. What it has on the server goes on there as a ghost.
    pub fn exit(&mut self, pod: usize, code: Option<i32>, signal: Option<i32>) {
        if std::mem::replace(&mut self.pods[pod].exited, true) {
            return;
        }
        let name = PodName::of_index(pod);
        self.heard.push_back(Heard::Exited {
            pod: name,
            code,
            signal,
        });
        let connections: Vec<u32> = self.pods[pod].connections.keys().copied().collect();
        for index in connections {
            let pid = pid_of(pod, index);
            let Some(connection) = self.connection(pid) else {
                continue;
            };
            if connection.closed {
                continue;
            }
            connection.held = None;
            let running = connection.running;
            connection.ghost = running.is_some();
            self.hear(pid, Report::ClientClosed(ClosedBy::Client));
            match running.map(|place| self.pods[pod].acts[place].op) {
                // The server misses the rest of it.
                Some(Op::Copy) => self.close(pid, Some(ClosedBy::Server)),
                // The server hears of the client's end when it has done what it does.
                Some(_) => {}
                None => self.close(pid, None),
            }
        }
    }
}

/// The digest of the answer to a pod's act at this place, which told this.
fn unlike(place: usize, told: i64) -> Digest {
    static DIGESTS: LazyLock<Vec<Digest>> =
        LazyLock::new(|| (0..101_u8).map(|one| Digest::of(&[&[one]])).collect());
    let told = usize::try_from(told).unwrap_or(0);
    DIGESTS[(place * 11 + told) % DIGESTS.len()]
}

fn request(act: Act) -> Request {
    let text = match act.sort {
        Sort::Preparation => format!("{PREPARE} {}", act.op.text()),
        Sort::Execution | Sort::LookUp => act.op.text(),
    };
    let only_asks = act.op.only_asks() || act.sort != Sort::Execution;
    Request {
        sql: vec![text.clone()],
        normal: vec![text],
        writes: match only_asks {
            true => Vec::new(),
            false => vec!["x".to_owned()],
        },
        look_up: act.sort == Sort::LookUp,
        prepares: act.sort == Sort::Preparation,
        ..Request::default()
    }
}
