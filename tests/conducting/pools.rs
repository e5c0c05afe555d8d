//! Pods with more than one connection: needs-pod, requests at once, parallel start-up, look-ups.

use lockproof_core::history::{Ending, Event};

use crate::harness::{Need, need};
use crate::support::{self, in_order, play, play_times, same_trace, trace};

const TABLES: &str = "create table t (id serial, x text); create table u (id serial, x text)";

async fn a_copy_out_that_feeds_a_copy_in_of_the_same_pod_needs_its_pod_and_ends() {
    need(Need::Psycopg);
    let outcomes = play_times(
        "create table t (id int, x text)",
        "[subject]
         command = [\"/usr/bin/python3\", \"$TESTS/conducting/tool.py\", \"pipe\"]
         time_limit = \"20s\"
         [pods]
         count = 1",
        support::repeats().min(2),
    )
    .await;
    for outcome in &outcomes {
        assert_eq!(support::limit(&outcome.lines), None);
        assert_eq!(support::rows(outcome, "t"), 150_000);
        let trace = trace(outcome);
        assert_eq!(trace.len(), 3, "{trace:#?}");
        in_order(
            &trace,
            &[
                "a.0 needs-pod",
                "a.1 done COPY 150000",
                "a.0 done COPY 150000",
            ],
        );
    }
    same_trace(&outcomes);
}

async fn a_copy_in_that_waits_for_another_connection_of_the_same_pod_needs_its_pod_and_ends() {
    need(Need::Psycopg);
    let outcomes = play_times(
        TABLES,
        "[subject]
         command = [\"/usr/bin/python3\", \"$TESTS/conducting/tool.py\", \"feed\"]
         time_limit = \"20s\"
         [pods]
         count = 1",
        support::repeats(),
    )
    .await;
    for outcome in &outcomes {
        assert_eq!(support::limit(&outcome.lines), None);
        let trace = trace(outcome);
        assert_eq!(trace.len(), 3, "{trace:#?}");
        in_order(
            &trace,
            &[
                "a.0 needs-pod",
                "a.1 done INSERT 0 1",
                "a.0 done COPY 20001",
            ],
        );
    }
    same_trace(&outcomes);
}

async fn a_copy_in_that_was_blocked_ends_before_the_next_step_whatever_its_pod_sends() {
    need(Need::Psycopg);
    let outcomes = play_times(
        TABLES,
        "[subject]
         command = [\"/usr/bin/python3\", \"$TESTS/conducting/tool.py\", \"copy_or_lock\"]
         time_limit = \"20s\"
         [schedule]
         turns = [
           { run = \"a\", until = { before = \"commit\" } },
           { run = \"b\", until = { blocked = true } },
           { run = \"a\" },
         ]",
        support::repeats(),
    )
    .await;
    for outcome in &outcomes {
        assert_eq!(support::limit(&outcome.lines), None);
        let trace = trace(outcome);
        in_order(
            &trace,
            &[
                "b.0 blocked",
                "a.0 done COMMIT",
                "b.0 done COPY 20000",
                "a.0 done INSERT 0 1",
            ],
        );
    }
    same_trace(&outcomes);
}

async fn a_pool_with_two_requests_at_once_gives_the_same_trace_each_time() {
    need(Need::NodePostgres);
    let outcomes = play_times(
        TABLES,
        "[subject]
         command = [\"node\", \"$TESTS/conducting/pool.cjs\"]
         env = { NODE_PATH = \"/usr/share/nodejs\" }
         [schedule]
         turns = [
           { run = \"a\", until = { steps = 3 } },
           { run = \"b\", until = { after = \"insert into u\", nth = 2 } },
           { run = \"a\", until = { steps = 2 } },
         ]",
        support::repeats(),
    )
    .await;
    for outcome in &outcomes {
        assert_eq!(support::rows(outcome, "t"), 6);
        assert_eq!(support::rows(outcome, "u"), 6);
    }
    // Both connections of a pod had a request at the gate before the first was let go.
    let mut held = 0;
    let mut most = 0;
    for line in &outcomes[0].lines {
        match &line.event {
            Event::StepHeld { connection, .. } if connection.pod.as_str() == "a" => {
                held += 1;
                most = most.max(held);
            }
            Event::StepReleased { connection, .. } if connection.pod.as_str() == "a" => held -= 1,
            _ => {}
        }
    }
    assert_eq!(most, 2);
    same_trace(&outcomes);
}

async fn connections_that_are_opened_in_parallel_give_the_same_trace_each_time() {
    need(Need::Psycopg);
    let outcomes = play_times(
        TABLES,
        "[subject]
         command = [\"/usr/bin/python3\", \"$TESTS/conducting/tool.py\", \"parallel\"]
         [schedule]
         turns = [{ run = \"a\", until = { steps = 5 } }, { run = \"b\", until = { steps = 7 } }]",
        support::repeats(),
    )
    .await;
    for outcome in &outcomes {
        assert_eq!(support::rows(outcome, "t"), 24);
    }
    same_trace(&outcomes);
}

async fn look_ups_are_recorded_and_released_at_once_and_stay_out_of_the_trace() {
    let outcome = play(
        TABLES,
        "[subject]
         command = [\"psql\", \"-X\", \"-c\", \"insert into t (x) values (1)\", \"-c\", \"SELECT t.oid, typarray FROM pg_type t JOIN pg_namespace ns ON typnamespace = ns.oid WHERE typname = 'hstore'\", \"-c\", \"insert into u (x) values (2)\"]
         [schedule]
         turns = [{ run = \"a\", until = { steps = 1 } }, { run = \"b\" }]",
    )
    .await;
    let mut look_ups = 0;
    for line in &outcome.lines {
        if let Event::StepHeld {
            step,
            request,
            connection,
        } = &line.event
            && request.look_up
        {
            look_ups += 1;
            let released = outcome.lines.iter().find(|one| {
                matches!(&one.event, Event::StepReleased { step: id, number: None, .. } if id == step)
            });
            assert_eq!(
                released.map(|one| one.seq),
                Some(line.seq + 1),
                "{connection}"
            );
            assert!(outcome.lines.iter().any(|one| {
                matches!(&one.event, Event::StepEnded { step: id, ending: Ending::Done, .. } if id == step)
            }));
        }
    }
    assert_eq!(look_ups, 2, "one of each pod");
    let trace = trace(&outcome);
    assert_eq!(trace.len(), 4, "{trace:#?}");
    assert!(!trace.iter().any(|line| line.contains("typarray")));
}

crate::harness::tests![
    a_copy_out_that_feeds_a_copy_in_of_the_same_pod_needs_its_pod_and_ends,
    a_copy_in_that_waits_for_another_connection_of_the_same_pod_needs_its_pod_and_ends,
    a_copy_in_that_was_blocked_ends_before_the_next_step_whatever_its_pod_sends,
    a_pool_with_two_requests_at_once_gives_the_same_trace_each_time,
    connections_that_are_opened_in_parallel_give_the_same_trace_each_time,
    look_ups_are_recorded_and_released_at_once_and_stay_out_of_the_trace,
];
