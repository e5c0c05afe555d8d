//! Lock events in any number: sessions that take turns at locks.

use std::collections::VecDeque;

use lockproof_core::name::LockMode;
use lockproof_core::operation::{Action, Call, LockEvent, Outcome};

use super::search::{Function, Operation, Type};

/// A kind of history.
pub struct Turns {
    pub words: &'static str,
    /// How many sessions wait at a lock while one holds it.
    waiting: usize,
    /// How many locks there are.
    locks: usize,
    /// Whether each turn is a session of its own.
    sessions: bool,
    /// Every so often an unlock has no answer, and the session's end gives the lock back.
    unanswered: Option<usize>,
}

pub const ALL: [Turns; 4] = [
    Turns {
        words: "4 sessions at 1 lock",
        waiting: 3,
        locks: 1,
        sessions: false,
        unanswered: None,
    },
    Turns {
        words: "16 sessions at each of 100 locks",
        waiting: 15,
        locks: 100,
        sessions: false,
        unanswered: None,
    },
    Turns {
        words: "a session for each turn, 4 at a time",
        waiting: 3,
        locks: 1,
        sessions: true,
        unanswered: None,
    },
    Turns {
        words: "the same, and 1 unlock in 10 has no answer",
        waiting: 3,
        locks: 1,
        sessions: true,
        unanswered: Some(10),
    },
];

/// One lock: who waits for it, first come first served.
struct Lock {
    number: u32,
    waiting: VecDeque<(u32, u32)>,
    turns: usize,
}

impl Turns {
    /// About so many events.
    pub fn events(&self, size: usize) -> Vec<LockEvent> {
        let mut book = Book::default();
        let mut locks: Vec<Lock> = (0..self.locks as u32)
            .map(|number| Lock {
                number,
                waiting: VecDeque::new(),
                turns: 0,
            })
            .collect();
        while book.events.len() < size {
            for lock in &mut locks {
                while lock.waiting.len() <= self.waiting {
                    book.owners += 1;
                    let owner = book.owners;
                    lock.waiting
                        .push_back((owner, book.acquires(owner, lock.number)));
                }
                let Some((owner, call)) = lock.waiting.pop_front() else {
                    continue;
                };
                book.returns(call, Outcome::Ok);
                lock.turns += 1;
                let release = book.calls(owner, lock.number, Action::Release);
                if self.unanswered.is_some_and(|every| lock.turns % every == 0) {
                    book.returns(release, Outcome::Info);
                } else {
                    book.returns(release, Outcome::Ok);
                }
                // Who has had it asks again.
                if !self.sessions {
                    lock.waiting
                        .push_back((owner, book.acquires(owner, lock.number)));
                }
            }
        }
        book.events
    }
}

/// What makes any such history wrong, at its end: two new owners get a lock, one after the other.
pub fn two_owners(events: &mut Vec<LockEvent>) {
    let calls = events
        .iter()
        .filter(|event| matches!(event, LockEvent::Call(_)));
    let mut book = Book {
        calls: calls.count() as u32,
        events: std::mem::take(events),
        owners: 0,
    };
    for owner in [u32::MAX, u32::MAX - 1] {
        let call = book.acquires(owner, u32::MAX);
        book.returns(call, Outcome::Ok);
    }
    *events = book.events;
}

#[derive(Default)]
struct Book {
    events: Vec<LockEvent>,
    calls: u32,
    owners: u32,
}

impl Book {
    fn calls(&mut self, owner: u32, lock: u32, action: Action) -> u32 {
        self.events.push(LockEvent::Call(Call {
            owner,
            lock,
            action,
            mode: LockMode::Exclusive,
        }));
        self.calls += 1;
        self.calls - 1
    }

    fn acquires(&mut self, owner: u32, lock: u32) -> u32 {
        self.calls(owner, lock, Action::Acquire)
    }

    fn returns(&mut self, call: u32, outcome: Outcome) {
        self.events.push(LockEvent::Return { call, outcome });
    }
}

/// The same for the search.
pub fn as_operations(events: &[LockEvent]) -> Vec<Operation> {
    let mut operations: Vec<Operation> = Vec::new();
    for (place, event) in events.iter().enumerate() {
        match event {
            LockEvent::Call(call) => operations.push(Operation {
                owner: call.owner.to_string(),
                lock: call.lock.to_string(),
                function: match call.action {
                    Action::Acquire => Function::Acquire,
                    Action::Release => Function::Release,
                },
                called: place,
                returned: None,
                came_of: Type::Info,
            }),
            LockEvent::Return { call, outcome } => {
                let one = &mut operations[*call as usize];
                one.returned = Some(place);
                one.came_of = match outcome {
                    Outcome::Ok => Type::Ok,
                    Outcome::Fail => Type::Fail,
                    Outcome::Info => Type::Info,
                };
            }
        }
    }
    operations
}
