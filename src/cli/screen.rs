//! The screen, which a bar and lines of text share.
//!
//! Owns the one bar that may be on it, so that no line is written into it. What it counts is `progress`'s affair.

use std::sync::{Mutex, PoisonError};

use indicatif::ProgressBar;

/// The bar that is on the screen, if one is.
static SHOWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

pub(super) fn shown() -> std::sync::MutexGuard<'static, Option<ProgressBar>> {
    SHOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes something while no bar is in its way.
pub(super) fn beside_the_bar<T>(write: impl FnOnce() -> T) -> T {
    // Copied out: what is written may be long, and the lock is not for that.
    let bar = shown().clone();
    match bar {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}
