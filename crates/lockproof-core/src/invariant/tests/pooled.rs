//! Behind a pooler a backend serves one connection after the other, and keeps the locks of each.

use super::*;
use crate::history::*;
use crate::name::{ConnectionName, LockMode, Session, StepId};
use InvariantName::{MutualExclusion, NoLeak, SameSession, WorkUnderLock};

/// Backends of the pooler.
const X: i32 = 7001;
const Y: i32 = 7002;

fn backend(pid: i32) -> Session {
    Session { pid, started_us: 1 }
}

/// A story behind a pooler.
struct Pool {
    story: Story,
    steps: Vec<(ConnectionName, i32)>,
}

impl Pool {
    fn of(mode: PoolMode) -> Self {
        let mut story = Story::of(&["a", "b"]);
        story.run.pooler = Some(PoolerFacts {
            settings: PoolerSettings { mode, size: 2 },
            version: "PgBouncer 1.18.0".to_owned(),
        });
        Self {
            story,
            steps: Vec::new(),
        }
    }

    fn start(&mut self, who: &str) -> &mut Self {
        self.story.event(Event::PodStarted {
            pod: pod(who),
            pid: 1,
            recovery: false,
        });
        self.story.event(Event::ConnectionOpened {
            connection: name(&format!("{who}.0")),
        });
        self
    }

    /// A step that this backend serves; `None`: nobody knows which.
    fn step(&mut self, on: &str, pid: Option<i32>, request: Request, answer: Answer) -> StepId {
        let step = self.story.held(on, request);
        self.story.event(Event::StepReleased {
            step,
            number: Some(1),
            connection: name(on),
            session: None,
            delivery: Delivery::Forwarded,
            held_us: 100,
        });
        let told = self.steps.iter().rev().find(|one| one.0 == name(on));
        match pid {
            Some(pid) if told.is_none_or(|told| told.1 != pid) => {
                self.story.event(Event::SessionStarted {
                    server: 0,
                    connection: name(on),
                    session: backend(pid),
                });
            }
            Some(_) => {}
            None => {
                self.story.event(Event::SessionUnknown {
                    connection: name(on),
                });
            }
        }
        self.steps.push((name(on), pid.unwrap_or(0)));
        self.story.ended(step, Ending::Done, answer);
        step
    }

    fn call(&mut self, on: &str, pid: Option<i32>, action: LockAction, result: Option<bool>) {
        let request = Request {
            sql: vec![format!("select pg_{action:?}")],
            lock_calls: vec![call(action)],
            ..Request::default()
        };
        let answer = Answer {
            lock_results: vec![result],
            transaction: Some('I'),
            ..Answer::default()
        };
        self.step(on, pid, request, answer);
    }

    fn held_by(&mut self, pid: i32) -> &mut Self {
        self.story.locks = vec![HeldLock {
            pid,
            key: key(),
            mode: LockMode::Exclusive,
            granted: true,
        }];
        self
    }

    fn lock(&mut self, on: &str, pid: i32) -> &mut Self {
        self.call(on, Some(pid), LockAction::Lock, None);
        self.held_by(pid).story.snapshot();
        self
    }

    /// Gives it back; whether anybody still has it.
    fn unlock(&mut self, on: &str, pid: i32, result: bool, still_held: bool) -> &mut Self {
        self.call(on, Some(pid), LockAction::Unlock, Some(result));
        if !still_held {
            self.story.locks.clear();
        }
        self.story.snapshot();
        self
    }

    fn write(&mut self, on: &str, pid: i32) -> &mut Self {
        let request = Request {
            sql: vec![format!("insert into {INVOICES} values (1)")],
            writes: vec![INVOICES.to_owned()],
            ..Request::default()
        };
        let answer = Answer {
            tags: vec!["INSERT 0 1".to_owned()],
            transaction: Some('I'),
            ..Answer::default()
        };
        let step = self.step(on, Some(pid), request, answer);
        self.story
            .witness_on(on, backend(pid), INVOICES, Some(step), Operation::Insert);
        self
    }

    fn leaves(&mut self, on: &str) -> &mut Self {
        self.story.event(Event::ConnectionClosed {
            connection: name(on),
            by: ClosedBy::Client,
        });
        self
    }

    /// The pooler takes the session back and resets it.
    fn returned(&mut self, on: &str, pid: i32) -> &mut Self {
        self.story.locks.clear();
        self.story.event(Event::SessionReturned {
            connection: name(on),
            session: backend(pid),
        });
        self.story.snapshot();
        self
    }

    fn succeeds(&mut self, who: &str) -> &mut Self {
        self.leaves(&format!("{who}.0")).story.succeeds(who);
        self
    }

    /// The end of the run, with the locks that there still are.
    fn end(&mut self) -> Vec<Line> {
        let locks = self.story.locks.clone();
        let mut lines = self.story.end();
        for line in &mut lines {
            if let Event::Remains { locks: left, .. } = &mut line.event {
                left.clone_from(&locks);
            }
        }
        lines
    }
}

fn violated(lines: &[Line]) -> Vec<InvariantName> {
    verdict(lines).violated().collect()
}

#[test]
fn a_session_that_serves_one_pod_after_the_other_is_no_leak_and_no_loss() {
    let mut pool = Pool::of(PoolMode::Session);
    for who in ["a", "b"] {
        let on = format!("{who}.0");
        pool.start(who).lock(&on, X).write(&on, X);
        pool.unlock(&on, X, true, false);
        pool.leaves(&on).returned(&on, X).story.succeeds(who);
    }
    let lines = pool.end();
    assert_eq!(
        verdict(&lines).judgement,
        Judgement::Holds,
        "{}",
        words(&verdict(&lines))
    );
}

#[test]
fn a_lock_that_ends_when_the_pooler_takes_the_session_back_was_not_given_back() {
    let story = |release: Release| {
        let mut pool = Pool::of(PoolMode::Session);
        pool.story.run.rules.release = release;
        pool.start("a").lock("a.0", X).write("a.0", X);
        pool.leaves("a.0").returned("a.0", X).story.succeeds("a");
        pool.start("b").lock("b.0", X).write("b.0", X);
        pool.unlock("b.0", X, true, false).succeeds("b").end()
    };
    let lines = story(Release::Unlock);
    assert_eq!(violated(&lines), [SameSession]);
    let why = said(&lines, SameSession).why;
    assert!(
        why.contains("when the pooler took its session back"),
        "{why}"
    );
    assert_eq!(violated(&story(Release::Any)), []);
}

#[test]
fn an_unlock_that_the_pooler_sends_to_another_session_is_told_with_both() {
    let story = |unlock_on: i32| {
        let mut pool = Pool::of(PoolMode::Transaction);
        pool.start("a").lock("a.0", X).write("a.0", Y);
        let right = unlock_on == X;
        pool.unlock("a.0", unlock_on, right, !right).succeeds("a");
        pool.start("b").succeeds("b").end()
    };
    assert_eq!(violated(&story(X)), []);
    let lines = story(Y);
    assert_eq!(violated(&lines), [SameSession, NoLeak]);
    let why = said(&lines, SameSession).why;
    assert!(why.contains("sent it to session 7002"), "{why}");
    assert!(
        why.contains("a.0 had got the lock on session 7001"),
        "{why}"
    );
    let why = said(&lines, NoLeak).why;
    assert!(why.contains("held by session 7001 of a.0"), "{why}");
}

#[test]
fn a_lock_that_is_granted_again_on_the_same_session_excludes_nobody() {
    let story = |b_writes: bool| {
        let mut pool = Pool::of(PoolMode::Transaction);
        pool.start("a").lock("a.0", X).write("a.0", X);
        pool.start("b").lock("b.0", X);
        if b_writes {
            pool.write("b.0", X);
        }
        pool.unlock("a.0", X, true, true).succeeds("a");
        pool.write("b.0", X).unlock("b.0", X, true, false);
        pool.succeeds("b").end()
    };
    // b only writes when a has given its own back; but both held it for a while.
    assert_eq!(violated(&story(false)), [MutualExclusion]);
    let why = said(&story(false), MutualExclusion).why;
    assert!(why.contains("held lock"), "{why}");
    let lines = story(true);
    assert_eq!(violated(&lines), [MutualExclusion]);
    let why = said(&lines, MutualExclusion).why;
    assert!(why.contains("pod a was inside its section: a.0"), "{why}");
    assert_eq!(said(&lines, WorkUnderLock).judgement, Judgement::Holds);
}

#[test]
fn what_a_pod_left_behind_that_has_ended_is_no_section_of_it() {
    let mut pool = Pool::of(PoolMode::Transaction);
    pool.start("a").lock("a.0", X).write("a.0", X).succeeds("a");
    pool.start("b").lock("b.0", X).write("b.0", X);
    pool.unlock("b.0", X, true, true).succeeds("b");
    let lines = pool.end();
    assert_eq!(violated(&lines), [SameSession, NoLeak]);
    let findings = said(&lines, SameSession).findings;
    assert!(
        findings[0]
            .why
            .contains("of a.0 (session 7001) never ended"),
        "{findings:?}"
    );
    assert_eq!(findings.len(), 1, "{findings:?}");
}

#[test]
fn a_lock_that_another_pod_gives_back_on_the_same_session_is_told() {
    let mut pool = Pool::of(PoolMode::Transaction);
    pool.start("a").lock("a.0", X).write("a.0", X);
    pool.start("b").unlock("b.0", X, true, false).succeeds("b");
    pool.write("a.0", X)
        .unlock("a.0", X, false, false)
        .succeeds("a");
    let lines = pool.end();
    assert_eq!(violated(&lines), [SameSession, WorkUnderLock]);
    let said = said(&lines, SameSession).findings;
    assert!(
        said.iter()
            .any(|one| one.why.contains("was given back by b.0")),
        "{said:?}"
    );
}

#[test]
fn a_lock_call_on_a_session_that_nobody_knows_leaves_the_lock_invariants_open() {
    let mut pool = Pool::of(PoolMode::Transaction);
    pool.start("a").lock("a.0", X).write("a.0", X);
    pool.call("a.0", None, LockAction::Unlock, Some(true));
    pool.story.locks.clear();
    pool.story.snapshot();
    pool.succeeds("a").start("b").succeeds("b");
    let lines = pool.end();
    let verdict = verdict(&lines);
    assert_eq!(
        verdict.judgement,
        Judgement::Inconclusive,
        "{}",
        words(&verdict)
    );
    let why = said(&lines, SameSession).why;
    assert!(why.contains("on which session the pooler ran"), "{why}");
    let limit = Limit::UnknownSessions { steps: 1 };
    assert!(verdict.not_tested.contains(&limit));
}
