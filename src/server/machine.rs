//! Processes of this machine, by an identity that is not reused.
//!
//! Owns the reading of `/proc` (and `ps` where there is none) as far as clean-up needs it, and
//! the killing. Knows nothing of pods or servers.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

/// A process that cannot be mistaken for a later one with the same number.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct ProcessName {
    /// The process id.
    pub(super) pid: i32,
    /// When it started, in a form that only serves to be compared.
    pub(super) started: String,
}

/// A process as the machine shows it now.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) name: ProcessName,
    pub(super) group: i32,
    pub(super) zombie: bool,
    /// By SIGSTOP or a debugger.
    pub(super) stopped: bool,
}

impl ProcessName {
    /// The process with this number, if there is one.
    pub(super) fn of(pid: i32) -> Option<Self> {
        look(pid).map(|seen| seen.name)
    }

    /// This process.
    pub(super) fn own() -> Self {
        let pid = i32::try_from(std::process::id()).unwrap_or(i32::MAX);
        Self::of(pid).unwrap_or(Self {
            pid,
            started: String::new(),
        })
    }

    /// Whether it still runs. One that has ended and was not yet waited for does not.
    pub(super) fn is_alive(&self) -> bool {
        look(self.pid).is_some_and(|seen| seen.name == *self && !seen.zombie)
    }
}

/// Whether a process is of this process's own namespace. One in a container is seen from outside, too, but what
/// it says of itself (numbers, paths) holds in there.
fn is_here(pid: i32, own: &Path) -> bool {
    let its = fs::read_link(format!("/proc/{pid}/ns/pid"));
    its.map_or(true, |its| its == own)
}

/// All processes of this process's own namespace.
pub(super) fn all_here() -> Vec<Seen> {
    let Ok(own) = fs::read_link("/proc/self/ns/pid") else {
        return all();
    };
    let mut all = all();
    all.retain(|seen| is_here(seen.name.pid, &own));
    all
}

/// Whether a path is not there by this process's own view of the file system, which may be another than ours: a
/// lockproof may run where something else is mounted at the place of its servers.
pub(super) fn is_gone_for(pid: i32, path: &Path) -> bool {
    let root = PathBuf::from(format!("/proc/{pid}/root"));
    let there = |path: &Path| path.try_exists().ok();
    let path = root.join(path.strip_prefix("/").unwrap_or(path));
    there(&path) == Some(false) && there(&root.join(".")) == Some(true)
}

/// The process with this number, as it is now.
pub(super) fn look(pid: i32) -> Option<Seen> {
    if has_proc() {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        parse_stat(pid, &stat)
    } else {
        listed_by_ps(Some(pid)).into_iter().next()
    }
}

/// All processes that can be seen.
pub(super) fn all() -> Vec<Seen> {
    if !has_proc() {
        return listed_by_ps(None);
    }
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(look)
        .collect()
}

/// The arguments of a process, with blanks between them; empty if they cannot be read.
pub(super) fn arguments(pid: i32) -> String {
    if has_proc() {
        let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        return String::from_utf8_lossy(&bytes).replace('\0', " ");
    }
    ps(&["-o", "command=", "-p", &pid.to_string()])
}

/// Where a process works, as far as that can be seen. Of a deleted directory the path ends in
/// ` (deleted)`.
pub(super) fn working_directory(pid: i32) -> Option<std::path::PathBuf> {
    fs::read_link(format!("/proc/{pid}/cwd")).ok()
}

/// The processes whose environment has this entry (`NAME=value`), as far as it can be read.
pub(super) fn with_environment(entry: &str) -> Vec<ProcessName> {
    let own = std::process::id();
    all()
        .into_iter()
        .filter(|seen| !seen.zombie && u32::try_from(seen.name.pid) != Ok(own))
        .filter(|seen| {
            environment(seen.name.pid)
                .split('\0')
                .any(|found| found == entry)
        })
        .map(|seen| seen.name)
        .collect()
}

/// The value of a variable in the environment of a process.
pub(super) fn environment_value(pid: i32, name: &str) -> Option<String> {
    environment(pid).split('\0').find_map(|entry| {
        entry
            .strip_prefix(name)
            .and_then(|rest| rest.strip_prefix('='))
            .map(str::to_owned)
    })
}

fn environment(pid: i32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Sends a signal to a process if it is still the one that is meant. Returns whether it was.
pub(super) fn signal(process: &ProcessName, signal: Signal) -> bool {
    process.is_alive() && kill(Pid::from_raw(process.pid), signal).is_ok()
}

/// SIGKILL to a process and to what is left of the group that it leads.
pub(super) fn kill_with_group(process: &ProcessName) {
    let now = look(process.pid);
    // If another process has the number, the group is not ours either: the kernel gives no
    // process the number of a group that still has members.
    if now.as_ref().is_some_and(|seen| seen.name != *process) {
        return;
    }
    let leads = now.as_ref().is_none_or(|seen| seen.group == process.pid);
    if leads && process.pid > 1 {
        let _ = nix::sys::signal::killpg(Pid::from_raw(process.pid), Signal::SIGKILL);
    }
    signal(process, Signal::SIGKILL);
}

/// Waits until none of these processes runs any more; `false` if some still do at the limit.
pub(super) fn wait_gone(processes: &[ProcessName], limit: Duration) -> bool {
    let start = Instant::now();
    while processes.iter().any(ProcessName::is_alive) {
        if start.elapsed() > limit {
            return false;
        }
        std::thread::sleep(Duration::from_millis(3));
    }
    true
}

/// Runs a command to its end and returns what it printed, standard error last.
///
/// # Errors
/// When it cannot be started, does not end in time (it is killed then), or fails.
pub(super) fn run_bounded(command: &mut Command, limit: Duration) -> io::Result<String> {
    use std::process::Stdio;
    let program = command.get_program().to_string_lossy().into_owned();
    // Files, not pipes: a pipe that a grandchild keeps open would make the reading endless.
    let out = tempfile::tempfile()?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(out.try_clone()?)
        .stderr(out.try_clone()?)
        .spawn()?;
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if start.elapsed() > limit {
            let _ = child.kill();
            let _ = child.wait();
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("{program} did not end within {} s", limit.as_secs()),
            ));
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let text = read_from_start(out)?;
    if status.success() {
        Ok(text)
    } else {
        Err(io::Error::other(format!(
            "{program} ended with {status}: {}",
            last_lines(&text)
        )))
    }
}

/// What went wrong stands at the end.
fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty())
        .collect();
    lines[lines.len().saturating_sub(6)..].join("; ")
}

fn read_from_start(mut file: fs::File) -> io::Result<String> {
    use std::io::{Read, Seek, SeekFrom};
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn has_proc() -> bool {
    Path::new("/proc/self/stat").exists()
}

fn parse_stat(pid: i32, stat: &str) -> Option<Seen> {
    // The command in parentheses may hold blanks and parentheses: count from the last one.
    let fields: Vec<&str> = stat[stat.rfind(')')? + 1..].split_whitespace().collect();
    Some(Seen {
        name: ProcessName {
            pid,
            started: (*fields.get(19)?).to_owned(),
        },
        zombie: matches!(*fields.first()?, "Z" | "X"),
        stopped: matches!(*fields.first()?, "T" | "t"),
        group: fields.get(2)?.parse().ok()?,
    })
}

fn ps(arguments: &[&str]) -> String {
    Command::new("ps")
        .args(arguments)
        .env("LC_ALL", "C")
        .output()
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default()
}

/// For systems without `/proc`: pid, group, state and the five words of the start time.
fn listed_by_ps(pid: Option<i32>) -> Vec<Seen> {
    const COLUMNS: &str = "pid=,pgid=,stat=,lstart=";
    let text = match pid {
        Some(pid) => ps(&["-o", COLUMNS, "-p", &pid.to_string()]),
        None => ps(&["-A", "-o", COLUMNS]),
    };
    text.lines()
        .filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            Some(Seen {
                name: ProcessName {
                    pid: words.first()?.parse().ok()?,
                    started: words.get(3..)?.join(" "),
                },
                group: words.get(1)?.parse().ok()?,
                zombie: words.get(2)?.starts_with('Z'),
                stopped: words.get(2)?.starts_with('T'),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_with_blanks_and_parentheses_does_not_shift_the_fields() {
        let tail = "S 7 8 9 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 1 2";
        let seen = parse_stat(3, &format!("3 (a) b (c) {tail}")).unwrap();
        assert_eq!(seen.name.started, "4711");
        assert_eq!((seen.group, seen.zombie, seen.stopped), (8, false, false));
        let seen = parse_stat(3, &format!("3 (a) S (c) {}", tail.replace('S', "T"))).unwrap();
        assert!(seen.stopped);
    }

    #[test]
    fn a_number_with_another_start_is_another_process() {
        let own = ProcessName::own();
        assert!(own.is_alive());
        let other = ProcessName {
            started: "1".to_owned(),
            ..own
        };
        assert!(!other.is_alive());
    }

    #[test]
    fn a_command_that_does_not_end_is_killed() {
        let error =
            run_bounded(Command::new("sleep").arg("60"), Duration::from_millis(50)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn a_process_of_another_namespace_is_seen_and_is_not_here() {
        let entry = format!("LOCKPROOF_TEST_HERE_{}=1", std::process::id());
        let (name, value) = entry.split_once('=').unwrap();
        let outer = Command::new("unshare")
            .args(["--pid", "--fork", "--kill-child", "sleep", "60"])
            .env(name, value)
            .spawn();
        let Ok(mut outer) = outer else { return };
        let begun = Instant::now();
        let inner = loop {
            let found = with_environment(&entry);
            let inner = found
                .iter()
                .find(|one| arguments(one.pid).starts_with("sleep"));
            if let Some(inner) = inner {
                break inner.pid;
            }
            // Only root may make one.
            if outer.try_wait().unwrap().is_some() {
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "{found:?}");
            std::thread::sleep(Duration::from_millis(2));
        };
        let has = |all: &[Seen], pid| all.iter().any(|seen| seen.name.pid == pid);
        assert!(has(&all(), inner));
        let here = all_here();
        assert!(!has(&here, inner));
        assert!(has(&here, outer.id().cast_signed()));
        outer.kill().unwrap();
        outer.wait().unwrap();
    }

    #[test]
    fn a_process_is_found_by_its_environment() {
        let entry = format!("LOCKPROOF_TEST_{}=1", std::process::id());
        let (name, value) = entry.split_once('=').unwrap();
        let mut child = Command::new("sleep")
            .arg("60")
            .env(name, value)
            .spawn()
            .unwrap();
        // The child is there a moment before its new program's environment can be read.
        let begun = Instant::now();
        let mut found = with_environment(&entry);
        while found.is_empty() && begun.elapsed() < Duration::from_secs(30) {
            found = with_environment(&entry);
        }
        assert_eq!(found.len(), 1);
        kill_with_group(&found[0]);
        child.wait().unwrap();
        assert!(with_environment(&entry).is_empty());
    }
}
