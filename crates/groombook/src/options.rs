//! What one run is told to do.
//!
//! Owns the options as plain values. Knows nothing of command lines or the environment.

use std::time::Duration;

use chrono::NaiveDate;

use super::dates::DEFAULT_TODAY;
use super::lock_kind::LockKind;
use super::profile::Profile;

/// What one run is told to do.
///
/// Its `Debug` form shows neither the connection string nor anything of it.
#[derive(Clone)]
pub struct Options {
    /// Where the database is; without it the run fails.
    pub database_url: Option<String>,
    /// How much to seed.
    pub profile: Profile,
    /// How to lock.
    pub lock: LockKind,
    /// Where every draw starts: the same seed, profile and day give the same rows.
    pub seed: u64,
    /// The day that past and coming appointments are counted from. Not the clock's by default: the
    /// same seed would then give other rows tomorrow.
    pub today: NaiveDate,
    /// Drop every table and enum of the schema, create them, then seed.
    pub reset: bool,
    /// Create what is missing of the schema, then seed.
    pub migrate: bool,
    /// Seed the known users only.
    pub known_users: bool,
    /// Seed also a database that looks like production.
    pub allow_destructive: bool,
    /// Handle SIGTERM: stop between two statements, release the lock, end with 143. Without it SIGTERM
    /// ends the process at once (but not PID 1 of a container, which ignores it).
    pub stop_on_sigterm: bool,
    /// How long the process stays where its pool lives on.
    pub linger: Duration,
    /// The pod's name, from which `wrong-key` makes its key; without it the process id.
    pub pod: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            database_url: None,
            profile: Profile::default(),
            lock: LockKind::default(),
            seed: 42,
            today: DEFAULT_TODAY,
            reset: false,
            migrate: false,
            known_users: false,
            allow_destructive: false,
            stop_on_sigterm: false,
            linger: Duration::from_millis(300),
            pod: None,
        }
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("profile", &self.profile)
            .field("lock", &self.lock)
            .field("seed", &self.seed)
            .field("today", &self.today)
            .field("reset", &self.reset)
            .field("migrate", &self.migrate)
            .field("known_users", &self.known_users)
            .field("allow_destructive", &self.allow_destructive)
            .field("stop_on_sigterm", &self.stop_on_sigterm)
            .field("linger", &self.linger)
            .field("pod", &self.pod)
            .finish_non_exhaustive()
    }
}
