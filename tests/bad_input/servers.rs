//! Servers that are not there, do not answer, or are not lockproof's own.

use std::time::Duration;

use super::external::{External, SECRET, SPELLED};
use super::sandbox::{Sandbox, finish};
use super::{SEEDER, scenario};
use crate::harness::{Need, need};

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
        &["run", "it.toml", "--times", "1"],
        &["explore", "--strategy", "stress", "--directed"],
    ] {
        let done = sandbox.run_with(command, &nowhere);
        done.fails(4, &texts);
        assert!(done.took < Duration::from_secs(30), "{done}");
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
        done.fails(2, &["auto, container, local, embedded or postgres://"]);
        // clap itself shows what was given.
        assert!(!done.text().contains("s3cret-word"), "{done}");
    }
    sandbox.is_clear("after all");
}

fn an_image_that_is_not_there_is_named_with_what_makes_one() {
    need(Need::Containers);
    let sandbox = Sandbox::new();
    sandbox.write("it.toml", SEEDER);
    let image = "127.0.0.1:1/nosuch:1";
    let done = sandbox.run(&["run", "it.toml", "--server", "container", "--image", image]);
    done.fails(4, &[image, "could not be pulled", ".ci/make-image"]);
    sandbox.is_clear("after the run");
}

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

fn a_log_that_is_rotated_in_the_middle_of_a_run_is_named() {
    let external = External::start_with(&["logging_collector=on", "log_destination=csvlog"]);
    let sandbox = Sandbox::new();
    let job = [
        "psql",
        "-qc",
        "create table if not exists t (i int); insert into t values (1)",
        // The collector calls its files by the second.
        "-c",
        "select pg_sleep(1.1)",
        "-c",
        "select pg_rotate_logfile()",
    ];
    sandbox.write("it.toml", scenario(&job, ""));
    let done = sandbox.run(&["run", "it.toml", "--server", &external.url("owner")]);
    done.fails(
        3,
        &[
            "the server's log was rotated or emptied in the middle of a run",
            ".csv is written now",
            "log_rotation_age",
        ],
    );
    assert_eq!(external.databases(), Vec::<String>::new());
    sandbox.is_clear("after the run");
}

fn a_machine_that_gives_no_more_processes_or_threads_is_told_in_a_sentence() {
    let sandbox = Sandbox::new();
    sandbox.write("it.toml", SEEDER);
    // Root's processes are not counted; whoever is nobody needs a program that all may read.
    let root = nix::unistd::Uid::effective().is_root();
    let program = sandbox.write("lockproof", "");
    std::fs::copy(env!("CARGO_BIN_EXE_lockproof"), &program).unwrap();
    let open: std::fs::Permissions = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    for path in [sandbox.tmp(), sandbox.work()] {
        std::fs::set_permissions(path, open.clone()).unwrap();
    }
    for limit in [1, 3, 6, 10] {
        let mut command = std::process::Command::new(if root { "setpriv" } else { "env" });
        if root {
            command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups"]);
        }
        command
            .args(["bash", "-c"])
            .arg(format!(
                "ulimit -u {limit} && exec ./lockproof run it.toml --server local"
            ))
            .current_dir(sandbox.work())
            .env("TMPDIR", sandbox.tmp())
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped());
        let done = finish(command.spawn().unwrap());
        done.fails(4, &["no more processes or threads: raise `ulimit -u`"]);
        assert!(!done.text().contains("panicked at"), "{limit}: {done}");
        sandbox.is_clear(&format!("with at most {limit} processes"));
    }
}

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
        (&["run", "good.toml", "--times", "1"], 0),
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
                let line = super::sandbox::command_line(pid);
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

crate::harness::tests![
    with_no_server_to_be_had_the_message_lists_what_was_tried,
    a_server_that_does_not_answer_is_named_without_its_password,
    an_image_that_is_not_there_is_named_with_what_makes_one,
    an_external_server_without_its_log_is_used_and_what_it_could_not_show_is_said,
    a_log_that_is_rotated_in_the_middle_of_a_run_is_named,
    a_machine_that_gives_no_more_processes_or_threads_is_told_in_a_sentence,
    a_password_is_in_no_output_no_file_and_no_command_line,
];
