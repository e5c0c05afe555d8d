//! What /proc says of a process: its stat line, its children, its environment.
//!
//! Owns the parsing. Knows nothing of pods. Every function answers "nothing" where there is no
//! /proc or the process has gone meanwhile: a process can end between any two reads.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;

/// The facts of a process's stat line that matter here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// Process id.
    pub pid: i32,
    /// The name of its program, cut at 15 bytes by the kernel.
    pub name: String,
    /// `R`, `S`, `D`, `Z`, `T`, … as in proc(5).
    pub state: char,
    /// Its parent.
    pub parent: i32,
    /// Its process group.
    pub group: i32,
    /// When it started, in clock ticks since the machine's boot. A process id alone is reused.
    pub start: u64,
}

impl Stat {
    /// Whether it has ended and only its entry is left.
    pub fn is_dead(&self) -> bool {
        matches!(self.state, 'Z' | 'X' | 'x')
    }
}

/// The stat line of a process or, with `pid/task/tid`, of a thread.
pub fn stat(pid: i32) -> Option<Stat> {
    stat_at(&pid.to_string())
}

/// The stat line of what is at this path under /proc.
pub fn stat_at(path: &str) -> Option<Stat> {
    parse_stat(&fs::read(format!("/proc/{path}/stat")).ok()?)
}

/// The fields of a stat line. The name is in parentheses and may itself contain any of them.
pub fn parse_stat(line: &[u8]) -> Option<Stat> {
    let open = line.iter().position(|byte| *byte == b'(')?;
    let close = line.iter().rposition(|byte| *byte == b')')?;
    let pid = str::from_utf8(&line[..open]).ok()?.trim().parse().ok()?;
    let name = String::from_utf8_lossy(line.get(open + 1..close)?).into_owned();
    let rest = str::from_utf8(&line[close + 1..]).ok()?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    Some(Stat {
        pid,
        name,
        state: fields.first()?.chars().next()?,
        parent: fields.get(1)?.parse().ok()?,
        group: fields.get(2)?.parse().ok()?,
        start: fields.get(19)?.parse().ok()?,
    })
}

/// The state in a stat line.
pub fn state_of(line: &[u8]) -> Option<char> {
    let close = line.iter().rposition(|byte| *byte == b')')?;
    line.get(close + 2).copied().map(char::from)
}

/// The number of threads in a process's stat line.
pub fn thread_count(line: &[u8]) -> Option<usize> {
    let close = line.iter().rposition(|byte| *byte == b')')?;
    let rest = str::from_utf8(&line[close + 1..]).ok()?;
    rest.split_ascii_whitespace().nth(17)?.parse().ok()
}

/// Whether a stat line is of a process in the middle of exec(2): it has memory, but that memory has
/// no place for an environment yet. (An empty environment has a place. A process without memory is
/// the kernel's own, or about to be dead.)
fn is_between_programs(line: &[u8]) -> bool {
    let Some(close) = line.iter().rposition(|byte| *byte == b')') else {
        return false;
    };
    let rest = String::from_utf8_lossy(&line[close + 1..]);
    let mut fields = rest.split_ascii_whitespace();
    let (memory, environ_end) = (fields.nth(20), fields.nth(27));
    memory.is_some_and(|bytes| bytes != "0") && environ_end == Some("0")
}

/// Whether a process has a handler for this signal (`SigCgt` in its status); where there is no
/// /proc, it counts as having one.
pub fn catches(pid: i32, signal: i32) -> bool {
    let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else {
        return true;
    };
    caught(&status).is_none_or(|mask| mask & (1 << (signal - 1)) != 0)
}

/// Whether a signal has been sent to a process and not been taken yet.
pub fn is_pending(pid: i32, signal: i32) -> bool {
    in_masks(pid, &["SigPnd:", "ShdPnd:"], signal)
}

/// Whether a signal that ends a process unless it has a handler or ignores it will end this one.
pub fn is_fatal(pid: i32, signal: i32) -> bool {
    fs::metadata(format!("/proc/{pid}/status")).is_ok()
        && !in_masks(pid, &["SigCgt:", "SigIgn:"], signal)
}

fn in_masks(pid: i32, names: &[&str], signal: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let mut masks = names.iter().filter_map(|name| mask(&status, name));
    masks.any(|mask| mask & (1 << (signal - 1)) != 0)
}

/// The signals for which a process has handlers, by its status.
fn caught(status: &str) -> Option<u64> {
    mask(status, "SigCgt:")
}

/// A set of signals in a process's status.
fn mask(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

/// Whether any thread of the process still lives. The first thread of a process can end before
/// the others do; its stat line then says `Z`.
pub fn any_thread_lives(pid: i32) -> bool {
    threads(pid)
        .into_iter()
        .filter_map(|tid| stat_at(&format!("{pid}/task/{tid}")))
        .any(|thread| !thread.is_dead())
}

/// The ids of a process's threads.
pub fn threads(pid: i32) -> Vec<i32> {
    numbers_in(&format!("/proc/{pid}/task"))
}

/// The ids of all processes on the machine.
pub fn all() -> Vec<i32> {
    numbers_in("/proc")
}

fn numbers_in(dir: &str) -> Vec<i32> {
    let Ok(entries) = fs::read_dir(dir) else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect()
}

/// The children of a process, of all its threads.
pub fn children(pid: i32) -> Vec<i32> {
    if !lists_children() {
        return all()
            .into_iter()
            .filter_map(stat)
            .filter(|stat| stat.parent == pid)
            .map(|stat| stat.pid)
            .collect();
    }
    let mut found = Vec::new();
    for thread in threads(pid) {
        if let Ok(text) = fs::read_to_string(format!("/proc/{pid}/task/{thread}/children")) {
            found.extend(parse_children(&text));
        }
    }
    found
}

/// The process ids in a `children` file.
pub fn parse_children(text: &str) -> impl Iterator<Item = i32> + '_ {
    text.split_ascii_whitespace()
        .filter_map(|word| word.parse().ok())
}

/// Whether this kernel was built with the `children` files (CONFIG_PROC_CHILDREN).
pub fn lists_children() -> bool {
    static LISTS: OnceLock<bool> = OnceLock::new();
    *LISTS.get_or_init(|| {
        let own = std::process::id();
        fs::metadata(format!("/proc/{own}/task/{own}/children")).is_ok()
    })
}

/// How long a process may take from giving up its old program to having the new one's environment.
const BETWEEN_PROGRAMS: Duration = Duration::from_secs(1);

/// Whether the process can write to one of these pipes, as `/proc/PID/fd` names them, and so can
/// what it executes. A child of lockproof that has not executed its program yet has every
/// descriptor of lockproof's, but those are closed by exec(2).
pub fn prints_to(pid: i32, pipes: &[String]) -> bool {
    let Ok(open) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return false;
    };
    open.flatten()
        .filter(|entry| {
            fs::read_link(entry.path())
                .is_ok_and(|link| pipes.iter().any(|pipe| link.as_os_str() == pipe.as_str()))
        })
        .any(|entry| {
            let info = Path::new("/proc")
                .join(pid.to_string())
                .join("fdinfo")
                .join(entry.file_name());
            fs::read_to_string(info).is_ok_and(|info| is_inherited_writer(&info))
        })
}

/// Whether a `/proc/PID/fdinfo/FD` tells of a descriptor that writes and that exec(2) leaves open.
fn is_inherited_writer(info: &str) -> bool {
    let flags = info
        .lines()
        .find_map(|line| line.strip_prefix("flags:"))
        .and_then(|flags| i32::from_str_radix(flags.trim(), 8).ok());
    flags.is_some_and(|flags| {
        let flags = OFlag::from_bits_retain(flags);
        flags.intersects(OFlag::O_WRONLY | OFlag::O_RDWR) && !flags.contains(OFlag::O_CLOEXEC)
    })
}

/// Whether the environment that the process was started with has this `NAME=value`. In the middle
/// of exec(2) it has none; that moment is waited out, for nothing tells of its end.
pub fn environ_has(pid: i32, entry: &str) -> bool {
    let begun = Instant::now();
    let environ = loop {
        let Ok(environ) = fs::read(format!("/proc/{pid}/environ")) else {
            return false;
        };
        let between = environ.is_empty()
            && fs::read(format!("/proc/{pid}/stat")).is_ok_and(|line| is_between_programs(&line));
        if !between || begun.elapsed() > BETWEEN_PROGRAMS {
            break environ;
        }
        std::thread::sleep(Duration::from_micros(50));
    };
    environ
        .split(|byte| *byte == 0)
        .any(|variable| variable == entry.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_blanks_does_not_shift_the_fields() {
        let line = b"42 (a) R (b) S 7 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 3 0 9876 1 1";
        let stat = parse_stat(line).unwrap();
        assert_eq!(
            (stat.pid, stat.name.as_str(), stat.state, stat.parent),
            (42, "a) R (b", 'S', 7)
        );
        assert_eq!((stat.group, stat.start), (42, 9876));
        assert_eq!(thread_count(line), Some(3));
        assert_eq!(state_of(line), Some('S'));
    }

    #[test]
    fn a_process_in_the_middle_of_exec_is_told_by_its_stat_line() {
        let own = std::process::id();
        let line = fs::read_to_string(format!("/proc/{own}/stat")).unwrap();
        assert!(!is_between_programs(line.as_bytes()));
        let (name, rest) = line.rsplit_once(") ").unwrap();
        let with = |changes: &[usize]| {
            let mut fields: Vec<&str> = rest.split_ascii_whitespace().collect();
            for field in changes {
                // proc(5) counts from 1; the process id and the name come before.
                fields[field - 3] = "0";
            }
            format!("{name}) {}", fields.join(" "))
        };
        assert!(is_between_programs(with(&[51]).as_bytes()));
        assert!(
            !is_between_programs(with(&[23, 51]).as_bytes()),
            "no memory"
        );
    }

    #[test]
    fn a_line_that_was_cut_is_no_process() {
        assert_eq!(parse_stat(b"42 (a) S 7 42"), None);
        assert_eq!(parse_stat(b""), None);
    }

    #[test]
    fn a_signal_is_fatal_unless_it_is_caught_or_ignored() {
        let own = i32::try_from(std::process::id()).unwrap();
        // Rust's own start-up ignores SIGPIPE and catches SIGSEGV.
        let (pipe, segv, usr1) = (13, 11, 10);
        assert!(!is_fatal(own, pipe) && !is_fatal(own, segv) && is_fatal(own, usr1));
        assert!(!is_pending(own, usr1));
        assert_eq!(
            mask("SigQ:\t1/2\nSigPnd:\t0000000000004000\n", "SigPnd:"),
            Some(1 << 14)
        );
        assert!(!is_fatal(i32::MAX, usr1), "no such process");
    }

    #[test]
    fn one_sees_oneself() {
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(!stat(own).unwrap().is_dead());
        assert!(all().contains(&own) && threads(own).contains(&own));
    }
}
