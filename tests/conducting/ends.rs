//! How pods end: with children, by SIGTERM, as ghosts.

use lockproof_core::history::{Event, OutputStream};

use crate::harness::{Need, need};
use crate::support::{self, exit_of, place, play, the_fault_fired, trace};

const TABLE: &str = "create table t (id serial, x text)";

async fn a_child_that_outlives_the_first_process_belongs_to_the_pod() {
    need(Need::Psycopg);
    let outcome = play(
        TABLE,
        "[subject]
         command = [\"/usr/bin/python3\", \"$TESTS/conducting/tool.py\", \"orphan\"]
         [schedule]
         turns = [{ run = \"a\" }, { run = \"b\" }]",
    )
    .await;
    assert_eq!(support::rows(&outcome, "t"), 6);
    let at = |wanted: &dyn Fn(&Event) -> bool| {
        outcome
            .lines
            .iter()
            .rposition(|line| wanted(&line.event))
            .expect("the event")
    };
    let exited = at(&|event| matches!(event, Event::PodExited { pod, .. } if pod.as_str() == "a"));
    let wrote = at(
        &|event| matches!(event, Event::StepReleased { connection, .. } if connection.pod.as_str() == "a"),
    );
    let ended = at(&|event| matches!(event, Event::PodEnded { pod } if pod.as_str() == "a"));
    let other = at(&|event| matches!(event, Event::PodStarted { pod, .. } if pod.as_str() == "b"));
    assert!(
        exited < wrote,
        "the child works on when the first process has exited"
    );
    assert!(
        wrote < ended && ended < other,
        "the pod ends with its child"
    );
}

async fn a_client_that_is_killed_while_its_insert_waits_leaves_a_ghost() {
    let outcome = play(
        TABLE,
        "[subject]
         command = [\"psql\", \"-X\", \"-q\", \"-c\", \"begin\", \"-c\", \"lock table t in exclusive mode\", \"-c\", \"commit\", \"-c\", \"insert into t (x) values ('late')\"]
         [schedule]
         turns = [
           { run = \"b\", until = { before = \"insert\" } },
           { run = \"a\", until = { before = \"commit\" } },
           { run = \"b\", until = { blocked = true } },
           { fault = { kill = { pod = \"b\", point = \"waiting\" } } },
           { run = \"a\", until = { after = \"commit\" } },
         ]",
    )
    .await;
    the_fault_fired(&outcome);
    assert_eq!(exit_of(&outcome.lines, "b"), -9);
    let ghosts: Vec<String> = outcome
        .lines
        .iter()
        .filter_map(|line| match &line.event {
            Event::Ghost {
                connection,
                session,
                ..
            } => {
                assert!(session.is_some());
                Some(connection.to_string())
            }
            _ => None,
        })
        .collect();
    assert_eq!(ghosts, ["b.0"]);
    let trace = trace(&outcome);
    assert!(
        place(&trace, "a.0 done COMMIT") < place(&trace, "b.0 done INSERT 0 1"),
        "{trace:#?}"
    );
    assert_eq!(support::rows(&outcome, "t"), 2, "the ghost has written");
}

async fn a_pod_with_a_handler_tidies_up_within_its_grace() {
    need(Need::Psycopg);
    let outcome = play(
        TABLE,
        "[subject]
         command = [\"/usr/bin/python3\", \"$TESTS/conducting/tool.py\", \"stubborn\"]
         [schedule]
         turns = [
           { run = \"a\", until = { steps = 1 } },
           { fault = { terminate = { pod = \"a\", grace = \"10s\" } } },
         ]",
    )
    .await;
    the_fault_fired(&outcome);
    assert_eq!(exit_of(&outcome.lines, "a"), 0);
    assert_eq!(
        support::printed(&outcome.lines, "a", OutputStream::Stdout),
        ["tidied"]
    );
}

async fn a_pod_that_ignores_sigterm_works_on_through_its_grace_and_is_killed_after_it() {
    need(Need::Psycopg);
    let outcome = play(
        TABLE,
        "[subject]
         command = [\"/usr/bin/python3\", \"$TESTS/conducting/tool.py\", \"stubborn\", \"ignore\"]
         [schedule]
         turns = [
           { run = \"a\", until = { steps = 1 } },
           { fault = { terminate = { pod = \"a\", grace = \"5s\" } } },
         ]",
    )
    .await;
    the_fault_fired(&outcome);
    // It has finished within its grace.
    assert_eq!(exit_of(&outcome.lines, "a"), 0);
    assert_eq!(support::rows(&outcome, "t"), 6);
    let outcome = play(
        TABLE,
        "[subject]
         command = [\"/usr/bin/python3\", \"$TESTS/conducting/tool.py\", \"stubborn\", \"ignore\"]
         [schedule]
         turns = [
           { run = \"a\", until = { steps = 1 } },
           { fault = { terminate = { pod = \"a\", grace = \"0s\" } } },
         ]",
    )
    .await;
    // The kill is told as the fault that it is.
    let told: Vec<_> = support::faults(&outcome.lines)
        .into_iter()
        .map(|fault| (fault.fault.kind.name(), fault.fired))
        .collect();
    assert_eq!(told, [("terminate", true), ("kill", true)]);
    assert_eq!(exit_of(&outcome.lines, "a"), -9);
    assert_eq!(support::rows(&outcome, "t"), 4);
}

crate::harness::tests![
    a_child_that_outlives_the_first_process_belongs_to_the_pod,
    a_client_that_is_killed_while_its_insert_waits_leaves_a_ghost,
    a_pod_with_a_handler_tidies_up_within_its_grace,
    a_pod_that_ignores_sigterm_works_on_through_its_grace_and_is_killed_after_it,
];
