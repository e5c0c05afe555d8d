//! What a pod that rests waits for, in kind.
//!
//! Owns the choice of one kind for all its sleeping threads: the most telling. Whether it rests is
//! `settle`'s to say. Knows nothing of what the pod has asked the server.

use std::fs;
use std::os::unix::fs::FileTypeExt;

use super::proc;
use super::process::Pod;
use super::syscalls::{Sleep, sleep_of};
use crate::history::WaitsFor;

impl Pod {
    /// What it waits for, if it rests: of all its threads the most telling. A socket is
    /// [`WaitsFor::Outside`], whoever is at its other end.
    #[must_use]
    pub fn waits_for(&self) -> WaitsFor {
        let mut seen = Vec::new();
        for pid in self.processes() {
            for tid in proc::threads(pid) {
                let line = fs::read(format!("/proc/{pid}/task/{tid}/syscall"));
                seen.extend(line.ok().and_then(|line| kind(pid, &line)));
            }
        }
        let telling = [
            WaitsFor::File,
            WaitsFor::Timer,
            WaitsFor::Pipe,
            WaitsFor::Outside,
            WaitsFor::Child,
        ];
        let found = telling.into_iter().find(|one| seen.contains(one));
        found.unwrap_or(WaitsFor::Outside)
    }
}

fn kind(pid: i32, line: &[u8]) -> Option<WaitsFor> {
    let mut words = str::from_utf8(line).ok()?.split_ascii_whitespace();
    let number = words.next()?.parse().ok()?;
    let first = words.next().and_then(|word| word.strip_prefix("0x"));
    let first = first.and_then(|word| u64::from_str_radix(word, 16).ok());
    match sleep_of(number)? {
        Sleep::FileLock => Some(WaitsFor::File),
        Sleep::Child => Some(WaitsFor::Child),
        Sleep::Timer => Some(WaitsFor::Timer),
        Sleep::Sockets => Some(WaitsFor::Outside),
        Sleep::Descriptor => {
            let path = format!("/proc/{pid}/fd/{}", first?);
            let target = fs::read_link(&path).ok()?;
            let target = target.to_string_lossy();
            if target.starts_with("socket:") || target.starts_with("anon_inode:") {
                return Some(WaitsFor::Outside);
            }
            let fifo = fs::metadata(&path).is_ok_and(|facts| facts.file_type().is_fifo());
            Some(if fifo { WaitsFor::Pipe } else { WaitsFor::File })
        }
    }
}
