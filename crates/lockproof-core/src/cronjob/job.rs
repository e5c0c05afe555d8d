//! A Job and its pods: one pod at a time, tried again when it fails.
//!
//! Owns the count of failures and the delay before the next try (pkg/controller/job/backoff_utils.go:
//! 10 s after the first failure, twice as much after each further one).

use std::time::Duration;

use crate::name::PodName;

/// The delay after the first failure (`DefaultJobPodFailureBackOff`).
const FIRST_DELAY: Duration = Duration::from_secs(10);
/// The longest delay (`MaxJobPodFailureBackOff`; the documentation says six minutes, the controller
/// waits ten).
const LONGEST_DELAY: Duration = Duration::from_secs(600);

/// A Job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Job {
    pub name: String,
    /// Made by hand: `concurrencyPolicy` does not see it.
    pub manual: bool,
    pub state: State,
    pub failures: u32,
    /// When its next pod is made, after a failure.
    pub retry_at: Option<Duration>,
    pub pods: Vec<Pod>,
}

/// What has become of a Job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// A pod of it runs, or is to be made.
    Active,
    Complete,
    Failed,
    Deleted,
}

/// A pod of a Job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pod {
    pub name: PodName,
    pub ended: bool,
    /// When its grace is over.
    pub kill_at: Option<Duration>,
}

impl Job {
    /// Whether it is one that `concurrencyPolicy` looks at: not finished, and not made by hand.
    /// (A Job between two tries is not finished.)
    pub fn counts(&self) -> bool {
        self.state == State::Active && !self.manual
    }

    /// The pod that it has now.
    pub fn running(&self) -> Option<&Pod> {
        self.pods.iter().find(|pod| !pod.ended)
    }

    /// What it is doing, in words.
    pub fn words(&self) -> String {
        match self.running() {
            Some(pod) => format!("{} (pod {})", self.name, pod.name),
            None => format!("{} (between two tries)", self.name),
        }
    }
}

/// How long after this many failures in a row the next pod is made.
pub(super) fn delay(failures: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
    FIRST_DELAY.saturating_mul(doubled).min(LONGEST_DELAY)
}

#[cfg(test)]
mod tests {
    use super::delay;

    #[test]
    fn the_delay_doubles_up_to_ten_minutes() {
        let delays: Vec<u64> = (1..=9).map(|failures| delay(failures).as_secs()).collect();
        assert_eq!(delays, [10, 20, 40, 80, 160, 320, 600, 600, 600]);
        assert_eq!(delay(u32::MAX).as_secs(), 600);
    }
}
