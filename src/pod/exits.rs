//! What leads out of a pod: the sockets and pipes through which somebody else could wake it.
//!
//! Owns the walk over the open files of a pod's processes. A pipe between two of its processes
//! leads nowhere, one to lockproof neither, nor does a connection to lockproof's own ports. A
//! socket that the kernel does not list as connected, bound or listening is one that nobody can
//! reach (a connection that was reset, say).

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::sync::{OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::diag::{self, Inet};
use super::proc;
use super::shared::Shared;
use super::wait::reads_from;

/// The number of open files is what tells that they changed; files that were exchanged one for
/// one are noticed after this time.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What leads out of one pod.
#[derive(Debug, Default)]
pub struct Exits {
    /// How many files each process had open at the last walk.
    counts: HashMap<i32, u64>,
    walked: Option<Instant>,
    named: BTreeSet<String>,
    /// Sockets whose other end is known and cannot change: `None` leads nowhere.
    settled: HashMap<u64, Option<String>>,
    /// Timers that are files: process and descriptor.
    timers: Vec<(i32, String)>,
    /// Those of them that were seen shortly before they went off, since some thread last ran.
    due: HashSet<(i32, String)>,
}

/// A file that one of the pod's processes has open.
enum Open {
    Pipe(u64),
    Socket(u64),
    Fifo(String),
    Timer,
    Other,
}

impl Exits {
    /// What leads out of the pod, by name.
    pub fn named(&self) -> &BTreeSet<String> {
        &self.named
    }

    /// Walks over the open files of these processes if they have changed.
    pub fn refresh(&mut self, pids: &[i32], shared: &Shared) {
        let counts: HashMap<i32, u64> = pids.iter().map(|pid| (*pid, open_files(*pid))).collect();
        let fresh = self.walked.is_some_and(|at| at.elapsed() < AGAIN_AFTER);
        if !fresh || counts != self.counts {
            self.counts = counts;
            self.walked = Some(Instant::now());
            self.walk(pids, shared);
        }
    }

    /// Whether one of the pod's timer files goes off within this time. One that was about to counts
    /// until it did: the kernel says 0 from the moment on at which it should, which may be a while
    /// before the interrupt that wakes whoever waits for it.
    pub fn timer_within(&mut self, span: Duration) -> bool {
        let mut soon = false;
        for timer in &self.timers {
            let (pid, descriptor) = timer;
            let info = fs::read_to_string(format!("/proc/{pid}/fdinfo/{descriptor}"));
            match info.map_or(TimerFile::Idle, |info| timer_file(&info)) {
                TimerFile::Set(remaining) if remaining <= span => {
                    self.due.insert(timer.clone());
                    soon = true;
                }
                TimerFile::Idle => soon |= self.due.contains(timer),
                TimerFile::Set(_) | TimerFile::Expired => {
                    self.due.remove(timer);
                }
            }
        }
        soon
    }

    /// Some thread of the pod has run: what was due has been read or set anew, or will be.
    pub fn moved(&mut self) {
        self.due.clear();
    }

    fn walk(&mut self, pids: &[i32], shared: &Shared) {
        self.named.clear();
        self.timers.clear();
        let mut sockets = HashSet::new();
        for pid in pids {
            let who = || proc::stat(*pid).map_or_else(String::new, |stat| stat.name);
            let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else {
                if proc::stat(*pid).is_some_and(|stat| !stat.is_dead()) {
                    self.named
                        .insert(format!("the files of {}, which may not be listed", who()));
                }
                continue;
            };
            for entry in entries.flatten() {
                let descriptor = entry.file_name().to_string_lossy().into_owned();
                match kind(&entry) {
                    // Handed down through lockproof by whoever started that. Most programs never
                    // look at such a descriptor.
                    Open::Pipe(inode) | Open::Socket(inode) if inherited().contains(&inode) => {
                        if listened_to(*pid, &descriptor) {
                            let name = format!("inherited descriptor {descriptor} of {}", who());
                            self.named.insert(name);
                        }
                    }
                    Open::Socket(inode) => {
                        sockets.insert(inode);
                    }
                    Open::Fifo(path) => {
                        self.named.insert(format!("fifo {path}"));
                    }
                    Open::Timer => self.timers.push((*pid, descriptor)),
                    Open::Pipe(_) | Open::Other => {}
                }
            }
            let elsewhere =
                namespace(*pid).filter(|name| Some(name) != namespace_of_lockproof().as_ref());
            let own = shared.isolated.then(|| namespace(pids[0])).flatten();
            if elsewhere.is_some() && elsewhere != own {
                self.named
                    .insert(format!("the network namespace of {}", who()));
            }
        }
        self.settled.retain(|inode, _| sockets.contains(inode));
        if sockets
            .iter()
            .any(|inode| !self.settled.contains_key(inode))
        {
            self.ask(&sockets, shared);
        }
        self.named.extend(self.settled.values().flatten().cloned());
    }

    /// Asks the kernel about the sockets that are not known yet.
    fn ask(&mut self, sockets: &HashSet<u64>, shared: &Shared) {
        let ports = shared
            .ports
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let door = shared.socket.lock();
        let door = door.unwrap_or_else(PoisonError::into_inner).clone();
        for (protocol, word) in [(diag::TCP, "tcp"), (diag::UDP, "udp")] {
            if sockets.iter().all(|inode| self.settled.contains_key(inode)) {
                return;
            }
            let Ok(all) = diag::inet(protocol) else {
                self.named
                    .insert(format!("{word} sockets, which cannot be listed"));
                continue;
            };
            for socket in all.iter().filter(|socket| sockets.contains(&socket.inode)) {
                let inside = leads_to(socket, &ports) || within(socket, &all, sockets);
                let name = (!inside).then(|| name_of(socket, word));
                self.settled.insert(socket.inode, name);
            }
        }
        for inode in sockets {
            if !self.settled.contains_key(inode)
                && let Ok(Some(unix)) = diag::unix(*inode)
            {
                let name = match unix.peer {
                    // Not accepted yet.
                    Some(0) => {
                        self.named.insert("unix socket".to_owned());
                        continue;
                    }
                    Some(peer) if sockets.contains(&peer) => None,
                    Some(peer) => {
                        let name = diag::unix(peer).ok().flatten().and_then(|peer| peer.name);
                        let name = name.unwrap_or_default();
                        let inside = door.as_deref().is_some_and(|door| door == Path::new(&name));
                        (!inside).then(|| format!("unix socket {name}").trim().to_owned())
                    }
                    None => unix.name.map(|name| format!("unix socket {name}")),
                };
                self.settled.insert(*inode, name);
            }
        }
    }
}

/// Whether the socket is connected to one of lockproof's ports.
fn leads_to(socket: &Inet, ports: &[u16]) -> bool {
    socket.remote.ip().is_loopback() && ports.contains(&socket.remote.port())
}

/// Whether the socket's other end is one of these sockets too.
fn within(socket: &Inet, all: &[Inet], sockets: &HashSet<u64>) -> bool {
    all.iter().any(|other| {
        other.local == socket.remote
            && other.remote == socket.local
            && sockets.contains(&other.inode)
    })
}

fn name_of(socket: &Inet, word: &str) -> String {
    if socket.listens {
        format!("{word} listening on {}", socket.local)
    } else if socket.remote.port() == 0 {
        format!("{word} on {}", socket.local)
    } else {
        format!("{word} to {}", socket.remote)
    }
}

/// How many files the process has open.
fn open_files(pid: i32) -> u64 {
    let dir = format!("/proc/{pid}/fd");
    match fs::metadata(&dir).map(|facts| facts.len()) {
        // Before Linux 6.2 the size is always 0.
        Ok(0) => fs::read_dir(&dir).map_or(0, |entries| entries.count() as u64),
        Ok(size) => size,
        Err(_) => 0,
    }
}

fn kind(entry: &fs::DirEntry) -> Open {
    let Ok(link) = fs::read_link(entry.path()) else {
        return Open::Other;
    };
    let link = link.to_string_lossy();
    let inode = |prefix: &str| -> Option<u64> {
        link.strip_prefix(prefix)?.strip_suffix(']')?.parse().ok()
    };
    if let Some(inode) = inode("pipe:[") {
        return Open::Pipe(inode);
    }
    if let Some(inode) = inode("socket:[") {
        return Open::Socket(inode);
    }
    if link.starts_with("anon_inode:") && link.contains("timerfd") {
        return Open::Timer;
    }
    if link.starts_with('/')
        && !link.starts_with("/dev/")
        && fs::metadata(entry.path()).is_ok_and(|facts| facts.file_type().is_fifo())
    {
        return Open::Fifo(link.into_owned());
    }
    Open::Other
}

/// What an fdinfo file says of a timer.
#[derive(Debug, PartialEq, Eq)]
enum TimerFile {
    /// It goes off after this time.
    Set(Duration),
    /// It has gone off, and nobody has read that yet: whoever waited has been woken.
    Expired,
    /// It is not set, or should go off now.
    Idle,
}

/// Reads an fdinfo file: `ticks: 0`, `it_value: (0, 8345000)`.
fn timer_file(info: &str) -> TimerFile {
    let field = |name: &str| info.lines().find_map(|line| line.strip_prefix(name));
    if field("ticks:").is_some_and(|ticks| ticks.trim() != "0") {
        return TimerFile::Expired;
    }
    let remaining = field("it_value:").and_then(|value| {
        let (seconds, nanos) = value
            .trim()
            .strip_prefix('(')?
            .strip_suffix(')')?
            .split_once(',')?;
        let whole = Duration::from_secs(seconds.trim().parse().ok()?);
        Some(whole + Duration::from_nanos(nanos.trim().parse().ok()?))
    });
    match remaining {
        Some(remaining) if !remaining.is_zero() => TimerFile::Set(remaining),
        _ => TimerFile::Idle,
    }
}

/// Whether a thread of the process reads from the descriptor, or an epoll set of it has it.
/// (Those of poll and select are in the process's memory; they are not looked for.)
fn listened_to(pid: i32, descriptor: &str) -> bool {
    let Ok(number) = descriptor.parse::<u64>() else {
        return false;
    };
    let reads = |tid: i32| {
        fs::read(format!("/proc/{pid}/task/{tid}/syscall"))
            .is_ok_and(|call| reads_from(&call) == Some(number))
    };
    let polls = |entry: fs::DirEntry| {
        fs::read_to_string(entry.path()).is_ok_and(|info| {
            info.lines()
                .filter_map(|line| line.strip_prefix("tfd:"))
                .any(|rest| rest.split_ascii_whitespace().next() == Some(descriptor))
        })
    };
    proc::threads(pid).into_iter().any(reads)
        || fs::read_dir(format!("/proc/{pid}/fdinfo"))
            .into_iter()
            .flatten()
            .flatten()
            .any(polls)
}

fn namespace(pid: i32) -> Option<std::path::PathBuf> {
    fs::read_link(format!("/proc/{pid}/ns/net")).ok()
}

fn namespace_of_lockproof() -> Option<std::path::PathBuf> {
    static OWN: OnceLock<Option<std::path::PathBuf>> = OnceLock::new();
    OWN.get_or_init(|| fs::read_link("/proc/self/ns/net").ok())
        .clone()
}

/// The pipes and sockets that lockproof itself had when it started its first pod.
pub fn inherited() -> &'static HashSet<u64> {
    static INHERITED: OnceLock<HashSet<u64>> = OnceLock::new();
    INHERITED.get_or_init(|| {
        let entries = fs::read_dir("/proc/self/fd")
            .into_iter()
            .flatten()
            .flatten();
        entries
            .filter_map(|entry| match kind(&entry) {
                Open::Pipe(inode) | Open::Socket(inode) => Some(inode),
                _ => None,
            })
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_file_tells_how_long_it_still_has() {
        let info = "pos:\t0\nclockid: 1\nticks: 0\nit_value: (0, 8345000)\nit_interval: (1, 0)\n";
        assert_eq!(
            timer_file(info),
            TimerFile::Set(Duration::from_nanos(8_345_000))
        );
        assert_eq!(timer_file("ticks:\t0\nit_value: (0, 0)\n"), TimerFile::Idle);
        assert_eq!(
            timer_file("ticks:\t1\nit_value: (0, 0)\n"),
            TimerFile::Expired
        );
        assert_eq!(timer_file("pos: 0\n"), TimerFile::Idle);
    }
}
