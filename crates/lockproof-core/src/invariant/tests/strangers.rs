//! Sessions that did not come through lockproof, and errors outside any step.

use super::*;
use crate::history::*;
use crate::name::Session;
use InvariantName::*;

/// A line of the log of a session with this process id.
fn log(pid: i32, connection: Option<&str>, severity: &str, sqlstate: &str) -> Event {
    Event::ServerLog(LogLine {
        server_us: 2_000_000,
        pid,
        connection: connection.map(name),
        step: None,
        severity: severity.to_owned(),
        sqlstate: sqlstate.to_owned(),
        message: "no".to_owned(),
        detail: None,
        statement: None,
    })
}

fn told(connection: &str, sqlstate: &str) -> Event {
    Event::SessionError {
        connection: name(connection),
        error: ServerError {
            severity: "FATAL".to_owned(),
            ..error(sqlstate, "no")
        },
    }
}

fn stranger_wrote(table: &str) -> Vec<Line> {
    let mut story = Story::of(&["a", "b"]);
    overlap(&mut story);
    let write = Event::Write(Write {
        server_us: 1_000_900,
        session: Session {
            pid: 77,
            started_us: 5,
        },
        connection: None,
        step: None,
        table: table.to_owned(),
        operation: Operation::Insert,
        locks: Vec::new(),
        extent: crate::history::Extent::default(),
    });
    story.late(write.clone()).late(write).end()
}

#[test]
fn a_strangers_write_to_a_protected_table_makes_the_lock_invariants_unclear() {
    let lines = stranger_wrote(INVOICES);
    assert_eq!(verdict(&lines).judgement, Judgement::Inconclusive);
    for name in [WorkUnderLock, MutualExclusion] {
        let said = said(&lines, name);
        assert_eq!(said.judgement, Judgement::Inconclusive);
        assert_eq!(
            said.why,
            "session 77, which did not come through lockproof, wrote public.invoices"
        );
    }
    assert_violated(&stranger_wrote("public.other"), &[]);
}

#[test]
fn a_strangers_error_is_unclear_unless_a_taken_pod_or_the_clean_run_tells_of_it() {
    let story = |sqlstate: &str, killed: bool| {
        let mut story = Story::of(&["a"]);
        story.run.baseline.as_mut().unwrap().errors = vec![KnownError {
            sqlstate: "42P07".to_owned(),
            statement: None,
            table: None,
            constraint: None,
            nameless: None,
        }];
        story.start("a", 2).lock("a.0").write("a.1", INVOICES);
        if killed {
            story.killed("a", 2);
        } else {
            story.unlock("a.0").leaves("a.0").succeeds("a");
        }
        story.late(log(77, None, "FATAL", sqlstate));
        said(&story.end(), NoErrors).judgement
    };
    assert_eq!(story("57P01", false), Judgement::Inconclusive);
    assert_eq!(story("57P01", true), Judgement::Holds);
    assert_eq!(story("42P07", false), Judgement::Holds);
    assert_eq!(story("42601", true), Judgement::Inconclusive);
}

#[test]
fn a_refused_connection_is_an_error_of_its_pod_and_counted_once() {
    let mut story = Story::of(&["a"]);
    story.event(told("a.7", "53200"));
    story.works("a").late(log(77, None, "FATAL", "53200"));
    let lines = story.end();
    // The pod came in later, so its exit code is honest all the same.
    assert_violated(&lines, &[NoErrors]);
    let said = said(&lines, NoErrors);
    assert_eq!(said.findings.len(), 1, "{:?}", said.findings);
    assert_eq!(said.findings[0].pod, Some(pod("a")));
    assert_eq!(said.findings[0].seqs.len(), 2);
    assert!(said.why.contains("connection a.7 of pod a"), "{}", said.why);
    // Nobody was told: whose it was is unknown.
    let lines = without(lines, 0, |event| {
        matches!(event, Event::SessionError { .. })
    });
    let said = super::said(&lines, NoErrors);
    assert_eq!(said.judgement, Judgement::Inconclusive);
}

#[test]
fn two_refused_connections_are_two_errors() {
    let mut story = Story::of(&["a"]);
    story
        .event(told("a.7", "53200"))
        .event(told("a.8", "53200"));
    let lines = story.works("a").end();
    assert_eq!(said(&lines, NoErrors).findings.len(), 2);
}

#[test]
fn a_session_ended_by_the_server_is_an_error_unless_a_fault_explains_it() {
    let story = |fault_came: bool| {
        let mut story = Story::of(&["a"]);
        story.start("a", 3).lock("a.0").write("a.1", INVOICES);
        if fault_came {
            story.event(Event::Fault(fault("terminate-backend", "a.2")));
        }
        let pid = session("a.2").pid;
        story
            .event(told("a.2", "57P01"))
            .lost("a.2", ClosedBy::Server)
            .unlock("a.0")
            .leaves("a.0")
            .exits("a", 1)
            .late(log(pid, Some("a.2"), "FATAL", "57P01"))
            .end()
    };
    assert_eq!(said(&story(true), NoErrors).judgement, Judgement::Holds);
    let said = said(&story(false), NoErrors);
    assert_eq!(said.judgement, Judgement::Violated);
    assert_eq!(said.findings.len(), 1);
}

#[test]
fn an_error_told_in_place_of_a_good_answer_makes_an_exit_with_0_dishonest() {
    let story = |fired: bool, code: i32| {
        let mut story = Story::of(&["a"]);
        story.start("a", 2).lock("a.0");
        let step = story.write_held("a.1", INVOICES);
        story.write_done("a.1", INVOICES, step);
        story.event(Event::Fault(FaultEvent {
            step: Some(step),
            fired,
            absent: false,
            sqlstates: vec!["53100".to_owned()],
            ..fault("error", "a.1")
        }));
        story.unlock("a.0").leaves("a.0").leaves("a.1");
        for line in LINES {
            story.prints("a", line);
        }
        let lines = story.exits("a", code).end();
        change(lines, 1, |event| match event {
            Event::StepReleased { delivery, .. } => {
                *delivery = Delivery::AnswerReplaced;
                true
            }
            _ => false,
        })
    };
    assert_violated(&story(true, 0), &[HonestExit]);
    assert_violated(&story(true, 1), &[]);
    let why = said(&story(true, 0), HonestExit).why;
    assert!(
        why.contains("was answered 53100 by the fault error"),
        "{why}"
    );
    assert_eq!(
        said(&story(false, 0), HonestExit).judgement,
        Judgement::Holds
    );
}

#[test]
fn a_write_without_a_known_step_is_unclear_in_controlled_pacing_and_limited_in_free() {
    let story = |pacing| {
        let mut story = Story::of(&["a"]);
        story.run.pacing = pacing;
        let lines = story.works("a").end();
        change(lines, 0, |event| match event {
            Event::Write(write) => {
                write.step = None;
                true
            }
            _ => false,
        })
    };
    let controlled = story(Pacing::Controlled);
    let under_lock = said(&controlled, WorkUnderLock);
    assert_eq!(under_lock.judgement, Judgement::Inconclusive);
    assert!(
        under_lock.why.contains("its step is not known"),
        "{}",
        under_lock.why
    );
    assert!(
        !verdict(&controlled)
            .not_tested
            .contains(&Limit::LocksAtTheEnd)
    );
    let free = story(Pacing::Free);
    assert_eq!(said(&free, WorkUnderLock).judgement, Judgement::Holds);
    assert!(verdict(&free).not_tested.contains(&Limit::LocksAtTheEnd));
}

#[test]
fn a_lock_that_nobody_took_is_told_where_mutual_exclusion_holds() {
    let story = |locked: bool| {
        let mut story = Story::of(&["a"]);
        story.start("a", 2);
        if locked {
            story.lock("a.0");
        }
        let lines = story.write("a.1", INVOICES).write("a.1", SPLITS).end();
        let said = said(&lines, MutualExclusion);
        assert_eq!(said.judgement, Judgement::Holds);
        said.why.contains(
            "no pod ever took lock 1196576591; sections are from first to last protected write",
        )
    };
    assert!(story(false));
    assert!(!story(true));
}
