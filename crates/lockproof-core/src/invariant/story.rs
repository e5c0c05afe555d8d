//! Histories for tests, told like stories.
//!
//! Owns a small model of what the conductor would have recorded: the locks on the server and the
//! order of the events of a step. Only for tests.

use crate::name::{ConnectionName, LockKey, PodName, Session, StepId};
use std::collections::BTreeMap;

use super::samples::*;
use crate::history::*;

/// A history in the making.
pub(super) struct Story {
    pub run: RunFacts,
    writer: Writer,
    now: u64,
    pub server_us: i64,
    steps: u64,
    arrived: BTreeMap<StepId, u64>,
    numbers: BTreeMap<PodName, u32>,
    waiting: BTreeMap<ConnectionName, (StepId, LockCall)>,
    pub locks: Vec<HeldLock>,
    late: Vec<Event>,
    /// Whether there is a witness that sees writes.
    pub witness: bool,
}

impl Story {
    /// A story of these pods under the clean run's lock.
    pub fn of(pods: &[&str]) -> Self {
        let run = RunFacts {
            format: FORMAT,
            lockproof: "0.1.0".to_owned(),
            run: "test".to_owned(),
            title: "A story".to_owned(),
            pacing: Pacing::Controlled,
            subject: "seed".to_owned(),
            pods: pods.iter().map(|one| pod(one)).collect(),
            recovery: false,
            moves: 0,
            server: ServerFacts {
                kind: "local".to_owned(),
                version: "15.18".to_owned(),
                description: "local".to_owned(),
            },
            pooler: None,
            database: DATABASE,
            witness: true,
            log: true,
            rules: Rules {
                protect: vec![INVOICES.to_owned(), SPLITS.to_owned()],
                lock: LockRule::FromCleanRun(vec![LockKey::bigint(5, KEY)]),
                lock_mode: None,
                ignore: Vec::new(),
                lock_rows: Vec::new(),
                unguarded: Vec::new(),
                release: Release::Unlock,
                on_contention: OnContention::Wait,
                answers: Vec::new(),
                only_sqlstates: None,
                guards: Vec::new(),
            },
            baseline: Some(Baseline {
                check_lines: LINES.map(str::to_owned).to_vec(),
                max_gap_us: 5_000,
                serial: vec![rows(24), rows(24)],
                ..Baseline::default()
            }),
        };
        Self {
            witness: true,
            run,
            writer: Writer::in_memory(),
            now: 0,
            server_us: 1_000_000,
            steps: 0,
            arrived: BTreeMap::new(),
            numbers: BTreeMap::new(),
            waiting: BTreeMap::new(),
            locks: Vec::new(),
            late: Vec::new(),
        }
    }

    /// Records an event.
    pub fn event(&mut self, event: Event) -> &mut Self {
        if self.writer.lines().is_empty() {
            let run = Event::Run(Box::new(self.run.clone()));
            self.writer.record(0, run);
        }
        self.now += 100;
        self.server_us += 100;
        self.writer.record(self.now, event);
        self
    }

    /// Time goes by.
    pub fn pass(&mut self, us: u64) -> &mut Self {
        self.now += us;
        self.server_us += i64::try_from(us).unwrap();
        self
    }

    /// A pod starts and opens these many connections.
    pub fn start(&mut self, who: &str, connections: u32) -> &mut Self {
        self.event(Event::PodStarted {
            pod: pod(who),
            pid: 1,
            recovery: who == "r",
        });
        for index in 0..connections {
            self.connect(&format!("{who}.{index}"));
        }
        self
    }

    pub fn connect(&mut self, connection: &str) -> &mut Self {
        self.event(Event::ConnectionOpened {
            connection: name(connection),
        })
        .event(Event::SessionStarted {
            server: 0,
            connection: name(connection),
            session: session(connection),
        })
    }

    /// A step arrives at the gate.
    pub fn held(&mut self, connection: &str, request: Request) -> StepId {
        self.steps += 1;
        let step = StepId(self.steps);
        self.event(Event::StepHeld {
            step,
            connection: name(connection),
            request,
        });
        self.arrived.insert(step, self.now);
        step
    }

    pub fn release(&mut self, connection: &str, step: StepId) -> &mut Self {
        let number = self.numbers.entry(name(connection).pod).or_default();
        *number += 1;
        let number = Some(*number);
        let held_us = self.now + 100 - self.arrived[&step];
        self.event(Event::StepReleased {
            step,
            number,
            connection: name(connection),
            session: Some(session(connection)),
            delivery: Delivery::Forwarded,
            held_us,
        })
    }

    pub fn ended(&mut self, step: StepId, ending: Ending, answer: Answer) -> &mut Self {
        self.event(Event::StepEnded {
            step,
            ending,
            answer,
            blocked_by: Vec::new(),
        })
    }

    pub fn snapshot(&mut self) -> &mut Self {
        let (server_us, locks) = (self.server_us, self.locks.clone());
        self.event(Event::Locks { server_us, locks })
    }

    pub fn holds(&mut self, connection: &str, call: &LockCall, granted: bool) {
        self.locks.push(HeldLock {
            pid: session(connection).pid,
            key: LockKey {
                server: 0,
                database: DATABASE,
                ..call.key.unwrap()
            },
            mode: call.mode,
            granted,
        });
    }

    pub fn drops(&mut self, connection: &str) {
        let pid = session(connection).pid;
        self.locks.retain(|lock| lock.pid != pid);
    }

    /// A lock call that is answered at once.
    pub fn lock_with(
        &mut self,
        connection: &str,
        call: LockCall,
        result: Option<bool>,
    ) -> &mut Self {
        let step = self.held(
            connection,
            Request {
                sql: vec![format!("select pg_{:?}", call.action)],
                lock_calls: vec![call.clone()],
                ..Request::default()
            },
        );
        self.release(connection, step);
        match call.action {
            LockAction::Lock | LockAction::TryLock if result != Some(false) && !call.xact => {
                self.holds(connection, &call, true);
            }
            LockAction::Unlock if result == Some(true) => {
                let pid = session(connection).pid;
                let means = |lock: &HeldLock| call.key.is_none_or(|key| key.same_key(&lock.key));
                let mut held = self.locks.iter();
                let place = held.position(|lock| lock.pid == pid && means(lock));
                self.locks.remove(place.unwrap());
            }
            _ => {}
        }
        let answer = Answer {
            lock_results: vec![result],
            transaction: Some('I'),
            ..Answer::default()
        };
        self.ended(step, Ending::Done, answer).snapshot()
    }

    pub fn lock(&mut self, connection: &str) -> &mut Self {
        self.lock_with(connection, call(LockAction::Lock), None)
    }

    pub fn unlock(&mut self, connection: &str) -> &mut Self {
        self.lock_with(connection, call(LockAction::Unlock), Some(true))
    }

    /// Asks for the lock and waits.
    pub fn waits(&mut self, connection: &str) -> &mut Self {
        let wanted = call(LockAction::Lock);
        let step = self.held(
            connection,
            Request {
                sql: vec!["select pg_advisory_lock($1)".to_owned()],
                lock_calls: vec![wanted.clone()],
                ..Request::default()
            },
        );
        self.release(connection, step);
        self.holds(connection, &wanted, false);
        self.waiting.insert(name(connection), (step, wanted));
        self.ended(step, Ending::Blocked, Answer::default())
            .snapshot()
    }

    /// Gets the lock for which it waited.
    pub fn granted(&mut self, connection: &str) -> &mut Self {
        let (step, wanted) = self.waiting.remove(&name(connection)).unwrap();
        self.drops(connection);
        self.holds(connection, &wanted, true);
        let answer = Answer {
            lock_results: vec![None],
            transaction: Some('I'),
            ..Answer::default()
        };
        self.snapshot().ended(step, Ending::Done, answer).snapshot()
    }

    /// A write that arrives at the gate.
    pub fn write_held(&mut self, connection: &str, table: &str) -> StepId {
        self.held(
            connection,
            Request {
                sql: vec![format!("insert into {table} values (1)")],
                writes: vec![table.to_owned()],
                ..Request::default()
            },
        )
    }

    /// A held write is done.
    pub fn write_done(&mut self, connection: &str, table: &str, step: StepId) -> &mut Self {
        self.release(connection, step);
        self.witness(connection, table, Some(step), Operation::Insert);
        let answer = Answer {
            tags: vec!["INSERT 0 1".to_owned()],
            transaction: Some('I'),
            ..Answer::default()
        };
        self.ended(step, Ending::Done, answer)
    }

    pub fn witness(
        &mut self,
        connection: &str,
        table: &str,
        step: Option<StepId>,
        operation: Operation,
    ) -> &mut Self {
        self.witness_on(connection, session(connection), table, step, operation)
    }

    /// What the witness sees of a session that need not be the connection's own.
    pub fn witness_on(
        &mut self,
        connection: &str,
        session: Session,
        table: &str,
        step: Option<StepId>,
        operation: Operation,
    ) -> &mut Self {
        self.server_us += 10;
        if self.witness {
            self.late.push(Event::Write(Write {
                server_us: self.server_us,
                session,
                connection: Some(name(connection)),
                step,
                table: table.to_owned(),
                operation,
                locks: self.locks.clone(),
                extent: crate::history::Extent::default(),
            }));
        }
        self
    }

    /// A write, from its arrival to its answer.
    pub fn write(&mut self, connection: &str, table: &str) -> &mut Self {
        let step = self.write_held(connection, table);
        self.write_done(connection, table, step)
    }

    /// A statement that fails.
    pub fn fails(&mut self, connection: &str, table: &str, with: ServerError) -> &mut Self {
        let step = self.write_held(connection, table);
        self.release(connection, step);
        let answer = Answer {
            error: Some(with),
            transaction: Some('I'),
            ..Answer::default()
        };
        self.ended(step, Ending::Done, answer)
    }

    /// Something that is only read from the log when the run is over.
    pub fn late(&mut self, event: Event) -> &mut Self {
        self.late.push(event);
        self
    }

    /// A session is gone, closed by somebody; its locks go with it.
    pub fn lost(&mut self, connection: &str, by: ClosedBy) -> &mut Self {
        self.drops(connection);
        self.event(Event::ConnectionClosed {
            connection: name(connection),
            by,
        })
        .event(Event::SessionGone {
            connection: name(connection),
            session: session(connection),
        })
        .snapshot()
    }

    /// A pod ends one of its connections itself.
    pub fn leaves(&mut self, connection: &str) -> &mut Self {
        self.lost(connection, ClosedBy::Client)
    }

    pub fn prints(&mut self, who: &str, line: &str) -> &mut Self {
        self.event(Event::PodOutput {
            pod: pod(who),
            stream: OutputStream::Stdout,
            line: line.to_owned(),
        })
    }

    /// A pod prints all its lines and ends with success.
    pub fn succeeds(&mut self, who: &str) -> &mut Self {
        for line in LINES {
            self.prints(who, line);
        }
        self.exits(who, 0)
    }

    pub fn exits(&mut self, who: &str, code: i32) -> &mut Self {
        self.event(Event::PodExited {
            pod: pod(who),
            code: Some(code),
            signal: None,
        })
        .event(Event::PodEnded { pod: pod(who) })
    }

    /// A pod is killed: its connections close, its sessions go.
    pub fn killed(&mut self, who: &str, connections: u32) -> &mut Self {
        self.event(Event::Fault(fault("kill", who)))
            .event(Event::PodExited {
                pod: pod(who),
                code: None,
                signal: Some(9),
            });
        for index in 0..connections {
            self.lost(&format!("{who}.{index}"), ClosedBy::Client);
        }
        self.event(Event::PodEnded { pod: pod(who) })
    }

    /// A whole correct pod: lock, two writes, unlock, end.
    pub fn works(&mut self, who: &str) -> &mut Self {
        let (lock, data) = (format!("{who}.0"), format!("{who}.1"));
        self.start(who, 2)
            .lock(&lock)
            .write(&data, INVOICES)
            .write(&data, SPLITS)
            .unlock(&lock)
            .leaves(&lock)
            .leaves(&data)
            .succeeds(who)
    }

    /// The end of a run: what is read from the log, what remains, the final rows.
    pub fn end(&mut self) -> Vec<Line> {
        for event in std::mem::take(&mut self.late) {
            self.event(event);
        }
        self.event(Event::LogComplete { lines: 3 });
        if self.run.witness {
            self.event(Event::Witness {
                lost: Vec::new(),
                silenced: Vec::new(),
            });
        }
        self.event(Event::Remains {
            locks: Vec::new(),
            sessions: Vec::new(),
            waited_us: 1_000,
        })
        .event(Event::FinalState(rows(24)))
        .event(Event::RunEnded {
            trace_hash: "0".repeat(64),
        });
        self.writer.lines().to_vec()
    }
}
