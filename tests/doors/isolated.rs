//! A network of its own for a job that has its server's address built in.

use std::io::Read;
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};

use super::sandbox::{Done, Sandbox};
use super::support;
use crate::harness::{Need, need};

const SCHEMA: &str = "create table t (n int); insert into t values (0);";
const WORK: &str = r#"-X -q -v ON_ERROR_STOP=1 -c "select pg_advisory_lock(7)" -c "update t set n = n + 1" -c "select pg_advisory_unlock(7)""#;

/// A job in the shell that knows of no variable but who it is.
fn scenario(shell: &str, isolate: &str, count: u32) -> String {
    format!(
        r#"
[subject]
command = ["sh", "-c", '''{shell}''']
lock = {{ key = 7 }}
release = "any"
{isolate}
[pods]
count = {count}
"#
    )
}

fn run(sandbox: &Sandbox, text: &str) -> Done {
    sandbox.write("t.sql", SCHEMA);
    let text = text.replace("lock =", "schema = \"t.sql\"\nlock =");
    sandbox.write("it.toml", format!("title = \"it\"\n{text}"));
    sandbox.run(&["run", "it.toml", "--server", "local"])
}

async fn a_job_with_its_address_built_in_has_the_same_trace_as_one_that_is_told() {
    need(Need::Mounts);
    let turns = r#"
[schedule]
turns = [
  { run = "a", until = { before = "update" } },
  { run = "b", until = { blocked = true } },
]
"#;
    let told = scenario(&format!("exec psql {WORK}"), "", 2) + turns;
    let told = support::play(SCHEMA, &told).await;
    for place in ["db.internal", "127.0.0.1", "localhost"] {
        // With the address that the URL of the job's own configuration would have.
        let shell =
            format!("unset PGHOST PGPORT DATABASE_URL; exec psql -h {place} -p 5432 {WORK}");
        let isolate = r#"isolate = ["db.internal:5432"]"#;
        let outcome = support::play(SCHEMA, &(scenario(&shell, isolate, 2) + turns)).await;
        assert_eq!(support::trace(&outcome), support::trace(&told), "{place}");
        assert_eq!(outcome.verdict.judgement, told.verdict.judgement, "{place}");
        // Nobody else is in its network: it rests where it would rest outside.
        let assumed = outcome.verdict.not_tested.len();
        assert_eq!(
            assumed,
            told.verdict.not_tested.len(),
            "{:#?}",
            outcome.verdict.not_tested
        );
    }
}

fn what_it_is_told_leads_there_too_and_nothing_else_does() {
    need(Need::Mounts);
    let sandbox = Sandbox::new();
    let shell = format!(
        "test $PGHOST:$PGPORT = 127.0.0.1:7000 && test $(uname -n) = job-$LOCKPROOF_POD && \
         ! psql -h 127.0.0.1 -p 5432 -c \"select 1\" && exec psql $DATABASE_URL {WORK}"
    );
    let done = run(
        &sandbox,
        &scenario(&shell, r#"isolate = ["db:7000", "other:7001"]"#, 1),
    );
    assert_eq!(done.code, Some(0), "{done}");
    sandbox.is_clear("after the run");
}

fn a_program_that_is_not_there_is_told_as_always() {
    need(Need::Mounts);
    let sandbox = Sandbox::new();
    let text = scenario("", "isolate = [\"db\"]", 1).replace("\"sh\"", "\"/no/such/job\"");
    run(&sandbox, &text).fails(2, &["program \"/no/such/job\" was not found"]);
}

fn places_that_cannot_be_are_refused() {
    let sandbox = Sandbox::new();
    for (isolate, text) in [
        ("[]", "no place is named"),
        ("[\"10.0.0.7:5432\"]", "is an address on a real network"),
        ("[\"db:0\"]", "has no port behind its colon"),
        ("[\"a b\"]", "is no `host` and no `host:port`"),
    ] {
        let done = run(
            &sandbox,
            &scenario("true", &format!("isolate = {isolate}"), 1),
        );
        done.fails(2, &[text]);
    }
}

fn where_the_kernel_forbids_it_the_call_is_named() {
    need(Need::Mounts);
    let sandbox = Sandbox::new();
    let hand = sandbox.work().join("hand");
    let door = UnixListener::bind(&hand).unwrap();
    // In a user namespace of its own, in which no network may be made.
    let mut child = Command::new("unshare")
        .args(["--user", "--map-root-user", "sh", "-c"])
        .arg("echo 0 > /proc/sys/user/max_net_namespaces && exec \"$@\"")
        .arg("sh")
        .arg(env!("CARGO_BIN_EXE_lockproof"))
        .arg("enter-network")
        .arg(&hand)
        .arg(sandbox.work().join("hosts"))
        .args(["job-a", "db", "5432", "/bin/true", "true"])
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut stream, _) = door.accept().unwrap();
    let mut told = String::new();
    stream.read_to_string(&mut told).unwrap();
    assert!(told.starts_with("!unshare: "), "{told}");
    assert_eq!(child.wait().unwrap().code(), Some(4));
}

crate::harness::tests![
    a_job_with_its_address_built_in_has_the_same_trace_as_one_that_is_told,
    what_it_is_told_leads_there_too_and_nothing_else_does,
    a_program_that_is_not_there_is_told_as_always,
    places_that_cannot_be_are_refused,
    where_the_kernel_forbids_it_the_call_is_named,
];
