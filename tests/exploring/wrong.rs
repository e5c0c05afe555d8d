//! Subjects and files that a search can make nothing of, or not everything: one clear message each.

use crate::harness::{Need, need};
use crate::sandbox::Done;
use crate::yard::{Yard, locked, psql};

/// Explores a shell script; the exit code and words of the answer.
#[track_caller]
fn says(script: &str, options: &[&str], code: i32, words: &[&str]) -> Done {
    let yard = Yard::new();
    yard.write("job.sh", script);
    let done = yard.explored(options, &["sh", "job.sh"], "human");
    done.fails(code, words);
    done
}

fn a_job_that_writes_nothing_has_nothing_to_guard() {
    says(
        &psql(&["select 1", "select 2"]),
        &[],
        3,
        &["the clean run wrote no table", "--schema, --prepare"],
    );
}

fn a_job_with_no_lock_is_searched_and_told_what_cannot_be_judged() {
    let done = says(
        &psql(&["insert into t values (1)"]),
        &["--strategy", "preemptions"],
        0,
        &["takes no advisory lock", "note without a lock"],
    );
    assert_eq!(done.text().matches("not judged").count(), 1, "{done}");
}

fn a_job_that_differs_from_run_to_run_is_told_with_the_steps_that_do() {
    // A table of its own for each of two runs in turn, so that two clean runs always differ.
    let script = "echo x >> \"$0.count\"; n=$(wc -l < \"$0.count\")\n\
        exec psql -XqAt -c 'insert into t values (1)' -c \"select $((n % 2)) as run_$((n % 2))\"\n";
    says(
        script,
        &["--strategy", "pct", "--schedules", "2"],
        0,
        &["does not do the same in every serial run", "as run_"],
    );
}

fn replays_that_differ_name_pod_step_and_both_sides() {
    let yard = Yard::new();
    let script = "echo x >> \"$0.count\"; n=$(wc -l < \"$0.count\")\n\
        exec psql -XqAt -c 'insert into t values (1)' -c \"select 1 as run_$n\"\n";
    yard.write("job.sh", script);
    let subject =
        "title = \"t\"\n[subject]\ncommand = [\"sh\", \"job.sh\"]\nschema = \"schema.sql\"\n";
    yard.write("it.toml", subject);
    let done = yard.run(&["run", "it.toml", "--times", "2"]);
    assert_eq!(done.code, Some(0), "{done}");
    for words in [
        "the same verdict 2 of 2, the same trace 0 of 2",
        "replay 1, at place 2 of the trace: expected step 2 of pod a (a.0), \"select ? as run_",
        "came step 2 of pod a (a.0), \"select ? as run_",
    ] {
        assert!(done.text().contains(words), "no {words:?} in {done}");
    }
}

fn a_job_that_polls_for_its_lock_is_searched() {
    need(Need::Python);
    let script = r#"# It must keep the session of its lock: psql reads from a pipe.
exec /usr/bin/env python3 - <<'P'
import subprocess, sys
psql = subprocess.Popen(["psql", "-XqAt"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
def ask(sql):
    psql.stdin.write(sql + ";\n"); psql.stdin.flush()
    return psql.stdout.readline().strip()
import time
while ask("select pg_try_advisory_lock(4711)") != "t":
    time.sleep(0.2)
ask("insert into t values (1) returning a")
ask("select pg_advisory_unlock(4711)")
psql.stdin.close(); sys.exit(psql.wait())
P
"#;
    says(
        script,
        &["--strategy", "preemptions"],
        0,
        &["takes advisory lock 4711", "schedules held"],
    );
}

fn a_job_that_works_in_one_transaction_is_searched() {
    let statements = [
        "begin",
        "lock table product in exclusive mode",
        "delete from price",
        "delete from product",
        "insert into product values (1, 'soap')",
        "commit",
    ];
    says(
        &psql(&statements),
        &["--strategy", "preemptions"],
        0,
        &["all schedules held"],
    );
}

fn a_job_that_opens_more_connections_than_there_are_is_told_so() {
    need(Need::Psycopg);
    // On a server of its own: the one that all tests share would have no connection left for them.
    let yard = Yard::new();
    let open = || std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(yard.path(""), open()).unwrap();
    std::fs::create_dir(yard.path("own")).unwrap();
    let connect = "import os, psycopg\n\
        all = [psycopg.connect(os.environ['DATABASE_URL']) for _ in range(1000)]\n";
    yard.write("many.py", connect);
    let explore = [
        "explore",
        "--schema",
        "schema.sql",
        "--server",
        "local",
        "--",
    ];
    let mut command = yard.command(&explore);
    command.args([crate::support::PYTHON, "many.py"]);
    command.env("TMPDIR", yard.path("own"));
    let done = crate::sandbox::finish(command.spawn().unwrap());
    done.fails(3, &["the clean run did not succeed", "too many clients"]);
}

fn a_space_with_nothing_in_it_is_told_and_so_is_a_part_that_there_is_not() {
    let yard = Yard::new();
    yard.write("job.sh", &psql(&["insert into t values (1)"]));
    let explored = |options: &[&str], job: &str, code: i32, words: &[&str]| {
        yard.explored(options, &["sh", job], "human")
            .fails(code, words);
    };
    explored(
        &["--pods", "1"],
        "job.sh",
        2,
        &["no schedule to run", "--pods 2"],
    );
    for (shard, words) in [
        (
            "3/3",
            "there is no shard 3 of 3: the index goes from 0 to 2",
        ),
        ("0/0", "a search cannot be split into 0 shards"),
        ("x/y", "\"x/y\" is no shard; a shard is written I/N"),
        ("", "\"\" is no shard"),
        (
            "4",
            "JOB_COMPLETION_INDEX says which one this is, and it is not set",
        ),
    ] {
        explored(&["--shard", shard], "job.sh", 2, &["--shard: ", words]);
    }
}

fn a_command_that_is_not_there_or_does_not_work_is_told() {
    let yard = Yard::new();
    let done = yard.explored(&[], &["no-such-job"], "json");
    done.fails(2, &["program \"no-such-job\" was not found"]);
    assert_eq!(done.json()["exit_code"], 2);
    says(
        "echo no config; exit 7\n",
        &[],
        3,
        &["exited with code 7", "a: no config"],
    );
    says(
        "echo done\n",
        &[],
        3,
        &["never connected to the server", "DATABASE_URL"],
    );
    let done = yard.run(&["explore", "--schema", "none.sql", "--", "true"]);
    done.fails(2, &["--schema: there is no schema file", "none.sql"]);
    let done = yard.run(&["explore", "--scenario", "none.toml"]);
    done.fails(2, &["none.toml"]);
}

/// A schedule of another subject, or of a version that had other words.
fn a_schedule_of_another_subject_or_version_is_told() {
    let yard = Yard::new();
    yard.write("job.sh", &locked());
    let file = |schedule: &str| {
        format!(
            "title = \"t\"\n[subject]\ncommand = [\"sh\", \"job.sh\"]\nschema = \"schema.sql\"\n\
             [schedule]\n{schedule}\n"
        )
    };
    let other =
        "turns = [{ run = \"a\", until = { before = \"insert into invoices\" } }, { run = \"b\" }]";
    yard.write("other.toml", &file(other));
    let done = yard.run(&["run", "other.toml"]);
    done.fails(
        3,
        &[
            "guard ✗ stops-reached",
            "insert into invoices",
            "was never reached",
        ],
    );
    let done = yard.run(&["reproduce", "--times", "1", "--schedule", "other.toml"]);
    assert_ne!(done.code, Some(0), "{done}");
    yard.write("newer.toml", &file("rounds = 3"));
    yard.run(&["run", "newer.toml"])
        .fails(2, &["newer.toml:6:1", "rounds"]);
}

crate::harness::tests![
    a_job_that_writes_nothing_has_nothing_to_guard,
    a_job_with_no_lock_is_searched_and_told_what_cannot_be_judged,
    a_job_that_differs_from_run_to_run_is_told_with_the_steps_that_do,
    replays_that_differ_name_pod_step_and_both_sides,
    a_job_that_polls_for_its_lock_is_searched,
    a_job_that_works_in_one_transaction_is_searched,
    a_job_that_opens_more_connections_than_there_are_is_told_so,
    a_space_with_nothing_in_it_is_told_and_so_is_a_part_that_there_is_not,
    a_command_that_is_not_there_or_does_not_work_is_told,
    a_schedule_of_another_subject_or_version_is_told,
];
