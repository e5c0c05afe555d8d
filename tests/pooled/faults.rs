//! Faults behind a pooler: what of a session hits its backend, what of a connection the client's side.

use lockproof_core::history::{Event, OutputStream};
use lockproof_core::invariant::Judgement;
use lockproof_core::name::InvariantName;

use crate::harness::{Need, need};
use crate::support::{self, exit_of, play, printed, the_fault_fired};
use crate::{ITEM, JOB, pids, psql};

const AT_WORK: &str = "{ run = \"a\", until = { before = \"delete\" } },";
const B_WAITS: &str = "{ run = \"a\", until = { before = \"delete\" } },\n\
     { run = \"b\", until = { blocked = true } },";

async fn the_session_that_holds_the_lock_is_ended_though_the_pooler_keeps_it() {
    need(Need::PgBouncer);
    let fault = "{ fault = { terminate-backend = { pod = \"a\", holding = \"lock\" } } },";
    let schedule = format!("{AT_WORK}\n{fault}");
    let outcome = play(ITEM, &psql("transaction", 2, &JOB, &schedule)).await;
    let hit = the_fault_fired(&outcome).session.unwrap();
    assert_eq!(pids(&outcome, "a"), [hit.pid]);
    // Between two transactions nobody tells the pod.
    assert_eq!(exit_of(&outcome.lines, "a"), 0);
    let gone = |line: &lockproof_core::history::Line| matches!(&line.event, Event::SessionGone { session, .. } if *session == hit);
    assert!(outcome.lines.iter().any(gone));
    let violated: Vec<_> = outcome.verdict.violated().collect();
    assert_eq!(
        violated,
        [InvariantName::SameSession, InvariantName::WorkUnderLock],
        "{:#?}",
        outcome.verdict
    );
}

async fn with_session_pooling_the_pod_hears_that_its_session_has_ended_and_the_fault_explains_it() {
    need(Need::PgBouncer);
    let fault = "{ fault = { terminate-backend = { pod = \"a\", holding = \"lock\" } } },";
    let schedule = format!("{AT_WORK}\n{fault}");
    let outcome = play(ITEM, &psql("session", 2, &JOB, &schedule)).await;
    let hit = the_fault_fired(&outcome).session.unwrap();
    assert_eq!(pids(&outcome, "a"), [hit.pid]);
    assert_ne!(exit_of(&outcome.lines, "a"), 0);
    assert_eq!(
        outcome.verdict.judgement,
        Judgement::Holds,
        "{:#?}",
        outcome.verdict
    );
}

async fn a_killed_waiter_goes_on_as_a_ghost_on_a_backend_that_the_pooler_has_given_up() {
    need(Need::PgBouncer);
    let fault = "{ fault = { kill = { pod = \"b\", point = \"waiting\" } } },\n{ run = \"a\" },";
    let schedule = format!("{B_WAITS}\n{fault}");
    let outcome = play(ITEM, &psql("session", 2, &JOB, &schedule)).await;
    the_fault_fired(&outcome);
    let ghost = outcome.lines.iter().find_map(|line| match &line.event {
        Event::Ghost { session, .. } => *session,
        _ => None,
    });
    let ghost = ghost.expect("no ghost with its backend");
    assert!(!pids(&outcome, "a").contains(&ghost.pid));
    let gone = |line: &lockproof_core::history::Line| matches!(&line.event, Event::SessionGone { session, .. } if *session == ghost);
    assert!(outcome.lines.iter().any(gone), "the ghost never ended");
    assert_eq!(
        outcome.verdict.judgement,
        Judgement::Holds,
        "{:#?}",
        outcome.verdict
    );
}

async fn a_killed_client_that_waits_inside_the_pooler_leaves_nothing_on_the_server() {
    need(Need::PgBouncer);
    let fault = "{ fault = { kill = { pod = \"b\", point = \"waiting\" } } },\n{ run = \"a\" },";
    let schedule = format!("{B_WAITS}\n{fault}");
    let outcome = play(ITEM, &psql("session", 1, &JOB, &schedule)).await;
    the_fault_fired(&outcome);
    let started = outcome.lines.iter().any(|line| {
        matches!(&line.event, Event::SessionStarted { connection, .. }
            if connection.pod.as_str() == "b")
    });
    assert!(!started, "b was given a backend");
    assert_eq!(
        outcome.verdict.judgement,
        Judgement::Holds,
        "{:#?}",
        outcome.verdict
    );
}

async fn a_killed_holder_s_lock_stays_with_the_pooler_s_session_under_transaction_pooling_alone() {
    need(Need::PgBouncer);
    let schedule = format!("{AT_WORK}\n{{ fault = {{ kill = {{ pod = \"a\" }} }} }},");
    let left = |outcome: &lockproof::internals::search::Outcome| {
        let mut lines = outcome.lines.iter();
        lines.find_map(|line| match &line.event {
            Event::Remains { locks, .. } => Some(locks.len()),
            _ => None,
        })
    };
    let outcome = play(ITEM, &psql("transaction", 2, &JOB, &schedule)).await;
    assert_eq!(left(&outcome), Some(1));
    let violated: Vec<_> = outcome.verdict.violated().collect();
    assert_eq!(violated, [InvariantName::NoLeak], "{:#?}", outcome.verdict);
    let outcome = play(ITEM, &psql("session", 2, &JOB, &schedule)).await;
    assert_eq!(left(&outcome), Some(0));
    assert_eq!(
        outcome.verdict.judgement,
        Judgement::Holds,
        "{:#?}",
        outcome.verdict
    );
}

async fn a_fault_for_which_there_is_no_backend_says_so() {
    need(Need::PgBouncer);
    let fault = "{ fault = { terminate-backend = { pod = \"b\", point = \"waiting\" } } },\n{ run = \"a\" },";
    let schedule = format!("{B_WAITS}\n{fault}");
    let outcome = play(ITEM, &psql("session", 1, &JOB, &schedule)).await;
    let faults = support::faults(&outcome.lines);
    assert!(!faults[0].fired, "{faults:#?}");
    assert!(
        faults[0].evidence.contains("waits inside the pooler"),
        "{faults:#?}"
    );
}

async fn a_cancel_request_of_a_client_reaches_the_backend_behind_the_pooler() {
    need(Need::PgBouncer);
    need(Need::Psycopg);
    let job = "import psycopg, threading, os\n\
               c = psycopg.connect('', autocommit=True, prepare_threshold=None)\n\
               c.execute('insert into item values (ascii(%s))', (os.environ['LOCKPROOF_POD'],))\n\
               print('pid', c.execute('select pg_backend_pid()').fetchone()[0], flush=True)\n\
               d = threading.Event()\n\
               def cancel():\n \
                while not d.wait(0.3): c.cancel()\n\
               t = threading.Thread(target=cancel); t.start()\n\
               try: c.execute('select pg_sleep(20)')\n\
               except psycopg.errors.QueryCanceled: print('cancelled', flush=True)\n\
               d.set(); t.join()\n";
    let text = format!(
        "[subject]\ncommand = [{:?}, \"-c\", {job:?}]\ntime_limit = \"25s\"\n[pods]\ncount = 1\n\
         [server]\npooler = {{ mode = \"transaction\", size = 2 }}\n[schedule]\nturns = []\n",
        support::PYTHON
    );
    let outcome = play(ITEM, &text).await;
    let said = printed(&outcome.lines, "a", OutputStream::Stdout);
    assert_eq!(
        said.last().map(String::as_str),
        Some("cancelled"),
        "{said:?}"
    );
    let target = outcome.lines.iter().find_map(|line| match line.event {
        Event::CancelRequested { target_pid, .. } => Some(target_pid),
        _ => None,
    });
    assert_eq!(pids(&outcome, "a"), [target.unwrap()]);
}

crate::harness::tests![
    the_session_that_holds_the_lock_is_ended_though_the_pooler_keeps_it,
    with_session_pooling_the_pod_hears_that_its_session_has_ended_and_the_fault_explains_it,
    a_killed_waiter_goes_on_as_a_ghost_on_a_backend_that_the_pooler_has_given_up,
    a_killed_client_that_waits_inside_the_pooler_leaves_nothing_on_the_server,
    a_killed_holder_s_lock_stays_with_the_pooler_s_session_under_transaction_pooling_alone,
    a_fault_for_which_there_is_no_backend_says_so,
    a_cancel_request_of_a_client_reaches_the_backend_behind_the_pooler,
];
