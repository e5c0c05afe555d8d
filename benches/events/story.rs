//! Histories of any length, as the conductor would write them.

use lockproof_core::history::{
    Answer, Baseline, ClosedBy, Delivery, Ending, Event, FORMAT, FaultBy, FaultEvent, FinalState,
    HeldLock, KnownError, Line, LockAction, LockCall, LockRule, LogLine, OnContention, Operation,
    Pacing, Release, Request, Rules, RunFacts, ServerError, ServerFacts, Write, Writer,
};
use lockproof_core::invariant::Judgement;
use lockproof_core::name::{ConnectionName, LockKey, LockMode, PodName, Session, StepId};
use lockproof_core::schedule::{Fault, FaultKind, Point, SessionChoice};

const DATABASE: u32 = 16_384;
const CANCELLED: &str = "57014";
const TABLE: &str = "public.invoices";
const PODS: usize = 4;
/// Lines of a turn, writes that are read from the log included.
const TURN: usize = 40;

/// A kind of history.
pub struct Kind {
    pub words: &'static str,
    pub verdict: Judgement,
    /// Whether each turn has connections of its own.
    connections: bool,
    /// Whether each turn meets an error that the clean run meets, too, and a fault that fires.
    trouble: bool,
    /// Whether nobody unlocks: the sessions end with the lock.
    lost: bool,
}

pub const ALL: [Kind; 4] = [
    Kind {
        words: "4 pods in turn, one connection for the lock and one for the writes each",
        verdict: Judgement::Holds,
        connections: false,
        trouble: false,
        lost: false,
    },
    Kind {
        words: "the same with new connections for each turn",
        verdict: Judgement::Holds,
        connections: true,
        trouble: false,
        lost: false,
    },
    Kind {
        words: "the same, and each turn meets an error and a fault",
        verdict: Judgement::Holds,
        connections: true,
        trouble: true,
        lost: false,
    },
    Kind {
        words: "the same, and nobody unlocks: the lock's session ends",
        verdict: Judgement::Violated,
        connections: true,
        trouble: false,
        lost: true,
    },
];

struct Story {
    writer: Writer,
    late: Vec<Event>,
    now: u64,
    steps: u64,
    numbers: [u32; PODS],
    connections: [u32; PODS],
    held: Vec<HeldLock>,
}

fn pod(place: usize) -> PodName {
    PodName::of_index(place)
}

fn key() -> LockKey {
    LockKey::bigint(DATABASE, 4711)
}

impl Kind {
    /// A history of about so many lines.
    pub fn lines(&self, size: usize) -> Vec<Line> {
        let mut story = Story {
            writer: Writer::in_memory(),
            late: Vec::new(),
            now: 0,
            steps: 0,
            numbers: [0; PODS],
            connections: [0; PODS],
            held: Vec::new(),
        };
        story.event(Event::Run(Box::new(run())));
        for place in 0..PODS {
            story.event(Event::PodStarted {
                pod: pod(place),
                pid: 1,
                recovery: false,
            });
        }
        let mut open: Vec<Option<[(ConnectionName, Session); 2]>> = vec![None; PODS];
        for turn in 0..size / TURN {
            let place = turn % PODS;
            let both = match open[place].take() {
                Some(both) => both,
                None => [story.connects(place), story.connects(place)],
            };
            self.turn(&mut story, place, &both);
            if self.connections {
                for one in &both {
                    story.leaves(one);
                }
            } else {
                open[place] = Some(both);
            }
        }
        for both in open.into_iter().flatten() {
            for one in &both {
                story.leaves(one);
            }
        }
        for place in 0..PODS {
            story.event(Event::PodExited {
                pod: pod(place),
                code: Some(0),
                signal: None,
            });
            story.event(Event::PodEnded { pod: pod(place) });
        }
        story.end()
    }

    fn turn(&self, story: &mut Story, place: usize, both: &[(ConnectionName, Session); 2]) {
        let [lock, data] = both;
        story.lock_call(place, lock, LockAction::Lock);
        for write in 0..4 {
            story.writes(place, data, write == 0 && self.trouble);
        }
        if !self.lost {
            story.lock_call(place, lock, LockAction::Unlock);
        }
    }
}

impl Story {
    fn event(&mut self, event: Event) {
        self.now += 100;
        self.writer.record(self.now, event);
    }

    fn server_us(&self) -> i64 {
        1_000_000 + self.now.cast_signed()
    }

    fn connects(&mut self, place: usize) -> (ConnectionName, Session) {
        let connection = ConnectionName {
            pod: pod(place),
            index: self.connections[place],
        };
        self.connections[place] += 1;
        // Process ids come again.
        let sessions: u32 = self.connections.iter().sum();
        let session = Session {
            pid: 1000 + (sessions % 30_000).cast_signed(),
            started_us: self.server_us(),
        };
        self.event(Event::ConnectionOpened {
            connection: connection.clone(),
        });
        self.event(Event::SessionStarted {
            connection: connection.clone(),
            session,
            server: 0,
        });
        (connection, session)
    }

    fn step(
        &mut self,
        place: usize,
        on: &(ConnectionName, Session),
        request: Request,
        answer: Option<Answer>,
    ) -> StepId {
        self.steps += 1;
        let step = StepId(self.steps);
        self.event(Event::StepHeld {
            step,
            connection: on.0.clone(),
            request,
        });
        self.numbers[place] += 1;
        self.event(Event::StepReleased {
            step,
            number: Some(self.numbers[place]),
            connection: on.0.clone(),
            session: Some(on.1),
            delivery: Delivery::Forwarded,
            held_us: 100,
        });
        let ending = match &answer {
            Some(_) => Ending::Done,
            None => Ending::Gone,
        };
        self.event(Event::StepEnded {
            step,
            ending,
            answer: answer.unwrap_or_default(),
            blocked_by: Vec::new(),
        });
        step
    }

    fn snapshot(&mut self) {
        let event = Event::Locks {
            server_us: self.server_us(),
            locks: self.held.clone(),
        };
        self.event(event);
    }

    fn lock_call(&mut self, place: usize, on: &(ConnectionName, Session), action: LockAction) {
        let request = Request {
            sql: vec!["select pg_advisory_lock(4711)".to_owned()],
            lock_calls: vec![LockCall {
                action,
                mode: LockMode::Exclusive,
                xact: false,
                key: Some(LockKey::bigint(0, 4711)),
                whole: true,
            }],
            ..Request::default()
        };
        let unlock = action == LockAction::Unlock;
        let answer = Answer {
            lock_results: vec![unlock.then_some(true)],
            transaction: Some('I'),
            ..Answer::default()
        };
        self.step(place, on, request, Some(answer));
        self.held.clear();
        if !unlock {
            self.held.push(HeldLock {
                pid: on.1.pid,
                key: key(),
                mode: LockMode::Exclusive,
                granted: true,
            });
        }
        self.snapshot();
    }

    fn writes(&mut self, place: usize, on: &(ConnectionName, Session), fails: bool) {
        let request = Request {
            sql: vec!["insert into invoices values (1)".to_owned()],
            normal: vec!["insert into invoices values (?)".to_owned()],
            writes: vec![TABLE.to_owned()],
            ..Request::default()
        };
        let error = fails.then(|| ServerError {
            severity: "ERROR".to_owned(),
            sqlstate: CANCELLED.to_owned(),
            message: "canceling statement due to user request".to_owned(),
            table: None,
            constraint: None,
        });
        let answer = Answer {
            error,
            transaction: Some('I'),
            ..Answer::default()
        };
        let server_us = self.server_us() + 250;
        let step = self.step(place, on, request, Some(answer));
        if fails {
            self.cancelled(place, on, step, server_us);
        } else {
            self.late.push(Event::Write(Write {
                server_us,
                session: on.1,
                connection: Some(on.0.clone()),
                step: Some(step),
                table: TABLE.to_owned(),
                operation: Operation::Insert,
                locks: self.held.clone(),
                extent: lockproof_core::history::Extent::default(),
            }));
        }
    }
}

impl Story {
    /// A fault cancelled this step; the server's log tells of the error once more.
    fn cancelled(
        &mut self,
        place: usize,
        on: &(ConnectionName, Session),
        step: StepId,
        server_us: i64,
    ) {
        self.event(Event::Fault(FaultEvent {
            fault: Fault::of_pod(
                FaultKind::CancelBackend,
                PodName::of_index(0),
                SessionChoice::Next,
                Point::Before,
            ),
            pod: Some(pod(place)),
            connection: Some(on.0.clone()),
            session: Some(on.1),
            step: Some(step),
            fired: true,
            absent: false,
            evidence: "seen".to_owned(),
            takes_pod: false,
            ends_session: false,
            sqlstates: vec![CANCELLED.to_owned()],
            by: FaultBy::default(),
        }));
        self.late.push(Event::ServerLog(LogLine {
            server_us,
            pid: on.1.pid,
            connection: Some(on.0.clone()),
            step: Some(step),
            severity: "ERROR".to_owned(),
            sqlstate: CANCELLED.to_owned(),
            message: "canceling statement due to user request".to_owned(),
            detail: None,
            statement: None,
        }));
    }

    fn leaves(&mut self, on: &(ConnectionName, Session)) {
        self.event(Event::ConnectionClosed {
            connection: on.0.clone(),
            by: ClosedBy::Client,
        });
        self.event(Event::SessionGone {
            connection: on.0.clone(),
            session: on.1,
        });
        self.held.retain(|lock| lock.pid != on.1.pid);
        self.snapshot();
    }

    fn end(mut self) -> Vec<Line> {
        for event in std::mem::take(&mut self.late) {
            self.event(event);
        }
        self.event(Event::LogComplete { lines: 1 });
        self.event(Event::Remains {
            locks: Vec::new(),
            sessions: Vec::new(),
            waited_us: 0,
        });
        self.event(Event::FinalState(FinalState::default()));
        self.event(Event::RunEnded {
            trace_hash: "0".repeat(64),
        });
        self.writer.finish().unwrap_or_default()
    }
}

fn run() -> RunFacts {
    RunFacts {
        format: FORMAT,
        lockproof: env!("CARGO_PKG_VERSION").to_owned(),
        run: "bench".to_owned(),
        title: "A long story".to_owned(),
        pacing: Pacing::Controlled,
        subject: "turns".to_owned(),
        pods: (0..PODS).map(pod).collect(),
        recovery: false,
        moves: 0,
        server: ServerFacts {
            kind: "none".to_owned(),
            version: "15".to_owned(),
            description: "none".to_owned(),
        },
        database: DATABASE,
        witness: true,
        pooler: None,
        log: true,
        rules: Rules {
            protect: vec![TABLE.to_owned()],
            lock: LockRule::Named(key()),
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
            errors: vec![KnownError {
                sqlstate: CANCELLED.to_owned(),
                statement: Some("insert into invoices values (?)".to_owned()),
                table: None,
                constraint: None,
                nameless: None,
            }],
            max_gap_us: 1_000_000,
            ..Baseline::default()
        }),
    }
}
