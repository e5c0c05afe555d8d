//! Why a run could not be made. A subject that fails is no error here: that is what runs are for.

use crate::evidence::{EvidenceError, GateError};
use crate::history::HistoryError;
use crate::name::PodName;
use crate::pod::PodError;
use crate::server::{GuardianError, ServerError};
use crate::wire::{TlsError, WireError};

/// Why a run could not be made.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The server.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// Its evidence.
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
    /// A stop inside a step.
    #[error(transparent)]
    Gate(#[from] GateError),
    /// A pod.
    #[error(transparent)]
    Pod(#[from] PodError),
    /// A proxy.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// A proxy's certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The history's file.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// A long history that is kept in memory could not be folded or unfolded.
    #[error("a history that is kept in memory cannot be read again: {0}")]
    Kept(std::io::Error),
    /// The guardian could not be started.
    #[error(transparent)]
    Guardian(#[from] GuardianError),
    /// A statement of the harness's own failed.
    #[error("{what}: {}", crate::evidence::driver_text(.source))]
    Sql {
        /// What was tried.
        what: String,
        /// The driver's error.
        source: tokio_postgres::Error,
    },
    /// A command of the scenario failed.
    #[error("{what} failed: {why}")]
    Command {
        /// The command.
        what: String,
        /// How it ended and what it printed.
        why: String,
    },
    /// The subject does not do its work alone and undisturbed, so nothing can be said of it.
    #[error("the clean run did not succeed: {why}")]
    CleanRun {
        /// What happened, and what to do.
        why: String,
        /// Its history.
        lines: Vec<crate::history::Line>,
    },
    /// The scenario ignores what there is not.
    #[error(
        "`ignore` names {name}, and no serial run leaves a table or a column of that name; tables are written \
         as `schema.table`, or `table` in the schema public, and columns behind them as `table.column`"
    )]
    Ignore {
        /// What it names.
        name: String,
    },
    /// A question to a server that is down or paused.
    #[error("the server is down or paused by a fault, and could not be asked")]
    ServerAway,
    /// The controller of the CronJob would create more pods than the scenario has.
    #[error(
        "at {clock} the CronJob's controller would create one pod more ({why}), but `[pods] count` is \
         {most}: raise it"
    )]
    TooManyPods {
        /// How many there may be.
        most: usize,
        /// When, by the controller's clock.
        clock: String,
        /// What the pod would be.
        why: String,
    },
    /// A schedule names a pod that there is not.
    #[error("the schedule names pod {0}, which does not run")]
    NoSuchPod(PodName),
}
