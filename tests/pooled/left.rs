//! Of a pooler nothing is left however a command ends, and one that is missing is told before anything
//! runs.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{Need, image, need};
use crate::sandbox::{Sandbox, becomes, command_line, finish, pids};

const LOCAL: [(&str, &str); 1] = [("LOCKPROOF_SERVER", "local")];

/// The processes of poolers that were started in a sandbox.
fn poolers(sandbox: &Sandbox) -> Vec<i32> {
    let tmp = sandbox.tmp().display().to_string();
    let is_ours = |pid: &i32| {
        let line = command_line(*pid);
        line.contains("pgbouncer") && line.contains(&tmp)
    };
    pids().into_iter().filter(is_ours).collect()
}

#[track_caller]
fn is_clear(sandbox: &Sandbox, after: &str) {
    sandbox.is_clear(after);
    assert_eq!(poolers(sandbox), [0; 0], "{after}");
}

pub(crate) fn scenario(statement: &str) -> String {
    format!(
        "title = \"t\"\n[subject]\ncommand = [\"psql\", \"-Xq\", \"-v\", \"ON_ERROR_STOP=1\", \
         \"-c\", \"insert into t values (1)\", \"-c\", {statement:?}]\n\
         prepare = \"psql -Xqc 'create table t (i int)'\"\n[pods]\ncount = 1\n\
         [server]\npooler = {{ mode = \"transaction\" }}\n"
    )
}

fn nothing_is_left_of_the_pooler_of_a_run_that_succeeds_or_fails() {
    need(Need::PgBouncer);
    let sandbox = Sandbox::new();
    sandbox.write("good.toml", scenario("select 1"));
    sandbox.write("bad.toml", scenario("select 1/0"));
    for (file, code) in [("good.toml", 0), ("bad.toml", 3)] {
        let done = sandbox.run_with(&["run", file], &LOCAL);
        assert_eq!(done.code, Some(code), "{done}");
        is_clear(&sandbox, file);
    }
}

fn nothing_is_left_of_the_pooler_of_a_run_that_is_interrupted_or_killed() {
    need(Need::PgBouncer);
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGKILL] {
        let sandbox = Sandbox::new();
        sandbox.write("hangs.toml", scenario("select pg_sleep(614)"));
        let mut command = sandbox.command(&["run", "hangs.toml"]);
        let child = command.envs(LOCAL).spawn().unwrap();
        becomes(
            "a pooler at work",
            Duration::from_secs(40),
            || {
                let hangs = |pid: &i32| command_line(*pid).contains("pg_sleep(614)");
                let psql = sandbox.processes().iter().any(hangs);
                (psql, poolers(&sandbox))
            },
            |(psql, poolers)| *psql && poolers.len() == 1,
        );
        // Nobody else may read what is in its files.
        let folder = sandbox.tmp();
        for file in files_below(&folder)
            .iter()
            .filter(|file| file.ends_with("users.txt"))
        {
            let mode = std::fs::metadata(file).unwrap();
            let mode = std::os::unix::fs::MetadataExt::mode(&mode) & 0o777;
            assert_eq!(mode, 0o600, "{}", file.display());
        }
        let pid = i32::try_from(child.id()).unwrap();
        kill(Pid::from_raw(pid), signal).unwrap();
        let done = finish(child);
        if signal != Signal::SIGKILL {
            assert_eq!(done.code, Some(130), "{done}");
        }
        becomes(
            signal.as_str(),
            Duration::from_secs(15),
            || poolers(&sandbox),
            Vec::is_empty,
        );
        is_clear(&sandbox, signal.as_str());
    }
}

fn files_below(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_below(&path));
        } else {
            found.push(path);
        }
    }
    found
}

fn a_pooler_that_is_not_installed_is_told_before_anything_runs() {
    let sandbox = Sandbox::new();
    sandbox.write("t.toml", scenario("select 1"));
    let missing = [LOCAL[0], ("LOCKPROOF_PGBOUNCER", "/nowhere/pgbouncer")];
    for arguments in [
        &["run", "t.toml"][..],
        &["run", "t.toml", "--times", "1"],
        &["explore", "--scenario", "t.toml"],
    ] {
        let done = sandbox.run_with(arguments, &missing);
        done.fails(
            4,
            &["PgBouncer was not found (LOCKPROOF_PGBOUNCER=/nowhere/pgbouncer, which is no file)"],
        );
        done.fails(4, &["apt-get install pgbouncer"]);
        assert!(!done.text().contains("server: "), "{done}");
        is_clear(&sandbox, arguments[0]);
    }
}

fn a_program_that_is_no_pooler_is_told_with_what_it_printed() {
    let sandbox = Sandbox::new();
    sandbox.write("t.toml", scenario("select 1"));
    let fake = sandbox.write("pgbouncer", "#!/bin/sh\necho 'I am no pooler'\nexit 3\n");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&fake, open).unwrap();
    let fake = fake.display().to_string();
    let done = sandbox.run_with(
        &["run", "t.toml"],
        &[LOCAL[0], ("LOCKPROOF_PGBOUNCER", &fake)],
    );
    done.fails(
        4,
        &["could not start PgBouncer", "it printed: I am no pooler"],
    );
    is_clear(&sandbox, "a program that is no pooler");
}

fn scenarios_behind_a_pooler_come_out_alike_on_a_container() {
    need(Need::PgBouncer);
    need(Need::Containers);
    let image = image().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sandbox = Sandbox::new();
    let done = Command::new(env!("CARGO_BIN_EXE_lockproof"))
        .args(["run", "scenarios/pooler/unlock-elsewhere.toml"])
        .args(["scenarios/pooler/exhausted.toml", "--server", "container"])
        .args(["--image", &image, "--out"])
        .arg(sandbox.work().join("out"))
        .current_dir(root)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{text}");
    assert!(
        text.contains("2 of 2 scenarios as expected on container"),
        "{text}"
    );
}

crate::harness::tests![
    nothing_is_left_of_the_pooler_of_a_run_that_succeeds_or_fails,
    nothing_is_left_of_the_pooler_of_a_run_that_is_interrupted_or_killed,
    a_pooler_that_is_not_installed_is_told_before_anything_runs,
    a_program_that_is_no_pooler_is_told_with_what_it_printed,
    scenarios_behind_a_pooler_come_out_alike_on_a_container,
];
