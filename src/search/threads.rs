//! Threads on which runs are made.
//!
//! Owns how large their stacks are. Knows nothing of what runs.

use std::thread::{Builder, Scope, ScopedJoinHandle};

/// The stack of such a thread, in bytes. What a run waits in is some fifty calls deep and large where nothing is
/// optimised: the two MiB that a thread has by itself were too few.
const STACK: usize = 16 << 20;

/// Starts this on a thread of its own.
///
/// # Panics
/// When no thread can be had, as [`Scope::spawn`] does.
pub(super) fn start<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    work: impl FnOnce() -> T + Send + 'scope,
) -> ScopedJoinHandle<'scope, T> {
    let thread = Builder::new().stack_size(STACK).spawn_scoped(scope, work);
    thread.expect("failed to spawn thread")
}

/// Does this on a thread of its own: whoever calls may be on a runtime, where none can be started.
///
/// # Panics
/// When no thread can be had; with what the work panics with.
pub(super) fn apart<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let done = std::thread::scope(|scope| start(scope, work).join());
    done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
