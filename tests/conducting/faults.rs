//! Faults at their points, with what pod and server have of it.

use lockproof::history::OutputStream;

use crate::support::{
    self, Client, exit_of, in_order, play, printed, rows, the_fault_fired, trace,
};

const TABLE: &str = "create table t (id serial primary key, x text)";

/// The tool's writer under one fault before, in doubt at, or after its second write.
async fn writer_under(fault: &str, point: &str) -> lockproof::search::Outcome {
    let scenario = format!(
        "[subject]
         command = [\"/usr/bin/python3\", \"$TESTS/conducting/tool.py\", \"writer\"]
         [schedule]
         turns = [
           {{ run = \"a\", until = {{ before = \"insert\", nth = 2 }} }},
           {{ fault = {{ {fault} = {{ pod = \"a\", point = \"{point}\" }} }} }},
           {{ run = \"a\" }},
         ]"
    );
    let outcome = play(TABLE, &scenario).await;
    the_fault_fired(&outcome);
    outcome
}

/// What pod a knows to be done, and how many rows it has in the table (pod b has its three).
fn known_and_done(outcome: &lockproof::search::Outcome) -> (Vec<String>, u64) {
    (
        printed(&outcome.lines, "a", OutputStream::Stdout),
        rows(outcome, "t") - 3,
    )
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[tokio::test]
async fn a_kill_before_in_doubt_and_after_a_step_differs_in_what_is_done_and_known() {
    if !Client::Psycopg.wanted() {
        return;
    }
    for (point, known, done) in [
        ("before", vec!["wrote 1"], 1),
        ("in-doubt", vec!["wrote 1"], 2),
        ("after", vec!["wrote 1", "wrote 2"], 2),
    ] {
        let outcome = writer_under("kill", point).await;
        assert_eq!(known_and_done(&outcome), (words(&known), done), "{point}");
        assert_eq!(exit_of(&outcome.lines, "a"), -9);
    }
}

#[tokio::test]
async fn a_reset_before_in_doubt_and_after_a_step_differs_in_what_is_done_and_known() {
    if !Client::Psycopg.wanted() {
        return;
    }
    for (point, known, done) in [
        ("before", vec!["wrote 1", "lost 2 True"], 1),
        ("in-doubt", vec!["wrote 1", "lost 2 True"], 2),
        ("after", vec!["wrote 1", "wrote 2", "lost 3 True"], 2),
    ] {
        let outcome = writer_under("reset", point).await;
        assert_eq!(known_and_done(&outcome), (words(&known), done), "{point}");
        assert_eq!(exit_of(&outcome.lines, "a"), 1);
    }
}

#[tokio::test]
async fn a_terminated_backend_takes_the_session_before_in_doubt_and_after_a_step() {
    if !Client::Psycopg.wanted() {
        return;
    }
    for (point, known, done) in [
        ("before", vec!["wrote 1", "lost 2 True"], 1),
        ("in-doubt", vec!["wrote 1", "lost 2 True"], 2),
        ("after", vec!["wrote 1", "wrote 2", "lost 3 True"], 2),
    ] {
        let outcome = writer_under("terminate-backend", point).await;
        assert_eq!(known_and_done(&outcome), (words(&known), done), "{point}");
    }
}

async fn transaction_under(point: &str) -> lockproof::search::Outcome {
    let scenario = format!(
        "[subject]
         command = [\"/usr/bin/python3\", \"$TESTS/conducting/tool.py\", \"transaction\"]
         [schedule]
         turns = [
           {{ run = \"a\", until = {{ before = \"insert\", nth = 2 }} }},
           {{ fault = {{ error = {{ pod = \"a\", sqlstate = \"40001\", point = \"{point}\" }} }} }},
           {{ run = \"a\" }},
         ]"
    );
    let outcome = play(TABLE, &scenario).await;
    the_fault_fired(&outcome);
    outcome
}

#[tokio::test]
async fn an_error_inside_a_transaction_aborts_it_as_a_real_one_would() {
    if !Client::Psycopg.wanted() {
        return;
    }
    for point in ["before", "in-doubt"] {
        let outcome = transaction_under(point).await;
        assert_eq!(
            printed(&outcome.lines, "a", OutputStream::Stdout),
            ["error 40001 INERROR", "then 25P02", "rolled back IDLE"],
            "{point}"
        );
        assert_eq!(rows(&outcome, "t"), 0);
    }
}

const WAITER: &str = "command = [\"psql\", \"-X\", \"-q\", \"-v\", \"ON_ERROR_STOP=1\", \"-c\", \"select pg_advisory_lock(1)\", \"-c\", \"insert into t (x) values ('locked')\", \"-c\", \"select pg_advisory_unlock(1)\"]";

async fn waiter_under(fault: &str) -> lockproof::search::Outcome {
    let scenario = format!(
        "[subject]\n{WAITER}\n[schedule]\nturns = [
           {{ run = \"a\", until = {{ before = \"insert\" }} }},
           {{ run = \"b\", until = {{ blocked = true }} }},
           {{ fault = {{ {fault} }} }},
           {{ run = \"b\" }},
         ]"
    );
    let outcome = play(TABLE, &scenario).await;
    the_fault_fired(&outcome);
    assert_eq!(rows(&outcome, "t"), 1, "only a has written");
    assert_eq!(support::limit(&outcome.lines), None);
    outcome
}

#[tokio::test]
async fn a_cancelled_waiter_gets_57014_and_its_session_lives() {
    if !Client::Psql.wanted() {
        return;
    }
    let outcome = waiter_under("cancel-backend = { pod = \"b\", point = \"waiting\" }").await;
    in_order(&trace(&outcome), &["b.0 blocked", "b.0 done 57014"]);
    assert_eq!(exit_of(&outcome.lines, "b"), 1);
}

#[tokio::test]
async fn a_waiter_whose_backend_is_terminated_is_gone() {
    if !Client::Psql.wanted() {
        return;
    }
    let outcome = waiter_under("terminate-backend = { pod = \"b\", point = \"waiting\" }").await;
    in_order(&trace(&outcome), &["b.0 blocked", "b.0 gone"]);
    assert_ne!(exit_of(&outcome.lines, "b"), 0);
}

#[tokio::test]
async fn an_idle_holder_whose_backend_is_terminated_loses_its_lock_to_the_waiter() {
    if !Client::Psql.wanted() {
        return;
    }
    let scenario = format!(
        "[subject]\n{WAITER}\n[schedule]\nturns = [
           {{ run = \"a\", until = {{ before = \"insert\" }} }},
           {{ run = \"b\", until = {{ blocked = true }} }},
           {{ fault = {{ terminate-backend = {{ pod = \"a\", holding = \"lock\" }} }} }},
           {{ run = \"b\" }},
         ]"
    );
    let outcome = play(TABLE, &scenario).await;
    let fault = the_fault_fired(&outcome);
    assert_eq!(fault.connection.as_ref().unwrap().to_string(), "a.0");
    in_order(
        &trace(&outcome),
        &["b.0 blocked", "b.0 done SELECT 1", "b.0 done INSERT"],
    );
    assert_ne!(exit_of(&outcome.lines, "a"), 0);
    assert_eq!(exit_of(&outcome.lines, "b"), 0);
    assert_eq!(rows(&outcome, "t"), 1);
}

#[tokio::test]
async fn a_reset_waiter_leaves_a_ghost_in_the_queue() {
    if !Client::Psql.wanted() {
        return;
    }
    let scenario = format!(
        "[subject]\n{WAITER}\n[schedule]\nturns = [
           {{ run = \"a\", until = {{ before = \"insert\" }} }},
           {{ run = \"b\", until = {{ blocked = true }} }},
           {{ fault = {{ reset = {{ pod = \"b\", point = \"waiting\" }} }} }},
           {{ run = \"a\" }},
         ]"
    );
    let outcome = play(TABLE, &scenario).await;
    the_fault_fired(&outcome);
    assert_eq!(support::limit(&outcome.lines), None);
    assert!(outcome.lines.iter().any(|line| matches!(
        &line.event,
        lockproof::history::Event::Ghost { connection, .. } if connection.to_string() == "b.0"
    )));
    assert_ne!(exit_of(&outcome.lines, "b"), 0);
}
