//! How the conductor acts on the simulated world.
//!
//! Owns that translation, and what a fault does to the model. Nothing ever waits here: when there is nothing to
//! report, time passes.

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::act::Act;
use super::model::{KEEPER, Model, index_of, name_of, pid_of};
use super::op::Op;
use crate::conductor::{
    Activity, Aim, Conductor, Heard, Mistake, Need, Orders, Outcome, Quiet, Rested, Sessions,
    Started, Waits, World,
};
use crate::history::{
    ClosedBy, Delivery, DropReason, HeldLock, Line, LockRule, OnContention, Release, Rules,
    WaitsFor, Writer,
};
use crate::name::{ConnectionName, LockKey, LockMode, PodName, Session, StepId};
use crate::schedule::{FaultKind, InnerPoint, Point, Schedule};

/// The variable that stands for a lock row: not zero while somebody has it.
pub const LOCK_ROW: u8 = 7;

/// A run in the simulated world.
pub type Simulated = Conductor<Model>;

/// What came of a run.
#[derive(Debug, Clone)]
pub struct Ran {
    pub lines: Vec<Line>,
    /// What is left of the world.
    pub model: Model,
    /// A limit was hit.
    pub limit: bool,
    /// Pod and place of each failed step.
    pub failures: Vec<(usize, usize)>,
    /// The pods of the released steps, in order.
    pub order: Vec<usize>,
}

impl Ran {
    /// What each pod did and saw, and what is left: equal for equivalent runs.
    pub fn signature(&self) -> String {
        self.model.signature()
    }

    pub fn independent(&self, one: StepId, other: StepId) -> bool {
        let ops = &self.model.ops;
        ops[&one].1.commutes(ops[&other].1)
    }
}

/// What a simulated run keeps to.
pub fn orders() -> Orders {
    Orders {
        controlled: true,
        time_limit: Duration::from_secs(60),
        most_steps: 400,
        most_pods: 26,
        faults: false,
        one_request: true,
        sparse_locks: false,
        stop_at_error: false,
        stop_only_at: None,
        baseline: None,
        rules: Rules {
            protect: Vec::new(),
            lock_rows: Vec::new(),
            unguarded: Vec::new(),
            lock: LockRule::None,
            lock_mode: None,
            ignore: Vec::new(),
            release: Release::Any,
            on_contention: OnContention::Wait,
            answers: Vec::new(),
            only_sqlstates: None,
            guards: Vec::new(),
        },
        waits: Waits::default(),
        hold: Duration::ZERO,
        restless_after: Duration::from_millis(250),
    }
}

/// Runs pods along a schedule.
pub fn run<A: Copy + Into<Act>>(
    programs: &[Vec<A>],
    schedule: &Schedule,
    stop_at_failure: bool,
) -> Ran {
    let orders = Orders {
        stop_at_error: stop_at_failure,
        ..orders()
    };
    let model = Model {
        hides_locks: true,
        ..Model::new(programs)
    };
    run_with(model, schedule, orders)
}

/// The same in this world, with these orders.
pub fn run_with(model: Model, schedule: &Schedule, orders: Orders) -> Ran {
    let orders = Orders {
        faults: schedule.has_faults(),
        ..orders
    };
    let pods = model.pods.len();
    let mut run = Conductor::new(model, orders, Writer::in_memory(), None);
    block_on(async {
        for index in 0..pods {
            run.add_member(PodName::of_index(index), false).await?;
        }
        match schedule {
            Schedule::Controlled(moves) => run.follow(moves).await,
            Schedule::Priorities { order, changes } => run.follow_priorities(order, changes).await,
            Schedule::Free(_) => panic!("not simulated"),
        }
    })
    .unwrap();
    Ran {
        limit: run.limit_hit && !run.stopped_early,
        failures: run.world.failures.clone(),
        order: run.world.order.clone(),
        model: run.world,
        lines: run.writer.finish().unwrap(),
    }
}

/// Drives what never waits.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done,
        Poll::Pending => panic!("the simulated world never waits"),
    }
}

impl World for Model {
    type Error = Mistake;
    type Own = ();

    fn now(&self) -> Duration {
        self.now
    }

    fn wall_us(&self, at: Duration) -> i64 {
        i64::try_from(at.as_micros()).unwrap()
    }

    async fn next_report(&mut self, within: Duration) -> Result<Option<Heard<()>>, Mistake> {
        self.do_passed();
        let heard = self.heard.pop_front();
        if heard.is_none() {
            self.now += within;
        }
        Ok(heard)
    }

    async fn take_in(
        _: &mut Simulated,
        _: ConnectionName,
        (): (),
        _: Duration,
    ) -> Result<(), Mistake> {
        Ok(())
    }

    async fn admit(&mut self, _: &PodName) -> Result<(), Mistake> {
        Ok(())
    }

    fn dismiss(&mut self, _: &PodName) {}

    async fn start(&mut self, pod: &PodName) -> Result<Started, Mistake> {
        Model::start(self, index_of(pod));
        Ok(Started {
            pid: 1,
            shares_node: false,
        })
    }

    fn release(&mut self, connection: &ConnectionName, delivery: Delivery) {
        let pid = pid_of(index_of(&connection.pod), connection.index);
        self.pass(pid, delivery == Delivery::AnswerDropped);
    }

    fn drop_held(&mut self, connection: &ConnectionName) {
        let pid = pid_of(index_of(&connection.pod), connection.index);
        if let Some(connection) = self.connection(pid) {
            connection.held = None;
        }
    }

    fn withhold(&mut self, connection: &ConnectionName, cut: bool) {
        let pod = index_of(&connection.pod);
        self.pods[pod].frozen = cut;
        if !cut {
            self.ask(pod);
        }
    }

    async fn look(&mut self, pids: &[i32]) -> Result<Sessions, Mistake> {
        self.do_passed();
        let mut seen = Sessions::new();
        for pid in pids
            .iter()
            .copied()
            .filter(|pid| self.lives(*pid) || *pid == KEEPER)
        {
            let copies = pid != KEEPER && self.need(&name_of(pid)) == Need::Message;
            let blocked_by: Vec<i32> = self.waits_for(pid).into_iter().collect();
            let (state, wait) = match (copies, blocked_by.is_empty()) {
                (true, _) => ("active", "Client"),
                (false, false) => ("active", "Lock"),
                (false, true) => ("idle", "Client"),
            };
            seen.insert(
                pid,
                Activity {
                    session: Session {
                        pid,
                        started_us: i64::from(pid) * 1_000_000,
                    },
                    state: state.to_owned(),
                    wait_event_type: wait.to_owned(),
                    blocked_by,
                    waited_us: None,
                    waits_since_us: None,
                    query: String::new(),
                },
            );
        }
        Ok(seen)
    }

    async fn look_at_locks(run: &mut Simulated) -> Result<Option<(i64, Vec<HeldLock>)>, Mistake> {
        if run.world.hides_locks {
            return Ok(None);
        }
        let lock = |lock: u8, pid: i32, granted: bool| HeldLock {
            pid,
            key: LockKey::bigint(1, i64::from(lock)),
            mode: LockMode::Exclusive,
            granted,
        };
        let world = &run.world;
        let held = world
            .holders
            .iter()
            .map(|(key, pid)| lock(*key, *pid, true));
        let awaited = world
            .queues
            .iter()
            .flat_map(|(key, queue)| queue.iter().map(|pid| lock(*key, *pid, false)));
        Ok(Some((0, held.chain(awaited).collect())))
    }

    async fn has_checked(
        &mut self,
        _: i32,
        _: Option<&Activity>,
        _: Duration,
    ) -> Result<bool, Mistake> {
        Ok(true)
    }

    async fn close_gate(&mut self, pid: i32, _: &InnerPoint) -> Result<(), Mistake> {
        self.gates.insert(pid, false);
        Ok(())
    }

    fn keeps_gates(&self, pid: i32) -> bool {
        pid == KEEPER
    }

    async fn pass_rows(&mut self, _: i32, _: &InnerPoint) -> Result<bool, Mistake> {
        Ok(true)
    }

    async fn open_gates(&mut self, pid: i32) -> Result<(), Mistake> {
        self.open_gate(pid);
        Ok(())
    }

    fn can_look(&self) -> bool {
        !self.stands_still
    }

    fn need(&self, connection: &ConnectionName) -> Need {
        let pod = &self.pods[index_of(&connection.pod)];
        let link = pod.connections.get(&connection.index);
        let running = link.and_then(|link| link.running);
        match running.map(|at| pod.acts[at].op) {
            Some(Op::Copy) => Need::Message,
            _ => Need::Nothing,
        }
    }

    fn is_cut_off(&self, connection: &ConnectionName) -> bool {
        self.pods[index_of(&connection.pod)].cut
    }

    fn is_running(&self, pod: &PodName) -> bool {
        let pod = &self.pods[index_of(pod)];
        pod.started && !pod.exited
    }

    async fn settle(&mut self, _: &[PodName]) -> Rested {
        self.do_passed();
        Rested {
            quiet: match self.heard.is_empty() {
                true => Quiet::Settled,
                false => Quiet::Spoke,
            },
            leaves: Vec::new(),
            unseen: false,
        }
    }

    fn waits_for(&self, _: &PodName) -> WaitsFor {
        WaitsFor::File
    }

    async fn apply(run: &mut Simulated, aim: &Aim<'_>) -> Result<Outcome, Mistake> {
        let fault = aim.fault;
        let reason = DropReason::Fault(fault.kind.clone());
        match (&fault.kind, &fault.pod) {
            (FaultKind::Expire { .. }, _) => {
                let row = run.world.vars.entry(LOCK_ROW).or_default();
                let outcome = match std::mem::take(row) {
                    0 => Outcome::absent("nobody had the lock row"),
                    _ => Outcome::fired("its time has passed"),
                };
                Ok(run.note_fault(aim, outcome))
            }
            // Who gets SIGTERM leaves at once.
            (FaultKind::Kill | FaultKind::Terminate { .. }, Some(pod)) => {
                run.forget_held(pod, &reason);
                let index = index_of(pod);
                let outcome = match run.world.is_running(pod) {
                    true => Outcome::fired("ended"),
                    false => Outcome::absent("it had no process left"),
                };
                match fault.kind {
                    FaultKind::Kill => run.world.exit(index, None, Some(9)),
                    _ => run.world.exit(index, Some(143), None),
                }
                let outcome = run.note_fault(aim, outcome);
                run.await_exit(pod).await?;
                run.forget_last_words(pod, &reason).await?;
                Ok(outcome)
            }
            (FaultKind::TerminateBackend | FaultKind::Reset | FaultKind::Drop, Some(pod)) => {
                let Some(connection) = aim.connection.clone() else {
                    return Ok(run.note_fault(aim, Outcome::absent("no such session")));
                };
                let index = index_of(pod);
                if fault.kind != FaultKind::TerminateBackend {
                    run.drop_held(&connection, &reason);
                }
                let pid = pid_of(index, connection.index);
                let outcome = match run.world.lives(pid) {
                    true => Outcome::fired("ended"),
                    false => Outcome::absent("it had gone before"),
                };
                run.world.close(pid, Some(ClosedBy::Server));
                // A pod that loses a session gives up.
                run.world.exit(index, Some(1), None);
                let outcome = run.note_fault(aim, outcome);
                run.await_closed(&connection).await?;
                Ok(outcome)
            }
            (FaultKind::CancelBackend, Some(pod)) => {
                let waits = aim
                    .connection
                    .as_ref()
                    .map(|one| pid_of(index_of(pod), one.index));
                let waits = waits.filter(|pid| run.world.waits_for(*pid).is_some());
                let outcome = match waits {
                    Some(pid) => {
                        for queue in run.world.queues.values_mut() {
                            queue.retain(|one| *one != pid);
                        }
                        run.world.answer(pid, "", Some("57014"), None, true);
                        Outcome::fired("cancelled")
                    }
                    None => Outcome::absent("it was idle"),
                };
                Ok(run.note_fault(aim, outcome))
            }
            (FaultKind::Error { sqlstate }, Some(_)) => {
                let (Point::Before, Some(step)) = (fault.point, aim.step) else {
                    return Ok(run.note_fault(aim, Outcome::missed("not simulated")));
                };
                let raised = sqlstate.clone();
                run.step_by(step, Delivery::Replaced, |world, connection| {
                    let pid = pid_of(index_of(&connection.pod), connection.index);
                    if let Some(connection) = world.connection(pid) {
                        connection.replaced = Some(raised);
                    }
                    world.pass(pid, false);
                })
                .await?;
                Ok(run.note_fault(aim, Outcome::fired("raised in the step's place")))
            }
            (FaultKind::Pause | FaultKind::Resume, Some(pod)) => {
                let pauses = fault.kind == FaultKind::Pause;
                if let Some(member) = run.members.get_mut(pod) {
                    member.paused = pauses;
                }
                Ok(freeze(run, aim, pod, pauses, false))
            }
            (FaultKind::Blackhole | FaultKind::Heal, Some(pod)) => {
                let cuts = fault.kind == FaultKind::Blackhole;
                Ok(freeze(run, aim, pod, cuts, cuts))
            }
            (FaultKind::PauseServer | FaultKind::UnpauseServer, _) => {
                run.world.stands_still = fault.kind == FaultKind::PauseServer;
                Ok(run.note_fault(aim, Outcome::fired("so it is")))
            }
            _ => Ok(run.note_fault(aim, Outcome::missed("not simulated"))),
        }
    }

    async fn resume_session(&mut self, _: i32) -> Result<(), Mistake> {
        Ok(())
    }
}

/// A pod stops, or goes on.
fn freeze(run: &mut Simulated, aim: &Aim<'_>, pod: &PodName, frozen: bool, cut: bool) -> Outcome {
    let index = index_of(pod);
    run.world.pods[index].frozen = frozen;
    run.world.pods[index].cut = cut;
    run.world.go_on(index);
    run.note_fault(aim, Outcome::fired("so it is"))
}
