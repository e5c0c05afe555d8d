//! All processes and threads of one pod, looked at together.
//!
//! Owns the list of what is watched and notices when it is out of date. Only a thread that runs
//! can start a thread or a process, so the list is looked through again only after one did.

use std::collections::BTreeSet;
use std::time::Duration;

use super::exits::Exits;
use super::proc;
use super::shared::Shared;
use super::watch::{Kept, Memory, Seen, Thread};

/// What a look at a whole pod showed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Look {
    /// Some thread has run since the last look, or came, or went.
    pub moved: bool,
    /// Some thread runs.
    pub busy: bool,
    /// Some thread's timer may wake it before long.
    pub pending: bool,
    /// Some thread has a timer that does not matter.
    pub timed: bool,
}

impl Look {
    /// Whether nothing is on its way.
    pub fn quiet(self) -> bool {
        !self.busy && !self.pending
    }

    /// Both.
    pub fn and(self, other: Self) -> Self {
        Self {
            moved: self.moved | other.moved,
            busy: self.busy | other.busy,
            pending: self.pending | other.pending,
            timed: self.timed | other.timed,
        }
    }
}

#[derive(Debug)]
struct Process {
    pid: i32,
    start: u64,
    stat: Kept,
    memory: Memory,
    threads: Vec<Thread>,
}

impl Process {
    fn new(pid: i32, start: u64) -> Self {
        Self {
            pid,
            start,
            stat: Kept::new(format!("/proc/{pid}/stat")),
            memory: Memory::new(pid),
            threads: Vec::new(),
        }
    }

    /// Brings the list of threads up to date.
    fn list_threads(&mut self) {
        let tids = proc::threads(self.pid);
        self.threads.retain(|thread| tids.contains(&thread.tid));
        for tid in tids {
            if self.threads.iter().all(|thread| thread.tid != tid) {
                self.threads.push(Thread::new(self.pid, tid));
            }
        }
    }

    /// Whether it has as many threads as are watched. One that went was noticed by the look, so
    /// an equal number means the same threads.
    fn as_many_threads(&self) -> bool {
        let mut buffer = [0; 1024];
        let count = self
            .stat
            .read(&mut buffer)
            .ok()
            .and_then(proc::thread_count);
        count == Some(self.threads.len())
    }
}

/// The processes and threads of one pod.
#[derive(Debug)]
pub struct Group {
    /// The id of the pod.
    pub id: String,
    processes: Vec<Process>,
    adopted: Kept,
    last_adopted: Option<Vec<u8>>,
    exits: Exits,
    /// Whether something ran since the list was last found complete.
    stale: bool,
}

impl Group {
    /// A pod that has not been looked at yet.
    pub fn new(id: &str) -> Self {
        let own = std::process::id();
        Self {
            id: id.to_owned(),
            processes: Vec::new(),
            adopted: Kept::new(format!("/proc/{own}/task/{own}/children")),
            last_adopted: None,
            exits: Exits::default(),
            stale: true,
        }
    }

    /// Looks for what leads out of the pod; the flag says whether a timer that is a file goes off
    /// within this time.
    pub fn exits(&mut self, shared: &Shared, short_timer: Duration) -> (&BTreeSet<String>, bool) {
        let pids: Vec<i32> = self.processes.iter().map(|process| process.pid).collect();
        self.exits.refresh(&pids, shared);
        let timer = self.exits.timer_within(short_timer);
        (self.exits.named(), timer)
    }

    /// Forgets wakes: something was delivered.
    pub fn begin(&mut self) {
        for process in &mut self.processes {
            process.threads.iter_mut().for_each(Thread::begin);
        }
    }

    /// Looks at every thread that is known; see [`Thread::look`].
    pub fn look(&mut self, short_timer: Duration, confirm: bool) -> Look {
        let mut look = Look::default();
        for process in &mut self.processes {
            let memory = &mut process.memory;
            process.threads.retain_mut(|thread| {
                let (seen, moved) = thread.look(memory, short_timer, confirm);
                look.moved |= moved || seen == Seen::Gone;
                look.busy |= seen == Seen::Busy;
                look.pending |= seen == Seen::Pending;
                look.timed |= seen == Seen::Timed;
                seen != Seen::Gone
            });
        }
        if look.moved {
            self.stale = true;
            self.exits.moved();
        }
        look
    }

    /// Whether the list of processes and threads is complete, as of before this call. If it is
    /// not, it has been brought up to date, and all must be looked at again.
    pub fn complete(&mut self, shared: &Shared) -> bool {
        if !self.stale {
            return true;
        }
        if proc::lists_children() && self.as_listed() {
            self.stale = false;
            return true;
        }
        let before: Vec<(i32, usize)> = self.outline();
        let live = shared.live();
        self.processes.retain(|process| {
            live.iter()
                .any(|stat| (stat.pid, stat.start) == (process.pid, process.start))
        });
        for stat in live {
            if self.processes.iter().all(|process| process.pid != stat.pid) {
                self.processes.push(Process::new(stat.pid, stat.start));
            }
        }
        self.processes.iter_mut().for_each(Process::list_threads);
        if !proc::lists_children() && before == self.outline() {
            self.stale = false;
            return true;
        }
        false
    }

    /// Whether every list of children and every count of threads is as it was.
    fn as_listed(&mut self) -> bool {
        let mut same = true;
        for process in &mut self.processes {
            same &= process.as_many_threads();
            for thread in &mut process.threads {
                same &= !thread.children_changed();
            }
        }
        let mut buffer = [0; 4096];
        let adopted = self.adopted.read(&mut buffer).unwrap_or_default();
        if self.last_adopted.as_deref() != Some(adopted) {
            self.last_adopted = Some(adopted.to_vec());
            same = false;
        }
        same
    }

    fn outline(&self) -> Vec<(i32, usize)> {
        self.processes
            .iter()
            .map(|process| (process.pid, process.threads.len()))
            .collect()
    }
}
