//! A run whose pod hangs, and the processes of it.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::os::unix::process::CommandExt;
use std::process::Child;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::sandbox::{Done, Sandbox, command_line, finish, pids, runs};

/// A subject that does its work in the clean and serial runs (three pods of it), and then, in the
/// run proper, starts a daemon that has left its group and its session, and hangs in a statement.
const HANGING: &str = r#"#!/bin/sh
echo one >> "$0.count"
psql -q -c 'create table if not exists t (i int); insert into t values (1)' || exit 1
[ "$(wc -l < "$0.count")" -gt 3 ] || exit 0
setsid sh -c 'sleep 611 & exec sleep 612' < /dev/null > /dev/null 2>&1 &
exec psql -c 'select pg_sleep(613)'
"#;

fn hanging(sandbox: &Sandbox, name: &str) {
    sandbox.write(&format!("{name}.sh"), HANGING);
    let script = sandbox.work().join(format!("{name}.sh"));
    sandbox.write(
        &format!("{name}.toml"),
        format!(
            "title = \"hanging\"\n[subject]\ncommand = [\"sh\", {script:?}]\n[pods]\ncount = 1\n"
        ),
    );
}

/// A run whose pod hangs, with its server.
pub struct Hanging<'a> {
    sandbox: &'a Sandbox,
    pub child: Child,
    /// The pod's processes: psql, and the two of the daemon.
    pub pods: Vec<i32>,
}

impl<'a> Hanging<'a> {
    pub fn start(sandbox: &'a Sandbox, name: &str, server: &[(&str, &str)]) -> Self {
        hanging(sandbox, name);
        let file = format!("{name}.toml");
        let mut command = sandbox.command(&["run", &file, "--out", name]);
        // A group of its own, so that it can be interrupted as a terminal does.
        let mut child = command
            .envs(server.iter().copied())
            .process_group(0)
            .spawn()
            .unwrap();
        let count = sandbox.work().join(format!("{name}.sh.count"));
        let begun = Instant::now();
        loop {
            let started = std::fs::read_to_string(&count)
                .unwrap_or_default()
                .lines()
                .count()
                > 3;
            let pods = pods_of(child.id());
            if started && pods.len() >= 3 {
                return Self {
                    sandbox,
                    child,
                    pods,
                };
            }
            if let Some(status) = child.try_wait().unwrap() {
                panic!("it ended too early, {status}: {}", finish(child));
            }
            assert!(begun.elapsed() < Duration::from_secs(40), "{pods:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }

    /// Kills what lockproof has started of itself to clear up behind this run: its guardian, keepers.
    pub fn loses(&self, helper: &str) {
        let mut killed = Vec::new();
        for pid in pids() {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            // Whatever its state.
            let parent = stat
                .split_once(&format!("({helper}) "))
                .and_then(|(_, rest)| rest.split(' ').nth(1)?.parse().ok());
            if parent == Some(self.child.id()) {
                kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
                killed.push(pid);
            }
        }
        assert!(!killed.is_empty(), "no {helper}");
    }

    /// Ends it, and sees that everything of it goes.
    pub fn ends_with(self, signal: Signal) -> Done {
        kill(self.pid(), signal).unwrap();
        let done = finish(self.child);
        self.sandbox.is_clear(signal.as_str());
        for pod in &self.pods {
            assert!(!runs(*pod), "{signal}: {pod} still runs");
        }
        done
    }
}

/// The processes of pods that carry the mark of a lockproof with this process id: those that hang.
fn pods_of(lockproof: u32) -> Vec<i32> {
    pids()
        .into_iter()
        .filter(|pid| {
            let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            let environment = String::from_utf8_lossy(&environment).into_owned();
            environment.split('\0').any(|one| {
                one.strip_prefix("LOCKPROOF_RUN=")
                    .is_some_and(|mark| mark.contains(&format!(":{lockproof}:")))
            })
        })
        .filter(|pid| {
            let line = command_line(*pid);
            ["sleep 611", "sleep 612", "pg_sleep(613)"]
                .iter()
                .any(|word| line.contains(word) && !line.contains("exec"))
        })
        .collect()
}
