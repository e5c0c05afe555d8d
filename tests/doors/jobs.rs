//! Whole jobs that come by another door than plain TCP.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use lockproof::internals::search::Outcome;
use lockproof::internals::server::Dwelling;
use lockproof_core::invariant::Judgement;

use super::sandbox::{Done, Sandbox};
use super::support;

const OTHER: &str = include_str!("other.pem");
const SCHEMA: &str = "create table t (n int); insert into t values (0);";
/// What a job says by psql.
const WORK: &str = r#"-X -q -v ON_ERROR_STOP=1 -c "select pg_advisory_lock(7)" -c "update t set n = n + 1" -c "select pg_advisory_unlock(7)""#;
/// One pod is held in its middle, and the other waits for it.
const OVERLAP: &str = r#"
  { run = "a", until = { before = "update" } },
  { run = "b", until = { blocked = true } },"#;
/// The link of one is cut while the server works, and healed again.
const CUT: &str = r#"
  { run = "a", until = { before = "update" } },
  { fault = { blackhole = { pod = "a", point = "in-doubt" } } },
  { run = "b", until = { blocked = true } },
  { fault = { heal = { pod = "a" } } },"#;
/// The connection of one is reset while it has the lock.
const RESET: &str = r#"
  { run = "a", until = { before = "update" } },
  { fault = { reset = { pod = "a" } } },"#;

/// A job that does that once, in the shell; `env` is what the scenario sets.
fn once(shell: &str, env: &str) -> String {
    format!(
        "title = \"it\"\n[subject]\ncommand = ['sh', '-c', '''{shell} psql $AT {WORK}''']\n\
         schema = \"t.sql\"\nlock = {{ key = 7 }}\nenv = {{ {env} }}\n[pods]\ncount = 1\n"
    )
}

/// A place with the schema of such a job.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("t.sql", SCHEMA);
    sandbox
}

/// Runs it.
fn run(sandbox: &Sandbox, text: &str, environment: &[(&str, &str)]) -> Done {
    sandbox.write("it.toml", text);
    sandbox.run_with(&["run", "it.toml", "--server", "local"], environment)
}

#[track_caller]
fn passes(sandbox: &Sandbox, text: &str, environment: &[(&str, &str)]) {
    let done = run(sandbox, text, environment);
    assert_eq!(done.code, Some(0), "{done}");
}

/// What came of two pods that come in so. `before` is what the shell does first, `env` what the scenario sets.
async fn two_pods(before: &str, env: &str, turns: &str) -> Outcome {
    let text = format!(
        r#"
[subject]
command = ["sh", "-c", '''{before} exec psql {WORK}''']
lock = {{ key = 7 }}
release = "any"
env = {{ {env} }}
[pods]
count = 2
[schedule]
turns = [{turns}
]
"#
    );
    support::play(SCHEMA, &text).await
}

/// The same turns by plain TCP, by TLS and by a Unix socket come out alike.
async fn alike(turns: &str, judgement: Judgement) {
    let plain = two_pods("", "", turns).await;
    assert_eq!(plain.verdict.judgement, judgement, "{:#?}", plain.verdict);
    let secured = two_pods(
        "export PGHOST=localhost;",
        r#"PGSSLMODE = "verify-full""#,
        turns,
    )
    .await;
    let by_socket = two_pods(
        "test -S $PGHOST/.s.PGSQL.$PGPORT || exit 9;",
        r#"PGHOST = "{socket}""#,
        turns,
    )
    .await;
    for (name, other) in [("tls", secured), ("socket", by_socket)] {
        assert_eq!(support::trace(&other), support::trace(&plain), "{name}");
        assert_eq!(other.verdict.judgement, judgement, "{name}");
    }
}

async fn two_pods_that_overlap_have_the_same_trace_by_every_door() {
    alike(OVERLAP, Judgement::Holds).await;
}

async fn a_link_that_is_cut_and_healed_has_the_same_trace_by_every_door() {
    alike(CUT, Judgement::Holds).await;
}

async fn a_reset_has_the_same_trace_by_every_door() {
    alike(RESET, Judgement::Holds).await;
}

async fn prepare_comes_by_the_same_doors() {
    let sandbox = sandbox();
    sandbox.write("make.sh", "psql -X -q -c 'create table u (n int)'\n");
    for env in [r#"PGSSLMODE = "verify-full""#, r#"PGHOST = "{socket}""#] {
        let text = once("", env).replace("lock =", "prepare = \"sh make.sh\"\nlock =");
        passes(&sandbox, &text, &[]);
    }
    sandbox.is_clear("after the runs");
}

async fn a_job_that_insists_on_channel_binding_is_told_what_works() {
    let sandbox = sandbox();
    let binding = |how: &str| {
        let env = format!(r#"PGSSLMODE = "require", PGCHANNELBINDING = "{how}""#);
        once("", &env)
    };
    run(&sandbox, &binding("require"), &[]).fails(
        3,
        &[
            "insists on channel binding (`channel_binding=require`): that ends at the proxy",
            "`channel_binding=prefer`, libpq's default, works",
        ],
    );
    // And so it does.
    passes(&sandbox, &binding("prefer"), &[]);
    sandbox.is_clear("after the runs");
}

async fn a_job_that_trusts_another_authority_is_told_where_the_run_s_is() {
    let sandbox = sandbox();
    let other = sandbox.write("other.pem", OTHER).display().to_string();
    let trusting = |file: &str| {
        let env = format!(r#"PGSSLMODE = "verify-full", PGSSLROOTCERT = "{file}""#);
        once("", &env)
    };
    run(&sandbox, &trusting(&other), &[]).fails(
        3,
        &[
            "does not trust the certificate of lockproof's proxy",
            "its authority is in the files that PGSSLROOTCERT, SSL_CERT_FILE and NODE_EXTRA_CA_CERTS name",
        ],
    );
    passes(&sandbox, &trusting("{ca}"), &[]);
    sandbox.is_clear("after the runs");
}

async fn what_a_job_trusts_already_it_still_trusts() {
    let sandbox = sandbox();
    let own = sandbox.write("own.pem", "the user's own\n");
    let checks = "test $(grep -c BEGIN $PGSSLROOTCERT) = 1 && grep -q \"user's own\" $SSL_CERT_FILE && \
                  grep -q \"user's own\" $NODE_EXTRA_CA_CERTS && tail -n 1 $SSL_CERT_FILE | grep -q END && \
                  cmp $PGSSLROOTCERT ~/.postgresql/root.crt && exec";
    let own = own.display().to_string();
    let environment = [
        ("SSL_CERT_FILE", own.as_str()),
        ("NODE_EXTRA_CA_CERTS", &own),
    ];
    passes(&sandbox, &once(checks, ""), &environment);
    sandbox.is_clear("after the run");
}

async fn placeholders_of_env_lead_where_database_url_leads() {
    let sandbox = sandbox();
    let by_tcp =
        r#"URL = "{url}", PARTS = "postgres://{user}:{password}@{host}:{port}/{database}""#;
    let shell =
        "[ $PARTS = $URL ] && [ $URL = $DATABASE_URL ] && export PGHOST=/nowhere AT=$URL && exec";
    passes(&sandbox, &once(shell, by_tcp), &[]);
    let by_socket = r#"URL = "{url}", PGHOST = "{socket}", FOLDER = "{socket}""#;
    let shell = "[ -S $FOLDER/.s.PGSQL.5432 ] && [ $PGPORT = 5432 ] && [ $URL = $DATABASE_URL ] && \
                 export PGHOST=/nowhere AT=$URL && exec";
    passes(&sandbox, &once(shell, by_socket), &[]);
    sandbox.is_clear("after the runs");
}

async fn another_pghost_is_refused_with_what_is_possible() {
    let sandbox = sandbox();
    let done = run(&sandbox, &once("", r#"PGHOST = "db""#), &[]);
    done.fails(
        2,
        &["PGHOST is set by lockproof", "`PGHOST = \"{socket}\"`"],
    );
}

async fn a_socket_has_a_short_path_however_deep_the_temporary_directory_is() {
    let sandbox = sandbox();
    let deep = sandbox.tmp().join("d".repeat(120));
    std::fs::create_dir(&deep).unwrap();
    std::fs::set_permissions(&deep, PermissionsExt::from_mode(0o755)).unwrap();
    let deep = deep.display().to_string();
    let text = once("echo $PGHOST > where; exec", r#"PGHOST = "{socket}""#);
    passes(&sandbox, &text, &[("TMPDIR", &deep)]);
    let place = sandbox.read("where");
    let folder = Path::new(place.trim()).parent().unwrap();
    assert!(folder.starts_with("/tmp"), "{place}");
    let name = folder.file_name().unwrap().to_string_lossy();
    assert!(name.starts_with("lockproof."), "{place}");
    assert!(!folder.exists(), "{place} is left");
}

async fn a_dwelling_s_socket_is_open_to_whoever_may_enter_its_folder() {
    let dwelling = Dwelling::new().unwrap();
    let path = dwelling.socket_of("a").unwrap();
    assert_eq!(path.file_name().unwrap(), ".s.PGSQL.5432");
    assert!(path.as_os_str().len() <= 107);
    let folder = path.parent().unwrap().to_owned();
    drop(dwelling);
    assert!(!folder.exists());
}

crate::harness::tests![
    two_pods_that_overlap_have_the_same_trace_by_every_door,
    a_link_that_is_cut_and_healed_has_the_same_trace_by_every_door,
    a_reset_has_the_same_trace_by_every_door,
    prepare_comes_by_the_same_doors,
    a_job_that_insists_on_channel_binding_is_told_what_works,
    a_job_that_trusts_another_authority_is_told_where_the_run_s_is,
    what_a_job_trusts_already_it_still_trusts,
    placeholders_of_env_lead_where_database_url_leads,
    another_pghost_is_refused_with_what_is_possible,
    a_socket_has_a_short_path_however_deep_the_temporary_directory_is,
    a_dwelling_s_socket_is_open_to_whoever_may_enter_its_folder,
];
