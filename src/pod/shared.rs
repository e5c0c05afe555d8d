//! What a pod, its pump and whoever looks at it have in common.
//!
//! Owns the one answer to "what of the pod still lives?". Starts and ends nothing.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::family::Family;
use super::proc::Stat;
use crate::name::PodName;

/// What the pod and its pump both hold.
#[derive(Debug)]
pub(super) struct Shared {
    /// The pod's name.
    pub name: PodName,
    /// Counts what the pump heard: output and the first process's end.
    pub spoken: AtomicU64,
    /// Local ports that lead to lockproof.
    pub ports: Mutex<Vec<u16>>,
    /// The Unix socket that leads to lockproof.
    pub socket: Mutex<Option<PathBuf>>,
    /// Whether it has a network of its own, with nobody else in it.
    pub isolated: bool,
    pub family: Mutex<Family>,
    /// Whether all processes were seen to be gone; none can come back.
    pub over: AtomicBool,
    /// Whether its first process had a handler for SIGTERM when that was sent.
    pub handles: AtomicBool,
}

impl Shared {
    /// All live processes of the pod.
    pub fn live(&self) -> Vec<Stat> {
        if self.over.load(Ordering::Acquire) {
            return Vec::new();
        }
        let mut family = self.lock();
        let mut live = family.look();
        if live.is_empty() {
            // The kernel's lists of children may skip an entry while another one leaves.
            live = family.look();
        }
        live
    }

    /// From now on there is nothing left of the pod, whoever looks.
    pub fn finish(&self) {
        self.over.store(true, Ordering::Release);
    }

    /// Its family, whoever panicked with it.
    pub fn lock(&self) -> std::sync::MutexGuard<'_, Family> {
        self.family.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
