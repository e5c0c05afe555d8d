//! Bad input, each through the real program: one clear message (what, where, what to do), the
//! documented exit code, within a bound, and nothing left behind.

#[path = "bad_input/external.rs"]
mod external;
#[path = "bad_input/sandbox.rs"]
mod sandbox;

use std::path::PathBuf;
use std::time::Duration;

use external::{External, SECRET, SPELLED};
use sandbox::{Done, Mount, Sandbox, finish, image, is_root};

/// A scenario around a subject; `more` are lines of its table `[subject]`.
fn scenario(command: &[&str], more: &str) -> String {
    format!("title = \"bad input\"\n[subject]\ncommand = {command:?}\n{more}\n[pods]\ncount = 1\n")
}

const SEEDER: &str =
    "title = \"good\"\n[subject]\nseeder = { lock = \"session\", profile = \"tiny\" }\n";

/// Runs one scenario file on a local server.
fn run(sandbox: &Sandbox, text: &str) -> Done {
    sandbox.write("it.toml", text);
    let done = sandbox.run(&["run", "it.toml", "--server", "local"]);
    sandbox.is_clear("after the run");
    done
}

/// Such a run must fail like this.
#[track_caller]
fn fails(text: &str, code: i32, texts: &[&str]) -> Done {
    let sandbox = Sandbox::new();
    let done = run(&sandbox, text);
    done.fails(code, texts);
    done
}

// ── servers ──

#[test]
fn with_no_server_to_be_had_the_message_lists_what_was_tried() {
    let sandbox = Sandbox::new();
    sandbox.write("it.toml", SEEDER);
    let nowhere = [
        ("DOCKER_HOST", "tcp://127.0.0.1:1"),
        ("LOCKPROOF_PG_BIN", "/nowhere"),
        ("PATH", "/nowhere"),
    ];
    let texts = [
        "no PostgreSQL server could be had",
        "container: Docker did not answer",
        "local: LOCKPROOF_PG_BIN has no usable PostgreSQL (/nowhere",
        "Start Docker, install PostgreSQL",
        "`lockproof doctor`",
    ];
    for command in [
        &["run", "it.toml"][..],
        &["reproduce"],
        &["replay", "it.toml"],
        &["stress"],
    ] {
        let done = sandbox.run_with(command, &nowhere);
        done.fails(4, &texts);
        assert!(done.took < Duration::from_secs(10), "{done}");
    }
    let done = sandbox.run_with(&["run", "it.toml", "--format", "json"], &nowhere);
    done.fails(4, &texts);
    let json = done.json();
    assert_eq!(json["exit_code"], 4);
    assert!(
        json["error"].as_str().unwrap().contains("container: "),
        "{done}"
    );
    sandbox.is_clear("after all");
}

#[test]
fn a_server_that_does_not_answer_is_named_without_its_password() {
    let sandbox = Sandbox::new();
    sandbox.write("it.toml", SEEDER);
    let server = "postgres://ann:s3cret-word@127.0.0.1:1/postgres";
    let done = sandbox.run(&["run", "it.toml", "--server", server]);
    done.fails(4, &["ann@127.0.0.1:1", "Connection refused"]);
    assert!(!done.text().contains("s3cret-word"));
    for wrong in [
        "postgres://ann:s3cret-word@h:port/x",
        "postgres://ann:s3cret-word@h/x?sslmode=require",
        "ann:s3cret-word@h",
    ] {
        let done = sandbox.run(&["run", "it.toml", "--server", wrong]);
        done.fails(2, &["auto, container, local or postgres://"]);
        // clap itself shows what was given.
        assert!(!done.text().contains("s3cret-word"), "{done}");
    }
    sandbox.is_clear("after all");
}

#[test]
fn an_image_that_is_not_there_is_named_with_what_makes_one() {
    if image().is_none() {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.write("it.toml", SEEDER);
    let image = "127.0.0.1:1/nosuch:1";
    let done = sandbox.run(&["run", "it.toml", "--server", "container", "--image", image]);
    done.fails(4, &[image, "could not be pulled", ".ci/make-image"]);
    sandbox.is_clear("after the run");
}

// ── external servers ──

#[test]
fn an_external_server_without_its_log_is_used_and_what_it_could_not_show_is_said() {
    let external = External::start();
    let sandbox = Sandbox::new();
    sandbox.write("it.toml", SEEDER);
    for role in ["owner", "maker"] {
        let url = external.url(role);
        let server = [("LOCKPROOF_SERVER", url.as_str())];
        let done = sandbox.run_with(&["run", "it.toml", "--format", "json"], &server);
        let json = done.json();
        let server = json["server"]["description"].as_str().unwrap();
        assert!(server.contains("its log cannot be read"), "{done}");
        assert!(server.contains("needed: logging_collector = on"), "{done}");
        let one = &json["scenarios"][0];
        let not_tested = one["not_tested"].to_string();
        assert!(not_tested.contains("log"), "{done}");
        assert_eq!(external.databases(), Vec::<String>::new());
    }
    let plain = external.url("plain");
    let done = sandbox.run_with(&["run", "it.toml"], &[("LOCKPROOF_SERVER", &plain)]);
    done.fails(
        4,
        &[
            "role plain may not create databases",
            "ALTER ROLE plain CREATEDB",
        ],
    );
    let wrong = external.url("owner").replace(SPELLED, "no-such-word");
    let done = sandbox.run(&["run", "it.toml", "--server", &wrong]);
    done.fails(
        4,
        &["password authentication failed for user \"owner\"", "28P01"],
    );
    assert!(!done.text().contains("no-such-word"), "{done}");
    assert_eq!(external.databases(), Vec::<String>::new());
    sandbox.is_clear("after all");
}

#[test]
fn a_password_is_in_no_output_no_file_and_no_command_line() {
    let external = External::start();
    let sandbox = Sandbox::new();
    // It prints all it knows, and stays a while.
    let job = "echo $DATABASE_URL; echo $PGPASSWORD >&2; psql -c 'create table if not exists t(i int); insert into t values (1)' -c 'select pg_sleep(0.2)'";
    sandbox.write("good.toml", scenario(&["sh", "-c", job], ""));
    sandbox.write(
        "bad.toml",
        scenario(&["sh", "-c", &format!("{job}; exit 3")], ""),
    );
    let prepare = "prepare = \"echo $DATABASE_URL >&2; exit 3\"";
    sandbox.write("prepare.toml", scenario(&["sh", "-c", job], prepare));
    let hidden = |text: &str| !text.contains(SECRET) && !text.contains(SPELLED);
    let mut seen = 0;
    for (arguments, code) in [
        (&["run", "good.toml", "-v", "--out", "good"][..], 0),
        (&["replay", "good.toml"], 0),
        (&["run", "bad.toml", "--out", "bad"], 3),
        (&["run", "prepare.toml", "--out", "prepare"], 2),
    ] {
        let mut command = sandbox.command(arguments);
        let child = command
            .env("LOCKPROOF_SERVER", external.url("owner"))
            .env("LOCKPROOF_LOG", "trace")
            .spawn()
            .unwrap();
        let run = std::thread::spawn(|| finish(child));
        while !run.is_finished() {
            for pid in sandbox.processes() {
                let line = sandbox::command_line(pid);
                assert!(hidden(&line), "{line}");
                seen += usize::from(line.contains("lockproof") || line.contains("psql"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let done = run.join().unwrap();
        assert_eq!(done.code, Some(code), "{done}");
        assert!(hidden(&done.stdout) && hidden(&done.stderr), "{done}");
    }
    assert!(seen > 0);
    let mut folders = vec![sandbox.work(), sandbox.tmp()];
    let (mut files, mut stars) = (0, 0);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
            assert!(hidden(&text), "{}", path.display());
            files += 1;
            stars += text.matches("owner:***@127.0.0.1").count();
        }
    }
    assert!(files > 3 && stars > 0, "{files} {stars}");
    assert_eq!(external.databases(), Vec::<String>::new());
    sandbox.is_clear("after all");
}

// ── subjects ──

#[test]
fn a_subject_that_does_not_exist_is_a_wrong_scenario() {
    let done = fails(
        &scenario(&["/no/such/job"], ""),
        2,
        &[
            "no verdict program \"/no/such/job\" was not found",
            "0 of 1 scenarios",
        ],
    );
    assert_eq!(done.text().matches("was not found").count(), 1, "{done}");
    fails(
        &scenario(&["no-such-job"], ""),
        2,
        &["\"no-such-job\" was not found; looked in PATH="],
    );
    fails(
        &scenario(&["/etc/passwd"], ""),
        2,
        &["/etc/passwd cannot be run: permission denied"],
    );
}

#[test]
fn a_subject_that_exits_at_once_is_told_with_its_code_and_its_words() {
    let command = ["sh", "-c", "echo begun; echo no config; exit 7"];
    let done = fails(
        &scenario(&command, ""),
        3,
        &[
            "the clean run did not succeed: pod a exited with code 7 though nothing disturbed it",
            "it printed last: a: begun a: no config",
        ],
    );
    // What it printed keeps its lines.
    assert!(
        done.stdout.contains("\n                  a: no config\n"),
        "{done}"
    );
    fails(
        &scenario(&["sh", "-c", "kill -9 $$"], ""),
        3,
        &["ended by signal 9", "printed nothing"],
    );
}

#[test]
fn a_subject_that_works_and_then_fails_is_told_with_the_error() {
    let command = [
        "psql",
        "-v",
        "ON_ERROR_STOP=1",
        "-c",
        "select 1",
        "-c",
        "select 1/0",
    ];
    fails(
        &scenario(&command, ""),
        3,
        &["exited with code 1", "division by zero"],
    );
}

#[test]
fn a_subject_that_never_connects_is_told_what_it_must_use() {
    fails(
        &scenario(&["sh", "-c", "echo done"], ""),
        3,
        &[
            "never connected to the server",
            "DATABASE_URL or the PG* variables",
            "a: done",
        ],
    );
}

#[test]
fn a_subject_that_insists_on_tls_is_told_to_turn_it_off() {
    let command = ["env", "PGSSLMODE=require", "psql", "-c", "select 1"];
    fails(
        &scenario(&command, ""),
        3,
        &["insists on TLS", "sslmode=disable"],
    );
    // What a scenario says of the connection in env yields to lockproof's own.
    let sandbox = Sandbox::new();
    let done = run(
        &sandbox,
        &scenario(
            &[
                "psql",
                "-c",
                "create table if not exists t (i int); insert into t values (1)",
            ],
            "env = { PGSSLMODE = \"require\" }",
        ),
    );
    assert_eq!(done.code, Some(0), "{done}");
}

#[test]
fn binary_output_is_no_obstacle() {
    let sandbox = Sandbox::new();
    let command = "head -c 100000 /dev/urandom; head -c 9 /dev/zero >&2; \
                   psql -c 'create table if not exists t (i int)' -c 'insert into t values (1)'";
    let done = run(&sandbox, &scenario(&["sh", "-c", command], ""));
    assert_eq!(done.code, Some(0), "{done}");
    let done = sandbox.run(&["check", "lockproof-out/run/it"]);
    assert_eq!(done.code, Some(0), "{done}");
}

#[test]
fn a_subject_that_prints_without_end_is_stopped() {
    let done = fails(
        &scenario(&["yes", "and on"], "time_limit = \"2s\""),
        3,
        &[
            "waited 2 s for",
            "a runs and has never connected",
            "a: and on",
            "time_limit",
        ],
    );
    assert!(done.took < Duration::from_secs(20), "{done}");
    assert!(done.stdout.len() < 10_000, "{done}");
}

#[test]
fn a_subject_that_never_ends_is_told_with_what_was_waited_for_and_seen() {
    fails(
        &scenario(&["sleep", "600"], "time_limit = \"1s\""),
        3,
        &[
            "waited 1 s for the next request or the end of pod a",
            "has never connected",
        ],
    );
    fails(
        &scenario(
            &["psql", "-c", "select pg_sleep(600)"],
            "time_limit = \"1s\"",
        ),
        3,
        &[
            "waited 1 s for",
            "a.0 has no answer yet to \"select pg_sleep",
        ],
    );
}

// ── scenario files ──

/// A scenario file that cannot be used, what is wrong with it, and the line that must be shown.
struct Wrong {
    text: &'static str,
    says: &'static [&'static str],
}

#[test]
fn a_scenario_that_cannot_be_used_is_named_with_file_line_and_column_and_shown() {
    let wrong = [
        Wrong {
            text: "title = \"t\"\n[subject]\nseeder = {}\nretries = 3\n",
            says: &["it.toml:4:1", "unknown key `retries`", "4 │ retries = 3"],
        },
        Wrong {
            text: "title = 3\n[subject]\nseeder = {}\n",
            says: &[
                "it.toml:1:9",
                "integer `3`, expected a string",
                "1 │ title = 3",
            ],
        },
        Wrong {
            text: "title = \"t\"\n[subject]\nseeder = {}\n[schedule]\nturns = [\n  { run = \"q\" },\n]\n",
            says: &[
                "it.toml:6:11",
                "no pod \"q\"",
                "pods, a to b",
                "{ run = \"q\" }",
            ],
        },
        Wrong {
            text: "title = \"t\"\n[subject]\nseeder = {}\n[schedule]\nturns = [ { fault = { kill = { pod = \"c\" } } } ]\n",
            says: &["it.toml:5:38", "no pod \"c\""],
        },
        Wrong {
            text: "title = \"t\"\n[subject]\nseeder = {}\n[pods]\ncount = 0\n",
            says: &["it.toml:5:9", "0 pods are not possible"],
        },
        Wrong {
            text: "title = \"t\"\n[subject]\ncommand = [\"job\"]\nschema = \"none.sql\"\n",
            says: &["it.toml:4:10", "no schema file", "none.sql"],
        },
        Wrong {
            text: "",
            says: &["it.toml:1:1", "missing field `title`"],
        },
        Wrong {
            text: "title = \"t\n",
            says: &["it.toml:1:"],
        },
    ];
    let sandbox = Sandbox::new();
    for Wrong { text, says } in wrong {
        sandbox.write("it.toml", text);
        let done = sandbox.run(&["run", "it.toml"]);
        done.fails(2, says);
        assert!(
            done.stdout.is_empty() && done.took < Duration::from_secs(2),
            "{done}"
        );
        for command in ["replay", "stress --kills", "reproduce --schedule"] {
            let mut arguments: Vec<&str> = command.split(' ').collect();
            arguments.push("it.toml");
            sandbox.run(&arguments).fails(2, says);
        }
    }
    sandbox.write("it.toml", b"title = \"t\"\ntags = [\"\xff\"]\n");
    sandbox.run(&["run", "it.toml"]).fails(
        2,
        &[
            "it.toml:2:10: the byte 0xff is no UTF-8",
            "in the encoding UTF-8",
        ],
    );
    sandbox
        .run(&["run", "it.toml", "--tag", "t"])
        .fails(2, &["0xff"]);
    assert!(!sandbox.work().join("lockproof-out").exists());
    sandbox.is_clear("after all");
}

#[test]
fn all_scenarios_with_errors_are_named_at_once_and_none_is_run() {
    let sandbox = Sandbox::new();
    sandbox.write("all/a.toml", SEEDER);
    sandbox.write("all/b.toml", "title = 1\n");
    sandbox.write("all/deep/c.toml", "tilte = 1\n");
    let done = sandbox.run(&["run", "all", "--format", "json"]);
    done.fails(2, &["all/b.toml:1:9", "all/deep/c.toml:1:1"]);
    let json = done.json();
    assert_eq!(json["exit_code"], 2);
    let error = json["error"].as_str().unwrap();
    assert_eq!(error.lines().count(), 2, "{error}");
}

#[test]
fn where_there_is_no_scenario_it_says_where_was_looked() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.work().join("empty")).unwrap();
    sandbox.write("some/a.toml", SEEDER);
    sandbox
        .run(&["run", "empty"])
        .fails(2, &["no scenario in empty", ".toml"]);
    sandbox
        .run(&["run"])
        .fails(2, &["cannot read scenarios: No such file"]);
    let done = sandbox.run(&["run", "missing.toml"]);
    done.fails(2, &["cannot read missing.toml: No such file or directory"]);
    assert_eq!(done.text().matches("No such file").count(), 1, "{done}");
    sandbox
        .run(&["run", "some", "--tag", "none"])
        .fails(2, &["no scenario with tag none in some"]);
}

#[test]
fn a_stop_that_is_never_reached_is_inconclusive_and_named() {
    let sandbox = Sandbox::new();
    let text = format!(
        "{SEEDER}[schedule]\nturns = [{{ run = \"a\", until = {{ after = \"vacuum full\" }} }}]\n"
    );
    let done = run(&sandbox, &text);
    done.fails(
        3,
        &[
            "inconclusive, NOT AS EXPECTED",
            "stops-reached",
            "vacuum full",
        ],
    );
    let done = sandbox.run(&["check", "lockproof-out/run/it"]);
    done.fails(3, &["stops-reached", "vacuum full"]);
}

// ── schema and preparation ──

#[test]
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

#[test]
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
    done.fails(2, &["cannot read the schema none.sql"]);
    assert!(!done.text().contains("server:"), "{done}");
    let done = sandbox.run(&["reproduce", "--schema", "none.sql", "--", "psql"]);
    done.fails(2, &["cannot read the schema", "none.sql"]);
    assert!(!done.text().contains("server:"), "{done}");
}

#[test]
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

// ── output ──

#[test]
fn a_place_that_cannot_be_written_is_said_before_anything_is_run() {
    let sandbox = Sandbox::new();
    sandbox.write("it.toml", SEEDER);
    sandbox.write("file", "");
    let says = ["cannot write to", "choose another place with --out DIR"];
    let mut places = vec!["file", "/dev/full", "/proc/none", "file/below"];
    let mounts = if is_root() {
        places.extend(["readonly", "full"]);
        vec![
            Mount::new(&sandbox.work().join("readonly"), "ro"),
            Mount::new(&sandbox.work().join("full"), "size=16k"),
        ]
    } else {
        Vec::new()
    };
    if mounts.iter().any(Option::is_none) {
        return;
    }
    for place in places {
        let done = sandbox.run(&["run", "it.toml", "--out", place]);
        done.fails(4, &says);
        assert!(
            done.text().contains(place) && !done.text().contains("server:"),
            "{done}"
        );
    }
    drop(mounts);
    sandbox.is_clear("after all");
}

#[test]
fn a_disk_that_is_full_in_the_middle_is_told_and_everything_cleared_up() {
    if !is_root() {
        return;
    }
    let sandbox = Sandbox::new();
    let Some(_mount) = Mount::new(&sandbox.work().join("small"), "size=128k") else {
        return;
    };
    sandbox.write("it.toml", SEEDER);
    let done = sandbox.run(&["run", "it.toml", "--server", "local", "--out", "small"]);
    done.fails(
        4,
        &[
            "cannot write the history",
            "small/run/it/history.jsonl",
            "No space left",
            "--out DIR",
        ],
    );
    sandbox.is_clear("after the run");
}

#[test]
fn a_directory_that_is_not_lockproofs_own_is_left_alone() {
    let sandbox = Sandbox::new();
    sandbox.write("it.toml", SEEDER);
    sandbox.write("run/thesis.txt", "years of work");
    let done = sandbox.run(&["run", "it.toml", "--out", "."]);
    done.fails(4, &["./run", "lockproof did not make it", "--out DIR"]);
    assert_eq!(sandbox.read("run/thesis.txt"), "years of work");
}

#[test]
fn two_at_once_do_not_meet() {
    let sandbox = Sandbox::new();
    sandbox.write("it.toml", SEEDER);
    let start = || {
        sandbox
            .command(&["run", "it.toml", "--server", "local", "--format", "json"])
            .spawn()
            .unwrap()
    };
    let both = [start(), start()].map(|child| std::thread::spawn(|| finish(child)));
    let both = both.map(|one| one.join().unwrap());
    let mut places = Vec::new();
    for done in both {
        assert_eq!(done.code, Some(0), "{done}");
        let place = PathBuf::from(done.json()["scenarios"][0]["artifacts"].as_str().unwrap());
        let check = sandbox.run(&["check", place.to_str().unwrap()]);
        assert_eq!(check.code, Some(0), "{check}");
        places.push(place);
    }
    assert_ne!(places[0], places[1]);
    sandbox.is_clear("after both");
}

// ── stored runs ──

#[test]
fn check_gives_the_verdict_of_the_run_with_no_server_and_refuses_what_is_no_history() {
    let sandbox = Sandbox::new();
    let planted = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/scenarios/planted/original-bug.toml"
    );
    std::fs::copy(planted, sandbox.work().join("bug.toml")).unwrap();
    let done = sandbox.run(&["run", "bug.toml", "--server", "local", "--format", "json"]);
    assert_eq!(done.code, Some(0), "{done}");
    let ran = done.json();
    let stored = "lockproof-out/run/bug";
    let nowhere = [
        ("DOCKER_HOST", "tcp://127.0.0.1:1"),
        ("LOCKPROOF_PG_BIN", "/nowhere"),
        ("PATH", "/nowhere"),
    ];
    let done = sandbox.run_with(&["check", stored, "--format", "json"], &nowhere);
    assert_eq!(done.code, Some(0), "{done}");
    let checked = done.json();
    let verdict: serde_json::Value =
        serde_json::from_str(&sandbox.read(&format!("{stored}/verdict.json"))).unwrap();
    assert_eq!(checked, verdict);
    let scenario = &ran["scenarios"][0];
    assert_eq!(checked["judgement"], scenario["verdict"]);
    let each = |list: &serde_json::Value, verdict: &str| -> Vec<(String, String)> {
        let list = list.as_array().unwrap().iter();
        list.map(|one| (one["name"].to_string(), one[verdict].to_string()))
            .collect()
    };
    assert_eq!(
        each(&checked["invariants"], "judgement"),
        each(&scenario["invariants"], "verdict")
    );

    // The same, broken in each way.
    let history = sandbox.read(&format!("{stored}/history.jsonl"));
    let toml = sandbox.read(&format!("{stored}/scenario.toml"));
    let broken = |name: &str, history: &str| {
        sandbox.write(&format!("{name}/history.jsonl"), history);
        sandbox.write(&format!("{name}/scenario.toml"), &toml);
        sandbox.run(&["check", name])
    };
    let cut = broken("cut", &history[..history.len() - 20]);
    cut.fails(
        3,
        &[
            "run-complete: the history ends before the run did",
            "its last line is cut",
        ],
    );
    let half: String = history
        .lines()
        .take(40)
        .map(|line| format!("{line}\n"))
        .collect();
    broken("half", &half).fails(3, &["run-complete", "log-complete"]);
    let other = history.replacen("\"format\":1", "\"format\":99", 1);
    broken("other", &other).fails(2, &["other/history.jsonl has format 99", "reads format 1"]);
    let gap: String = history
        .lines()
        .skip(1)
        .map(|line| format!("{line}\n"))
        .collect();
    broken("gap", &gap).fails(2, &["gap/history.jsonl:1:", "a line is missing"]);
    broken("no-history", "hello\n").fails(2, &["no-history/history.jsonl:1: not a line"]);
    broken("nothing", "").fails(2, &["nothing/history.jsonl is empty"]);

    std::fs::remove_file(sandbox.work().join("cut/scenario.toml")).unwrap();
    let done = sandbox.run(&["check", "cut", "--format", "json"]);
    done.fails(2, &["cannot read cut/scenario.toml"]);
    assert_eq!(done.json()["exit_code"], 2);
    sandbox
        .run(&["check", "lockproof-out/run"])
        .fails(2, &["give one of the runs in it", stored]);
    sandbox
        .run(&["check", "none"])
        .fails(2, &["no history.jsonl in none: there is no such"]);
    let file = format!("{stored}/history.jsonl");
    sandbox
        .run(&["check", &file])
        .fails(2, &["it is a file; give the directory"]);
    sandbox
        .run(&["check-log", "none"])
        .fails(2, &["cannot read the log none"]);
    let noise = sandbox.write("noise", [0xff_u8, 0, 7].repeat(1000));
    sandbox
        .run(&["check-log", noise.to_str().unwrap()])
        .fails(1, &["does not keep"]);
    sandbox.is_clear("after all");
}

#[test]
fn wrong_usage_says_what_would_be_right() {
    let sandbox = Sandbox::new();
    for (arguments, says) in [
        (&["run", "--bogus"][..], "unexpected argument '--bogus'"),
        (
            &["run", "--format", "xml"],
            "[possible values: human, json]",
        ),
        (
            &["run", "--server", "mysql"],
            "auto, container, local or postgres://",
        ),
        (&["replay"], "<FILE>"),
        (&["replay", "x.toml", "--times", "0"], "0 is not in 1.."),
        (&["reproduce", "--times", "ten"], "invalid digit"),
        (
            &["seed", "--lock", "sesion"],
            "tip: a similar value exists: 'session'",
        ),
        (&["rerun"], "unrecognized subcommand 'rerun'"),
        (&[], "Usage: lockproof"),
    ] {
        let done = sandbox.run(arguments);
        done.fails(2, &[says]);
        assert!(done.stdout.is_empty(), "{done}");
    }
    let done = sandbox.run(&["--help"]);
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""));
}
