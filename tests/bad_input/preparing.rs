//! Schemas and preparing commands that fail.

use super::sandbox::Sandbox;
use super::{fails, run, scenario};

fn a_schema_that_fails_is_named_with_file_and_line() {
    for (sql, says) in [
        (
            "create table a (i int);\n\ncreate table b (i nosuchtype);\n",
            [
                "tables.sql:3: the schema fails: type \"nosuchtype\" does not exist",
                "3 | create table b",
            ],
        ),
        (
            "-- ä\nselct 1;\n",
            ["tables.sql:2:", "syntax error at or near \"selct\""],
        ),
        // Not a syntax error: the server gives no position.
        (
            "create table a (i int check (i > 0));\n-- select 1/0;\nselect 'x;y';\n\ninsert into a\nvalues (0);\n",
            ["tables.sql:5:", "violates check constraint"],
        ),
    ] {
        let sandbox = Sandbox::new();
        sandbox.write("tables.sql", sql);
        let done = run(
            &sandbox,
            &scenario(&["psql", "-c", "select 1"], "schema = \"tables.sql\""),
        );
        done.fails(2, &says);
    }
}

fn a_schema_that_is_not_there_is_said_before_a_server_is_started() {
    let sandbox = Sandbox::new();
    sandbox.write("it.toml", scenario(&["psql", "-c", "select 1"], ""));
    let done = sandbox.run(&[
        "reproduce",
        "--schedule",
        "it.toml",
        "--schema",
        "none.sql",
        "--",
        "psql",
    ]);
    done.fails(2, &["--schema: there is no schema file", "work/none.sql"]);
    assert!(!done.text().contains("server:"), "{done}");
    let done = sandbox.run(&["reproduce", "--schema", "none.sql", "--", "psql"]);
    done.fails(2, &["--schema: there is no schema file", "work/none.sql"]);
    assert!(!done.text().contains("server:"), "{done}");
}

fn a_prepare_command_that_fails_is_told_with_its_code_and_its_words() {
    let job = ["psql", "-c", "select 1"];
    fails(
        &scenario(
            &job,
            "prepare = \"echo quiet; echo no such seed >&2; exit 9\"",
        ),
        2,
        &[
            "the prepare command `sh -c",
            "exit status: 9; it printed last: no such seed",
        ],
    );
    fails(
        &scenario(&job, "prepare = [\"no-such-program\"]"),
        2,
        &["`no-such-program` failed: it could not be started: No such file"],
    );
    // It may print without end, or leave something running that keeps its output open.
    fails(
        &scenario(
            &job,
            "prepare = \"yes y | head -c 300000000; sleep 600 & exit 5\"",
        ),
        2,
        &["exit status: 5"],
    );
}

fn neither_a_pod_nor_prepare_inherits_another_server_or_what_is_lockproofs_own() {
    let sandbox = Sandbox::new();
    let noted = |file: &str, sql: &str| format!("env | cut -d= -f1 > {file}; psql -Xqc '{sql}'");
    sandbox.write(
        "it.toml",
        scenario(
            &["sh", "-c", &noted("pod.txt", "insert into t values (7)")],
            &format!(
                "prepare = {:?}",
                noted("prepare.txt", "create table t (i int)")
            ),
        ),
    );
    let done = sandbox.run_with(
        &["run", "it.toml", "--server", "local"],
        &[
            ("LOCKPROOF_SERVER", "postgres://me:hunter2@10.0.0.1/mine"),
            ("LOCKPROOF_SECRET", "hunter2"),
            ("PGHOSTADDR", "10.0.0.1"),
            ("PGSERVICE", "mine"),
            ("PGPASSFILE", "/nowhere"),
            ("PGOPTIONS", "-c work_mem=7MB"),
            ("OF_THE_JOB", "7"),
        ],
    );
    assert_eq!(done.code, Some(0), "{done}");
    for file in ["pod.txt", "prepare.txt"] {
        let text = sandbox.read(file);
        let names: Vec<&str> = text.lines().collect();
        for name in [
            "LOCKPROOF_SERVER",
            "LOCKPROOF_SECRET",
            "PGHOSTADDR",
            "PGSERVICE",
            "PGPASSFILE",
        ] {
            assert!(!names.contains(&name), "{file} has {name}");
        }
        for name in ["PATH", "OF_THE_JOB", "PGOPTIONS", "LOCKPROOF_POD", "PGHOST"] {
            assert!(names.contains(&name), "{file} lacks {name}");
        }
    }
    sandbox.is_clear("after the run");
}

fn each_pod_has_a_host_name_of_its_own_unless_the_scenario_sets_it() {
    for (more, names) in [
        ("", "job-a job-b"),
        ("env = { HOSTNAME = \"mine\" }", "mine mine"),
    ] {
        let sandbox = Sandbox::new();
        sandbox.write("t.sql", "create table t (host text)");
        let job = "echo $HOSTNAME > $LOCKPROOF_POD.txt; psql -Xqc \"insert into t values ('x')\"";
        let more = format!("schema = \"t.sql\"\n{more}");
        let two = scenario(&["sh", "-c", job], &more).replace("count = 1", "count = 2");
        let done = run(&sandbox, &two);
        assert_eq!(done.code, Some(0), "{done}");
        let seen = sandbox.read("a.txt") + &sandbox.read("b.txt");
        assert_eq!(seen.split_whitespace().collect::<Vec<_>>().join(" "), names);
    }
}

fn a_setting_that_schema_or_prepare_gives_the_database_is_there_in_a_run() {
    let set = "create table t (i int); do $$ begin execute format('alter database %I set default_transaction_isolation \
               = ''serializable''', current_database()); end $$;";
    let job = "psql -XAtqc 'show default_transaction_isolation' | grep -x serializable && \
               psql -Xqc 'insert into t values (7)'";
    for by_schema in [true, false] {
        let sandbox = Sandbox::new();
        sandbox.write("set.sql", set);
        let more = match by_schema {
            true => "schema = \"set.sql\"",
            false => "prepare = \"psql -Xqf set.sql\"",
        };
        let done = run(&sandbox, &scenario(&["sh", "-c", job], more));
        assert_eq!(done.code, Some(0), "{more}: {done}");
    }
}

crate::harness::tests![
    a_schema_that_fails_is_named_with_file_and_line,
    a_schema_that_is_not_there_is_said_before_a_server_is_started,
    a_prepare_command_that_fails_is_told_with_its_code_and_its_words,
    neither_a_pod_nor_prepare_inherits_another_server_or_what_is_lockproofs_own,
    each_pod_has_a_host_name_of_its_own_unless_the_scenario_sets_it,
    a_setting_that_schema_or_prepare_gives_the_database_is_there_in_a_run,
];
