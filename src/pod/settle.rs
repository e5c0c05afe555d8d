//! Does any pod still have something to say?
//!
//! Owns the rule (docs/design/pacing.md, "A pod settles") and its time limits. No verdict depends
//! on the answer; only repeatability does.
//!
//! The pods are quiet when every thread of every process sleeps, and none of them will be woken
//! by a timer within 25 ms, or has been woken twice already without a word. Two looks that show
//! this with unchanged counters prove a common moment of sleep: each thread slept from the first
//! look to the second and was not about to wake at the second, so all slept in between, and a
//! sleeping thread wakes no other. Between the
//! two the runtime polls its sockets, so that bytes which a pod wrote before it fell asleep are
//! heard first.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, RuntimeFlavor};

use super::group::{Group, Look};
use super::process::Pod;
use super::ticker::Ticker;

pub use crate::conductor::Quiet;

/// What a wait for rest showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// How the pods came to rest.
    pub quiet: Quiet,
    /// What leads out of the pods, each named once: sockets and pipes.
    pub leaves: Vec<String>,
    /// How long it took.
    pub took: Duration,
    /// How often all threads were looked at.
    pub looks: u32,
}

/// The times of the rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SettleLimits {
    /// Time between two looks at pods that do not rest.
    pub look_every: Duration,
    /// A timer that ends within this time is waited for (twice); a later one is ignored.
    pub short_timer: Duration,
    /// After this time it is given up.
    pub restless_after: Duration,
}

impl Default for SettleLimits {
    fn default() -> Self {
        Self {
            look_every: Duration::from_micros(300),
            short_timer: Duration::from_millis(25),
            restless_after: Duration::from_millis(250),
        }
    }
}

/// Waits for pods to come to rest. Keeps their /proc files open from one wait to the next.
#[derive(Debug, Default)]
pub struct Settler {
    groups: Vec<Group>,
}

impl Settler {
    /// One that has not looked at any pod yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Waits until all these pods rest. Call it right after something was delivered to one of
    /// them, with all pods that live; `activity` must count every byte that comes from a pod, as
    /// soon as it is read. What the pods print and the ends of their first processes are counted
    /// here.
    pub async fn wait(
        &mut self,
        pods: &[&Pod],
        activity: &AtomicU64,
        limits: &SettleLimits,
    ) -> Settled {
        let begun = Instant::now();
        let mut looks = 0;
        let (quiet, leaves) = self.come_to_rest(pods, activity, limits, &mut looks).await;
        Settled {
            quiet,
            leaves,
            took: begun.elapsed(),
            looks,
        }
    }

    async fn come_to_rest(
        &mut self,
        pods: &[&Pod],
        activity: &AtomicU64,
        limits: &SettleLimits,
        looks: &mut u32,
    ) -> (Quiet, Vec<String>) {
        let begun = Instant::now();
        let heard = || {
            let of_pods = pods
                .iter()
                .map(|pod| pod.shared().spoken.load(Ordering::Acquire));
            of_pods.fold(activity.load(Ordering::Acquire), u64::wrapping_add)
        };
        let before = heard();
        if pods.iter().any(|pod| !pod.is_visible()) {
            // No /proc: all that can be done is to give them time.
            tokio::time::sleep(limits.short_timer).await;
            let quiet = if heard() == before {
                Quiet::Assumed
            } else {
                Quiet::Spoke
            };
            return (quiet, Vec::new());
        }
        self.begin(pods);
        let mut ticker = None;
        let mut was_quiet = false;
        let mut leaves = BTreeSet::new();
        loop {
            let look = self.look(limits, was_quiet);
            *looks += 1;
            if heard() != before {
                return (Quiet::Spoke, Vec::new());
            }
            if was_quiet && look.quiet() && !look.moved {
                let quiet = match look.timed || !leaves.is_empty() {
                    true => Quiet::Assumed,
                    false => Quiet::Settled,
                };
                return (quiet, leaves.into_iter().collect());
            }
            let complete = look.quiet() && self.complete(pods);
            was_quiet = complete && {
                let timer;
                (leaves, timer) = self.exits(pods, limits);
                // Of such timers it is not known whom they wake: two of them have had their time.
                !timer || begun.elapsed() >= 2 * limits.short_timer
            };
            if begun.elapsed() >= limits.restless_after {
                return (Quiet::Restless, Vec::new());
            }
            if was_quiet {
                listen(&mut ticker).await;
            } else if look.quiet() && !complete {
                // Threads or processes have just been found: look at them at once.
                tokio::task::yield_now().await;
            } else {
                let ticker = ticker.get_or_insert_with(Ticker::new);
                ticker.pause(limits.look_every).await;
            }
        }
    }

    /// Brings the list of pods up to date and forgets what came before the last delivery.
    fn begin(&mut self, pods: &[&Pod]) {
        self.groups
            .retain(|group| pods.iter().any(|pod| pod.id() == group.id));
        for pod in pods {
            match self.groups.iter_mut().find(|group| group.id == pod.id()) {
                Some(group) => group.begin(),
                None => self.groups.push(Group::new(pod.id())),
            }
        }
    }

    fn look(&mut self, limits: &SettleLimits, confirm: bool) -> Look {
        self.groups
            .iter_mut()
            .map(|group| group.look(limits.short_timer, confirm))
            .fold(Look::default(), Look::and)
    }

    /// Whether no process or thread has been overlooked.
    fn complete(&mut self, pods: &[&Pod]) -> bool {
        let mut complete = true;
        for group in &mut self.groups {
            if let Some(pod) = pods.iter().find(|pod| pod.id() == group.id) {
                complete &= group.complete(pod.shared());
            }
        }
        complete
    }

    /// What leads out of the pods, and whether a timer that is a file goes off shortly.
    fn exits(&mut self, pods: &[&Pod], limits: &SettleLimits) -> (BTreeSet<String>, bool) {
        let mut leaves = BTreeSet::new();
        let mut timer = false;
        for group in &mut self.groups {
            if let Some(pod) = pods.iter().find(|pod| pod.id() == group.id) {
                let (named, soon) = group.exits(pod.shared(), limits.short_timer);
                leaves.extend(named.iter().map(|name| format!("{}: {name}", pod.name())));
                timer |= soon;
            }
        }
        (leaves, timer)
    }
}

/// Lets the runtime read what has arrived. On one thread the tasks that yield run after the
/// sockets were polled and the tasks woken by them ran; the second time is for those that hand
/// on to another task. On several threads there is no such order, only time.
async fn listen(ticker: &mut Option<Ticker>) {
    tokio::task::yield_now().await;
    tokio::task::yield_now().await;
    if Handle::current().runtime_flavor() != RuntimeFlavor::CurrentThread {
        let ticker = ticker.get_or_insert_with(Ticker::new);
        ticker.pause(Duration::from_micros(100)).await;
    }
}
