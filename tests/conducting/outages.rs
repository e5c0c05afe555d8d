//! Faults where one makes another impossible, or changes what it means: a paused server, a link that
//! is cut, an old primary beside a new one.

use lockproof_core::history::{Event, FaultEvent, Operation};
use lockproof_core::invariant::Judgement;

use crate::harness::{Need, need};
use crate::support::{self, exit_of, faults, play, play_all};

const TABLE: &str = "create table t (id serial primary key, x text)";
/// Under a lock of its session it writes twice; an error ends it.
const LOCKED: &str = "exec psql -XqAt -v ON_ERROR_STOP=1 -c 'select pg_advisory_lock(7)' \
                      -c 'insert into t (x) values (1)' -c 'insert into t (x) values (2)' \
                      -c 'select pg_advisory_unlock(7)'";

fn text(line: &str, server: &str, turns: &[&str]) -> String {
    format!(
        "[subject]\ncommand = [\"sh\", \"-c\", \"\"\"{line}\"\"\"]\n{server}\n[schedule]\nturns = [\n{}\n]\n",
        turns
            .iter()
            .map(|turn| format!("  {turn},\n"))
            .collect::<String>()
    )
}

fn named<'o>(outcome: &'o lockproof::internals::search::Outcome, name: &str) -> &'o FaultEvent {
    let mut faults = faults(&outcome.lines).into_iter();
    faults
        .find(|fault| fault.fault.kind.name() == name)
        .unwrap()
}

async fn while_the_server_is_paused_no_fault_lets_a_step_go_and_nothing_is_waited_for_in_vain() {
    let faults = [
        ("kill", "kill = { pod = \"a\", point = \"in-doubt\" }"),
        ("reset", "reset = { pod = \"a\", point = \"after\" }"),
        ("error", "error = { pod = \"a\", sqlstate = \"40001\" }"),
    ];
    let texts = faults.map(|(_, fault)| {
        let fault = format!("{{ fault = {{ {fault} }} }}");
        let turns = [
            "{ run = \"a\", until = { before = \"insert\" } }",
            "{ fault = { pause-server = {} } }",
            &fault,
            "{ fault = { unpause-server = {} } }",
        ];
        text(LOCKED, "", &turns)
    });
    for (outcome, (name, _)) in play_all(TABLE, &texts).await.iter().zip(faults) {
        let missed = named(outcome, name);
        assert!(!missed.fired, "{missed:?}");
        assert!(missed.evidence.contains("is paused"), "{missed:?}");
        assert_eq!(support::limit(&outcome.lines), None);
        assert_eq!(outcome.verdict.judgement, Judgement::Inconclusive);
        assert_eq!(exit_of(&outcome.lines, "a"), 0, "{name}");
    }
}

async fn a_session_ended_behind_a_cut_link_has_ended_and_its_pod_hears_of_it_when_that_is_healed() {
    let turns = [
        "{ run = \"a\", until = { before = \"insert\" } }",
        "{ fault = { blackhole = { pod = \"a\" } } }",
        "{ fault = { terminate-backend = { pod = \"a\", holding = \"lock\" } } }",
        "{ run = \"b\" }",
        "{ fault = { heal = { pod = \"a\" } } }",
        "{ run = \"a\" }",
    ];
    let outcome = play(TABLE, &text(LOCKED, "", &turns)).await;
    assert!(named(&outcome, "terminate-backend").fired);
    assert_eq!(support::limit(&outcome.lines), None);
    assert_eq!(exit_of(&outcome.lines, "b"), 0);
    assert_ne!(exit_of(&outcome.lines, "a"), 0);
    assert_eq!(
        outcome.verdict.judgement,
        Judgement::Holds,
        "{:#?}",
        outcome.verdict
    );
    assert_eq!(support::rows(&outcome, "t"), 2, "those of b");
}

async fn after_a_promotion_pods_go_to_the_new_primary_even_if_the_old_one_comes_back() {
    let turns = [
        "{ fault = { promote = { old = \"alive\" } } }",
        "{ fault = { crash = {} } }",
        "{ run = \"a\" }",
    ];
    let outcome = play(TABLE, &text(LOCKED, "[server]\nstandby = true", &turns)).await;
    assert!(named(&outcome, "crash").fired);
    let servers: Vec<u8> = outcome
        .lines
        .iter()
        .filter_map(|line| match &line.event {
            Event::SessionStarted { server, .. } => Some(*server),
            _ => None,
        })
        .collect();
    assert!(
        !servers.is_empty() && servers.iter().all(|server| *server == 1),
        "{servers:?}"
    );
    assert_eq!(support::rows(&outcome, "t"), 4);
}

async fn a_signal_without_effect_excuses_nothing_and_the_kill_after_it_is_told() {
    // It comes to its end within its grace, and its lock is still not given back.
    let leaves = LOCKED.replace(" -c 'select pg_advisory_unlock(7)'", "");
    let turns = [
        "{ run = \"a\", until = { before = \"insert\" } }",
        "{ fault = { terminate = { pod = \"a\", grace = \"20s\", pid1 = true } } }",
    ];
    let outcome = play(TABLE, &text(&leaves, "release = \"unlock\"", &turns)).await;
    assert!(named(&outcome, "terminate").evidence.contains("no effect"));
    assert_eq!(exit_of(&outcome.lines, "a"), 0);
    let pods: Vec<_> = outcome
        .verdict
        .invariants
        .iter()
        .flat_map(|one| &one.findings)
        .filter_map(|finding| finding.pod.as_ref().map(|pod| pod.as_str().to_owned()))
        .collect();
    assert!(pods.contains(&"a".to_owned()), "{pods:?}");
    // Where the grace is too short, it is killed, and that is told.
    let turns = [
        "{ run = \"a\", until = { before = \"insert\" } }",
        "{ fault = { terminate = { pod = \"a\", grace = \"0s\", pid1 = true } } }",
    ];
    let outcome = play(TABLE, &text(LOCKED, "", &turns)).await;
    assert_eq!(exit_of(&outcome.lines, "a"), -9);
    let kill = named(&outcome, "kill");
    assert!(
        kill.fired && kill.evidence.contains("the grace was over"),
        "{kill:?}"
    );
    assert_eq!(outcome.verdict.judgement, Judgement::Holds);
}

async fn the_witness_sees_what_becomes_of_a_tables_indexes_triggers_and_policies() {
    let schema = "create function f() returns trigger language plpgsql as 'begin return null; end'";
    let commands = [
        ("create table t (x text)", "CREATE TABLE"),
        ("create index early on t (x)", "CREATE INDEX"),
        (
            "create trigger g after insert on t for each row execute function f()",
            "CREATE TRIGGER",
        ),
        ("create policy p on t", "CREATE POLICY"),
        (
            "create rule r as on delete to t do instead nothing",
            "CREATE RULE",
        ),
        ("drop index early", "DROP INDEX"),
        ("drop trigger g on t", "DROP TRIGGER"),
        ("drop policy p on t", "DROP POLICY"),
        ("drop rule r on t", "DROP RULE"),
        ("drop table t", "DROP TABLE"),
    ];
    let line: String = commands
        .iter()
        .map(|(sql, _)| format!(" -c '{sql}'"))
        .collect();
    let line = format!("exec psql -XqAt -v ON_ERROR_STOP=1{line}");
    let text = format!(
        "{}[pods]\ncount = 1\n",
        text(&line, "", &["{ run = \"a\" }"])
    );
    let outcome = play(schema, &text).await;
    assert_eq!(exit_of(&outcome.lines, "a"), 0);
    let seen: Vec<(String, String)> = outcome
        .lines
        .iter()
        .filter_map(|line| match &line.event {
            Event::Write(write) => match &write.operation {
                Operation::Ddl(what) => Some((write.table.clone(), what.clone())),
                _ => None,
            },
            _ => None,
        })
        .collect();
    let wanted: Vec<_> = commands
        .iter()
        .map(|(_, tag)| ("public.t".to_owned(), (*tag).to_owned()))
        .collect();
    assert_eq!(seen, wanted);
}

async fn the_longest_gap_of_a_clean_run_is_its_pods_and_not_that_of_a_resting_connection() {
    need(Need::Psycopg);
    // The connection with the lock rests while the other one writes for a while.
    let job = "import os, psycopg\nu = os.environ['DATABASE_URL']\n\
               with psycopg.connect(u, autocommit=True) as l, psycopg.connect(u, autocommit=True) as w:\n \
               l.execute('select pg_advisory_lock(7)')\n \
               for i in range(60): w.execute('insert into t (x) select pg_sleep(0.01)::text')\n \
               l.execute('select pg_advisory_unlock(7)')";
    let text = format!(
        "[subject]\ncommand = [\"/usr/bin/python3\", \"-c\", \"\"\"{job}\"\"\"]\n[pods]\ncount = 1\n"
    );
    let outcome = play(TABLE, &text).await;
    let gap = outcome.lines.iter().find_map(|line| match &line.event {
        Event::Run(run) => Some(run.baseline.as_ref()?.max_gap_us),
        _ => None,
    });
    let gap = gap.unwrap();
    // The resting connection's is as long as all of the other's work.
    let took: u64 = outcome.lines.last().unwrap().at_us;
    assert!(gap > 0 && gap < took / 2, "{gap} of {took} µs");
}

crate::harness::tests![
    while_the_server_is_paused_no_fault_lets_a_step_go_and_nothing_is_waited_for_in_vain,
    a_session_ended_behind_a_cut_link_has_ended_and_its_pod_hears_of_it_when_that_is_healed,
    after_a_promotion_pods_go_to_the_new_primary_even_if_the_old_one_comes_back,
    a_signal_without_effect_excuses_nothing_and_the_kill_after_it_is_told,
    the_witness_sees_what_becomes_of_a_tables_indexes_triggers_and_policies,
    the_longest_gap_of_a_clean_run_is_its_pods_and_not_that_of_a_resting_connection,
];
