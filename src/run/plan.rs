//! What is to be run, and where.
//!
//! Owns the inputs of one run as plain values. Knows nothing of TOML or of the command line.

use std::time::Duration;

use crate::conductor::Waits;
use crate::cronjob::CronJob;
use crate::history::{Baseline, NamedError, PoolerSettings, Rules};
use crate::name::PodName;
use crate::pod::Program;
use crate::schedule::Schedule;
use crate::server::{Database, Server, ServerError};

/// Where runs happen.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The server.
    pub server: &'a Server,
    /// The database that every run's database is a copy of: with the witness, and without.
    pub template: &'a Database,
    /// The same without the witness.
    pub bare_template: &'a Database,
    /// The name of every run's database; `None`: each has one of its own.
    pub database: Option<&'a str>,
}

impl Place<'_> {
    /// Makes the database of a run: a copy of this template.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn set(&self, template: &Database) -> Result<Database, ServerError> {
        match self.database {
            Some(name) => {
                self.server.as_found(name).await?;
                self.server.create_named(name, Some(template)).await
            }
            None => self.server.create_database("run", Some(template)).await,
        }
    }

    /// Keeps the database of a run that is over, so that the next one can have its name.
    ///
    /// # Errors
    /// When the server refuses.
    pub(super) async fn keep(&self, database: Database) -> Result<Database, ServerError> {
        match self.database {
            Some(_) => self.server.set_aside(database, "kept").await,
            None => Ok(database),
        }
    }
}

/// What is to be run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The scenario's title.
    pub title: String,
    /// The subject, as a person would write it.
    pub subject: String,
    /// The subject's command.
    pub program: Program,
    /// How many pods; with a CronJob, the most that its controller may create.
    pub pods: usize,
    /// The CronJob whose controller decides which pods there are.
    pub cronjob: Option<CronJob>,
    /// Whether a recovery pod runs after all others.
    pub recovery: bool,
    /// The pods of a serial run; `None`: the first so many by their names.
    pub names: Option<Vec<PodName>>,
    /// Whether other circumstances are made on purpose: every sequence starts elsewhere, and a pod is held
    /// for a while where a turn of so many steps ends.
    pub elsewhere: bool,
    /// In what order.
    pub schedule: Schedule,
    /// What must hold; the databases in its keys are filled in by the run.
    pub rules: Rules,
    /// What clean and serial runs showed.
    pub baseline: Option<Baseline>,
    /// Whether the clean run is known to have had one request open at a time.
    pub one_request: bool,
    /// Whether the witness watches.
    pub witness: bool,
    /// Whether the run stops at the first error of a statement that no clean run shows: that it
    /// failed is known then, and the rest would only take time.
    pub stop_at_error: bool,
    /// If set, the only error at which it is.
    pub stop_only_at: Option<NamedError>,
    /// Whether advisory locks are read only where they can have changed (see `is_plain`), not at
    /// every boundary. For subjects of which that is known to be enough.
    pub sparse_locks: bool,
    /// The pooler between the pods and the server, if there is to be one.
    pub pooler: Option<PoolerSettings>,
    /// Whether a streaming standby stands beside the server, to be promoted.
    pub standby: bool,
    /// The longest that the run may take.
    pub time_limit: Duration,
    /// How waits that no lock of the server shows are told, and what comes of them.
    pub waits: Waits,
}

impl Plan {
    /// Whether steps are held until they are released.
    pub(super) fn is_controlled(&self) -> bool {
        !matches!(self.schedule, Schedule::Free(_))
    }

    /// The names of the pods that are there from the beginning. (Where a CronJob has them created,
    /// none.)
    #[must_use]
    pub fn first_pods(&self) -> Vec<PodName> {
        if let Some(names) = &self.names {
            return names.clone();
        }
        let first = if self.cronjob.is_some() { 0 } else { self.pods };
        (0..first).map(PodName::of_index).collect()
    }

    /// The name of the recovery pod.
    #[must_use]
    pub fn recovery_name(&self) -> PodName {
        PodName::of_index(self.pods)
    }
}
