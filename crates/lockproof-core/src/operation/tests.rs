//! Histories told in short, and the operations that they are read as.

use super::*;
use crate::history::*;
use crate::name::{ConnectionName, LockKey, LockMode, Session, StepId};

const DATABASE: u32 = 5;

struct Tale {
    writer: Writer,
    steps: u64,
    now: i64,
    held: Vec<HeldLock>,
    pacing: Pacing,
}

fn name(connection: &str) -> ConnectionName {
    connection.parse().unwrap()
}

/// Its process id tells the connection.
fn session(connection: &str) -> Session {
    let name = name(connection);
    let letter = i32::from(name.pod.as_str().as_bytes()[0] - b'a');
    Session {
        pid: 100 + letter * 10 + i32::try_from(name.index).unwrap(),
        started_us: 1,
    }
}

fn call(action: LockAction, xact: bool) -> LockCall {
    LockCall {
        action,
        mode: LockMode::Exclusive,
        xact,
        key: Some(LockKey::bigint(0, 7)),
        whole: true,
    }
}

fn answered(result: Option<bool>, transaction: char) -> Answer {
    Answer {
        lock_results: vec![result],
        transaction: Some(transaction),
        ..Answer::default()
    }
}

impl Tale {
    fn begin(pacing: Pacing) -> Self {
        let mut tale = Self {
            writer: Writer::in_memory(),
            steps: 0,
            now: 10,
            held: Vec::new(),
            pacing,
        };
        for connection in ["a.0", "b.0"] {
            tale.event(Event::SessionStarted {
                connection: name(connection),
                session: session(connection),
                server: 0,
            });
        }
        tale
    }

    fn event(&mut self, event: Event) {
        self.now += 1;
        self.writer.record(self.now.cast_unsigned(), event);
    }

    fn asks(&mut self, connection: &str, calls: &[LockCall]) -> StepId {
        let request = Request {
            sql: vec!["select …".to_owned()],
            lock_calls: calls.to_vec(),
            opaque: calls.is_empty(),
            ..Request::default()
        };
        self.sends(connection, request)
    }

    fn sends(&mut self, connection: &str, request: Request) -> StepId {
        self.steps += 1;
        let step = StepId(self.steps);
        self.event(Event::StepHeld {
            step,
            connection: name(connection),
            request,
        });
        self.event(Event::StepReleased {
            step,
            number: None,
            connection: name(connection),
            session: Some(session(connection)),
            delivery: Delivery::Forwarded,
            held_us: 0,
        });
        step
    }

    fn ends(&mut self, step: StepId, ending: Ending, answer: Answer) {
        self.event(Event::StepEnded {
            step,
            ending,
            answer,
            blocked_by: Vec::new(),
        });
    }

    fn does(&mut self, connection: &str, call: LockCall, result: Option<bool>, status: char) {
        let step = self.asks(connection, &[call]);
        self.ends(step, Ending::Done, answered(result, status));
    }

    fn locks(&mut self, connection: &str) {
        self.does(connection, call(LockAction::Lock, false), None, 'I');
    }

    fn unlocks(&mut self, connection: &str) {
        self.does(connection, call(LockAction::Unlock, false), Some(true), 'I');
    }

    /// Who holds the lock, as `pg_locks` shows it.
    fn shows(&mut self, connections: &[&str]) {
        let lock = |connection: &&str| HeldLock {
            pid: session(connection).pid,
            key: LockKey::bigint(DATABASE, 7),
            mode: LockMode::Exclusive,
            granted: true,
        };
        self.held = connections.iter().map(lock).collect();
        let (server_us, locks) = (self.now, self.held.clone());
        self.event(Event::Locks { server_us, locks });
    }

    fn gone(&mut self, connection: &str) {
        self.event(Event::SessionGone {
            connection: name(connection),
            session: session(connection),
        });
    }

    fn run(&self) -> RunFacts {
        RunFacts {
            format: FORMAT,
            lockproof: String::new(),
            run: String::new(),
            title: String::new(),
            pacing: self.pacing,
            subject: String::new(),
            pods: Vec::new(),
            recovery: false,
            moves: 0,
            server: ServerFacts {
                kind: String::new(),
                version: String::new(),
                description: String::new(),
            },
            database: DATABASE,
            pooler: None,
            witness: false,
            log: false,
            rules: Rules {
                protect: Vec::new(),
                lock: LockRule::None,
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
            baseline: None,
        }
    }

    /// Calls and returns in short, and whether locks excluded.
    fn told(mut self) -> (Vec<String>, bool) {
        self.event(Event::RunEnded {
            trace_hash: String::new(),
        });
        self.told_so_far()
    }

    fn told_so_far(self) -> (Vec<String>, bool) {
        let run = self.run();
        let lines = self.writer.lines();
        let timeline = timeline(operations(lines, &run));
        let words = timeline.moments.iter().map(|moment| {
            let one = &timeline.operations[moment.operation];
            let what = match one.action {
                Action::Acquire => "acquire",
                Action::Release => "release",
            };
            let kind = match (moment.returns, one.outcome) {
                (false, _) => "asks",
                (true, Outcome::Ok) => "did",
                (true, Outcome::Fail) => "failed",
                (true, Outcome::Info) => "perhaps",
            };
            let by = match one.by {
                By::Client => "",
                By::System => " by the system",
                By::Unseen => " unseen",
            };
            format!("{} {} {kind} {what}{by}", moment.process, one.connection)
        });
        let words = words.collect();
        (words, exclusion(&timeline.events().0).unwrap().is_empty())
    }
}

#[track_caller]
fn is_told(tale: Tale, expected: &[&str]) {
    let (told, excluded) = tale.told();
    assert_eq!(told, expected);
    assert!(excluded);
}

#[test]
fn a_lock_is_acquired_and_released() {
    let mut tale = Tale::begin(Pacing::Controlled);
    tale.locks("a.0");
    tale.unlocks("a.0");
    is_told(
        tale,
        &[
            "0 a.0 asks acquire",
            "0 a.0 did acquire",
            "0 a.0 asks release",
            "0 a.0 did release",
        ],
    );
}

#[test]
fn what_is_refused_changes_nothing() {
    let mut tale = Tale::begin(Pacing::Controlled);
    tale.locks("a.0");
    tale.does("b.0", call(LockAction::TryLock, false), Some(false), 'I');
    tale.does("b.0", call(LockAction::Unlock, false), Some(false), 'I');
    let (told, excluded) = tale.told();
    assert_eq!(told[3], "1 b.0 failed acquire");
    assert_eq!(told[5], "1 b.0 failed release");
    assert!(excluded);
}

#[test]
fn the_end_of_a_transaction_gives_back_what_it_held() {
    let mut tale = Tale::begin(Pacing::Controlled);
    tale.does("a.0", call(LockAction::Lock, true), None, 'T');
    let step = tale.sends("a.0", Request::default());
    tale.ends(step, Ending::Done, answered(None, 'I'));
    is_told(
        tale,
        &[
            "0 a.0 asks acquire",
            "0 a.0 did acquire",
            "0 a.0 asks release by the system",
            "0 a.0 did release by the system",
        ],
    );
}

#[test]
fn an_aborted_transaction_may_have_let_go_since_it_failed() {
    let mut tale = Tale::begin(Pacing::Controlled);
    tale.does("a.0", call(LockAction::Lock, true), None, 'T');
    let failed = tale.sends("a.0", Request::default());
    tale.ends(failed, Ending::Done, answered(None, 'E'));
    tale.locks("b.0");
    let rollback = tale.sends("a.0", Request::default());
    tale.ends(rollback, Ending::Done, answered(None, 'I'));
    is_told(
        tale,
        &[
            "0 a.0 asks acquire",
            "0 a.0 did acquire",
            "0 a.0 asks release by the system",
            "1 b.0 asks acquire",
            "1 b.0 did acquire",
            "0 a.0 did release by the system",
        ],
    );
}

#[test]
fn a_failed_acquire_may_hold_and_its_process_is_heard_of_no_more() {
    let cancelled = || Answer {
        error: Some(ServerError {
            severity: "ERROR".to_owned(),
            sqlstate: "57014".to_owned(),
            ..ServerError::default()
        }),
        ..answered(None, 'I')
    };
    let mut tale = Tale::begin(Pacing::Free);
    let step = tale.asks("a.0", &[call(LockAction::Lock, false)]);
    tale.ends(step, Ending::Done, cancelled());
    tale.unlocks("a.0");
    is_told(
        tale,
        &[
            "0 a.0 asks acquire",
            "0 a.0 perhaps acquire",
            "1 a.0 asks release",
            "1 a.0 did release",
        ],
    );
    // Where pg_locks shows it, it was done.
    let mut tale = Tale::begin(Pacing::Controlled);
    let step = tale.asks("a.0", &[call(LockAction::Lock, false)]);
    tale.ends(step, Ending::Done, cancelled());
    tale.shows(&["a.0"]);
    is_told(tale, &["0 a.0 asks acquire", "0 a.0 did acquire"]);
}

#[test]
fn a_lock_taken_in_a_function_is_seen_in_pg_locks() {
    let mut tale = Tale::begin(Pacing::Controlled);
    let step = tale.asks("a.0", &[]);
    tale.ends(step, Ending::Done, answered(None, 'I'));
    tale.shows(&["a.0"]);
    tale.shows(&[]);
    is_told(
        tale,
        &[
            "0 a.0 asks acquire unseen",
            "0 a.0 did acquire unseen",
            "0 a.0 asks release unseen",
            "0 a.0 did release unseen",
        ],
    );
    // In real time there is not always a look in between: the unlock tells.
    let mut tale = Tale::begin(Pacing::Free);
    let step = tale.asks("a.0", &[]);
    tale.ends(step, Ending::Done, answered(None, 'I'));
    tale.unlocks("a.0");
    let (told, excluded) = tale.told();
    assert!(
        told.contains(&"0 a.0 did acquire unseen".to_owned()),
        "{told:?}"
    );
    assert!(excluded);
}

#[test]
fn the_end_of_a_session_gives_back_since_it_was_last_known_to_be_alive() {
    let mut tale = Tale::begin(Pacing::Controlled);
    tale.locks("a.0");
    tale.shows(&["a.0"]);
    let waits = tale.asks("b.0", &[call(LockAction::Lock, false)]);
    tale.ends(waits, Ending::Done, answered(None, 'I'));
    tale.gone("a.0");
    is_told(
        tale,
        &[
            "0 a.0 asks acquire",
            "0 a.0 did acquire",
            "0 a.0 asks release by the system",
            "1 b.0 asks acquire",
            "1 b.0 did acquire",
            "0 a.0 did release by the system",
        ],
    );
}

#[test]
fn a_waiter_whose_client_is_gone_has_the_lock_when_pg_locks_shows_it() {
    let mut tale = Tale::begin(Pacing::Controlled);
    tale.locks("a.0");
    let waits = tale.asks("b.0", &[call(LockAction::Lock, false)]);
    tale.ends(waits, Ending::Gone, Answer::default());
    tale.unlocks("a.0");
    tale.shows(&["b.0"]);
    tale.gone("b.0");
    let (told, excluded) = tale.told();
    assert_eq!(told[5], "1 b.0 did acquire");
    assert_eq!(told[7], "1 b.0 did release by the system");
    assert!(excluded);
}

#[test]
fn what_was_never_answered_never_returns() {
    let mut tale = Tale::begin(Pacing::Controlled);
    let lost = tale.asks("a.0", &[call(LockAction::Lock, false)]);
    tale.ends(lost, Ending::Gone, Answer::default());
    tale.locks("b.0");
    is_told(
        tale,
        &[
            "0 a.0 asks acquire",
            "1 b.0 asks acquire",
            "1 b.0 did acquire",
        ],
    );
}

#[test]
fn all_that_a_session_holds_can_be_given_back_at_once() {
    let mut tale = Tale::begin(Pacing::Controlled);
    tale.locks("a.0");
    tale.locks("a.0");
    let step = tale.sends(
        "a.0",
        Request {
            sql: vec!["DISCARD ALL".to_owned()],
            ..Request::default()
        },
    );
    tale.ends(step, Ending::Done, answered(None, 'I'));
    tale.locks("b.0");
    let all = LockCall {
        key: None,
        ..call(LockAction::UnlockAll, false)
    };
    tale.does("b.0", all, None, 'I');
    let (told, excluded) = tale.told();
    let released = |who: &str| told.iter().filter(|one| one.ends_with(who)).count();
    assert_eq!(released("a.0 did release"), 2, "{told:?}");
    assert_eq!(released("b.0 did release"), 1, "{told:?}");
    assert!(excluded);
}

#[test]
fn two_that_hold_the_lock_at_once_are_found() {
    let mut tale = Tale::begin(Pacing::Free);
    tale.locks("a.0");
    tale.locks("b.0");
    tale.unlocks("a.0");
    assert!(!tale.told().1);
    // A history that was cut does not tell whether the first had ended meanwhile.
    let mut tale = Tale::begin(Pacing::Free);
    tale.locks("a.0");
    tale.locks("b.0");
    assert!(tale.told_so_far().1);
}

#[test]
fn a_call_that_may_not_have_been_made_took_nothing_for_sure() {
    for changed in [
        // Inside an expression or a condition.
        LockCall {
            whole: false,
            ..call(LockAction::Lock, false)
        },
        LockCall {
            whole: false,
            ..call(LockAction::TryLock, false)
        },
    ] {
        let mut tale = Tale::begin(Pacing::Controlled);
        tale.locks("a.0");
        tale.shows(&["a.0"]);
        tale.does("b.0", changed, None, 'I');
        tale.shows(&["a.0"]);
        tale.unlocks("a.0");
        assert!(tale.told().1);
    }
    // Selected from a table that has no row.
    let mut tale = Tale::begin(Pacing::Controlled);
    tale.locks("a.0");
    let step = tale.asks("b.0", &[call(LockAction::Lock, false)]);
    let answer = Answer {
        tags: vec!["SELECT 0".to_owned()],
        ..answered(None, 'I')
    };
    tale.ends(step, Ending::Done, answer);
    tale.shows(&["a.0"]);
    tale.unlocks("a.0");
    assert!(tale.told().1);
}

#[test]
fn an_unlock_by_another_session_that_is_said_to_be_done_is_found() {
    let mut tale = Tale::begin(Pacing::Controlled);
    tale.locks("a.0");
    tale.unlocks("b.0");
    assert!(!tale.told().1);
}

#[test]
fn the_texts_are_those_of_jepsen_and_porcupine() {
    let mut tale = Tale::begin(Pacing::Controlled);
    let two = LockCall {
        mode: LockMode::Share,
        key: Some(LockKey::two_ints(0, 1, -2)),
        ..call(LockAction::TryLock, false)
    };
    tale.does("a.0", two, Some(false), 'I');
    let lost = tale.asks("b.0", &[call(LockAction::Lock, false)]);
    tale.ends(lost, Ending::Gone, Answer::default());
    let run = tale.run();
    let timeline = timeline(operations(tale.writer.lines(), &run));
    let text = |write: fn(&Timeline<'_>, &mut Vec<u8>) -> std::io::Result<()>| {
        let mut text = Vec::new();
        write(&timeline, &mut text).unwrap();
        String::from_utf8(text).unwrap()
    };
    assert_eq!(
        text(write_edn),
        "{:index 0, :type :invoke, :process 0, :f :acquire-share, :value {:lock [1 -2], :owner \
         \"a.0\", :by :client}, :time 14000, :line 4}\n\
         {:index 1, :type :fail, :process 0, :f :acquire-share, :value {:lock [1 -2], :owner \
         \"a.0\", :by :client}, :time 15000, :error :refused, :line 5}\n\
         {:index 2, :type :invoke, :process 1, :f :acquire, :value {:lock 7, :owner \"b.0\", :by \
         :client}, :time 17000, :line 7}\n\
         {:index 3, :type :info, :process 1, :f :acquire, :value {:lock 7, :owner \"b.0\", :by \
         :client}, :time 17000, :error :no-answer, :line 7}\n"
    );
    assert_eq!(
        text(write_porcupine),
        r#"{"clientId":0,"kind":"call","id":0,"value":{"f":"acquire-share","lock":"(1, -2)","owner":"a.0","by":"client"}}
{"clientId":0,"kind":"return","id":0,"value":{"outcome":"fail"}}
{"clientId":1,"kind":"call","id":1,"value":{"f":"acquire","lock":"7","owner":"b.0","by":"client"}}
{"clientId":1,"kind":"return","id":1,"value":{"outcome":"unknown"}}
"#
    );
}
