//! A lock that goes with its session because its pod is done: each condition alone decides.

use super::*;
use crate::history::*;
use InvariantName::*;

/// A pod that writes and leaves the lock to its end, with what is changed of that.
struct Left {
    release: Release,
    closed_by: ClosedBy,
    /// The last write is in a transaction that ends so; `None`: it is in none.
    transaction: Option<bool>,
    /// Whether the other connection asks for something once the lock is gone.
    goes_on: bool,
    /// Whether its unlock ended with an error.
    failed: bool,
    code: i32,
}

const DONE: Left = Left {
    release: Release::Process,
    closed_by: ClosedBy::Client,
    transaction: None,
    goes_on: false,
    failed: false,
    code: 0,
};

fn told(left: &Left) -> InvariantVerdict {
    let mut story = Story::of(&["a"]);
    story.run.rules.release = left.release;
    story.start("a", 2).lock("a.0");
    if left.transaction.is_some() {
        let step = story.write_held("a.1", INVOICES);
        story
            .release("a.1", step)
            .witness("a.1", INVOICES, Some(step), Operation::Insert);
        let answer = Answer {
            tags: vec!["INSERT 0 1".to_owned()],
            transaction: Some('T'),
            ..Answer::default()
        };
        story.ended(step, Ending::Done, answer);
    } else {
        story.write("a.1", INVOICES);
    }
    if left.transaction == Some(true) {
        let request = Request {
            sql: vec!["commit".to_owned()],
            normal: vec!["commit".to_owned()],
            ..Request::default()
        };
        let step = story.held("a.1", request);
        let answer = Answer {
            tags: vec!["COMMIT".to_owned()],
            transaction: Some('I'),
            ..Answer::default()
        };
        story.release("a.1", step).ended(step, Ending::Done, answer);
    }
    if left.failed {
        let call = call(LockAction::Unlock);
        let request = Request {
            sql: vec!["select pg_advisory_unlock(1)".to_owned()],
            lock_calls: vec![call],
            ..Request::default()
        };
        let step = story.held("a.0", request);
        let answer = Answer {
            error: Some(error("25P02", "current transaction is aborted")),
            transaction: Some('E'),
            ..Answer::default()
        };
        story
            .release("a.0", step)
            .ended(step, Ending::Done, answer)
            .snapshot();
    }
    story.lost("a.0", left.closed_by);
    if left.goes_on {
        let request = Request {
            sql: vec!["select 1".to_owned()],
            normal: vec!["select ?".to_owned()],
            ..Request::default()
        };
        let step = story.held("a.1", request);
        story
            .release("a.1", step)
            .ended(step, Ending::Done, Answer::default());
    }
    story.leaves("a.1");
    if left.code == 0 {
        story.succeeds("a");
    } else {
        story.exits("a", left.code);
    }
    said(&story.end(), SameSession)
}

#[test]
fn a_lock_may_go_with_the_session_of_a_pod_that_is_done_and_the_verdict_notes_it() {
    for transaction in [None, Some(true)] {
        let left = Left {
            transaction,
            ..DONE
        };
        let told = told(&left);
        assert_eq!(told.judgement, Judgement::Holds, "{}", told.why);
    }
    let mut story = Story::of(&["a"]);
    story.run.rules.release = Release::Process;
    story
        .start("a", 2)
        .lock("a.0")
        .write("a.1", INVOICES)
        .leaves("a.0")
        .leaves("a.1")
        .succeeds("a");
    let notes = verdict(&story.end()).reports;
    let note = notes.iter().find(|note| note.contains("`release"));
    assert!(
        note.is_some_and(|note| note.contains("was not given back by an unlock")),
        "{notes:?}"
    );
    // One that gives it back needs no note.
    let mut story = Story::of(&["a"]);
    story.run.rules.release = Release::Process;
    story.works("a");
    assert_eq!(verdict(&story.end()).reports, Vec::<String>::new());
}

#[test]
fn each_condition_alone_makes_it_a_violation() {
    let open = Some(false);
    for (left, words) in [
        (
            Left {
                release: Release::Unlock,
                ..DONE
            },
            "not by an unlock there, and no fault took it",
        ),
        (
            Left {
                closed_by: ClosedBy::Server,
                ..DONE
            },
            "it was not the pod that closed the session",
        ),
        (
            Left {
                goes_on: true,
                ..DONE
            },
            "the pod went on without it",
        ),
        (
            Left {
                transaction: open,
                ..DONE
            },
            "was never committed",
        ),
        (
            Left {
                failed: true,
                ..DONE
            },
            "its unlock had failed",
        ),
        (Left { code: 1, ..DONE }, "the pod exited with code 1"),
    ] {
        let told = told(&left);
        assert_eq!(told.judgement, Judgement::Violated, "{words}: {}", told.why);
        assert!(told.why.contains(words), "{words}: {}", told.why);
        // Where any end will do, none of this is looked at.
        let any = super::process_end::told(&Left {
            release: Release::Any,
            ..left
        });
        assert_eq!(any.judgement, Judgement::Holds, "{words}: {}", any.why);
    }
}
