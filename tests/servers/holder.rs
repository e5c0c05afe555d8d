//! A process that takes a server and keeps it until it is told otherwise: this test program again.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use lockproof::internals::server::{Guardian, Server, Shutdown, Standby};
use serde::{Deserialize, Serialize};

use crate::looks::{options, runtime};

/// What a holder says once it has its server.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Said {
    pub(crate) pid: u32,
    pub(crate) guardian: u32,
    pub(crate) kind: String,
    pub(crate) version: String,
    pub(crate) description: String,
    pub(crate) port: u16,
    pub(crate) url: String,
    pub(crate) log: bool,
    pub(crate) database: String,
    pub(crate) pod: u32,
    pub(crate) standbys: Vec<String>,
    pub(crate) error: Option<String>,
}

/// What this program does when it is started as a holder.
pub(crate) fn hold(choice: &str) {
    runtime().block_on(async {
        let said = |said: &Said| println!("\nHOLDER {}", serde_json::to_string(said).unwrap());
        let nothing = Said {
            pid: std::process::id(),
            guardian: 0,
            kind: String::new(),
            version: String::new(),
            description: String::new(),
            port: 0,
            url: String::new(),
            log: false,
            database: String::new(),
            pod: 0,
            standbys: Vec::new(),
            error: None,
        };
        let fate = std::env::var("LOCKPROOF_TEST_FATE").unwrap_or_default();
        let had = if fate.is_empty() {
            Server::acquire(&options(choice)).await
        } else {
            Server::own(&options(choice)).await
        };
        let server = match had {
            Ok(server) => server,
            Err(error) => {
                return said(&Said {
                    error: Some(error.to_string()),
                    ..nothing
                });
            }
        };
        let guardian = Guardian::start().unwrap();
        let database = server.create_database("held", None).await.unwrap();
        let (name, value) = guardian.mark().unwrap();
        let pod = Command::new("sleep")
            .arg("600")
            .env(name, value)
            .spawn()
            .unwrap();
        let address = server.address();
        let mut standbys: Vec<Standby> = Vec::new();
        for word in fate.split(' ').filter(|word| !word.ends_with("-forever")) {
            meets(&server, &mut standbys, word).await;
        }
        said(&Said {
            guardian: guardian.pid(),
            kind: server.facts().kind.clone(),
            version: server.facts().version.clone(),
            description: server.facts().description.clone(),
            port: address.port,
            url: url(address),
            log: server.log_readable(),
            database: database.name.clone(),
            pod: pod.id(),
            standbys: standbys
                .iter()
                .map(|standby| url(standby.address()))
                .collect(),
            ..nothing
        });
        loop {
            match fate.rsplit(' ').next() {
                Some("restart-forever") => {
                    server.stop_by(Shutdown::Crash).await.unwrap();
                    server.start_again().await.unwrap();
                }
                Some("standby-forever") => {
                    server.add_standby().await.unwrap().remove().await.unwrap();
                }
                _ => break,
            }
        }
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).unwrap();
        match line.trim() {
            "panic" => panic!("as told"),
            "exit" => std::process::exit(3),
            _ => {
                let mut pod = pod;
                pod.kill().unwrap();
                pod.wait().unwrap();
                server.release().await.unwrap();
                println!("\nHOLDER released");
            }
        }
    });
}

fn url(address: &lockproof::internals::server::Address) -> String {
    address.url(&address.maintenance, &address.host, address.port)
}

/// What becomes of a holder's own server before it says that it has it.
async fn meets(server: &Server, standbys: &mut Vec<Standby>, word: &str) {
    match word {
        "" | "own" => {}
        "standby" => standbys.push(server.add_standby().await.unwrap()),
        "promote" => drop(standbys[0].promote().await.unwrap()),
        "crash" => drop(server.stop_by(Shutdown::Crash).await.unwrap()),
        "stop" => drop(server.stop_by(Shutdown::Fast).await.unwrap()),
        "start" => drop(server.start_again().await.unwrap()),
        "pause" => drop(server.pause().await.unwrap()),
        _ => panic!("no such fate: {word}"),
    }
}

pub(crate) struct Holder {
    pub(crate) child: Child,
    pub(crate) lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

/// A directory that stands for the machine's temporary directory, so that tests do not meet.
pub(crate) fn machine() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    // The server of root is another user, who must be able to pass.
    std::fs::set_permissions(
        dir.path(),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    dir
}

impl Holder {
    pub(crate) fn start(choice: &str, machine: &Path, environment: &[(&str, &str)]) -> Self {
        // Its output under a second number, which every child inherits: whoever of ours lives
        // on must not keep it open. And a group of its own, as a test runner gives.
        let mut command = Command::new("sh");
        command
            .args(["-c", "exec \"$0\" 9>&1"])
            .arg(std::env::current_exe().unwrap())
            .process_group(0)
            .env("LOCKPROOF_TEST_HOLD", choice)
            .env("LOCKPROOF_BIN", env!("CARGO_BIN_EXE_lockproof"))
            .env("TMPDIR", machine)
            .env_remove("LOCKPROOF_IMAGE")
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        for (name, value) in environment {
            command.env(name, value);
        }
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    pub(crate) fn line(&mut self) -> Option<String> {
        self.lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("HOLDER ").map(str::to_owned))
    }

    pub(crate) fn said(&mut self) -> Said {
        serde_json::from_str(&self.line().expect("the holder ended early")).unwrap()
    }

    pub(crate) fn tell(&mut self, word: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{word}").unwrap();
    }

    pub(crate) fn release(mut self) {
        self.tell("release");
        assert_eq!(self.line().as_deref(), Some("released"));
        self.child.wait().unwrap();
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}
