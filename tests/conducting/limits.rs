//! Stops and limits: what is reached, what is not, and what is said of it.

use lockproof_core::history::{Event, TurnEnd};
use lockproof_core::invariant::Judgement;
use lockproof_core::name::InvariantName;

use crate::harness::{Need, need};
use crate::support::{self, place, play, refused, trace, turn_ends};

const TABLE: &str = "create table t (id serial, x text)";
const INSERTS: &str = "command = [\"psql\", \"-X\", \"-q\", \"-c\", \"insert into t (x) values ('one')\", \"-c\", \"insert into t (x) values ('two')\", \"-c\", \"delete from t where x = 'none'\", \"-c\", \"insert into t (x) values ('three')\"]";

async fn until(stop: &str) -> lockproof::internals::search::Outcome {
    let scenario = format!(
        "[subject]\n{INSERTS}\n[schedule]\nturns = [{{ run = \"a\", until = {stop} }}, {{ run = \"b\" }}, {{ run = \"a\" }}]"
    );
    play(TABLE, &scenario).await
}

/// How many steps of a came before b's first.
fn steps_of_a(outcome: &lockproof::internals::search::Outcome) -> usize {
    place(&trace(outcome), "b.0")
}

async fn a_turn_ends_where_its_stop_says() {
    for (stop, steps) in [
        ("{ before = \"insert into t\" }", 0),
        ("{ before = \"INSERT  into t\", nth = 2 }", 1),
        ("{ after = \"insert into t\", nth = 2 }", 2),
        ("{ before = \"/delete.+none/\" }", 2),
        ("{ after = \"/values \\\\('three'\\\\)$/\" }", 4),
        ("{ steps = 3 }", 3),
    ] {
        let outcome = until(stop).await;
        assert_eq!(turn_ends(&outcome.lines)[0], TurnEnd::Reached, "{stop}");
        assert_eq!(steps_of_a(&outcome), steps, "{stop}");
        assert_eq!(
            outcome.verdict.judgement,
            Judgement::Holds,
            "{:#?}",
            outcome.verdict
        );
    }
}

async fn a_stop_that_is_never_reached_makes_the_run_inconclusive_with_a_sentence() {
    for (stop, why) in [
        ("{ before = \"truncate\" }", "the pod ended before it"),
        (
            "{ after = \"insert into t\", nth = 4 }",
            "the pod ended before it",
        ),
        ("{ steps = 40 }", "the pod ended before it"),
        ("{ blocked = true }", "the pod ended before it"),
    ] {
        let outcome = until(stop).await;
        assert_eq!(outcome.verdict.judgement, Judgement::Inconclusive, "{stop}");
        let told = format!("{:?}", outcome.verdict);
        assert!(
            told.contains("was never reached") && told.contains(why),
            "{stop}: {told}"
        );
    }
}

async fn a_pod_that_falls_silent_runs_into_the_limit_which_says_so() {
    need(Need::Psycopg);
    let outcome = play(
        TABLE,
        "[subject]
         command = [\"/usr/bin/python3\", \"$TESTS/conducting/tool.py\", \"sleepy\"]
         time_limit = \"6s\"
         [schedule]
         turns = [{ run = \"a\", until = { before = \"insert\" } }, { run = \"b\" }]",
    )
    .await;
    let (waited_for, saw) = support::limit(&outcome.lines).expect("a limit");
    assert_eq!(waited_for, "the next request or the end of pod b");
    assert!(saw.contains("b runs and asks nothing"), "{saw}");
    assert_eq!(
        outcome
            .verdict
            .of(InvariantName::Progress)
            .unwrap()
            .judgement,
        Judgement::Violated,
        "a pod that sleeps though nothing is held back makes no progress"
    );
}

async fn a_clean_run_that_takes_too_long_says_what_was_waited_for_and_what_was_seen() {
    let why = refused(
        TABLE,
        "[subject]\ncommand = [\"psql\", \"-X\", \"-c\", \"select pg_sleep(60)\"]\ntime_limit = \"1s\"",
    )
    .await;
    assert!(
        why.contains("waited 1 s for")
            && why.contains("a.0 has no answer yet to \"select pg_sleep")
            && why.contains("time_limit"),
        "{why}"
    );
    let why = refused(
        TABLE,
        "[subject]\ncommand = [\"sleep\", \"60\"]\ntime_limit = \"1s\"",
    )
    .await;
    assert!(why.contains("a runs and has never connected"), "{why}");
}

async fn a_limit_that_is_hit_in_the_run_proper_is_in_the_history_and_makes_it_inconclusive() {
    // Only the second of two overlapping pods sleeps: it finds the first one's lock taken.
    let script = "psql -X -q -At -c 'select pg_try_advisory_lock(1)' -c 'select pg_sleep(case when (select count(*) from pg_locks where locktype = $$advisory$$ and database = (select oid from pg_database where datname = current_database()) and pid <> pg_backend_pid()) > 0 then 60 else 0 end)'";
    let outcome = play(
        TABLE,
        &format!(
            "[subject]\ncommand = [\"sh\", \"-c\", \"exec {script}\"]\ntime_limit = \"6s\"
             [schedule]\nturns = [{{ run = \"a\", until = {{ steps = 1 }} }}, {{ run = \"b\" }}]"
        ),
    )
    .await;
    let (waited_for, saw) = support::limit(&outcome.lines).expect("a limit");
    assert_eq!(waited_for, "the ending of a step");
    assert!(
        saw.contains("b.0 has no answer yet to \"select pg_sleep"),
        "{saw}"
    );
    assert!(
        saw.contains("a.0 is held before \"select pg_sleep"),
        "{saw}"
    );
    assert_eq!(
        outcome.verdict.judgement,
        Judgement::Inconclusive,
        "{:#?}",
        outcome.verdict
    );
    // What still ran is gone: nothing outlives a run.
    assert!(outcome.lines.iter().any(|line| matches!(&line.event, Event::PodExited { pod, signal: Some(9), .. } if pod.as_str() == "b")));
}

crate::harness::tests![
    a_turn_ends_where_its_stop_says,
    a_stop_that_is_never_reached_makes_the_run_inconclusive_with_a_sentence,
    a_pod_that_falls_silent_runs_into_the_limit_which_says_so,
    a_clean_run_that_takes_too_long_says_what_was_waited_for_and_what_was_seen,
    a_limit_that_is_hit_in_the_run_proper_is_in_the_history_and_makes_it_inconclusive,
];
