//! The server's check in the place of a lock, and transactions that came again: each on a good history and on a bad
//! one that differs in one event.

use std::collections::BTreeMap;

use super::*;
use crate::history::*;
use crate::name::InvariantName::*;
use crate::name::StepId;

/// A story of pods whose transactions have a level.
struct Tale {
    story: Story,
    open: BTreeMap<String, bool>,
}

impl Tale {
    fn new() -> Self {
        let mut story = Story::of(&["a", "b"]);
        story.run.rules.lock = LockRule::Serializable;
        story.start("a", 2).start("b", 2);
        Self {
            story,
            open: BTreeMap::new(),
        }
    }

    fn asks(&mut self, connection: &str, sql: &str) -> StepId {
        let writes = match sql.contains("into invoices") {
            true => vec![INVOICES.to_owned()],
            false => Vec::new(),
        };
        let request = Request {
            sql: vec![sql.to_owned()],
            normal: vec![sql.to_owned()],
            writes,
            opaque: sql == CALL,
            ..Request::default()
        };
        let step = self.story.held(connection, request);
        self.story.release(connection, step);
        step
    }

    fn answered(&mut self, connection: &str, step: StepId, tag: &str, failed: Option<&str>) {
        let open = self.open.contains_key(connection);
        let answer = Answer {
            tags: failed.map_or(vec![tag.to_owned()], |_| Vec::new()),
            error: failed.map(|sqlstate| error(sqlstate, "could not serialize access")),
            transaction: Some(match (open, failed) {
                (true, Some(_)) => 'E',
                (true, None) => 'T',
                (false, _) => 'I',
            }),
            ..Answer::default()
        };
        self.story.ended(step, Ending::Done, answer).snapshot();
    }

    /// Something that neither writes nor fails.
    fn says(&mut self, connection: &str, sql: &str) -> &mut Self {
        let step = self.asks(connection, sql);
        if sql.starts_with("begin") {
            self.open
                .insert(connection.to_owned(), sql.contains("serializable"));
        }
        if ["commit", "rollback"].contains(&sql) {
            self.open.remove(connection);
        }
        let tag = sql.split(' ').next().unwrap().to_uppercase();
        self.answered(connection, step, &tag, None);
        self
    }

    fn fails(&mut self, connection: &str, sql: &str, sqlstate: &str) -> &mut Self {
        let step = self.asks(connection, sql);
        self.answered(connection, step, "", Some(sqlstate));
        self
    }

    /// A protected write.
    fn writes(&mut self, connection: &str, fate: Fate) -> &mut Self {
        let step = self.asks(connection, "insert into invoices values (?)");
        self.story.server_us += 10;
        let serializable = self.open.get(connection) == Some(&true);
        self.story.late(Event::Write(Write {
            server_us: self.story.server_us,
            session: session(connection),
            connection: Some(name(connection)),
            step: Some(step),
            table: INVOICES.to_owned(),
            operation: Operation::Insert,
            locks: Vec::new(),
            extent: Extent {
                fate: Some(fate),
                isolation: serializable.then_some(Isolation::Serializable),
                ..Extent::default()
            },
        }));
        self.answered(connection, step, "INSERT 0 1", None);
        self
    }

    fn over(&mut self) -> Vec<Line> {
        for who in ["a", "b"] {
            self.story
                .leaves(&format!("{who}.0"))
                .leaves(&format!("{who}.1"))
                .succeeds(who);
        }
        self.story.end()
    }
}

const BEGIN: &str = "begin isolation level serializable";
const READ: &str = "select * from invoices";
const DONE: Fate = Fate::Committed;

#[test]
fn serializable_transactions_hold_and_nobody_holds_a_lock() {
    let mut tale = Tale::new();
    tale.says("a.0", BEGIN)
        .says("a.0", READ)
        .writes("a.0", DONE)
        .says("a.0", "commit");
    let lines = tale.over();
    assert_violated(&lines, &[]);
    for name in [SameSession, MutualExclusion] {
        assert_eq!(said(&lines, name).judgement, Judgement::NotJudged);
    }
    assert_eq!(said(&lines, WorkUnderLock).judgement, Judgement::Holds);
    assert!(verdict(&lines).of(ExactlyOnce).is_none());
}

#[test]
fn a_write_at_another_level_violates_work_under_lock() {
    for begin in ["begin", "begin isolation level repeatable read"] {
        let mut tale = Tale::new();
        tale.says("a.0", begin)
            .writes("a.0", DONE)
            .says("a.0", "commit");
        let bad = tale.over();
        assert_violated(&bad, &[WorkUnderLock]);
        assert!(
            said(&bad, WorkUnderLock)
                .why
                .contains("that is not serializable")
        );
    }
    let mut tale = Tale::new();
    tale.says("a.0", "begin")
        .writes("a.0", Fate::RolledBack)
        .says("a.0", "rollback");
    assert_violated(&tale.over(), &[]);
}

/// A function of the job's, which may read a protected table.
const CALL: &str = "select looked()";

#[test]
fn what_a_function_read_before_a_serializable_write_is_not_known_but_in_a_serializable_transaction()
{
    let calls = |inside: bool| {
        let mut tale = Tale::new();
        if !inside {
            tale.says("a.0", CALL);
        }
        tale.says("a.0", BEGIN);
        if inside {
            tale.says("a.0", CALL);
        }
        tale.writes("a.0", DONE).says("a.0", "commit");
        said(&tale.over(), WorkUnderLock)
    };
    let outside = calls(false);
    assert_eq!(outside.judgement, Judgement::Inconclusive);
    assert!(outside.why.contains("what pod a read"), "{}", outside.why);
    assert_eq!(calls(true).judgement, Judgement::Holds);
}

#[test]
fn a_read_at_read_committed_before_a_serializable_write_violates_work_under_lock() {
    let reads = |place: usize| {
        let mut tale = Tale::new();
        if place == 0 {
            tale.says("a.0", READ);
        }
        tale.says("a.0", BEGIN);
        if place == 1 {
            tale.says("a.0", READ);
        }
        tale.writes("a.0", DONE).says("a.0", "commit");
        if place == 2 {
            tale.says("a.0", READ);
        }
        tale.over()
    };
    let bad = reads(0);
    assert_violated(&bad, &[WorkUnderLock]);
    assert!(
        said(&bad, WorkUnderLock)
            .why
            .contains("wrote a protected table after that")
    );
    assert_violated(&reads(1), &[]);
    assert_violated(&reads(2), &[]);
    // The session's own level is serializable.
    let usual = change(reads(0), 0, |event| match event {
        Event::Write(write) => {
            write.extent.usual = Some(Isolation::Serializable);
            true
        }
        _ => false,
    });
    assert_violated(&usual, &[]);
    // Another pod's read is nobody's but its own.
    let mut tale = Tale::new();
    tale.says("b.0", READ);
    tale.says("a.0", BEGIN)
        .writes("a.0", DONE)
        .says("a.0", "commit");
    assert_violated(&tale.over(), &[]);
}

#[test]
fn without_a_witness_the_level_of_a_write_is_unknown() {
    let mut tale = Tale::new();
    tale.says("a.0", BEGIN)
        .writes("a.0", DONE)
        .says("a.0", "commit");
    let blind = change(tale.over(), 0, |event| match event {
        Event::Run(run) => {
            run.witness = false;
            true
        }
        _ => false,
    });
    assert_eq!(
        said(&blind, WorkUnderLock).judgement,
        Judgement::Inconclusive
    );
}

/// a's transaction fails and comes again; what it writes on another connection, in which attempts.
fn again(sqlstate: &str, beside: [Option<Fate>; 2], connection: &str) -> Vec<Line> {
    let mut tale = Tale::new();
    for (attempt, fate) in beside.into_iter().enumerate() {
        tale.says("a.0", BEGIN).says("a.0", "select 1 from visits");
        if let Some(fate) = fate {
            tale.writes(connection, fate);
        }
        match attempt {
            0 => tale
                .fails("a.0", "commit and no more", sqlstate)
                .says("a.0", "rollback"),
            _ => tale.says("a.0", "commit"),
        };
    }
    tale.over()
}

fn once(lines: &[Line]) -> Option<Judgement> {
    verdict(lines).of(ExactlyOnce).map(|one| one.judgement)
}

#[test]
fn what_a_retry_writes_once_more_on_another_connection_violates_exactly_once() {
    let twice = again("40001", [Some(DONE), Some(DONE)], "a.1");
    assert_eq!(once(&twice), Some(Judgement::Violated));
    let said = said(&twice, ExactlyOnce);
    for words in [
        "pod a wrote public.invoices",
        "on a.1 while the transaction on a.0",
        "failed with 40001",
    ] {
        assert!(said.why.contains(words), "{}", said.why);
    }
    assert_eq!(
        once(&again("40P01", [Some(DONE), Some(DONE)], "a.1")),
        Some(Judgement::Violated)
    );
    for good in [
        again("40001", [Some(DONE), None], "a.1"),
        again("40001", [None, Some(DONE)], "a.1"),
        // Rolled back there, too.
        again("40001", [Some(Fate::RolledBack), Some(DONE)], "a.1"),
        // In the transaction itself.
        again("40001", [Some(Fate::RolledBack), Some(DONE)], "a.0"),
        // Another pod's.
        again("40001", [Some(DONE), Some(DONE)], "b.1"),
    ] {
        assert_eq!(once(&good), Some(Judgement::Holds));
    }
    // What became of it is not known, and it is the transaction's own.
    let own = change(
        again("40001", [Some(DONE), Some(DONE)], "a.0"),
        0,
        |event| match event {
            Event::Write(write) => {
                write.extent.fate = None;
                true
            }
            _ => false,
        },
    );
    assert_eq!(once(&own), Some(Judgement::Holds));
    // An error after which the server does not ask for the transaction again is no-errors' affair.
    assert_eq!(once(&again("23505", [Some(DONE), Some(DONE)], "a.1")), None);
}

#[test]
fn what_changes_no_row_the_second_time_is_left_once() {
    let twice = again("40001", [Some(DONE), Some(DONE)], "a.1");
    let second = change(twice, 1, |event| match event {
        Event::Write(write) => {
            write.extent.changed = Some(Vec::new());
            true
        }
        _ => false,
    });
    assert_eq!(once(&second), Some(Judgement::Holds));
}
