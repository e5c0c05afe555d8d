//! A job of one's own, from nothing to a verdict: `init`, the keys of a scenario as options, the scenario of the
//! working directory, and what is said where the first run fails.

#![allow(clippy::unwrap_used)]
#![deny(dead_code)]

mod harness;
#[path = "support/kept.rs"]
mod kept;
#[path = "bad_input/sandbox.rs"]
mod sandbox;
#[path = "exploring/yard.rs"]
#[allow(
    dead_code,
    reason = "helpers of another test program, of which this one uses a part"
)]
mod yard;

use lockproof_core::scenario::{self, LockName};
use yard::{REFILL, Yard, locked, psql};

fn yard() -> Yard {
    kept::keep_server();
    Yard::new()
}

/// A yard with this job, and what `init` says of it.
fn begun(script: &str, options: &[&str]) -> (Yard, sandbox::Done) {
    let yard = yard();
    yard.write("job.sh", script);
    let mut words = vec!["init", "--schema", "schema.sql"];
    words.extend(options);
    words.extend(["--", "sh", "job.sh"]);
    let done = yard.run(&words);
    (yard, done)
}

fn a_job_with_a_lock_is_written_down_with_it_and_explored_and_run_without_arguments() {
    let (yard, done) = begun(&locked(), &[]);
    assert_eq!(done.code, Some(0), "{done}");
    for words in [
        "6 steps in",
        "writes public.price, public.product",
        "advisory lock 4711",
        "written lockproof.toml",
        "lockproof explore",
    ] {
        assert!(done.text().contains(words), "{words}: {done}");
    }
    let file = yard.path("lockproof.toml");
    let written = scenario::load(&file).unwrap();
    assert_eq!(written.subject.lock, Some(LockName::Key(4711)));
    assert_eq!(
        written.subject.schema,
        Some(yard.path("schema.sql").canonicalize().unwrap())
    );
    let run = yard.run(&["run"]);
    assert_eq!(run.code, Some(0), "{run}");
    assert!(run.text().contains("1 of 1 scenarios as expected"), "{run}");
    // psql gives its lock back with its session where a statement fails: that is a finding about `release`.
    let explored = yard.run(&["explore", "--release", "any"]);
    assert_eq!(explored.code, Some(0), "{explored}");
    // From another directory the file means the same job.
    std::fs::create_dir(yard.path("below")).unwrap();
    let mut command = yard.command(&["run", "../lockproof.toml"]);
    let elsewhere = sandbox::finish(command.current_dir(yard.path("below")).spawn().unwrap());
    assert_eq!(elsewhere.code, Some(0), "{elsewhere}");
    // And where it is not, nothing is taken by surprise.
    let mut command = yard.command(&["run"]);
    let none = sandbox::finish(command.current_dir(yard.path("below")).spawn().unwrap());
    none.fails(2, &["There is one above", "/lockproof.toml"]);
}

fn a_job_without_a_lock_fails_in_the_order_that_init_wrote() {
    let (yard, done) = begun(&psql(&REFILL), &[]);
    assert_eq!(done.code, Some(0), "{done}");
    assert!(done.text().contains("no lock was seen"), "{done}");
    let run = yard.run(&["run"]);
    assert_eq!(run.code, Some(1), "{run}");
    let explored = yard.run(&["explore", "--save", "found", "--times", "2"]);
    assert_eq!(explored.code, Some(1), "{explored}");
    let kept = yard.run(&["run", "found"]);
    assert_eq!(kept.code, Some(0), "{kept}");
}

fn a_file_that_is_there_is_left_as_it_is_unless_it_is_to_be_written_anew() {
    let yard = yard();
    yard.write("job.sh", &psql(&REFILL));
    yard.write("lockproof.toml", "mine");
    let words = ["init", "--schema", "schema.sql", "--", "sh", "job.sh"];
    let done = yard.run(&words);
    done.fails(2, &["lockproof.toml is there already", "--force", "--file"]);
    assert!(!done.text().contains("server:"), "{done}");
    assert_eq!(
        std::fs::read_to_string(yard.path("lockproof.toml")).unwrap(),
        "mine"
    );
    let mut other = words.to_vec();
    other.splice(1..1, ["--file", "locks/refill.toml"]);
    std::fs::create_dir(yard.path("locks")).unwrap();
    let done = yard.run(&other);
    assert_eq!(done.code, Some(0), "{done}");
    assert!(
        done.text().contains("lockproof run locks/refill.toml"),
        "{done}"
    );
    let text = std::fs::read_to_string(yard.path("locks/refill.toml")).unwrap();
    assert!(
        text.contains("dir = \"..\"\n") && text.contains("schema = \"../schema.sql\"\n"),
        "{text}"
    );
    let run = yard.run(&["run", "locks/refill.toml"]);
    // The job has no lock, so its order fails; what counts here is that it was found from there.
    assert_eq!(run.code, Some(1), "{run}");
    let mut anew = words.to_vec();
    anew.insert(1, "--force");
    let done = yard.run(&anew);
    assert_eq!(done.code, Some(0), "{done}");
    assert!(scenario::load(&yard.path("lockproof.toml")).is_ok());
}

fn each_option_of_the_job_stands_in_the_file_that_init_writes() {
    let script = "test \"$APP_DSN\" = \"$DATABASE_URL\" || exit 9\n".to_owned()
        + &psql(&["insert into t values (1)"]);
    let (yard, done) = begun(
        &script,
        &[
            "--env",
            "APP_DSN={url}",
            "--lock",
            "1,2",
            "--release",
            "any",
            "--on-contention",
            "skip",
            "--protect",
            "t",
            "--time-limit",
            "45s",
            "--pods",
            "3",
            "--no-faults",
            "--title",
            "three of them",
        ],
    );
    assert_eq!(done.code, Some(0), "{done}");
    let text = std::fs::read_to_string(yard.path("lockproof.toml")).unwrap();
    for line in [
        "title = \"three of them\"",
        "env = { APP_DSN = \"{url}\" }",
        "lock = { keys = [1, 2] }",
        "release = \"any\"",
        "on_contention = \"skip\"",
        "protect = [\"t\"]",
        "time_limit = \"45s\"",
        "count = 3",
        "faults = []",
    ] {
        assert!(text.lines().any(|one| one == line), "{line}: {text}");
    }
}

fn options_take_the_place_of_the_keys_of_a_file() {
    let yard = yard();
    yard.write("job.sh", &locked());
    yard.write(
        "it.toml",
        "title = \"t\"\n[subject]\ncommand = [\"sh\", \"job.sh\"]\nschema = \"schema.sql\"\nlock = { key = 1 }\n",
    );
    let run = yard.run(&["run", "it.toml"]);
    assert_eq!(run.code, Some(1), "the job takes another lock: {run}");
    let run = yard.run(&["run", "it.toml", "--lock", "4711"]);
    assert_eq!(run.code, Some(0), "{run}");
    let run = yard.run(&[
        "run",
        "it.toml",
        "--violates",
        "work-under-lock",
        "--may-violate",
        "same-session",
    ]);
    assert_eq!(run.code, Some(0), "{run}");
    let wrong = yard.run(&["run", "it.toml", "--release", "never"]);
    wrong.fails(
        2,
        &[
            "--release: unknown variant `never`",
            "`unlock`, `process`, `any`",
        ],
    );
    let wrong = yard.run(&["explore", "--guards", "overlap", "--", "true"]);
    wrong.fails(
        2,
        &[
            "--guards: expect.guards is about one schedule",
            "lockproof run",
        ],
    );
}

fn a_job_is_started_in_its_files_folder_or_where_its_files_are_found_alone() {
    let yard = yard();
    std::fs::create_dir(yard.path("jobs")).unwrap();
    let file = |command: &str| {
        format!(
            "title = \"where\"\n[subject]\ncommand = [\"sh\", \"{command}\"]\nschema = \"../schema.sql\"\n\
             [schedule]\nturns = [{{ run = \"a\" }}, {{ run = \"b\" }}]\n[expect]\nguards = []\n"
        )
    };
    let folder = |yard: &Yard| std::fs::read_to_string(yard.path("where")).unwrap();
    let job = |yard: &Yard, name: &str| {
        let place = yard.path("where");
        yard.write(name, &format!("pwd > '{}'\n{}", place.display(), locked()));
    };
    let jobs = yard.path("jobs").canonicalize().unwrap();
    let here = jobs.parent().unwrap().to_owned();
    for (script, command, place) in [
        ("jobs/job.sh", "job.sh", &jobs),
        // As scenarios had it that are older than the rule.
        ("jobs/job.sh", "jobs/job.sh", &here),
    ] {
        job(&yard, script);
        yard.write("jobs/it.toml", &file(command));
        let done = yard.run(&["run", "jobs/it.toml"]);
        assert_eq!(done.code, Some(0), "{done}");
        assert_eq!(folder(&yard).trim(), place.display().to_string());
    }
}

fn the_file_of_another_directory_brings_its_own_job_and_one_above_is_not_taken_by_itself() {
    let yard = yard();
    for (folder, table) in [("here", "product"), ("there", "setting")] {
        std::fs::create_dir_all(yard.path(folder).join("below")).unwrap();
        let insert = match table {
            "product" => "insert into product values (1, 'soap') on conflict do nothing",
            _ => "insert into setting values ('colour') on conflict do nothing",
        };
        yard.write(&format!("{folder}/job.sh"), &psql(&[insert]));
        yard.write(
            &format!("{folder}/lockproof.toml"),
            "title = \"own\"\n[subject]\ncommand = [\"sh\", \"job.sh\"]\nschema = \"../schema.sql\"\n[schedule]\nturns = \
             [{ run = \"a\" }, { run = \"b\" }]\n[expect]\nguards = []\n",
        );
    }
    let from = |folder: &str, words: &[&str]| {
        let mut command = yard.command(words);
        sandbox::finish(command.current_dir(yard.path(folder)).spawn().unwrap())
    };
    // Its command, its schema and its tables, from wherever it is named; and not those of the same name here.
    let there = "../there/lockproof.toml";
    let run = from("here", &["run", there, "--out", "out"]);
    assert_eq!(run.code, Some(0), "{run}");
    let search = from("here", &["explore", "--scenario", there]);
    assert_eq!(search.code, Some(0), "{search}");
    assert!(search.text().contains("writes setting"), "{search}");
    let own = from("here", &["explore"]);
    assert!(own.text().contains("writes product"), "{own}");
    // Below it, neither that file nor the built-in job is meant for sure.
    for words in [&["run"][..], &["explore"]] {
        from("here/below", words).fails(2, &["here/lockproof.toml"]);
    }
}

fn a_directory_that_lockproof_wrote_is_not_searched_for_scenarios() {
    let (yard, done) = begun(&locked(), &[]);
    assert_eq!(done.code, Some(0), "{done}");
    assert_eq!(yard.run(&["run"]).code, Some(0));
    assert!(
        yard.path("lockproof-out/run/lockproof/scenario.toml")
            .exists()
    );
    let run = yard.run(&["run", "."]);
    assert!(run.text().contains("1 of 1 scenarios as expected"), "{run}");
    // Who names it means it, and the job is found from there.
    let run = yard.run(&["run", "lockproof-out/run.old/lockproof/scenario.toml"]);
    assert_eq!(run.code, Some(0), "{run}");
}

fn a_missing_table_is_told_with_the_options_that_make_it() {
    let yard = yard();
    let job = [
        "psql",
        "-v",
        "ON_ERROR_STOP=1",
        "-c",
        "insert into nowhere values (1)",
    ];
    let mut words = vec!["init", "--"];
    words.extend(job);
    let done = yard.run(&words);
    done.fails(3, &["nowhere", "42P01", "--schema FILE", "--prepare CMD"]);
    assert!(!yard.path("lockproof.toml").exists());
}

fn a_job_that_goes_to_another_address_is_told_with_that_address_whatever_its_exit_code() {
    let yard = yard();
    // Port 9 takes no connection here.
    let elsewhere = "psql 'host=127.0.0.1 port=9 user=x' -c 'select 1'";
    for (script, ended) in [
        (elsewhere.to_owned(), Some("it exited with code 2")),
        (format!("{elsewhere} || true"), None),
    ] {
        let done = yard.run(&["init", "--", "sh", "-c", &script]);
        done.fails(
            3,
            &[
                "never connected to the server",
                "tried 127.0.0.1:9",
                "DATABASE_URL",
                "--env NAME={url}",
            ],
        );
        if let Some(ended) = ended {
            done.fails(3, &[ended]);
        }
    }
}

fn a_word_before_the_job_is_told_where_the_job_stands() {
    let yard = yard();
    let done = yard.run(&["explore", "--times", "2", "sh", "job.sh"]);
    done.fails(
        2,
        &[
            "unexpected argument 'sh'",
            "lockproof explore --times 2 -- sh job.sh",
        ],
    );
    let done = yard.run(&["init", "python3", "job.py"]);
    done.fails(2, &["lockproof init -- python3 job.py"]);
}

fn the_time_limit_is_ten_times_the_clean_run_and_at_least_half_a_minute() {
    let (_yard, done) = begun(&psql(&["insert into t values (1)"]), &[]);
    assert!(done.text().contains("each run at most 30s"), "{done}");
    let slow = psql(&["insert into t values (1)", "select pg_sleep(3.2)"]);
    let (_yard, done) = begun(&slow, &[]);
    let limit = done
        .text()
        .split("each run at most ")
        .nth(1)
        .map(str::to_owned);
    let seconds: f64 = limit
        .and_then(|text| text.split('s').next().and_then(|text| text.parse().ok()))
        .unwrap_or_else(|| panic!("{done}"));
    assert!((32.0..60.0).contains(&seconds), "{seconds}: {done}");
}

/// A schema as pg_dump writes it, with rows, of another major version.
const DUMP: &str = "--
-- PostgreSQL database dump
--

\\restrict Zu7abc

-- Dumped from database version 99.1 (Debian 99.1-1)
-- Dumped by pg_dump version 99.1

SET statement_timeout = 0;
SET setting_of_the_future = 0;
SET client_encoding = 'UTF8';
SELECT pg_catalog.set_config('search_path', '', false);

CREATE SCHEMA public;

CREATE TABLE public.t (
    a integer,
    b text
);

ALTER TABLE public.t OWNER TO nobody_here;

COPY public.t (a, b) FROM stdin;
1\tit's; $$ \\\\ one
2\t\\N
\\.

CREATE INDEX by_a ON public.t USING btree (a);
GRANT ALL ON TABLE public.t TO nobody_here;

\\unrestrict Zu7abc
";

/// A job that works only where the dump's two rows are there.
const TWO: &str = "test \"$(psql -XqAtc 'select count(*), max(b) from t where a <= 2')\" = \"2|it's; \\$\\$ \\\\ one\" || exit 9\n\
    exec psql -XqAtc \"insert into t values (3)\"\n";

fn what_pg_dump_writes_is_a_schema_with_its_rows_and_what_is_left_out_is_told() {
    let yard = yard();
    yard.write("dump.sql", DUMP);
    yard.write("job.sh", TWO);
    let done = yard.run(&["init", "--schema", "dump.sql", "--", "sh", "job.sh"]);
    assert_eq!(done.code, Some(0), "{done}");
    assert!(done.text().contains("setting_of_the_future"), "{done}");
    assert!(
        done.text().contains("2 of its statements left out"),
        "{done}"
    );
}

fn a_dump_that_this_server_cannot_take_is_told_with_its_line_and_both_versions() {
    let yard = yard();
    yard.write(
        "dump.sql",
        &DUMP.replace("CREATE INDEX by_a ON", "CREATE FUTURE INDEX by_a ON"),
    );
    let done = yard.run(&["init", "--schema", "dump.sql", "--", "true"]);
    done.fails(
        2,
        &[
            "dump.sql:29:",
            "CREATE FUTURE INDEX",
            "The dump is of PostgreSQL 99.1, and the server is",
        ],
    );
    yard.write(
        "psql.sql",
        "create table t (a int);\n\\connect other\nselect 1;\n",
    );
    let done = yard.run(&["init", "--schema", "psql.sql", "--", "true"]);
    done.fails(2, &["psql.sql:2:", "\\connect is a command of psql"]);
    yard.write("custom.sql", "PGDMP\x01\x0e");
    let done = yard.run(&["init", "--schema", "custom.sql", "--", "true"]);
    done.fails(2, &["custom format", "pg_restore"]);
}

/// A server with a database to be read, which nobody else uses; runs this with its URL.
fn with_source(work: impl FnOnce(&str, &mut dyn FnMut(&str) -> String)) {
    use lockproof::internals::server::{Server, ServerChoice, ServerOptions};
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let server = runtime
        .block_on(Server::own(&ServerOptions::of(ServerChoice::Local)))
        .unwrap();
    let database = runtime
        .block_on(server.create_database("dev", None))
        .unwrap();
    let client = runtime.block_on(server.connect(&database.name)).unwrap();
    let mut ask = |sql: &str| {
        let rows = runtime.block_on(client.simple_query(sql)).unwrap();
        let first = rows.iter().find_map(|row| match row {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        });
        first.unwrap_or_default()
    };
    let address = server.address();
    let url = address.url(&database.name, &address.host, address.port);
    work(&url, &mut ask);
    drop(client);
    runtime.block_on(async {
        server.drop_database(database).await.unwrap();
        server.release().await.unwrap();
    });
}

/// A program in the place of pg_dump; the folder that LOCKPROOF_PG_BIN would be.
fn instead_of_pg_dump(yard: &Yard, script: &str) -> String {
    use std::os::unix::fs::PermissionsExt;
    std::fs::create_dir(yard.path("bin")).unwrap();
    yard.write("bin/pg_dump", script);
    let program = yard.path("bin/pg_dump");
    std::fs::set_permissions(program, PermissionsExt::from_mode(0o755)).unwrap();
    yard.path("bin").display().to_string()
}

fn a_running_database_is_the_template_and_nothing_is_written_there() {
    let yard = yard();
    yard.write("job.sh", TWO);
    with_source(|url, ask| {
        ask(
            "create table t (a int, b text); insert into t values (1, 'it''s; $$ \\ one'), (2, null)",
        );
        // Whoever writes draws a number; who draws none has written nothing.
        let next = "select pg_snapshot_xmax(pg_current_snapshot())";
        let before = ask(next);
        let done = yard.run(&["init", "--from", url, "--", "sh", "job.sh"]);
        assert_eq!(done.code, Some(0), "{done}");
        assert!(
            done.text().contains("in a session that cannot write"),
            "{done}"
        );
        assert_eq!(ask(next), before, "somebody wrote");
        assert_eq!(ask("select count(*) from t"), "2");
    });
    // The file needs the source no more, and only its user can read what was copied.
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(yard.path("lockproof.sql"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let text = std::fs::read_to_string(yard.path("lockproof.toml")).unwrap();
    assert!(text.contains("schema = \"lockproof.sql\"\n"), "{text}");
    let run = yard.run(&["run"]);
    assert_ne!(run.code, Some(3), "{run}");
}

fn a_pg_dump_that_would_write_is_kept_from_it_by_the_server() {
    let yard = yard();
    let folder = instead_of_pg_dump(
        &yard,
        "#!/bin/sh\nexec psql -X -v ON_ERROR_STOP=1 --host \"$7\" --port \"$9\" --dbname \"${11}\" --username \"${13}\" \
         -c 'insert into t values (1)'\n",
    );
    with_source(|url, ask| {
        ask("create table t (a int)");
        let mut command = yard.command(&["init", "--from", url, "--", "true"]);
        let done = sandbox::finish(command.env("LOCKPROOF_PG_BIN", folder).spawn().unwrap());
        done.fails(4, &["cannot execute INSERT in a read-only transaction"]);
        assert_eq!(ask("select count(*) from t"), "0");
    });
}

fn a_database_that_looks_like_production_is_not_read_unless_it_is_said_to_be_meant() {
    let yard = yard();
    let folder = instead_of_pg_dump(
        &yard,
        "#!/bin/sh\ntouch \"$0.was-run\"\necho nothing of $PGPASSWORD >&2\nexit 3\n",
    );
    let run = |more: &[&str]| {
        let mut words = vec![
            "explore",
            "--from",
            "postgres://me:secret@127.0.0.1:9/shop-production",
        ];
        words.extend(more);
        words.extend(["--", "true"]);
        let mut command = yard.command(&words);
        sandbox::finish(command.env("LOCKPROOF_PG_BIN", &folder).spawn().unwrap())
    };
    let done = run(&[]);
    done.fails(
        2,
        &[
            "\"shop-production\" looks like a production database",
            "--yes",
        ],
    );
    assert!(!yard.path("bin/pg_dump.was-run").exists());
    let done = run(&["--yes"]);
    done.fails(4, &["nothing of ********"]);
    assert!(!done.text().contains("secret"), "{done}");
    assert!(yard.path("bin/pg_dump.was-run").exists());
}

fn the_play_comes_behind_the_finding_cut_at_locks_and_marked_at_the_step_that_it_is_about() {
    let yard = yard();
    yard.write("locked.sh", &locked());
    yard.write("bare.sh", &psql(&REFILL));
    for job in ["locked", "bare"] {
        yard.write(
            &format!("{job}.toml"),
            &format!(
                "title = \"t\"\n[subject]\ncommand = [\"sh\", \"{job}.sh\"]\nschema = \"schema.sql\"\n[schedule]\nturns = [\n  \
                 {{ run = \"a\", until = {{ before = \"insert into price\" }} }},\n  {{ run = \"b\" }},\n  {{ run = \"a\" }},\n]\n"
            ),
        );
    }
    let shown = |job: &str, words: &[&str]| {
        let mut all = vec!["run", job];
        all.extend(words);
        yard.run(&all).stdout
    };
    let play = shown("locked.toml", &["--times", "1"]);
    for line in [
        "\n    a  select pg_advisory_lock(4711);\n    a  3 steps, the last: insert into product",
        "\n    b  waits: select pg_advisory_lock(4711);  (for a.0)\n",
        "\n    a  select pg_advisory_unlock(4711);\n",
        "\n    b  goes through: select pg_advisory_lock(4711);\n",
    ] {
        assert!(play.contains(line), "{line}: {play}");
    }
    // Not as expected, so it is shown without being asked for.
    let play = shown("bare.toml", &[]);
    let at = |words: &str| {
        play.find(words)
            .unwrap_or_else(|| panic!("{words}: {play}"))
    };
    let (finding, step, again) = (
        at("violated      no-errors"),
        at("→ ERROR 23505"),
        at("again with"),
    );
    assert!(finding < step && step < again, "{play}");
    let line = play[step..].lines().next().unwrap();
    assert!(line.ends_with("  ← here"), "{line}");
    assert!(shown("locked.toml", &[]).find("goes through").is_none());
}

fn all_that_a_pod_printed_is_kept_in_a_file_that_is_named() {
    let yard = yard();
    let script = "for n in 1 2 3 4 5 6 7 8 9; do echo line $n; done\necho 'error: no soap' >&2; echo later; exit 5\n";
    yard.write(
        "job.sh",
        &(psql(&["insert into t values (1)"]).replace("exec ", "") + script),
    );
    let done = yard.run(&["init", "--schema", "schema.sql", "--", "sh", "job.sh"]);
    done.fails(
        3,
        &[
            "exited with code 5",
            "the first error that it printed: a: error: no soap",
            "all that it printed: ",
        ],
    );
    assert!(!done.text().contains("line 9"), "{done}");
    let kept = std::fs::read_to_string(yard.path("lockproof-out/init/a.log")).unwrap();
    for line in ["line 1", "line 9", "error: no soap", "later"] {
        assert!(kept.lines().any(|one| one == line), "{line}: {kept}");
    }
    // Of a run that did not come out as expected, too.
    yard.write(
        "job.sh",
        &(psql(&REFILL).replace("exec ", "echo begun\n") + "test $? = 0 && echo done\n"),
    );
    yard.write(
        "it.toml",
        "title = \"t\"\n[subject]\ncommand = [\"sh\", \"job.sh\"]\nschema = \"schema.sql\"\n[schedule]\nturns = [\n  \
         { run = \"a\", until = { before = \"insert into price\" } },\n  { run = \"b\" },\n]\n",
    );
    let done = yard.run(&["run", "it.toml"]);
    assert_eq!(done.code, Some(1), "{done}");
    let named = done.text();
    let named = named
        .split(" output ")
        .nth(1)
        .unwrap_or_else(|| panic!("{done}"));
    let file = named.split([',', ' ']).next().unwrap();
    assert_eq!(
        std::fs::read_to_string(yard.path(file))
            .unwrap()
            .lines()
            .next(),
        Some("begun")
    );
}

crate::harness::tests![
    a_database_that_looks_like_production_is_not_read_unless_it_is_said_to_be_meant,
    a_directory_that_lockproof_wrote_is_not_searched_for_scenarios,
    a_dump_that_this_server_cannot_take_is_told_with_its_line_and_both_versions,
    a_file_that_is_there_is_left_as_it_is_unless_it_is_to_be_written_anew,
    a_job_is_started_in_its_files_folder_or_where_its_files_are_found_alone,
    a_job_that_goes_to_another_address_is_told_with_that_address_whatever_its_exit_code,
    a_job_with_a_lock_is_written_down_with_it_and_explored_and_run_without_arguments,
    a_job_without_a_lock_fails_in_the_order_that_init_wrote,
    a_missing_table_is_told_with_the_options_that_make_it,
    a_pg_dump_that_would_write_is_kept_from_it_by_the_server,
    a_running_database_is_the_template_and_nothing_is_written_there,
    a_word_before_the_job_is_told_where_the_job_stands,
    all_that_a_pod_printed_is_kept_in_a_file_that_is_named,
    each_option_of_the_job_stands_in_the_file_that_init_writes,
    options_take_the_place_of_the_keys_of_a_file,
    the_file_of_another_directory_brings_its_own_job_and_one_above_is_not_taken_by_itself,
    the_play_comes_behind_the_finding_cut_at_locks_and_marked_at_the_step_that_it_is_about,
    the_time_limit_is_ten_times_the_clean_run_and_at_least_half_a_minute,
    what_pg_dump_writes_is_a_schema_with_its_rows_and_what_is_left_out_is_told,
];

fn main() -> std::process::ExitCode {
    harness::run([tests()])
}
