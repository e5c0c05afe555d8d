//! What tests see of the machine: files, processes, databases, containers.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use lockproof::internals::server::ServerOptions;
use tokio::runtime::Runtime;

pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

pub(crate) fn options(choice: &str) -> ServerOptions {
    ServerOptions::of(choice.parse().unwrap())
}

/// Waits until something is so, and says what was seen if it does not become so.
pub(crate) fn becomes<T: std::fmt::Debug>(
    what: &str,
    look: impl Fn() -> T,
    is_so: impl Fn(&T) -> bool,
) {
    let start = Instant::now();
    loop {
        let seen = look();
        if is_so(&seen) {
            return;
        }
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "{what}: saw {seen:?}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub(crate) fn runs(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

pub(crate) fn left(machine: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![machine.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
            }
            found.push(entry.path());
        }
    }
    found
}

pub(crate) fn databases(url: &str) -> Vec<String> {
    runtime().block_on(async {
        let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls)
            .await
            .unwrap();
        tokio::spawn(connection);
        client
            .query(
                "SELECT datname FROM pg_database WHERE datname LIKE 'lockproof%'",
                &[],
            )
            .await
            .unwrap()
            .iter()
            .map(|row| row.get(0))
            .collect()
    })
}

pub(crate) fn answers(url: &str) -> bool {
    let look = || {
        runtime().block_on(async {
            let answer = tokio_postgres::connect(url, tokio_postgres::NoTls).await;
            // Shown when the test fails.
            answer
                .inspect_err(|why| println!("no answer: {why:?}"))
                .is_ok()
        })
    };
    // Whoever asks may be on a runtime already.
    std::thread::scope(|scope| scope.spawn(look).join().unwrap())
}

/// The `server.json` of the only server of a machine.
pub(crate) fn stored(machine: &Path) -> serde_json::Value {
    let found: Vec<PathBuf> = left(machine)
        .into_iter()
        .filter(|path| path.ends_with("server.json"))
        .collect();
    assert_eq!(found.len(), 1, "{found:?}");
    serde_json::from_slice(&std::fs::read(&found[0]).unwrap()).unwrap()
}

pub(crate) fn keeper(machine: &Path) -> i32 {
    i32::try_from(stored(machine)["keeper"]["pid"].as_i64().unwrap()).unwrap()
}

pub(crate) fn data_home(machine: &Path) -> PathBuf {
    PathBuf::from(stored(machine)["data_home"].as_str().unwrap())
}

pub(crate) fn postmaster(machine: &Path) -> i32 {
    std::fs::read_to_string(data_home(machine).join("data/postmaster.pid"))
        .unwrap()
        .lines()
        .next()
        .unwrap()
        .parse()
        .unwrap()
}

pub(crate) fn sigkill(pid: i32) {
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(pid),
        nix::sys::signal::Signal::SIGKILL,
    )
    .unwrap();
}

/// Runs a command of lockproof and returns its exit code and what it printed.
pub(crate) fn lockproof(
    arguments: &[&str],
    machine: &Path,
    environment: &[(&str, &str)],
) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_lockproof"))
        .args(arguments)
        .env("TMPDIR", machine)
        .env_remove("LOCKPROOF_IMAGE")
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap(), text)
}
