//! One thread of a pod, looked at again and again.
//!
//! Owns the open /proc files of the thread and what the last look showed. Knows nothing of the
//! thread's process but its memory, which holds the timers of some system calls.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};

use super::proc;
use super::syscalls::Clock;
use super::wait::{Wait, classify};

/// How many /proc files are kept open by all settlers of this process together. More than that
/// are opened at each look: the usual limit on open files is 1024, and sockets need them more.
const KEPT_AT_MOST: usize = 400;

static KEPT: AtomicUsize = AtomicUsize::new(0);

/// A /proc file that is read from its beginning again and again.
#[derive(Debug)]
pub struct Kept {
    path: String,
    file: Option<File>,
}

impl Kept {
    /// The file at this path, opened if it can be.
    pub fn new(path: String) -> Self {
        let room = KEPT.fetch_add(1, Ordering::Relaxed) < KEPT_AT_MOST;
        let file = if room { File::open(&path).ok() } else { None };
        if file.is_none() {
            KEPT.fetch_sub(1, Ordering::Relaxed);
        }
        Self { path, file }
    }

    /// What it says now, as far as it fits.
    pub fn read<'b>(&self, buffer: &'b mut [u8]) -> io::Result<&'b [u8]> {
        let length = match &self.file {
            Some(file) => file.read_at(buffer, 0)?,
            None => File::open(&self.path)?.read_at(buffer, 0)?,
        };
        Ok(&buffer[..length])
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if self.file.is_some() {
            KEPT.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// The memory of a process, opened when it is first needed.
#[derive(Debug)]
pub struct Memory {
    path: String,
    file: Option<File>,
}

impl Memory {
    /// The memory of this process.
    pub fn new(pid: i32) -> Self {
        Self {
            path: format!("/proc/{pid}/mem"),
            file: None,
        }
    }

    /// Fills the bytes from this address; whether it could.
    pub fn read(&mut self, address: u64, bytes: &mut [u8]) -> bool {
        if let Some(file) = &self.file
            && file.read_exact_at(bytes, address).is_ok()
        {
            return true;
        }
        // After an exec the old file shows nothing any more.
        self.file = File::open(&self.path).ok();
        self.file
            .as_ref()
            .is_some_and(|file| file.read_exact_at(bytes, address).is_ok())
    }
}

/// What a look at one thread showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// It has gone.
    Gone,
    /// It runs, or will without anybody's help in a moment.
    Busy,
    /// It sleeps, and its timer may wake it before long.
    Pending,
    /// It sleeps, and has a timer that does not matter any more or not yet.
    Timed,
    /// It sleeps until something else wakes it.
    Quiet,
}

/// One thread.
#[derive(Debug)]
pub struct Thread {
    /// Its id.
    pub tid: i32,
    call: Kept,
    stat: Kept,
    count: Kept,
    children: Kept,
    last_call: Vec<u8>,
    last_count: Vec<u8>,
    /// The thread's children as last read; `None`: not read yet.
    last_children: Option<Vec<u8>>,
    wait: Wait,
    /// Since when, as far as was seen, it has not run.
    since: Instant,
    seen_waiting: bool,
    wakes: u32,
}

impl Thread {
    /// A thread that has not been looked at yet.
    pub fn new(pid: i32, tid: i32) -> Self {
        let file = |name: &str| Kept::new(format!("/proc/{pid}/task/{tid}/{name}"));
        Self {
            tid,
            call: file("syscall"),
            stat: file("stat"),
            count: file(if counts_in_schedstat() {
                "schedstat"
            } else {
                "status"
            }),
            children: file("children"),
            last_call: Vec::new(),
            last_count: Vec::new(),
            last_children: None,
            wait: Wait::Running,
            since: Instant::now(),
            seen_waiting: false,
            wakes: 0,
        }
    }

    /// Forgets the wakes: something was delivered.
    pub fn begin(&mut self) {
        self.seen_waiting = false;
        self.wakes = 0;
    }

    /// Looks at it. The flag that comes back says whether it has run since the last look. To
    /// confirm the look before, its state must say that it sleeps: a thread that was woken and
    /// has not got a processor yet still shows the call in which it slept, sometimes for long
    /// (an idle processor of a virtual machine must be woken first).
    pub fn look(
        &mut self,
        memory: &mut Memory,
        short_timer: Duration,
        confirm: bool,
    ) -> (Seen, bool) {
        // In all cases the counter is read last: if it is the same as at the look before, the
        // thread has slept from that look's reading of it to this look's first reading.
        let mut ran = false;
        if confirm {
            let asleep = self.by_state(Seen::Quiet) == Seen::Quiet;
            match self.counted() {
                // It has not run, so it is still in the same call.
                Some(false) if asleep => return (self.judge(false, short_timer), false),
                Some(counted) => ran = counted,
                None => return (Seen::Gone, true),
            }
        }
        let mut buffer = [0; 256];
        let call = match self.call.read(&mut buffer) {
            Ok([]) => return (Seen::Gone, true),
            Ok(call) => call,
            // Not ours to look into (another user's, or set-user-id): its counter must do.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => b"?",
            Err(_) => return (Seen::Gone, true),
        };
        let moved = call != self.last_call;
        if moved {
            self.last_call.clear();
            self.last_call.extend_from_slice(call);
        }
        let Some(counted) = self.counted() else {
            return (Seen::Gone, true);
        };
        let moved = moved || counted || ran;
        if moved {
            self.wait = classify(&self.last_call, &mut |address, bytes| {
                memory.read(address, bytes)
            });
            self.since = Instant::now();
        }
        let seen = match self.judge(moved, short_timer) {
            asleep @ (Seen::Quiet | Seen::Timed) if confirm => self.by_state(asleep),
            seen => seen,
        };
        (seen, moved)
    }

    /// Whether its counter is another than at the last call; `None`: it has gone.
    fn counted(&mut self) -> Option<bool> {
        let mut counts = [0; 4096];
        let count = match self.count.read(&mut counts) {
            Ok([]) | Err(_) => return None,
            Ok(count) => significant(count),
        };
        if count == self.last_count {
            return Some(false);
        }
        self.last_count.clear();
        self.last_count.extend_from_slice(count);
        Some(true)
    }

    fn judge(&mut self, moved: bool, short_timer: Duration) -> Seen {
        let remaining = match self.wait {
            Wait::Running => return Seen::Busy,
            Wait::Untimed => return Seen::Quiet,
            Wait::File => return self.by_state(Seen::Quiet),
            Wait::Outside | Wait::Unknown => short_timer,
            Wait::After(span) => span,
            Wait::At(clock, moment) => moment.saturating_sub(now(clock)),
        };
        if remaining > short_timer {
            return Seen::Timed;
        }
        // On its way in or out of the wait, stopped, or dead: that is no wake.
        let state = self.by_state(Seen::Pending);
        if state != Seen::Pending {
            return state;
        }
        if self.seen_waiting && moved {
            self.wakes += 1;
        }
        self.seen_waiting = true;
        // Twice: what it does at its first wake may begin another short wait, and if it speaks at
        // all it does so after that one.
        let unknown = matches!(self.wait, Wait::Outside | Wait::Unknown);
        if self.wakes >= 2 || (unknown && self.since.elapsed() >= short_timer) {
            return Seen::Timed;
        }
        Seen::Pending
    }

    /// What its state makes of it; in an ordinary sleep it is as given.
    fn by_state(&self, asleep: Seen) -> Seen {
        let mut buffer = [0; 512];
        let state = self.stat.read(&mut buffer).ok().and_then(proc::state_of);
        match state {
            Some('S' | 'I') => asleep,
            // Stopped or dead: no timer makes it do anything.
            Some('T' | 't' | 'Z' | 'X') => Seen::Quiet,
            Some(_) => Seen::Busy,
            None => Seen::Gone,
        }
    }

    /// Whether its list of children is another than at the last call.
    pub fn children_changed(&mut self) -> bool {
        let mut buffer = [0; 4096];
        let children = self.children.read(&mut buffer).unwrap_or_default();
        if self.last_children.as_deref() == Some(children) {
            return false;
        }
        self.last_children = Some(children.to_vec());
        true
    }
}

/// The part of the counter file that changes when, and only when, the thread runs: all of
/// schedstat (time on a processor, time spent waiting for one, times it got one), the switches of
/// status.
fn significant(text: &[u8]) -> &[u8] {
    let mark = b"voluntary_ctxt_switches";
    text.windows(mark.len())
        .position(|window| window == mark)
        .map_or(text, |at| &text[at..])
}

/// Whether this kernel fills schedstat.
fn counts_in_schedstat() -> bool {
    static FILLS: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    *FILLS.get_or_init(|| {
        std::fs::read_to_string("/proc/thread-self/schedstat").is_ok_and(|text| {
            text.split_ascii_whitespace()
                .nth(2)
                .is_some_and(|n| n != "0")
        })
    })
}

fn now(clock: Clock) -> Duration {
    let id = match clock {
        Clock::Realtime => ClockId::CLOCK_REALTIME,
        Clock::Monotonic => ClockId::CLOCK_MONOTONIC,
    };
    clock_gettime(id).map_or(Duration::ZERO, Duration::from)
}
