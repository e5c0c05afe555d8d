//! Clients that wait: inside the pooler for a server connection, on the server for a lock.

use std::time::Duration;

use lockproof::internals::report::play as told;
use lockproof::internals::search::Outcome;
use lockproof_core::history::{Ending, Event};
use lockproof_core::invariant::Judgement;

use crate::harness::{Need, need};
use crate::support::{self, limit, play, play_times, same_trace};
use crate::{ITEM, JOB, psql};

const OVERLAP: &str = "{ run = \"a\", until = { before = \"delete\" } },\n\
     { run = \"b\", until = { blocked = true } },\n{ run = \"a\" },";

/// How often a step was seen to wait inside the pooler, and how often on the server.
fn waits(outcome: &Outcome) -> (usize, usize) {
    let count = |is: fn(&Event) -> bool| {
        let lines = outcome.lines.iter();
        lines.filter(|line| is(&line.event)).count()
    };
    let queued = count(|event| matches!(event, Event::StepQueued { .. }));
    let blocked = count(|event| {
        matches!(
            event,
            Event::StepEnded {
                ending: Ending::Blocked,
                ..
            }
        )
    });
    (queued, blocked - queued)
}

fn lines(outcome: &Outcome) -> String {
    let scenes = told(&outcome.lines);
    scenes.iter().map(|scene| format!("{scene}\n")).collect()
}

async fn a_pod_for_which_no_server_connection_is_left_is_blocked_and_goes_on_when_one_is_free() {
    need(Need::PgBouncer);
    let text = psql("session", 1, &JOB, OVERLAP);
    let outcomes = play_times(ITEM, &text, 3).await;
    same_trace(&outcomes);
    for outcome in &outcomes {
        assert_eq!(waits(outcome), (1, 0));
        assert_eq!(
            outcome.verdict.judgement,
            Judgement::Holds,
            "{:#?}",
            outcome.verdict
        );
        assert!(outcome.took < Duration::from_secs(20), "{:?}", outcome.took);
        let play = lines(outcome);
        assert!(
            play.contains("(for a server connection of the pooler, of a.0)"),
            "{play}"
        );
    }
}

async fn with_a_server_connection_for_each_pod_the_second_waits_for_the_lock_itself() {
    need(Need::PgBouncer);
    let outcome = play(ITEM, &psql("session", 2, &JOB, OVERLAP)).await;
    assert_eq!(waits(&outcome), (0, 1));
    assert_eq!(
        outcome.verdict.judgement,
        Judgement::Holds,
        "{:#?}",
        outcome.verdict
    );
    let play = lines(&outcome);
    assert!(play.contains("pg_advisory_lock(7)  (for a.0)"), "{play}");
}

async fn a_driver_s_look_up_that_waits_inside_the_pooler_is_not_waited_for_in_vain() {
    need(Need::PgBouncer);
    need(Need::Psycopg);
    let job = "import psycopg, psycopg.types.hstore as h\n\
               c = psycopg.connect('', autocommit=True)\n\
               psycopg.types.TypeInfo.fetch(c, 'int4')\n\
               c.execute('select pg_advisory_lock(7)')\n\
               c.execute('delete from item')\n\
               c.execute('insert into item values (1)')\n\
               c.execute('select pg_advisory_unlock(7)')\n";
    let text = format!(
        "[subject]\ncommand = [{:?}, \"-c\", {job:?}]\nlock = {{ key = 7 }}\ntime_limit = \"40s\"\n\
         [server]\npooler = {{ mode = \"session\", size = 1 }}\n[schedule]\nturns = [\n{OVERLAP}\n]\n",
        support::PYTHON
    );
    let outcome = play(ITEM, &text).await;
    assert_eq!(limit(&outcome.lines), None);
    let looked_up = outcome
        .lines
        .iter()
        .any(|line| matches!(&line.event, Event::StepHeld { request, .. } if request.look_up));
    assert!(looked_up, "{:#?}", support::trace(&outcome));
    assert_eq!(waits(&outcome), (1, 0));
    assert_eq!(
        outcome.verdict.judgement,
        Judgement::Holds,
        "{:#?}",
        outcome.verdict
    );
}

async fn a_pod_that_waits_for_its_own_server_connections_is_told_as_that_when_the_time_is_up() {
    need(Need::PgBouncer);
    need(Need::Psycopg);
    let job = "import psycopg\n\
               one = psycopg.connect('', autocommit=True)\n\
               one.execute('insert into item values (1)')\n\
               two = psycopg.connect('', autocommit=True)\n\
               two.execute('delete from item')\n";
    let text = format!(
        "[subject]\ncommand = [{:?}, \"-c\", {job:?}]\ntime_limit = \"6s\"\n\
         [server]\npooler = {{ mode = \"session\", size = 1 }}\n[schedule]\nturns = []\n",
        support::PYTHON
    );
    let why = support::refused(ITEM, &text).await;
    assert!(
        why.contains("a.1 waits inside the pooler for one of its 1 server connections"),
        "{why}"
    );
}

crate::harness::tests![
    a_pod_for_which_no_server_connection_is_left_is_blocked_and_goes_on_when_one_is_free,
    with_a_server_connection_for_each_pod_the_second_waits_for_the_lock_itself,
    a_driver_s_look_up_that_waits_inside_the_pooler_is_not_waited_for_in_vain,
    a_pod_that_waits_for_its_own_server_connections_is_told_as_that_when_the_time_is_up,
];
