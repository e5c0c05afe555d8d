//! A place of its own for each test: a temporary directory that stands for the machine's, a working
//! directory, and the proof that nothing is left of either.

#![allow(dead_code, reason = "each of the test programs uses its own part")]
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// No command of these tests may take longer.
const LIMIT: Duration = Duration::from_secs(300);
/// Within this time after the end of a command nothing may be left.
pub const CLEAR: Duration = Duration::from_secs(60);

pub struct Sandbox {
    dir: tempfile::TempDir,
}

/// How a command ended and what it printed.
#[derive(Debug)]
pub struct Done {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    pub took: Duration,
}

impl Sandbox {
    pub fn new() -> Self {
        crate::harness::need(crate::harness::Need::Postgres);
        let dir = tempfile::tempdir().unwrap();
        // The server of root is another user, who must be able to pass.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(dir.path(), open).unwrap();
        for name in ["tmp", "work"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        Self { dir }
    }

    /// What lockproof takes for the machine's temporary directory.
    pub fn tmp(&self) -> PathBuf {
        self.dir.path().join("tmp")
    }

    /// Where commands run.
    pub fn work(&self) -> PathBuf {
        self.dir.path().join("work")
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.work().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.work().join(name)).unwrap()
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lockproof"));
        command
            .args(arguments)
            .current_dir(self.work())
            .env("TMPDIR", self.tmp())
            .env("RUST_BACKTRACE", "0")
            // No test goes out for a PostgreSQL of its own.
            .env("LOCKPROOF_PG_ARCHIVE", "off")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        for name in ["SERVER", "IMAGE", "PG_BIN", "LOG", "BIN"] {
            command.env_remove(format!("LOCKPROOF_{name}"));
        }
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Done {
        finish(self.command(arguments).spawn().unwrap())
    }

    pub fn run_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Done {
        let mut command = self.command(arguments);
        finish(command.envs(environment.iter().copied()).spawn().unwrap())
    }

    /// Everything that there still is of what was started here, in words.
    pub fn left(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut folders = vec![self.tmp()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                if entry.path().is_dir() {
                    folders.push(entry.path());
                }
                found.push(format!("file {}", entry.path().display()));
            }
        }
        for pid in self.processes() {
            found.push(format!("process {pid}: {}", command_line(pid)));
        }
        found.extend(
            self.data_homes()
                .iter()
                .map(|home| format!("data {}", home.display())),
        );
        found.extend(self.containers().iter().map(|id| format!("container {id}")));
        found
    }

    /// The processes that were started here, however deep: a pod has a TMPDIR of its own below this one.
    pub fn processes(&self) -> Vec<i32> {
        let mark = format!("TMPDIR={}", self.tmp().display());
        let is_ours = |pid: &i32| {
            let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment
                .split(|byte| *byte == 0)
                .filter_map(|one| one.strip_prefix(mark.as_bytes()))
                .any(|rest| rest.is_empty() || rest.starts_with(b"/"))
        };
        pids().into_iter().filter(is_ours).collect()
    }

    /// Data directories on the memory file system that belong to an instance of this sandbox.
    pub fn data_homes(&self) -> Vec<PathBuf> {
        let tmp = self.tmp().display().to_string();
        std::fs::read_dir("/dev/shm")
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| {
                std::fs::read_to_string(path.join("owner")).is_ok_and(|owner| owner.contains(&tmp))
            })
            .collect()
    }

    /// Containers whose label names an instance of this sandbox.
    pub fn containers(&self) -> Vec<String> {
        let output = Command::new("docker")
            .args([
                "ps",
                "--all",
                "--no-trunc",
                "--filter",
                "label=lockproof.instance",
            ])
            .args(["--format", "{{.ID}} {{.Label \"lockproof.instance\"}}"])
            .output();
        let tmp = self.tmp().display().to_string();
        output.map_or_else(
            |_| Vec::new(),
            |output| {
                String::from_utf8_lossy(&output.stdout)
                    .lines()
                    .filter(|line| line.contains(&tmp))
                    .map(|line| line.split(' ').next().unwrap_or(line).to_owned())
                    .collect()
            },
        )
    }

    /// Waits until nothing is left.
    pub fn is_clear(&self, after: &str) {
        becomes(after, CLEAR, || self.left(), Vec::is_empty);
    }
}

impl Done {
    /// The exit code must be this one, and the texts be in what was printed on standard error.
    #[track_caller]
    pub fn fails(&self, code: i32, texts: &[&str]) {
        assert_eq!(self.code, Some(code), "{self}");
        for text in texts {
            assert!(self.text().contains(text), "no {text:?} in:\n{self}");
        }
    }

    /// Both streams, the words in one line: where a line is wrapped does not matter.
    pub fn text(&self) -> String {
        let words: Vec<&str> = self
            .stdout
            .split_whitespace()
            .chain(self.stderr.split_whitespace())
            .collect();
        words.join(" ")
    }

    /// What was printed on standard output, which must be one JSON document.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}:\n{self}"))
    }
}

impl std::fmt::Display for Done {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "exit {:?} after {:?}\n{}\n{}",
            self.code, self.took, self.stdout, self.stderr
        )
    }
}

/// Reads what a command prints until it ends; one that does not end in time is killed and fails
/// the test.
pub fn finish(mut child: Child) -> Done {
    let begun = Instant::now();
    let mut out = child.stdout.take().unwrap();
    let mut err = child.stderr.take().unwrap();
    let read = |stream: &mut dyn Read| {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let (stdout, stderr, status) = std::thread::scope(|scope| {
        let out = scope.spawn(|| read(&mut out));
        let err = scope.spawn(|| read(&mut err));
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break Some(status);
            }
            if begun.elapsed() > LIMIT {
                child.kill().unwrap();
                child.wait().unwrap();
                break None;
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        (out.join().unwrap(), err.join().unwrap(), status)
    });
    let done = Done {
        code: status.and_then(|status| status.code()),
        stdout,
        stderr,
        took: begun.elapsed(),
    };
    assert!(status.is_some(), "it did not end within {LIMIT:?}: {done}");
    done
}

/// Waits until something is so, and says what was seen if it does not become so.
#[track_caller]
pub fn becomes<T: std::fmt::Debug>(
    what: &str,
    limit: Duration,
    look: impl Fn() -> T,
    is_so: impl Fn(&T) -> bool,
) -> T {
    let start = Instant::now();
    loop {
        let seen = look();
        if is_so(&seen) {
            return seen;
        }
        assert!(start.elapsed() < limit, "{what}: saw {seen:#?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub fn pids() -> Vec<i32> {
    std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

pub fn command_line(pid: i32) -> String {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes)
        .replace('\0', " ")
        .trim()
        .to_owned()
}

/// Whether this process runs (a zombie does not).
pub fn runs(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

/// A mounted file system in memory; gone with this value.
pub struct Mount(PathBuf);

impl Mount {
    #[track_caller]
    pub fn new(at: &Path, options: &str) -> Self {
        std::fs::create_dir_all(at).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "none"])
            .arg(at)
            .output()
            .unwrap();
        assert!(mounted.status.success(), "{mounted:?}");
        Self(at.to_owned())
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}
