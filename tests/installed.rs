//! The installed program: one file that needs nothing beside it, whatever it is called.

// Test code: a failed unwrap is a failed test, in helper functions too.
#![allow(clippy::unwrap_used)]
#![deny(dead_code)]

mod harness;
#[path = "bad_input/sandbox.rs"]
mod sandbox;

use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sandbox::{Done, Sandbox, becomes, finish};

const SCENARIO: &str = r#"title = "it"
[subject]
seeder = { lock = "session", profile = "tiny" }
lock = { key = 0x47524f4f }
[pods]
count = 1
"#;

/// The program elsewhere, under this name and with nothing beside it.
fn copied(sandbox: &Sandbox, name: &str) -> std::path::PathBuf {
    let folder = sandbox.work().join("bin");
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join(name);
    std::fs::copy(env!("CARGO_BIN_EXE_lockproof"), &file).unwrap();
    file
}

fn start(sandbox: &Sandbox, program: &Path, arguments: &[&str]) -> std::process::Child {
    let known = sandbox.command(&[]);
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(sandbox.work())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    for (name, value) in known.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    // Another test may be starting something: until that has begun, it has the copied file open for writing, too.
    let begun = Instant::now();
    loop {
        match command.spawn() {
            Ok(child) => return child,
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => {
                assert!(begun.elapsed() < Duration::from_secs(30), "{error}");
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(error) => panic!("{}: {error}", program.display()),
        }
    }
}

#[track_caller]
fn holds(done: &Done) {
    assert_eq!(done.code, Some(0), "{done}");
    assert!(
        done.stdout.contains("1 of 1 scenarios as expected"),
        "{done}"
    );
}

fn a_program_of_another_name_is_its_own_guardian_keeper_and_job() {
    let sandbox = Sandbox::new();
    sandbox.write("it.toml", SCENARIO);
    for name in ["lp", "lock proof-1.0"] {
        let program = copied(&sandbox, name);
        let run = ["run", "it.toml", "--server", "local"];
        holds(&finish(start(&sandbox, &program, &run)));
        sandbox.is_clear("after the run");
    }
}

fn a_link_to_the_program_will_do() {
    let sandbox = Sandbox::new();
    sandbox.write("it.toml", SCENARIO);
    let program = copied(&sandbox, "lockproof-1.0");
    let link = sandbox.work().join("lockproof");
    std::os::unix::fs::symlink(&program, &link).unwrap();
    let run = ["run", "it.toml", "--server", "local"];
    holds(&finish(start(&sandbox, &link, &run)));
    sandbox.is_clear("after the run");
}

fn a_program_that_is_removed_while_it_runs_still_starts_itself() {
    let sandbox = Sandbox::new();
    let scenario = SCENARIO.replace(
        "[subject]\n",
        "[subject]\nprepare = \"touch waits; while [ ! -e go ]; do sleep 0.02; done\"\n",
    );
    sandbox.write("it.toml", scenario);
    let program = copied(&sandbox, "lockproof");
    let child = start(&sandbox, &program, &["run", "it.toml", "--server", "local"]);
    // Its keeper runs, and the pods' proxies are still to come: the job itself is started after this.
    let waits = sandbox.work().join("waits");
    becomes(
        "it waits in prepare",
        Duration::from_secs(120),
        || waits.exists(),
        |there| *there,
    );
    std::fs::remove_file(&program).unwrap();
    sandbox.write("go", "");
    holds(&finish(child));
    sandbox.is_clear("after the run");
}

fn the_archive_of_a_release_has_the_program_its_pages_and_completions() {
    let sandbox = Sandbox::new();
    sandbox.write("it.toml", SCENARIO);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/release");
    let made = |folder: &str| {
        let mut command = Command::new(&script);
        command.args(["--bin", env!("CARGO_BIN_EXE_lockproof"), folder]);
        command.stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let done = finish(command.spawn().unwrap());
        assert_eq!(done.code, Some(0), "{done}");
        done.stdout.trim().to_owned()
    };
    let [one, two] = ["one", "two"].map(|name| sandbox.work().join(name).display().to_string());
    let archive = made(&one);
    let again = made(&two);
    let bytes = |file: &str| std::fs::read(file).unwrap();
    assert!(
        bytes(&archive) == bytes(&again),
        "the same program makes the same archive"
    );
    let sum = std::fs::read_to_string(format!("{archive}.sha256")).unwrap();
    assert_eq!(sum.split_whitespace().next().unwrap().len(), 64);
    let opened = sandbox.work().join("opened");
    std::fs::create_dir(&opened).unwrap();
    let status = Command::new("tar")
        .arg("-xzf")
        .arg(&archive)
        .arg("-C")
        .arg(&opened)
        .status();
    assert!(status.unwrap().success());
    let root = std::fs::read_dir(&opened)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    for file in [
        "README.md",
        "LICENSE-MIT",
        "man/lockproof.1",
        "man/lockproof-run.1",
        "completions/lockproof.bash",
        "completions/lockproof.zsh",
        "completions/lockproof.fish",
    ] {
        let text = std::fs::read_to_string(root.join(file)).unwrap();
        assert!(
            text.to_lowercase().contains("lockproof") || file.starts_with("LICENSE"),
            "{file}: {text}"
        );
    }
    let status = Command::new("bash")
        .arg("-n")
        .arg(root.join("completions/lockproof.bash"))
        .status();
    assert!(status.unwrap().success(), "bash reads the completions");
    let run = ["run", "it.toml", "--server", "local"];
    holds(&finish(start(&sandbox, &root.join("lockproof"), &run)));
    sandbox.is_clear("after the run");
}

crate::harness::tests![
    the_archive_of_a_release_has_the_program_its_pages_and_completions,
    a_program_of_another_name_is_its_own_guardian_keeper_and_job,
    a_link_to_the_program_will_do,
    a_program_that_is_removed_while_it_runs_still_starts_itself,
];

fn main() -> std::process::ExitCode {
    harness::run([tests()])
}
