//! The connections of a pod that are being opened, one after the other.
//!
//! Owns their order. A pool that opens several connections at once takes the one that is ready
//! first: which one that is must not depend on how the server's processes are scheduled, or no run
//! repeats another. Knows nothing of sockets or of the protocol.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

/// A connection that was accepted and says nothing is waited for no longer than this.
const SILENT: Duration = Duration::from_millis(250);

/// Those of one pod.
#[derive(Debug, Clone)]
pub struct Startups {
    open: Arc<Mutex<BTreeSet<u32>>>,
    changed: Arc<watch::Sender<()>>,
}

/// The place of one connection among them; given up when it is dropped.
#[derive(Debug)]
pub struct Place {
    startups: Startups,
    index: u32,
}

impl Default for Startups {
    fn default() -> Self {
        Self {
            open: Arc::default(),
            changed: Arc::new(watch::channel(()).0),
        }
    }
}

impl Startups {
    /// A connection was accepted.
    #[must_use]
    pub fn enter(&self, index: u32) -> Place {
        self.lock().insert(index);
        Place {
            startups: self.clone(),
            index,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<u32>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Waits until every connection that was accepted before it has been opened, or has ended, or
    /// is silent.
    pub async fn turn(&self) {
        let mut changed = self.startups.changed.subscribe();
        loop {
            changed.mark_unchanged();
            if self
                .startups
                .lock()
                .first()
                .is_none_or(|first| *first >= self.index)
            {
                return;
            }
            if tokio::time::timeout(SILENT, changed.changed())
                .await
                .is_err()
            {
                return;
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.startups.lock().remove(&self.index);
        self.startups.changed.send_replace(());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_waits_for_those_accepted_before_it() {
        let startups = Startups::default();
        let first = startups.enter(0);
        let second = startups.enter(1);
        first.turn().await;
        let waiting = tokio::spawn(async move {
            second.turn().await;
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(first);
        waiting.await.unwrap();
    }

    #[tokio::test]
    async fn a_silent_one_is_not_waited_for_long() {
        let startups = Startups::default();
        let _silent = startups.enter(0);
        startups.enter(1).turn().await;
    }
}
