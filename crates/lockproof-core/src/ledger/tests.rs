//! Short histories, and the grants that follow from them.

use super::*;
use crate::history::*;
use crate::name::{ConnectionName, LockKey, LockMode, Session, StepId};
use crate::timeline::Timeline;

const PID: i32 = 100;

fn name(connection: &str) -> ConnectionName {
    connection.parse().unwrap()
}

fn call(action: LockAction, key: i64, xact: bool) -> LockCall {
    LockCall {
        action,
        mode: LockMode::Exclusive,
        xact,
        key: Some(LockKey::bigint(0, key)),
        whole: true,
    }
}

fn take(key: i64) -> LockCall {
    call(LockAction::Lock, key, false)
}

fn take_for_transaction(key: i64) -> LockCall {
    call(LockAction::Lock, key, true)
}

fn unlock_all() -> LockCall {
    LockCall {
        key: None,
        ..call(LockAction::UnlockAll, 0, false)
    }
}

struct History {
    writer: Writer,
    now: u64,
    steps: u64,
}

impl History {
    fn new() -> Self {
        Self {
            writer: Writer::in_memory(),
            now: 0,
            steps: 0,
        }
    }

    fn event(&mut self, event: Event) -> &mut Self {
        self.now += 10;
        self.writer.record(self.now, event);
        self
    }

    /// A connection gets a session: all of them have the same process id.
    fn starts(&mut self, connection: &str, server: u8) -> &mut Self {
        self.event(Event::SessionStarted {
            connection: name(connection),
            session: Session {
                pid: PID,
                started_us: 1 + i64::from(server),
            },
            server,
        })
    }

    /// A step of a.0 that is answered, and leaves the transaction in this state.
    fn does(&mut self, calls: &[LockCall], status: char) -> &mut Self {
        self.steps += 1;
        let step = StepId(self.steps);
        self.event(Event::StepHeld {
            step,
            connection: name("a.0"),
            request: Request {
                sql: vec!["select …".to_owned()],
                lock_calls: calls.to_vec(),
                ..Request::default()
            },
        });
        self.event(Event::StepReleased {
            step,
            number: Some(1),
            connection: name("a.0"),
            session: None,
            delivery: Delivery::Forwarded,
            held_us: 0,
        });
        self.event(Event::StepEnded {
            step,
            ending: Ending::Done,
            answer: Answer {
                lock_results: vec![None; calls.len()],
                transaction: Some(status),
                ..Answer::default()
            },
            blocked_by: Vec::new(),
        })
    }

    /// `pg_locks` of this server shows the lock 7.
    fn shows(&mut self, server: u8) -> &mut Self {
        self.event(Event::Locks {
            server_us: 1_000,
            locks: vec![HeldLock {
                pid: PID,
                key: LockKey {
                    server,
                    ..LockKey::bigint(0, 7)
                },
                mode: LockMode::Exclusive,
                granted: true,
            }],
        })
    }

    /// Each grant: whose, of which key, and how it ended.
    fn grants(&self) -> Vec<(String, String, Option<How>)> {
        let timeline = Timeline::of(self.writer.lines());
        let ledger = Ledger::of(&timeline);
        let grants = ledger.grants.iter();
        grants
            .map(|grant| {
                let (whose, key) = (grant.connection.to_string(), grant.key.to_string());
                (whose, key, grant.end.map(|(_, how)| how))
            })
            .collect()
    }

    /// How the grants of a.0 ended, by key.
    #[track_caller]
    fn ended(&self, expected: &[(&str, Option<How>)]) {
        let expected = expected.iter();
        let expected: Vec<_> = expected
            .map(|(key, how)| ("a.0".to_owned(), (*key).to_owned(), *how))
            .collect();
        assert_eq!(self.grants(), expected);
    }
}

#[test]
fn a_lock_that_is_taken_after_all_were_let_go_in_one_statement_stays_held() {
    let mut history = History::new();
    history
        .starts("a.0", 0)
        .does(&[take(7)], 'I')
        .does(&[unlock_all(), take(8)], 'I');
    history.ended(&[("7", Some(How::Unlocked)), ("8", None)]);
    let mut other = History::new();
    other.starts("a.0", 0).does(&[take(8), unlock_all()], 'I');
    other.ended(&[("8", Some(How::Unlocked))]);
}

#[test]
fn the_end_of_a_transaction_ends_its_own_locks_only() {
    let mut history = History::new();
    history
        .starts("a.0", 0)
        .does(&[take(7), take_for_transaction(8)], 'T')
        .does(&[], 'T');
    history.ended(&[("7", None), ("8", None)]);
    history.does(&[], 'I');
    history.ended(&[("7", None), ("8", Some(How::Transaction))]);
}

#[test]
fn a_lock_is_of_the_session_on_the_server_that_shows_it() {
    let whose = |server| {
        let mut history = History::new();
        history.starts("a.0", 0).starts("b.0", 1).shows(server);
        history.grants().into_iter().map(|(whose, ..)| whose)
    };
    assert_eq!(whose(0).collect::<Vec<_>>(), ["a.0"]);
    assert_eq!(whose(1).collect::<Vec<_>>(), ["b.0"]);
}

#[test]
fn locks_are_used_that_are_held_or_asked_for_not_those_only_given_back() {
    let mut history = History::new();
    history
        .starts("a.0", 0)
        .does(&[take(8), call(LockAction::Unlock, 9, false)], 'I')
        .shows(0);
    let timeline = Timeline::of(history.writer.lines());
    let keys: Vec<String> = used_keys(&timeline)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(keys, ["7", "8"]);
}
