//! The mark that every process of a pod inherits, and what it is good for after lockproof's death.
//!
//! Owns the variable's name and the search for it. A pod's processes carry it in the environment
//! that they were started with, also those that left the process group or lost their parent. The
//! guardian needs three things of a pod, and `Pod::identity` and `Pod::id` give them: process id
//! and start time of the first process (to signal its group without hitting a stranger) and this
//! mark (to find the rest). A process that was started with an emptied environment has no mark.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::proc;

/// The name of the variable.
pub const MARKER: &str = "LOCKPROOF_POD_ID";

/// Kills (SIGKILL) every process on the machine whose environment carries `LOCKPROOF_POD_ID=<id>`,
/// again and again until none is found that was not signalled yet, because a process may fork
/// while it is being looked for. Gives the processes it signalled; an empty id finds none.
/// Needs /proc; where there is none it finds nothing.
pub fn kill_by_marker(id: &str) -> Vec<i32> {
    let mut signalled = Vec::new();
    if id.is_empty() {
        return signalled;
    }
    let entry = format!("{MARKER}={id}");
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    let mut seen = Vec::new();
    loop {
        let mut found = false;
        for pid in proc::all() {
            if pid == own || !proc::environ_has(pid, &entry) {
                continue;
            }
            let Some(stat) = proc::stat(pid) else {
                continue;
            };
            if seen.contains(&(pid, stat.start)) {
                continue;
            }
            seen.push((pid, stat.start));
            if kill(Pid::from_raw(pid), Signal::SIGKILL).is_ok() {
                found = true;
                signalled.push(pid);
            }
        }
        if !found {
            return signalled;
        }
    }
}
