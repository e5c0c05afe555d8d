//! Any client that speaks protocol 3.0 or 3.2 works through the proxy, in both pacings, with TLS, against
//! a real server: the same program prints the same with the proxy and without.

// Test code: a failed unwrap is a failed test, in helper functions too.
#![allow(clippy::unwrap_used)]
#![deny(dead_code)]

mod harness;
#[path = "support/mod.rs"]
mod support;
#[path = "clients/tokio_program.rs"]
mod tokio_program;

use std::process::Stdio;
use std::time::Duration;

use harness::{Need, need};
use lockproof::internals::pod::Program;
use lockproof::internals::run::{Plan, Waits, run_once};
use lockproof::internals::search::{Job, Stage};
use lockproof::internals::server::Server;
use lockproof_core::history::{
    Event, Line, LockRule, OnContention, OutputStream, Release, Rules, Writer,
};
use lockproof_core::schedule::{FreeSchedule, Schedule};
use support::{NODE_PATH, PYTHON};

/// What a program printed and how it ended.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    stdout: Vec<String>,
    stderr: Vec<String>,
    exit: i32,
}

fn program(argv: &[&str], env: &[(&str, &str)]) -> Program {
    Program {
        argv: argv.iter().map(|word| (*word).to_owned()).collect(),
        env: env
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        dir: None,
        isolation: None,
    }
}

fn job(program: Program) -> Job {
    Job {
        text: program.argv.join(" "),
        program,
        schema: None,
        prepare: None,
        database: None,
        lock_rows: Vec::new(),
    }
}

/// The program against the server itself, in a database of its own.
async fn direct(server: &Server, program: &Program) -> Said {
    let database = server.create_database("direct", None).await.unwrap();
    let address = server.address();
    let output = tokio::process::Command::new(&program.argv[0])
        .args(&program.argv[1..])
        .envs(program.env.iter().cloned())
        .env(
            "DATABASE_URL",
            address.url(&database.name, &address.host, address.port),
        )
        .env("PGHOST", &address.host)
        .env("PGPORT", address.port.to_string())
        .env("PGDATABASE", &database.name)
        .env("PGUSER", &address.user)
        .env("PGPASSWORD", address.password.expose())
        .env("PGSSLMODE", "disable")
        .env("PGGSSENCMODE", "disable")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(Duration::from_secs(60), output)
        .await
        .expect("the program ends")
        .unwrap();
    server.drop_database(database).await.unwrap();
    let lines = |bytes: &[u8]| {
        String::from_utf8_lossy(bytes)
            .lines()
            .map(str::to_owned)
            .collect()
    };
    Said {
        stdout: lines(&output.stdout),
        stderr: lines(&output.stderr),
        exit: output.status.code().unwrap_or(-1),
    }
}

fn plan(job: &Job, schedule: Schedule) -> Plan {
    Plan {
        title: "a client".to_owned(),
        subject: job.text.clone(),
        program: job.program.clone(),
        pods: 1,
        cronjob: None,
        recovery: false,
        names: None,
        elsewhere: false,
        schedule,
        rules: Rules {
            lock_mode: None,
            ignore: Vec::new(),
            lock_rows: Vec::new(),
            unguarded: Vec::new(),
            protect: Vec::new(),
            lock: LockRule::None,
            release: Release::Any,
            on_contention: OnContention::Wait,
            answers: Vec::new(),
            only_sqlstates: None,
            guards: Vec::new(),
        },
        baseline: None,
        one_request: false,
        // Its triggers would show in what psql says of a table.
        witness: false,
        stop_at_error: false,
        stop_only_at: None,
        sparse_locks: false,
        pooler: None,
        standby: false,
        time_limit: Duration::from_secs(90),
        waits: Waits::default(),
    }
}

fn free() -> Schedule {
    Schedule::Free(FreeSchedule {
        stagger: (Duration::ZERO, Duration::ZERO),
        seed: 0,
        faults: Vec::new(),
    })
}

/// The program through the proxy of a run.
async fn proxied(stage: &Stage, plan: &Plan) -> (Said, Vec<Line>) {
    let seat = stage.seat().await.unwrap();
    let run = run_once(seat.place(), plan, Writer::in_memory(), false)
        .await
        .unwrap();
    if std::env::var_os("DUMP").is_some() {
        support::dump(&run.lines);
    }
    assert_eq!(support::limit(&run.lines), None);
    let said = Said {
        stdout: support::printed(&run.lines, "a", OutputStream::Stdout),
        stderr: support::printed(&run.lines, "a", OutputStream::Stderr),
        exit: support::exit_of(&run.lines, "a"),
    };
    (said, run.lines)
}

/// Only what the program itself prints, not the test harness that it is started by.
fn own_words(mut said: Said) -> Said {
    said.stdout.retain(|line| line.contains("out: "));
    said.stderr.retain(|line| !line.is_empty());
    said
}

/// The histories of the controlled and the free run of a program that prints the same in both as
/// without the proxy.
async fn prints_the_same(program: Program, last: &str, clean: fn(Said) -> Said) -> [Vec<Line>; 2] {
    let server = support::server().await;
    let job = job(program);
    let stage = Stage::build(&server, &job).await.unwrap();
    let expected = clean(direct(&server, &job.program).await);
    assert_eq!(
        expected.stdout.last().map(String::as_str),
        Some(last),
        "the program does not get to its end without the proxy: {expected:#?}"
    );
    assert_eq!(expected.exit, 0, "{expected:#?}");
    let mut histories = Vec::new();
    for schedule in [Schedule::Controlled(Vec::new()), free()] {
        let name = format!("{schedule:?}");
        let (said, lines) = proxied(&stage, &plan(&job, schedule)).await;
        let said = clean(said);
        for (is, was) in said.stdout.iter().zip(&expected.stdout) {
            assert_eq!(is, was, "{name}");
        }
        assert_eq!(said, expected, "{name}");
        histories.push(lines);
    }
    stage.strike().await.unwrap();
    server.release().await.unwrap();
    histories.try_into().unwrap()
}

/// The history of a program that prints the same where it insists on TLS with a certificate for the name by
/// which it knows the proxy. (Without the proxy there is no TLS. With it, none of them goes on without.)
async fn prints_the_same_over_tls(
    mut program: Program,
    last: &str,
    clean: fn(Said) -> Said,
) -> Vec<Line> {
    let server = support::server().await;
    program
        .env
        .push(("PGSSLMODE".to_owned(), "verify-full".to_owned()));
    let job = job(program);
    let stage = Stage::build(&server, &job).await.unwrap();
    let expected = clean(direct(&server, &job.program).await);
    assert_eq!(expected.stdout.last().map(String::as_str), Some(last));
    let plan = plan(&job, Schedule::Controlled(Vec::new()));
    let (said, lines) = proxied(&stage, &plan).await;
    assert_eq!(clean(said), expected);
    stage.strike().await.unwrap();
    server.release().await.unwrap();
    lines
}

/// The SQL of all steps.
fn sql(lines: &[Line]) -> Vec<String> {
    lines
        .iter()
        .filter_map(|line| match &line.event {
            Event::StepHeld { request, .. } => Some(request.sql.join("; ")),
            _ => None,
        })
        .collect()
}

fn has(lines: &[Line], wanted: &str) {
    let sql = sql(lines);
    assert!(
        sql.iter().any(|sql| sql.contains(wanted)),
        "no step has {wanted:?}: {sql:#?}"
    );
}

/// Every cancel request names the backend of one of the pod's sessions.
fn cancels(lines: &[Line], count: usize) {
    let pids: Vec<i32> = lines
        .iter()
        .filter_map(|line| match &line.event {
            Event::SessionStarted { session, .. } => Some(session.pid),
            _ => None,
        })
        .collect();
    let targets: Vec<i32> = lines
        .iter()
        .filter_map(|line| match &line.event {
            Event::CancelRequested { target_pid, .. } => Some(*target_pid),
            _ => None,
        })
        .collect();
    assert_eq!(targets.len(), count, "cancel requests in the history");
    assert!(targets.iter().all(|pid| pids.contains(pid)), "{targets:?}");
}

async fn psql_prints_the_same_through_the_proxy_in_both_pacings() {
    let script = support::file("clients/psql.sh");
    let [controlled, free] =
        prints_the_same(program(&["sh", &script], &[]), "end", |said| said).await;
    for lines in [&controlled, &free] {
        has(lines, "rollback to s");
        has(lines, "copy t (id, x) from stdin");
        has(lines, "COPY  t ( id, x ) FROM STDIN");
    }
}

async fn psycopg_prints_the_same_through_the_proxy_in_both_pacings() {
    need(Need::Psycopg);
    let script = support::file("clients/with_psycopg.py");
    let histories = prints_the_same(program(&[PYTHON, &script], &[]), "end", |said| said).await;
    for lines in &histories {
        has(lines, "select pg_sleep(20)");
        has(lines, "update p set b = $1 where id = $2");
        cancels(lines, 1);
    }
}

async fn asyncpg_prints_the_same_through_the_proxy_in_both_pacings() {
    need(Need::Asyncpg);
    let script = support::file("clients/with_asyncpg.py");
    let [controlled, free] =
        prints_the_same(program(&[PYTHON, &script], &[]), "end", |said| said).await;
    for lines in [&controlled, &free] {
        has(lines, "/* prepare */ insert into p (id, x, b)");
        has(lines, "COPY \"p\"(\"id\", \"x\") FROM STDIN");
    }
    has(&controlled, "commit /* by Sync */");
    let inserts = sql(&controlled);
    let each = inserts
        .iter()
        .filter(|sql| **sql == "insert into p (id, x) values ($1, $2)");
    assert_eq!(each.count(), 1 + 60 + 3, "executemany holds each execution");
}

async fn node_postgres_prints_the_same_through_the_proxy_in_both_pacings() {
    need(Need::NodePostgres);
    let script = support::file("clients/node-pg.cjs");
    let env = [("NODE_PATH", NODE_PATH)];
    let histories =
        prints_the_same(program(&["node", &script], &env), "\"end\"", |said| said).await;
    for lines in &histories {
        has(lines, "select x, b from n where id = $1");
        has(lines, "generate_series(1, 25)");
    }
}

async fn tokio_postgres_prints_the_same_through_the_proxy_in_both_pacings() {
    let own = std::env::current_exe().unwrap().display().to_string();
    let histories = prints_the_same(
        program(&[&own], &[(tokio_program::SWITCH, "1")]),
        "out: end",
        own_words,
    )
    .await;
    for lines in &histories {
        has(lines, "select $1::int4 * 2");
        has(lines, "select count(*) from r where id = 700");
        cancels(lines, 1);
    }
}

async fn psql_prints_the_same_over_tls_verified_by_a_host_name() {
    let script = format!(
        "[ \"$PGSSLMODE\" = disable ] || export PGHOST=localhost; exec sh {}",
        support::file("clients/psql.sh")
    );
    let program = program(&["sh", "-c", &script], &[]);
    let by_any_name = |mut said: Said| {
        for line in &mut said.stdout {
            *line = line.replace("\"localhost\" (127.0.0.1)", "host");
        }
        said
    };
    let lines = prints_the_same_over_tls(program, "end", by_any_name).await;
    has(&lines, "copy t (id, x) from stdin");
}

async fn psycopg_prints_the_same_over_tls() {
    need(Need::Psycopg);
    let script = support::file("clients/with_psycopg.py");
    let program = program(&[PYTHON, &script], &[]);
    let lines = prints_the_same_over_tls(program, "end", |said| said).await;
    cancels(&lines, 1);
}

async fn asyncpg_prints_the_same_over_tls() {
    need(Need::Asyncpg);
    let script = support::file("clients/with_asyncpg.py");
    let program = program(&[PYTHON, &script], &[]);
    let lines = prints_the_same_over_tls(program, "end", |said| said).await;
    has(&lines, "commit /* by Sync */");
}

async fn node_postgres_prints_the_same_over_tls() {
    need(Need::NodePostgres);
    let script = support::file("clients/node-pg.cjs");
    let program = program(&["node", &script], &[("NODE_PATH", NODE_PATH)]);
    let lines = prints_the_same_over_tls(program, "\"end\"", |said| said).await;
    has(&lines, "select x, b from n where id = $1");
}

async fn tokio_postgres_prints_the_same_over_tls_of_rustls() {
    let own = std::env::current_exe().unwrap().display().to_string();
    let program = program(&[&own], &[(tokio_program::SWITCH, "1")]);
    let lines = prints_the_same_over_tls(program, "out: end", own_words).await;
    has(&lines, "select $1::int4 * 2");
    cancels(&lines, 1);
}

crate::harness::tests![
    psql_prints_the_same_over_tls_verified_by_a_host_name,
    psycopg_prints_the_same_over_tls,
    asyncpg_prints_the_same_over_tls,
    node_postgres_prints_the_same_over_tls,
    tokio_postgres_prints_the_same_over_tls_of_rustls,
    psql_prints_the_same_through_the_proxy_in_both_pacings,
    psycopg_prints_the_same_through_the_proxy_in_both_pacings,
    asyncpg_prints_the_same_through_the_proxy_in_both_pacings,
    node_postgres_prints_the_same_through_the_proxy_in_both_pacings,
    tokio_postgres_prints_the_same_through_the_proxy_in_both_pacings,
];

fn main() -> std::process::ExitCode {
    if std::env::var_os(tokio_program::SWITCH).is_some() {
        harness::on_this_thread(tokio_program::run());
        return std::process::ExitCode::SUCCESS;
    }
    harness::run([tests()])
}
