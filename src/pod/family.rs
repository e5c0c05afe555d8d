//! Which processes belong to a pod.
//!
//! Owns the list and the reaping of those that lost their parent. The first process and all that
//! descend from it belong to the pod, whatever group or session they moved to. lockproof is a
//! subreaper: a process whose parent ended becomes lockproof's child. It is known already if it
//! was seen before; if not, it is the pod's when it is in the pod's process group, carries the
//! pod's mark or prints to one of the pod's pipes. One that emptied its environment,
//! left the group, prints elsewhere and lost its parent between two looks is not found.

use std::collections::{HashMap, HashSet};
use std::sync::Once;

use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

use super::marker::MARKER;
use super::proc::{self, Stat};

/// Asks the system once to give lockproof the orphans among its descendants.
pub fn adopt_orphans() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        #[cfg(target_os = "linux")]
        if let Err(error) = nix::sys::prctl::set_child_subreaper(true) {
            tracing::warn!(%error, "orphans of a pod may escape: no subreaper");
        }
    });
}

/// The processes of one pod.
#[derive(Debug)]
pub struct Family {
    /// The first process.
    first: i32,
    /// When it started, in clock ticks since boot; 0 where there is no /proc.
    first_start: u64,
    /// `LOCKPROOF_POD_ID=<id>`.
    mark: String,
    /// The pipes that it prints to, as `/proc/PID/fd` names them.
    pipes: Vec<String>,
    /// Every process that was seen to belong to the pod and has not been seen to go.
    known: HashMap<i32, u64>,
    /// Children of lockproof that were seen to belong to somebody else.
    strangers: HashSet<(i32, u64)>,
}

impl Family {
    /// A pod's processes, as yet its first only; with the inodes of the pipes that it prints to.
    pub fn new(first: i32, id: &str, pipes: &[u64]) -> Self {
        let first_start = proc::stat(first).map_or(0, |stat| stat.start);
        Self {
            first,
            first_start,
            mark: format!("{MARKER}={id}"),
            pipes: pipes
                .iter()
                .map(|inode| format!("pipe:[{inode}]"))
                .collect(),
            known: HashMap::from([(first, first_start)]),
            strangers: HashSet::new(),
        }
    }

    /// Process id and start time of the first process.
    pub fn first(&self) -> (i32, u64) {
        (self.first, self.first_start)
    }

    /// Whether the first process still runs.
    pub fn first_lives(&self) -> bool {
        self.alive(self.first, self.first_start).is_some()
    }

    /// All live processes, in the order of their ids. Reaps the adopted ones that have ended.
    pub fn look(&mut self) -> Vec<Stat> {
        if self.first_start == 0 {
            return self.first_alone();
        }
        let mut live: HashMap<i32, Stat> = HashMap::new();
        let mut queue: Vec<i32> = self.known.keys().copied().collect();
        let mut seen: HashSet<i32> = queue.iter().copied().collect();
        // Two rounds: parents first, lockproof's own children after them. A process that is
        // handed over to lockproof meanwhile is then met in at least one of the two places.
        for round in 0..2 {
            while let Some(pid) = queue.pop() {
                let Some(stat) = self.entry(pid) else {
                    continue;
                };
                for child in proc::children(pid) {
                    if seen.insert(child) {
                        queue.push(child);
                    }
                }
                if stat.is_dead() && !proc::any_thread_lives(pid) {
                    self.reap(&stat);
                } else {
                    live.insert(pid, stat);
                }
            }
            if round == 0 {
                queue = self.adopted(&mut seen);
            }
        }
        let mut live: Vec<Stat> = live.into_values().collect();
        live.sort_by_key(|stat| stat.pid);
        live
    }

    /// The process, if it is the pod's: it becomes known, or is forgotten because it has gone.
    fn entry(&mut self, pid: i32) -> Option<Stat> {
        let stat = proc::stat(pid);
        let known = self.known.get(&pid).copied();
        match stat {
            Some(stat) if known.is_none_or(|start| start == stat.start) => {
                self.known.insert(pid, stat.start);
                Some(stat)
            }
            _ => {
                self.known.remove(&pid);
                None
            }
        }
    }

    /// Children of lockproof that are the pod's, though nobody told so.
    fn adopted(&mut self, seen: &mut HashSet<i32>) -> Vec<i32> {
        let own = i32::try_from(std::process::id()).unwrap_or(0);
        // The group's number is free for others once the first process and the whole group have
        // gone; then it says nothing.
        let group_holds = proc::stat(self.first).is_none_or(|stat| stat.start == self.first_start);
        let mut found = Vec::new();
        let mut strangers = HashSet::new();
        for pid in proc::children(own) {
            if seen.contains(&pid) {
                continue;
            }
            let Some(stat) = proc::stat(pid) else {
                continue;
            };
            let key = (pid, stat.start);
            let ours = !self.strangers.contains(&key)
                && stat.start >= self.first_start
                && ((group_holds && stat.group == self.first)
                    || proc::environ_has(pid, &self.mark)
                    || proc::prints_to(pid, &self.pipes));
            if ours {
                seen.insert(pid);
                found.push(pid);
            } else {
                strangers.insert(key);
            }
        }
        self.strangers = strangers;
        found
    }

    /// Takes the entry of an ended process off the system's list, if it is lockproof's to take.
    fn reap(&mut self, stat: &Stat) {
        let own = i32::try_from(std::process::id()).unwrap_or(0);
        // The first process is tokio's child: tokio reaps it and tells its exit code.
        if stat.parent == own && stat.pid != self.first {
            let _ = waitpid(Pid::from_raw(stat.pid), Some(WaitPidFlag::WNOHANG));
            self.known.remove(&stat.pid);
        }
    }

    fn alive(&self, pid: i32, start: u64) -> Option<Stat> {
        if start == 0 {
            return self.first_alone().pop();
        }
        proc::stat(pid)
            .filter(|stat| stat.start == start)
            .filter(|stat| !stat.is_dead() || proc::any_thread_lives(pid))
    }

    /// Without /proc: the first process, as long as a signal could reach it.
    fn first_alone(&self) -> Vec<Stat> {
        if nix::sys::signal::kill(Pid::from_raw(self.first), None).is_err() {
            return Vec::new();
        }
        vec![Stat {
            pid: self.first,
            name: String::new(),
            state: '?',
            parent: 0,
            group: self.first,
            start: 0,
        }]
    }
}
