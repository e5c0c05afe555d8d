//! Locks on tables, taken by LOCK TABLE.

use super::*;
use crate::history::*;
use crate::name::InvariantName::*;
use crate::name::{LockKey, LockMode, StepId, TableName};

/// What a pod does, but for the one thing that a test changes.
#[derive(Clone, Copy)]
struct Job {
    /// The mode in which it locks the table.
    mode: LockMode,
    /// Whether it asks for the lock by name; else a statement of its own takes the same one.
    by_name: bool,
    /// Whether it writes in the transaction of the lock, not after its commit.
    inside: bool,
}

const SOUND: Job = Job {
    mode: LockMode::ShareRowExclusive,
    by_name: true,
    inside: true,
};

fn table() -> LockKey {
    LockKey::relation(0, TableName::new(INVOICES))
}

/// The call as a statement spells it, or as the server has it.
fn call_of(mode: LockMode, spelled: &str) -> LockCall {
    LockCall {
        mode,
        xact: true,
        key: Some(LockKey::relation(0, TableName::new(spelled))),
        ..call(LockAction::Lock)
    }
}

impl Story {
    fn statement(&mut self, connection: &str, request: Request, transaction: char) -> StepId {
        let step = self.held(connection, request);
        self.release(connection, step);
        let answer = Answer {
            transaction: Some(transaction),
            ..Answer::default()
        };
        self.ended(step, Ending::Done, answer);
        step
    }

    fn does(&mut self, who: &str, job: Job) -> &mut Self {
        let connection = format!("{who}.0");
        self.start(who, 1);
        let asks = if job.by_name {
            vec![call_of(job.mode, "invoices")]
        } else {
            Vec::new()
        };
        self.statement(
            &connection,
            Request {
                sql: vec!["lock table invoices".to_owned()],
                lock_calls: asks,
                ..Request::default()
            },
            'T',
        );
        self.holds(&connection, &call_of(job.mode, INVOICES), true);
        self.snapshot();
        if job.inside {
            self.writes_in(&connection, 'T');
        }
        self.statement(
            &connection,
            Request {
                sql: vec!["commit".to_owned()],
                ..Request::default()
            },
            'I',
        );
        self.drops(&connection);
        self.snapshot();
        if !job.inside {
            self.writes_in(&connection, 'I');
        }
        self.leaves(&connection).succeeds(who)
    }

    fn writes_in(&mut self, connection: &str, transaction: char) {
        let step = self.write_held(connection, INVOICES);
        self.release(connection, step);
        self.witness(connection, INVOICES, Some(step), Operation::Insert);
        let answer = Answer {
            transaction: Some(transaction),
            ..Answer::default()
        };
        self.ended(step, Ending::Done, answer).snapshot();
    }
}

fn story(jobs: [Job; 2], least: Option<LockMode>) -> Vec<Line> {
    let mut story = Story::of(&["a", "b"]);
    story.run.rules.lock = LockRule::FromCleanRun(vec![table()]);
    story.run.rules.lock_mode = least;
    story.does("a", jobs[0]).does("b", jobs[1]).end()
}

#[test]
fn a_table_locked_by_name_around_each_write_guards_it() {
    let verdict = verdict(&story([SOUND; 2], None));
    assert_eq!(verdict.judgement, Judgement::Holds, "{}", words(&verdict));
    let same = verdict.of(SameSession).unwrap();
    assert_eq!(same.judgement, Judgement::Holds, "{}", same.why);
    let strong = Job {
        mode: LockMode::AccessExclusive,
        ..SOUND
    };
    assert_violated(
        &story([SOUND, strong], Some(LockMode::ShareRowExclusive)),
        &[],
    );
}

#[test]
fn a_mode_that_two_can_hold_at_once_guards_nothing() {
    for mode in [
        LockMode::AccessShare,
        LockMode::RowExclusive,
        LockMode::Share,
    ] {
        let weak = Job { mode, ..SOUND };
        let lines = story([SOUND, weak], None);
        assert_violated(&lines, &[WorkUnderLock]);
        let why = said(&lines, WorkUnderLock).why;
        let told = format!("in {mode} mode, which two pods can hold at once");
        assert!(why.contains(&told), "{why}");
    }
}

#[test]
fn a_mode_that_is_weaker_than_the_scenario_asks_for_does_not_do() {
    let weaker = Job {
        mode: LockMode::ShareUpdateExclusive,
        ..SOUND
    };
    assert_violated(&story([SOUND, weaker], None), &[]);
    let least = Some(LockMode::ShareRowExclusive);
    assert_violated(&story([SOUND, weaker], least), &[WorkUnderLock]);
}

#[test]
fn a_lock_that_nobody_asked_for_by_name_is_none_of_the_jobs() {
    let implied = Job {
        by_name: false,
        ..SOUND
    };
    assert_violated(&story([SOUND, implied], None), &[WorkUnderLock]);
}

#[test]
fn a_write_after_the_commit_is_not_under_the_lock() {
    let outside = Job {
        inside: false,
        ..SOUND
    };
    assert_violated(&story([SOUND, outside], None), &[WorkUnderLock]);
}
