//! The connections of a pod that are being opened, one after the other.
//!
//! Owns their order. A pool that opens several connections at once takes the one that is ready
//! first: which one that is must not depend on how the server's processes are scheduled, or no run
//! repeats another. Knows nothing of sockets or of the protocol.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

/// A connection that was accepted and says nothing is waited for no longer than this, from when it
/// was accepted; one whose turn has come, from then. What other connections do prolongs neither.
const SILENT: Duration = Duration::from_millis(250);

/// Those of one pod.
#[derive(Debug, Clone)]
pub struct Startups {
    open: Arc<Mutex<Order>>,
    changed: Arc<watch::Sender<()>>,
}

/// The place of one connection among them; given up when it is dropped.
#[derive(Debug)]
pub struct Place {
    startups: Startups,
    index: u32,
}

/// The connections that are being opened.
#[derive(Debug, Default)]
struct Order(BTreeMap<u32, Standing>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It says nothing yet, or its turn has come: those behind it wait until this time.
    Until(Instant),
    /// It waits for its own turn.
    Waiting,
}

/// What a connection does that asks for its turn.
#[derive(Debug, PartialEq, Eq)]
enum Turn {
    /// It goes on.
    Now,
    /// It asks again at this time, or when something has changed.
    At(Instant),
    /// It asks again when something has changed.
    Later,
}

impl Order {
    fn enter(&mut self, index: u32, now: Instant) {
        self.0.insert(index, Standing::Until(now + SILENT));
    }

    fn turn(&mut self, index: u32, now: Instant) -> Turn {
        let mut turn = Turn::Now;
        for (_, before) in self.0.range(..index) {
            turn = match (*before, turn) {
                (Standing::Waiting, _) | (_, Turn::Later) => Turn::Later,
                (Standing::Until(time), turn) if time <= now => turn,
                (Standing::Until(time), Turn::At(other)) => Turn::At(time.max(other)),
                (Standing::Until(time), Turn::Now) => Turn::At(time),
            };
        }
        let standing = match turn {
            Turn::Now => Standing::Until(now + SILENT),
            _ => Standing::Waiting,
        };
        self.0.insert(index, standing);
        turn
    }
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
        self.lock().enter(index, Instant::now());
        Place {
            startups: self.clone(),
            index,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Order> {
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
            let turn = self.startups.lock().turn(self.index, Instant::now());
            match turn {
                Turn::Now => break,
                Turn::At(time) => {
                    let _ = tokio::time::timeout_at(time.into(), changed.changed()).await;
                }
                Turn::Later => {
                    let _ = changed.changed().await;
                }
            }
        }
        // Those behind it have waited for it without knowing how long.
        self.startups.changed.send_replace(());
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.startups.lock().0.remove(&self.index);
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

    #[test]
    fn connections_that_come_and_go_do_not_prolong_the_wait_for_a_silent_one() {
        let begun = Instant::now();
        let mut order = Order::default();
        order.enter(0, begun);
        order.enter(1, begun);
        for probe in 2..12 {
            let now = begun + SILENT / 10 * (probe - 2);
            order.enter(probe, now);
            assert_eq!(order.turn(1, now), Turn::At(begun + SILENT));
            order.0.remove(&probe);
        }
        assert_eq!(order.turn(1, begun + SILENT), Turn::Now);
    }

    #[test]
    fn those_that_waited_for_a_silent_one_still_go_one_after_the_other() {
        let begun = Instant::now();
        let mut order = Order::default();
        for index in 0..3 {
            order.enter(index, begun);
        }
        assert_eq!(order.turn(1, begun), Turn::At(begun + SILENT));
        let late = begun + SILENT * 2;
        assert_eq!(order.turn(2, late), Turn::Later, "1 goes first");
        assert_eq!(order.turn(1, late), Turn::Now);
        assert_eq!(order.turn(2, late), Turn::At(late + SILENT));
        order.0.remove(&1);
        assert_eq!(order.turn(2, late), Turn::Now);
    }

    #[tokio::test]
    async fn a_silent_one_is_not_waited_for_long() {
        let startups = Startups::default();
        let _silent = startups.enter(0);
        startups.enter(1).turn().await;
    }
}
