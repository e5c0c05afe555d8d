//! Steps that wait: chains, queues, deadlocks, polls.

use lockproof_core::history::TurnEnd;

use crate::harness::{Need, need};
use crate::support::{self, in_order, place, play, play_times, same_trace, trace, turn_ends};

const ROWS: &str = "create table t (id int primary key, x text);
    insert into t values (1, 'one'), (2, 'two')";

/// A subject that runs these statements, each in a message of its own; by pod.
fn psql(by_pod: &[(&str, &[&str])]) -> String {
    let mut cases = String::new();
    for (pod, statements) in by_pod {
        let words: Vec<String> = statements
            .iter()
            .map(|sql| format!("-c \"{sql}\""))
            .collect();
        cases.push_str(&format!(
            "{pod}) exec psql -X -q -At -v ON_ERROR_STOP=1 {} ;; ",
            words.join(" ")
        ));
    }
    format!("command = [\"sh\", \"-c\", '''case $LOCKPROOF_POD in {cases} esac''']")
}

async fn a_deadlock_on_row_locks_has_the_same_victim_and_the_same_trace_every_time() {
    let subject = psql(&[
        (
            "a",
            &[
                "begin",
                "update t set x = 'a' where id = 1",
                "update t set x = 'a' where id = 2",
                "commit",
            ],
        ),
        (
            "b",
            &[
                "begin",
                "update t set x = 'b' where id = 2",
                "update t set x = 'b' where id = 1",
                "commit",
            ],
        ),
    ]);
    let scenario = format!(
        "[subject]\n{subject}\n[schedule]\nturns = [
           {{ run = \"a\", until = {{ after = \"update t\" }} }},
           {{ run = \"b\", until = {{ after = \"update t\" }} }},
           {{ run = \"a\", until = {{ blocked = true }} }},
           {{ run = \"b\" }},
           {{ run = \"a\" }},
         ]"
    );
    let outcomes = play_times(ROWS, &scenario, support::repeats()).await;
    for outcome in &outcomes {
        let trace = trace(outcome);
        in_order(
            &trace,
            &[
                "a.0 blocked",
                "b.0 done 40P01",
                "a.0 done UPDATE 1",
                "a.0 done COMMIT",
            ],
        );
        assert!(
            !trace.iter().any(|line| line.starts_with("b.0 blocked")),
            "{trace:#?}"
        );
    }
    same_trace(&outcomes);
}

async fn a_deadlock_on_advisory_locks_has_the_same_victim_and_the_same_trace_every_time() {
    let subject = psql(&[
        (
            "a",
            &[
                "select pg_advisory_lock(1)",
                "select pg_advisory_lock(2)",
                "select pg_advisory_unlock_all()",
            ],
        ),
        (
            "b",
            &[
                "select pg_advisory_lock(2)",
                "select pg_advisory_lock(1)",
                "select pg_advisory_unlock_all()",
            ],
        ),
    ]);
    let scenario = format!(
        "[subject]\n{subject}\n[schedule]\nturns = [
           {{ run = \"a\", until = {{ steps = 1 }} }},
           {{ run = \"b\", until = {{ steps = 1 }} }},
           {{ run = \"b\", until = {{ blocked = true }} }},
           {{ run = \"a\" }},
         ]"
    );
    let outcomes = play_times("", &scenario, support::repeats()).await;
    for outcome in &outcomes {
        in_order(
            &trace(outcome),
            &["b.0 blocked", "a.0 done 40P01", "b.0 done SELECT 1"],
        );
    }
    same_trace(&outcomes);
}

async fn a_step_that_waits_for_one_that_waits_itself_is_blocked_and_both_go_on_in_turn() {
    let subject = psql(&[
        (
            "a",
            &[
                "select pg_advisory_lock(1)",
                "select 'a works'",
                "select pg_advisory_unlock(1)",
            ],
        ),
        (
            "b",
            &[
                "select pg_advisory_lock(2)",
                "select pg_advisory_lock(1)",
                "select 'b works'",
                "select pg_advisory_unlock_all()",
            ],
        ),
        (
            "c",
            &[
                "select pg_advisory_lock(2)",
                "select 'c works'",
                "select pg_advisory_unlock(2)",
            ],
        ),
    ]);
    let scenario = format!(
        "[subject]\n{subject}\n[pods]\ncount = 3\n[schedule]\nturns = [
           {{ run = \"a\", until = {{ steps = 1 }} }},
           {{ run = \"b\", until = {{ blocked = true }} }},
           {{ run = \"c\", until = {{ blocked = true }} }},
           {{ run = \"a\" }},
           {{ run = \"b\" }},
           {{ run = \"c\" }},
         ]"
    );
    let outcomes = play_times("", &scenario, 5).await;
    assert_eq!(
        turn_ends(&outcomes[0].lines),
        [TurnEnd::Reached; 6],
        "{:#?}",
        trace(&outcomes[0])
    );
    in_order(
        &trace(&outcomes[0]),
        &[
            "b.0 blocked",
            "c.0 blocked",
            "a.0 done SELECT 1 select pg_advisory_unlock",
            "b.0 done SELECT 1 select pg_advisory_lock",
            "c.0 done SELECT 1 select pg_advisory_lock",
        ],
    );
    same_trace(&outcomes);
}

async fn a_queue_of_three_waiters_is_served_in_the_order_in_which_they_came() {
    let subject = "command = [\"psql\", \"-X\", \"-q\", \"-c\", \"select pg_advisory_lock(1)\", \"-c\", \"select pg_advisory_unlock(1)\"]";
    let scenario = format!(
        "[subject]\n{subject}\n[pods]\ncount = 4\n[schedule]\nturns = [
           {{ run = \"a\", until = {{ steps = 1 }} }},
           {{ run = \"d\", until = {{ blocked = true }} }},
           {{ run = \"b\", until = {{ blocked = true }} }},
           {{ run = \"c\", until = {{ blocked = true }} }},
           {{ run = \"a\" }},
           {{ run = \"d\" }},
           {{ run = \"b\" }},
           {{ run = \"c\" }},
         ]"
    );
    let outcomes = play_times("", &scenario, 5).await;
    let granted: Vec<String> = trace(&outcomes[0])
        .into_iter()
        .filter(|line| line.contains("done SELECT 1 select pg_advisory_lock"))
        .map(|line| line[..1].to_owned())
        .collect();
    assert_eq!(granted, ["a", "d", "b", "c"]);
    same_trace(&outcomes);
}

async fn steps_that_complete_at_once_are_written_in_the_order_of_pod_names() {
    let share: &[&str] = &[
        "select pg_advisory_lock_shared(1)",
        "select pg_advisory_unlock_shared(1)",
    ];
    let subject = psql(&[
        (
            "a",
            &["select pg_advisory_lock(1)", "select pg_advisory_unlock(1)"],
        ),
        ("*", share),
    ]);
    let scenario = format!(
        "[subject]\n{subject}\n[pods]\ncount = 4\n[schedule]\nturns = [
           {{ run = \"a\", until = {{ steps = 1 }} }},
           {{ run = \"d\", until = {{ blocked = true }} }},
           {{ run = \"c\", until = {{ blocked = true }} }},
           {{ run = \"b\", until = {{ blocked = true }} }},
           {{ run = \"a\" }},
         ]"
    );
    let outcomes = play_times("", &scenario, support::repeats()).await;
    let trace = trace(&outcomes[0]);
    let granted = |pod: &str| {
        place(
            &trace,
            &format!("{pod}.0 done SELECT 1 select pg_advisory_lock_shared"),
        )
    };
    assert_eq!(granted("c"), granted("b") + 1, "{trace:#?}");
    assert_eq!(granted("d"), granted("b") + 2, "{trace:#?}");
    same_trace(&outcomes);
}

async fn a_client_that_leaves_at_once_does_not_change_the_order_in_which_endings_are_written() {
    // The last word of each waiting pod is the one that waits: its client is gone in no time.
    let subject = psql(&[
        ("a", &["select pg_advisory_lock(1)", "select 'a works'"]),
        ("*", &["select pg_advisory_lock_shared(1)"]),
    ]);
    let scenario = format!(
        "[subject]\n{subject}\n[pods]\ncount = 4\n[schedule]\nturns = [
           {{ run = \"a\", until = {{ steps = 1 }} }},
           {{ run = \"d\", until = {{ blocked = true }} }},
           {{ run = \"c\", until = {{ blocked = true }} }},
           {{ run = \"b\", until = {{ blocked = true }} }},
           {{ run = \"a\" }},
         ]"
    );
    let outcomes = play_times("", &scenario, support::repeats()).await;
    for outcome in &outcomes {
        let trace = trace(outcome);
        let granted: Vec<&str> = trace
            .iter()
            .filter(|line| line.contains(".0 done SELECT 1 select pg_advisory_lock_shared"))
            .map(|line| &line[..1])
            .collect();
        assert_eq!(granted, ["b", "c", "d"], "{trace:#?}");
    }
    same_trace(&outcomes);
}

async fn a_step_that_the_end_of_a_session_lets_go_is_written_before_what_its_pod_does_next() {
    let subject = psql(&[
        ("a", &["select pg_advisory_lock(1)", "select 'a works'"]),
        ("*", &["select pg_advisory_lock(1)", "select 'works'"]),
    ]);
    let scenario = format!(
        "[subject]\n{subject}\n[schedule]\nturns = [
           {{ run = \"a\", until = {{ steps = 1 }} }},
           {{ run = \"b\", until = {{ blocked = true }} }},
           {{ run = \"a\" }},
         ]"
    );
    let outcomes = play_times("", &scenario, support::repeats()).await;
    for outcome in &outcomes {
        let trace = trace(outcome);
        let granted = place(&trace, "b.0 done SELECT 1 select pg_advisory_lock");
        assert!(
            granted < place(&trace, "b.0 done SELECT 1 select ?"),
            "{trace:#?}"
        );
    }
    same_trace(&outcomes);
}

async fn a_polling_try_lock_makes_way_and_the_run_ends() {
    need(Need::Psycopg);
    let outcomes = play_times(
        "create table t (id serial, x text)",
        "[subject]
         command = [\"/usr/bin/python3\", \"$TESTS/conducting/tool.py\", \"poll\"]
         [schedule]
         turns = [
           { run = \"a\", until = { after = \"select pg_try_advisory_lock\" } },
           { run = \"b\" },
         ]",
        support::repeats(),
    )
    .await;
    for outcome in &outcomes {
        assert_eq!(
            turn_ends(&outcome.lines)[..2],
            [TurnEnd::Reached, TurnEnd::Yielded]
        );
        assert_eq!(support::rows(outcome, "t"), 2);
        assert_eq!(support::limit(&outcome.lines), None);
        let trace = trace(outcome);
        let first = place(&trace, "a.0 done INSERT");
        assert!(first < place(&trace, "b.0 done INSERT"));
    }
    same_trace(&outcomes);
}

async fn a_pod_that_repeats_itself_while_no_other_is_under_way_runs_to_its_exit() {
    let asks = "select count(*) from t where id > 5";
    let subject = psql(&[("*", &[asks, asks, asks, asks, "insert into t values (7)"])]);
    let scenario =
        format!("[subject]\n{subject}\n[schedule]\nturns = [{{ run = \"a\" }}, {{ run = \"b\" }}]");
    let outcome = play("create table t (id int)", &scenario).await;
    assert_eq!(
        turn_ends(&outcome.lines),
        [TurnEnd::Reached, TurnEnd::Reached]
    );
    let trace = trace(&outcome);
    let inserted = place(&trace, "a.0 done INSERT");
    assert!(
        inserted < place(&trace, "b.0 done SELECT"),
        "pod b saw what pod a wrote: {trace:#?}"
    );
}

async fn a_step_that_fails_ends_a_turn_that_runs_until_after_it() {
    let outcome = play(
        "create table t (id int)",
        "[subject]
         command = [\"sh\", \"-c\", \"psql -Xqc 'select 1/0'; exec psql -Xqc 'insert into t values (7)'\"]
         [schedule]
         turns = [{ run = \"a\", until = { after = \"select 1/0\" } }, { run = \"b\" }]",
    )
    .await;
    assert_eq!(
        turn_ends(&outcome.lines)[..2],
        [TurnEnd::Reached, TurnEnd::Reached]
    );
    let trace = trace(&outcome);
    let inserted = place(&trace, "b.1 done INSERT");
    assert!(
        inserted < place(&trace, "a.1 done INSERT"),
        "pod a was held right after its failed step: {trace:#?}"
    );
}

async fn transactions_that_wait_for_row_locks_are_blocked_until_the_other_commits() {
    let all: &[&str] = &[
        "begin",
        "update t set x = x || '!' where id = 1",
        "insert into t (id, x) select max(id) + 1, 'new' from t",
        "commit",
    ];
    let scenario = format!(
        "[subject]\n{}\n[schedule]\nturns = [
           {{ run = \"a\", until = {{ before = \"commit\" }} }},
           {{ run = \"b\", until = {{ blocked = true }} }},
           {{ run = \"a\" }},
           {{ run = \"b\" }},
         ]",
        psql(&[("*", all)])
    );
    let outcome = play(ROWS, &scenario).await;
    in_order(
        &trace(&outcome),
        &[
            "a.0 done INSERT 0 1",
            "b.0 done BEGIN",
            "b.0 blocked",
            "a.0 done COMMIT",
            "b.0 done UPDATE 1",
            "b.0 done COMMIT",
        ],
    );
    assert_eq!(support::rows(&outcome, "t"), 4);
    assert_eq!(turn_ends(&outcome.lines), [TurnEnd::Reached; 4]);
}

crate::harness::tests![
    a_deadlock_on_row_locks_has_the_same_victim_and_the_same_trace_every_time,
    a_deadlock_on_advisory_locks_has_the_same_victim_and_the_same_trace_every_time,
    a_step_that_waits_for_one_that_waits_itself_is_blocked_and_both_go_on_in_turn,
    a_queue_of_three_waiters_is_served_in_the_order_in_which_they_came,
    steps_that_complete_at_once_are_written_in_the_order_of_pod_names,
    a_client_that_leaves_at_once_does_not_change_the_order_in_which_endings_are_written,
    a_step_that_the_end_of_a_session_lets_go_is_written_before_what_its_pod_does_next,
    a_polling_try_lock_makes_way_and_the_run_ends,
    a_pod_that_repeats_itself_while_no_other_is_under_way_runs_to_its_exit,
    a_step_that_fails_ends_a_turn_that_runs_until_after_it,
    transactions_that_wait_for_row_locks_are_blocked_until_the_other_commits,
];
