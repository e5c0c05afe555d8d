//! Jobs, and roles, that take away what lockproof stands on: its database, its sessions, its log, its room.

use std::process::Stdio;

use super::external::External;
use super::sandbox::{Done, Mount, Sandbox, finish};
use super::{fails, scenario};
use crate::harness::{Need, need};

/// A job for psql: each text is a query. It works in its own database first.
fn queries(database: &str, queries: &[&str]) -> String {
    let work = "create table if not exists t (i int); insert into t values (1)";
    let more: String = queries.iter().map(|one| format!(" -c \"{one}\"")).collect();
    let job = format!("psql -qc '{work}' && psql -v ON_ERROR_STOP=1 -qd {database}{more}");
    scenario(&["sh", "-c", &job], "")
}

const THROWN_OUT: [&str; 3] = [
    "no verdict",
    "sessions of its own in the run's database, and was thrown out",
    "put such steps into `prepare`",
];

fn a_job_that_drops_and_makes_its_own_database_is_told_that_it_cannot_be_judged() {
    let make = "create database lockproof";
    fails(
        &queries("postgres", &["drop database lockproof with (force)", make]),
        3,
        &THROWN_OUT,
    );
    fails(
        &queries("postgres", &["drop database lockproof", make]),
        3,
        &[
            "is being accessed by other users",
            "The other sessions in the database are lockproof's own",
        ],
    );
}

fn a_job_that_ends_the_sessions_of_others_or_takes_its_roles_login_is_told_so() {
    let all =
        "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()";
    fails(&queries("lockproof", &[all]), 3, &THROWN_OUT);
    let role = "alter role current_user nosuperuser nologin connection limit 1";
    fails(&queries("lockproof", &[role]), 3, &THROWN_OUT);
}

fn a_job_that_changes_its_roles_password_or_settings_is_judged_by_what_its_next_pod_meets() {
    fails(
        &queries("lockproof", &["alter role current_user password 'another'"]),
        3,
        &["no verdict", "password authentication failed"],
    );
    let read_only = "alter role current_user set default_transaction_read_only = on";
    fails(
        &queries("lockproof", &[read_only]),
        3,
        &["no verdict", "in a read-only transaction"],
    );
    let harmless = [
        "alter role current_user set search_path = nowhere, public",
        "alter role current_user set lock_timeout = '1ms'",
    ];
    fails(&queries("lockproof", &harmless), 0, &["as expected"]);
}

fn a_job_that_changes_its_own_search_path_role_and_replication_role_is_judged_as_any_other() {
    let own = [
        "create schema if not exists x; create table if not exists x.t (i int)",
        "do 'begin create role r; exception when duplicate_object then null; end'",
        "grant all on schema x to r; grant all on x.t to r",
        "set search_path = x; set session_replication_role = replica; set role r; insert into t values (2)",
    ];
    let done = fails(&queries("lockproof", &own), 0, &["as expected"]);
    // What it wrote as another role, past its triggers, was seen.
    assert!(!done.text().contains("x.t was not compared"), "{done}");
}

fn a_job_that_works_in_another_database_only_has_nothing_that_could_be_judged() {
    let job =
        "psql -d postgres -qc 'create table if not exists t (i int); insert into t values (1)'";
    fails(
        &scenario(&["sh", "-c", job], ""),
        3,
        &[
            "inconclusive",
            "no pod wrote a protected table",
            "a pod used another database, postgres: what it did there was not judged",
        ],
    );
}

fn a_baseline_that_never_settles_is_told_with_what_could_not_be_compared() {
    let values =
        "truncate t; insert into t select (1e9 * random())::int from generate_series(1, 5)";
    fails(
        &queries("lockproof", &[values]),
        0,
        &[
            "clean-state was not judged: nothing in the rows of public.t could be compared",
            "public.t.i was not compared",
        ],
    );
    let rows = "insert into t select 1 from generate_series(1, (1 + 1e5 * random())::int)";
    fails(
        &queries("lockproof", &[rows]),
        0,
        &[
            "clean-state was not judged: nothing in the rows of public.t could be compared",
            "serial runs of the same pods in the same order differ",
        ],
    );
}

fn a_log_that_the_job_empties_is_told_and_nothing_is_judged_without_it() {
    let empty = "copy (select 1) to program 'true > log/server.csv'";
    // The file is longer again than it was: its length alone does not tell.
    let fill = "do 'declare was bigint := (pg_stat_file(''log/server.csv'')).size; begin \
        execute ''copy (select 1) to program ''''true > log/server.csv''''''; \
        while (pg_stat_file(''log/server.csv'')).size <= was + 9000 loop \
          raise log ''%'', repeat(''y'', 300); end loop; end'";
    for last in [empty, fill] {
        fails(
            &queries("lockproof", &["insert into t values (1)", last]),
            3,
            &[
                "no verdict",
                "the server's log was rotated or emptied in the middle of a run",
            ],
        );
    }
}

fn a_log_whose_collector_stands_still_is_told_with_what_was_waited_for() {
    // The program is a child of the backend, and the collector is one of the backend's parent.
    let stop = "copy (select 1) to program 'read pid name state server rest < /proc/\\$PPID/stat; \
        for one in \\$(cat /proc/\\$server/task/\\$server/children); do \
          if grep -q logger /proc/\\$one/cmdline; then kill -STOP \\$one; fi; done'";
    fails(
        &queries("lockproof", &["insert into t values (1)", stop]),
        3,
        &[
            "no verdict",
            "the server's log has stopped: waited 30 s for the sentinel line",
            "Its collector stands still",
        ],
    );
}

fn a_role_with_settings_of_its_own_is_used_as_any_other_on_an_external_server() {
    let external = External::start();
    let work = "create table if not exists public.t (i int); insert into public.t values (1)";
    for (setting, code, says) in [
        ("search_path = nowhere", 0, "as expected"),
        ("lock_timeout = '1ms'", 0, "as expected"),
        ("session_replication_role = replica", 0, "as expected"),
        (
            "default_transaction_read_only = on",
            3,
            "in a read-only transaction",
        ),
        ("statement_timeout = '1ms'", 3, "statement timeout"),
    ] {
        let file = scenario(
            &[
                "psql",
                "-v",
                "ON_ERROR_STOP=1",
                "-qc",
                "select pg_sleep(0.1)",
                "-c",
                work,
            ],
            "",
        );
        external
            .ask(&format!("alter role owner set {setting}"))
            .unwrap();
        let sandbox = Sandbox::new();
        sandbox.write("it.toml", file);
        let done = sandbox.run(&["run", "it.toml", "--server", &external.url("owner")]);
        done.fails(code, &[says]);
        let undone = external.ask("alter role owner reset all");
        assert!(undone.is_some(), "{setting}");
        assert_eq!(
            external.databases(),
            Vec::<String>::new(),
            "{setting}: {done}"
        );
        sandbox.is_clear(setting);
    }
}

fn a_place_without_room_for_another_copy_of_the_data_directory_is_named() {
    need(Need::Mounts);
    for (size, says) in [
        // Not even for the first, for what is copied, for a copy, for the databases in it.
        ("2m", "initdb of"),
        ("50m", "could not copy the data directory"),
        ("110m", "could not copy the data directory"),
        ("130m", "could not write"),
    ] {
        let sandbox = Sandbox::new();
        sandbox.write("it.toml", queries("lockproof", &[]));
        let mount = Mount::new(&sandbox.tmp(), &format!("size={size},mode=755"));
        let done = without_shared_memory(&sandbox);
        done.fails(4, &[says, "No space left on device"]);
        sandbox.is_clear(size);
        drop(mount);
    }
}

/// Runs it where data directories go to the temporary directory.
fn without_shared_memory(sandbox: &Sandbox) -> Done {
    let usual = sandbox.command(&["run", "it.toml", "--server", "local"]);
    let mut command = std::process::Command::new("unshare");
    command
        .args(["--mount", "sh", "-c"])
        .arg("mount -t tmpfs -o size=16m none /dev/shm && exec \"$@\"")
        .arg("sh")
        .arg(usual.get_program())
        .args(usual.get_args())
        .current_dir(sandbox.work())
        .env("TMPDIR", sandbox.tmp())
        .env_remove("LOCKPROOF_SERVER")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    finish(command.spawn().unwrap())
}

crate::harness::tests![
    a_job_that_drops_and_makes_its_own_database_is_told_that_it_cannot_be_judged,
    a_job_that_ends_the_sessions_of_others_or_takes_its_roles_login_is_told_so,
    a_job_that_changes_its_roles_password_or_settings_is_judged_by_what_its_next_pod_meets,
    a_job_that_changes_its_own_search_path_role_and_replication_role_is_judged_as_any_other,
    a_job_that_works_in_another_database_only_has_nothing_that_could_be_judged,
    a_baseline_that_never_settles_is_told_with_what_could_not_be_compared,
    a_log_that_the_job_empties_is_told_and_nothing_is_judged_without_it,
    a_log_whose_collector_stands_still_is_told_with_what_was_waited_for,
    a_role_with_settings_of_its_own_is_used_as_any_other_on_an_external_server,
    a_place_without_room_for_another_copy_of_the_data_directory_is_named,
];
